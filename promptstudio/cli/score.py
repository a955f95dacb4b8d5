"""`ps score`: the stored answers of a run, judged again by the suite as it is now. No model under test is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cache.choose import choose_wires
from promptstudio.cli import eval_options as options
from promptstudio.cli.context import Context
from promptstudio.cli.eval import Chosen, finish_all, run_all
from promptstudio.cli.prompt_tests import tests_of
from promptstudio.config import Settings
from promptstudio.evals.evaluate import EvalOptions
from promptstudio.evals.prompt_tests import TESTS
from promptstudio.evals.records import RunRecord
from promptstudio.evals.report import report_requests
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite, find_suite, load_suite


def score(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of it, or last.")] = "last",
    *,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="SUITE", help="Judge by this suite. Default: the run's own.")
    ] = None,
    report: options.Reports = None,
    as_json: options.Json = False,
) -> int:
    """Judge the answers of a run again, by the prompts, cases and assertions of now. Asks for no answer.

    Judges and embedding models are called where assertions of now need them and no verdict is kept. A case whose
    question has changed since has no stored answer: it ends `unscored`.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    with EvalStore(store_path(settings)) as store:
        record = store.run(run)
    load = _suite_for(record, suite, settings)
    chosen = Chosen(
        context,
        settings,
        EvalOptions(
            _selection(record),
            models=_models(record, load()),
            regrade=True,
            grading=record,
            wires=choose_wires(settings, "eval"),
        ),
        report_requests(report or (), context.env),
        as_json=as_json,
    )
    return finish_all(chosen, *run_all(chosen, [load]))


def _suite_for(record: RunRecord, suite: str | None, settings: Settings) -> Callable[[], Suite]:
    """Return how the suite to judge by is loaded: the one asked for, that of the run, or the tests of its prompt."""
    if suite is None and record.suite.endswith(TESTS):
        return partial(tests_of, record.suite.removesuffix(TESTS), settings)
    path = find_suite(suite or record.suite_file, settings, Path.cwd() if suite else settings.root or Path.cwd())
    return partial(load_suite, path, settings)


def _selection(record: RunRecord) -> Selection:
    """Return what the run was asked for: only that has answers."""
    asked = dict(record.options.get("selection", {}))
    ids = asked.pop("ids", None)
    lists = {key: tuple(value) for key, value in asked.items() if isinstance(value, list)}
    return Selection(**{**asked, **lists}, ids=None if ids is None else frozenset(ids))


def _models(record: RunRecord, suite: Suite) -> tuple[str, ...]:
    """Return the models the run was asked with, or its own where the suite names others: the answers are theirs."""
    if asked := record.options.get("models"):
        return tuple(asked)
    return () if set(suite.models) == set(record.models) or not suite.models else record.models
