"""Commits by name and the files of any commit: what is refused, and that nothing of the repository is run."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from promptstudio.errors import NotFoundError, PromptFileError, ToolError, UsageError
from promptstudio.versions.gitfiles import GitFiles
from promptstudio.versions.moments import WorkFiles, below_top
from promptstudio.versions.repo import open_repository
from tests.conftest import GREET, Project


@pytest.mark.parametrize("name", ["-x", "--output=trap", "", " ", "a\nb", "a\0b", "HEAD\x7f"])
def test_a_name_that_no_revision_can_have_never_reaches_git(project: Project, name: str) -> None:
    with open_repository(project.root) as repository, pytest.raises(UsageError, match="is not a revision"):
        repository.commit_of(name)


def test_an_ambiguous_beginning_is_told_from_one_that_is_missing(project: Project) -> None:
    stream = "".join(
        f"commit refs/heads/many\ncommitter A <a@b> {1_790_000_000 + number} +0000\ndata 1\nx\n"
        for number in range(1000)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=project.root, input=stream.encode(), check=True)
    commits = sorted(project.git("rev-list", "many").split())
    short = next(one[:4] for one, other in pairwise(commits) if one[:4] == other[:4])
    with open_repository(project.root) as repository:
        with pytest.raises(NotFoundError, match="there is no revision 'fffffffffff'"):
            repository.commit_of("fffffffffff")
        with pytest.raises(UsageError, match="beginning of several commits"):
            repository.commit_of(short)


def test_many_objects_and_one_after_another_are_read_by_one_process(project: Project) -> None:
    with open_repository(project.root) as repository:
        head = repository.head()
        assert head is not None
        assert repository.object("HEAD") is not None
        process = repository._objects
        assert process is not None
        assert [found and found.kind for found in repository.objects([head, f"{head}^{{tree}}", "nothing"] * 70)] == [
            "commit",
            "tree",
            None,
        ] * 70
        assert repository.object(head) is not None
        assert repository._objects is process
    assert process.poll() is not None


def test_a_commit_has_its_links_folders_and_names_of_every_script(project: Project) -> None:
    project.write("prompts/قوالب one/تحية.yaml", "prompt: أهلا\n")
    (project.root / "prompts/link.yaml").symlink_to("قوالب one/تحية.yaml")
    (project.root / "prompts/folder").symlink_to("قوالب one")
    (project.root / "prompts/loop.yaml").symlink_to("loop.yaml")
    (project.root / "prompts/out.yaml").symlink_to("/etc/passwd")
    (project.root / "prompts/above.yaml").symlink_to("../../../etc/passwd")
    commit = project.commit()
    with open_repository(project.root) as repository:
        files = GitFiles(repository, commit)
        prompts = project.root / "prompts"
        oid = files.oid_at("prompts/قوالب one/تحية.yaml")
        assert oid is not None
        assert files.oid_at("prompts/link.yaml") == files.oid_at("prompts/folder/تحية.yaml") == oid
        assert files.text(prompts / "link.yaml", shown="x") == "prompt: أهلا\n"
        assert files.real_name("prompts/folder/تحية.yaml") == "prompts/قوالب one/تحية.yaml"
        assert [files.oid_at(f"prompts/{name}.yaml") for name in ("loop", "out", "above", "absent")] == [None] * 4
        assert files.real_name("prompts/out.yaml") is None
        assert (files.is_through_link("prompts/loop.yaml"), files.is_through_link("prompts/greet.yaml")) == (
            True,
            False,
        )
        with pytest.raises(PromptFileError, match="a directory"):
            files.text(prompts, shown="x")
        with pytest.raises(NotFoundError):
            files.text(prompts / "out.yaml", shown="x")


def test_the_working_tree_names_contents_as_git_does(project: Project) -> None:
    (project.root / "prompts/crlf.yaml").write_bytes(b"prompt: Hi\r\n")
    project.git("config", "core.autocrlf", "false")
    project.commit()
    greet = project.root / "prompts/greet.yaml"
    with open_repository(project.root) as repository:
        files, head = WorkFiles(repository), GitFiles(repository, repository.head() or "")
        for name in ("prompts/greet.yaml", "prompts/crlf.yaml", "prompts/absent.yaml", "prompts"):
            assert files.oid_at(name) == head.oid_at(name)
    greet.write_bytes(GREET.replace("\n", "\r\n").encode())
    with open_repository(project.root) as repository:  # as a checkout with core.autocrlf writes it
        assert WorkFiles(repository).oid_at("prompts/greet.yaml") == head.oid_at("prompts/greet.yaml")
    greet.write_bytes(GREET.replace("Say", "Cry").replace("\n", "\r\n").encode())
    with open_repository(project.root) as repository:
        assert (
            WorkFiles(repository).oid_at("prompts/greet.yaml")
            == project.git("hash-object", "--no-filters", str(greet)).strip()
        )


def test_a_repository_of_sha256_is_read_too(tmp_path: Path) -> None:
    other = Project(tmp_path / "sha256")
    other.write("prompts/greet.yaml", GREET)
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(other.root)], check=True)
    with open_repository(other.root) as repository:
        assert repository.is_sha256
        assert repository.head() is None
    commit = other.commit()
    with open_repository(other.root) as repository:
        assert len(commit) == 64
        name = "prompts/greet.yaml"
        assert WorkFiles(repository).oid_at(name) == GitFiles(repository, commit).oid_at(name) is not None


def test_a_path_is_named_from_the_top_also_through_a_link(project: Project, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(project.root)
    with open_repository(project.root) as repository:
        assert below_top(project.root / "prompts/greet.yaml", repository) == "prompts/greet.yaml"
        assert below_top(tmp_path / "way/prompts/greet.yaml", repository) == "prompts/greet.yaml"
        assert below_top(tmp_path / "elsewhere.yaml", repository) is None


def test_a_folder_without_git_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="not in a git repository") as raised:
        open_repository(tmp_path)
    assert "git init" in (raised.value.hint or "")


def test_head_is_the_same_from_files_as_from_git(project: Project, tmp_path: Path) -> None:
    commit = project.git("rev-parse", "HEAD").strip()
    project.git("branch", "فرع/one")
    for step in (("pack-refs", "--all"), ("checkout", "-q", "فرع/one"), ("checkout", "-q", "--detach")):
        project.git(*step)
        with open_repository(project.root) as repository:
            assert repository.head() == commit
    project.git("worktree", "add", "-q", str(tmp_path / "tree"), "main")
    with open_repository(tmp_path / "tree") as repository:
        assert repository.head() == commit
        assert not repository.has_tags
    project.git("tag", "v1")
    project.git("pack-refs", "--all")
    with open_repository(tmp_path / "tree") as repository:
        assert repository.has_tags
