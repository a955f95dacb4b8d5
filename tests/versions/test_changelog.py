"""`ps changelog`: what changed between two commits, by weight, with the commits that did it."""

from __future__ import annotations

import json
import re

import pytest

from promptstudio.cli.dispatch import dispatch
from promptstudio.versions.changelog import changelog_between, changelog_json, changelog_lines, markdown_lines
from promptstudio.versions.repo import open_repository
from tests.conftest import GREET, TRIAGE, WELCOME, Project


@pytest.fixture
def story(project: Project) -> Project:
    """Four commits on top of the sample: a partial too, and a subject that tries to mean something."""
    project.write("prompts/greet.yaml", GREET.replace("1.0.0", "1.0.1").replace("by name.", "politely."))
    project.commit("Say it politely")
    project.write("prompts/support/triage.yaml", TRIAGE.replace("20000", "500"))
    project.commit("Tighten @everyone <b>x</b> | `code` \x1b[31m [l](http://x)")
    project.write("prompts/_tone.md", "Be kind.\n")
    project.write("prompts/ar/welcome.yaml", WELCOME.replace('prompt: "', "prompt: \"{% include '_tone.md' %} "))
    project.commit("Be kind")
    project.write("prompts/_tone.md", "Be very kind.\n")
    project.commit("لطيف جدًا")
    return project


def test_it_is_grouped_by_weight_with_reasons_and_commits(story: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["changelog", "HEAD~4..HEAD"], "ps") == 0

    lines = capfd.readouterr().out.splitlines()
    headings = [line.split(":")[0] for line in lines if line and not line.startswith(" ")]
    assert headings == ["MAJOR", "MINOR", "PATCH"]
    assert lines[1:3] == ["  support/triage", "    inputs.ticket: maxLength 20000 → 500"]
    assert "  greet  1.0.0 → 1.0.1" in lines
    assert [re.sub(r", \d{4}.*", "", line) for line in lines if "kind" in line or "لطيف" in line] == [
        "    - لطيف جدًا (Ada Lovelace", "    - Be kind (Ada Lovelace",
    ]  # fmt: skip
    assert "\\x1b[31m" in "\n".join(lines)
    assert "\x1b" not in "\n".join(lines)


def test_one_prompt_alone_and_json(story: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["changelog", "HEAD~4", "greet", "--json"], "ps") == 0

    found = json.loads(capfd.readouterr().out)
    assert [len(found["changes"][level]) for level in ("MAJOR", "MINOR", "PATCH", "NONE", "ERROR")] == [0, 0, 1, 0, 0]
    (entry,) = found["changes"]["PATCH"]
    assert entry["version"] == {"from": "1.0.0", "to": "1.0.1"}
    assert [commit["subject"] for commit in entry["commits"]] == ["Say it politely"]


def test_markdown_keeps_subjects_in_code(story: Project) -> None:
    with open_repository(story.root) as repository:
        ends = repository.commit_of("HEAD~4"), repository.commit_of("HEAD")
        log = changelog_between(repository, *ends, story.settings())

    text = "\n".join(markdown_lines(log))
    assert not re.search(r"@everyone|<b>x|\x1b|\]\(http", text)
    assert "Tighten &#64;everyone &#60;b&#62;x&#60;/b&#62; &#124; &#96;code&#96;" in text
    assert text.count("### ") == 3


def test_nothing_between_is_said(story: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["changelog", "HEAD..HEAD"], "ps") == 0
    assert capfd.readouterr() == ("", "HEAD → HEAD: no prompt differs\n")
    assert dispatch(["changelog", "HEAD..HEAD", "greet"], "ps") == 0
    assert capfd.readouterr().err == "HEAD → HEAD: no prompt differs\n"


def test_renamed_deleted_new_and_unreadable_prompts_are_entries(story: Project) -> None:
    story.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    story.git("rm", "-q", "prompts/support/triage.yaml")
    story.write("prompts/fresh.yaml", "prompt: A text of its own.\n")
    story.write("prompts/ar/welcome.yaml", "prompt: [broken\n")
    story.commit("A great move")
    with open_repository(story.root) as repository:
        ends = repository.commit_of("HEAD~1"), repository.commit_of("HEAD")
        log = changelog_between(repository, *ends, story.settings())

    found = {entry.name: (entry.level, entry.status) for entry in log.entries}
    assert found == {
        "hello": ("PATCH", "moved"), "support/triage": ("MAJOR", "deleted"), "fresh": ("MINOR", "new"),
        "ar/welcome": ("ERROR", "unreadable"),
    }  # fmt: skip
    assert all(len(entry.commits) == 1 for entry in log.entries)
    assert "ERROR: cannot be read" in list(changelog_lines(log))
    assert changelog_json(log)["changes"]["ERROR"][0]["error"]


@pytest.mark.parametrize(("words", "fact"), [(("nope..HEAD",), "'nope'"), (("HEAD..-x",), "begins with `-`")])
def test_a_revision_that_is_none_is_an_error(
    story: Project, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], fact: str
) -> None:
    assert dispatch(["changelog", *words], "ps") == 2
    assert fact in capfd.readouterr().err
