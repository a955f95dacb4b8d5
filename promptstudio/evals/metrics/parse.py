"""The list under `metrics:` as plain data → assertions that an engine evaluates, or all problems at once.

A metric is an assertion like any other: its threshold, weight, place and stored score are those of an assertion. One
without a threshold passes from 0.5, as DeepEval has it; with the weight 0 it is only recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.errors import Problem, SuiteFileError
from promptstudio.evals.assertions.assertion import Assertion, Origin
from promptstudio.evals.assertions.parse import parse_assertions
from promptstudio.evals.metrics.schema import MetricKind
from promptstudio.evals.metrics.table import METRICS
from promptstudio.prompts.filemodel import Fault, found_text
from promptstudio.prompts.judge_faults import judge_faults
from promptstudio.prompts.wording import nearest, shown
from promptstudio.prompts.yamlfile import ValuePath

DEFAULT_THRESHOLD = 0.5
SHARED = ("threshold", "weight", "name", "judge", "input")
"""Settings every metric takes: `name` is the one in reports and gates, `input` the input that holds the question."""


def parse_metrics(items: Any, origin: Origin) -> tuple[Assertion, ...]:
    """Read a list of metrics, whose shape the schema has checked. Raises SuiteFileError with every problem."""
    problems: list[Problem] = []
    found: list[Assertion] = []
    for index, item in enumerate(items or ()):
        path = (*origin.path, index)
        name, settings = _named(item)
        if name == "python":
            found += _python(item, settings, path, origin, problems)
            continue
        faults = list(_faults(name, settings, path))
        problems += [_problem(fault, origin) for fault in faults]
        if not faults:
            found.append(_assertion(METRICS[name], settings, path, origin))
    taken: set[str] = set()
    for index, each in enumerate(found):
        if each.metric in taken:
            fault = ((*origin.path, index), f"two metrics are named {shown(each.metric or '')}", "give each a `name`")
            problems.append(_problem(fault, origin))
        taken.add(each.metric or "")
    if problems:
        raise SuiteFileError(problems)
    return tuple(found)


def _named(item: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(item, str):
        return item, {}
    name = next(key for key in item if not key.startswith("x-"))
    if name == "python":
        return name, {key: value for key, value in item.items() if key != name and not key.startswith("x-")}
    return name, {key: value for key, value in (item[name] or {}).items() if not str(key).startswith("x-")}


def _python(
    item: Mapping[str, Any], settings: Mapping[str, Any], path: ValuePath, origin: Origin, problems: list[Problem]
) -> tuple[Assertion, ...]:
    """A metric of one's own is the assertion `python` under the name of its function."""
    written = {"python": item["python"], "metric": str(item["python"]).partition(":")[2] or "python", **settings}
    if "name" in written:
        written["metric"] = written.pop("name")
    try:
        return parse_assertions([written], Origin(origin.file, path, origin.place, origin.folder, origin.root))
    except SuiteFileError as error:
        problems += error.problems
        return ()


def _faults(name: str, settings: Mapping[str, Any], path: ValuePath) -> Iterator[Fault]:
    kind = METRICS.get(name)
    if kind is None:
        close = nearest(name, METRICS)
        engine = name.partition("/")[0]
        known = ", ".join(one.partition("/")[2] for one in METRICS if one.startswith(f"{engine}/"))
        yield (
            path,
            f"there is no metric {shown(name)}",
            f"did you mean {close!r}?" if close else f"{engine} has {known}",
        )
        return
    at = (*path, name)
    faults = [*_setting_faults(kind, settings, at)]
    yield from faults
    if kind.faults is not None and not faults:
        yield from (((*at, *where), f"{name}: {message}", hint) for where, message, hint in kind.faults(settings))


def _setting_faults(kind: MetricKind, settings: Mapping[str, Any], at: ValuePath) -> Iterator[Fault]:
    name = kind.name
    for key, value in settings.items():
        if key in SHARED:
            yield from _shared_faults(key, value, at)
        elif key not in kind.settings:
            close = nearest(str(key), (*SHARED, *kind.settings))
            hint = f"did you mean {close!r}?" if close else f"it takes {', '.join((*SHARED, *kind.settings))}"
            yield (*at, key), f"{name} has no setting {shown(str(key))}", hint
        elif not isinstance(value, kind.settings[key]) or (isinstance(value, bool) and kind.settings[key] is not bool):
            yield (*at, key), f"{name}: {key} is of another kind, {found_text(value)}", None
    for key in kind.required_settings:
        if key not in settings:
            yield at, f"{name} needs the setting `{key}`", None


def _shared_faults(key: str, value: Any, at: ValuePath) -> Iterator[Fault]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124  NaN
    if key == "threshold" and not (is_number and 0 <= value <= 1):
        yield (*at, key), f"expected a number from 0 to 1, {found_text(value)}", "no score is outside of that"
    elif key == "weight" and not (is_number and 0 <= value < float("inf")):
        yield (*at, key), f"expected a number from 0, {found_text(value)}", None
    elif key in ("name", "input") and not (isinstance(value, str) and value.strip()):
        yield (*at, key), f"expected text, {found_text(value)}", None
    elif key == "judge":
        yield from judge_faults(value, (*at, key))


def _assertion(kind: MetricKind, settings: Mapping[str, Any], path: ValuePath, origin: Origin) -> Assertion:
    line, column = origin.place(path, at_key=False)
    return Assertion(
        name=kind.name,
        written=kind.name,
        weight=float(settings.get("weight", 1.0)),
        threshold=float(settings.get("threshold", DEFAULT_THRESHOLD)),
        metric=settings.get("name", kind.name),
        options={key: value for key, value in settings.items() if key not in ("threshold", "weight", "name", "judge")},
        judge=settings.get("judge"),
        needs_judge=kind.calls(settings) > 0,
        file=origin.file,
        line=line,
        column=column,
    )


def _problem(fault: Fault, origin: Origin) -> Problem:
    path, message, hint = fault
    line, column = origin.place(path, at_key=True)
    if line is None:
        line, column = origin.place(path, at_key=False)
    return Problem(message, file=origin.file, line=line, column=column, hint=hint)
