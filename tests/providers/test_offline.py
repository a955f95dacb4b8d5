"""Answers without a network: the echo fits any schema, the script follows its file, and both are said to be offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptstudio.config import Settings, load_settings
from promptstudio.errors import BadRequestError, OutputValidationError, PromptStudioError
from promptstudio.output.model import model_from_schema
from promptstudio.prompts.jsonschemas import value_problems
from promptstudio.prompts.prompt import OutputSpec
from promptstudio.providers.call import CallState, complete
from promptstudio.providers.connect import connection_for
from promptstudio.providers.offline import _sample
from promptstudio.providers.schema import Event, PartialOutput, Request, TextDelta
from promptstudio.types import Message
from tests.providers.conftest import TRIAGE_SCHEMA, request

SCHEMAS: list[dict[str, Any]] = [
    TRIAGE_SCHEMA,
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date"}}, "required": ["when"]},
    {"type": "object", "properties": {"x": {"type": "number", "exclusiveMinimum": 3}}, "required": ["x"]},
    {"type": "object", "properties": {"x": {"type": "integer", "multipleOf": 7, "minimum": 10}}, "required": ["x"]},
    {"type": "object", "properties": {"x": {"type": "string", "minLength": 50, "maxLength": 60}}, "required": ["x"]},
    {"type": "object", "properties": {"x": {"type": ["null", "string"]}}, "required": ["x"]},
    {"type": "object", "properties": {"x": {"const": "yes"}, "y": {"type": "boolean"}}, "required": ["x", "y"]},
    {
        "type": "object",
        "properties": {"rows": {"type": "array", "minItems": 2, "items": {"$ref": "#/definitions/row"}}},
        "required": ["rows"],
        "definitions": {"row": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    },
    {
        "type": "object",
        "properties": {"x": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
        "required": ["x"],
    },
]


@pytest.fixture
def offline(tmp_path: Path) -> Settings:
    tmp_path.joinpath("promptstudio.toml").write_text("")
    return load_settings(tmp_path, env={})


def asked(settings: Settings, schema: dict[str, Any] | None, model: str = "offline/echo", **more: Any) -> Request:
    return Request(
        connection=connection_for(model, settings, {}),
        messages=(Message.of("system", "Be kind."), Message.of("user", "شُكرًا, please help")),
        parameters={},
        output=OutputSpec("Answer", schema, **more) if schema else None,
        output_model=model_from_schema("Answer", schema) if schema else None,
    )


async def test_the_echo_gives_back_the_last_user_message_and_says_that_it_is_offline(offline: Settings) -> None:
    done = await complete(asked(offline, None))
    assert done.reply.text == "شُكرًا, please help"
    assert done.reply.resolved_model == "offline/echo"
    assert done.cost_usd == 0


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: str(list(schema["properties"])))
@pytest.mark.parametrize("mode", ["tools", "json_schema", "json", "md_json"])
async def test_the_echo_fits_the_schema_in_every_output_mode(
    offline: Settings, schema: dict[str, Any], mode: str
) -> None:
    done = await complete(asked(offline, schema, mode=mode))
    assert value_problems(schema, done.output.model_dump(mode="json", exclude_unset=True)) == []


@pytest.mark.parametrize("typed", [False, True])
async def test_offline_answers_stream_like_real_ones(offline: Settings, typed: bool) -> None:
    events: list[Event] = []
    done = await complete(request(offline, "offline/echo", typed=typed, emit=events.append))
    if typed:
        partials = [event.value for event in events if isinstance(event, PartialOutput)]
        assert partials[-1] == done.output.model_dump()
        assert len(partials) > 1
    else:
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == done.reply.text


def script(settings: Settings, text: str) -> None:
    assert settings.root is not None
    settings.root.joinpath("offline.yaml").write_text(text, encoding="utf-8")


async def test_a_script_answers_by_the_first_rule_whose_words_occur(offline: Settings) -> None:
    script(
        offline, "rules:\n  - {contains: [nothing of this], text: no}\n  - {contains: شُكرًا, text: عفوًا}\n  - text: x\n"
    )
    done = await complete(asked(offline, None, "offline/script"))
    assert done.reply.text == "عفوًا"


async def test_a_script_that_never_fits_the_schema_ends_in_an_error_after_the_re_asks(offline: Settings) -> None:
    script(offline, "rules:\n  - output: {category: nonsense, urgency: 9}\n")
    state = CallState()
    with pytest.raises(OutputValidationError, match="after 3 tries") as caught:
        await complete(asked(offline, TRIAGE_SCHEMA, "offline/script"), state)
    assert "category" in str(caught.value)
    assert [attempt.reason for attempt in state.attempts] == ["call", "reask", "reask"]
    assert {attempt.error_kind for attempt in state.attempts} == {"output_validation"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no offline.yaml"),
        ("rules: 3\n", "`rules`, a list"),
        ("- a\n", "`rules`, a list"),
        ("rules:\n  - {contains: x}\n", r"offline.yaml:2.*rules\[0\]"),
        ("rules:\n  - {text: a, output: {}}\n", r"rules\[0\]"),
        ("rules:\n  - {text: a, contians: x}\n", r"rules\[0\]"),
        ("rules:\n  - {contains: [not there], text: a}\n", "no rule of offline.yaml matches"),
    ],
)
async def test_a_bad_script_is_named(offline: Settings, text: str | None, words: str) -> None:
    if text is not None:
        script(offline, text)
    with pytest.raises(PromptStudioError, match=words):
        await complete(asked(offline, None, "offline/script"))


async def test_a_prompt_cannot_steer_the_connection_through_its_parameters(offline: Settings) -> None:
    for name in ("api_base", "mock_response", "api_key", "timeout", "extra_headers"):
        with pytest.raises(PromptStudioError, match=f"parameters.{name}"):
            await complete(request(offline, "offline/echo", **{name: "x"}))


async def test_a_missing_rule_is_a_bad_request_and_not_retried(offline: Settings) -> None:
    script(offline, "rules: []\n")
    state = CallState()
    with pytest.raises(BadRequestError):
        await complete(asked(offline, None, "offline/script"), state)
    assert len(state.attempts) == 1


def test_a_schema_that_asks_for_too_many_values_ends_soon() -> None:
    levels: dict[str, Any] = {
        f"d{n}": {
            "type": "object",
            "required": ["x", "y", "z"],
            "properties": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in "xyz"},
        }
        for n in range(30)
    }
    fan = {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": levels}
    many = {"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "minItems": 10**9}}}
    for schema in (fan, many):
        assert len(str(_sample(schema, "hi"))) < 1_000_000
