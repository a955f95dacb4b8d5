"""Langfuse prompts: `{{name}}` puts a value in and does nothing else; both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptstudio.errors import PromptFileError
from promptstudio.exchange.langfuse import EXPORTER, IMPORTER
from promptstudio.exchange.schema import ExportRequest
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.load import load_file
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import render_messages
from tests.exchange.foreign_files import Desk, damaged, losses, survives, unnoticed_keys, unnoticed_leaves

CHAT: dict[str, Any] = {
    "id": "cm1",
    "projectId": "p1",
    "name": "movie-critic",
    "type": "chat",
    "version": 7,
    "labels": ["production", "latest"],
    "tags": ["movies"],
    "commitMessage": "Warmer",
    "config": {
        "model": "gpt-4o",
        "temperature": 0.7,
        "maxTokens": 500,
        "supported_languages": ["en", "ar"],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "api_key": "sk-not-for-you",
    },
    "prompt": [
        {"role": "system", "content": "You are an {{criticLevel}} movie critic. {not json} {{ }} {{#if x}}"},
        {"type": "placeholder", "name": "chat_history"},
        {"type": "message", "role": "user", "content": "هل شاهدت {{ movie }}؟ {% raw %}"},
        {"role": "narrator", "content": "?"},
    ],
}
TEXT: dict[str, Any] = {
    "name": "ملخص",
    "type": "text",
    "prompt": "لخص:\n{{ text }}\n",
    "version": 1,
    "labels": [],
    "config": {},
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, IMPORTER, "prompt.json")


def compiled(text: str, values: dict[str, Any]) -> str:
    """What Langfuse makes of a text, from its documentation: names between `{{` and the next `}}`."""
    out, rest = "", text
    while "{{" in rest and "}}" in rest[rest.index("{{") :]:
        before, _, rest = rest.partition("{{")
        name, _, rest = rest.partition("}}")
        out += before + (str(values[name.strip()]) if name.strip() in values else "{{" + name + "}}")
    return out + rest


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Hello {{name}}!", {"name": "Ada"}),
        ("{{ name }}{{name}} and {{  other}}", {"name": "{{other}}", "other": "{% x %}"}),
        ("مرحبا {{الاسم}}\n\n{{שם}}\n", {"الاسم": "سلمى", "שם": "נועה"}),
        ("no variables {single} {% if %} {# x #} }} {{", {}),
        ("{{#each items}}{{name}}{{/each}}{{{raw}}}", {"name": "<b>&"}),
        ("{{}} {{ }} {{a+b}}", {}),
        ("{{name}} {{ not closed", {"name": "x"}),
        ("  indented\n{{name}}\n\n", {"name": "\n"}),
    ],
)
def test_a_text_means_what_it_means_there(desk: Desk, text: str, values: dict[str, Any]) -> None:
    assert desk.said({**TEXT, "prompt": text}, **values) == [("user", compiled(text, values))]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="{}% #-+\n\tabא_'\"\\", max_size=40).filter(lambda text: text != ""))
def test_any_text_means_what_it_means_there(desk: Desk, text: str) -> None:
    result = desk.read({**TEXT, "prompt": text})
    values = {name: f"<{name}>" for name in desk.prompt(result).inputs}

    assert desk.rendered(result, **values)[0].text == compiled(text, values)


def test_a_chat_is_carried_over(desk: Desk) -> None:
    result = desk.read(CHAT)
    prompt = desk.prompt(result)
    history = [{"role": "user", "content": "hi {{movie}}"}]
    said = [
        (m.role, m.text) for m in desk.rendered(result, criticLevel="harsh", movie="كفرناحوم", chat_history=history)
    ]

    assert said == [
        ("system", "You are an harsh movie critic. {not json} {{ }} {{#if x}}"),
        ("user", "hi {{movie}}"),
        ("user", "هل شاهدت كفرناحوم؟ {% raw %}"),
    ]
    assert result.made[0].name == "movie-critic.yaml"
    assert prompt.model == "openai/gpt-4o"
    assert dict(prompt.parameters) == {"temperature": 0.7, "max_tokens": 500}
    assert prompt.tags == ("movies",)
    assert prompt.metadata == {
        "langfuse": {"version": 7, "commit_message": "Warmer", "labels": ["production", "latest"]},
        "config": {"supported_languages": ["en", "ar"]},
    }
    assert "sk-not-for-you" not in result.made[0].text
    assert {key for key, severity in losses(result).items() if severity == "dropped"} == {
        "id",
        "projectId",
        "prompt[3]",
        "config.tools",
        "config.api_key",
    }


def test_of_several_versions_the_one_in_production_or_the_newest_is_taken(desk: Desk) -> None:
    old = {**TEXT, "prompt": "old", "version": 1, "labels": ["production"]}
    new = {**TEXT, "prompt": "new", "version": 2}
    other = [{**TEXT, "name": "b", "version": version, "prompt": str(version)} for version in (3, 10, 9)]

    result = desk.read({"data": [new, old, *other], "meta": {"page": 1}})

    assert [made.name for made in result.made] == ["ملخص.yaml", "b.yaml"]
    assert [desk.rendered(result, number)[0].text for number in (0, 1)] == ["old", "10"]
    assert losses(result).keys() >= {"data[0]", "data[2]", "data[4]"}


def test_a_list_of_names_without_texts_is_told(desk: Desk) -> None:
    result = desk.read({"data": [{"name": "a", "versions": [1], "labels": []}], "meta": {"page": 1}})

    assert result.made == ()
    assert losses(result) == {"data[0]": "dropped"}


def test_a_prompt_that_names_another_holds_its_text_if_that_is_there(desk: Desk) -> None:
    base = {**TEXT, "name": "base", "prompt": "Be kind to {{name}}."}
    one = {**TEXT, "name": "one", "prompt": "@@@langfusePrompt:name=base|label=production@@@ Then go."}
    lost = {**TEXT, "name": "lost", "prompt": "@@@langfusePrompt:name=elsewhere|version=1@@@"}
    loop = {**TEXT, "name": "loop", "prompt": "a @@@langfusePrompt:name=loop|label=x@@@"}

    result = desk.read([base, one, lost, loop])

    assert desk.rendered(result, 1, name="Ada")[0].text == "Be kind to Ada. Then go."
    assert desk.rendered(result, 2)[0].text == "@@@langfusePrompt:name=elsewhere|version=1@@@"
    assert losses(result)["[1].prompt"] == "changed"
    assert losses(result)["[2].prompt"] == losses(result)["[3].prompt"] == "dropped"


def test_prompts_that_double_each_other_end_in_an_error(desk: Desk) -> None:
    bomb = [
        {**TEXT, "name": f"p{n}", "prompt": f"@@@langfusePrompt:name=p{n + 1}|label=x@@@" * 100 if n < 5 else "x" * 90}
        for n in range(6)
    ]

    with pytest.raises(PromptFileError, match="more than 1 MiB"):
        desk.read(bomb)


@pytest.mark.parametrize(
    ("value", "sure"),
    [
        (CHAT, True),
        (TEXT, True),
        ([TEXT], True),
        ({"data": [CHAT]}, True),
        ({"name": "x", "prompt": "y", "type": "text"}, True),
        ({"prompt": "x"}, False),
        ({"model": "x", "messages": [], "prompt": "x", "type": "text", "name": "y"}, False),
        ({"prompt_template": {}, "prompt_name": "x"}, False),
        ({"prompts": ["x"], "providers": []}, False),
        ([], False),
    ],
)
def test_it_claims_its_own_files_and_nothing_else(desk: Desk, value: Any, sure: bool) -> None:
    assert (desk.confidence(value) > 0) is sure


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({**TEXT, "prompt": 1}, "prompt: expected a list, found the number 1"),
        ({**TEXT, "type": "txt"}, "type: found the text 'txt'"),
        ({**CHAT, "prompt": [{"role": 1, "content": ""}]}, "prompt[0].role: expected text, found the number 1"),
        ({**CHAT, "prompt": [{"role": "user"}]}, "prompt[0]: missing key 'content'"),
        ({**CHAT, "tags": {"a": 1}}, "tags: expected a list, found a map"),
        ([{**TEXT, "name": ["x"]}], "[0].name: expected text, found a list"),
        ([1], "[0]: expected a map, found the number 1"),
        ("{", "not JSON"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(desk: Desk, value: Any, said: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        desk.read(value)

    assert said in str(caught.value)
    assert str(caught.value).startswith("prompt.json:")


def test_every_key_is_carried_or_named(desk: Desk) -> None:
    assert unnoticed_keys(desk, CHAT) == set()
    assert unnoticed_leaves(desk, CHAT) == set()
    assert unnoticed_keys(desk, [TEXT, {**TEXT, "version": 2}]) == set()
    assert unnoticed_leaves(desk, TEXT) == set()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged({"data": [CHAT, TEXT, {**TEXT, "version": 2}], "meta": {"page": 1}}))
def test_damaged_files_give_prompts_or_an_error(desk: Desk, value: Any) -> None:
    survives(desk, json.dumps(value))


# -- export ---------------------------------------------------------------------------------------------------------

PROMPT = """\
tags: [geo]
model: openai/gpt-4.1-mini
parameters: {temperature: 0.1}
inputs:
  country: string
  history: messages
