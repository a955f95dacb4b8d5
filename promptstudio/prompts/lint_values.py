"""Examples and tests of a prompt → where they do not fit its declared inputs and output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.errors import Problem
from promptstudio.prompts.jsonschemas import value_problems
from promptstudio.prompts.prompt import MEDIA_TYPES, Example, Prompt
from promptstudio.prompts.wording import dotted, shown, suggestion
from promptstudio.prompts.yamlfile import ValuePath


def example_problems(prompt: Prompt) -> Iterator[Problem]:
    """Yield where few-shot examples do not fit: inputs, and the whole output."""
    lines = {at[0]: path for path, at in prompt.positions.items() if len(path) == 2 and path[0] == "examples"}
    for number, example in enumerate(prompt.examples):
        path = lines.get(example.line or 0) if example.file == prompt.shown_path else None
        where: ValuePath = path or ("examples", number)
        found = [
            *_input_problems(prompt, example.inputs, (*where, "inputs")),
            *_output_problems(prompt, example, where),
        ]
        for at, message, hint in found:
            line, column = _place(prompt, at) if path else (example.line, None)
            yield Problem(f"{dotted(at)}: {message}", file=example.file, line=line, column=column, hint=hint)


def test_problems(prompt: Prompt) -> Iterator[Problem]:
    """Yield where the tests beside a prompt do not fit: inputs, and the part of the output they expect."""
    for number, test in enumerate(prompt.tests):
        where: ValuePath = ("tests", number)
        name = "vars" if "vars" in test else "inputs"
        found = list(_input_problems(prompt, test.get(name, {}), (*where, name)))
        for key in ("expected_output", "expected", "reference"):
            if key in test:
                found += _expected_problems(prompt, test[key], (*where, key))
        for at, message, hint in found:
            line, column = _place(prompt, at)
            yield Problem(f"{dotted(at)}: {message}", file=prompt.shown_path, line=line, column=column, hint=hint)


def _place(prompt: Prompt, path: ValuePath) -> tuple[int, int]:
    return next((prompt.positions[path[:n]] for n in range(len(path), -1, -1) if path[:n] in prompt.positions), (1, 1))


Fault = tuple[ValuePath, str, str | None]


def _input_problems(prompt: Prompt, values: Mapping[str, Any], path: ValuePath) -> Iterator[Fault]:
    for name, value in values.items():
        spec = prompt.inputs.get(name)
        if spec is None:
            yield (*path, name), f"the prompt has no input {shown(name)}", suggestion(name, prompt.inputs)
        elif spec.type not in MEDIA_TYPES and spec.type != "messages":
            faults = value_problems(spec.schema, value)
            yield from (((*path, name, *at), message, None) for at, message in faults)
    missing = [name for name, spec in prompt.inputs.items() if spec.required and name not in values]
    if missing:
        yield path, f"missing {', '.join(missing)}", "give a value, or mark the input optional with `?`"


def _output_problems(prompt: Prompt, example: Example, path: ValuePath) -> Iterator[Fault]:
    if prompt.output is not None and prompt.output.schema is not None:
        faults = value_problems(prompt.output.schema, example.output)
        yield from (((*path, "output", *at), message, None) for at, message in faults)


def _expected_problems(prompt: Prompt, expected: Any, path: ValuePath) -> Iterator[Fault]:
    """A map in `expected_output` is compared key by key, so only the keys that are there are checked."""
    schema = prompt.output.schema if prompt.output else None
    if schema is None or not isinstance(expected, dict):
        return
    partial = {key: value for key, value in schema.items() if key != "required"}
    yield from (((*path, *at), message, None) for at, message in value_problems(partial, expected))
