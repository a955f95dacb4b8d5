"""`promptstudio.evaluate(...)`: a suite, from a file or made of Python values → a `Report`.

    report = promptstudio.evaluate("support/triage")
    report = promptstudio.evaluate(prompt="greet", cases=[{"inputs": {"name": "Ada"}}], assertions=["is-json"])

Like `ps eval` it fails closed and goes on where it was stopped. Nothing is printed.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict, Unpack

from promptstudio.cache.choose import choose_wires
from promptstudio.config import Settings, load_settings
from promptstudio.errors import InputsError, UsageError
from promptstudio.evals.datasets import Dataset, function_cases, inline_cases
from promptstudio.evals.evaluate import EvalOptions, Watcher
from promptstudio.evals.evaluate import evaluate as evaluated
from promptstudio.evals.records import CaseResult
from promptstudio.evals.runner import Limits
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import store_path
from promptstudio.evals.suite import Suite, find_suite, load_suite, suite_of
from promptstudio.portal import run_blocking
from promptstudio.prompts.plain import plain_value
from promptstudio.prompts.wording import nearest, shown
from promptstudio.prompts.yamlfile import YamlDocument
from promptstudio.sdk.report import Report

Case = Mapping[str, Any]
Assertion = str | Mapping[str, Any] | Callable[..., Any]


class EvaluateOptions(TypedDict, total=False):
    """What `evaluate` takes by name. The first ten make a suite where none is given."""

    prompt: str
    prompts: Sequence[str]  # addresses; of a suite from a file, those of it to ask
    cases: Iterable[Case] | Callable[[], Iterable[Case]] | str | Path  # maps, a function that yields them, a dataset
    assertions: Sequence[Assertion]  # as under `assert:`; a function is one of a file of the project
    gate: Mapping[str, Any]
    threshold: float
    repeats: int
    name: str
    metrics: Sequence[Any]
    judge: Any  # as under `judge:`: a model, a map, or a list
    models: str | Sequence[str]  # asked instead of those of suite and prompts
    project: str | Path  # a folder in the project; default: the current one
    select: Selection  # which cases; default: all
    concurrency: int  # requests at once; default: it adapts
    fresh: bool  # take nothing from earlier runs or the cache
    cache: bool
    record: str | Path
    replay: str | Path
    max_cost_usd: Decimal | float
    max_errors: int
    baseline: str  # a git ref, a label or a run to hold it against; default: the gate's
    across_engines: bool  # compare scores of other engines and judges all the same
    history: bool  # whether calls go into the history; default: yes
    on_result: Callable[[CaseResult], None]  # called in another thread as each case ends


_OF_A_SUITE = ("prompt", "cases", "assertions", "gate", "threshold", "repeats", "name", "metrics", "judge")


def evaluate(suite: str | Path | None = None, **options: Unpack[EvaluateOptions]) -> Report:
    """Evaluate a suite, named by its file or name or made of the options, and return what came out.

    Raises UserError for what is wrong before any call, NothingSelected where nothing would be judged, Interrupted when
    it was stopped. A gate that is missed and a provider that refuses are in the report.
    """
    return run_blocking(_evaluate, suite, options, _caller())


async def aevaluate(suite: str | Path | None = None, **options: Unpack[EvaluateOptions]) -> Report:
    """Like `evaluate`, for `async` code."""
    return await _evaluate(suite, options, _caller())


Place = tuple[str, int]


def _caller() -> Place:
    """Return file and line of the code that called us: where what is wrong with its values is shown."""
    frame = sys._getframe(2)  # noqa: SLF001  inspect.stack reads every file of the stack
    return frame.f_code.co_filename, frame.f_lineno


async def _evaluate(asked: str | Path | None, options: EvaluateOptions, caller: Place) -> Report:
    _check_names(options)
    settings = load_settings(Path(options.get("project") or Path.cwd()), env=os.environ)
    if asked is None:
        suite = _made(options, settings, caller)
    else:
        if mixed := [name for name in _OF_A_SUITE if name in options]:
            raise UsageError(f"{', '.join(mixed)} cannot be given beside a suite", hint="change the suite's file")
        suite = load_suite(find_suite(str(asked), settings, Path.cwd()), settings)
    on_result = options.get("on_result")
    watcher = Watcher(case=(lambda result, _totals: on_result(result)) if on_result is not None else None)
    finished = await evaluated(suite, settings, os.environ, _engine_options(options, settings, asked is None), watcher)
    return Report(finished, store_path(settings))


def _check_names(options: Mapping[str, Any]) -> None:
    known = EvaluateOptions.__annotations__
    for name in options:
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close!r}?" if close else f"it takes {', '.join(known)}"
            raise UsageError(f"evaluate() takes no {name!r}", hint=hint)


def _engine_options(options: EvaluateOptions, settings: Settings, is_made: bool) -> EvalOptions:
    from dataclasses import replace

    selection = options.get("select") or Selection()
    if not is_made and (prompts := options.get("prompts")):
        selection = replace(selection, prompts=tuple(prompts))
    models = options.get("models") or ()
    is_fresh = options.get("fresh", False)
    cost = options.get("max_cost_usd")
    folders = {name: Path(options[name]) for name in ("record", "replay") if name in options}
    return EvalOptions(
        selection,
        (models,) if isinstance(models, str) else tuple(models),
        options.get("concurrency") or settings.eval.get("concurrency"),
        fresh=is_fresh,
        wires=choose_wires(settings, "eval", cache=options.get("cache", False if is_fresh else None), **folders),
        limits=Limits(None if cost is None else Decimal(str(cost)), options.get("max_errors")),
        history=options.get("history", True),
        baseline=options.get("baseline"),
        across_engines=options.get("across_engines", False),
    )


# A suite of Python values


def _made(options: EvaluateOptions, settings: Settings, caller: Place) -> Suite:
    """Return the suite the options say. What is wrong with it is told with the caller's file and line."""
    if settings.root is None:
        raise UsageError("evaluate() works in a project", hint="`ps init` makes one here, or say project=FOLDER")
    file, line = caller
    written = Path(file)
    is_inside = written.is_file() and written.resolve().is_relative_to(settings.root.resolve())
    shown_file = written.resolve().relative_to(settings.root.resolve()).as_posix() if is_inside else written.name
    cases = options.get("cases")
    if cases is None:
        raise UsageError("evaluate() needs a suite, or cases", hint="evaluate(prompt=…, cases=[…], assertions=[…])")
    value: dict[str, Any] = {"name": options.get("name") or "python", "cases": "cases"}
    value |= {key: options[key] for key in ("prompt", "gate", "threshold", "repeats") if key in options}
    if "prompts" in options:
        value["prompts"] = list(options["prompts"])
    if "metrics" in options:
        value["metrics"] = list(options["metrics"])
    if "judge" in options:
        value["judge"] = options["judge"]
    value["assert"] = [_assertion(item, settings.root) for item in options.get("assertions", ())]
    dataset: Dataset | None = None
    if isinstance(cases, str | Path):
        value["cases"] = str(cases)
    elif callable(cases):
        dataset = function_cases(cases, f"{shown_file}:{line}: cases")
    else:
        held = [_plain(case, ("cases", index)) for index, case in enumerate(cases)]  # gone through more than once
        dataset = inline_cases(held, shown_file, lambda _index: line)
    written_out = {key: _plain(part, (key,)) for key, part in value.items() if part not in (None, [])}
    document = YamlDocument(shown_file, "", written_out, {(): (line, 1)}, {}, {}, {})
    return suite_of(document, settings.root / "suite.yaml", settings, None, dataset)


