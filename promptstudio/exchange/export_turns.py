"""A prompt → its turns as other tools can hold them: rendered with given values, or as text with `{{name}}`s in it.

Few-shot examples become turns, includes are written out. Text with more logic than values stays Jinja, and is a loss.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from promptstudio.exchange.schema import ExportRequest, Loss
from promptstudio.prompts.inputs import checked_inputs
from promptstudio.prompts.prompt import Example, MessageTemplate, Prompt, Retry
from promptstudio.prompts.render import EXAMPLES, render_messages, render_parts
from promptstudio.prompts.template import free_variables
from promptstudio.types import Media, Message, Part

_VALUE = re.compile(r"\{\{\s*(?:(?P<name>[^\W\d]\w*)|'(?P<literal>(?:[^'\\]|\\.)*)')\s*\}\}")
_INCLUDE = re.compile(r"(?m)(?:^[ \t]*)?\{%\s*include\s+(?P<quote>['\"])(?P<name>[^'\"]+)(?P=quote)\s*%\}\n?")
_TAG = re.compile(r"\{[{%#]")
_ESCAPED = re.compile(r"\\(.)")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
MAX_INCLUDE_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: `parts` are (kind, text), for media the text is an address or `{{ name }}`.

    `role` is None for a place where the turns of the input `placeholder` go. `key` says where it stands in our file.
    """

    role: str | None
    parts: tuple[tuple[str, str], ...] = ()
    placeholder: str = ""
    key: str = ""


def template_turns(request: ExportRequest, file: str, losses: list[Loss]) -> list[Turn]:
    """Return the turns; what a template does beyond putting values in is written down in `losses`."""
    prompt = request.prompt
    values = request.values if request.values is not None else {} if not prompt.inputs else None
    if values is not None:
        rendered = render_messages(prompt, values)
        return [_rendered(message, f"messages[{place}]") for place, message in enumerate(rendered)]
    turns: list[Turn] = []
    for place, template in enumerate(prompt.messages):
        if place == _examples_place(prompt):
            turns += _example_turns(prompt, file, losses)
        if template.placeholder is None:
            turns.append(_kept(prompt, template, f"messages[{place}]", file, losses))
        elif template.placeholder != EXAMPLES:
            turns.append(Turn(None, (), template.placeholder, f"messages[{place}]"))
    return turns


def _rendered(message: Message, key: str) -> Turn:
    return Turn(message.role, tuple((part.kind, _part_text(part)) for part in message.parts), "", key)


def _part_text(part: Part) -> str:
    return part.text if part.media is None else address_of(part.media)


def address_of(media: Media) -> str:
    """Return the URL of media, or a `data:` URI with what they hold."""
    if media.url is not None:
        return media.url
    return f"data:{media.mime_type};base64,{base64.b64encode(media.data or b'').decode('ascii')}"


# -- templates ------------------------------------------------------------------------------------------------------


def _kept(prompt: Prompt, template: MessageTemplate, key: str, file: str, losses: list[Loss]) -> Turn:
    parts: list[tuple[str, str]] = []
    for part in template.parts:
        if part.kind != "text":
            parts.append((part.kind, part.source.strip()))
            continue
        text, said = plain_template(part.source, prompt.partials)
        if said:
            losses.append(Loss(file, key, said, severity="changed"))
        parts.append(("text", text))
    return Turn(template.role, tuple(parts), "", key)


def plain_template(source: str, partials: Mapping[str, str]) -> tuple[str, str | None]:
    """Return a text in which `{{name}}` is a value, and what is wrong with it: logic stays as it is written.

    >>> plain_template("Hi {{ name }}", {}), plain_template("{% if x %}y{% endif %}", {})[1]
    (('Hi {{name}}', None), 'it has template logic, which stays as Jinja and means nothing there')
    """
    whole = _with_includes(source, partials, 0)
    if _TAG.search(_VALUE.sub("", whole)):
        return whole, "it has template logic, which stays as Jinja and means nothing there"
    body = whole.removesuffix("\n")
    text = _VALUE.sub(lambda value: f"{{{{{value['name']}}}}}" if value["name"] else _unescaped(value["literal"]), body)
    opens = sum(bool(value["name"]) for value in _VALUE.finditer(body))
    braces = text.count("{{") > opens
    return text, "the double braces in the text would be read as a variable there" if braces else None


def _with_includes(source: str, partials: Mapping[str, str], depth: int) -> str:
    if depth > MAX_INCLUDE_DEPTH:
        return source

    def included(match: re.Match[str]) -> str:
        text = partials.get(match["name"])
        return match[0] if text is None else _with_includes(text, partials, depth + 1).removesuffix("\n")

    return _INCLUDE.sub(included, source)


def _unescaped(literal: str) -> str:
    return _ESCAPED.sub(lambda found: _LETTERS.get(found[1], found[1]), literal)


# -- few-shot turns -------------------------------------------------------------------------------------------------


def _last_user(prompt: Prompt) -> int | None:
    places = [place for place, template in enumerate(prompt.messages) if template.role == "user"]
    return places[-1] if places else None


def _examples_place(prompt: Prompt) -> int | None:
    if not prompt.examples:
        return None
    places = (place for place, template in enumerate(prompt.messages) if template.placeholder == EXAMPLES)
    return next(places, _last_user(prompt))


def _example_turns(prompt: Prompt, file: str, losses: list[Loss]) -> Iterator[Turn]:
    place = _last_user(prompt)
    if place is None:
        losses.append(Loss(file, "examples", "there is no user message to render them through"))
        return
    template = prompt.messages[place]
    sources = [part.source for part in template.parts]
    needed = set().union(*(free_variables(source, prompt.partials) for source in sources))
    for number, example in enumerate(prompt.examples):
        values = checked_inputs(prompt, example.inputs, needed=needed)
        parts = render_parts(prompt, template, values, values)
        yield Turn("user", tuple((part.kind, _part_text(part)) for part in parts), "", f"examples[{number}]")
        yield Turn("assistant", (("text", _answer(example)),), "", f"examples[{number}]")


def _answer(example: Example) -> str:
    """As our own runs send it."""
    output = example.output
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, separators=(",", ":"))


# -- the call, and what is about the prompt -------------------------------------------------------------------------


def call_of(prompt: Prompt, file: str) -> tuple[dict[str, Any], list[Loss]]:
    """Return the parameters of the call as OpenAI names them, the answer's schema among them."""
    call: dict[str, Any] = dict(prompt.parameters)
    losses: list[Loss] = []
    output = prompt.output
    if output is not None and output.schema is not None:
        wrapped = {"name": output.name, "schema": dict(output.schema)}
        call["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    elif output is not None:
        losses.append(Loss(file, "output.model", "the type of the answer is Python code"))
    return call, losses


def about_losses(prompt: Prompt, file: str, *, carried: tuple[str, ...] = ()) -> list[Loss]:
    """Return a loss for each thing the prompt says that a bare chat format has no place for."""
    has = {
        "description": bool(prompt.description),
        "version": prompt.version is not None,
        "type": prompt.type != "text",
        "tags": bool(prompt.tags),
        "metadata": bool(prompt.metadata),
        "fallbacks": bool(prompt.fallbacks),
        "retry": prompt.retry != Retry(),
        "tools": bool(prompt.tools),
        "variants": bool(prompt.variants) and prompt.variant is None,
        "tests": bool(prompt.tests),
        "evals": bool(prompt.evals),
    }
    return [
        Loss(file, key, "the format has no place for it")
        for key, is_there in has.items()
        if is_there and key not in carried
    ]
