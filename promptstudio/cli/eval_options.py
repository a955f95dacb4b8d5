"""Options that `ps eval`, `ps test` and `ps score` share, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_models
from promptstudio.errors import UsageError

Expression = Annotated[
    str | None, typer.Option("-k", metavar="EXPR", help='Cases by id, tag or description: "refund and not slow".')
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Cases with this tag; repeat for more.")]
Cases = Annotated[
    list[str] | None, typer.Option("--case", metavar="ID", help="This case; * and ? stand for letters. Repeatable.")
]
Failed = Annotated[bool, typer.Option("--failed", help="Only what failed in the last run of the suite.")]
Errors = Annotated[bool, typer.Option("--errors", help="Only what ended in an error in the last run of the suite.")]
Sample = Annotated[int | None, typer.Option("--sample", min=1, metavar="N", help="So many cases at random.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Which ones --sample draws.")]
First = Annotated[int | None, typer.Option("--first", min=1, metavar="N", help="The first N cases.")]
Models = Annotated[
    list[str] | None,
    typer.Option("-m", "--model", metavar="MODEL", help="Ask this model instead.", autocompletion=complete_models),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", min=1, max=1024, metavar="N", help="Requests at once. Default: what is taken."),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Ask everything again; take nothing from earlier runs or the cache.")
]
Cache = Annotated[bool | None, typer.Option("--cache/--no-cache", help="Answers from the exact cache. Default: yes.")]
Record = Annotated[Path | None, typer.Option("--record", metavar="DIR", help="Write requests and answers to DIR.")]
Replay = Annotated[Path | None, typer.Option("--replay", metavar="DIR", help="Answer from the cassettes in DIR.")]
MaxCost = Annotated[str | None, typer.Option("--max-cost", metavar="USD", help="Stop when so much is spent.")]
MaxErrors = Annotated[
    int | None, typer.Option("--max-errors", min=0, metavar="N", help="Stop when more cases end in an error.")
]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", metavar="REV", help="Compare with a git ref, a label or a run. Default: the gate's."),
]
AcrossEngines = Annotated[
    bool, typer.Option("--across-engines", help="Compare scores of other engines, versions and judges all the same.")
]
Sequential = Annotated[
    bool, typer.Option("--sequential", help="Stop as soon as what was seen decides the gate (always-valid test).")
]
Mde = Annotated[
    float | None,
    typer.Option("--mde", metavar="DIFF", help="How many cases and repeats it takes to see this difference; no call."),
]
NoHistory = Annotated[bool, typer.Option("--no-history", help="Keep the calls out of `ps history`.")]
Reports = Annotated[
    list[str] | None,
    typer.Option("--report", metavar="FORMAT[:FILE]", help="Write a report: html, junit, markdown, json, csv, …"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def dollars(text: str | None) -> Decimal | None:
    """Read the amount of --max-cost."""
    if text is None:
        return None
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation as cause:
        raise UsageError(f"--max-cost {text[:40]!r} is no amount", hint="US dollars, as in 0.50") from cause
    if not amount.is_finite() or amount < 0:
        raise UsageError(f"--max-cost {text[:40]!r} is no amount", hint="US dollars, as in 0.50")
    return amount


def cache_of(cache: bool | None, *, fresh: bool) -> bool | None:
    """Leave the cache out of --fresh, which takes nothing from before; --cache beside it says otherwise."""
    return False if fresh and cache is None else cache


def check_texts(given: Mapping[str, Sequence[str] | None]) -> None:
    """Refuse an empty value: most often the variable behind it is not set, and an empty filter means everything."""
    for flag, values in given.items():
        if any(not value.strip() for value in values or ()):
            raise UsageError(f"{flag} is empty", hint="is the variable behind it set?")
