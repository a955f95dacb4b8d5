"""Jinja and Nunjucks as other tools render them → the same text under our settings of white space.

Other tools keep the line feed after a block tag and the blanks before one; we drop both. The tags themselves stay as
they are, but for names: filters that bear another name here, and inputs that are no name for us.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from promptstudio.errors import PromptFileError
from promptstudio.exchange.ledger import Ledger
from promptstudio.prompts.pieces import Piece, Tag, Text, Value, jinja_source
from promptstudio.prompts.template import check_syntax, free_variables
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath

MAX_TAGS = 5_000
_CLOSERS = {"{{": "}}", "{%": "%}", "{#": "#}"}
_OPENER = re.compile(r"\{[{%#]")
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_PAIRS = re.compile(r"(for\s+\w+\s*,\s*\w+\s+in)\s+(.+)", re.DOTALL)
_RAW = re.compile(r"\{%[-+]?\s*(?:raw|verbatim)\s*[-+]?%\}")
_ENDRAW = re.compile(r"\{%[-+]?\s*end(?:raw|verbatim)\s*[-+]?%\}")
# Nunjucks' names for what Jinja has under another name; None: what it does is what we do anyway.
_FILTERS = {"dump": "tojson", "safe": None, "string": "string"}
_FILTER = re.compile(r"\|\s*(\w+)(\s*\(\s*\))?")
# Reads the environment of the machine, or code.
_REFUSED = re.compile(r"(?<![\w.'\"])(env|process|require)\s*[.\[(]")


@dataclass(frozen=True, slots=True)
class _Part:
    """`kind` is text, raw, value, tag or comment.

    `trims` says on which sides white space goes, as `{%-` and `-%}` ask; `keeps` where it stays whatever the settings,
    as `{%+` and `+%}` ask.
    """

    kind: str
    body: str
    trims: tuple[bool, bool] = (False, False)
    keeps: tuple[bool, bool] = (False, False)


def jinja_to_jinja(
    text: str,
    ledger: Ledger,
    path: ValuePath | str,
    *,
    keep_last_newline: bool = False,
    trim_blocks: bool = False,
    lstrip_blocks: bool = False,
    nunjucks: bool = False,
) -> str:
    """Convert a Jinja or Nunjucks text; the flags are the settings it was written for (Jinja's own defaults).

    With `nunjucks` a loop with two names goes over the entries of a map as well as over pairs.

    The inputs it reads are noted in the ledger. Raises PromptFileError for what our sandbox does not have.
    """
    source = text if keep_last_newline or not text.endswith("\n") else text[:-1]
    parts = list(_parts(source, ledger, path))
    if nunjucks:
        parts = [replace(part, body=_over_entries(part.body)) if part.kind == "tag" else part for part in parts]
    pieces = list(_pieces(parts, trim_blocks=trim_blocks, lstrip_blocks=lstrip_blocks))
    converted = jinja_source(pieces)
    file, line = ledger.foreign.shown, ledger.line_of(path)
    check_syntax(converted, file=file, line=line)
    for name in sorted(free_variables(converted, {}, file=file, line=line)):
        ledger.uses(name, _kind(name, parts), path)
    return converted


def _over_entries(code: str) -> str:
    match = _PAIRS.fullmatch(code)
    if match is None:
        return code
    return f"{match[1]} (({match[2]}) | items if ({match[2]}) is mapping else {match[2]})"


def our_pieces(source: str, ledger: Ledger) -> list[Piece]:
    """Take a template of ours apart: what `jinja_source` would put together again, comments and white space settled."""
    text = source[:-1] if source.endswith("\n") else source
    parts = list(_parts(text, ledger, "", adapt=False))
    return list(_pieces(parts, trim_blocks=True, lstrip_blocks=True))


def _kind(name: str, parts: list[_Part]) -> str:
    """Return `string` for what is only printed as it is, `any` for what is looped over, compared or reached into."""
    word = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
    uses = [part for part in parts if part.kind != "text" and word.search(part.body)]
    return "string" if all(part.kind == "value" and part.body.strip() == name for part in uses) else "any"


def _parts(text: str, ledger: Ledger, path: ValuePath | str, *, adapt: bool = True) -> Iterator[_Part]:
    position, tags = 0, 0
    while match := _OPENER.search(text, position):
        start = match.start()
        yield _Part("text", text[position:start])
        tags += 1
        if tags > MAX_TAGS:
            raise _unreadable(f"more than {MAX_TAGS:,} tags", text, start, ledger, path)
        if raw := _RAW.match(text, start):
            end = _ENDRAW.search(text, raw.end())
            if end is None:
                raise _unreadable("raw text is opened and never closed", text, start, ledger, path)
            yield from _raw_parts(raw[0], text[raw.end() : end.start()], end[0])
            position = end.end()
            continue
        opener = match[0]
        stop = _end_of(text, start, opener)
        if stop < 0:
            raise _unreadable(f"a tag is opened with {opener} and never closed", text, start, ledger, path)
        inner = text[start + 2 : stop]
        trims = (inner.startswith("-"), inner.endswith("-"))
        keeps = (inner.startswith("+"), inner.endswith("+"))
        body = inner[any((trims[0], keeps[0])) : len(inner) - any((trims[1], keeps[1]))].strip()
        if opener == "{#":
            yield _Part("comment", "", trims, keeps)
        else:
            code = _adapted(body, text, start, ledger, path) if adapt else body
            yield _Part("value" if opener == "{{" else "tag", code, trims, keeps)
        position = stop + 2
    yield _Part("text", text[position:])


def _raw_parts(begin: str, body: str, end: str) -> Iterator[_Part]:
    """A raw block: its tags trim what is around them, and its text stands as it is."""
    yield _Part("comment", "", ("{%-" in begin, False), ("{%+" in begin, True))
    yield _Part("raw", body.lstrip() if "-%}" in begin else body)
    yield _Part("comment", "", (False, "-%}" in end), (True, "+%}" in end))


def _end_of(text: str, start: int, opener: str) -> int:
    """Return where the tag's closing sign stands; one within quotes does not count."""
    closer, position = _CLOSERS[opener], start + 2
    if opener == "{#":
        return text.find(closer, position)
    signs = re.compile(r"['\"]|" + re.escape(closer))
    while found := signs.search(text, position):
        if found[0] == closer:
            return found.start()
        string = _STRING.match(text, found.start())
        if string is None:
            return text.find(closer, position)
        position = string.end()
    return -1


def _adapted(code: str, text: str, start: int, ledger: Ledger, path: ValuePath | str) -> str:
    bare = _STRING.sub("''", code)
    if refused := _REFUSED.search(bare):
        said = f"the template reads {shown(refused[1])}: what a prompt says may not depend on the machine it is run on"
        raise _unreadable(said, text, start, ledger, path)
    if code.partition(" ")[0] in ("include", "import", "from", "extends"):
        raise _unreadable(f"{{% {shown(code)} %}} reads another template", text, start, ledger, path)

    def renamed(match: re.Match[str]) -> str:
        if match[1] not in _FILTERS:
            return match[0]
        name = _FILTERS[match[1]]
        return f"| {name}" if name else ""

    return _FILTER.sub(renamed, code).strip() if "|" in bare else code


def _pieces(parts: list[_Part], *, trim_blocks: bool, lstrip_blocks: bool) -> Iterator[Piece]:
    for place, part in enumerate(parts):
        if part.kind == "value":
            yield Value(part.body)
        elif part.kind == "tag":
            yield Tag(part.body)
        elif part.kind == "raw":
            yield Text(part.body)
        elif part.kind == "text":
            yield Text(_spaced(parts, place, trim_blocks=trim_blocks, lstrip_blocks=lstrip_blocks))


def _spaced(parts: list[_Part], place: int, *, trim_blocks: bool, lstrip_blocks: bool) -> str:
    body = parts[place].body
    before = parts[place - 1] if place else None
    after = parts[place + 1] if place + 1 < len(parts) else None
    if before is not None and before.trims[1]:
        body = body.lstrip()
    elif trim_blocks and before is not None and before.kind in ("tag", "comment") and not before.keeps[1]:
        body = body.removeprefix("\n")
    if after is not None and after.trims[0]:
        body = body.rstrip()
    elif lstrip_blocks and after is not None and after.kind in ("tag", "comment") and not after.keeps[0]:
        line = body.rpartition("\n")[2]
        at_line_start = "\n" in parts[place].body or before is None
        body = body if line.strip() or not at_line_start else body[: len(body) - len(line)]
    return body


def _unreadable(said: str, text: str, start: int, ledger: Ledger, path: ValuePath | str) -> PromptFileError:
    at = ledger.line_of(path)
    inner = text.count("\n", 0, start)
    return PromptFileError(said, file=ledger.foreign.shown, line=at + inner + (inner > 0) if at else None)
