"""Mustache or Handlebars text → a list of tokens, with the white space those languages drop already gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "value", "open", "inverse", "close", "else", "partial", "comment", "delimiters"]

MAX_TAGS = 5_000
_SIGILS: dict[str, Kind] = {"#": "open", "^": "inverse", "/": "close", ">": "partial", "!": "comment", "&": "value"}
# A tag of these kinds that has a line to itself leaves nothing of the line behind.
_STANDALONE = frozenset({"open", "inverse", "close", "else", "partial", "comment", "delimiters"})


class TagError(ValueError):
    """A tag that cannot be read; `line` counts from 1 within the text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Token:
    """`body` is the text, or what stands in a tag after its sign; `alone` says that the tag had a line to itself.

    `raw` marks a value that is not escaped; `line` counts from 1 within the text.
    """

    kind: Kind
    body: str
    line: int
    raw: bool = False
    alone: bool = False
    start: int = 0
    end: int = 0
    trim: tuple[bool, bool] = (False, False)


def tokens_of(text: str, *, handlebars: bool) -> list[Token]:
    """Return the tokens. Raises TagError at a tag that is never closed, or when there are too many."""
    tokens = list(_scanned(text, handlebars=handlebars))
    marked = [replace(token, alone=token.kind in _STANDALONE and _has_a_line(token, text)) for token in tokens]
    return [token for token in _trimmed(marked) if token.kind != "text" or token.body]


def _scanned(text: str, *, handlebars: bool) -> Iterator[Token]:
    opening, closing = "{{", "}}"
    position, line, found = 0, 1, 0
    while (start := text.find(opening, position)) >= 0:
        found += 1
        if found > MAX_TAGS:
            raise TagError(f"more than {MAX_TAGS:,} tags", line)
        if handlebars and text[start - 1 : start] == "\\" and start > position:
            literal, position = _escaped(text, position, start)
            yield Token("text", literal, line)
            line += literal.count("\n")
            if position > start:
                continue
        else:
            yield Token("text", text[position:start], line)
            line += text.count("\n", position, start)
        token = _tag(text, start, line, opening, closing, handlebars=handlebars)
        yield token
        line += text.count("\n", start, token.end)
        position = token.end
        if token.kind == "delimiters":
            opening, closing = _delimiters(token)
    yield Token("text", text[position:], line)


def _escaped(text: str, position: int, start: int) -> tuple[str, int]:
    r"""`\{{` is two braces of text; `\\{{` is a backslash before a tag."""
    if text[start - 2 : start] == "\\\\" and start - 1 > position:
        return text[position : start - 1], start
    return text[position : start - 1] + "{{", start + 2


def _tag(text: str, start: int, line: int, opening: str, closing: str, *, handlebars: bool) -> Token:
    if handlebars and text.startswith("{{{{", start):
        raise TagError("raw blocks ({{{{ … }}}}) have no counterpart", line)
    inner = start + len(opening)
    triple = opening == "{{" and text.startswith(("{{{", "{{~{"), start)
    long_comment = handlebars and re.compile(r"~?!--").match(text, inner) is not None
    ending = "}}}" if triple and text[inner] == "{" else "}~}}" if triple else "--" if long_comment else closing
    stop = text.find(ending, inner + (5 if long_comment else 0))
    end = text.find(closing, stop + len(ending)) + len(closing) if long_comment else stop + len(ending)
    if stop < 0 or end < stop:
        raise TagError(f"a tag is opened with {opening} and never closed", line)
    body = text[inner : end - len(closing)]
    trim = (handlebars and body.startswith("~"), handlebars and body.endswith("~"))
    body = body[1 if trim[0] else 0 : len(body) - 1 if trim[1] else len(body)]
    if triple:
        inner_text = body.strip().removeprefix("{").removesuffix("}").strip()
        return Token("value", inner_text, line, raw=True, start=start, end=end, trim=trim)
    kind, body = _kind_of(body, handlebars=handlebars)
    raw = text[inner : inner + 2].lstrip("~").startswith("&")
    return Token(kind, body, line, raw=raw, start=start, end=end, trim=trim)


def _kind_of(body: str, *, handlebars: bool) -> tuple[Kind, str]:
    inner = body.strip()
    if body.startswith("!"):
        return "comment", body[1:]
    if not handlebars and inner.startswith("=") and inner.endswith("="):
        return "delimiters", inner
    if handlebars and (inner in ("else", "^") or inner.startswith("else ")):
        return "else", "" if inner == "^" else inner.removeprefix("else").strip()
    if inner[:1] in _SIGILS:
        return _SIGILS[inner[0]], inner[1:].strip()
    return "value", inner


def _delimiters(token: Token) -> tuple[str, str]:
    words = token.body.strip("=").split()
    if len(words) != 2 or not all(words):
        raise TagError("a change of delimiters names two of them", token.line)
    return words[0], words[1]


def _has_a_line(token: Token, text: str) -> bool:
    before = text[text.rfind("\n", 0, token.start) + 1 : token.start]
    stop = text.find("\n", token.end)
    return not before.strip() and not text[token.end : len(text) if stop < 0 else stop].strip()


def _trimmed(tokens: list[Token]) -> Iterator[Token]:
    for place, token in enumerate(tokens):
        if token.kind != "text":
            yield token
            continue
        body = token.body
        if place:
            previous = tokens[place - 1]
            if previous.trim[1]:
                body = body.lstrip()
            elif previous.alone:
                body = re.sub(r"\A[ \t]*\r?(?:\n|\Z)", "", body, count=1)
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        if following is not None and following.trim[0]:
            body = body.rstrip()
        elif following is not None and following.alone:
            body = body.rstrip(" \t")
        yield replace(token, body=body)
