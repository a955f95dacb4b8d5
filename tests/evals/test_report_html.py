"""The html report as a file: what is in it, and that nothing in it can run or be fetched."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from promptstudio.evals.report.html import MAX_TEXT, write
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.trend import points_of
from tests.evals.report_samples import HOSTILE, case_result, hostile_results, one_of_each, renamed, reported


class Page(HTMLParser):
    """The elements of a page as a parser of HTML finds them, with their texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.is_inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), ""))
        self.is_inside = True

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = False

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = (tag, attributes, text + data)

    def of(self, tag: str) -> Iterator[tuple[dict[str, str | None], str]]:
        return ((attributes, text) for found, attributes, text in self.elements if found == tag)

    def data(self, kind: str) -> list[Any]:
        return [one for given, text in self.of("script") if given.get("data-kind") == kind for one in json.loads(text)]


def page_of(*reports: RunReport) -> Page:
    stream = io.StringIO()
    write(reports, stream)
    return Page(stream.getvalue())


def test_the_policy_names_the_one_script_and_the_one_style_by_hash_and_allows_nothing_else() -> None:
    page = page_of(reported(one_of_each()))
    policy = next(given["content"] or "" for given, _ in page.of("meta") if given.get("http-equiv"))
    style = next(text for _, text in page.of("style"))
    (script,) = [text for given, text in page.of("script") if "type" not in given]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_names_no_other_file_and_has_no_inline_handlers_or_styles() -> None:
    page = page_of(reported(hostile_results()))
    for tag, attributes, _ in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("src", "srcset", "action", "style", "data")
            assert name != "href" or (value or "").startswith(("#", "data:")), (tag, value)
    assert not re.search(r"url\(|@import|innerHTML|insertAdjacent|document\.write|eval\(", "".join(_assets(page)))


def _assets(page: Page) -> Iterator[str]:
    yield from (text for _, text in page.of("style"))
    yield from (text for given, text in page.of("script") if "type" not in given)


def test_hostile_texts_stay_inside_of_their_data() -> None:
    harmless, hostile = page_of(reported([case_result("a")])), page_of(reported(hostile_results()))
    assert [tag for tag, *_ in hostile.elements] == [tag for tag, *_ in harmless.elements]
    assert [row["answer"]["text"] for row in hostile.data("results")] == list(HOSTILE.values())


def test_a_hostile_name_of_a_suite_is_a_text_in_the_title() -> None:
    for text in HOSTILE.values():
        page = page_of(reported([case_result("a")], suite=text, note=text))
        assert [tag for tag, *_ in page.elements].count("script") == 3
        assert page.data("runs")[0]["suite"] == text


def test_the_rows_of_many_cases_stand_in_pieces() -> None:
    page = page_of(reported([case_result(f"c{n}") for n in range(600)]))
    assert [text.count('"again"') for given, text in page.of("script") if given.get("data-kind") == "results"] == [
        250, 250, 100,
    ]  # fmt: skip


def test_a_text_nobody_reads_on_a_page_is_cut_and_says_so() -> None:
    page = page_of(reported([case_result("a", said="x" * (MAX_TEXT + 5), inputs={"deep": [{"y": "y" * 200_000}]})]))
    (row,) = page.data("results")
    assert row["answer"]["text"] == "x" * MAX_TEXT + "\n… 5 more characters are in the json report"
    assert len(row["case"]["inputs"]["deep"][0]["y"]) < MAX_TEXT + 100


def test_several_runs_are_on_one_page() -> None:
    report = reported(one_of_each())
    page = page_of(report, renamed(report, "other"))
    assert [run["suite"] for run in page.data("runs")] == ["support/triage", "other"]
    assert [row["run"] for row in page.data("results")] == [0] * 10 + [1] * 10
    assert next(text for _, text in page.of("title")) == "support/triage, other: gate missed"


def test_the_runs_of_a_suite_stand_in_the_page_as_points_of_a_trend_and_one_alone_does_not() -> None:
    report = reported(one_of_each())
    runs = [replace(report.run, id=f"{number}", commit=f"{number}" * 40) for number in (2, 1)]
    for many in (1, 2):
        page = page_of(replace(report, trend=points_of(runs[:many], last=9)))
        [run] = page.data("runs")
        assert [point["commit"][:2] for point in run["trend"]] == ([] if many == 1 else ["11", "22"])
