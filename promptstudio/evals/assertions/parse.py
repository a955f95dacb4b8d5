"""The list under `assert:` as plain data → checked `Assertion` values, or all problems at once, before any call.

Shapes and values are checked by `promptstudio.prompts.assertion_faults`, which `ps lint` uses too. What is added here
needs the folder: whether a Python file is there and has the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptstudio.errors import Problem, SuiteFileError
from promptstudio.evals.assertions.assertion import Assertion, Origin, Place, ValuePath, as_text
from promptstudio.evals.assertions.table import EXPECTED_OUTPUT
from promptstudio.evals.schema import Case
from promptstudio.prompts.assertion_faults import (
    assertion_faults,
    assertion_name,
    has_template,
    path_steps,
    value_key,
)
from promptstudio.prompts.assertion_table import KINDS, PLUGIN, AssertionKind, ValueKind, base_name
from promptstudio.prompts.embedder_faults import embedding_model_of
from promptstudio.prompts.wording import dotted

if TYPE_CHECKING:
    from promptstudio.evals.assertions.functions import Functions
    from promptstudio.prompts.overlay import Source


# What the case's expected_output or expected_tools can stand in for; a null that is written for `equals` is a null.
_FROM_CASE = frozenset(
    name
    for name, kind in KINDS.items()
    if kind.bare and kind.value in ("anything", "references", "tools?", "tool sequence")
)


def parse_assertions(items: Any, origin: Origin) -> tuple[Assertion, ...]:
    """Read a list of assertions. Raises SuiteFileError with every problem and its place."""
    if items is None:
        return ()
    templates = origin.compat is not None
    if not isinstance(items, list):
        raise SuiteFileError(_problem("expected a list of assertions", origin.path, None, origin))
    problems = [
        _problem(message, path, hint, origin)
        for path, message, hint in assertion_faults(items, origin.path, templates=templates)
    ]
    if problems:
        raise SuiteFileError(problems)
    missing: list[Problem] = []
    assertions = tuple(_assertion(item, (*origin.path, index), origin, missing) for index, item in enumerate(items))
    if missing:
        raise SuiteFileError(missing)
    return assertions


def origin_in(
    source: Source, path: ValuePath, *, folder: Path | None = None, root: Path | None = None, compat: str | None = None
) -> Origin:
    """Return the origin of a list in a YAML file: each problem gets the line and column of its value."""

    def place(at: ValuePath, *, at_key: bool) -> Place:
        return source.key_place(at) if at_key else source.place(at)

    return Origin(source.file, path, place, folder, root, compat)


def origin_at(
    file: str | None,
    line: int | None,
    *,
    folder: Path | None = None,
    root: Path | None = None,
    compat: str | None = None,
) -> Origin:
    """Return the origin of a list in a line of a dataset."""

    def place(_path: ValuePath, *, at_key: bool) -> Place:  # noqa: ARG001 - a line of a dataset is one place
        return line, None

    return Origin(file, ("assert",), place, folder, root, compat)


def implied_assertions(
    assertions: Iterable[Assertion], expected_output: Any, *, has_metrics: bool
) -> tuple[Assertion, ...]:
    """Add what a case's expected_output asserts by itself.

    A map or a list is always compared, key by key. A text is compared where nothing else is asserted of the case:
    beside other assertions and metrics it is the reference that those work with.
    """
    given = tuple(assertions)
    is_data = isinstance(expected_output, dict | list | tuple)
    if expected_output is None or any(each.needs_expected and each.name == "equals" for each in given):
        return given
    if not is_data and (given or has_metrics):
        return given
    return (Assertion(EXPECTED_OUTPUT, EXPECTED_OUTPUT), *given)


def load_functions(assertions: Iterable[Assertion], functions: Functions) -> None:
    """Load every Python assertion, so that one that does not load is told before anything is paid for."""
    for assertion in assertions:
        load_functions(assertion.members, functions)
        is_metric = "/" in assertion.name
        if assertion.name == "python" or not (is_metric or assertion.name in (*KINDS, EXPECTED_OUTPUT)):
            try:
                functions.call_for(assertion)
            except SuiteFileError as error:
                place = {"file": assertion.file, "line": assertion.line, "column": assertion.column}
                raise SuiteFileError(Problem(error.message, hint=error.hint, **place)) from error  # type: ignore[arg-type]


# -- one assertion --------------------------------------------------------------------------------------------------


def _assertion(item: Any, path: ValuePath, origin: Origin, problems: list[Problem]) -> Assertion:
    if isinstance(item, str):
        return _made(item, {}, None, path, origin, problems)
    name = assertion_name(item) or ""
    return _made(name, item, value_key(item, name), path, origin, problems)


def _made(
    written: str, item: Mapping[str, Any], holder: str | None, path: ValuePath, origin: Origin, problems: list[Problem]
) -> Assertion:
    name = base_name(written)
    kind = KINDS.get(name, PLUGIN)
    value = item.get(holder) if holder else None
    line, column = origin.place(path, at_key=False)
    steps = path_steps(item["path"]) if "path" in item else ()
    made = Assertion(
        name=name,
        written=written,
        inverted=written.startswith("not-"),
        value=None if name == "assert-set" else value,
        path=steps or (),
        weight=float(item.get("weight", 1)),
        threshold=None if kind.threshold is None else item.get("threshold"),
        metric=item.get("metric"),
        description=item.get("description"),
        options=_options(item),
        judge=item.get("judge"),
        needs_judge=kind.judged,
        needs_expected=value is None and name in _FROM_CASE and (holder is None or name != "equals"),
        has_template=origin.compat is not None and (has_template(value) or has_template(item.get("metric"))),
        compat=origin.compat,
        file=origin.file,
        line=line,
        column=column,
    )
    if kind.value == "members":
        at = (*path, holder or "assert")
        members = tuple(_assertion(child, (*at, index), origin, problems) for index, child in enumerate(value or ()))
        return replace(made, members=members, needs_judge=any(member.needs_judge for member in members))
    if kind.value == "python":
        return replace(made, parsed=_python_target(value, (*path, holder or name), origin, problems))
    return made if made.has_template else replace(made, parsed=_parsed(kind, made))


def _options(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options, with the embedding model that stands beside them."""
    options: Mapping[str, Any] = item.get("options") or {}
    model = item.get("model") or (embedding_model_of(item["provider"]) if "provider" in item else None)
    return options if model is None else {**options, "model": model}


