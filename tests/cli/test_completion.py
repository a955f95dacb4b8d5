"""What the shells are offered, asked the way their scripts ask."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.conftest import SCRIPTS, Project, Script


def bash(ps: Script, *words: str, **env: str) -> list[str]:
    """Ask as bash does: words already split at `:` and `=`, the last one being typed."""
    asked = {"_PS_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    outcome = ps(env={**asked, **env})
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (["ps", "h"], ["history"]),
        (["ps", "sh"], ["show"]),
        (["ps", "show", "gr"], ["greet"]),
        (["ps", "show", "support/"], ["support/triage"]),
        (["ps", "show", "greet", ":"], ["short"]),
        (["ps", "show", "greet", ":", "sh"], ["short"]),
        (["ps", "show", "greet", "-v", ""], ["name=", "mood=", "mood=warm", "mood=dry"]),
        (["ps", "show", "greet", "-v", "mood", "=", "w"], ["warm"]),
        (["ps", "show", "greet", "-v", "mood", "=", "warm", "-v", "n"], ["name="]),
        (["ps", "run", "greet", "-m", "offline/"], ["offline/echo", "offline/script"]),
        (["ps", "run", "greet", "--profile", ""], ["strict"]),
        (["ps", "list", "--tag", "a"], ["arabic"]),
        (["ps", "init", "--template", "t"], ["typed"]),
        (["ps", "schema", ""], ["prompt", "suite", "config"]),
        (["ps", "history", "s"], ["search", "show"]),
        (["ps", "--pro"], ["--project"]),
        (["ps", "show", "--res"], ["--resolved"]),
        (["ps", "nonsense", "x"], []),
    ],
    ids=" ".join,
)
def test_bash_is_offered(project: Project, ps: Script, words: list[str], offers: list[str]) -> None:
    assert sorted(bash(ps, *words)) == sorted(offers)


def test_another_project_can_be_completed(project: Project, ps: Script) -> None:
    words = ["ps", "--project", str(project.root), "show", "gr"]

    assert bash(ps, *words, PWD="/") == ["greet"]


@pytest.mark.parametrize("settings", ["[run\n", "[run]\nmodle = 'x'\n"], ids=["broken toml", "unknown key"])
def test_nothing_is_said_over_a_half_typed_line(project: Project, ps: Script, settings: str) -> None:
    project.write("promptstudio.toml", settings)

    assert bash(ps, "ps", "show", "gr") == []
    assert bash(ps, "ps", "run", "greet", "-v", "") == []
    assert ps(env={"_PS_COMPLETE": "nonsense"}).out == ""


def test_a_name_that_a_shell_would_run_is_not_offered(project: Project, ps: Script) -> None:
    for name in ("$(touch owned)", "a;b", "`id`", "x'y", "o k"):
        project.write(f"prompts/{name}.yaml", "prompt: hi\n")

    offers = bash(ps, "ps", "show", "")

    assert offers == ["ar/welcome", "greet", "support/triage"]


def test_zsh_and_fish_are_answered_too(project: Project, ps: Script) -> None:
    zsh = ps(env={"_PS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "ps show gr"})
    fish_env = {"_TYPER_COMPLETE_ARGS": "ps show gr", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    fish = ps(env={"_PS_COMPLETE": "complete_fish", **fish_env})

    assert '"greet"' in zsh.out
    assert fish.out.splitlines() == ["greet"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_valid_in_its_shell(ps: Script, promptstudio: Script, shell: str) -> None:
    short, long = ps("completion", shell).out, promptstudio("completion", shell).out

    assert "_PS_COMPLETE" in short
    assert "_PROMPTSTUDIO_COMPLETE" in long
    program = shutil.which(shell)
    if program:
        checked = subprocess.run([program, "-n"], input=short, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_bash_itself_completes_a_line(project: Project, ps: Script) -> None:
    script = """
        source <(ps completion bash)
        COMP_WORDS=(ps show greet : sh) COMP_CWORD=4
        _ps_completion ps
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script], env=ps.environment(), capture_output=True, text=True, check=False)

    assert done.stdout == "short\n", done.stderr
    assert (SCRIPTS / "ps").exists()
