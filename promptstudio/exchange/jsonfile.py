"""Text of a JSON file → the same `YamlDocument` a YAML file gives: plain values, and the place of each.

As strict as our YAML: no key twice, no NaN or infinity, no half characters, nothing nested too deeply, numbers and
values bounded. Places come from a second look at the text, without recursion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.prompts.includes import read_json
from promptstudio.prompts.wording import dotted
from promptstudio.prompts.yamlfile import MAX_NODES, MAX_NUMBER_LENGTH, Place, ValuePath, YamlDocument

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 10**MAX_NUMBER_LENGTH


def read_json_document(text: str, *, file: str) -> YamlDocument:
    """Parse one JSON document. Raises PromptFileError at the first thing that is wrong."""
    body = text.removeprefix("\ufeff")
    value = read_json(body, file=file)
    fault: tuple[ValuePath, str] | None = None
    for number, (path, item) in enumerate(walk_values(value), start=1):
        if number > MAX_NODES:
            raise PromptFileError(f"more than {MAX_NODES:,} values", file=file, hint="move data to a file of its own")
        if fault is None and (said := _fault(item)):
            fault = (path, said)
    places, keys = _places(body)
    document = YamlDocument(file, text, value, places, keys, {}, {})
    if fault is not None:
        line, column = document.place_of(fault[0])
        said = f"{dotted(fault[0]) or 'the file'}: {fault[1]}"
        raise PromptFileError(said, file=file, line=line, column=column)
    return document


def walk_values(value: Any, path: ValuePath = ()) -> Iterator[tuple[ValuePath, Any]]:
    """Yield a value and everything in it, with paths; keys are looked at as values of their own map are."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from walk_values(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk_values(item, (*path, index))


def _fault(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "the number is too large"
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return f"a number of more than {MAX_NUMBER_LENGTH} digits"
    if isinstance(value, str) and (found := _SURROGATE.search(value)):
        return f"half a character (U+{ord(found.group()):04X})"
    return None


# -- places ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A list or map that is not closed yet; `key` is the one whose value comes next, `index` the item."""

    path: ValuePath
    is_map: bool
    key: str | None = None
    index: int = 0


@dataclass(slots=True)
class _Scan:
    """Places found so far. Lines and columns count from 1."""

    text: str
    positions: dict[ValuePath, Place] = field(default_factory=dict)
    keys: dict[ValuePath, Place] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    line: int = 1
    line_start: int = 0
    looked: int = 0

    def place_at(self, offset: int) -> Place:
        self.line += self.text.count("\n", self.looked, offset)
        last = self.text.rfind("\n", self.looked, offset)
        self.line_start = last + 1 if last >= 0 else self.line_start
        self.looked = offset
        return self.line, offset - self.line_start + 1

    def take(self, sign: str, place: Place) -> None:
        top = self.stack[-1] if self.stack else None
        if sign in ("]", "}"):
            self.stack.pop()
        elif sign == ",":
            if top is not None:
                top.index, top.key = top.index + 1, None
        elif sign == ":":
            return
        elif top is not None and top.is_map and top.key is None:
            top.key = _key_of(sign)
            self.keys[(*top.path, top.key)] = place
        else:
            path: ValuePath = () if top is None else (*top.path, top.key if top.key is not None else top.index)
            self.positions[path] = place
            if sign in ("[", "{"):
                self.stack.append(_Open(path, sign == "{"))


def _key_of(written: str) -> str:
    read = read_json(written, file="")
    return read if isinstance(read, str) else str(read)


def _places(text: str) -> tuple[dict[ValuePath, Place], dict[ValuePath, Place]]:
    """Look at a text that is known to be JSON."""
    scan = _Scan(text)
    for match in _TOKEN.finditer(text):
        scan.take(match[0], scan.place_at(match.start()))
    return scan.positions, scan.keys
