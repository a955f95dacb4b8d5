"""What reports show of statistics: the sentence, what broke since the baseline, figures with intervals, who judged."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from promptstudio.evals.gate import Check
from promptstudio.evals.report.against import held_of
from promptstudio.evals.report.formats import FORMATS, reporter_for
from promptstudio.evals.report.github import commands
from promptstudio.evals.report.markdown import HEAD_END, MAX_FLIPS, MAX_OPEN
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.report.sure import judged_by, repeated_figures, sure_figures
from promptstudio.output.terminal import safe_text
from tests.evals.report_samples import (
    HOSTILE,
    NAMES,
    against,
    case_result,
    compared,
    flips,
    held_report,
    hostile_results,
    one_of_each,
    renamed,
    reported,
    sure,
)

# The elements a comment may have.
OURS = {
    *("h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "details", "summary", "span"),
    *("ul", "li", "strong"),
}


def text_of(name: str, *reports: RunReport) -> str:
    stream = io.StringIO(newline="")
    reporter_for(name)(reports, stream)
    return stream.getvalue()


def one_target(figures: dict[str, Any], **more: Any) -> dict[str, Any]:
    target = {"baseline": NAMES[0], "candidate": NAMES[0], "same": False, "figures": figures, "refused": {}}
    return against(targets=[{**target, **more}], new_prompts=[])


# markdown


def test_a_comment_begins_with_the_sentence_then_what_broke_then_what_was_mended_then_the_figures() -> None:
    text = text_of("markdown", held_report())
    parts = (
        "gate missed", "worse than the baseline on 10 cases.", "🔻 Broke since", "refund-now", "Mended since", HEAD_END,
        "| prompt | model |", "| gate |", "| of | figure | main | now | difference | 95% interval | verdict |",
        "is not compared:", "figures of this run",
        "flake rate 12.5%", "### 💥",
    )  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_broken_case_has_the_reason_of_now_and_the_command_that_asks_it_again() -> None:
    head = text_of("markdown", held_report()).partition(HEAD_END)[0]
    line = next(line for line in head.splitlines() if "refund-now" in line)
    assert "equals&#58;" in line
    assert "expected &#39;billing&#39;, found &#39;bug&#39;" in line
    assert "\n  ps eval evals/triage.yaml --case refund-now --prompt support/triage -m openai/gpt-4.1-mini\n" in head
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(head)
    assert page.count("<li>") == page.count("</pre>") == 2


def test_a_figure_stands_beside_the_baseline_with_difference_interval_and_verdict() -> None:
    text = text_of(
        "markdown", held_report(totals={"against": one_target({"pass rate": compared(0.9, 0.6, "regressed")})})
    )
    row = next(line for line in text.splitlines() if line.startswith("| pass rate | 90%"))
    assert [part for part in ("60%", "−30 points", "−40 points to −20 points", "regressed") if part not in row] == []
    unsure = text_of("markdown", held_report())
    assert "inconclusive &#40;could detect 9 points; needs about 310 cases&#41;" in unsure


@pytest.mark.parametrize(
    ("figure", "more", "verdict"),
    [
        (compared(0.9, 0.88, "inconclusive", surely_worse=True, margin=0.05), {},
         "🔻 worse &#40;perhaps by less than the margin of 5 points&#41;"),
        (compared(0.9, 0.9, "inconclusive"), {"same": True}, "| the same prompt and model |"),
        ({"verdict": "inconclusive", "difference": None}, {}, "| nothing to compare |"),
        (compared(1.5, 2.5, "improved"), {}, "&#43;1 | "),
        (compared(0.9, 0.9, "inconclusive", could_detect=None, needs_cases=None), {}, "⚠️ inconclusive<"),
    ],
)  # fmt: skip
def test_a_verdict_is_told_in_the_words_of_the_gate(figure: dict[str, Any], more: dict[str, Any], verdict: str) -> None:
    found = one_target({"pass rate": compared(0.9, 0.9, "no worse"), "m": figure}, **more)
    rows = text_of("markdown", held_report(totals={"against": found})).splitlines()
    assert verdict in next(row for row in rows if row.startswith("| m |"))


def test_what_was_not_compared_is_listed_with_the_reason() -> None:
    text = text_of("markdown", held_report())
    for part in (
        "is not compared: the baseline&#39;s scores are of deepeval 4.2.0, these are of deepeval 4.3.1",
        'only at main: <code dir="auto">gone</code>',
        'not at main: <code dir="auto">new-1</code>, <code dir="auto">new-2</code>',
        '<code dir="auto">support/new</code> is new, and is compared with nothing',
    ):
        assert part in text.replace("&#58;", ":")


def test_repeats_show_how_sure_the_cases_are_of_themselves() -> None:
    assert "flake rate 12.5% · pass&#64;3 90% · pass&#94;3 40%" in text_of("markdown", held_report())
    assert "flake rate" not in text_of("markdown", held_report(totals={"figures": {"pass_rate": sure()["pass_rate"]}}))


def test_who_judged_is_shown_with_engine_and_version() -> None:
    text = text_of("markdown", held_report())
    assert '<code dir="auto">openai/gpt-4.1</code> on <code dir="auto">faithful</code>: engine deepeval 4.3.1' in text


def test_many_flips_are_folded_and_those_beyond_the_listed_are_counted() -> None:
    names = [f"c{number}" for number in range(150)]
    figure = compared(1.0, 0.0, "regressed", broke=flips(*names), broke_count=170)
    found = one_target({"pass rate": figure})
    text = text_of("markdown", held_report([case_result(name, "fail") for name in names], totals={"against": found}))
    head = text.partition(HEAD_END)[0]
    assert "Broke since" in head
    assert ": 170\n" in head
    assert head.index("c9<") < head.index("<details>") < head.index("c10<")
    assert f"{MAX_FLIPS - MAX_OPEN} more</summary>" in head
    assert f"… and {170 - MAX_FLIPS} more that are not listed" in head
    assert head.count("<details>") == head.count("</details>") == 1


def test_of_repeats_the_reason_is_that_of_one_that_failed_and_the_rates_are_told() -> None:
    results = [case_result("a"), case_result("a", "fail", repeat=1, reason="contains: it is late")]
    figure = compared(1.0, 0.5, "inconclusive", broke=flips("a", after=0.5), broke_count=1)
    text = text_of("markdown", held_report(results, totals={"against": one_target({"pass rate": figure})}))
    line = next(line for line in text.splitlines() if line.startswith("- <code"))
    assert "100% → 50%:" in line
    assert "it is late" in line


def test_of_several_suites_all_sentences_and_flips_stand_before_the_first_table() -> None:
    report = held_report()
    text = text_of("markdown", report, renamed(report, "other"))
    head, _, rest = text.partition(HEAD_END)
    assert head.count("🔻 Broke since") == 2
    assert 'in <code dir="auto">other</code>: 2' in head
    assert "Broke since" not in rest


def test_an_unsure_limit_looks_neither_met_nor_missed() -> None:
    text = text_of("markdown", held_report())
    assert "| ⚠️ unsure |" in text
    assert "62.5% &#40;95% interval 31% to 86%&#41; | ❌ |" in text
    checks = (Check("pass rate against main", "", "no worse", "inconclusive", False, True),)
    assert text_of("markdown", held_report(checks=checks, exit_code=6)).splitlines()[0].endswith(": inconclusive")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_text_wherever_statistics_show_it(name: str) -> None:
    text, [result] = HOSTILE[name], [one for one in hostile_results() if one.case.id.startswith(f"{name} ")]
    figure = compared(
        1.0, 0.0, "regressed", broke=flips(result.case.id), mended=flips(text), broke_count=1, mended_count=1,
        only_baseline=[text], only_candidate=[text], unmatched=2,
    )  # fmt: skip
    found = one_target({"pass rate": figure, text: compared(2.0, 3.0, "improved")}, refused={text: text})
    score = replace(result.scores[0], engine=text, engine_version=text, judge=text, settings_hash=text)
    judges = [{"metric": text, "judge": text, "settings_hash": "x", "is_calibrated": False}]
    noted = {
        "against": {**found, "named": text, "new_prompts": [text]},
        "figures": sure(metrics={text: sure()["pass_rate"]}),
        "judges": judges,
    }
    report = held_report([replace(result, scores=(score,))], totals=noted)
    markdown = text_of("markdown", report)
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert set(re.findall(r"<([a-z]\w*)", page)) <= OURS
    assert page.count("<!--") == 1
    outside = re.sub(r"<pre dir=\"auto\">.*?</pre>", "", markdown, flags=re.DOTALL)
    assert not re.search(r"@\w|https?:|www\.|[^&]#\d", outside)
    for shown in ("html", "junit", "csv", "json", "jsonl"):
        assert text_of(shown, report)
    ET.fromstring(text_of("junit", report))
    assert "\u202e" not in text_of("json", report)
    for line in commands([report], None):
        assert "\n" not in line
        assert line.startswith("::")


# records without statistics


OLD: list[dict[str, Any]] = [
    {},
    {"figures": None, "against": None},
    {"figures": {}, "against": {}},
    {"figures": {"pass_rate": {"estimate": None, "lower": None, "upper": None, "n": 0}}},
    {"against": {"named": "main", "targets": [{"candidate": "x", "figures": {}, "refused": {}}]}},
    {"against": {"named": "main", "targets": [{"figures": {"pass rate": {"verdict": "inconclusive"}}}]}},
    {"against": {"named": "main", "targets": []}},
]  # fmt: skip


@pytest.mark.parametrize("noted", OLD)
@pytest.mark.parametrize("name", [row.name for row in FORMATS if row.name != "parquet"])
def test_the_record_of_an_older_run_is_reported_all_the_same(name: str, noted: dict[str, Any]) -> None:
    report = reported(one_of_each())
    run = replace(report.run, totals={**report.run.totals, **noted})
    assert text_of(name, replace(report, run=run))
    assert "Broke since" not in text_of("markdown", replace(report, run=run))


def test_a_record_without_statistics_says_nothing_of_them() -> None:
    totals = reported(one_of_each()).run.totals
    assert held_of(totals) is None
    assert (sure_figures(totals), repeated_figures(totals)) == ((), ())
    assert judged_by(reported(one_of_each())) == ()


# json, csv, junit, annotations


def test_json_has_figures_and_baseline_as_the_record_has_them() -> None:
    [run] = json.loads(text_of("json", held_report()))["runs"]
    assert (run["figures"], run["against"]) == (sure(), against())
    assert run["checks"][0]["note"] == "95% interval 31% to 86%"
    assert [check["inconclusive"] for check in run["checks"]] == [False, True]
    assert run["makers"][0] == {
        "metric": "faithful", "engine": "deepeval", "version": "4.3.1", "settings": "ab12" * 8,
        "judge": "openai/gpt-4.1",
    }  # fmt: skip
    last = json.loads(text_of("jsonl", held_report()).splitlines()[-1])
    assert last["against"]["targets"][0]["figures"]["pass rate"]["broke_count"] == 2
    [old] = json.loads(text_of("json", reported(one_of_each())))["runs"]
    assert (old["figures"], old["against"], old["makers"]) == (None, None, [])


def test_csv_says_of_each_row_what_became_of_it_since_the_baseline() -> None:
    rows = csv.DictReader(io.StringIO(text_of("csv", held_report())[1:], newline=""))
    assert {row["case"]: row["since_baseline"] for row in rows if row["since_baseline"]} == {
        "refund-now": "broke", "تذكرة-عربية": "broke", "שאלה": "mended",
    }  # fmt: skip


def test_junit_says_what_broke_and_has_the_sentence_and_what_is_unsure() -> None:
    root = ET.fromstring(text_of("junit", held_report()))
    cases = {case.get("name", ""): case for case in root.iter("testcase")}
    failure = cases["refund-now"].find("failure")
    assert failure is not None
    assert failure.get("message", "").startswith("broke since main (pass → fail): equals: category")
    assert (failure.text or "").startswith("broke since main (pass → fail)\n\n")
    assert "worse than the baseline on 10 cases." in (cases["the run reaches its end"].findtext("system-out") or "")
    gate = cases["pass_rate"].find("failure")
    assert gate is not None
    assert gate.get("message") == "pass_rate 62.5% (95% interval 31% to 86%), wanted at least 95%"
    assert (cases["accuracy against main"].findtext("system-out") or "").startswith("unsure: ")


def test_what_is_unsure_and_misses_the_gate_is_a_failure_in_junit() -> None:
    checks = (Check("pass rate against main", "", "no worse", "inconclusive", False, True),)
    root = ET.fromstring(text_of("junit", held_report(checks=checks, exit_code=6)))
    [failure] = [one for one in root.iter("failure") if one.get("type") == "inconclusive"]
    assert failure.get("message") == "pass rate against main inconclusive, wanted no worse"


def test_annotations_of_cases_that_broke_come_before_those_of_others() -> None:
    results = [*(case_result(f"old{n}", "fail", line=n + 2) for n in range(30)), case_result("new", "fail", line=40)]
    figure = compared(1.0, 0.9, "regressed", broke=flips("new"), broke_count=1)
    lines = list(commands([held_report(results, totals={"against": one_target({"pass rate": figure})})], None))
    assert "title=broke since main%3A new::" in lines[1]
    assert "title=fail%3A old0::" in lines[3]


def test_a_reason_with_escapes_is_harmless_in_the_list_of_what_broke() -> None:
    result = case_result("a", "fail", reason="contains: \x1b[31m\u202e<b>x</b>\n# y")
    figure = compared(1.0, 0.0, "regressed", broke=flips("a"), broke_count=1)
    text = text_of("markdown", held_report([result], totals={"against": one_target({"pass rate": figure})}))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<b>" not in text
    assert safe_text("\u202e") in text.replace("&#92;", "\\")
