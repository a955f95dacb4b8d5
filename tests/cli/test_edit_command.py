"""`ps edit`: any editor, no shell, and the text is kept whatever it says. The editors here are real programs."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest

from promptstudio.cli.dispatch import dispatch
from promptstudio.cli.edit import editor_command
from promptstudio.errors import UsageError
from tests.conftest import SCRIPTS, Project, Script


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An editor that writes down its arguments, then puts its first argument's text into the file."""
    path = tmp_path / "my editor"
    path.write_text(
        '#!/bin/sh\nfor word; do echo "$word"; done >> "$0.log"\nfor file; do :; done\ncat "$0.next" > "$file"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("EDITOR", f"'{path}' --wait")
    monkeypatch.delenv("VISUAL", raising=False)
    return path


def types(editor: Path, text: str) -> None:
    Path(f"{editor}.next").write_text(text)


def test_what_was_typed_is_saved_and_checked(
    project: Project, editor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types(editor, "description: A new one.\nprompt: Hello {{ name }}\n")
    assert dispatch(["edit", "greet"], "ps") == 0
    assert (project.root / "prompts/greet.yaml").read_text() == "description: A new one.\nprompt: Hello {{ name }}\n"
    assert Path(f"{editor}.log").read_text() == f"--wait\n{project.root}/prompts/greet.yaml\n"
    assert "prompts/greet.yaml: saved\n" in capsys.readouterr().err


def test_a_text_that_does_not_load_is_kept_and_its_place_told(
    project: Project, editor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types(editor, "prompt: a\npromt: b\n")
    assert dispatch(["edit", "greet"], "ps") == 1
    err = capsys.readouterr().err
    assert "error: prompts/greet.yaml:2:1: unknown key 'promt'" in err
    assert "hint: did you mean 'prompt'?" in err
    assert "saved, with 1 error\n" in err
    assert (project.root / "prompts/greet.yaml").read_text() == "prompt: a\npromt: b\n"


def test_no_shell_ever_sees_the_editor_or_the_name(
    project: Project, editor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.write("prompts/$(touch pwned);x.yaml", "prompt: a\n")
    types(editor, "prompt: b\n")
    monkeypatch.setenv("EDITOR", f"'{editor}' ';' touch pwned '`touch pwned`'")
    assert dispatch(["edit", str(path)], "ps") == 0
    assert not (project.root / "pwned").exists()
    assert path.read_text() == "prompt: b\n"


@pytest.mark.parametrize(
    ("editor_value", "said"),
    [
        ("'open", "EDITOR is ''open', which has an open quote"),
        ("/nowhere/editor", "cannot be started: No such file or directory"),
        ("false", "ended with code 1"),
    ],
)
def test_an_editor_that_does_not_work_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], editor_value: str, said: str
) -> None:
    monkeypatch.setenv("EDITOR", editor_value)
    monkeypatch.delenv("VISUAL", raising=False)
    before = (project.root / "prompts/greet.yaml").read_text()
    assert dispatch(["edit", "greet"], "ps") == 2
    assert said in capsys.readouterr().err
    assert (project.root / "prompts/greet.yaml").read_text() == before


def test_visual_comes_before_editor() -> None:
    assert editor_command({"VISUAL": "code --wait", "EDITOR": "vi"}) == ["code", "--wait"]
    assert editor_command({"VISUAL": "  ", "EDITOR": "vi"}) == ["vi"]
    with pytest.raises(UsageError, match="no editor is known"):
        editor_command({"PATH": "/nowhere"})


@pytest.mark.parametrize("name", ["nobody", "-", "greet@HEAD", "_partials/none.md", "nowhere/x.yaml"])
def test_what_is_not_there_is_not_edited(project: Project, editor: Path, name: str) -> None:
    assert dispatch(["edit", "--", name], "ps") == 2
    assert not Path(f"{editor}.log").exists()


def test_a_partial_can_be_edited(project: Project, editor: Path) -> None:
    path = project.write("prompts/_partials/tone.md", "x")
    types(editor, "Be {{ kind")
    assert dispatch(["edit", "_partials/tone.md"], "ps") == 0
    assert path.read_text() == "Be {{ kind"


def test_a_new_prompt_can_be_edited_at_once(project: Project, editor: Path) -> None:
    types(editor, "prompt: mine\n")
    assert dispatch(["new", "mine", "--edit"], "ps") == 0
    assert (project.root / "prompts/mine.yaml").read_text() == "prompt: mine\n"


def test_a_person_is_asked_whether_to_edit_again(project: Project, ps: Script, tmp_path: Path) -> None:
    script = tmp_path / "twice"
    script.write_text(
        '#!/bin/sh\nif grep -q wrong "$1"; then echo "prompt: right" > "$1"; else echo "wrong: 1" > "$1"; fi\n'
    )
    script.chmod(0o755)
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n")
    done = subprocess.run(
        [SCRIPTS / "ps", "edit", "greet"],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=ps.environment({"EDITOR": str(script)}), timeout=60,
        check=False,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "unknown key 'wrong'" in shown
    assert "Edit again?" in shown
    assert (project.root / "prompts/greet.yaml").read_text() == "prompt: right\n"
