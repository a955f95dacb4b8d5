"""Mustache → Jinja: values, sections, inverted sections, comments, partials, changed delimiters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from promptstudio.errors import PromptFileError
from promptstudio.exchange.curly import TagError, Token, tokens_of
from promptstudio.exchange.ledger import Ledger
from promptstudio.prompts.pieces import Piece, Tag, Text, Value, jinja_source
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath

MAX_PARTIAL_DEPTH = 10
_NAME = re.compile(r"[^\s.][^.]*(?:\.[^\s.][^.]*)*")
_ESCAPES = "| replace('&', '&amp;') | replace('\"', '&quot;') | replace('<', '&lt;') | replace('>', '&gt;')"


@dataclass(frozen=True, slots=True)
class _Section:
    """An open section: its name, and the loop's variable where it is a loop."""

    name: str
    ending: str
    variable: str | None = None


@dataclass(slots=True)
class _Mustache:
    ledger: Ledger
    path: ValuePath | str
    kinds: Mapping[str, str]
    partials: Mapping[str, str]
    escape: bool
    outside: set[str]
    open: list[_Section] = field(default_factory=list)


def mustache_to_jinja(
    text: str,
    ledger: Ledger,
    path: ValuePath | str,
    *,
    kinds: Mapping[str, str] | None = None,
    partials: Mapping[str, str] | None = None,
    escape: bool = False,
) -> str:
    """Convert a Mustache text. `kinds` says of names what they hold, as far as that is known: array, object, boolean, …

    A section over something of unknown kind that reads fields of its own becomes a loop that does what Mustache does
    for lists, maps and true alike. `escape` is for renderers that turn `&` in a value into `&amp;`. Raises
    PromptFileError for what cannot be said in Jinja.
    """
    state = _Mustache(ledger, path, kinds or {}, partials or {}, escape, set(kinds or {}))
    try:
        tokens = _with_partials(tokens_of(text, handlebars=False), state, ())
        state.outside |= _names_outside(tokens)
        pieces = list(_pieces(tokens, state))
    except TagError as cause:
        at = ledger.line_of(path)
        line = at + cause.line - 1 if at is not None and len(text.splitlines()) > 1 else at
        raise PromptFileError(str(cause), file=ledger.foreign.shown, line=line) from cause
    return jinja_source(pieces)


def _with_partials(tokens: list[Token], state: _Mustache, inside: tuple[str, ...]) -> list[Token]:
    """Put the text of each partial where it is called: a file of ours cannot see the names of its caller's loops."""
    whole: list[Token] = []
    for token in tokens:
        if token.kind != "partial":
            whole.append(token)
            continue
        if token.body not in state.partials:
            raise TagError(f"the partial {shown(token.body)} is not there", token.line)
        if token.body in inside or len(inside) >= MAX_PARTIAL_DEPTH:
            raise TagError(f"the partial {shown(token.body)} calls itself", token.line)
        state.ledger.changed(state.path, f"the partial {shown(token.body)} is written into the text")
        inner = tokens_of(state.partials[token.body], handlebars=False)
        whole += _with_partials(inner, state, (*inside, token.body))
    return whole


def _names_outside(tokens: list[Token]) -> set[str]:
    """Return the first parts of the names that are read outside of every section."""
    names, depth = set(), 0
    for token in tokens:
        if depth == 0 and token.kind in ("value", "open", "inverse"):
            names.add(token.body.partition(".")[0])
        depth += {"open": 1, "inverse": 1, "close": -1}.get(token.kind, 0)
    return names


def _pieces(tokens: list[Token], state: _Mustache) -> Iterator[Piece]:
    for place, token in enumerate(tokens):
        if token.kind == "text":
            yield Text(token.body)
        elif token.kind == "value":
            yield Value(_value(token, state))
        elif token.kind in ("open", "inverse"):
            yield _opened(token, tokens[place + 1 :], state)
        elif token.kind == "close":
            if not state.open or state.open[-1].name != token.body:
                raise TagError(f"{{{{/{token.body}}}}} closes a section that is not open", token.line)
            yield Tag(state.open.pop().ending, token.alone)
    if state.open:
        raise TagError(f"the section {shown(state.open[-1].name)} is never closed", 1)


def _value(token: Token, state: _Mustache) -> str:
    code = _reference(token, state)
    if any(section.variable for section in state.open) and "." in code:
        code = f"{code} | default('')"
    return f"{code} {_ESCAPES}" if state.escape and not token.raw else code


def _reference(token: Token, state: _Mustache, kind: str = "string") -> str:
    """Return the expression for a name: a field of the loop's item, an input, or whichever of the two is there."""
    name = token.body
    loop = next((section.variable for section in reversed(state.open) if section.variable), None)
    if name == ".":
        if loop is None:
            raise TagError("{{.}} stands outside of a section", token.line)
        return loop
    if not _NAME.fullmatch(name):
        raise TagError(f"{shown('{{' + name + '}}')} is not a name", token.line)
    first, *others = name.split(".")
    steps = "".join(_step(part) for part in others)
    if loop is None:
        return state.ledger.uses(first, "any" if others else kind, state.path) + steps
    if first not in state.outside:
        return loop + _step(first) + steps
    outer = state.ledger.uses(first, "any" if others else kind, state.path)
    return f"({loop}{_step(first)} if {loop} is mapping and {_quoted(first)} in {loop} else {outer}){steps}"


def _step(name: str) -> str:
    return f".{name}" if name.isidentifier() and not name.startswith("_") else f"[{_quoted(name)}]"


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _opened(token: Token, following: list[Token], state: _Mustache) -> Tag:
    code = _reference(token, state, "any")
    if "." not in token.body and code.isidentifier():
        state.ledger.optional.add(code)
    guarded = f"{code} | default(none)" if "." in code and "(" not in code else code
    if token.kind == "inverse":
        state.open.append(_Section(token.body, "endif"))
        return Tag(f"if not ({guarded})" if "|" in guarded else f"if not {guarded}", token.alone)
    kind = state.kinds.get(token.body)
    reads = _reads_items(following, state)
    if kind in ("boolean", "string", "number", "integer") or (kind is None and not reads):
        if kind is None:
            said = (
                f"the section {shown(token.body)} is read as a condition: a list would be rendered once, not per item"
            )
            state.ledger.changed(state.path, said)
        state.open.append(_Section(token.body, "endif"))
        return Tag(f"if {guarded}", token.alone)
    depth = sum(1 for section in state.open if section.variable)
    variable = "item" if depth == 0 else f"item{depth + 1}"
    state.open.append(_Section(token.body, "endfor", variable))
    several = guarded
    if kind != "array":
        is_list = f"{code} is sequence and {code} is not string and {code} is not mapping"
        several = f"({code} if {is_list} else [{code}] if {code} else [])"
    if code.isidentifier():
        state.ledger.uses(token.body, kind or "any", state.path)
    return Tag(f"for {variable} in {several}", token.alone)


def _reads_items(following: list[Token], state: _Mustache) -> bool:
    """Say whether the section reads `.` or a name that nothing outside of sections reads."""
    depth = 0
    for token in following:
        if token.kind == "close":
            if depth == 0:
                return False
            depth -= 1
        elif token.kind in ("value", "open", "inverse"):
            if token.body == "." or token.body.partition(".")[0] not in state.outside:
                return True
            depth += token.kind != "value"
    return False
