"""Annotated tags for versions of prompts, and for releases of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from promptstudio.errors import ToolError, UsageError
from promptstudio.versions.repo import open_repository
from promptstudio.versions.tags import check_tag_name, existing_tag, make_tag, newest_tag, tag_name

if TYPE_CHECKING:
    from tests.conftest import Project, Script


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("support/triage", "support/triage@v1.0.0"),
        ("ar/ترحيب", "ar/ترحيب@v1.0.0"),
        ("my prompt", "my-prompt@v1.0.0"),
        ("a..b", "a-b@v1.0.0"),
        ("x~y^z:?*[", "x-y-z-@v1.0.0"),
        ("a.lock/b.", "a-/b-@v1.0.0"),
    ],
)
def test_the_name_of_a_tag_is_one_that_git_takes(project: Project, prompt: str, name: str) -> None:
    assert tag_name(prompt, "1.0.0") == name
    with open_repository(project.root) as repository:
        make_tag(repository, name, "HEAD", "a message\n")
        assert existing_tag(repository, name) == repository.head()


@pytest.mark.parametrize("name", ["-f", "--delete", "", "@", "a b", "a..b", "a@{1}", "x.lock", "/a/", "a//b", "a\n"])
def test_a_name_git_would_refuse_or_take_for_an_option_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_tag_name(name)


def test_what_git_says_is_told_where_a_tag_cannot_be_made(project: Project) -> None:
    with open_repository(project.root) as repository:
        make_tag(repository, "v1", "HEAD", "one\n")
        with pytest.raises(ToolError, match=r"the tag 'v1' was not made: .*already exists"):
            make_tag(repository, "v1", "HEAD", "again\n")


def test_the_newest_tag_before_a_commit_is_found_by_its_pattern(project: Project) -> None:
    with open_repository(project.root) as repository:
        make_tag(repository, "v1", "HEAD", "one\n")
        make_tag(repository, "greet@v1.0.0", "HEAD", "one\n")
        project.commit()
        head = project.commit()
        assert newest_tag(repository, "*", head, without="@v") == "v1"
        assert newest_tag(repository, "greet@v*", head) == "greet@v1.0.0"
        assert newest_tag(repository, "other@v*", head) is None


def test_a_version_is_tagged_with_its_hashes_and_what_changed(project: Project, ps: Script) -> None:
    assert ps("tag", "greet").out.startswith("greet@v1.0.0  ")
    text = (project.root / "prompts/greet.yaml").read_text()
    project.write("prompts/greet.yaml", text.replace("Say hello", "Shout hello").replace("1.0.0", "1.1.0"))
    project.commit("Louder <b>")
    assert ps("tag", "greet").code == 0
    message = project.git("cat-file", "-p", "greet@v1.1.0")
    assert "\ngreet 1.1.0\n" in message
    assert "Louder <b> (Ada Lovelace" in message
    assert f"Behavior: {ps('show', 'greet', '--json').json['identity']['behavior']}" in message
    assert "Variant short: p1:" in message
    assert ps("show", "greet@v1.0.0", "--json").json["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tag", "greet"], "the tag 'greet@v1.0.0' is on this commit already"),
        (["tag", "support/triage"], "support/triage has no version"),
        (["tag", "greet:short"], "a tag is for a whole prompt file"),
        (["release", "--", "-x"], "cannot be the name of a tag"),
        (["release", "greet@v1.0.0"], "is on this commit already"),
    ],
)
def test_a_tag_that_cannot_be_made_says_why(project: Project, ps: Script, arguments: list[str], says: str) -> None:
    assert ps("tag", "greet").code == 0
    done = ps(*arguments)
    assert done.code == 2
    assert says in done.err


def test_a_release_lists_every_prompt_and_what_changed_since_the_last_one(project: Project, ps: Script) -> None:
    assert ps("release", "v1").code == 0
    text = (project.root / "prompts/greet.yaml").read_text()
    project.write("prompts/greet.yaml", text.replace("mood:", "tone:").replace("{{ mood", "{{ tone"))
    project.commit("Mood is tone")
    dry = ps("release", "v2", "--dry-run", "--json").json[0]["message"]
    assert dry.startswith("Release v2\n\nSince v1:\nMAJOR")
    assert "inputs.mood: renamed to tone" in dry
    assert [line.split()[0] for line in dry.partition("Prompts:\n")[2].splitlines()] == [
        "ar/welcome",
        "greet",
        "support/triage",
    ]
    assert project.git("tag").split() == ["v1"]