output:
  fields: {city: string}
messages:
  - role: system
    content: |
      {% include "_tone.md" %}
      Answer in {not a variable}.
  - placeholder: history
  - role: user
    content: "ما عاصمة {{ country }}؟"
examples:
  - inputs: {country: فرنسا}
    output: باريس
"""


def load(desk: Desk, text: str) -> Prompt:
    (desk.project / "prompts" / "_tone.md").write_text("Be kind.\n\n")
    path = desk.project / "prompts" / "ask.yaml"
    path.write_text(text, encoding="utf-8")
    return load_file(path, desk.settings)


def test_a_prompt_comes_back_as_the_same_messages(desk: Desk) -> None:
    prompt = load(desk, PROMPT)
    values = {"country": "مصر", "history": [{"role": "user", "content": "قبل"}]}

    exported = EXPORTER.write(ExportRequest(prompt, "ask"))
    again = desk.read(exported.files["ask.json"])

    assert exported.losses == ()
    assert desk.rendered(again, **values) == render_messages(prompt, check_inputs(prompt, values))
    back = desk.prompt(again)
    assert (back.name, back.tags, back.model, back.parameters) == (
        prompt.name,
        prompt.tags,
        prompt.model,
        prompt.parameters,
    )
    assert back.output is not None
    assert prompt.output is not None
    assert back.output.schema == prompt.output.schema


def test_one_text_is_exported_as_text_and_given_values_are_filled_in(desk: Desk) -> None:
    prompt = load(desk, "prompt: |\n  Hi {{ name }}.\n")

    plain = json.loads(EXPORTER.write(ExportRequest(prompt, "hi")).files["hi.json"])
    filled = json.loads(EXPORTER.write(ExportRequest(prompt, "hi", {"name": "Ada"})).files["hi.json"])

    assert (plain["type"], plain["prompt"], plain["name"]) == ("text", "Hi {{name}}.", "ask")
    assert filled["prompt"] == "Hi Ada."


def test_what_langfuse_cannot_say_is_named(desk: Desk) -> None:
    text = """\
description: Logic
inputs: {a: string, pic: {type: image}}
messages:
  - {role: user, content: [{text: "{% if a %}x{% endif %}"}, {image: "{{ pic }}"}]}
  - {role: assistant, content: "{{ '{{' }}a}}"}
"""

    exported = EXPORTER.write(ExportRequest(load(desk, text), "x"))

    assert {(loss.key, loss.severity) for loss in exported.losses} == {
        ("messages[0]", "changed"),
        ("messages[1]", "changed"),
        ("prompt", "dropped"),
        ("description", "dropped"),
    }
