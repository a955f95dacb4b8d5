"""OpenAI chat JSON: requests become prompts whose text is literal, and prompts become requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from promptstudio.errors import PromptFileError
from promptstudio.exchange.openai_chat import EXPORTER, IMPORTER
from promptstudio.exchange.schema import ExportRequest
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.load import load_file
from promptstudio.prompts.render import render_messages
from promptstudio.types import Media, Message, Part
from tests.exchange.foreign_files import Desk, damaged, losses, survives, unnoticed_keys, unnoticed_leaves

REQUEST: dict[str, Any] = {
    "model": "gpt-4.1-mini",
    "temperature": 0.2,
    "max_completion_tokens": 300,
    "stop": ["END"],
    "stream": True,
    "user": "u1",
    "metadata": {"team": "support"},
    "messages": [
        {"role": "developer", "content": 'Answer in JSON such as {{"a": 1}}.\n', "name": "rules"},
        {"role": "user", "content": "ما هي العاصمة؟ {% raw %} {# no comment #}"},
        {"role": "assistant", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two {{ x }}"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "מה בתמונה?"},
                {"type": "image_url", "image_url": {"url": "https://example.org/cat.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRiQAAABXQVZFZm10IA==", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "42"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "capital",
            "strict": True,
            "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    },
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, IMPORTER, "request.json")


def test_text_is_literal_whatever_it_looks_like(desk: Desk) -> None:
    texts = [
        "{{ name }}",
        "{% if x %}",
        "{# c #}",
        "a\n",
        "\n\nb",
        "{",
        "}}",
        "{{{",
        "{%",
        "שלום {{",
        "tab\there",
        "  x  ",
    ]

    said = desk.said({"model": "gpt-4o", "messages": [{"role": "user", "content": text} for text in texts]})

    assert said == [("user", text) for text in texts]


def test_a_whole_request_is_carried_over(desk: Desk) -> None:
    result = desk.read(REQUEST)
    prompt = desk.prompt(result)
    case = desk.samples(result)
    messages = desk.rendered(result, **case)

    assert [message.role for message in messages] == ["developer", "user", "assistant", "user"]
    assert messages[0].text == 'Answer in JSON such as {{"a": 1}}.\n'
    assert messages[1].text == "ما هي العاصمة؟ {% raw %} {# no comment #}"
    assert messages[2].parts == (Part("text", "one"), Part("text", "two {{ x }}"))
    assert [part.kind for part in messages[3].parts] == ["text", "image", "audio", "file"]
    assert messages[3].parts[1].media == Media("image/png", url="https://example.org/cat.png", name="cat.png")
    assert prompt.model == "openai/gpt-4.1-mini"
    assert dict(prompt.parameters) == {"temperature": 0.2, "max_completion_tokens": 300, "stop": ["END"], "user": "u1"}
    assert prompt.output is not None
    assert prompt.output.name == "capital"
    assert prompt.metadata == {"team": "support"}


def test_what_a_prompt_file_cannot_hold_is_named(desk: Desk) -> None:
    lost = losses(desk.read(REQUEST))

    assert {key for key, severity in lost.items() if severity == "dropped"} == {
        "stream",
        "messages[0].name",
        "messages[3].content[1].image_url.detail",
        "messages[3].content[3].file.filename",
        "messages[3].content[4]",
        "messages[4].tool_calls",
        "messages[4]",
        "messages[5]",
        "tools[0]",
        "tool_choice",
        "response_format.json_schema.strict",
    }


def test_a_loss_knows_its_line(desk: Desk) -> None:
    text = '{\n  "model": "gpt-4o",\n  "wrong":\n    1,\n  "messages": [\n    {"role": "user", "content": "x"}\n  ]\n}'

    (loss,) = desk.read(text).losses

    assert (loss.file, loss.key, loss.line) == ("request.json", "wrong", 3)


def test_a_bare_list_of_messages_and_a_line_of_a_batch_are_requests_too(desk: Desk) -> None:
    messages = [{"role": "system", "content": "كن موجزًا"}, {"role": "user", "content": "hi"}]

    assert desk.said(messages) == [("system", "كن موجزًا"), ("user", "hi")]
    batch = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": messages}}
    assert desk.said(batch) == [("system", "كن موجزًا"), ("user", "hi")]
    assert losses(desk.read(batch)).keys() == {"custom_id", "method", "url"}


def test_a_message_with_nothing_in_it_is_a_loss_and_an_empty_text_is_none(desk: Desk) -> None:
    result = desk.read([{"role": "user", "content": []}, {"role": "user", "content": ""}])

    assert desk.rendered(result) == (Message.of("user", ""),)
    assert losses(result) == {"[0]": "dropped"}


def test_json_without_a_schema_is_a_loss_and_text_is_none(desk: Desk) -> None:
    request = {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_object"}}

    assert losses(desk.read(request)) == {"response_format": "dropped"}
    assert losses(desk.read({**request, "response_format": {"type": "text"}})) == {}


@pytest.mark.parametrize(
    ("value", "sure"),
    [
        ({"model": "x", "messages": [{"role": "user", "content": "x"}]}, True),
        ({"messages": [{"role": "user", "content": "x"}]}, True),
        ([{"role": "user", "content": "x"}], True),
        ({"prompt": "x", "type": "text", "name": "y"}, False),
        ({"prompt_template": {"type": "chat", "messages": []}}, False),
        ({"_type": "prompt", "template": "x"}, False),
        ({"type": "chat", "messages": [{"role": "user", "template_format": "f-string", "content": []}]}, False),
        ({"messages": []}, False),
        ([1, 2], False),
        ("text", False),
    ],
)
def test_it_claims_requests_and_nothing_else(desk: Desk, value: Any, sure: bool) -> None:
    assert (desk.confidence(value) > 0) is sure


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"messages": 1}', "request.json:1:14: messages: expected a list, found the number 1"),
        ('{"messages": [1]}', "messages[0]: expected a map, found the number 1"),
        ('{"messages": [{"content": "x"}]}', "messages[0]: missing key 'role'"),
        ('{"messages": []}', "there is no message in it"),
        ('{"messages": [], "messages": []}', "the key 'messages' is there twice"),
        ('{"messages": [{"role": "user", "content": NaN}]}', "NaN is not a JSON number"),
        ('{"temperature": 1e999, "messages": []}', "temperature: the number is too large"),
        ('{"a": "\\ud800"}', "a: half a character (U+D800)"),
        ('{"\\udfff": 1}', "half a character (U+DFFF)"),
        ('{"seed": ' + "9" * 401 + "}", "a number of more than 400 digits"),
        ('{"seed": ' + "9" * 5000 + "}", "a number with thousands of digits"),
        ("[" * 100 + "]" * 100, "nested deeper than 50 levels"),
        ("[" * 100_000, "nested too deeply"),
        ('{"messages": [', "not JSON"),
        ("", "not JSON"),
        ("[" + "0," * 60_000 + "0]", "more than 50,000 values"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(desk: Desk, text: str, said: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        desk.read(text)

    assert said in str(caught.value)
    assert str(caught.value).startswith("request.json")


def test_every_key_of_a_request_is_carried_or_named(desk: Desk) -> None:
    assert unnoticed_keys(desk, REQUEST) == set()
    assert unnoticed_leaves(desk, REQUEST) == set()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(REQUEST))
def test_damaged_requests_give_a_prompt_or_an_error(desk: Desk, value: Any) -> None:
    survives(desk, json.dumps(value))


# -- export ---------------------------------------------------------------------------------------------------------

PROMPT = """\
description: Ask for a capital.
tags: [geo]
model: openai/gpt-4.1-mini
parameters: {temperature: 0.1}
inputs:
  country: string
  photo: {type: image, required: false}
  history: {type: messages, required: false}
