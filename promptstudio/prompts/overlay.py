"""A YAML document, with or without a variant laid over it → one value that still knows its lines.

Maps merge, lists and scalars replace, null deletes a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import Problem
from promptstudio.prompts.wording import dotted
from promptstudio.prompts.yamlfile import Place, ValuePath, YamlDocument


@dataclass(frozen=True, slots=True)
class Source:
    """What a file says. `origins` maps a path that a variant replaced to its path in the document."""

    document: YamlDocument
    value: Any
    origins: Mapping[ValuePath, ValuePath] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return self.document.file

    def at(self, path: ValuePath) -> Any:
        value = self.value
        for step in path:
            value = value[step]
        return value

    def origin(self, path: ValuePath) -> ValuePath:
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return (*self.origins[path[:length]], *path[length:])
        return path

    def place(self, path: ValuePath) -> Place:
        """Return line and column of the value at `path`, or of the nearest value around it."""
        return self.document.place_of(self.origin(path))

    def key_place(self, path: ValuePath) -> Place:
        return self.document.keys.get(self.origin(path)) or self.place(path)

    def span(self, path: ValuePath) -> tuple[int, int]:
        """Return the first and last line of the text at `path`."""
        line = self.place(path)[0]
        return self.document.spans.get(self.origin(path), (line, line))

    def literal(self, path: ValuePath) -> str | None:
        """Return how a number, a boolean or null was written."""
        return self.document.literals.get(self.origin(path))

    def problem(self, message: str, path: ValuePath = (), hint: str | None = None, *, at_key: bool = False) -> Problem:
        line, column = self.key_place(path) if at_key else self.place(path)
        text = f"{dotted(path)}: {message}" if path else message
        return Problem(text, file=self.file, line=line, column=column, hint=hint)

    def positions(self) -> dict[ValuePath, Place]:
        """Return the place of every value, as `Prompt.positions` holds them."""
        return {path: self.place(path) for path, _ in walk(self.value)}


def walk(value: Any, path: ValuePath = ()) -> Iterator[tuple[ValuePath, Any]]:
    """Yield every value within a value, itself first."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from walk(child, (*path, step))


def overlaid(document: YamlDocument, variant: str | None) -> Source:
    """Lay a variant over the document. The variant must exist and be a map."""
    if variant is None:
        return Source(document, document.value)
    origins: dict[ValuePath, ValuePath] = {}
    overlay = document.value["variants"][variant]
    merged = _merge(document.value, overlay, (), ("variants", variant), origins)
    return Source(document, merged, origins)


def _merge(
    base: Any, overlay: Any, path: ValuePath, overlay_path: ValuePath, origins: dict[ValuePath, ValuePath]
) -> Any:
    if not isinstance(overlay, dict):
        origins[path] = overlay_path
        return overlay
    if not isinstance(base, dict):
        origins[path] = overlay_path
        base = {}
    merged = dict(base)
    for key, value in overlay.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value, (*path, key), (*overlay_path, key), origins)
    return merged
