"""`ps log`: versions joined with their runs, as lines and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from promptstudio.cli.context import Context
from promptstudio.cli.dispatch import dispatch
from promptstudio.cli.log_view import quick
from promptstudio.history import RequestRow, ResponseRow, open_history
from promptstudio.history.usage import Usage, summed
from promptstudio.output.terminal import open_output
from promptstudio.prompts.load import load_prompt
from promptstudio.types import Message
from tests.conftest import GREET, Project, Script

LOUD = GREET.replace("Say hello", "Shout hello")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = dispatch(list(words), "ps")
    caught = capsys.readouterr()
    return code, caught.out, caught.err


def recorded(
    project: Project, prompt: str, *, model: str = "openai/x", cost: str | None = None, ms: int = 0, ok: bool = True
) -> None:
    """Put a run of a prompt into the history."""
    loaded = load_prompt(prompt, project.settings())
    row = RequestRow(
        user="ada", prompt=loaded.name, variant=loaded.variant, version=loaded.version,
        behavior=loaded.identity.behavior,
        interface=loaded.identity.interface, model=model, messages=(Message.of("user", "Hi"),),
    )  # fmt: skip
    with open_history(project.settings()) as history:
        history.begin(row)
        answer = ResponseRow(response_text="x", cost_usd=Decimal(cost) if cost else None, duration_ms=ms)
        history.finish(row.id, answer, (), "completed" if ok else "failed")


def test_each_version_has_its_runs_mean_cost_mean_latency_and_failure_rate(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(project, "greet", cost="0.001", ms=100)
    recorded(project, "greet:short", cost="0.003", ms=300)
    recorded(project, "greet", ok=False)
    project.write("prompts/greet.yaml", LOUD)
    project.commit("Louder")
    recorded(project, "greet", model="offline/echo", ms=1)
    code, out, _ = run(capsys, "log", "greet", "--json")
    assert code == 0
    newest, oldest = json.loads(out)["versions"]
    assert newest["usage"] == {
        "runs": 1, "failed": 0, "offline": 1, "failure_rate": 0.0, "mean_cost_usd": None, "mean_duration_ms": 1.0
    }  # fmt: skip
    usage: dict[str, Any] = oldest["usage"]
    assert (usage["runs"], usage["failed"], usage["failure_rate"]) == (3, 1, 0.333333)
    assert usage["mean_cost_usd"] == pytest.approx(0.001666, abs=1e-3)
    _, out, _ = run(capsys, "log", "greet")
    assert "1 (1 offline)" in out
    assert "33%" in out


def test_means_are_weighed_and_unknown_stays_unknown() -> None:
    one = Usage(1, 0, 0, Decimal("0.4"), 100.0)
    three = Usage(3, 3, 3, None, 300.0)
    assert summed([one, three]) == Usage(4, 3, 3, Decimal("0.4"), 250.0)
    assert summed([]) is None


def test_the_lines_fold_what_the_model_does_not_see_and_all_unfolds_it(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("prompts/greet.yaml", LOUD)
    project.commit("Louder")
    for number in range(2):
        project.write("prompts/greet.yaml", f"# {number}\n" + LOUD)
        project.commit(f"Comment {number}")
    code, out, err = run(capsys, "log", "greet")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["COMMIT", "DATE", "VERSION", "CHANGE", "AUTHOR", "BEHAVIOR", "SUBJECT"]
    assert lines[1].endswith("Louder")
    assert "MINOR" in lines[1]
    assert lines[2].strip() == "+2 commits that change nothing the model sees"
    assert lines[3].endswith("The sample project")
    _, out, _ = run(capsys, "log", "greet", "--all")
    assert [line.split()[-1] for line in out.splitlines() if line[0] not in " C"] == ["1", "0", "Louder", "project"]
    _, out, _ = run(capsys, "log", "greet", "-n", "1")
    assert "The sample project" not in out
    _, out, _ = run(capsys, "log", "greet", "--until", "2000-01-01")
    assert out == ""


def test_a_name_that_is_gone_is_found_in_the_past(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.git("rm", "-q", "prompts/greet.yaml")
    code, out, _ = run(capsys, "log", "greet")
    assert code == 0
    assert "the file is removed" in out
    project.commit("Removed")
    code, out, _ = run(capsys, "log", "greet")
    assert code == 0
    assert "the file was removed" in out
    code, _, err = run(capsys, "log", "gret")
    assert code == 2
    assert "there is no prompt 'gret'" in err


def test_a_log_can_begin_at_a_revision(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("prompts/greet.yaml", LOUD)
    project.commit("Louder")
    _, out, _ = run(capsys, "log", "greet@HEAD~1")
    assert "Louder" not in out
    code, _, err = run(capsys, "log", "greet@--output=x")
    assert code == 2
    assert "begins with `-`" in err


def test_hostile_names_and_subjects_cannot_move_the_cursor(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Eve\x1b[2J\u202egnp")
    project.write("prompts/greet.yaml", LOUD)
    project.commit("Fine\x1b]0;title\x07 \u202eevil")
    for words in (("log", "greet"), ("log", "greet", "--all"), ("blame", "greet"), ("log", "greet", "--json")):
        code, out, _ = run(capsys, *words)
        assert code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert "Eve" in out


@pytest.mark.parametrize(
    "words", [["greet", "--help"], ["greet", "-n", "x"], ["greet", "--nope"], [], ["a", "b"], ["greet", "-n"]]
)
def test_what_is_not_plain_is_left_to_the_parser(project: Project, words: list[str]) -> None:
    assert quick(Context("ps", {}, open_output({})), words) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["log"], "PROMPT"),
        (["log", "greet", "-n", "0"], "0 versions are none"),
        (["log", "greet", "--since", "noon"], "is no time"),
        (["log", "-"], "standard input has no history"),
        (["log", "greet", "--ner"], "--ner"),
    ],
)
def test_mistakes_are_told_with_exit_code_2(
    project: Project, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert says in err


def test_a_known_log_loads_no_parser_no_yaml_and_no_template_library(project: Project, ps: Script) -> None:
    assert ps("log", "greet").code == ps("blame", "greet").code == 0
    heavy = ["yaml", "jinja2", "pydantic", "typer", "sqlmodel", "litellm"]
    program = (
        "import sys; from promptstudio.cli.main import main; main(sys.argv[1:], 'ps');"
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    for command in ("log", "blame"):
        words = [sys.executable, "-c", program, command, "greet"]
        done = subprocess.run(words, env=ps.environment(), capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_damaged_history_costs_only_its_columns(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write(".promptstudio/history.db", "no database" * 1000)
    code, out, err = run(capsys, "log", "greet")
    assert code == 0
    assert "The sample project" in out
    assert "runs are left out" in err


def test_a_file_of_another_repository_and_one_outside_git_are_told_apart(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = Project(tmp_path / "other one")
    other.write("notes/تحية.yaml", "prompt: أهلا\n")
    other.git("init", "-q")
    other.commit("The other repository")
    code, out, _ = run(capsys, "log", str(other.root / "notes/تحية.yaml"))
    assert code == 0
    assert "The other repository" in out
    code, out, _ = run(capsys, "blame", str(other.root / "notes/تحية.yaml"))
    assert code == 0
    assert "The other repository" in out
    outside = tmp_path / "outside.yaml"
    outside.write_text("prompt: Hi\n")
    for command in ("log", "blame"):
        code, out, err = run(capsys, command, str(outside))
        assert (code, out) == (2, "")
        assert "not in a git repository" in err


def test_a_label_put_on_before_a_rename_still_names_the_history(project: Project, ps: Script) -> None:
    assert ps("promote", "greet", "production").code == 0
    assert ps("mv", "greet", "hello").code == 0
    project.commit("Rename")
    for command in ("log", "blame", "show"):
        done = ps(command, "hello@production", "--json")
        assert done.code == 0, done.err
