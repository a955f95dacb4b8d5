"""Reports that programs read: json, jsonl, csv and junit. Whatever a text holds, it comes out as that text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from promptstudio.evals.report.csv import cell
from promptstudio.evals.report.formats import reporter_for
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.schema import Score
from promptstudio.output.terminal import safe_text
from tests.evals.report_samples import HOSTILE, case_result, hostile_results, one_of_each, renamed, reported


def text_of(name: str, *reports: RunReport) -> str:
    stream = io.StringIO(newline="")
    reporter_for(name)(reports, stream)
    text = stream.getvalue()
    text.encode("utf-8", "backslashreplace")
    return text


# json and jsonl


def test_the_json_report_holds_everything_and_every_key_is_there() -> None:
    data = json.loads(text_of("json", reported(one_of_each())))
    assert (data["format"], data["version"]) == ("promptstudio.eval-report", 1)
    (run,) = data["runs"]
    assert run["counts"] == {"pass": 5, "fail": 2, "error": 1, "unscored": 1, "skipped": 1}
    assert (run["gate_met"], run["exit_code"], run["cost_usd"], run["unpriced"]) == (False, 1, None, 1)
    assert [target["cases"] for target in run["targets"]] == [6, 4]
    assert len({frozenset(result) for result in run["results"]}) == 1
    refund = run["results"][1]
    assert refund["scores"][2]["children"][1]["reason"] == "'5 days' is missing"
    assert refund["answer"]["output"]["category"] == "bug"
    assert run["results"][7]["earlier_answers"][0]["text"] == "Which order is it about?"


def test_several_runs_stand_in_one_document() -> None:
    report = reported(one_of_each())
    data = json.loads(text_of("json", report, renamed(report, "other")))
    assert [run["suite"] for run in data["runs"]] == ["support/triage", "other"]
    assert [len(run["results"]) for run in data["runs"]] == [10, 10]


def test_jsonl_has_a_line_for_each_case_and_then_one_for_the_run() -> None:
    lines = [json.loads(line) for line in text_of("jsonl", reported(one_of_each())).splitlines()]
    assert [line["type"] for line in lines] == ["case"] * 10 + ["run"]
    assert lines[0]["run"] == lines[-1]["id"]
    assert "results" not in lines[-1]


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_hostile_texts_come_back_from_json_as_they_were(name: str) -> None:
    text = text_of(name, reported(hostile_results()))
    results = json.loads(text)["runs"][0]["results"] if name == "json" else [*map(json.loads, text.split("\n")[:-2])]
    assert [result["answer"]["text"] for result in results] == list(HOSTILE.values())
    assert "\u202e" not in text


def test_numbers_json_does_not_know_become_texts() -> None:
    result = case_result("nan", inputs={"x": float("nan"), "y": [float("-inf")]}, metrics={"m": float("inf")})
    text = text_of("json", reported([result]))
    (case,) = json.loads(text, parse_constant=pytest.fail)["runs"][0]["results"]
    assert (case["case"]["inputs"], case["metrics"]) == ({"x": "nan", "y": ["-inf"]}, {"m": "inf"})


# csv


def rows_of(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def test_the_csv_report_has_a_column_for_each_input_and_metric() -> None:
    rows = rows_of(text_of("csv", reported(one_of_each())))
    assert [row["case"] for row in rows][:2] == ["double-charge", "refund-now"]
    assert (rows[1]["inputs.ticket"], rows[1]["inputs.product"], rows[0]["inputs.product"]) == (
        "I want my money back, now!", "web", "",
    )  # fmt: skip
    assert (rows[1]["metrics.accuracy"], rows[1]["outcome"], rows[1]["latency_ms"]) == ("0.0", "fail", "1350.0")
    assert (rows[4]["error_kind"], rows[4]["cost_usd"], rows[4]["answer"]) == ("rate_limit", "", "")
    assert rows[8]["answer"] == 'find_order({"order": 7})'


def test_no_cell_of_the_csv_report_is_a_formula() -> None:
    text = text_of("csv", reported(hostile_results()))
    for row in csv.reader(io.StringIO(text[1:], newline="")):
        assert not [one for one in row if one.lstrip(" ").startswith(tuple("=+-@\t\r\n＝＋－＠"))]
    answers = [row["answer"] for row in rows_of(text)]
    for said, answer in zip(HOSTILE.values(), answers, strict=True):
        assert answer.removeprefix("'") == said.replace("\0", "\\x00")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"), ("  =1+1", "'  =1+1"), ("\u200b@x", "'\u200b@x"), ("＝1", "'＝1"), ("\rx", "'\rx"),
        ("a=1", "a=1"), ("", ""), (None, ""), (-1.5, "-1.5"), (True, "true"), ({"a": "=1"}, '{"a": "=1"}'),
        ([-1], "[-1]"), ("'=1", "'=1"),
    ],
)  # fmt: skip
def test_a_cell_that_would_be_computed_gets_an_apostrophe(value: Any, shown: str) -> None:
    assert cell(value) == shown


# junit: element → its attributes (those with ! are required) and what may stand in it, as in junit-10.xsd

JUNIT = {
    "testsuites": ("name time tests failures errors", "testsuite"),
    "testsuite": (
        "name! tests! failures! errors! group time skipped timestamp hostname id package file log url",
        "testsuite properties testcase system-out system-err",
    ),
    "properties": ("", "property"),
    "property": ("name! value!", ""),
    "testcase": ("name! time classname group", "skipped error failure system-out system-err"),
    **dict.fromkeys(("skipped", "error", "failure"), ("type message", "")),
    **dict.fromkeys(("system-out", "system-err"), ("", "")),
}


def junit_of(*reports: RunReport) -> ET.Element:
    """Parse the report and hold every element against the schema."""
    root = ET.fromstring(text_of("junit", *reports))
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = (words.split() for words in JUNIT[element.tag])
        assert set(element.attrib) <= {name.rstrip("!") for name in attributes}
        assert {name.rstrip("!") for name in attributes if name.endswith("!")} <= set(element.attrib)
        assert {child.tag for child in element} <= set(children)
        assert re.fullmatch(r"[0-9]+\.[0-9]{3}", element.get("time", "0.000"))
    return root


def of_outcome(root: ET.Element) -> dict[str, tuple[str, str]]:
    return {
        case.get("name", ""): (child.tag, child.get("type", ""))
        for case in root.iter("testcase")
        for child in case
        if child.tag != "system-out"
    }


def test_junit_tells_failures_errors_and_skipped_apart_and_hides_no_unscored_case() -> None:
    root = junit_of(reported(one_of_each()))
    assert of_outcome(root) == {
        "refund-now": ("failure", "equals"),
        "تذكرة-عربية": ("failure", "expected-output"),
        "too-long": ("error", "rate_limit"),
        "no-assertion": ("error", "unscored"),
        "left-out": ("skipped", "skipped"),
        "pass_rate": ("failure", "gate"),
    }
    suites = {suite.get("name", ""): suite for suite in root}
    terse = suites["support/triage · support/triage:terse · anthropic/claude-haiku-4-5"]
    assert [terse.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "0", "2", "0"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("13", "3", "2")


def test_the_counts_of_junit_are_those_of_its_elements() -> None:
    for suite in junit_of(reported(one_of_each()), reported(hostile_results())):
        for attribute, tag in {
            "tests": "testcase",
            "failures": "failure",
            "errors": "error",
            "skipped": "skipped",
        }.items():
            assert suite.get(attribute) == str(len(list(suite.iter(tag)))), (suite.get("name"), tag)


def test_junit_has_reasons_outputs_the_place_and_the_command_in_it() -> None:
    root = junit_of(reported(one_of_each()))
    failure = next(case for case in root.iter("testcase") if case.get("name") == "refund-now").find("failure")
    assert failure is not None
    assert failure.get("message") == "equals: category: expected 'billing', found 'bug'"
    for piece in ("evals/data/cases.jsonl:2", "'5 days' is missing", "You get a refund", "--case refund-now"):
        assert piece in (failure.text or "")
    outputs = [case.findtext("system-out") for case in root.iter("testcase")]
    assert "turn 1:\nWhich order is it about?\n\nturn 2:\nOrder 7 is on its way." in outputs


def test_hostile_texts_are_texts_in_junit_and_what_xml_forbids_is_visible() -> None:
    root = junit_of(reported(hostile_results()))
    said = [case.findtext("system-out") for case in root.iter("testcase")]
    for text, shown in zip(HOSTILE.values(), said, strict=False):
        assert shown == safe_text(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
    assert "\\x00\\x01\\x08" in "".join(filter(None, said))


@pytest.mark.parametrize(
    ("more", "tag"),
    [
        ({"status": "running", "exit_code": None, "totals": {}, "checks": ()}, "no end"),
        ({"status": "interrupted", "exit_code": 130, "note": "interrupted"}, "exit code 130"),
        ({"status": "stopped", "exit_code": 1, "checks": (), "note": "stopped before the end"}, "exit code 1"),
        ({"exit_code": 3, "note": "the provider failed 2 times"}, "exit code 3"),
    ],
)
def test_a_run_without_a_good_end_is_never_green_in_junit(more: dict[str, Any], tag: str) -> None:
    root = junit_of(reported([case_result("fine")], **more))
    assert of_outcome(root) == {"the run reaches its end": ("error", tag)}


def test_a_run_of_nothing_is_never_green_in_junit() -> None:
    assert list(junit_of(reported([], exit_code=0, checks=())).iter("error"))


class Passing(Sequence[Any]):
    """Results that exist only while somebody looks at them; `most` is how many were alive at once."""

    def __init__(self, count: int) -> None:
        self.count, self.alive, self.most = count, 0, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Any:
        if index >= self.count:
            raise IndexError
        self.alive += 1
        self.most = max(self.most, self.alive)
        score = Watched("contains", "pass", 1.0)
        object.__setattr__(score, "let_go", self.let_go)
        return case_result(f"case {index}", scores=(score,), target=index % 2)

    def let_go(self) -> None:
        self.alive -= 1


class Watched(Score):
    """A score that says when it is gone."""

    let_go: Callable[[], None]

    def __del__(self) -> None:
        self.let_go()


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "junit", "markdown", "github", "html"])
def test_results_stream_through_every_report(name: str) -> None:
    results = Passing(600)
    report = reported([case_result("a"), case_result("b", target=1)])
    text = text_of(name, RunReport(report.run, results, report.figures))
    assert results.most <= 3
    assert results.alive == 0
    assert name in ("markdown", "github") or "case 599" in text
