"""PromptLayer templates: f-string and Jinja texts, parts, placeholders, the model in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from promptstudio.errors import PromptFileError
from promptstudio.exchange.promptlayer import IMPORTER
from promptstudio.types import Media
from tests.exchange.foreign_files import Desk, damaged, losses, survives, unnoticed_keys, unnoticed_leaves


def text_part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


CHAT: dict[str, Any] = {
    "id": 12,
    "prompt_name": "support/ردود",
    "version": 3,
    "commit_message": "First",
    "tags": ["support"],
    "release_labels": ["prod"],
    "snippets": [{"name": "x"}],
    "metadata": {
        "model": {
            "provider": "openai",
            "name": "gpt-4o",
            "parameters": {
                "temperature": 0.5,
                "seed": None,
                "api_key": "sk-secret",
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "answer",
                        "schema": {"type": "object", "properties": {"a": {"type": "string"}}},
                    },
                },
            },
        },
        "owner": "team-a",
    },
    "llm_kwargs": {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]},
    "prompt_template": {
        "type": "chat",
        "input_variables": ["customer", "question", "never"],
        "messages": [
            {
                "role": "system",
                "input_variables": ["customer"],
                "template_format": "f-string",
                "content": [text_part('Dear {customer}: {{"json": 1}}')],
                "name": "sys",
            },
            {"role": "placeholder", "name": "turns", "content": [text_part("x")]},
            {
                "role": "user",
                "template_format": "jinja2",
                "content": [
                    text_part("{% if question %}\nسؤال: {{ question }}\n{% endif %}\n"),
                    {"type": "image_url", "image_url": {"url": "{{ photo }}", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg"}},
                    {"type": "image_url", "image_url": {"url": ""}, "image_variable": "pictures"},
                    {"type": "thinking", "thinking": "hm"},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
            {"role": "tool", "content": [text_part("42")], "tool_call_id": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "auto",
    },
}
COMPLETION = {
    "prompt_name": "poet",
    "prompt_template": {
        "type": "completion",
        "template_format": "f-string",
        "content": [text_part("שיר על {topic}\n")],
    },
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, IMPORTER, "template.json")


def test_a_chat_template_is_carried_over(desk: Desk) -> None:
    result = desk.read(CHAT)
    prompt = desk.prompt(result)
    picture = "https://example.org/b.png"
    values = {"customer": "سلمى", "question": "{x}", "photo": picture, "pictures": picture, **desk.samples(result)}
    messages = desk.rendered(result, turns=[{"role": "assistant", "content": "قبل"}], **values)

    assert [(message.role, message.text) for message in messages] == [
        ("system", 'Dear سلمى: {"json": 1}'),
        ("assistant", "قبل"),
        ("user", "\nسؤال: {x}\n"),
    ]
    assert messages[2].parts[2].media == Media("image/jpeg", url="https://example.org/a.jpg", name="a.jpg")
    assert result.made[0].name == "support/ردود.yaml"
    assert prompt.model == "openai/gpt-4o"
    assert dict(prompt.parameters) == {"temperature": 0.5}
    assert prompt.output is not None
    assert prompt.output.name == "answer"
    assert prompt.tags == ("support",)
    assert prompt.metadata == {
        "promptlayer": {"version": 3, "commit_message": "First", "labels": ["prod"]},
        "owner": "team-a",
        "samples": {"image_1": "https://example.org/a.jpg"},
    }
    assert "sk-secret" not in result.made[0].text


def test_what_a_prompt_file_cannot_hold_is_named(desk: Desk) -> None:
    lost = losses(desk.read(CHAT))
    template = "prompt_template"

    assert {key for key, severity in lost.items() if severity == "dropped"} == {
        "id",
        "snippets",
        "llm_kwargs",
        "metadata.model.parameters.api_key",
        f"{template}.input_variables[2]",
        f"{template}.messages[0].name",
        f"{template}.messages[1].content",
        f"{template}.messages[2].content[1].image_url.detail",
        f"{template}.messages[2].content[4]",
        f"{template}.messages[3].tool_calls",
        f"{template}.messages[3]",
        f"{template}.messages[4]",
        f"{template}.tools[0]",
        f"{template}.tool_choice",
    }
    assert {key for key, severity in lost.items() if severity == "changed"} == {
        "release_labels",
        f"{template}.messages[2].content[2].image_url.url",
        f"{template}.messages[2].content[3].image_variable",
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Hi {name}, {{braces}} {other}!", {"name": "Ada", "other": "{{x}}"}),
        ("{{% not a tag %}} {{{{ {name} }}}}", {"name": "نور"}),
        ("\n  {name}\n\n", {"name": "{% if %}"}),
        ("", {}),
    ],
)
def test_f_strings_mean_what_python_makes_of_them(desk: Desk, text: str, values: dict[str, str]) -> None:
    template = {"type": "completion", "template_format": "f-string", "content": [text_part(text)]}

    assert desk.said({"prompt_template": template}, **values) == [("user", text.format(**values))]


def test_a_completion_and_a_bare_template_are_read(desk: Desk) -> None:
    assert desk.said(COMPLETION, topic="ים") == [("user", "שיר על ים\n")]
    assert desk.said(COMPLETION["prompt_template"], topic="ים") == [("user", "שיר על ים\n")]
    assert desk.read(COMPLETION).made[0].name == "poet.yaml"


def test_a_snippet_is_named_because_its_text_is_elsewhere(desk: Desk) -> None:
    template = {"type": "completion", "content": [text_part("@@@tone@@@ go")]}

    assert losses(desk.read({"prompt_template": template})) == {"prompt_template.content[0].text": "dropped"}


@pytest.mark.parametrize(
    ("value", "sure"),
    [
        (CHAT, True),
        (COMPLETION, True),
        (CHAT["prompt_template"], True),
        ({"messages": [{"role": "user", "content": "x"}]}, False),
        ({"type": "chat", "name": "x", "prompt": []}, False),
        ({"_type": "chat", "messages": []}, False),
        ([CHAT], False),
    ],
)
def test_it_claims_its_own_files_and_nothing_else(desk: Desk, value: Any, sure: bool) -> None:
    assert (desk.confidence(value) > 0) is sure


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"type": "voice"}, "prompt_template.type: found the text 'voice'"),
        ({"type": "chat"}, "prompt_template: missing key 'messages'"),
        ({"type": "chat", "messages": []}, "there is no message in it"),
        ({"type": "completion", "content": [text_part("{")]}, "not a Python format string"),
        ({"type": "completion", "content": [text_part("{0}")]}, "has no name"),
        ({"type": "completion", "template_format": "jinja2", "content": [text_part("{% if %}")]}, "template.json"),
        ({"type": "completion", "template_format": "handlebars", "content": []}, "found the text 'handlebars'"),
        ({"type": "completion", "content": [{"text": "x"}]}, "missing key 'type'"),
    ],
)
def test_a_broken_template_is_an_error_with_its_place(desk: Desk, template: Any, said: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        desk.read({"prompt_template": template})

    assert said in str(caught.value)


def test_every_key_is_carried_or_named(desk: Desk) -> None:
    assert unnoticed_keys(desk, CHAT) == set()
    # Where `image_variable` says what is put in, the address beside it is never looked at there either.
    assert unnoticed_leaves(desk, CHAT) == {"prompt_template.messages[2].content[3].image_url.url"}
    assert unnoticed_leaves(desk, COMPLETION) == set()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(CHAT))
def test_damaged_templates_give_a_prompt_or_an_error(desk: Desk, value: Any) -> None:
    survives(desk, json.dumps(value))