def _plain(value: Any, path: tuple[str | int, ...]) -> Any:
    try:
        return plain_value(value, path)
    except InputsError as cause:
        hint = "a suite holds text, numbers, true or false, lists and maps"
        raise UsageError(cause.message.removeprefix("inputs."), hint=hint) from cause


def _assertion(item: Assertion, root: Path) -> Any:
    """Return an assertion as plain data; a function as the file and name it is loaded from."""
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        return {key: _function(part, root) if callable(part) else part for key, part in item.items()}
    if callable(item):
        return {"python": _function(item, root)}
    raise UsageError(f"{shown(repr(item))} is no assertion", hint='as in {"contains": "sorry"}, or a function')


def _function(function: Callable[..., Any], root: Path) -> str:
    """Name a function by its file: its content belongs to the address of a stored score."""
    name = getattr(function, "__qualname__", type(function).__name__)
    if getattr(function, "__module__", None) == "__main__":
        raise UsageError(
            f"the function {shown(name)} is in the script that is running",
            hint="it is loaded from its file, which would run the script again: move it into a module",
        )
    try:
        file = Path(inspect.getsourcefile(function) or "").resolve()
    except TypeError:
        file = Path()
    if not name.isidentifier() or not file.is_file() or not file.is_relative_to(root.resolve()):
        raise UsageError(
            f"the function {shown(name)} is not at the top of a file of the project",
            hint="its file is what a stored score is found again by: move it into one",
        )
    return f"{file.relative_to(root.resolve()).as_posix()}:{name}"
