"""`promptstudio.evaluate`: a suite from a file or of Python values → a report that shows itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import promptstudio
from promptstudio.errors import CheckFailed, MissingExtraError, NotFoundError, NothingSelected, PromptStudioError
from promptstudio.history import open_history
from promptstudio.sdk.notebook import report_html
from tests.conftest import Project
from tests.evals.report_samples import NAMES, against, compared, flips, held_report

SUITE = """\
name: greeting
prompts: [greet, 'greet:short']
cases:
  - {id: ada, inputs: {name: Ada}, tags: [short]}
  - {id: bo, inputs: {name: Bo}, assert: [{contains: Zoe}]}
  - {id: عمر, inputs: {name: عمر}}
assert:
  - {contains: Say hello}
"""


@pytest.fixture
def suite(project: Project) -> Project:
    project.write("evals/greet.yaml", SUITE)
    return project


def test_a_report_has_the_verdict_the_figures_and_the_results(suite: Project) -> None:
    seen: list[str] = []
    report = promptstudio.evaluate("evals/greet.yaml", on_result=lambda result: seen.append(result.case.id))
    assert (report.passed, report.exit_code, len(report)) == (False, 1, 6)
    assert report.sentence == "the gate is missed: pass_rate 66.7%, wanted at least 100.0%"
    assert [check.name for check in report.checks if not check.is_met] == ["pass_rate"]
    assert report.counts == {"pass": 4, "fail": 2, "error": 0, "unscored": 0, "skipped": 0}
    assert report.pass_rate == pytest.approx(2 / 3)
    assert report.cost_usd == Decimal(0)
    assert sorted(seen) == sorted(result.case.id for result in report)
    assert [result.case.id for result in report.failures()] == ["bo", "bo"]
    assert bool(report)
    with pytest.raises(CheckFailed, match="the gate is missed"):
        report.raise_if_missed()


def test_a_suite_is_found_by_its_name_and_narrowed(suite: Project) -> None:
    select = promptstudio.Selection(tags=("short",))
    report = promptstudio.evaluate("greeting", prompts=["greet"], select=select)
    assert report.raise_if_missed() is report
    assert [(result.case.id, result.prompt) for result in report] == [("ada", "greet")]


def test_what_is_stored_is_not_asked_again_unless_fresh(suite: Project) -> None:
    for options in ({}, {}, {"fresh": True}):
        promptstudio.evaluate("greeting", **options)  # type: ignore[typeddict-item]
    assert open_history(suite.settings()).count() == 12


async def test_it_works_under_a_running_loop_and_as_a_coroutine(suite: Project) -> None:
    assert len(promptstudio.evaluate("greeting")) == 6
    assert len(await promptstudio.aevaluate("greeting")) == 6


def cases() -> Iterator[dict[str, Any]]:
    for name in ("Ada", "عمر"):
        yield {"id": name, "inputs": {"name": name}, "assert": [{"contains": name}]}


@pytest.mark.parametrize("kind", ["function", "list", "generator", "file", "path"])
def test_a_suite_is_made_of_python_values(project: Project, kind: str) -> None:
    given: Any = {
        "function": cases,
        "list": list(cases()),
        "generator": cases(),
        "file": "cases.jsonl",
        "path": Path("cases.jsonl"),
    }[kind]
    project.write("cases.jsonl", "".join(json.dumps(case) + "\n" for case in cases()))
    report = promptstudio.evaluate(prompt="greet", cases=given, name="mine", gate={"pass_rate": 0.9})
    assert report.passed
    assert {result.case.id for result in report} == {"Ada", "عمر"}
    assert report.run.suite == "mine"


def test_a_function_of_the_project_is_an_assertion(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("my_checks.py", "def polite(context):\n    return 'hello' in context.text\n")
    monkeypatch.syspath_prepend(str(project.root))
    import my_checks  # type: ignore[import-not-found]

    report = promptstudio.evaluate(prompt="greet", cases=cases, assertions=[my_checks.polite])
    assert report.passed
    first = next(iter(report))
    assert [score.name for score in first.scores] == ["python", "contains"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prompt": "greet", "cases": [{"inputs": {"nam": "A"}}], "assertions": ["is-json"]}, "no input 'nam'"),
        ({"prompt": "greet", "cases": cases, "assertions": ["containz"]}, "there is no assertion 'containz'"),
        ({"prompt": "gret", "cases": cases}, "there is no prompt 'gret'"),
        ({"prompt": "greet", "cases": [{"inputs": {"name": "A"}}]}, "nothing is asserted"),
        ({"prompt": "greet", "cases": [], "assertions": ["is-json"]}, "there is no case"),
        ({"prompt": "greet", "cases": cases, "gate": {"pas_rate": 1}}, "pas_rate"),
        ({"prompt": "greet", "cases": [{"inputs": {"name": {1}}}], "assertions": ["is-json"]}, "set is not plain data"),
        ({"prompt": "greet", "cases": "none.jsonl", "assertions": ["is-json"]}, "there is no such file"),
        ({"prompt": "greet", "cases": "../../etc/passwd.csv", "assertions": ["is-json"]}, "outside of the project"),
        ({"prompt": "greet", "cases": cases, "assertions": [lambda context: True]}, "not at the top of a file"),
        ({"prompt": "greet", "cases": cases, "assertions": [7]}, "7' is no assertion"),
        ({"prompt": "greet", "cases": cases, "repeatz": 3}, "takes no 'repeatz'"),
        ({"prompt": "greet"}, "needs a suite, or cases"),
        ({"suite": "greeting", "cases": cases}, "cannot be given beside a suite"),
        ({"suite": "greetin"}, "there is no suite 'greetin'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(suite: Project, options: dict[str, Any], says: str) -> None:
    with pytest.raises(PromptStudioError) as caught:
        promptstudio.evaluate(**options)
    assert says in caught.value.message
    assert not (suite.root / ".promptstudio/history.db").exists()


def test_a_mistake_in_python_values_is_told_with_the_line_of_the_call(project: Project) -> None:
    script = "import promptstudio\n\npromptstudio.evaluate(prompt='greet', cases=[{}], assertions=['containz'])\n"
    path = project.write("use.py", script)
    with pytest.raises(PromptStudioError) as caught:
        exec(compile(script, str(path), "exec"), {})
    assert caught.value.problems[0].place == "use.py:3:1"


def test_outside_a_project_it_says_so(isolated: Path) -> None:
    with pytest.raises(PromptStudioError, match="works in a project"):
        promptstudio.evaluate(prompt="greet", cases=cases)
    with pytest.raises(NotFoundError):
        promptstudio.evaluate("greeting")


def test_nothing_selected_is_an_error(suite: Project) -> None:
    with pytest.raises(NothingSelected):
        promptstudio.evaluate("greeting", select=promptstudio.Selection(cases=("nobody",)))


def test_answers_are_recorded_and_replayed(suite: Project) -> None:
    promptstudio.evaluate("greeting", record="tapes")
    report = promptstudio.evaluate("greeting", replay="tapes")
    assert all(result.cached for result in report)


def test_results_become_dicts_files_and_a_data_frame(suite: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    report = promptstudio.evaluate("greeting")
    rows = report.to_dicts()
    assert {row["case"]["id"] for row in rows} == {"ada", "bo", "عمر"}
    report.save("out.html", "out.xml", Path("out.jsonl"))
    assert "<testsuite" in Path("out.xml").read_text()
    assert len(Path("out.jsonl").read_text().splitlines()) == 7
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pandas"):
        report.to_dataframe()
    frames = ModuleType("pandas")
    frames.json_normalize = len  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", frames)
    assert report.to_dataframe() == 6


class Page(HTMLParser):
    """Text and tags of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_report_shows_itself_in_a_notebook_and_nothing_in_it_is_markup(project: Project) -> None:
    evil = '<script>alert(1)</script><img src=x onerror="1">\u202e\x1b[31m'
    given = [{"id": f"<b>{evil}", "inputs": {"name": evil}}, {"id": "عمر", "inputs": {"name": "عمر"}}]
    report = promptstudio.evaluate(prompt="greet", cases=given, assertions=[{"contains": "never"}], name="<i>mine")
    page = Page(report._repr_html_())
    assert {tag for tag, _ in page.tags} <= {
        *("div", "p", "strong", "span", "table", "thead", "tbody", "tr", "th", "td", "small", "br", "code")
    }
    assert all(set(attrs) <= {"class", "style", "dir"} for _, attrs in page.tags)
    assert all(attrs["dir"] == "auto" for tag, attrs in page.tags if tag == "td")
    assert "<script>alert(1)</script>" in page.text
    assert "عمر" in page.text
    assert "\u202e" not in page.text
    assert "\x1b" not in repr(report)
    assert repr(report).startswith("<Report <i>mine: the gate is missed")


