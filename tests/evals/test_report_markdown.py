"""Reports for GitHub and its like: Markdown that nothing in a text can break or ping with, and annotations."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from promptstudio.evals.report.github import commands
from promptstudio.evals.report.markdown import write, write_within
from promptstudio.evals.report.schema import RunReport
from promptstudio.output.terminal import safe_text
from tests.evals.report_samples import HOSTILE, case_result, hostile_results, one_of_each, renamed, reported

OURS = {
    *("h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "details", "summary", "span"),
}


class Page(HTMLParser):
    """The elements of a page, and the text of each `pre`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.blocks: list[str] = []
        self.loose: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        if tag == "pre":
            self.blocks.append("")
        assert tag not in ("pre", "span") or ("dir", "auto") in attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "pre" in self.open:
            self.blocks[-1] += data
        elif not {"code", "pre"} & set(self.open):
            self.loose.append(data)


def written(*reports: RunReport) -> str:
    stream = io.StringIO()
    write(reports, stream)
    return stream.getvalue()


def page_of(text: str) -> Page:
    return Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def test_the_verdict_comes_first_then_the_table_then_what_failed() -> None:
    text = written(reported(one_of_each()))
    assert text.startswith('## ❌ <code dir="auto">support/triage</code>: gate missed\n')
    places = [
        text.index(part)
        for part in ("gate missed", "| prompt | model |", "| gate | wanted", "### 💥", "### ❌", "### ❔")
    ]
    assert places == sorted(places)
    page = page_of(text)
    assert page.tags.count("details") == 4
    assert "You get a refund within 3 days." in "".join(page.blocks)
    assert any("--case too-long" in block for block in page.blocks)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_only_a_text_in_markdown(name: str) -> None:
    result = next(one for one in hostile_results() if one.case.id.startswith(f"{name} "))
    page = page_of(written(reported([result], suite=HOSTILE[name], note=HOSTILE[name])))
    assert set(page.tags) <= OURS
    assert not page.open
    assert page.tags.count("details") == 1
    assert f"\n{safe_text(HOSTILE[name])}\n" in page.blocks


def test_nothing_in_markdown_is_a_mention_a_reference_or_a_link() -> None:
    text = written(reported(hostile_results()))
    outside = re.sub(r"<pre dir=\"auto\">.*?</pre>", "", text, flags=re.DOTALL)
    assert not re.search(r"@\w|https?:|www\.|[^&]#\d", outside)
    assert "@octocat" in text  # it is there, where GitHub mentions nobody


def test_right_to_left_texts_are_isolated_in_markdown() -> None:
    text = written(reported(one_of_each()))
    assert '<code dir="auto">تذكرة-عربية</code>' in text
    assert 'expected-output&#58; <span dir="auto">المتوقع «خمسة»، والموجود «ثلاثة»</span>' in text
    assert '<pre dir="auto">\nأهلاً بك! سنعيد إليك المبلغ خلال ثلاثة أيام عمل.\n</pre>' in text


def test_a_summary_never_grows_beyond_its_limit_and_says_that_something_is_missing() -> None:
    report = reported([case_result(f"case {n}", "fail", said="م" * 9000) for n in range(300)])
    text = written(report)
    assert 900_000 < len(text.encode()) <= 1 << 20
    assert text.endswith("the html and json reports have everything.*\n")
    stream = io.StringIO()
    write_within([report], stream, 20_000)
    assert len(stream.getvalue().encode()) <= 20_000
    assert "The rest does not fit here" in stream.getvalue()
    assert "gate missed" in stream.getvalue()
    page_of(stream.getvalue())


def test_of_very_many_failures_the_first_are_shown_and_the_others_counted() -> None:
    assert "… and 100 more" in written(reported([case_result(f"case {n}", "fail") for n in range(300)]))


def test_where_there_is_no_room_for_the_verdict_nothing_is_written() -> None:
    stream = io.StringIO()
    write_within([reported(one_of_each())], stream, 100)
    assert stream.getvalue() == ""


def test_the_verdicts_of_all_suites_stand_above_their_tables() -> None:
    report = reported(one_of_each())
    text = written(report, renamed(report, "other"))
    assert text.index('## ❌ <code dir="auto">other') < text.index("| prompt | model |")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "✅"),
        ({"exit_code": 3}, "provider failed"),
        ({"exit_code": 5}, "nothing judged"),
        ({"status": "interrupted", "exit_code": 130}, "interrupted"),
        ({"status": "running", "exit_code": None}, "no end"),
    ],
)
def test_the_heading_says_what_became_of_the_run(more: dict[str, Any], word: str) -> None:
    assert word in written(reported([case_result("a")], **more)).splitlines()[0]


# Annotations


def test_annotations_point_at_the_prompt_and_at_the_cases() -> None:
    lines = list(commands([reported(one_of_each())], None))
    assert lines[0].startswith("::error file=evals/triage.yaml,line=1,title=support/triage::the gate is missed")
    title = "support/triage%3Aterse with anthropic/claude-haiku-4-5"
    prompt = f"::error file=prompts/support/triage.yaml,line=12,title={title}::"
    assert any(line.startswith(prompt + "2 pass, 1 error, 1 unscored%0A") for line in lines)
    assert any(
        line.startswith("::error file=evals/data/cases.jsonl,line=2,title=fail%3A refund-now::") for line in lines
    )
    assert any(line.startswith("::warning file=evals/data/cases.jsonl,line=6,title=unscored") for line in lines)


def test_where_the_gate_is_met_a_failing_case_is_a_warning() -> None:
    lines = list(commands([reported([case_result("a"), case_result("b", "fail")], exit_code=0)], None))
    assert {line.split(" ")[0] for line in lines} == {"::warning"}


def test_a_good_run_has_no_annotations() -> None:
    assert list(commands([reported([case_result("a")])], None)) == []


def test_ten_annotations_of_a_kind_are_shown_and_the_others_counted() -> None:
    lines = list(commands([reported([case_result(f"c{n}", "fail", line=n) for n in range(50)])], None))
    assert sum(line.startswith("::error ") for line in lines) == 10
    assert lines[-1].startswith("::notice::42 more are not shown here")


def test_a_hostile_text_cannot_end_an_annotation_or_begin_another() -> None:
    lines = list(commands([reported(hostile_results(), suite="a,line=9::b\n::error::c")], None))
    for line in lines:
        assert re.fullmatch(r"::(error|warning) file=[^,:\n]+,line=\d+,title=[^,:\r\n]*::[^\r\n]*|::notice::.*", line)
    assert "title=a%2Cline=9%3A%3Ab %3A%3Aerror%3A%3Ac::" in lines[0]
    assert "%250A%2525" in "".join(lines)  # of the text %0A%25, which would be a line break and a percent sign
    assert not any(char in "".join(lines) for char in "\x1b\u202e\x00")


def test_files_are_named_from_the_root_of_the_repository(tmp_path: Path) -> None:
    report = reported([case_result("a", "fail")])
    root = tmp_path / "apps" / "bot"
    (root / "prompts" / "support").mkdir(parents=True)
    (root / "prompts" / "support" / "triage.yaml").write_text("x")
    lines = list(commands([RunReport(report.run, report.results, report.figures, root)], tmp_path))
    assert [line.split("file=")[1].split(",")[0] for line in lines] == [
        "apps/bot/evals/triage.yaml", "apps/bot/prompts/support/triage.yaml", "apps/bot/evals/data/cases.jsonl",
    ]  # fmt: skip
