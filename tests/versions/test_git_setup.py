"""`ps git`: real `git diff`, `git log -p`, merges and commits with it, and nothing left behind without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptstudio.cli.dispatch import dispatch
from promptstudio.errors import ToolError
from promptstudio.versions import git_setup
from promptstudio.versions.diff.readable import readable
from promptstudio.versions.git_setup import BEFORE, HOOK, Part
from promptstudio.versions.repo import open_repository
from tests.conftest import GREET, TRIAGE, Project, Script

CUSTOM = "#!/bin/sh\necho ran >> hook-ran\ntest ! -f refuse\n"


def state(parts: list[Part]) -> dict[str, str]:
    return {part.name.rpartition(".")[0] or part.name: part.state for part in parts}


ALL = ("diff.promptstudio", "merge.promptstudio-lock", "attributes", "hook")


def install(project: Project, folder: Path | None = None) -> dict[str, str]:
    with open_repository(folder or project.root) as repository:
        return state(git_setup.install(repository, project.settings()))


def uninstall(project: Project) -> dict[str, str]:
    with open_repository(project.root) as repository:
        return state(git_setup.uninstall(repository, project.settings()))


def everything(project: Project) -> dict[str, bytes | str]:
    """All that `install` may touch, byte by byte."""
    found: dict[str, bytes | str] = {}
    for path in (project.root / ".gitattributes", project.root / ".git/config", *_hooks(project)):
        if path.is_symlink():
            found[str(path)] = f"link to {path.readlink()}"
        elif path.is_file():
            found[str(path)] = path.read_bytes() + f" mode {path.stat().st_mode:o}".encode()
    return found


def _hooks(project: Project) -> Iterator[Path]:
    yield from sorted((project.root / ".git/hooks").glob("pre-commit*"))


def hook(project: Project, text: str = CUSTOM) -> Path:
    path = project.root / ".git/hooks" / HOOK
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def commit(project: Project, ps: Script, *words: str) -> subprocess.CompletedProcess[str]:
    """Commit as a user would, with the scripts on the path."""
    return subprocess.run(
        ["git", "commit", "-q", "-m", "A change", *words],
        cwd=project.root, env=ps.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


# -- install and uninstall --------------------------------------------------------------------------------------------


def test_installed_and_taken_back_nothing_is_left(project: Project) -> None:
    before = everything(project)

    assert install(project) == dict.fromkeys(ALL, "installed")
    assert everything(project) != before
    assert uninstall(project) == dict.fromkeys(ALL, "missing")

    assert everything(project) == before


def test_twice_is_the_same_as_once(project: Project) -> None:
    hook(project)
    before = everything(project)
    install(project)
    once = everything(project)

    install(project)

    assert everything(project) == once
    uninstall(project)
    uninstall(project)
    assert everything(project) == before


@pytest.mark.parametrize(
    "attributes", [b"", b"*.png binary\n", b"*.png binary", b"*.a -text\r\n*.b -text\r\n", b"\n\n"]
)
def test_attributes_of_others_stay_byte_by_byte(project: Project, attributes: bytes) -> None:
    path = project.root / ".gitattributes"
    path.write_bytes(attributes)

    install(project)
    install(project)
    assert path.read_bytes().startswith(attributes)
    uninstall(project)

    assert path.read_bytes() == attributes


def test_lines_added_by_others_afterwards_stay(project: Project) -> None:
    path = project.root / ".gitattributes"
    path.write_bytes(b"*.png binary")
    install(project)
    path.write_bytes(b"*.first text\n" + path.read_bytes() + b"*.last text\n")

    install(project)
    uninstall(project)

    assert path.read_bytes() == b"*.first text\n*.png binary\n*.last text\n"


def test_settings_of_others_in_our_sections_stay(project: Project) -> None:
    project.git("config", "diff.promptstudio.xfuncname", "^message")
    before = everything(project)

    install(project)
    uninstall(project)

    assert everything(project) == before


def test_a_driver_of_somebody_else_is_not_replaced(project: Project) -> None:
    project.git("config", "diff.promptstudio.textconv", "cat")

    assert install(project)["diff.promptstudio"] == "other"
    uninstall(project)

    assert project.git("config", "diff.promptstudio.textconv") == "cat\n"


def test_a_hook_that_is_a_link_comes_back_as_a_link(project: Project) -> None:
    target = project.write("tools/check.sh", CUSTOM)
    target.chmod(0o755)
    (project.root / ".git/hooks").mkdir(exist_ok=True)
    (project.root / ".git/hooks" / HOOK).symlink_to(target)
    before = everything(project)

    install(project)
    uninstall(project)

    assert everything(project) == before


def test_two_hooks_of_others_are_an_error_and_stay(project: Project) -> None:
    install(project)
    hook(project)
    (project.root / ".git/hooks" / BEFORE).write_text("older")

    with pytest.raises(ToolError, match="two hooks that are not ours"):
        install(project)

    assert (project.root / ".git/hooks" / BEFORE).read_text() == "older"


def test_the_folder_of_hooks_git_is_told_is_used(project: Project) -> None:
    project.git("config", "core.hooksPath", ".husky/_")
    theirs = project.write(".husky/_/pre-commit", CUSTOM)

    install(project)

    assert (project.root / ".husky/_" / BEFORE).read_text() == CUSTOM
    assert not list(_hooks(project)) or all(path.suffix == ".sample" for path in _hooks(project))
    uninstall(project)
    assert theirs.read_text() == CUSTOM


def test_hooks_shared_with_other_repositories_are_left_alone(project: Project, tmp_path: Path) -> None:
    shared = tmp_path / "hooks"
    shared.mkdir()
    project.git("config", "core.hooksPath", str(shared))

    assert install(project)["hook"] == "shared"
    assert list(shared.iterdir()) == []


def test_a_worktree_and_a_submodule_find_their_hooks(project: Project, tmp_path: Path) -> None:
    tree = tmp_path / "a tree شجرة"
    project.git("worktree", "add", "-q", "-b", "other", str(tree))
    outer = Project(tmp_path / "outer")
    outer.root.mkdir()
    outer.git("init", "-q")
    outer.git("-c", "protocol.file.allow=always", "submodule", "-q", "add", str(project.root), "sub")

    for place in (Project(tree), Project(outer.root / "sub")):
        assert install(place) == dict.fromkeys(ALL, "installed")
        assert uninstall(place) == dict.fromkeys(ALL, "missing")
    assert (project.root / ".git/hooks" / HOOK).exists() is False


def test_the_commands_say_what_is_there(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["git", "status"], "ps") == 1
    assert dispatch(["git", "install"], "ps") == 0
    assert dispatch(["git", "status", "--json"], "ps") == 0
    assert '"state": "installed"' in capfd.readouterr().out
    assert dispatch(["git", "uninstall"], "ps") == 0
    assert "missing" in capfd.readouterr().out


# -- what git shows ---------------------------------------------------------------------------------------------------


def test_plain_git_diff_and_log_show_what_a_prompt_says(project: Project, tmp_path: Path) -> None:
    odd = Project(tmp_path / "a b مشروع")
    odd.write("promptstudio.toml", "[project]\nprompts = 'my [prompts] نص'\n")
    odd.git("init", "-q")
    folder = "my [prompts] نص"
    odd.write(f"{folder}/deep/greet.yaml", GREET)
    odd.write("models.prompt.yml", "messages:\n  - {role: user, content: hi}\n")
    odd.commit("First")
    install(odd)
    relaid = GREET.replace("tags: [demo]", "# why\ntags:\n  - demo").replace('"Say', '"Please say')
    odd.write(f"{folder}/deep/greet.yaml", relaid)
    odd.write("models.prompt.yml", "messages:\n- role: user\n  content: 'hello'\n")

    lines = [line for line in odd.git("diff").splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]

    assert lines == [
        "-    hi",
        "+    hello",
        "-    Say hello to {{ name }} in a {{ mood }} way.",
        "+    Please say hello to {{ name }} in a {{ mood }} way.",
    ]
    odd.commit("Second")
    assert "+    Please say hello" in odd.git("log", "-p", "-1")
    uninstall(odd)
    assert "+# why" in odd.git("log", "-p", "-1", "--no-textconv") + odd.git("log", "-p", "-1")


def test_a_layout_change_is_no_change_to_git_diff(project: Project) -> None:
    install(project)
    quoted = TRIAGE.replace("tags: [support]", "tags: ['support']  # the team").replace("role: user", 'role: "user"')
    project.write("prompts/support/triage.yaml", quoted)

    assert not [line for line in project.git("diff").splitlines() if line.startswith(("+", "-", "@"))]


UNREADABLE = ["prompt: [broken\n", "no prompt\n", "a: 1\n", "", "<<<<<<< a\nprompt: x\n", "prompt: &a [*a]\n"]


@pytest.mark.parametrize("text", [*UNREADABLE, "x" * 3_000_000])
def test_what_is_no_readable_prompt_is_shown_as_it_is(text: str) -> None:
    assert readable(text) == text


def test_the_canonical_form_has_one_value_a_line() -> None:
    text = readable("""\
