"""What `--report` takes, what it refuses before anything runs, and what GitHub Actions gets unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promptstudio.errors import UsageError
from promptstudio.evals.report import report_requests


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("html", "html", "report.html"),
        ("markdown", "markdown", "report.md"),
        ("junit", "junit", "report.xml"),
        ("json:out/run.txt", "json", "out/run.txt"),
        ("junit:تقرير.xml", "junit", "تقرير.xml"),
        ("out/a.b.HTML", "html", "out/a.b.HTML"),
        ("r.ndjson", "jsonl", "r.ndjson"),
        ("./html", None, None),
        ("csv:a:b.csv", "csv", "a:b.csv"),
        ("github", "github", None),
    ],
)
def test_a_report_is_asked_for_by_format_or_by_the_end_of_its_file(
    text: str, name: str | None, path: str | None
) -> None:
    if name is None:
        with pytest.raises(UsageError):
            report_requests([text], {})
        return
    (request,) = report_requests([text], {})
    assert (request.format, request.path) == (name, Path(path) if path else None)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("htlm", "there is no format 'htlm'", "did you mean 'html'?"),
        ("juint:r.xml", "there is no format 'juint'", "did you mean 'junit'?"),
        ("report.htmk", "no format has files that end in '.htmk'", "did you mean 'report.htm"),
        ("report.pdf", "no format has files that end in '.pdf'", "say FORMAT:FILE"),
        ("sarif:x", "there is no format 'sarif'", "the formats are html, markdown, junit, json, jsonl, csv, github"),
        ("json:", "the file is missing", "--report json:FILE"),
        ("", "names no format", "the formats are"),
        ("html:a\0b", "names no format", "the formats are"),
        ("github:x", "is printed and has no file", "--report github"),
        ("html:.", "is a folder", "name another file"),
    ],
)
def test_what_is_no_report_is_refused_with_the_nearest_name(text: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        report_requests([text], {})
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        report_requests(["htlm", "r.json", "./r.json", "csv:"], {})
    assert len(caught.value.problems) == 3


def test_a_file_below_a_file_and_a_read_only_one_are_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is no folder"):
        report_requests([f"json:{tmp_path}/file/r.json"], {})
    if os.geteuid() != 0:  # root may write everywhere
        (tmp_path / "old.json").write_text("{}")
        (tmp_path / "old.json").chmod(0o444)
        with pytest.raises(UsageError, match="read-only"):
            report_requests([f"{tmp_path}/old.json"], {})


def test_github_actions_gets_a_summary_and_annotations_without_being_asked() -> None:
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "/s/summary.md", "GITHUB_WORKSPACE": "/w"}
    html, summary, annotations = report_requests(["html"], env)
    assert (html.format, html.is_shared) == ("html", False)
    assert (summary.format, summary.path, summary.is_shared) == ("markdown", Path("/s/summary.md"), True)
    assert (annotations.format, annotations.path, annotations.workspace) == ("github", None, Path("/w"))


def test_the_summary_is_written_once_where_markdown_is_asked_for_without_a_file() -> None:
    env = {"GITHUB_STEP_SUMMARY": "/s/summary.md", "GITHUB_ACTIONS": "false"}
    (request,) = report_requests(["markdown"], env)
    assert request.is_shared
    assert [each.format for each in report_requests(["md.md"], env)] == ["markdown", "markdown"]


def test_elsewhere_nothing_is_added() -> None:
    assert report_requests([], {"CI": "true"}) == ()
