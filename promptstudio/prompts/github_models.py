"""A `.prompt.yml` of GitHub Models, as it stands → the prompt file it would be here, with the lines of the original.

GitHub Models replaces `{{name}}` and nothing else, and keeps every line feed, so that is what its texts become.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.prompts.fields import RESERVED_INPUT_NAMES
from promptstudio.prompts.pieces import Piece, Text, Value, jinja_source
from promptstudio.prompts.yamlfile import ValuePath, YamlDocument

KEYS = (
    *("name", "description", "model", "modelParameters", "messages"),
    *("responseFormat", "jsonSchema", "testData", "evaluators"),
)
# Each of these says that a file is of GitHub Models; the others could be ours.
_TELLING = frozenset({"modelParameters", "responseFormat", "jsonSchema", "testData", "evaluators"})
VARIABLE = re.compile(r"\{\{\s*([^\W\d][\w.-]*)\s*\}\}")
_MESSAGE_KEYS = frozenset({"role", "content"})
# GitHub's publishers whose models LiteLLM reaches under the same name; all others are asked for at GitHub.
_SAME_NAME = frozenset({"openai", "deepseek", "xai", "cohere", "offline", "github", "azure", "anthropic", "groq"})
_FAMILIES = re.compile(r"(?:gpt-|o[1-9](?:-|$))")


def is_github_models(value: Any) -> bool:
    """Say whether parsed YAML has the keys of a GitHub Models prompt, and none of ours."""
    if not isinstance(value, dict) or not value.keys() & _TELLING or set(value) - set(KEYS):
        return False
    messages = value.get("messages")
    return isinstance(messages, list) and all(
        isinstance(message, dict) and set(message) <= _MESSAGE_KEYS and isinstance(message.get("content"), str)
        for message in messages
    )


def as_prompt_document(document: YamlDocument) -> YamlDocument:
    """Return what a GitHub Models file says in our words; any other document as it is.

    Test data and evaluators belong to no prompt and are left out: `ps import` makes a suite of them. Raises
    PromptFileError for a JSON schema that is none.
    """
    if not is_github_models(document.value):
        return document
    value = prompt_value(document)
    return replace(
        document,
        value=value,
        positions=dict(_moved(document.positions)),
        keys=dict(_moved(document.keys)),
        spans=dict(_moved(document.spans)),
        literals=dict(_moved(document.literals)),
    )


def prompt_value(document: YamlDocument) -> dict[str, Any]:
    """Return the prompt file as a map; wrong types are left in it for the checks of every prompt file to find."""
    value: Mapping[str, Any] = document.value
    made: dict[str, Any] = {}
    if isinstance(value.get("description"), str):
        made["description"] = value["description"]
    if value.get("name"):
        made["metadata"] = {"title": value["name"]}
    if "model" in value:
        made["model"] = litellm_model(value["model"]) if isinstance(value["model"], str) else value["model"]
    parameters = value.get("modelParameters")
    made["parameters"] = (
        {snake_case(name): item for name, item in parameters.items()} if isinstance(parameters, dict) else {}
    )
    made |= _output(document, made["parameters"])
    made["messages"] = [
        {"role": _role(message.get("role")), "content": template_source(message["content"])}
        for message in value["messages"]
    ]
    return made


def _role(role: Any) -> Any:
    return role.lower() if isinstance(role, str) else role


def _output(document: YamlDocument, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the typed answer; JSON without a schema is asked for as the provider's own setting."""
    form = document.value.get("responseFormat")
    if form == "json_object":
        parameters["extra_body"] = {"response_format": {"type": "json_object"}}
    if form != "json_schema" or "jsonSchema" not in document.value:
        return {}
    wrapped = schema_of(document)
    name = re.sub(r"\W", "_", str(wrapped.get("name", "")), flags=re.ASCII).lstrip("0123456789")[:64]
    return {"output": {**({"name": name} if name else {}), "schema": wrapped.get("schema", wrapped)}}


def schema_of(document: YamlDocument) -> dict[str, Any]:
    """Return `jsonSchema`, which is JSON in a text, or a map: `{name, strict, schema}`."""
    given = document.value["jsonSchema"]
    line, column = document.place_of(("jsonSchema",))
    if isinstance(given, str):
        # Here for weight: it brings the template engine with it, which a list of prompts has no use for.
        from promptstudio.prompts.includes import read_json

        first = document.spans.get(("jsonSchema",), (line, line))[0]
        given = read_json(given, file=document.file, line=first)
    if not isinstance(given, dict):
        raise PromptFileError("jsonSchema: expected a map, as JSON", file=document.file, line=line, column=column)
    return given


def _moved(table: Mapping[ValuePath, Any]) -> Iterator[tuple[ValuePath, Any]]:
    for path, place in table.items():
        if path[:1] == ("modelParameters",):
            rest = (snake_case(str(path[1])), *path[2:]) if len(path) > 1 else ()
            yield ("parameters", *rest), place
        elif path[:1] in (("jsonSchema",), ("responseFormat",)):
            yield ("output", *path[1:]), place
        elif path[:1] not in (("testData",), ("evaluators",), ("name",)):
            yield path, place


def template_source(text: str) -> str:
    """Return the Jinja source of a text: `{{name}}` is a value, everything else stands for itself."""
    pieces: list[Piece] = []
    end = 0
    for match in VARIABLE.finditer(text):
        pieces += [Text(text[end : match.start()]), Value(variable_of(match[1]))]
        end = match.end()
    return jinja_source([*pieces, Text(text[end:])])


def variables_of(text: str) -> list[str]:
    """Return the names a text reads, as they are written there."""
    return list(dict.fromkeys(VARIABLE.findall(text)))


def variable_of(name: str) -> str:
    """Return our name of a variable: `-` and `.` have another meaning in a template.

    >>> variable_of("input"), variable_of("user-name"), variable_of("loop")
    ('input', 'user_name', 'loop_')
    """
    safe = re.sub(r"\W", "_", name).lstrip("_") or "value"
    return f"{safe}_" if safe in RESERVED_INPUT_NAMES else safe


def litellm_model(model: str) -> str:
    """Return LiteLLM's id of one of GitHub's models.

    >>> litellm_model("openai/gpt-4o-mini"), litellm_model("gpt-4o"), litellm_model("meta/llama-3.3-70b-instruct")
    ('openai/gpt-4o-mini', 'openai/gpt-4o', 'github/meta/llama-3.3-70b-instruct')
    """
    publisher, slash, _ = model.partition("/")
    if slash:
        return model if publisher in _SAME_NAME else f"github/{model}"
    return f"openai/{model}" if _FAMILIES.match(model) else f"github/{model}"


def snake_case(name: str) -> str:
    """Return a camelCase name as snake_case."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)
