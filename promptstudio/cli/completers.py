"""What a shell may complete: prompts, variants, inputs, models, profiles, tags. Quick, and silent when it cannot."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable

import typer

from promptstudio.cli.context import Context

# A shell evaluates parts of what it is given, so only names that mean nothing to any shell are offered.
_PLAIN = re.compile(r"[\w./:@=+-]+")
MAX_OFFERED = 500
Completer = Callable[[typer.Context, str], list[str]]


def _quiet(offers: Callable[[Context, typer.Context, str], Iterable[str]]) -> Completer:
    @functools.wraps(offers)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            found = offers(_context(ctx), ctx, incomplete)
            fitting = dict.fromkeys(one for one in found if one.startswith(incomplete) and _PLAIN.fullmatch(one))
        except Exception:  # noqa: BLE001 — a message in the middle of a half-typed line helps nobody
            return []
        return list(fitting)[:MAX_OFFERED]

    # typer reads the parameters' types; those of the wrapped function would be found first.
    del complete.__wrapped__
    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str, "return": list[str]}
    return complete


def _context(ctx: typer.Context) -> Context:
    context = ctx.find_root().obj
    assert isinstance(context, Context)  # noqa: S101 — main() puts it there
    return context


@_quiet
def complete_prompts(context: Context, _ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Names of prompts; their variants once a colon is typed."""
    from promptstudio.prompts.library import prompt_names, prompt_rows  # weight: only a completion needs it

    settings = context.settings()
    if ":" not in incomplete:
        return prompt_names(settings)
    return [f"{row.name}:{variant}" for row in prompt_rows(settings) for variant in row.variants]


@_quiet
def complete_inputs(context: Context, ctx: typer.Context, _incomplete: str) -> Iterable[str]:
    """`name=` for each input of the prompt on the line, without those already given; values of an enum after it."""
    from promptstudio.versions.load import load_prompt  # weight: only a completion needs it

    # An option that still lacks its value ends the parse; the words before it are left in `args`.
    address = ctx.params.get("prompt") or next((word for word in ctx.args if not word.startswith("-")), "")
    prompt = load_prompt(address, context.settings())
    given = {item.partition("=")[0].rstrip(":") for item in ctx.params.get("values") or ()}
    offers = []
    for name, spec in prompt.inputs.items():
        if name not in given:
            offers += [f"{name}="] + [f"{name}={value}" for value in spec.schema.get("enum", ())]
    return offers


@_quiet
def complete_models(context: Context, _ctx: typer.Context, _incomplete: str) -> Iterable[str]:
    """The models of this project first, then the price list."""
    from promptstudio.cli.catalog import model_ids  # weight: only a completion needs it
    from promptstudio.prompts.library import prompt_rows

    settings = context.settings()
    own = [row.model for row in prompt_rows(settings) if row.model] if settings.prompts_dir else []
    return [settings.run_model, *own, *model_ids()]


@_quiet
def complete_profiles(context: Context, _ctx: typer.Context, _incomplete: str) -> Iterable[str]:
    return context.settings().profiles


@_quiet
def complete_tags(context: Context, _ctx: typer.Context, _incomplete: str) -> Iterable[str]:
    from promptstudio.prompts.library import prompt_rows  # weight: only a completion needs it

    return sorted({tag for row in prompt_rows(context.settings()) for tag in row.tags})


@_quiet
def complete_templates(_context: Context, _ctx: typer.Context, _incomplete: str) -> Iterable[str]:
    from promptstudio.cli.scaffold import template_names  # weight: only a completion needs it

    return template_names()
