"""A `Prompt` for tests of what comes after loading: `sample_prompt(inputs={…}, messages=[…])`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptstudio.prompts.prompt import Example, Identity, InputSpec, MessageTemplate, PartTemplate, Prompt, Retry

NO_SCHEMA = ("image", "audio", "file", "messages")


def spec(name: str, kind: Any = "string", *, required: bool = True, default: Any = ..., **schema: Any) -> InputSpec:
    full = {} if kind in NO_SCHEMA else schema if kind == "any" else {"type": kind, **schema}
    has_default = default is not ...
    return InputSpec(name, kind, full, required, has_default, default if has_default else None)


def user(*sources: str, role: str = "user", line: int = 10) -> MessageTemplate:
    return MessageTemplate(role, tuple(PartTemplate("text", source, line + at) for at, source in enumerate(sources)))


def sample_prompt(
    *specs: InputSpec,
    messages: Sequence[MessageTemplate] = (),
    examples: Sequence[Example] = (),
    partials: Mapping[str, str] | None = None,
) -> Prompt:
    return Prompt(
        name="support/triage",
        path=None,
        shown_path="prompts/support/triage.yaml",
        variant=None,
        description="",
        version=None,
        type="text",
        tags=(),
        metadata={},
        model="offline/echo",
        parameters={},
        profile=None,
        fallbacks=(),
        retry=Retry(),
        inputs={each.name: each for each in specs},
        inputs_declared=True,
        output=None,
        messages=tuple(messages),
        examples=tuple(examples),
        tools=(),
        partials=partials or {},
        variants=(),
        tests=(),
        evals=(),
        identity=Identity("", "", ""),
    )