model: a/b   # why
parameters: {top_p: 0.50, max_tokens: 9.0, stop: [a, 'b c']}
inputs: {when: 'string?, the day', n: {type: integer, minimum: 1}}
system: Be brief.
prompt: |
  Hello
    {{ when }}
metadata: {note: 'yes', empty: {}, text: "two\\nlines"}
x-note: 1
""")

    assert text.splitlines() == [
        "metadata.empty: {}",
        'metadata.note: "yes"',
        "metadata.text:",
        "    two",
        "    lines",
        "model: a/b",
        "parameters.max_tokens: 9",
        'parameters.stop: ["a", "b c"]',
        "parameters.top_p: 0.5",
        "inputs.n.minimum: 1",
        "inputs.n.type: integer",
        "inputs.when.description: the day",
        "inputs.when.required: false",
        "inputs.when.type: string",
        "message system:",
        "    Be brief.",
        "message user:",
        "    Hello",
        "      {{ when }}",
        "x-note: 1",
    ]


def test_control_characters_in_a_prompt_do_not_reach_the_pager(
    project: Project, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = project.write("prompts/odd.yaml", 'prompt: "a\\e[31mb \\u202e"\n')

    assert dispatch(["git", "textconv", str(path)], "ps") == 0

    assert capfdbinary.readouterr().out == b"message user:\n    a\\x1b[31mb \\u202e\n"


def test_bytes_that_are_no_text_are_shown_as_they_are(
    project: Project, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = project.root / "prompts/raw.yaml"
    path.write_bytes(b"\xff\xfe\x00prompt")

    assert dispatch(["git", "textconv", str(path)], "ps") == 0
    assert capfdbinary.readouterr().out == b"\xff\xfe\x00prompt"


# -- the hook ---------------------------------------------------------------------------------------------------------


def test_a_commit_is_stopped_by_a_prompt_that_does_not_load_or_breaks_its_contract(
    project: Project, ps: Script
) -> None:
    install(project)
    project.git("add", "-A")
    assert commit(project, ps).returncode == 0
    project.write("prompts/greet.yaml", GREET + "prompt: twice\n")
    project.git("add", "-A")

    broken = commit(project, ps)
    project.write("prompts/greet.yaml", GREET.replace("{type: string, enum: [warm, dry], default: warm}", "string"))
    project.git("add", "-A")
    breaking = commit(project, ps)

    assert (broken.returncode, breaking.returncode) == (1, 1)
    assert "error: prompts/greet.yaml:" in broken.stderr
    assert "MAJOR  greet: inputs.mood: optional → required" in breaking.stderr
    assert "`ps bump greet`" in breaking.stderr
    assert commit(project, ps, "--no-verify").returncode == 0


def test_a_commit_with_a_raised_version_goes_through_and_says_what_it_means(project: Project, ps: Script) -> None:
    install(project)
    project.write("prompts/greet.yaml", GREET.replace("Say hello", "Say hi"))

    done = commit(project, ps, "prompts/greet.yaml")

    assert done.returncode == 0, done.stderr
    assert "MINOR  greet: messages: user reworded" in done.stderr


def test_the_hook_that_was_there_runs_first_and_can_refuse(project: Project, ps: Script) -> None:
    hook(project)
    install(project)
    project.write("refuse", "")
    project.git("add", "refuse")

    refused = commit(project, ps)
    (project.root / "refuse").unlink()
    project.git("add", "-A")

    assert refused.returncode == 1
    assert commit(project, ps, "--allow-empty").returncode == 0
    assert (project.root / "hook-ran").read_text() == "ran\nran\n"


def test_code_of_the_repository_is_not_run_by_the_hook(project: Project, ps: Script) -> None:
    install(project)
    for name in ("promptstudio", "typer", "yaml"):
        project.write(f"{name}.py", "open('executed', 'w').close()\n")
    project.git("add", "-A")

    commit(project, ps)
    project.git("diff", "HEAD~1")

    assert not (project.root / "executed").exists()


def test_a_project_below_the_top_is_checked_and_a_commit_without_it_is_not(tmp_path: Path, ps: Script) -> None:
    outer = Project(tmp_path / "outer")
    outer.write("apps/the bot/promptstudio.toml", "")
    outer.write("apps/the bot/prompts/greet.yaml", GREET)
    outer.git("init", "-q")
    outer.commit("First")
    bot = Project(outer.root / "apps/the bot")
    install(bot)
    outer.write("apps/the bot/prompts/greet.yaml", "prompt: [broken\n")
    outer.git("add", "-A")

    refused = commit(outer, ps)
    outer.git("rm", "-q", "-r", "-f", "apps")

    assert (refused.returncode, "ERROR  greet" in refused.stderr or "greet.yaml" in refused.stderr) == (1, True)
    assert commit(outer, ps).returncode == 0


def test_a_hook_whose_program_is_gone_says_so(project: Project, ps: Script) -> None:
    install(project)
    path = project.root / ".git/hooks" / HOOK
    text = path.read_text()
    path.write_text(text.replace(sys.executable, "/nowhere/python"))
    project.write("x", "")
    project.git("add", "-A")

    done = commit(project, ps)

    assert done.returncode == 1
    assert "hint: install PromptStudio" in done.stderr


# -- the lock file ----------------------------------------------------------------------------------------------------


def test_git_merges_two_branches_that_set_labels_of_different_prompts(project: Project, ps: Script) -> None:
    install(project)
    project.commit("Install")
    for branch, prompt in (("one", "greet"), ("two", "support/triage")):
        project.git("checkout", "-q", "-b", branch, "main")
        assert dispatch(["label", "set", prompt, "production"], "ps") == 0
        project.commit(f"Label {prompt}")

    project.git("merge", "-q", "one", "-m", "Both")

    text = (project.root / "promptstudio.lock").read_text()
    assert "greet" in text
    assert "support/triage" in text
    assert "<<<<<<<" not in text
