"""Literal text, tags and values in order → Jinja source that our sandbox renders to exactly that.

Our templates drop the line feed after a block tag, the blanks before one that begins its line, and the last line feed
of the whole: here each of these is written so that nothing is dropped that the foreign format keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

_OPENERS = re.compile(r"\{[{%#\r]|\r")


@dataclass(frozen=True, slots=True)
class Text:
    """What is rendered as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """An expression that is printed."""

    code: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A block tag, `if x` or `endif`. `alone` puts it on a line of its own, which renders as nothing."""

    code: str
    alone: bool = False


Piece = Text | Value | Tag


def jinja_source(pieces: Iterable[Piece]) -> str:
    """Return the source; each text in it renders as itself, whatever braces it has."""
    merged = _merged(pieces)
    written: list[str] = []
    for place, piece in enumerate(merged):
        before = merged[place - 1] if place else None
        after = merged[place + 1] if place + 1 < len(merged) else None
        if isinstance(piece, Text):
            written.append(_escaped(piece.text, before_tag=after is not None))
        elif isinstance(piece, Value):
            written.append(f"{{{{ {piece.code} }}}}")
        else:
            written.append(_tag(piece, before, after))
    last = merged[-1] if merged else None
    return "".join(written) + ("\n" if isinstance(last, Text) and last.text.endswith("\n") else "")


def literal_to_jinja(text: str) -> str:
    """Return Jinja source that renders to `text`, whatever it looks like.

    >>> literal_to_jinja("100 {{ percent }}")
    "100 {{ '{{' }} percent }}"
    """
    return jinja_source([Text(text)])


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for is_text, run in groupby(pieces, lambda piece: isinstance(piece, Text)):
        if not is_text:
            merged += run
        elif text := "".join(piece.text for piece in run if isinstance(piece, Text)):
            merged.append(Text(text))
    return merged


def _escaped(text: str, *, before_tag: bool) -> str:
    # A line feed within a template is one, however it was written; only as a value can it be a carriage return.
    escaped = _OPENERS.sub(lambda found: "{{ '" + found[0].replace("\r", "\\r") + "' }}", text)
    if before_tag and escaped.endswith("{"):
        return escaped[:-1] + "{{ '{' }}"
    return escaped


def _tag(tag: Tag, before: Piece | None, after: Piece | None) -> str:
    opening, closing = "{%", "%}"
    if isinstance(before, Text) and (line := before.text.rpartition("\n")[2]) and not line.strip(" \t"):
        opening = "{%+"
    if tag.alone:
        return f"{opening} {tag.code} {closing}\n"
    if isinstance(after, Text) and after.text.startswith("\n"):
        closing = "+%}"
    return f"{opening} {tag.code} {closing}"
