"""Prompt + checked inputs → messages. Pure: no clock, no network, no files.

Roles come from the prompt file alone. A value is text inside one message, whatever it looks like: it can open no role,
end no message, and is never read as a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from promptstudio.errors import InputsError, Problem, PromptFileError
from promptstudio.prompts.inputs import checked_inputs
from promptstudio.prompts.prompt import Example, MessageTemplate, PartTemplate, Prompt
from promptstudio.prompts.template import free_variables, render_template
from promptstudio.prompts.wording import nearest
from promptstudio.types import Media, Message, Part, Role

EXAMPLES = "examples"
_ONE_INPUT = re.compile(r"\s*\{\{-?\s*([^\W\d]\w*)\s*-?\}\}\s*")


def render_messages(prompt: Prompt, values: Mapping[str, Any]) -> tuple[Message, ...]:
    """Render a prompt with the values `check_inputs` returned.

    A media part whose input is absent is left out, and a message of which nothing is left too. Few-shot turns stand at
    the `examples` placeholder, or before the last user message where there is none. Every name without a value, in all
    messages, is in one InputsError.
    """
    _check_names(prompt, values)
    seen = {name: _as_seen_by_templates(value) for name, value in values.items()}
    turns: list[Message] = []
    for place, template in enumerate(prompt.messages):
        if place == _examples_place(prompt):
            turns += _example_turns(prompt)
        if template.placeholder is None:
            turns += _rendered(prompt, template, values, seen)
        elif template.placeholder != EXAMPLES:
            turns += values.get(template.placeholder) or ()
    return tuple(turns)


def render_parts(
    prompt: Prompt, template: MessageTemplate, values: Mapping[str, Any], seen: Mapping[str, Any]
) -> tuple[Part, ...]:
    """Render the parts of one message; `seen` are the values as templates see them."""
    parts: list[Part] = []
    for part in template.parts:
        if part.kind != "text":
            media = _media_for(prompt, part, values)
            parts += [Part(part.kind, media=media)] if media is not None else []
        else:
            text = render_template(part.source, seen, prompt.partials, file=prompt.shown_path, line=part.line)
            parts.append(Part("text", text))
    return tuple(parts)


def _rendered(
    prompt: Prompt, template: MessageTemplate, values: Mapping[str, Any], seen: Mapping[str, Any]
) -> Iterator[Message]:
    parts = render_parts(prompt, template, values, seen)
    if parts:
        yield Message(cast("Role", template.role), parts)


def _as_seen_by_templates(value: Any) -> Any:
    """Media as a name, so that `{% if screenshot %}` works; messages as mappings with `role` and `content`."""
    if isinstance(value, Media):
        return value.name or value.mime_type
    if isinstance(value, tuple) and all(isinstance(item, Message) for item in value):
        return [{"role": message.role, "content": message.text} for message in value]
    return value


def _media_for(prompt: Prompt, part: PartTemplate, values: Mapping[str, Any]) -> Media | None:
    name = _input_of(prompt, part)
    value = values.get(name)
    if value is None:
        return None
    spec = prompt.inputs.get(name)
    if not isinstance(value, Media) or (spec is not None and spec.type != part.kind):
        declared = spec.type if spec is not None else "string"
        raise PromptFileError(
            f"{part.kind}: the input {name!r} is of type {declared}",
            file=prompt.shown_path,
            line=part.line,
            column=part.column,
            hint=f"declare it below inputs: as {name}: {{type: {part.kind}}}",
        )
    return value


def _input_of(prompt: Prompt, part: PartTemplate) -> str:
    match = _ONE_INPUT.fullmatch(part.source)
    if match is None:
        raise PromptFileError(
            f"{part.kind}: takes the name of one input and nothing else",
            file=prompt.shown_path,
            line=part.line,
            column=part.column,
            hint=f'write {part.kind}: "{{{{ name }}}}"',
        )
    return match[1]


# -- names ----------------------------------------------------------------------------------------------------------


def _check_names(prompt: Prompt, values: Mapping[str, Any]) -> None:
    problems: dict[tuple[str, int | None], Problem] = {}
    for template in prompt.messages:
        for part in template.parts:
            for name in sorted(_names(prompt, part) - values.keys() - prompt.inputs.keys()):
                problems.setdefault((name, part.line), _undefined(prompt, part, name))
    if problems:
        raise InputsError(problems.values())


def _undefined(prompt: Prompt, part: PartTemplate, name: str) -> Problem:
    near = nearest(name, prompt.inputs)
    hint = f"did you mean {near!r}?" if near else f"declare {name!r} below inputs:"
    return Problem(f"{name!r} is not defined", file=prompt.shown_path, line=part.line, hint=hint)


def _names(prompt: Prompt, part: PartTemplate) -> set[str]:
    return free_variables(part.source, prompt.partials, file=prompt.shown_path, line=part.line)


# -- few-shot turns -------------------------------------------------------------------------------------------------


def _last_user(prompt: Prompt) -> int | None:
    return next(
        (place for place in reversed(range(len(prompt.messages))) if prompt.messages[place].role == "user"), None
    )


def _examples_place(prompt: Prompt) -> int | None:
    """Where the few-shot turns go, as an index into the prompt's messages; None where there are none."""
    if not prompt.examples:
        return None
    placeholders = (place for place, template in enumerate(prompt.messages) if template.placeholder == EXAMPLES)
    return next(placeholders, _last_user(prompt))


def _example_turns(prompt: Prompt) -> Iterator[Message]:
    last = _last_user(prompt)
    if last is None:
        first = prompt.examples[0]
        raise PromptFileError(
            "examples are rendered through the last user message, and there is none",
            file=first.file or prompt.shown_path,
            line=first.line,
        )
    template = prompt.messages[last]
    needed = set().union(*(_names(prompt, part) for part in template.parts))
    for example in prompt.examples:
        values = _example_values(prompt, example, needed)
        yield from _rendered(
            prompt, template, values, {name: _as_seen_by_templates(value) for name, value in values.items()}
        )
        yield Message.of("assistant", _answer(example.output))


def _example_values(prompt: Prompt, example: Example, needed: set[str]) -> dict[str, Any]:
    try:
        return checked_inputs(prompt, example.inputs, needed=needed)
    except InputsError as error:
        file = example.file or prompt.shown_path
        raise PromptFileError(
            Problem(f"example: {problem.message}", file=file, line=example.line) for problem in error.problems
        ) from error


def _answer(output: Any) -> str:
    """The assistant's turn: text as it is, anything else as the JSON a model would be asked for."""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, separators=(",", ":"))
