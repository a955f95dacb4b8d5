"""The shape of a prompt file: a source → a checked `PromptFile`, or all of its problems at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema

from promptstudio.errors import Problem
from promptstudio.prompts.fields import INPUT_JSON_SCHEMA, NAME_HINT, OUTPUT_FIELD_JSON_SCHEMA
from promptstudio.prompts.filemodel import Fault, FileModel, choice, fault, found_text, model_problems, problems_at
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.parameters import KNOWN, parameter_faults
from promptstudio.prompts.suite_schema import Case, SchemaVersion, Text, case_faults
from promptstudio.prompts.yamlfile import ValuePath

ROLES = ("system", "developer", "user", "assistant")
PART_KINDS = ("text", "image", "audio", "file")
MODES = ("auto", "tools", "json_schema", "json", "md_json")
NOT_IN_A_VARIANT = ("schema_version", "name", "variants")
_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PYTHON_MODEL = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_FORBIDDEN_IN_NAME = re.compile(r"[\s:@\\\x00-\x1f\x7f*?\"'<>|]")


def name_fault(name: str) -> str | None:
    """Return what keeps a text from being a prompt's name, or None. Letters of every script are welcome."""
    if bad := _FORBIDDEN_IN_NAME.search(name):
        return f"a name cannot hold {bad.group()!r}"
    if any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in "\u200c\u200d" for character in name
    ):
        return "a name cannot hold invisible characters"
    if any(part in ("", ".", "..") or part[0] in "-_." for part in name.split("/")):
        return "the parts of a name are not empty and do not start with `-`, `_` or `.`"
    return None


def _check_name(name: str) -> str:
    if said := name_fault(name):
        raise fault(said, "as in support/triage")
    return name


def _check_model(model: str) -> str:
    if re.search(r"\s", model):
        raise fault("a model id has no spaces", "as in openai/gpt-4.1-mini")
    return model


def _check_type_name(name: str) -> str:
    if not _TYPE_NAME.fullmatch(name):
        raise fault("the name of an output has Latin letters, digits and _ (64 at most)", "as in TriageResult")
    return name


def _check_python_model(path: str) -> str:
    if not _PYTHON_MODEL.fullmatch(path):
        raise fault(f"expected MODULE:CLASS, {found_text(path)}", "as in myapp.models:TriageResult")
    return path


ModelId = Annotated[str, Field(min_length=1), AfterValidator(_check_model)]


class Retry(FileModel):
    """How often one answer is asked for, and how long each attempt may take."""

    max_attempts: Annotated[int, Field(ge=1, le=10)] = Field(3, description="Requests in all for one answer.")
    timeout: Annotated[float, Field(gt=0)] = Field(60.0, description="Seconds for one attempt.")


class Output(FileModel):
    """A typed answer: exactly one of fields, schema and model."""

    name: Annotated[str, AfterValidator(_check_type_name)] | None = Field(None, description="The name of the type.")
    fields: (
        Annotated[dict[str, Annotated[Any, WithJsonSchema(OUTPUT_FIELD_JSON_SCHEMA)]], Field(min_length=1)] | None
    ) = Field(None, description='Fields, each as JSON Schema or in one line: "type[?], description".')
    json_schema_: dict[str, Any] | None = Field(
        None, alias="schema", description="A JSON Schema with an object at its root, or {$ref: ./file.json}."
    )
    model: Annotated[str, AfterValidator(_check_python_model)] | None = Field(
        None, description="A Pydantic model of this repository: module:Class."
    )
    max_retries: Annotated[int, Field(ge=0, le=10)] = Field(2, description="Re-asks after an answer that does not fit.")
    mode: choice(MODES) = Field("auto", description="How the type is asked for.")  # type: ignore[valid-type]


class PartModel(FileModel):
    """One part of a message: exactly one of text, image, audio and file."""

    text: str | None = None
    image: str | None = Field(None, description='An image input: "{{ screenshot }}".')
    audio: str | None = Field(None, description='An audio input: "{{ recording }}".')
    file: str | None = Field(None, description='A file input: "{{ contract }}".')


class RoleMessage(FileModel):
    """A turn: who speaks, and the template of what is said."""

    role: choice(ROLES)  # type: ignore[valid-type]
    content: Annotated[
        Annotated[str, Field(min_length=1), Tag("<text>")]
        | Annotated[list[PartModel], Field(min_length=1), Tag("<parts>")],
        Discriminator(
            lambda value: "<parts>" if isinstance(value, list) else "<text>",
        ),
    ] = Field(description="Jinja text, or a list of parts.")


class Placeholder(FileModel):
    """Where few-shot examples, or the turns of a `messages` input, are put in."""

    placeholder: Text = Field(description="`examples`, or the name of a `messages` input.")