def _python_target(value: Any, path: ValuePath, origin: Origin, problems: list[Problem]) -> Any:
    from promptstudio.evals.assertions.functions import find_target  # ast, inspect, …: for Python assertions only

    try:
        return find_target(str(value), origin.folder, origin.root)
    except SuiteFileError as error:
        problems.append(_problem(error.message, path, error.hint, origin))
        return None


def _problem(message: str, path: ValuePath, hint: str | None, origin: Origin) -> Problem:
    line, column = origin.place(path, at_key=message.startswith("unknown key"))
    return Problem(f"{dotted(path)}: {message}", file=origin.file, line=line, column=column, hint=hint)


# -- values ---------------------------------------------------------------------------------------------------------


def _parsed(kind: AssertionKind, assertion: Assertion) -> Any:
    """Turn a checked value into what its evaluator works with; None where it has none."""
    value = assertion.value
    if kind.value == "limit":
        return assertion.threshold if value is None else value
    if value is None:
        return None
    return _READERS[kind.value](value) if kind.value in _READERS else value


def _texts(value: Any) -> list[str]:
    """A list of texts, or one text with commas, where quotes protect a comma."""
    if isinstance(value, list):
        return [as_text(item) for item in value]
    import csv  # for texts with commas only

    return [part.strip() for part in next(csv.reader([str(value)], skipinitialspace=True)) if part.strip()]


def _schema(value: Any) -> Any:
    return None if value == "" else value


def _elements(value: Any) -> list[str]:
    return list(next(iter(value.values()))) if isinstance(value, dict) else list(value)


def _count(value: Any) -> tuple[int | None, int | None]:
    return (value.get("min"), value.get("max")) if isinstance(value, dict) else (value, value)


def _references(value: Any) -> list[str]:
    return [as_text(item) for item in value] if isinstance(value, list) else [as_text(value)]


_READERS: Mapping[ValueKind, Callable[[Any], Any]] = {
    "text": lambda value: [as_text(value)],
    "texts": _texts,
    "schema?": _schema,
    "elements?": _elements,
    "count": _count,
    "references": _references,
}


# -- values that refer to a case (suites with `compat: promptfoo`) ----------------------------------------------------


def rendered(assertion: Assertion, case: Case) -> Assertion:
    """Fill a case's inputs into an assertion's texts. Raises our errors where one is missing or the result is wrong."""
    if not assertion.has_template:
        return assertion
    value, metric = _filled(assertion.value, case), _filled(assertion.metric, case)
    number = _number_of(value) if KINDS.get(assertion.name, PLUGIN).value in ("count", "limit", "number") else None
    filled = replace(assertion, value=value if number is None else number, metric=metric, has_template=False)
    problems = list(_value_problems(filled))
    if problems:
        raise SuiteFileError(problems)
    return replace(filled, parsed=_parsed(KINDS.get(assertion.name, PLUGIN), filled))


def _filled(value: Any, case: Case) -> Any:
    if isinstance(value, str) and has_template(value):
        from promptstudio.prompts.template import render_template  # Jinja, which only imported suites need here

        return render_template(value, case.inputs, {})
    if isinstance(value, list):
        return [_filled(item, case) for item in value]
    return {key: _filled(item, case) for key, item in value.items()} if isinstance(value, dict) else value


def _number_of(value: Any) -> int | float | None:
    """Read a number that a template wrote as text."""
    try:
        return float(value) if "." in value else int(value)
    except (TypeError, ValueError):
        return None


def _value_problems(assertion: Assertion) -> Iterator[Problem]:
    item = {"type": assertion.written, "value": assertion.value}
    for path, message, hint in assertion_faults([item], ()):
        yield Problem(f"{dotted(path[1:])}: {message}", hint=hint)
