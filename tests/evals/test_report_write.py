"""`write_reports`: files that are whole or not there, and one that fails keeps no other from being written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from promptstudio.errors import NotFoundError, UserError
from promptstudio.evals.evaluate import EvalOptions, evaluate
from promptstudio.evals.report import ReportRequest, report_requests, write_reports
from promptstudio.evals.report.formats import FORMATS, reporter_for
from promptstudio.evals.schema import Answer, Score
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite
from promptstudio.types import ErrorInfo, ToolCall
from tests.conftest import Project
from tests.evals.report_samples import case_result, one_of_each, stored


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".promptstudio"))


def test_every_report_that_was_asked_for_is_written_and_told(tmp_path: Path) -> None:
    told: list[str] = []
    texts = [f"{tmp_path}/out/r{end}" for end in (".html", ".md", ".xml", ".json", ".jsonl", ".csv")]
    with stored(tmp_path, one_of_each()) as (store, run):
        write_reports(report_requests(texts, {}), store, run, shown=told.append)
    assert names(tmp_path / "out") == ["r.csv", "r.html", "r.json", "r.jsonl", "r.md", "r.xml"]
    assert told[0] == f"html report: {tmp_path}/out/r.html"
    data = json.loads((tmp_path / "out/r.json").read_text())
    assert [one["case"]["id"] for one in data["runs"][0]["results"]][:2] == ["double-charge", "refund-now"]


def test_a_report_that_cannot_be_written_is_an_error_after_the_others_were(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    requests = (
        ReportRequest("json", tmp_path / "file" / "r.json", "a"),
        ReportRequest("nope", tmp_path / "r.nope", "b"),
        ReportRequest("csv", tmp_path / "r.csv", "c"),
    )
    with stored(tmp_path, one_of_each()) as (store, run), pytest.raises(UserError) as caught:
        write_reports(requests, store, run, shown=lambda _: None)
    assert (tmp_path / "r.csv").exists()
    assert "the json report" in caught.value.problems[0].message
    assert "there is no report format 'nope'" in caught.value.problems[1].message
    assert caught.value.exit_code == 2


def plugin(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
    """Install a reporter of another package, as its metadata would."""
    (folder / "shouting.py").write_text(source)
    info = folder / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[promptstudio.reporters]\nshout = shouting:write\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "shouting", raising=False)


def test_a_reporter_of_another_package_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(monkeypatch, tmp_path, "def write(reports, out):\n    out.write(reports[0].figures.sentence.upper())\n")
    with stored(tmp_path, [case_result("a")]) as (store, run):
        write_reports(report_requests([f"shout:{tmp_path}/r.txt"], {}), store, run, shown=lambda _: None)
    assert (tmp_path / "r.txt").read_text() == "THE GATE IS MET"
    with pytest.raises(NotFoundError) as caught:
        reporter_for("shuot")
    assert caught.value.hint == "did you mean 'shout'?"


def test_a_reporter_that_fails_half_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(monkeypatch, tmp_path, "def write(reports, out):\n    out.write('half')\n    raise RuntimeError('broken')\n")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "r.txt").write_text("old")
    requests = report_requests([f"shout:{folder}/r.txt", f"{folder}/r.json"], {})
    with stored(tmp_path, [case_result("a")]) as (store, run), pytest.raises(UserError, match="RuntimeError: broken"):
        write_reports(requests, store, run, shown=lambda _: None)
    assert (folder / "r.txt").read_text() == "old"
    assert names(folder) == ["r.json", "r.txt"]


def test_a_report_takes_the_place_of_the_old_one_and_keeps_its_mode_and_link(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "r.json").symlink_to(real)
    with stored(tmp_path, one_of_each()) as (store, run):
        write_reports(report_requests([f"{tmp_path}/r.json"], {}), store, run, shown=lambda _: None)
    assert (tmp_path / "r.json").is_symlink()
    assert json.loads(real.read_text())["version"] == 1
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_report_may_go_to_a_device(tmp_path: Path) -> None:
    with stored(tmp_path, one_of_each()) as (store, run):
        write_reports(report_requests(["json:/dev/null"], {}), store, run, shown=lambda _: None)
    assert not Path("/dev/null").is_file()


def test_no_report_repeats_a_key_that_somebody_wrote_or_a_model_said(tmp_path: Path) -> None:
    key = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"
    call = ToolCall("1", "login", f'{{"password": "{key}"}}')
    results = [
        case_result("said", "fail", said=f"Use {key}", reason=f"contains: {key}", expected={"a": [key]}),
        case_result(
            "given", "fail", inputs={"q": f"my key is {key}"}, scores=(Score("x", "fail", 0.0, key, expected=key),)
        ),
        case_result("called", "fail", answer=Answer("", tool_calls=(call,))),
        case_result("error", "error", answer=None, error=ErrorInfo("user", f"bad {key}")),
    ]
    ends = [row.suffixes[0] for row in FORMATS if row.suffixes]
    told: list[str] = []
    with stored(tmp_path, results, note=f"case said: {key}") as (store, run):
        requests = report_requests([f"{tmp_path}/r{end}" for end in ends], {"GITHUB_ACTIONS": "true"})
        write_reports(requests, store, run, shown=told.append)
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet")
    (tmp_path / "r.parquet").write_text(str(table.to_pylist()))
    for text in [(tmp_path / f"r{end}").read_text() for end in ends] + ["\n".join(told)]:
        assert key[:20] not in text
        assert "redacted&#58; OpenAI key" in text or "redacted: OpenAI key" in text


def test_the_summary_of_a_step_is_added_to_what_is_there_and_stays_below_its_limit(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    env = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    told: list[str] = []
    with stored(tmp_path, one_of_each()) as (store, run):
        write_reports(report_requests([], env), store, run, shown=told.append)
        assert summary.read_text().startswith("before\n## ❌")
        assert [line for line in told if line.startswith("::error file=evals/data/cases.jsonl,line=2,")]
        summary.write_text("x" * ((1 << 20) - 500))
        write_reports(report_requests([], env), store, run, shown=told.append)
    assert summary.stat().st_size == (1 << 20) - 500


async def test_what_ps_eval_stores_is_what_reports_show(project: Project, tmp_path: Path) -> None:
    project.write(
        "evals/greet.yaml", "prompt: greet\ncases:\n  - {id: عمر, inputs: {name: عمر}}\nassert:\n  - {contains: bye}\n"
    )
    settings = project.settings()
    suite = load_suite(project.root / "evals/greet.yaml", settings)
    finished = await evaluate(suite, settings, {}, EvalOptions())
    told: list[str] = []
    with EvalStore(store_path(settings)) as store:
        requests = report_requests([f"{tmp_path}/r.json"], {"GITHUB_ACTIONS": "true"})
        write_reports(requests, store, store.run(finished.run.id), shown=told.append)
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert (run["gate_met"], run["counts"]["fail"], run["results"][0]["case"]["id"]) == (False, 1, "عمر")
    assert run["results"][0]["answer"]["text"] == "Say hello to عمر in a warm way."
    assert any(line.startswith("::error file=prompts/greet.yaml,line=") for line in told)
    assert any(line.startswith("::error file=evals/greet.yaml,line=3,title=fail%3A عمر::") for line in told)