class InlineExample(FileModel):
    """A few-shot turn: inputs go through the last user message, output is the assistant's answer."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    output: Any


class ExampleFile(FileModel):
    """Few-shot turns in a JSON Lines file, one {"inputs": …, "output": …} a line."""

    file: Text


def _message_form(value: Any) -> str:
    return "<placeholder>" if isinstance(value, dict) and "placeholder" in value else "<role>"


def _example_form(value: Any) -> str:
    return "<file>" if isinstance(value, dict) and "file" in value else "<inline>"


MessageModel = Annotated[
    Annotated[RoleMessage, Tag("<role>")] | Annotated[Placeholder, Tag("<placeholder>")], Discriminator(_message_form)
]
ExampleModel = Annotated[
    Annotated[InlineExample, Tag("<inline>")] | Annotated[ExampleFile, Tag("<file>")], Discriminator(_example_form)
]
_PARAMETERS_JSON_SCHEMA = {
    "type": "object",
    "properties": {
        name: {"type": ["number", "null"], **({"minimum": least} if least is not None else {})}
        | ({"maximum": most} if most is not None else {})
        if "number" in words
        else {}
        for name, (_, words, least, most) in KNOWN.items()
    },
}


class PromptFile(FileModel):
    """A prompt: text, typed inputs, typed output, and how to call a model with them."""

    schema_version: SchemaVersion = 1
    name: Annotated[str, AfterValidator(_check_name)] | None = Field(
        None, description="Default: the path below prompts/ without suffix."
    )
    description: str | None = Field(None, description="What the prompt is for, in a sentence.")
    version: Text | None = Field(None, description="A version in quotes, such as '2.1.0'.")
    type: Text = Field("text", description="A free category: text, code, report, analysis, …")
    tags: list[Text] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict, description="Anything of your own; never sent.")
    model: ModelId | None = Field(None, description="A LiteLLM model id, such as openai/gpt-4.1-mini.")
    parameters: Annotated[dict[str, Any], WithJsonSchema(_PARAMETERS_JSON_SCHEMA)] = Field(
        default_factory=dict, description="Sampling and other call parameters, snake_case."
    )
    profile: Text | None = Field(None, description="A named set of parameters from promptstudio.toml.")
    fallbacks: list[ModelId] = Field(default_factory=list, description="Models to try when the first one fails.")
    retry: Retry = Field(default_factory=Retry)
    inputs: dict[str, Annotated[Any, WithJsonSchema(INPUT_JSON_SCHEMA)]] | None = Field(
        None, description='Typed inputs, as JSON Schema or in one line: "type[?], description".'
    )
    output: Output | None = None
    system: Text | None = Field(None, description="Short form: the system message.")
    prompt: Text | None = Field(None, description="Short form: the user message.")
    messages: Annotated[list[MessageModel], Field(min_length=1)] | None = None
    examples: list[ExampleModel] = Field(default_factory=list)
    tools: list[Text] = Field(default_factory=list, description="Names registered in promptstudio.toml, [tools].")
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Overlays; null deletes a key.")
    tests: list[Case] = Field(default_factory=list, description="Quick checks, run by `ps test`.")
    evals: list[Text] = Field(default_factory=list, description="Suites for this prompt.")


def prompt_file(source: Source) -> tuple[PromptFile | None, list[Problem]]:
    """Check the shape of a prompt: the model where it is right, and every problem where it is not."""
    read, problems = model_problems(PromptFile, source)
    if isinstance(source.value, dict):
        problems += problems_at(source, _faults(source.value))
    return (None if problems else read), problems


def _faults(value: dict[str, Any]) -> Iterator[Fault]:
    yield from _message_faults(value)
    parameters = value.get("parameters")
    if isinstance(parameters, dict):
        yield from ((("parameters", *path), message, hint) for path, message, hint in parameter_faults(parameters))
    yield from _output_faults(value.get("output"))
    for index, test in enumerate(_listed(value.get("tests"))):
        yield from case_faults(test, ("tests", index))
    variants = value.get("variants")
    for name, overlay in variants.items() if isinstance(variants, dict) else ():
        if _FORBIDDEN_IN_NAME.search(name) or "/" in name or not name:
            yield ("variants", name), "the name of a variant has no spaces, `:`, `@` or `/`", NAME_HINT
        for key in overlay if isinstance(overlay, dict) else ():
            if key in NOT_IN_A_VARIANT:
                yield ("variants", name, key), "a variant cannot change this", "set it at the top of the file"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _message_faults(value: dict[str, Any]) -> Iterator[Fault]:
    short = [key for key in ("system", "prompt") if key in value]
    if "messages" in value and short:
        yield (
            (short[0],),
            f"both `messages` and `{short[0]}` are given",
            "write `messages:`, or `system:` and `prompt:`",
        )
    elif "messages" not in value and "prompt" not in value:
        yield (), "there is nothing to send: missing key 'prompt'", "write `prompt:` or `messages:`"
    for index, message in enumerate(_listed(value.get("messages"))):
        content = message.get("content") if isinstance(message, dict) else None
        for number, part in enumerate(_listed(content)):
            yield from _part_faults(part, ("messages", index, "content", number))


def _part_faults(part: Any, path: ValuePath) -> Iterator[Fault]:
    if not isinstance(part, dict):
        return
    kinds = [kind for kind in PART_KINDS if kind in part]
    if len(kinds) != 1:
        if not kinds and part:
            return  # its unknown key says it all
        said = "a part is one of text, image, audio and file" + (f"; here are {' and '.join(kinds)}" if kinds else "")
        yield path, said, 'as in `- text: "{{ question }}"`'
        return
    source = part[kinds[0]]
    if kinds[0] != "text" and isinstance(source, str) and not MEDIA_SOURCE.fullmatch(source):
        said = f"expected the name of an {kinds[0]} input in braces, {found_text(source)}"
        yield (*path, kinds[0]), said.replace("an file", "a file"), f'as in {kinds[0]}: "{{{{ name }}}}"'


MEDIA_SOURCE = re.compile(r"\s*\{\{-?\s*(\w+)\s*-?\}\}\s*")


def _output_faults(output: Any) -> Iterator[Fault]:
    if not isinstance(output, dict):
        return
    forms = [key for key in ("fields", "schema", "model") if key in output]
    if len(forms) != 1:
        said = "both " + " and ".join(f"`{form}`" for form in forms) + " are given" if forms else "missing key 'fields'"
        yield ("output",), said, "an output has exactly one of fields, schema and model"
