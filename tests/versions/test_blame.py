"""Who last changed each field: its value, not its layout, its quotes, or its place in a list."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from promptstudio.errors import NotFoundError, PromptFileError, UsageError
from promptstudio.versions.blame import Blame
from promptstudio.versions.fields import corresponding, fields_of
from promptstudio.versions.repo import open_repository
from promptstudio.versions.when import commit_at, time_of
from tests.conftest import GREET, Project
from tests.versions.conftest import BEGIN_S, HOUR_S, Commits

Look = Callable[..., Blame]
BEGIN = "The sample project"


def blamed(found: Blame) -> dict[str, str | None]:
    return {line.field: line.commit.subject if line.commit else None for line in found.lines}


CHAT = """\
model: offline/echo
inputs:
  name: {type: string, maxLength: 20}
messages:
  - role: system
    content: You greet people politely and briefly.
  - role: user
    content: "Greet {{ name }} now."
parameters: {temperature: 0.2}
"""


def test_a_field_is_blamed_on_the_commit_that_changed_its_value(
    project: Project, commit: Commits, blame_of: Look
) -> None:
    project.write("prompts/chat.yaml", CHAT)
    commit("Begin")
    project.write("prompts/chat.yaml", CHAT.replace("0.2", "0.7"))
    commit("Warmer", by="Grace Hopper")
    project.write("prompts/chat.yaml", CHAT.replace("0.2", "0.7").replace("briefly", "at length"))
    commit("Longer")
    assert blamed(blame_of("chat")) == {
        "model": "Begin",
        "inputs.name.type": "Begin",
        "inputs.name.maxLength": "Begin",
        "messages[0].role": "Begin",
        "messages[0].content": "Longer",
        "messages[1].role": "Begin",
        "messages[1].content": "Begin",
        "parameters.temperature": "Warmer",
    }
    assert blame_of("chat") == blame_of("chat")


# How the same values can be written otherwise: nobody is blamed for any of these.
LAYOUTS = {
    "another order of keys": CHAT.replace("parameters: {temperature: 0.2}\n", "").replace(
        "model: offline/echo\n", "parameters: {temperature: 0.2}\nmodel: offline/echo\n"
    ),
    "quotes": CHAT.replace("offline/echo", "'offline/echo'"),
    "comments": CHAT.replace("inputs:", "# who\ninputs:"),
    "blocks instead of braces": CHAT.replace("{temperature: 0.2}", "\n  temperature: 0.2"),
    "a literal block": CHAT.replace("content: You", "content: |\n      You"),
    "the short form": (
        "model: offline/echo\ninputs:\n  name: {type: string, maxLength: 20}\n"
        "system: You greet people politely and briefly.\nprompt: Greet {{ name }} now.\n"
        "parameters: {temperature: 0.2}\n"
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nobody_is_blamed_for_layout(project: Project, commit: Commits, blame_of: Look, layout: str) -> None:
    project.write("prompts/chat.yaml", CHAT)
    commit("Begin")
    assert LAYOUTS[layout] != CHAT
    project.write("prompts/chat.yaml", LAYOUTS[layout])
    assert set(blamed(blame_of("chat")).values()) == {"Begin"}
    commit(layout)
    assert set(blamed(blame_of("chat")).values()) == {"Begin"}


def test_one_line_inputs_mean_what_their_maps_mean(project: Project, commit: Commits, blame_of: Look) -> None:
    project.write("prompts/p.yaml", "inputs:\n  name: string?, who is greeted\nprompt: Hi {{ name }}\n")
    commit("Begin")
    wide = "inputs:\n  name: {type: string, required: false, description: who is greeted}\nprompt: Hi {{ name }}\n"
    project.write("prompts/p.yaml", wide)
    commit("Wide")
    assert set(blamed(blame_of("p")).values()) == {"Begin"}
    project.write("prompts/p.yaml", "inputs:\n  name: string?, who is met\nprompt: Hi {{ name }}\n")
    commit("Reworded")
    assert blamed(blame_of("p")) == {"inputs.name": "Reworded", "prompt": "Begin"}


def test_an_item_keeps_its_history_when_it_moves_in_its_list(project: Project, commit: Commits, blame_of: Look) -> None:
    project.write("prompts/chat.yaml", CHAT)
    commit("Begin")
    inserted = CHAT.replace("messages:\n", "messages:\n  - role: system\n    content: Never lie.\n")
    project.write("prompts/chat.yaml", inserted)
    commit("Never lie")
    found = blamed(blame_of("chat"))
    assert found["messages[0].content"] == "Never lie"
    assert {found["messages[1].content"], found["messages[2].content"], found["messages[2].role"]} == {"Begin"}
    project.write("prompts/chat.yaml", inserted.replace("briefly", "shortly"))
    commit("Shortly")
    found = blamed(blame_of("chat"))
    assert found["messages[1].content"] == "Shortly"
    assert found["messages[1].role"] == "Begin"
    assert found["messages[0].content"] == "Never lie"


def test_items_of_a_long_list_keep_their_history_when_one_is_put_before_them() -> None:
    items = [{"inputs": {"name": f"Name {number}"}, "output": "Hi"} for number in range(80)]
    new, old = (
        fields_of({"examples": [{"inputs": {"name": "New"}, "output": "Hi"}, *items]}),
        fields_of({"examples": items}),
    )
    matched = corresponding(new, old)
    assert matched[("examples", 1, "inputs", "name")] == ("examples", 0, "inputs", "name")
    assert len(matched) == 160


def test_true_is_not_one_and_a_list_is_one_value() -> None:
    new = fields_of({"metadata": {"a": True, "b": [1, 2], "c": []}})
    assert list(new.leaves) == [("metadata", "a"), ("metadata", "b"), ("metadata", "c")]
    old = fields_of({"metadata": {"a": 1, "b": [1, 2.0], "c": []}})
    assert list(corresponding(new, old)) == [("metadata", "c")]


def test_renames_are_followed_and_merges_blame_the_side_that_changed(
    project: Project, commit: Commits, blame_of: Look
) -> None:
    project.git("checkout", "-q", "-b", "side")
    project.write("prompts/greet.yaml", GREET.replace("tags: [demo]", "tags: [demo, side]"))
    commit("Side")
    project.git("checkout", "-q", "main")
    project.write("prompts/greet.yaml", GREET.replace("Say", "Shout"))
    commit("Main")
    subprocess.run(["git", "merge", "-q", "--no-edit", "side"], cwd=project.root, check=True)
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    commit("Rename")
    found = blamed(blame_of("hello"))
    assert found["tags"] == "Side"
    assert found["prompt"] == "Main"
    assert found["model"] == BEGIN


def test_what_is_not_committed_says_so(project: Project, blame_of: Look) -> None:
    project.write("prompts/greet.yaml", GREET.replace("Say", "Shout"))
    found = blamed(blame_of())
    assert found["prompt"] is None
    assert found["model"] == BEGIN
    assert blamed(blame_of(start=project.git("rev-parse", "HEAD").strip()))["prompt"] == BEGIN
    project.write("prompts/new.yaml", "prompt: Hi\n")
    assert blamed(blame_of("new")) == {"prompt": None}
    project.git("checkout", "-q", "--orphan", "empty")
    assert set(blamed(blame_of()).values()) == {None}
    assert blame_of().notes == ("nothing is committed yet",)


def test_a_version_that_cannot_be_read_is_passed_over(project: Project, commit: Commits, blame_of: Look) -> None:
    project.write("prompts/greet.yaml", f"<<<<<<< HEAD\n{GREET}=======\n{GREET}>>>>>>> side\n")
    broken = commit("Conflict")
    project.write("prompts/greet.yaml", GREET)
    commit("Solved")
    assert set(blamed(blame_of()).values()) == {BEGIN}
    with pytest.raises(PromptFileError, match="conflict marker"):
        blame_of(start=broken)
    project.write("prompts/greet.yaml", "a: [\n")
    with pytest.raises(PromptFileError, match=r"prompts/greet\.yaml:2"):
        blame_of()


def test_a_file_that_came_back_is_new(project: Project, commit: Commits, blame_of: Look) -> None:
    (project.root / "prompts/greet.yaml").unlink()
    gone = commit("Removed")
    project.write("prompts/greet.yaml", GREET)
    commit("Back")
    assert set(blamed(blame_of()).values()) == {"Back"}
    with pytest.raises(NotFoundError, match="not in this commit"):
        blame_of(start=gone)


def test_files_a_prompt_reads_are_listed_with_their_last_change(
    project: Project, commit: Commits, blame_of: Look
) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.")
    project.write("prompts/p.yaml", "prompt: \"{% include '_partials/tone.md' %}\"\n")
    commit("Begin")
    project.write("prompts/_partials/tone.md", "Be strict.")
    commit("Strict")
    project.write("prompts/p.yaml", "prompt: \"Now {% include '_partials/tone.md' %}\"\n")
    commit("Now")
    assert blamed(blame_of("p")) == {"prompt": "Now", "file prompts/_partials/tone.md": "Strict"}
    project.write("prompts/_partials/tone.md", "Be rude.")
    assert blamed(blame_of("p"))["file prompts/_partials/tone.md"] is None


def test_a_shallow_clone_says_that_a_field_may_be_older(
    project: Project, commit: Commits, blame_of: Look, tmp_path: Path
) -> None:
    project.write("README", "x")
    commit("Unrelated")
    source, target = f"file://{project.root}", str(tmp_path / "shallow")
    subprocess.run(["git", "clone", "-q", "--depth", "1", source, target], check=True)
    found = blame_of(root=tmp_path / "shallow")
    assert all(line.is_cut for line in found.lines)
    assert "may be older" in found.notes[0]


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01T10:00Z", "2026-11-01T10:00:00+00:00"),
        ("2026-11-01T10:00+03:00", "2026-11-01T07:00:00+00:00"),
        ("2026-11-01 10:00:30.5Z", "2026-11-01T10:00:30.500000+00:00"),
        ("now", "2026-11-21T12:00:00+00:00"),
        ("7d", "2026-11-14T12:00:00+00:00"),
        ("2 weeks ago", "2026-11-07T12:00:00+00:00"),
        ("90 minutes ago", "2026-11-21T10:30:00+00:00"),
    ],
)
def test_a_time_means_one_moment(text: str, moment: str) -> None:
    assert time_of(text, NOW).isoformat() == moment


def test_a_day_begins_at_midnight_here() -> None:
    assert time_of("2026-11-01", NOW).astimezone().strftime("%Y-%m-%d %H:%M") == "2026-11-01 00:00"
    assert time_of("yesterday", NOW).astimezone().strftime("%H:%M") == "00:00"


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "--all", "99999999d", "2026-11-01T10:00Q", "last tuesday"])
def test_what_is_no_time_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="is no time") as raised:
        time_of(text, NOW)
    assert "2026-11-01T10:00Z" in (raised.value.hint or "")


def test_the_commit_of_a_moment_is_on_the_line_of_first_parents(project: Project, commit: Commits) -> None:
    project.write("a", "1")
    first = commit("First")
    project.git("checkout", "-q", "-b", "side")
    project.write("b", "1")
    commit("Side")
    project.git("checkout", "-q", "main")
    project.git("merge", "-q", "--no-ff", "--no-commit", "side")
    merge = commit("Merge")
    with open_repository(project.root) as repository:
        for hours, expected in ((0.5, first), (1.5, first), (2.5, merge)):
            assert commit_at(repository, datetime.fromtimestamp(BEGIN_S + hours * HOUR_S, UTC)) == expected
        with pytest.raises(NotFoundError, match="there was no commit yet"):
            commit_at(repository, datetime(1999, 1, 1, tzinfo=UTC))
