"""A prompt, resolved: what a file means once short forms are expanded, a variant is merged and defaults are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from promptstudio.prompts.hashes import Identity
from promptstudio.types import PartKind

__all__ = [
    "MEDIA_TYPES",
    "Example",
    "Identity",
    "InputSpec",
    "InputType",
    "MessageTemplate",
    "OutputMode",
    "OutputSpec",
    "PartTemplate",
    "Prompt",
    "Retry",
    "Revision",
]

InputType = Literal[
    "string", "integer", "number", "boolean", "array", "object", "image", "audio", "file", "messages", "any"
]
OutputMode = Literal["auto", "tools", "json_schema", "json", "md_json"]
MEDIA_TYPES = frozenset({"image", "audio", "file"})


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One declared input. `schema` is plain JSON Schema (Draft 7) for the value; for media and messages it is empty."""

    name: str
    type: InputType
    schema: Mapping[str, Any]
    required: bool
    has_default: bool = False
    default: Any = None
    description: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """The typed answer: one of `schema` (a JSON Schema whose root is an object) and `model` (`module:Class`)."""

    name: str
    schema: Mapping[str, Any] | None
    model: str | None = None
    max_retries: int = 2
    mode: OutputMode = "auto"
    line: int | None = None


@dataclass(frozen=True, slots=True)
class PartTemplate:
    """Jinja source of one content part. For media kinds the source is a single `{{ name }}`."""

    kind: PartKind
    source: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """Either a role with parts, or a placeholder (`examples`, or the name of a `messages` input)."""

    role: str | None
    parts: tuple[PartTemplate, ...] = ()
    placeholder: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A few-shot turn: `inputs` are rendered through the last user message, `output` is the assistant's answer."""

    inputs: Mapping[str, Any]
    output: Any
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """`max_attempts` requests in all for one answer; `timeout_s` seconds for each."""

    max_attempts: int = 3
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Revision:
    """Where a prompt was read from, when not from the working tree: a commit, or a bundle (which may name one).

    `asked` is what the user wrote after `@`; `label` the label it went through, if it was one.
    """

    asked: str
    commit: str | None
    label: str | None = None
    bundle: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything a run needs to know of a prompt file.

    `partials` maps include names to their text, so that rendering reads no disk.
    """

    name: str
    path: Path | None
    shown_path: str
    variant: str | None
    description: str
    version: str | None
    type: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    model: str | None
    parameters: Mapping[str, Any]
    profile: str | None
    fallbacks: tuple[str, ...]
    retry: Retry
    inputs: Mapping[str, InputSpec]
    inputs_declared: bool
    output: OutputSpec | None
    messages: tuple[MessageTemplate, ...]
    examples: tuple[Example, ...]
    tools: tuple[str, ...]
    partials: Mapping[str, str]
    variants: tuple[str, ...]
    tests: tuple[Mapping[str, Any], ...]
    evals: tuple[str, ...]
    identity: Identity
    positions: Mapping[tuple[str | int, ...], tuple[int, int]] = field(default_factory=dict, repr=False)
    file_parameters: Mapping[str, Any] = field(default_factory=dict)  # without those of the profile
    revision: Revision | None = None
