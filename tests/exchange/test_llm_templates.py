"""Templates of the `llm` program, held against `llm` itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llm.templates import Template

from promptstudio.errors import PromptFileError, UserError
from promptstudio.exchange.llm_templates import IMPORTER
from promptstudio.types import Media
from tests.exchange.foreign_files import Desk, damaged, losses, survives, unnoticed_keys, unnoticed_leaves

WHOLE: dict[str, Any] = {
    "name": "other",
    "model": "gpt-4o-mini",
    "system": "Be $mood. Costs $$5 {{ literally }}",
    "prompt": "Summarize for ${who}:\n$input\n",
    "defaults": {"mood": "kind", "who": 7, "never": "x"},
    "options": {"temperature": 0.3, "num_ctx": 4096},
    "schema_object": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    "attachments": ["https://example.org/cat.jpg", "https://example.org/page"],
    "attachment_types": [{"type": "application/pdf", "value": "https://example.org/doc"}],
    "fragments": ["https://example.org/notes.txt"],
    "system_fragments": ["tone"],
    "tools": ["llm_version"],
    "functions": "import os\nopen('/tmp/ran', 'w')\ndef f():\n    return 1\n",
    "extract": True,
    "extract_last": False,
}


def written(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, IMPORTER, "summary.yaml")


def by_llm(template: dict[str, Any], text: str, values: dict[str, Any]) -> list[tuple[str, str]]:
    """The messages `llm -t template TEXT -p name value` would send, by its own class."""
    own = Template(**{**template, "name": "t"})
    prompt, system = own.evaluate(text, dict(values))
    return [("system", system)] * bool(system) + [("user", prompt or "")]


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ({"prompt": "Summarize this: $input"}, {}),
        ({"prompt": "$input $input ${input}"}, {}),
        ({"system": "You are a $kind"}, {"kind": "ناقد"}),
        ({"system": "תקציר", "prompt": "בשביל $who: $input"}, {"who": "נועה"}),
        ({"prompt": "Costs $$5, {{ x }} {% if %} {# c #} $input\n\n"}, {}),
        ({"prompt": "\n  $a$b\n$input", "defaults": {"a": "1", "b": "$x"}}, {"a": "{{ b }}"}),
        ({"prompt": "$n of $flag: $input", "defaults": {"n": 3, "flag": True}}, {}),
        ({"system": "$input!"}, {}),
        ({"prompt": "", "system": "only a system"}, {}),
    ],
)
def test_messages_are_those_llm_makes(desk: Desk, template: dict[str, Any], values: dict[str, Any]) -> None:
    text = "نص {{ input }} $x"

    assert desk.said(written(template), input=text, **values) == by_llm(template, text, values)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="${}ab %#\nא-", max_size=25))
def test_any_text_is_what_llm_makes_of_it_or_refused_like_there(desk: Desk, text: str) -> None:
    template = {"prompt": f"{text}|$input"}
    try:
        result = desk.read(written(template))
    except UserError:
        with pytest.raises((ValueError, KeyError)):
            by_llm(template, "x", dict.fromkeys(re.findall("[ab]+", text), "v"))
        return
    values = {name: f"<{name}>" for name in desk.prompt(result).inputs}
    named = {name: value for name, value in values.items() if name != "input"}

    assert [(m.role, m.text) for m in desk.rendered(result, **values)] == by_llm(template, values["input"], named)


def test_without_input_in_the_text_more_text_goes_below_as_llm_puts_it(desk: Desk) -> None:
    assert desk.said(written({"prompt": "Tell a joke about $topic.", "defaults": {"topic": "cats"}})) == [
        ("user", "Tell a joke about cats.")
    ]
    assert desk.said(written({"prompt": "Tell a joke.\n"}), input="قصيرة") == [("user", "Tell a joke.\n\nقصيرة")]


def test_a_template_of_one_text_is_its_prompt(desk: Desk) -> None:
    assert desk.said('"Hello $input"\n', input="x") == [("user", "Hello x")]


def test_a_whole_template_is_carried_over(desk: Desk) -> None:
    result = desk.read(written(WHOLE))
    prompt = desk.prompt(result)
    messages = desk.rendered(result, input="text", **desk.samples(result))

    assert [(message.role, message.text) for message in messages] == [
        ("system", "Be kind. Costs $5 {{ literally }}"),
        ("user", "Summarize for 7:\ntext\n"),
    ]
    assert [part.media for part in messages[1].parts[1:]] == [
        Media("image/jpeg", url="https://example.org/cat.jpg", name="cat.jpg"),
        Media("application/octet-stream", url="https://example.org/doc", name="doc"),
    ]
    assert prompt.model == "openai/gpt-4o-mini"
    assert dict(prompt.parameters) == {"temperature": 0.3, "num_ctx": 4096}
    assert prompt.output is not None
    assert {key for key, severity in losses(result).items() if severity == "dropped"} == {
        "name",
        "extract",
        "extract_last",
        "fragments[0]",
        "system_fragments[0]",
        "tools[0]",
        "functions",
        "attachments[1]",
        "defaults.never",
    }
    lines = written(WHOLE).split("\n")
    (place,) = [loss.line for loss in result.losses if loss.key == "functions"]
    assert lines[(place or 0) - 1].startswith("functions:")


def test_python_in_a_template_is_never_run_nor_kept(desk: Desk, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    result = desk.read(written({"prompt": "$input", "functions": f"open({str(mark)!r}, 'w')"}))
    desk.rendered(result, input="x")

    assert not mark.exists()
    assert "open(" not in result.made[0].text
    assert losses(result) == {"functions": "dropped"}


@pytest.mark.parametrize(
    ("value", "sure"),
    [
        (WHOLE, True),
        ({"prompt": "Say $x"}, True),
        ({"system": "x", "schema_object": {}}, True),
        ({"prompt": "Say {{ x }} to $input"}, True),
        ({"prompt": "Say hello", "options": {"temperature": 0}}, True),
        ({"prompt": "Say {{ x }} for $5"}, False),
        ({"model": "offline/echo", "system": "Be {{ mood }}", "prompt": "hi"}, False),
        ({"prompt": "Say {{ x }}", "inputs": {"x": "string"}}, False),
        ({"model": "offline/echo", "messages": []}, False),
        ({"prompts": ["x"], "providers": ["y"]}, False),
        ({"_type": "prompt", "template": "x"}, False),
        ({"model": "x", "defaults": {}}, False),
        (["prompt"], False),
    ],
)
def test_it_claims_its_own_files_and_nothing_else(desk: Desk, value: Any, sure: bool) -> None:
    assert (desk.confidence(written(value)) > 0) is sure


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt: [1]\n", "summary.yaml:1:9: prompt: expected text, found a list"),
        ("prompt: a $ b\n", "begins no variable"),
        ("prompt: x\noptions: 3\n", "summary.yaml:2:10: options: expected a map, found the number 3"),
        ("prompt: x\nattachments: {a: b}\n", "attachments: expected a list, found a map"),
        ("prompt: x\nprompt: y\n", "is here twice"),
        ("prompt: !!python/object/apply:os.system ['id']\n", "is not allowed"),
        (
            "a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"c{i}: &c{i} [*b, *b]\n" for i in range(30_000)),
            "more than 50,000",
        ),
        ("[" * 60, "nested deeper than 50"),
        ("- a\n", "expected a map, found a list"),
        ("3\n", "expected a map, found the number 3"),
        ("", "the file is empty"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(desk: Desk, text: str, said: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        desk.read(text)

    assert said in str(caught.value)
    assert str(caught.value).startswith("summary.yaml")


def test_every_key_is_carried_or_named(desk: Desk) -> None:
    assert unnoticed_keys(desk, WHOLE, written) == set()
    assert unnoticed_leaves(desk, WHOLE, written) == set()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(WHOLE))
def test_damaged_templates_give_a_prompt_or_an_error(desk: Desk, value: Any) -> None:
    survives(desk, json.dumps(value))
