"""`ps test`: run the tests inside prompt files, with the engine and the exit codes of `ps eval`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cache.choose import choose_wires
from promptstudio.cli import eval_options as options
from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.eval import Chosen, finish_all, run_all
from promptstudio.config import Settings
from promptstudio.errors import NothingSelected
from promptstudio.evals.evaluate import EvalOptions
from promptstudio.evals.prompt_tests import suite_of_tests
from promptstudio.evals.report import report_requests
from promptstudio.evals.selection import Selection
from promptstudio.evals.suite import Suite
from promptstudio.prompts.library import prompt_rows
from promptstudio.prompts.yamlfile import read_text_file
from promptstudio.versions.load import load_prompt


def run_tests(
    ctx: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT]...", help="Default: all with tests.", autocompletion=complete_prompts),
    ] = None,
    *,
    expression: options.Expression = None,
    case: options.Cases = None,
    model: options.Models = None,
    concurrency: options.Concurrency = None,
    fresh: options.Fresh = False,
    cache: options.Cache = None,
    record: options.Record = None,
    replay: options.Replay = None,
    report: options.Reports = None,
    no_history: options.NoHistory = False,
    as_json: options.Json = False,
) -> int:
    """Run the `tests:` of prompt files: inputs, expected_output and assert. Every test must pass."""
    context: Context = ctx.obj
    settings = context.project_settings()
    addresses = list(prompts or ()) or _with_tests(settings)
    wires = choose_wires(settings, "eval", cache=options.cache_of(cache, fresh=fresh), record=record, replay=replay)
    chosen = Chosen(
        context,
        settings,
        EvalOptions(
            Selection(expression, cases=tuple(case or ())),
            tuple(model or ()),
            concurrency or settings.eval.get("concurrency"),
            fresh=fresh,
            wires=wires,
            history=not no_history,
        ),
        report_requests(report or (), context.env),
        as_json=as_json,
        is_test=True,
    )
    return finish_all(chosen, *run_all(chosen, [partial(tests_of, address, settings) for address in addresses]))


def _with_tests(settings: Settings) -> list[str]:
    """Return the prompts that have tests; one that does not load is among them, to be told."""
    names = [row.name for row in prompt_rows(settings) if row.error is not None or _has_tests(row.path)]
    if not names:
        raise NothingSelected("no prompt has tests", hint="write them below `tests:` in a prompt file")
    return names


def _has_tests(path: Path) -> bool:
    return any(line.startswith("tests:") for line in read_text_file(path).splitlines())


def tests_of(address: str, settings: Settings) -> Suite:
    """Return the tests of a prompt as a suite."""
    prompt = load_prompt(address, settings)
    text = read_text_file(prompt.path) if prompt.path is not None else ""
    suite = suite_of_tests(prompt, text, settings)
    if suite is None:
        raise NothingSelected(f"{address} has no tests", hint="write them below `tests:` in its file")
    return suite
