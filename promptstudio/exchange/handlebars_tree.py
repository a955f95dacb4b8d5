"""Handlebars text → a tree of texts, calls and blocks, partials already in their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from promptstudio.exchange.curly import TagError, Token, tokens_of
from promptstudio.prompts.wording import shown

MAX_DEPTH = 30
MAX_PARTIALS = 100
_WORD = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<hash>[^\s=()|"']+)=|(?P<as>as\s*\|(?P<params>[^|]*)\|)"""
    r"""|(?P<word>(?:\[[^\]]*\]|[^\s=()|"'\[])+))"""
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Expression:
    """`text` holds a string's value, `word` a path, a number or true, false, null, undefined."""

    word: str = ""
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What stands in a tag: a name (or a path), its arguments, and those given by name."""

    name: Expression
    args: tuple[Expression, ...] = ()
    named: Mapping[str, Expression] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    line: int = 1


@dataclass(frozen=True, slots=True)
class TextNode:
    text: str


@dataclass(frozen=True, slots=True)
class CallNode:
    call: Call


@dataclass(frozen=True, slots=True)
class Block:
    """`inverse` is `{{^x}}`; `otherwise` what follows `{{else}}`. The flags say which of its tags had a line alone."""

    call: Call
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...] | None = None
    inverse: bool = False
    alone: tuple[bool, bool, bool] = (False, False, False)


@dataclass(frozen=True, slots=True)
class Scoped:
    """The body of a partial, with the names its call hands over and the value that is `this` in it."""

    body: tuple[Node, ...]
    named: Mapping[str, Expression]
    this: Expression | None


Node = TextNode | CallNode | Block | Scoped


def parsed(text: str, partials: Mapping[str, str]) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """Return the tree and the names of the partials that were put in. Raises TagError."""
    reader = _Reader(dict(partials))
    return reader.read(text, ()), tuple(dict.fromkeys(reader.used))


@dataclass(slots=True)
class _Reader:
    partials: Mapping[str, str]
    used: list[str] = field(default_factory=list)

    def read(self, text: str, inside: tuple[str, ...]) -> tuple[Node, ...]:
        tokens = [token for token in tokens_of(text, handlebars=True) if token.kind != "comment"]
        nodes, rest, _ = self.nodes(tokens, 0, None, inside, 0)
        if rest < len(tokens):
            raise TagError(f"{{{{{_sign(tokens[rest])}{tokens[rest].body}}}}} closes nothing", tokens[rest].line)
        return nodes

    def nodes(
        self, tokens: list[Token], at: int, within: Token | None, inside: tuple[str, ...], depth: int
    ) -> tuple[tuple[Node, ...], int, Token | None]:
        """Read up to what ends the block `within`: return the nodes, where they end, and the ending token."""
        found: list[Node] = []
        while at < len(tokens):
            token = tokens[at]
            if token.kind in ("close", "else"):
                return tuple(found), at, token
            if token.kind == "text":
                found.append(TextNode(token.body))
            elif token.kind == "value":
                found.append(CallNode(call_of(token.body, token.line)))
            elif token.kind == "partial":
                found.append(self.partial(token, inside))
            else:
                block, at = self.block(tokens, at, inside, depth + 1)
                found.append(block)
                continue
            at += 1
        if within is not None:
            raise TagError(f"the block {shown(within.body)} is never closed", within.line)
        return tuple(found), at, None

    def block(self, tokens: list[Token], at: int, inside: tuple[str, ...], depth: int) -> tuple[Block, int]:
        opening = tokens[at]
        if depth > MAX_DEPTH:
            raise TagError(f"blocks are nested deeper than {MAX_DEPTH} levels", opening.line)
        call = call_of(opening.body.lstrip("*>"), opening.line)
        if opening.body.startswith(("*", ">")):
            raise TagError(f"{shown('{{#' + opening.body + '}}')} has no counterpart", opening.line)
        body, at, ending = self.nodes(tokens, at + 1, opening, inside, depth)
        otherwise: tuple[Node, ...] | None = None
        middle = False
        inverse = opening.kind == "inverse"
        if ending is not None and ending.kind == "else":
            middle = ending.alone
            if ending.body:
                chained = replace(ending, kind="open")
                inner, at = self.block([*tokens[:at], chained, *tokens[at + 1 :]], at, inside, depth)
                closing = tokens[at - 1]
                return Block(
                    call,
                    body,
                    (replace(inner, alone=(middle, inner.alone[1], False)),),
                    inverse,
                    (opening.alone, False, closing.alone),
                ), at
            otherwise, at, ending = self.nodes(tokens, at + 1, opening, inside, depth)
        if ending is None or ending.kind != "close":
            raise TagError(f"the block {shown(opening.body)} is not closed properly", opening.line)
        return Block(call, body, otherwise, inverse, (opening.alone, middle, ending.alone)), at + 1

    def partial(self, token: Token, inside: tuple[str, ...]) -> Scoped:
        call = call_of(token.body, token.line)
        name = call.name.text if call.name.text is not None else call.name.word
        if name not in self.partials:
            raise TagError(f"the partial {shown(name)} is not there", token.line)
        if name in inside or len(self.used) >= MAX_PARTIALS:
            raise TagError(f"the partial {shown(name)} calls itself, or too many are called", token.line)
        self.used.append(name)
        try:
            body = self.read(self.partials[name], (*inside, name))
        except TagError as cause:
            raise TagError(f"in the partial {shown(name)}: {cause}", token.line) from cause
        return Scoped(body, call.named, call.args[0] if call.args else None)


def _sign(token: Token) -> str:
    return "/" if token.kind == "close" else "else "


def call_of(body: str, line: int) -> Call:
    """Take the inside of a tag apart. Raises TagError for subexpressions and what is not Handlebars."""
    if "(" in re.sub(r'"[^"]*"|\'[^\']*\'', "", body):
        raise TagError(f"{shown('{{' + body + '}}')}: a call within a call has no counterpart", line)
    words: list[Expression] = []
    named: dict[str, Expression] = {}
    params: tuple[str, ...] = ()
    key: str | None = None
    at = 0
    while at < len(body.rstrip()):
        match = _WORD.match(body, at)
        if match is None:
            raise TagError(f"{shown('{{' + body + '}}')} cannot be read", line)
        at = match.end()
        if match["hash"] is not None:
            key = match["hash"]
        elif match["as"] is not None:
            params = tuple(match["params"].split())
        else:
            value = Expression(word=match["word"]) if match["word"] else Expression(text=_unquoted(match["text"]))
            if key is None:
                words.append(value)
            else:
                named[key], key = value, None
    if not words:
        raise TagError(f"{shown('{{' + body + '}}')} names nothing", line)
    return Call(words[0], tuple(words[1:]), named, params, line)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None
