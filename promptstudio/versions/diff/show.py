"""A `Diff` → lines of styled pieces, for a terminal or a pipe. Pure; nothing is printed here.

Without color what is gone stands in `[-…-]` and what came in `{+…+}`. A blank that came or went is made visible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptstudio.versions.diff.brief import brief, described
from promptstudio.versions.diff.schema import ABSENT, Change, Diff, Level, MessageChange, Reason, Section, Segment
from promptstudio.versions.diff.words import segments

Piece = tuple[str, str]
Line = tuple[Piece, ...]

LEVEL_STYLES = {Level.MAJOR: "red", Level.MINOR: "yellow", Level.PATCH: "green", Level.NONE: "dim"}
_LONG = 300  # characters of an unchanged line
_EDGE = 100  # of them shown beside a change
_MOST = 4_000  # characters shown of one change
_MARKS = {"removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green"), "same": ("", "", "")}
_NEED = {True: "required", False: "optional"}


@dataclass(frozen=True, slots=True)
class Look:
    """How to show: with marks where there is no color, and how many unchanged lines around a change; None for all."""

    marked: bool = True
    context: int | None = 2


def page(diff: Diff, look: Look, *, title: str | None = None) -> Iterator[Line]:
    """Yield the page of one prompt: verdict, reasons, then each part that differs."""
    yield from heading(diff, title)
    yield from _reason_lines(diff.verdict.reasons)
    yield from _body(diff, look)
    for name, variant in diff.variants.items():
        yield ()
        yield (f"  variant :{name}", "bold"), (f"  {variant.verdict.level.name}", LEVEL_STYLES[variant.verdict.level])
        yield from (((("  ", ""), *line)) if line else () for line in _body(variant, look))


def heading(diff: Diff, title: str | None = None) -> Iterator[Line]:
    level = diff.verdict.level
    versions = _versions(diff)
    yield (f"{level.name:<5} ", LEVEL_STYLES[level]), (title or _title(diff), "bold"), (versions, "dim")


def _title(diff: Diff) -> str:
    if diff.is_renamed and diff.old:
        return f"{diff.old.name} → {diff.name}"
    return diff.name + (" (deleted)" if diff.new is None else " (new)" if diff.old is None else "")


def _versions(diff: Diff) -> str:
    before, after = (side.version if side else None for side in (diff.old, diff.new))
    if before == after:
        return f"  {after}" if after else ""
    return f"  {before or 'no version'} → {after or 'no version'}" if diff.old and diff.new else f"  {after or before}"


def _reason_lines(reasons: Sequence[Reason]) -> Iterator[Line]:
    width = max((len(one.place) for one in reasons), default=0)
    for one in reasons:
        yield (
            ("  ", ""),
            (f"{one.level.name:<5}", LEVEL_STYLES[one.level]),
            (f"  {_one_line(one.place):<{width}}  {_one_line(one.text)}", ""),
        )


def _one_line(text: str) -> str:
    """A key of a map may hold a line feed, and must not begin a line of its own."""
    return text.replace("\n", "\\n")


def _body(diff: Diff, look: Look) -> Iterator[Line]:
    for section in diff.sections:
        yield ()
        yield ((f"  {section.title}", "bold"),)
        yield from _section_lines(section, look)
    if diff.messages:
        yield ()
        yield from message_section("messages", diff.messages, (diff.old_tokens, diff.new_tokens), look)


def message_section(
    title: str, changes: Sequence[MessageChange], tokens: tuple[int | None, int | None], look: Look
) -> Iterator[Line]:
    """Yield messages under a title, with what they cost in tokens before and after."""
    yield ((f"  {title}", "bold"), (_token_words(*tokens), "dim"))
    for change in changes:
        yield from _message_lines(change, look)


def _token_words(old: int | None, new: int | None) -> str:
    if old is None and new is None:
        return ""
    if old is None or new is None:
        return f"  about {new if old is None else old:,} tokens"
    delta = f"{new - old:+,}" if new != old else "±0"
    return f"  about {old:,} → {new:,} tokens ({delta})"


# -- sections ---------------------------------------------------------------------------------------------------------


def _section_lines(section: Section, look: Look) -> Iterator[Line]:
    words = _WORDS.get(section.title, _plain_words)
    names = [_one_line(change.name) for change in section.changes]
    width = min(24, max(map(len, names)))
    for shown, change in zip(names, section.changes, strict=True):
        old, new = (None if side is ABSENT else words(change.name, side) for side in (change.old, change.new))
        name = f"    {shown:<{width}}  "
        if change.kind == "moved":
            yield (name, ""), ("moved  ", "dim"), (new or "", "")
        elif old is None and new is None:
            yield (name, ""), (change.kind, "dim")
        elif old == new:
            yield (name, ""), (old or "", ""), ("  (its schema differs)", "dim")
        else:
            yield from _value_lines(name, old, new, look)


def _value_lines(name: str, old: str | None, new: str | None, look: Look) -> Iterator[Line]:
    """Show short values on one line, long ones word by word below the name."""
    if len(old or "") <= 80 and len(new or "") <= 80 and "\n" not in f"{old}{new}":
        yield (name, ""), *_short_pieces(old, new, look)
        return
    yield ((name.rstrip(), ""),)
    yield from text_lines(segments(old or "", new or ""), look, "      ")


def _short_pieces(old: str | None, new: str | None, look: Look) -> Iterator[Piece]:
    """Show two short values: several words by the words that differ, others whole."""
    if old and new and " " in old and " " in new:
        found = segments(old, new)
        if any(part.kind == "same" for part in found):
            yield from (_marked(part.kind, part.text, look) for part in found)
            return
    if old is not None:
        yield _marked("removed", old, look)
    if old is not None and new is not None and not look.marked:
        yield " → ", "dim"
    if new is not None:
        yield _marked("added", new, look)


def _plain_words(name: str, value: Any) -> str:  # noqa: ARG001  the others look at the name
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, int | float) or value is None:
        return brief(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _input_words(name: str, spec: Any) -> str:  # noqa: ARG001
    kind = described(spec["schema"]) if spec["schema"] else str(spec["type"])
    default = f", default {brief(spec['default'])}" if "default" in spec else ""
    return f"{kind}, {_NEED[spec['required']]}{default}{_details(spec['schema'])}"


def _output_words(name: str, value: Any) -> str:
    if not name.startswith("fields."):
        return _plain_words(name, value)
    schema = value["schema"]
    words = f"{described(schema)}, {_NEED[value['required']]}{_details(schema)}"
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return f"{words}, {brief(text, 200)}" if text else words


_SHOWN = {"type", "enum", "const", "minimum", "maximum", "maxLength", "description"}


def _details(schema: Any) -> str:
    """Return the keywords that `described` has no words for, as they are."""
    rest = {key: value for key, value in schema.items() if key not in _SHOWN} if isinstance(schema, Mapping) else {}
    if schema and {"enum", "minimum", "maximum"} & set(schema) and "maxLength" in schema:
        rest["maxLength"] = schema["maxLength"]
    if rest.get("type") == "array" or (isinstance(schema, Mapping) and schema.get("type") == "array"):
        items = rest.get("items")
        if isinstance(items, Mapping) and set(items) <= {"type"}:
            rest.pop("items")
    return f" {json.dumps(rest, ensure_ascii=False, default=str)}" if rest else ""


def _example_words(name: str, value: Any) -> str:  # noqa: ARG001
    return f"{json.dumps(value['inputs'], ensure_ascii=False)} → {json.dumps(value['output'], ensure_ascii=False)}"


_WORDS = {"inputs": _input_words, "output": _output_words, "examples": _example_words}


def change_words(section: Section, change: Change) -> tuple[str | None, str | None]:
    """Return what both versions say in words, None where one has nothing."""
    words = _WORDS.get(section.title, _plain_words)
    old, new = (None if side is ABSENT else words(change.name, side) for side in (change.old, change.new))
    return old, new


# -- messages ---------------------------------------------------------------------------------------------------------


def _message_lines(change: MessageChange, look: Look) -> Iterator[Line]:
    if change.kind == "same":
        yield ((f"    {change.role}", "dim"), ("  unchanged", "dim"))
        return
    yield ((f"    {change.role}", ""), (message_words(change), "dim"))
    yield from text_lines(change.segments, look, "      ")


def message_words(change: MessageChange) -> str:
    """Say what became of a message: `  changed, +3 tokens`."""
    words: list[str] = [change.kind]
    if change.kind == "moved":
        words = [f"moved from {(change.old_index or 0) + 1} to {(change.new_index or 0) + 1}"]
        words += ["changed"] if change.segments else []
    if change.old_role not in (None, change.role):
        words.append(f"role {change.old_role} → {change.role}")
    if change.old_tokens is not None and change.new_tokens is not None and change.old_tokens != change.new_tokens:
        words.append(f"{change.new_tokens - change.old_tokens:+,} tokens")
    elif change.kind in ("added", "removed") and (change.old_tokens or change.new_tokens):
        words.append(f"{change.new_tokens or change.old_tokens:,} tokens")
    return "  " + ", ".join(words)


def text_lines(found: Sequence[Segment], look: Look, indent: str = "") -> Iterator[Line]:
    """Yield a text with its changes, line by line; unchanged lines away from a change are left out."""
    lines = [*_split(found)]
    kept = _kept(lines, look.context)
    skipped = 0
    for place, line in enumerate(lines):
        if place not in kept:
            skipped += 1
            continue
        if skipped:
            yield _skipped(indent, skipped)
            skipped = 0
        yield (indent, ""), *_line_pieces(line, look)
    if skipped:
        yield _skipped(indent, skipped)


def _skipped(indent: str, number: int) -> Line:
    return (indent, ""), (f"… {number:,} unchanged line{'' if number == 1 else 's'}", "dim")


def _split(found: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Cut segments at line feeds. One that came or went is a character of its own: it is part of the change."""
    line: list[Segment] = []
    for segment in found:
        parts = segment.text.split("\n")
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            text = part if is_last or segment.kind == "same" else f"{part}\n"
            if text:
                line.append(Segment(segment.kind, text))
            if not is_last:
                yield line
                line = []
    if line:
        yield line


