"""The next version of a prompt, by what changed since the last one; and the file, with only that line changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from promptstudio.cli.dispatch import dispatch
from promptstudio.errors import UsageError
from promptstudio.versions.bump import Bump, next_version, plan_bump, raised_level, version_numbers
from promptstudio.versions.repo import open_repository

if TYPE_CHECKING:
    from tests.conftest import Outcome, Project, Script

BROKEN = ("  name: string, who is greeted\n", "  name: string, who is greeted\n  age: integer\n")
BEHAVES = ("Say hello to", "Shout hello to")
WORDS = ("Greet someone by name.", "Greet anyone by name.")
LAYOUT = ("tags: [demo]\n", "# a comment\ntags:\n  - demo\n")


def changed(project: Project, *changes: tuple[str, str]) -> None:
    text = (project.root / "prompts/greet.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    if changes[0] is BROKEN:
        text = text.replace("{{ name }}", "{{ name }} ({{ age }})")
    project.write("prompts/greet.yaml", text)


def planned(project: Project, level: str | None = None) -> Bump:
    with open_repository(project.root) as repository:
        path = project.root / "prompts/greet.yaml"
        return plan_bump(path, project.settings(), repository, level)  # type: ignore[arg-type]


@pytest.mark.parametrize(("change", "new"), [(BROKEN, "2.0.0"), (BEHAVES, "1.1.0"), (WORDS, "1.0.1"), (LAYOUT, None)])
@pytest.mark.parametrize("committed", [True, False])
def test_what_changed_since_the_last_version_says_what_the_next_one_is(
    project: Project, change: tuple[str, str], new: str | None, committed: bool
) -> None:
    changed(project, change)
    if committed:
        project.commit()
    assert planned(project).new == new


def test_all_changes_since_the_last_version_count_together(project: Project) -> None:
    changed(project, BROKEN)
    project.commit()
    changed(project, WORDS)
    assert planned(project).new == "2.0.0"


def test_the_count_starts_again_at_each_version(project: Project) -> None:
    changed(project, BROKEN, ("version: 1.0.0", "version: 2.0.0"))
    project.commit()
    assert planned(project).new is None
    changed(project, WORDS)
    assert planned(project).new == "2.0.1"


def test_a_version_that_was_raised_enough_already_stays(project: Project) -> None:
    changed(project, BEHAVES, ("version: 1.0.0", "version: 1.1.0"))
    assert planned(project).new is None
    changed(project, ("version: 1.1.0", "version: 1.0.1"))
    assert planned(project).new == "1.1.0"


def test_a_changed_include_counts(project: Project) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.\n")
    project.write("prompts/greet.yaml", "version: 1.5.0\nprompt: '{% include \"_partials/tone.md\" %}'\n")
    project.commit()
    project.write("prompts/_partials/tone.md", "Be strict.\n")
    assert planned(project).new == "1.6.0"


def test_a_renamed_file_keeps_its_history(project: Project) -> None:
    changed(project, BEHAVES)
    project.commit()
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    project.commit()
    with open_repository(project.root) as repository:
        assert plan_bump(project.root / "prompts/hello.yaml", project.settings(), repository, None).new == "1.1.0"


def test_a_prompt_without_a_version_starts_at_one(project: Project) -> None:
    changed(project, ("version: 1.0.0\n", ""))
    assert planned(project).new == "1.0.0"
    assert planned(project, "minor").new == "1.0.0"


@pytest.mark.parametrize(
    ("old", "level", "new"),
    [
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
        ("0.9.9", "major", "1.0.0"),
    ],
)
def test_a_level_raises_its_number_and_resets_those_behind_it(old: str, level: str, new: str) -> None:
    assert next_version(old, level) == new  # type: ignore[arg-type]
    assert raised_level(old, new) == level
    assert raised_level(new, old) is None


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.3.4", "٣.١.٢", ""])
def test_what_is_no_version_of_three_numbers_is_refused(version: str) -> None:
    with pytest.raises(UsageError):
        version_numbers(version)


def test_the_command_changes_the_version_and_nothing_else(project: Project, ps: Script) -> None:
    text = "# head comment\nversion: '1.0.0'   # kept by ps bump\n\nprompt: >-\n   odd   layout\nmodel: offline/echo\n"
    project.write("prompts/odd.yaml", text)
    project.commit()
    done: Outcome = ps("bump", "odd", "minor")
    assert (done.code, done.out) == (0, "odd: 1.0.0 → 1.1.0: minor, as asked\n")
    assert (project.root / "prompts/odd.yaml").read_text() == text.replace("1.0.0", "1.1.0")
    done = ps("bump", "--auto", "odd", "greet", "--json")
    assert [(row["prompt"], row["old"], row["new"], row["verdict"]) for row in done.json] == [
        ("odd", "1.1.0", None, "NONE"),
        ("greet", "1.0.0", None, "NONE"),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which prompt?"),
        (["greet:short"], "a version belongs to a whole file"),
        (["greet", "--all"], "--all goes with auto alone"),
        (["greet", "minor", "--auto"], "--auto and minor are different ways"),
        (["gret"], "did you mean 'greet'?"),
    ],
)
def test_a_bump_of_nothing_says_what_to_do(project: Project, ps: Script, arguments: list[str], says: str) -> None:
    done = ps("bump", *arguments)
    assert done.code == 2
    assert says in done.err


def test_a_file_of_github_models_gets_no_key_of_ours(project: Project) -> None:
    text = "name: A Title\nmodel: openai/gpt-4o\nmodelParameters: {}\nmessages: [{role: user, content: hi}]\n"
    path = project.write("prompts/title.prompt.yml", text)
    project.commit()
    assert dispatch(["bump", "title"], "ps") == 0
    assert dispatch(["bump", "--all"], "ps") == 0
    assert dispatch(["bump", "title", "minor"], "ps") == 2
    assert path.read_text() == text
