"""`ps cache`: what lies in the exact cache, what it was good for, and why a request hits or misses it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from promptstudio.cache.place import cache_path
from promptstudio.cache.schema import Entry, ModelStats, Stats, limits_of
from promptstudio.cache.store import CacheStore
from promptstudio.cli.completers import complete_models, complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.moments import moment_from
from promptstudio.cli.parser import new_app
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.history.schema import HistoryRow
from promptstudio.history.store import open_history
from promptstudio.output.terminal import columns

app = new_app(help="Answers that are kept for identical requests.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def stats(ctx: typer.Context, as_json: Json = False) -> int:
    """Show size, hits and misses, and the money and time that hits saved."""
    context: Context = ctx.obj
    with _opened(context) as store:
        found = store.stats()
    if as_json:
        context.output.json(_stats_object(found))
        return 0
    for line in columns(list(_stats_rows(found))):
        context.output.line(line)
    if len(found.models) > 1:
        context.output.line()
        header = ("MODEL", "HITS", "MISSES", "SAVED", "TIME")
        context.output.table([_model_cells(one) for one in found.models], header=header)
    return 0


@app.command("ls")
def list_entries(
    ctx: typer.Context,
    *,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", metavar="NAME", help="Only answers to this prompt.", autocompletion=complete_prompts),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="Only this model.", autocompletion=complete_models),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> int:
    """List answers, the latest used first."""
    context: Context = ctx.obj
    with _opened(context) as store:
        found = store.entries(limit=limit, prompt=prompt, model=model)
    if as_json:
        context.output.json([_entry_object(one) for one in found])
    elif found:
        header = ("ID", "STORED", "USED", "HITS", "PROMPT", "MODEL", "SAVES")
        context.output.table([_entry_cells(one) for one in found], header=header)
    else:
        context.output.note("nothing is cached here" if prompt is None and model is None else "no answer fits")
    return 0


@app.command()
def explain(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID", help="An entry of the cache, a run of the history, or last.")],
    as_json: Json = False,
) -> int:
    """Say why a request hits or misses: the parts of its key, and how the nearest entry differs."""
    from promptstudio.cache.explain import Asked, never_kept
    from promptstudio.cache.explain import explain as explain_request
    from promptstudio.cli.cache_view import explanation_lines, explanation_object

    context: Context = ctx.obj
    with _opened(context) as store:
        row: HistoryRow | None = None
        reasons: tuple[str, ...] = ()
        try:
            entry = store.entry(name)
            asked = Asked(entry.id, entry.prompt, entry.parts)
        except NotFoundError:
            row = _row(context, name)
            asked, reasons = _asked_now(context, row), never_kept(row.finish_reason, row.status)
        found = explain_request(store, asked, reasons)
    if as_json:
        context.output.json(explanation_object(found, row, _entry_object))
        return 0
    for line in explanation_lines(found, row):
        context.output.line(line)
    return 0


@app.command()
def prune(
    ctx: typer.Context,
    *,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="WHEN", help="An age (7d) or a date; default: what cache.ttl says."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many would go.")] = False,
    as_json: Json = False,
) -> int:
    """Remove old answers, and what is over cache.max_size_mb."""
    context: Context = ctx.obj
    limit = moment_from(older_than, "--older-than", datetime.now(UTC)) if older_than else None
    seconds = int(limit.timestamp()) if limit else None
    with _opened(context) as store:
        number = store.would_prune(older_than=seconds) if dry_run else store.prune(older_than=seconds)
    return _say_removed(context, number, as_json=as_json, is_plan=dry_run)


@app.command()
def clear(ctx: typer.Context, *, yes: Yes = False, as_json: Json = False) -> int:
    """Remove all answers. What hits have saved stays counted."""
    context: Context = ctx.obj
    with _opened(context) as store:
        number = store.stats().entries
        if number and not _agreed(f"Remove {_answers(number)}?", yes=yes):
            return 1
        return _say_removed(context, store.clear(), as_json=as_json)


@contextmanager
def _opened(context: Context) -> Iterator[CacheStore]:
    settings = context.settings()
    store = CacheStore(cache_path(settings, context.env), limits_of(settings), context.output.note)
    try:
        yield store
    finally:
        store.close()


def _row(context: Context, name: str) -> HistoryRow:
    try:
        with open_history(context.settings()) as history:
            return history.row(name)
    except NotFoundError as error:
        hint = "`ps cache ls` and `ps history` list them"
        raise NotFoundError(f"neither the cache nor the history has {name!r}", hint=hint) from error


def _asked_now(context: Context, row: HistoryRow) -> Any:
    """Return what the same run would ask now: the prompt as it is on disk, with the inputs and options of the row."""
    from promptstudio.cache.explain import LookingWires, StoppedError
    from promptstudio.prompts.load import load_prompt
    from promptstudio.runner import Runner, RunOptions

    settings = context.settings()
    prompt = load_prompt(f"{row.prompt}:{row.variant}" if row.variant else row.prompt, settings)
    overrides = row.detail.overrides if row.detail else {}
    options = RunOptions(
        model=overrides.get("model"), parameters=overrides.get("parameters", {}), profile=overrides.get("profile")
    )
    wires = LookingWires()
    runner = Runner(settings, context.env, None, wires)
    with suppress(StoppedError):
        outcome = asyncio.run(runner.run(prompt, row.detail.inputs if row.detail else {}, options))
        raise outcome.error or NotFoundError(f"run {row.short_id} cannot be looked up")  # stopped before the wire
    return wires.asked[0]


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("removing needs a yes, and nobody is at the terminal", hint="add --yes")
    return typer.confirm(question, err=True)


def _say_removed(context: Context, number: int, *, as_json: bool, is_plan: bool = False) -> int:
    if as_json:
        context.output.json({"would_remove" if is_plan else "removed": number})
    else:
        context.output.note(f"{_answers(number)} {'would be removed' if is_plan else 'removed'}")
    return 0


def _answers(number: int) -> str:
    return f"{number:,} answer{'' if number == 1 else 's'}"


def _stats_rows(found: Stats) -> Iterator[tuple[str, str]]:
    total = found.total
    yield "place", found.place
    expired = f", {found.expired:,} of them too old" if found.expired else ""
    yield "answers", f"{found.entries:,}{expired}"
    yield "size", f"{found.answer_bytes:,} bytes of answers, {found.file_bytes:,} on disk"
    rate = f" ({total.hit_rate:.0%})" if total.hit_rate is not None else ""
    yield "hits", f"{total.hits:,}{rate}"
    yield "misses", f"{total.misses:,}, {total.not_kept:,} of them with an answer that is not kept"
    unpriced = f", and {total.unpriced:,} hits without a known price" if total.unpriced else ""
    yield "saved", f"{_dollars(total.saved_usd)}{unpriced}"
    yield "time", f"{total.saved_ms / 1000:,.1f} s of waiting"
    if found.since:
        yield "since", found.since


def _model_cells(one: ModelStats) -> tuple[str, ...]:
    return one.model, f"{one.hits:,}", f"{one.misses:,}", _dollars(one.saved_usd), f"{one.saved_ms / 1000:,.1f} s"


def _entry_cells(one: Entry) -> tuple[str, ...]:
    stored = one.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    used = one.used_at.astimezone().strftime("%Y-%m-%d %H:%M")
    saves = "?" if one.saved.cost_usd is None else _dollars(one.saved.cost_usd)
    return one.short_id, stored, "too old" if one.is_expired else used, str(one.hits), one.prompt, one.model, saves


def _dollars(amount: Decimal) -> str:
    return f"${amount:.6f}".rstrip("0").rstrip(".") if amount else "$0"


def _stats_object(found: Stats) -> dict[str, Any]:
    return {
        "place": found.place,
        "entries": found.entries,
        "expired": found.expired,
        "answer_bytes": found.answer_bytes,
        "file_bytes": found.file_bytes,
        "since": found.since,
        **_model_object(found.total),
        "models": {one.model: _model_object(one) for one in found.models},
    }


def _model_object(one: ModelStats) -> dict[str, Any]:
    return {
        "hits": one.hits,
        "misses": one.misses,
        "not_kept": one.not_kept,
        "hit_rate": one.hit_rate,
        "unpriced_hits": one.unpriced,
        "saved_usd": float(one.saved_usd),
        "saved_ms": one.saved_ms,
    }


def _entry_object(one: Entry) -> dict[str, Any]:
    return {
        "id": one.id,
        "prompt": one.prompt,
        "model": one.model,
        "created_at": one.created_at.isoformat(),
        "used_at": one.used_at.isoformat(),
        "expired": one.is_expired,
        "hits": one.hits,
        "size_bytes": one.size_bytes,
        "cost_usd": None if one.saved.cost_usd is None else float(one.saved.cost_usd),
        "duration_ms": one.saved.duration_ms,
    }