def _kept(lines: Sequence[Sequence[Segment]], context: int | None) -> set[int]:
    if context is None:
        return set(range(len(lines)))
    changed = [place for place, line in enumerate(lines) if any(part.kind != "same" for part in line)]
    return {near for place in changed for near in range(place - context, place + context + 1)}


def _line_pieces(line: Sequence[Segment], look: Look) -> Iterator[Piece]:
    for place, part in enumerate(line):
        if part.kind == "same":
            yield _cut_same(part.text, is_first=place == 0, is_last=place == len(line) - 1), ""
        else:
            # A line that is wholly new or gone needs no sign for its end.
            text = part.text.removesuffix("\n") if len(line) == 1 and part.text != "\n" else part.text
            yield _marked(part.kind, text, look)


def _cut_same(text: str, *, is_first: bool, is_last: bool) -> str:
    if len(text) <= _LONG:
        return text
    head, tail = "" if is_first else text[:_EDGE], "" if is_last else text[-_EDGE:]
    return f"{head} … {tail}" if head or tail else f"{text[:_EDGE]} …"


def _marked(kind: str, text: str, look: Look) -> Piece:
    """Return a changed text between its marks; where it is only blank, with signs for the blanks."""
    opening, closing, style = _MARKS[kind]
    if not text.strip():
        text = text.replace(" ", "·").replace("\t", "⇥").replace("\n", "⏎")
    elif text.endswith("\n"):
        text = text[:-1] + "⏎"
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]} … {len(text) - _MOST:,} characters … {text[-_MOST // 2 :]}"
    return (f"{opening}{text}{closing}" if look.marked else text), style
