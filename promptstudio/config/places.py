"""TOML text → the line each key stands on. For error messages: tomllib gives values without places."""

from __future__ import annotations

import re
from collections.abc import Mapping

_BARE_OR_QUOTED = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = rf"{_BARE_OR_QUOTED}(?:\s*\.\s*{_BARE_OR_QUOTED})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_KEY})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_KEY})\s*=")
_PART = re.compile(_BARE_OR_QUOTED)
# Everything that may hide a bracket or a quote, longest first.
_TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*|[\[\]{}]')


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Map each key path to its line, counted from 1. Keys of an inline table inherit the line of the table."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    open_until = ""
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        at_top = not open_until and depth == 0
        header = _HEADER.match(line) if at_top else None
        if header:
            table = _parts(header[1])
            lines.setdefault(table, number)
            continue
        assignment = _ASSIGNMENT.match(line) if at_top else None
        if assignment:
            lines.setdefault(table + _parts(assignment[1]), number)
        open_until, depth = _state_after(line[assignment.end() :] if assignment else line, open_until, depth)
    return lines


def line_of(lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]) -> int | None:
    """Return the line of a key, or of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    below = [line for key, line in lines.items() if key[: len(path)] == path]
    return min(below, default=None)


def _state_after(line: str, open_until: str, depth: int) -> tuple[str, int]:
    position = 0
    while position < len(line):
        if open_until:
            end = line.find(open_until, position)
            if end < 0:
                return open_until, depth
            position, open_until = end + 3, ""
            continue
        token = _TOKEN.search(line, position)
        if token is None:
            break
        position = token.end()
        if token[0] in ('"""', "'''"):
            open_until = token[0]
        elif token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth = max(0, depth - 1)
    return open_until, depth


def _parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") if part[0] in "\"'" else part for part in _PART.findall(key))