output:
  name: Capital
  fields: {city: string}
messages:
  - role: system
    content: |
      Answer {{ '{{' }}literally{{ '}}' }}, {% if country == 'مصر' %}please{% endif %}.
  - placeholder: history
  - role: user
    content:
      - text: "ما عاصمة {{ country }}؟"
      - image: "{{ photo }}"
examples:
  - inputs: {country: فرنسا}
    output: {city: باريس}
"""


def load(desk: Desk, text: str = PROMPT) -> Any:
    path = desk.project / "prompts" / "ask.yaml"
    path.write_text(text, encoding="utf-8")
    return load_file(path, desk.settings)


def test_a_prompt_with_values_comes_back_as_the_same_messages(desk: Desk) -> None:
    prompt = load(desk)
    history = [{"role": "user", "content": "قبل"}, {"role": "assistant", "content": "بعد"}]
    values = check_inputs(prompt, {"country": "مصر", "photo": "https://example.org/a.png", "history": history})

    exported = EXPORTER.write(ExportRequest(prompt, "ask", values))
    again = desk.read(exported.files["ask.json"])
    case = desk.samples(again)

    assert desk.rendered(again, **case) == render_messages(prompt, values)
    written = json.loads(exported.files["ask.json"])
    assert written["model"] == "gpt-4.1-mini"
    assert written["response_format"]["json_schema"]["name"] == "Capital"
    assert [loss.key for loss in exported.losses] == ["description", "tags"]


def test_without_values_braces_are_kept_for_others_to_fill(desk: Desk) -> None:
    exported = EXPORTER.write(ExportRequest(load(desk), "ask"))
    written = json.loads(exported.files["ask.json"])["messages"]

    assert written[1] == {"role": "user", "content": "ما عاصمة فرنسا؟"}
    assert written[2] == {"role": "assistant", "content": '{"city":"باريس"}'}
    assert written[3]["content"] == [
        {"type": "text", "text": "ما عاصمة {{country}}؟"},
        {"type": "image_url", "image_url": {"url": "{{ photo }}"}},
    ]
    assert {loss.key for loss in exported.losses} == {"messages[0]", "messages[1]", "description", "tags"}


def test_a_prompt_without_inputs_needs_no_values(desk: Desk) -> None:
    prompt = load(desk, "model: anthropic/claude-haiku-4-5\nprompt: \"{{ '{{' }} {{ 1 + 1 }}\"\n")

    exported = EXPORTER.write(ExportRequest(prompt, "ask"))

    assert json.loads(exported.files["ask.json"]) == {
        "model": "anthropic/claude-haiku-4-5",
        "messages": [{"role": "user", "content": "{{ 2"}],
    }
    assert [loss.key for loss in exported.losses] == ["model"]
    assert desk.rendered(desk.read(exported.files["ask.json"])) == (Message.of("user", "{{ 2"),)
