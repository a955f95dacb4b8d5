"""`ps models`: search the price list."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from promptstudio.cli.catalog import ModelInfo, catalog, matching
from promptstudio.cli.context import Context
from promptstudio.errors import NotFoundError
from promptstudio.prompts.wording import nearest

HEADER = ("MODEL", "CONTEXT", "OUTPUT", "$/1M IN", "$/1M OUT", "CAPABILITIES")
ON_A_SCREEN = 50


def models(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(help="Words that must all occur: gpt vision", metavar="[WORDS]...")
    ] = None,
    *,
    provider: Annotated[str | None, typer.Option("--provider", metavar="NAME", help="Only this provider.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many; 50 on a terminal, else all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Search models by name, provider or capability: context, price per million tokens, what they can do.

    The list is the one that comes with LiteLLM; nothing is fetched. Models missing from it can be used all the same.
    """
    context: Context = ctx.obj
    everything = catalog()
    found = matching(everything, words or (), provider)
    if not found:
        raise _not_found(everything, words or [], provider)
    on_screen = ON_A_SCREEN if context.output.is_tty and not as_json else None
    shown = found[: limit or on_screen]
    if as_json:
        context.output.json([_object(info) for info in shown])
        return 0
    context.output.table([_cells(info) for info in shown], header=HEADER)
    if len(shown) < len(found):
        context.output.note(f"{len(shown)} of {len(found)} models; add a word, or --limit {len(found)}")
    return 0


def _not_found(everything: list[ModelInfo], words: list[str], provider: str | None) -> NotFoundError:
    providers = sorted({info.provider for info in everything})
    if provider and provider not in providers:
        close = nearest(provider, providers)
        return NotFoundError(
            f"no provider {provider!r} in the list", hint=f"did you mean {close!r}?" if close else None
        )
    close = nearest(words[-1], [info.id.rpartition("/")[2] for info in everything]) if words else None
    hint = f"did you mean {close!r}?" if close else "try fewer words; a model missing here can be used all the same"
    return NotFoundError(f"no model matches {' '.join(words)!r}", hint=hint)


def _cells(info: ModelInfo) -> tuple[str, ...]:
    return (
        info.id,
        _tokens(info.context_tokens),
        _tokens(info.max_output_tokens),
        _dollars(info.input_usd),
        _dollars(info.output_usd),
        ", ".join(info.capabilities) or "-",
    )


def _tokens(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _dollars(price: Decimal | None) -> str:
    if price is None:
        return "?"
    return f"{price:.2f}" if price == 0 or price >= Decimal("0.01") else f"{price.normalize():f}"


def _object(info: ModelInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "provider": info.provider,
        "context_tokens": info.context_tokens,
        "max_output_tokens": info.max_output_tokens,
        "input_usd_per_million": None if info.input_usd is None else float(info.input_usd),
        "output_usd_per_million": None if info.output_usd is None else float(info.output_usd),
        "capabilities": list(info.capabilities),
    }
