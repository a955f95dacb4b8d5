"""`ps search`: find prompts by what they say."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from promptstudio.cli.completers import complete_tags
from promptstudio.cli.context import Context
from promptstudio.errors import UsageError
from promptstudio.prompts.finding import FIELDS, Findings, Found, find_prompts
from promptstudio.words import Excerpt

DEFAULT_LIMIT = 20


class Field(StrEnum):
    """Where to look."""

    NAME = "name"
    DESCRIPTION = "description"
    TAGS = "tags"
    TEXT = "text"


def search(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help='Words, or a "phrase"; all must occur.')],
    *,
    inside: Annotated[
        list[Field] | None, typer.Option("--in", help="Look only there; repeat for more. Default: everywhere.")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="Only prompts with this tag; repeat for more.", autocompletion=complete_tags
        ),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many at most.")] = DEFAULT_LIMIT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Find prompts by name, tags, description and text, partials included. Beginnings of words count, in any language.

    Names come first, then tags, descriptions and text. Case, accents and vowel marks do not count; Arabic and Hebrew
    words are also found with an article or a conjunction before them.
    """
    context: Context = ctx.obj
    asked = " ".join(words)
    if not asked.replace('"', "").strip():
        raise UsageError("there is no word to look for", hint=f"{context.program} search refund policy")
    settings = context.project_settings()
    fields = tuple(field.value for field in inside) if inside else FIELDS
    findings = find_prompts(settings, asked, fields=fields, tags=tags or (), limit=limit)
    if as_json:
        context.output.json([_object(found) for found in findings.found])
        return 0
    for found in findings.found:
        for line in _lines(found):
            context.output.line(line)
    _note_rest(context, findings, asked)
    return 0


def _note_rest(context: Context, findings: Findings, asked: str) -> None:
    more = findings.total - len(findings.found)
    if not findings.found:
        context.output.note(f"no prompt has {asked!r}")
    elif more > 0:
        context.output.note(f"… and {more} more; -n {findings.total} shows all")
    if findings.unreadable:
        files = ", ".join(findings.unreadable[:3]) + (", …" if len(findings.unreadable) > 3 else "")
        text = f"not looked through, because they cannot be read: {files}; `{context.program} lint` says why"
        context.output.labeled("warning", text, "yellow")


def _lines(found: Found) -> Sequence[str]:
    """Return the name, and what was found below it; a prompt found by its name alone shows what it is for."""
    lines = [found.name + (f"  [{', '.join(found.tags)}]" if found.tags else "")]
    shown = [match for match in found.matches if match.field in ("description", "text")]
    if not any(match.field == "description" for match in shown) and found.description:
        lines.append(f"    {' '.join(found.description.split())}")
    return [*lines, *(f"    {match.field}: {marked(match.excerpt)}" for match in shown)]


def marked(piece: Excerpt) -> str:
    """Put the found words between » and «: color would be lost in a pipe, and is not seen by everyone."""
    text, last = "", 0
    for start, end in piece.marks:
        text += f"{piece.text[last:start]}»{piece.text[start:end]}«"
        last = end
    return " ".join((text + piece.text[last:]).split())


def _object(found: Found) -> dict[str, Any]:
    return {
        "name": found.name,
        "path": found.shown_path,
        "description": found.description,
        "version": found.version,
        "tags": list(found.tags),
        "score": found.score,
        "matches": [
            {
                "field": match.field,
                "text": match.excerpt.text,
                "marks": [list(mark) for mark in match.excerpt.marks],
            }
            for match in found.matches
        ],
    }