def test_a_long_list_of_failures_is_cut_with_a_word_about_the_rest(project: Project) -> None:
    given = [{"id": f"c{n}", "inputs": {"name": f"N{n}"}} for n in range(30)]
    report = promptstudio.evaluate(prompt="greet", cases=given, assertions=[{"contains": "never"}])
    html = report._repr_html_()
    assert html.count("✗ fail") == 20
    assert "report.failures()" in html


def test_a_report_has_figures_with_intervals_and_no_baseline_where_there_is_none(suite: Project) -> None:
    report = promptstudio.evaluate("evals/greet.yaml")
    rate = report.figures["pass_rate"]
    assert (rate["estimate"], rate["n"]) == (pytest.approx(2 / 3), 6)
    assert 0 < rate["lower"] < rate["estimate"] < rate["upper"] < 1
    assert report.against is None
    html = report._repr_html_()
    assert "95% interval" in html
    assert "Broke since" not in html


def test_a_report_shows_what_broke_since_the_baseline(suite: Project) -> None:
    suite.write("evals/greet.yaml", (suite.root / "evals/greet.yaml").read_text() + "gate: {baseline: main}\n")
    suite.commit("a suite with a baseline")
    before = (suite.root / "prompts/greet.yaml").read_text()
    suite.write("prompts/greet.yaml", before.replace("hello", "goodbye"))
    report = promptstudio.evaluate("evals/greet.yaml", prompts=["greet"])
    assert report.against is not None
    [target] = report.against["targets"]
    assert target["figures"]["pass rate"]["broke_count"] > 0
    broke = [flip["case"] for flip in target["figures"]["pass rate"]["broke"]]
    page = Page(report._repr_html_())
    assert "Broke since main" in page.text
    assert broke[0] in page.text
    assert {tag for tag, _ in page.tags} <= {
        *("div", "p", "strong", "span", "table", "thead", "tbody", "tr", "th", "td", "small", "br", "code", "bdi")
    }


def test_hostile_names_of_a_baseline_and_its_cases_are_texts_in_a_notebook() -> None:
    evil = "<script>x</script>\u202e"
    figure = compared(1.0, 0.0, "regressed", broke=flips(evil), mended=flips(evil), broke_count=9, mended_count=9)
    target = {"baseline": evil, "candidate": NAMES[0], "same": False, "figures": {"pass rate": figure, evil: figure}}
    found = against(named=evil, targets=[{**target, "refused": {evil: evil}}])
    html = report_html(held_report(totals={"against": found}), evil, is_met=False)
    assert "<script" not in html
    assert "\u202e" not in html
    assert "and 8 more" in html
