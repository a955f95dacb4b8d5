"""`ps search`: what it prints."""

from __future__ import annotations

import json

import pytest

from promptstudio.cli.dispatch import dispatch
from tests.conftest import Project


def test_found_prompts_are_shown_with_the_words_marked(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["search", "ticket"], "ps") == 0
    assert capsys.readouterr().out == (
        "support/triage  [support]\n    description: Classify a »ticket«.\n    text: You triage »ticket«s.\n"
    )


def test_a_prompt_found_by_its_name_shows_what_it_is_for(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["search", "--in", "name", "gree"], "ps") == 0
    assert capsys.readouterr().out == "greet  [demo]\n    Greet someone by name.\n"


def test_arabic_is_found_and_printed_as_it_is_written(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["search", "المستخدم"], "ps") == 0
    assert capsys.readouterr().out == "ar/welcome  [demo, arabic]\n    description: ترحيب »بالمستخدم«\n"


def test_control_characters_do_not_reach_the_terminal(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("prompts/evil.yaml", 'description: "evil \\e[2J \\u202e word"\ntags: ["\\a"]\nprompt: x\n')
    assert dispatch(["search", "evil"], "ps") == 0
    out = capsys.readouterr().out
    assert "\\x1b[2J \\u202e" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_json_has_the_marks(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["search", "greet", "--json", "-n", "1"], "ps") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["name"] == "greet"
    assert found["path"] == "prompts/greet.yaml"
    description = next(match for match in found["matches"] if match["field"] == "description")
    assert [description["text"][start:end] for start, end in description["marks"]] == ["Greet"]


def test_what_is_not_shown_is_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("prompts/broken.yaml", "prompt: [demo\n")
    assert dispatch(["search", "demo", "-n", "1"], "ps") == 0
    out, err = capsys.readouterr()
    assert out.count("[demo") == 1
    assert "… and 1 more; -n 2 shows all" in err
    assert "cannot be read: prompts/broken.yaml" in err
    assert dispatch(["search", "nowhere"], "ps") == 0
    assert "no prompt has 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["search", ""], ["search", '""'], ["search", "  "], ["search"], ["search", "a", "--in", "x"]]
)
def test_a_search_without_words_is_refused(
    project: Project, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(words, "ps") == 2
