"""`ps doctor`: what works here and what does not."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer

from promptstudio.cli.checkup import Fact, facts
from promptstudio.cli.context import Context
from promptstudio.output.terminal import columns

MARKS = {"ok": "ok", "note": "-", "warning": "warning", "broken": "BROKEN"}


def doctor(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """Check versions, settings and where each came from, keys by name, hosts that would be contacted, the history.

    Contacts no one. Exit code 1 when something is broken.
    """
    context: Context = ctx.obj
    found = list(facts(context))
    broken = sum(fact.level == "broken" for fact in found)
    if as_json:
        context.output.json({"broken": broken, "facts": [_object(fact) for fact in found]})
        return 1 if broken else 0
    for section, group in groupby(found, key=lambda fact: fact.section):
        context.output.line(section)
        _print_section(context, list(group))
    context.output.note(f"{broken} broken" if broken else "nothing is broken")
    return 1 if broken else 0


def _print_section(context: Context, group: list[Fact]) -> None:
    lines = columns([(MARKS[fact.level], fact.name, fact.value) for fact in group])
    for fact, line in zip(group, lines, strict=True):
        context.output.line(f"  {line}")
        if fact.hint and fact.level != "ok":
            context.output.line(f"          hint: {fact.hint}")


def _object(fact: Fact) -> dict[str, str | None]:
    return {
        "section": fact.section,
        "level": fact.level,
        "name": fact.name,
        "value": fact.value,
        "hint": fact.hint,
    }
