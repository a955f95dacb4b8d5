"""`ps fmt`: what it writes, what it leaves alone, and its exit codes."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from promptstudio.cli import fmt
from promptstudio.cli.dispatch import dispatch
from promptstudio.prompts.library import prompt_rows
from promptstudio.prompts.load import load_prompt
from tests.conftest import REPOSITORY, Project, Script

MESSY = "prompt:   'hi {{ name }}'\n# Who it is for.\ndescription: A greeting. # short\n"
NEAT = "# Who it is for.\ndescription: A greeting. # short\nprompt: 'hi {{ name }}'\n"


def test_the_whole_project_is_laid_out_and_the_second_time_nothing_changes(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.write("prompts/messy.yaml", MESSY)
    suite = project.write("evals/messy.yaml", "cases: a.jsonl\nprompt: messy # ours\n")
    assert dispatch(["fmt"], "ps") == 0
    out, err = capsys.readouterr()
    assert "changed prompts/messy.yaml\n" in out
    assert "changed evals/messy.yaml\n" in out
    assert path.read_text() == NEAT
    assert suite.read_text() == "prompt: messy # ours\ncases: a.jsonl\n"
    assert dispatch(["fmt"], "ps") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "5 files: 5 already in layout\n"


@pytest.mark.parametrize("word", ["messy", "prompts/messy.yaml", "prompts/sub"])
def test_prompts_files_and_folders_can_be_named(project: Project, word: str) -> None:
    paths = [project.write("prompts/messy.yaml", MESSY), project.write("prompts/sub/messy.yaml", MESSY)]
    assert dispatch(["fmt", word], "ps") == 0
    assert [path.read_text() == NEAT for path in paths] == [word != "prompts/sub", word == "prompts/sub"]


def test_check_names_files_writes_nothing_and_exits_1(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project.write("prompts/messy.yaml", MESSY)
    assert dispatch(["fmt", "--check", "messy"], "ps") == 1
    assert capsys.readouterr().out == "would change prompts/messy.yaml\n"
    assert path.read_text() == MESSY
    path.write_text(NEAT)
    assert dispatch(["fmt", "--check", "messy"], "ps") == 0


def test_diff_shows_the_change_and_writes_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project.write("prompts/messy.yaml", MESSY.removesuffix("\n"))
    assert dispatch(["fmt", "--diff", "messy"], "ps") == 0
    out = capsys.readouterr().out
    assert out.startswith("--- a/prompts/messy.yaml\n+++ b/prompts/messy.yaml\n")
    assert "-prompt:   'hi {{ name }}'\n" in out
    assert "\\ No newline at end of file\n" in out
    assert path.read_text() == MESSY.removesuffix("\n")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_laid_out(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("prompts/broken.yaml", "prompt: hi\nprompt: ho\n")
    path = project.write("prompts/messy.yaml", MESSY)
    assert dispatch(["fmt"], "ps") == 2
    err = capsys.readouterr().err
    assert "prompts/broken.yaml:2:1: the key 'prompt' is here twice" in err
    assert path.read_text() == NEAT


def test_a_file_that_would_not_be_kept_whole_is_left_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "%TAG !y! tag:yaml.org,2002:\n---\nprompt: !y!str hi\n"
    path = project.write("prompts/odd.yaml", text)
    assert dispatch(["fmt", "odd"], "ps") == 2
    assert "prompts/odd.yaml: this file cannot be laid out" in capsys.readouterr().err
    assert path.read_text() == text


def test_json_tells_each_file(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("prompts/broken.yaml", "prompt: [\n")
    project.write("prompts/messy.yaml", MESSY)
    assert dispatch(["fmt", "--check", "--json", "messy", "broken", "greet"], "ps") == 2
    found = json.loads(capsys.readouterr().out)
    assert [file["outcome"] for file in found["files"]] == ["would change", "error", "same"]
    assert found["files"][1]["error"]["line"] == 2
    assert found["changed"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fmt", "greet:short"], 2, "is not a file of the working tree"),
        (["fmt", "gret"], 2, "did you mean 'greet'?"),
        (["fmt", "nowhere/x.yaml"], 2, "there is no such file"),
        (["fmt", "--stdin", "greet"], 2, "--stdin takes no names"),
        (["fmt", "empty"], 5, "nothing"),
    ],
)
def test_wrong_calls_are_told(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    (project.root / "empty").mkdir()
    assert dispatch(arguments, "ps") == code
    assert said in capsys.readouterr().err.replace("there is no prompt and no suite", "nothing")


def test_standard_input_is_laid_out_to_standard_output(project: Project, ps: Script) -> None:
    done = ps("fmt", "--stdin", stdin=MESSY)
    assert (done.code, done.out) == (0, NEAT)
    assert ps("fmt", "-", "--check", stdin=MESSY).code == 1


def test_a_broken_standard_input_is_told_with_its_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"prompt: a\nprompt: b\n")))
    assert dispatch(["fmt", "--stdin"], "ps") == 2
    assert "<stdin>:2:1" in capsys.readouterr().err


def test_the_hashes_of_every_prompt_of_ours_stay(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(REPOSITORY / "prompts", project.root / "prompts", dirs_exist_ok=True)
    project.write(
        "prompts/support/again.yaml", (project.root / "prompts/support/triage.yaml").read_text() + "name: a\n"
    )
    names = [row.name for row in prompt_rows(project.settings()) if row.error is None]
    before = {name: load_prompt(name, project.settings()).identity for name in names}
    assert dispatch(["fmt"], "ps") == 0
    assert "changed prompts/support/again.yaml\n" in capsys.readouterr().out
    assert {name: load_prompt(name, project.settings()).identity for name in names} == before


def test_a_layout_that_would_change_a_hash_is_not_written(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.write("prompts/messy.yaml", MESSY)
    monkeypatch.setattr(fmt, "laid_out", lambda text, *, file: text.replace("hi", "ho"))
    assert dispatch(["fmt", "messy"], "ps") == 2
    assert "its hashes would not be the same" in capsys.readouterr().err
    assert path.read_text() == MESSY


def test_a_link_out_of_the_way_is_kept(project: Project, tmp_path: Path) -> None:
    target = project.write("prompts/real.yaml", MESSY)
    link = project.root / "prompts/link.yaml"
    link.symlink_to("real.yaml")
    assert dispatch(["fmt", "prompts/link.yaml"], "ps") == 0
    assert link.is_symlink()
    assert target.read_text() == NEAT


@pytest.mark.parametrize("text", ["root:x:0:0:root:/root\nbin:x:1:1\n", "a:   1\n", "- prompt:   a\n"])
def test_a_named_file_that_is_neither_a_prompt_nor_a_suite_is_left_as_it_is(
    project: Project, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = project.write("notes.txt", text)
    assert dispatch(["fmt", str(path)], "ps") == 2
    assert path.read_text() == text
    assert "notes.txt: this is neither a prompt nor a suite\n" in capsys.readouterr().err


def test_of_a_folder_only_prompts_and_suites_are_laid_out(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    compose = project.write("deploy/compose.yaml", "services:\n    web:\n        image:   x\n")
    data = project.write("evals/rows.yaml", "-   {inputs: {name: a}}\n")
    messy = project.write("deploy/messy.yaml", MESSY)
    assert dispatch(["fmt", "."], "ps") == 0
    assert dispatch(["fmt"], "ps") == 0
    assert compose.read_text() == "services:\n    web:\n        image:   x\n"
    assert data.read_text() == "-   {inputs: {name: a}}\n"
    assert messy.read_text() == NEAT


def test_recorded_answers_are_left_as_they_are(project: Project, ps: Script) -> None:
    recorded = "# A recorded request\ncassette: 1\nprompt:    greet\n"
    project.write("evals/cassettes/greet-1.yaml", recorded)
    assert ps("fmt").code == 0
    assert (project.root / "evals/cassettes/greet-1.yaml").read_text() == recorded
