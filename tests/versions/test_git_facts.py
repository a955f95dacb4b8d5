"""What git knows of a prompt's file, in every state a repository can be in, hostile ones included."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from promptstudio.versions import git
from promptstudio.versions.git import GitFacts, git_facts, git_user


def run_git(folder: Path, *arguments: str) -> str:
    safe = ("-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *safe, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", "a change")
    return run_git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "a مشروع"
    (folder / "prompts").mkdir(parents=True)
    run_git(folder, "init", "-q")
    (folder / "prompts" / "greet.yaml").write_text("prompt: Hello\n")
    (folder / "prompts" / "-ترحيب [a].yaml").write_text("prompt: مرحبا\n")
    (folder / "prompts" / "_part.yaml").write_text("part\n")
    return folder


@pytest.fixture
def prompt(repository: Path) -> Path:
    return repository / "prompts" / "greet.yaml"


def test_a_committed_file_is_clean(repository: Path, prompt: Path) -> None:
    head = commit(repository)

    assert git_facts(prompt, repository) == GitFacts(head, False, "main")


@pytest.mark.parametrize("name", ["greet.yaml", "-ترحيب [a].yaml"])
def test_any_name_is_a_name(repository: Path, name: str) -> None:
    head = commit(repository)
    file = repository / "prompts" / name
    assert git_facts(file, repository) == GitFacts(head, False, "main")

    file.write_text("prompt: changed\n")

    assert git_facts(file, repository).dirty is True


def _edit(prompt: Path) -> None:
    prompt.write_text("prompt: Hi\n")


def _stage(prompt: Path) -> None:
    _edit(prompt)
    run_git(prompt.parent, "add", "-A")


def _untrack(prompt: Path) -> None:
    run_git(prompt.parent, "rm", "-q", "--cached", "greet.yaml")
    run_git(prompt.parent, "commit", "-q", "-m", "gone")


def _ignore(prompt: Path) -> None:
    _untrack(prompt)
    (prompt.parent / ".gitignore").write_text("*\n")


def _delete(prompt: Path) -> None:
    prompt.unlink()


def _assume_unchanged(prompt: Path) -> None:
    run_git(prompt.parent, "update-index", "--assume-unchanged", "greet.yaml")
    _edit(prompt)


def _become_a_folder(prompt: Path) -> None:
    prompt.unlink()
    prompt.mkdir()


@pytest.mark.parametrize(
    "change", [_edit, _stage, _untrack, _ignore, _delete, _assume_unchanged, _become_a_folder], ids=lambda f: f.__name__
)
def test_a_file_that_is_not_as_committed_is_dirty(repository: Path, prompt: Path, change: object) -> None:
    commit(repository)

    change(prompt)  # type: ignore[operator]

    facts = git_facts(prompt, repository)
    assert (facts.commit, facts.dirty) == (run_git(repository, "rev-parse", "HEAD"), True)


def test_a_changed_dependency_makes_the_prompt_dirty(repository: Path, prompt: Path) -> None:
    part = repository / "prompts" / "_part.yaml"
    (repository / "shared.txt").write_text("shared")
    commit(repository)
    also = [part, repository / "shared.txt"]
    assert git_facts(prompt, repository, also=also).dirty is False

    part.write_text("changed")

    assert git_facts(prompt, repository, also=also).dirty is True
    assert git_facts(prompt, repository).dirty is False


def test_a_dependency_outside_the_repository_is_in_no_commit(repository: Path, prompt: Path, tmp_path: Path) -> None:
    head = commit(repository)
    outside = tmp_path / "outside.txt"
    outside.write_text("x")

    assert git_facts(prompt, repository, also=[outside]) == GitFacts(head, True, "main")


def test_another_changed_file_does_not_matter(repository: Path, prompt: Path) -> None:
    commit(repository)
    (repository / "README").write_text("new")

    assert git_facts(prompt, repository).dirty is False


def test_a_link_is_as_committed_while_it_and_its_target_are(repository: Path, prompt: Path) -> None:
    link = repository / "prompts" / "link.yaml"
    link.symlink_to("greet.yaml")
    commit(repository)
    assert git_facts(link, repository).dirty is False

    prompt.write_text("changed")
    assert git_facts(link, repository).dirty is True


def test_line_ends_that_git_stored_as_lf_are_no_change(repository: Path, prompt: Path) -> None:
    (repository / ".gitattributes").write_text("*.yaml text eol=crlf\n")
    prompt.write_bytes(b"a: 1\r\nb: 2\r\n")
    commit(repository)

    assert prompt.read_bytes() == b"a: 1\r\nb: 2\r\n"
    assert git_facts(prompt, repository).dirty is False


def test_a_relative_path_counts_from_the_folder_given(repository: Path) -> None:
    head = commit(repository)

    assert git_facts(Path("prompts/greet.yaml"), repository) == GitFacts(head, False, "main")


def test_a_repository_reached_through_a_link_is_the_same(repository: Path, tmp_path: Path) -> None:
    head = commit(repository)
    (tmp_path / "door").symlink_to(repository / "prompts")

    assert git_facts(tmp_path / "door" / "greet.yaml", tmp_path) == GitFacts(head, False, "main")


def test_before_the_first_commit_there_is_a_branch_and_no_commit(repository: Path, prompt: Path) -> None:
    assert git_facts(prompt, repository) == GitFacts(None, True, "main", "nothing is committed yet")


def test_a_detached_head_has_no_branch(repository: Path, prompt: Path) -> None:
    head = commit(repository)
    run_git(repository, "checkout", "-q", "--detach")

    assert git_facts(prompt, repository) == GitFacts(head, False, None)


def test_a_worktree_has_its_own_branch(repository: Path, tmp_path: Path) -> None:
    head = commit(repository)
    run_git(repository, "worktree", "add", "-q", "-b", "feature/x", str(tmp_path / "tree"))

    assert git_facts(tmp_path / "tree" / "prompts" / "greet.yaml", tmp_path) == GitFacts(head, False, "feature/x")


def test_a_submodule_answers_for_its_own_files(repository: Path, tmp_path: Path) -> None:
    head = commit(repository)
    outer = tmp_path / "outer"
    outer.mkdir()
    run_git(outer, "init", "-q")
    run_git(outer, "submodule", "-q", "add", str(repository), "sub")

    facts = git_facts(outer / "sub" / "prompts" / "greet.yaml", outer)

    assert (facts.commit, facts.dirty) == (head, False)


def test_a_repository_with_sha256_ids_works(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q", "--object-format=sha256", "deep")
    file = tmp_path / "deep" / "a.yaml"
    file.write_text("x")
    head = commit(tmp_path / "deep")

    assert len(head) == 64
    assert git_facts(file, tmp_path) == GitFacts(head, False, "main")


def test_without_a_file_the_folder_tells_the_commit(repository: Path) -> None:
    head = commit(repository)

    assert git_facts(None, repository / "prompts") == GitFacts(head, None, "main")


def test_outside_a_repository_nothing_is_known_and_git_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    assert git_facts(tmp_path / "a.yaml", tmp_path) == GitFacts(reason="not in a git repository")


def test_without_git_the_reason_says_so(repository: Path, prompt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repository)
    monkeypatch.setenv("PATH", "")

    assert git_facts(prompt, repository) == GitFacts(reason="git is not installed")


def test_a_repository_git_does_not_trust_is_not_read(
    repository: Path, prompt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

    facts = git_facts(prompt, repository)

    assert (facts.commit, facts.dirty) == (None, None)
    assert "safe.directory" in (facts.reason or "")


def test_a_bare_repository_hidden_in_a_folder_is_not_trusted(repository: Path, prompt: Path) -> None:
    commit(repository)
    run_git(repository, "init", "-q", "--bare", "prompts")

    facts = git_facts(prompt, repository)

    assert (facts.commit, facts.dirty) == (None, None)
    assert "bare repository" in (facts.reason or "")


@pytest.mark.parametrize("content", [b"", b"gitdir: nowhere", b"\xff\xfe", b"gitdir: " + b"x" * 100_000])
def test_a_broken_git_file_is_a_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").write_bytes(content)
    (tmp_path / "a.yaml").touch()

    facts = git_facts(tmp_path / "a.yaml", tmp_path)

    assert facts.commit is None
    assert facts.reason
    assert "\n" not in facts.reason


def test_a_git_that_hangs_is_given_up(
    repository: Path, prompt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository)
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git, "TIMEOUT_S", 0.2)

    assert "did not answer" in (git_facts(prompt, repository).reason or "")


def test_variables_of_a_hook_do_not_change_which_repository_is_meant(
    repository: Path, prompt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit(repository)
    other = tmp_path / "other"
    run_git(tmp_path, "init", "-q", "other")
    commit(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "none"))

    assert git_facts(prompt, repository) == GitFacts(head, False, "main")


def test_nothing_a_hostile_repository_configures_is_executed(
    repository: Path, prompt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    commit(repository)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/executed'\ncat\n")
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    settings = ["core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy"]
    settings += ["filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv"]
    settings += [
        "diff.evil.command",
        "diff.external",
        "credential.helper",
        "remote.origin.uploadpack",
        "alias.cat-file",
    ]
    for name in settings:
        run_git(repository, "config", name, str(trap))
    run_git(repository, "config", "core.repositoryFormatVersion", "1")
    for name, value in {"extensions.partialClone": "origin", "remote.origin.url": f"ext::{trap}"}.items():
        run_git(repository, "config", name, value)
    for name, value in {"remote.origin.promisor": "true", "protocol.ext.allow": "always"}.items():
        run_git(repository, "config", name, value)
    for hook in ("post-index-change", "pre-commit", "reference-transaction", "post-checkout"):
        (repository / ".git" / "hooks" / hook).symlink_to(trap)
    blob = run_git(repository, "rev-parse", "HEAD:prompts/_part.yaml")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()  # git would fetch it
    prompt.touch()
    (tmp_path / "executed").unlink(missing_ok=True)

    facts = git_facts(prompt, repository, also=[repository / "prompts" / "_part.yaml"])
    user = git_user(repository)

    assert (facts.dirty, user) == (True, "Ada Lovelace <ada@example.com>")
    assert git_facts(prompt, repository).dirty is False
    assert not (tmp_path / "executed").exists()


def test_looking_changes_nothing_in_the_repository(repository: Path, prompt: Path) -> None:
    commit(repository)
    before = {file: file.stat().st_mtime_ns for file in sorted((repository / ".git").rglob("*"))}
    prompt.touch()

    git_facts(prompt, repository)

    assert {file: file.stat().st_mtime_ns for file in sorted((repository / ".git").rglob("*"))} == before


USERS = [
    ({}, "Ada Lovelace <ada@example.com>"),
    ({"user.name": "محمد"}, "محمد <ada@example.com>"),
    ({"user.email": "x@y"}, "Ada Lovelace <x@y>"),
    ({"user.name": "a\x1b[31m\nb"}, "a[31mb <ada@example.com>"),
    ({"user.name": "n" * 5000}, "n" * 200 + " <ada@example.com>"),
]


@pytest.mark.parametrize(("config", "expected"), USERS)
def test_the_user_is_who_git_says(repository: Path, config: dict[str, str], expected: str) -> None:
    for name, value in config.items():
        run_git(repository, "config", name, value)

    assert git_user(repository) == expected


def test_the_variables_of_git_come_before_its_configuration(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace\x1b[31m Hopper")
    assert git_user(repository) == "Grace[31m Hopper <ada@example.com>"
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "grace@example.com")
    assert git_user(repository) == "Grace[31m Hopper <grace@example.com>"


def test_the_user_is_the_one_of_the_system_where_git_knows_none(
    tmp_path: Path, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    (isolated / ".gitconfig").write_text("[user]\n\temail = only@example.com\n")
    assert git_user(tmp_path) == "only@example.com"
    (isolated / ".gitconfig").write_text("[user]\n\tname = Only\n")
    assert git_user(tmp_path) == "Only"
    (isolated / ".gitconfig").unlink()
    assert git_user(tmp_path) == pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setenv("PATH", "")
    assert git_user(tmp_path) == pwd.getpwuid(os.getuid()).pw_name
