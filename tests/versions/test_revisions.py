"""What stands behind `@`: a label, a version, a tag, a branch, a commit; never two of them at once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from promptstudio.errors import LockFileError, NotFoundError, UsageError
from promptstudio.prompts.load import parse_address
from promptstudio.prompts.prompt import Revision
from promptstudio.versions.labels import renamed
from promptstudio.versions.load import load_prompt
from promptstudio.versions.lock import LOCK_NAME, change_lock
from promptstudio.versions.repo import Repository, open_repository
from promptstudio.versions.revisions import revision_of
from tests.conftest import Project

SetLabel = Callable[..., str]


def meant(project: Project, address: str, cwd: Path | None = None) -> Revision:
    with open_repository(project.root) as repository:
        return revision_of(parse_address(address), project.settings(), cwd or project.root, repository)


def version(project: Project, number: str, subject: str = "A change") -> str:
    text = (project.root / "prompts/greet.yaml").read_text()
    old = next(line for line in text.splitlines() if line.startswith("version:"))
    project.write("prompts/greet.yaml", text.replace(old, f"version: {number}"))
    return project.commit(subject)


def test_a_label_means_its_commit_for_that_prompt_only(project: Project, labeled: SetLabel) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    project.commit("later")
    labeled(project, "greet", "production", first)

    assert meant(project, "greet@production") == Revision("production", first, "production")
    assert meant(project, "greet:short@label:production") == Revision("label:production", first, "production")
    assert meant(project, "prompts/greet.yaml@production").commit == first
    with pytest.raises(NotFoundError, match="there is no revision 'production'; support/triage has no labels"):
        meant(project, "support/triage@production")


def test_a_label_still_loads_after_its_prompt_was_renamed(project: Project, labeled: SetLabel) -> None:
    commit = project.commit()
    labeled(project, "greet", "production", commit)
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    change_lock(project.root, lambda lock: renamed(lock.prompts, "greet", "hello", "prompts/hello.yaml"))

    loaded = load_prompt("hello:short@production", project.settings(), cwd=project.root)

    assert loaded.revision == Revision("production", commit, "production")
    assert loaded.messages[0].parts[0].source.startswith("Say hello")


def test_a_path_finds_the_label_from_another_folder(project: Project, labeled: SetLabel) -> None:
    first = project.commit()
    labeled(project, "support/triage", "staging", first)

    assert meant(project, "triage.yaml@staging", project.root / "prompts/support").commit == first
    assert meant(project, "../greet.yaml@HEAD", project.root / "prompts/support").commit == first


def test_a_word_that_means_several_commits_is_refused_with_each_way_to_write_it(
    project: Project, labeled: SetLabel
) -> None:
    first = project.commit("first")
    second = project.commit("second")
    project.git("branch", "production", second)
    labeled(project, "greet", "production", first)

    with pytest.raises(UsageError, match="'production' means several commits") as caught:
        meant(project, "greet@production")
    assert "write greet@label:production or greet@refs/heads/production" in (caught.value.hint or "")
    assert meant(project, "greet@label:production").commit == first
    assert meant(project, "greet@refs/heads/production").commit == second

    project.git("tag", "v9", first)
    project.git("branch", "v9", second)
    with pytest.raises(UsageError) as caught:
        meant(project, "greet@v9")
    assert "@refs/tags/v9" in (caught.value.hint or "")


def test_names_of_one_commit_are_no_riddle(project: Project, labeled: SetLabel) -> None:
    head = project.commit()
    project.git("branch", "production")
    project.git("tag", "production")
    labeled(project, "greet", "production", head)

    assert meant(project, "greet@production") == Revision("production", head, "production")


def test_a_version_means_its_tag_else_the_newest_commit_that_had_it(project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    project.write("prompts/ar/welcome.yaml", "prompt: مرحبا\n")
    still = project.commit("another prompt")
    second = version(project, "1.1.0")

    assert meant(project, "greet@1.0.0").commit == still
    assert meant(project, "greet@v1.0.0").commit == still
    assert meant(project, "greet@v1.1.0").commit == second
    assert project.commit("later") == meant(project, "greet@1.1.0").commit

    project.git("tag", "-a", "-m", "x", "greet@v1.0.0", first)
    assert meant(project, "greet@v1.0.0").commit == first
    assert meant(project, "greet@1.0.0").commit == first


def test_a_version_is_found_across_a_rename(project: Project) -> None:
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    renamed = project.commit("renamed")
    text = (project.root / "prompts/hello.yaml").read_text()
    project.write("prompts/hello.yaml", text.replace("version: 1.0.0", "version: 2.0.0"))
    project.commit("two")

    assert meant(project, "hello@1.0.0").commit == renamed


@pytest.mark.parametrize("asked", ["HEAD~1", "main~1", "@{-1}~0"])
def test_gits_own_revisions_work(project: Project, asked: str) -> None:
    first = project.commit("first")
    project.git("checkout", "-q", "-b", "side")
    project.commit("second")
    project.git("branch", "-f", "main")
    if asked == "@{-1}~0":
        project.git("branch", "-f", "main", first)

    assert meant(project, f"greet@{asked}").commit == first
    assert meant(project, f"greet@{first[:9]}").commit == first


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("prodction", "did you mean 'production'?"),
        ("mian", "did you mean 'main'?"),
        ("label:prod", "did you mean 'production'?"),
        ("label:qqq", "`ps label set greet qqq` makes it"),
        ("v7.0.0", "a branch, a tag"),
    ],
)
def test_what_does_not_exist_is_told_with_the_nearest_name(
    project: Project, labeled: SetLabel, asked: str, hint: str
) -> None:
    labeled(project, "greet", "production", project.commit())

    with pytest.raises(NotFoundError) as caught:
        meant(project, f"greet@{asked}")

    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("asked", ["-x", "--upload-pack=touch x", " ", "a\nb"])
def test_what_no_revision_can_be_never_reaches_git(project: Project, asked: str) -> None:
    with pytest.raises(UsageError, match="is not a revision"):
        meant(project, f"greet@{asked}")
    assert not (project.root / "x").exists()


def test_a_label_on_a_commit_that_is_gone_says_so_with_the_line_of_the_lock_file(
    project: Project, labeled: SetLabel
) -> None:
    commit = project.commit()
    labeled(project, "greet", "production", commit)
    lock = project.root / LOCK_NAME
    lock.write_text(lock.read_text().replace(commit, "c" * 40))

    with pytest.raises(
        NotFoundError, match=r"promptstudio.lock:\d+: the label production of greet points at"
    ) as caught:
        meant(project, "greet@production")

    assert "another clone" in (caught.value.hint or "")


def test_a_shallow_clone_says_that_it_cannot_know(project: Project, labeled: SetLabel, tmp_path: Path) -> None:
    first = project.commit("first")
    labeled(project, "greet", "production", first)
    project.commit("second")
    clone = Project(tmp_path / "نسخة shallow")
    subprocess.run(["git", "clone", "-q", "--depth", "1", project.root.as_uri(), clone.root], check=True)

    with pytest.raises(NotFoundError) as caught:
        meant(clone, "greet@production")
    assert "shallow" in (caught.value.hint or "")
    assert meant(clone, "greet@HEAD").commit == project.git("rev-parse", "HEAD").strip()


def test_before_the_first_commit_nothing_has_a_revision(project: Project) -> None:
    project.git("checkout", "-q", "--orphan", "fresh")
    project.git("branch", "-D", "main")

    with pytest.raises(NotFoundError, match="nothing is committed yet"):
        meant(project, "greet@HEAD")
    with pytest.raises(NotFoundError, match="nothing is committed yet"):
        meant(project, "greet@1.0.0")


def test_it_asks_git_only_for_what_it_needs(
    project: Project, labeled: SetLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    labeled(project, "greet", "production", project.commit())
    asked: list[list[str]] = []
    original = Repository._run
    monkeypatch.setattr(
        Repository, "_run", lambda self, arguments, stdin: asked.append(arguments) or original(self, arguments, stdin)
    )

    meant(project, "greet@production")

    assert [arguments[0] for arguments in asked] == ["cat-file", "cat-file"]


def test_a_broken_lock_file_is_in_the_way_of_labels_only(project: Project) -> None:
    head = project.commit()
    project.write(LOCK_NAME, "<<<<<<< HEAD\n")

    assert meant(project, "greet@HEAD").commit == head
    assert meant(project, f"greet@{head[:8]}").commit == head
    assert meant(project, "greet@1.0.0").commit == head
    with pytest.raises(LockFileError, match="conflict marker"):
        meant(project, "greet@production")
