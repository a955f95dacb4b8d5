"""How a case is evaluated again from the folder a command was given in."""

from __future__ import annotations

import os
from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.evals.evaluate import EvalOptions
from promptstudio.evals.report.repeat import Repeat


def repeat_of_suite(context: Context, suite: Path, options: EvalOptions) -> Repeat:
    """Return how a case of a suite is repeated with `ps eval`."""
    name = os.path.relpath(suite) if context.project is None else str(suite)
    return _repeat(context, ("eval", name), options)


def repeat_of_tests(context: Context, prompt: str, options: EvalOptions) -> Repeat:
    """Return how a test of a prompt is repeated with `ps test`."""
    return _repeat(context, ("test", prompt), options, has_prompt=False)


def _repeat(context: Context, words: tuple[str, ...], options: EvalOptions, *, has_prompt: bool = True) -> Repeat:
    where = ("--project", str(context.project)) if context.project is not None else ()
    replay = options.wires.replay
    more = ("--replay", str(replay)) if replay is not None else ()
    has_model, is_part = bool(options.models), bool(options.selection.prompts)
    return Repeat(context.program, (*where, *words), more, has_prompt, has_model, is_part=is_part)
