"""The settings of DeepEval's metrics as a suite has them → what is wrong with them. Imports no engine.

Their types are checked before, so a list is a list here; what stands in it is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from promptstudio.evals.metrics.schema import Field, MetricKind, Settings
from promptstudio.prompts.jsonschemas import object_root_problem, schema_problems
from promptstudio.prompts.judge_faults import Fault
from promptstudio.prompts.patterns import pattern_fault
from promptstudio.prompts.wording import dotted, found, nearest, shown

SINGLE_TURN = (
    *("input", "actual_output", "expected_output", "context", "retrieval_context", "metadata", "tags"),
    *("tools_called", "expected_tools"),
)
"""What a criterion may look at in a case with one answer."""
OF_A_TURN = ("role", "content", "tools_called", "retrieval_context")
MULTI_TURN = (*OF_A_TURN, "metadata", "tags", "scenario", "expected_outcome")
"""What a criterion may look at in a conversation: in each turn, and in the whole."""
DEFAULT_PARAMS = ("input", "actual_output")
DEFAULT_TURN_PARAMS = ("content", "role")
MAX_RUBRIC_SCORE = 10
_FIELDS: Mapping[str, Field] = {
    "input": "input",
    "actual_output": "actual_output",
    "expected_output": "expected_output",
    "context": "context",
    "retrieval_context": "retrieval_context",
    "expected_tools": "expected_tools",
    "expected_outcome": "expected_output",
}
"""What is looked at → the field a case must have. An answer without tool calls can be looked at as well."""


def fields_of(params: Iterable[str]) -> tuple[Field, ...]:
    """Return what a case must have where these are looked at, each once."""
    return tuple(dict.fromkeys(_FIELDS[name] for name in params if name in _FIELDS))


def checked(
    special: Callable[[Settings], Iterator[Fault]] | None = None, apart: Collection[str] = ()
) -> Callable[[Settings], Iterator[Fault]]:
    """Return a check: texts that say something, lists of such texts, whole numbers from 1, and what is `special`.

    The settings in `apart` have a shape of their own, which `special` looks at.
    """

    def faults(settings: Settings) -> Iterator[Fault]:
        for key, value in settings.items():
            if key not in apart and key not in ("input", "judge", "name", "threshold", "weight"):
                yield from _plain_faults(key, value)
        if special is not None:
            yield from special(settings)

    return faults


def _plain_faults(key: str, value: Any) -> Iterator[Fault]:
    if isinstance(value, str) and not value.strip():
        yield (key,), f"{key} is empty", None
    elif isinstance(value, int) and not isinstance(value, bool) and value < 1:
        yield (key,), f"{key}: expected a whole number from 1, found {value}", None
    elif isinstance(value, list):
        yield from text_list_faults((key,), value)


def text_list_faults(path: tuple[str | int, ...], value: list[Any], known: Collection[str] = ()) -> Iterator[Fault]:
    """Yield what is wrong with a list of texts, which are all among the `known` ones where those are given."""
    if not value:
        yield path, f"{dotted(path)} is an empty list", f"choose among {', '.join(known)}" if known else None
    for index, one in enumerate(value):
        at = (*path, index)
        if not isinstance(one, str) or not one.strip():
            yield at, f"{dotted(at)}: expected text, found {found(one)}", None
        elif known and one not in known:
            close = nearest(one, known)
            hint = f"did you mean {close!r}?" if close else f"choose among {', '.join(known)}"
            yield at, f"{dotted(path)}: there is no {shown(one)} to look at", hint


def criteria_faults(settings: Settings, known: Collection[str]) -> Iterator[Fault]:
    """Yield what is wrong with a GEval: its criteria or steps, what it looks at, and its rubric."""
    if "criteria" not in settings and "evaluation_steps" not in settings:
        yield (), "it needs `criteria` or `evaluation_steps`", 'as in criteria: "Is the reply polite?"'
    if "evaluation_params" in settings:
        yield from text_list_faults(("evaluation_params",), settings["evaluation_params"], known)
    taken: list[tuple[int, int]] = []
    for index, row in enumerate(settings.get("rubric", ())):
        yield from _rubric_faults(row, ("rubric", index), taken)
    if taken and min(taken)[0] == max(taken)[1]:
        yield ("rubric",), "rubric: it has one score only, which says nothing", None


def _rubric_faults(row: Any, at: tuple[str | int, ...], taken: list[tuple[int, int]]) -> Iterator[Fault]:
    hint = "as in {score_range: [0, 4], expected_outcome: What such an answer is like}"
    if not isinstance(row, Mapping) or set(row) != {"score_range", "expected_outcome"}:
        yield at, f"{dotted(at)}: expected score_range and expected_outcome, found {found(row)}", hint
        return
    if not isinstance(row["expected_outcome"], str) or not row["expected_outcome"].strip():
        yield (*at, "expected_outcome"), f"{dotted(at)}: expected_outcome is text", hint
    bounds = row["score_range"]
    is_range = isinstance(bounds, list) and len(bounds) == 2 and all(type(one) is int for one in bounds)
    if not is_range or not 0 <= bounds[0] <= bounds[1] <= MAX_RUBRIC_SCORE:
        said = f"{dotted(at)}: score_range is two whole numbers from 0 to {MAX_RUBRIC_SCORE}, the smaller first"
        yield (*at, "score_range"), said, hint
        return
    if any(bounds[0] <= last and first <= bounds[1] for first, last in taken):
        yield (*at, "score_range"), f"{dotted(at)}: {bounds[0]} to {bounds[1]} overlaps another row", None
    taken.append((bounds[0], bounds[1]))


def schema_faults(settings: Settings) -> Iterator[Fault]:
    """Yield what is wrong with the JSON Schema of json_correctness."""
    schema = settings["expected_schema"]
    problems = schema_problems(schema, strict_keywords=False)
    for where, message in problems:
        yield ("expected_schema", *where), f"expected_schema: {message}", None
    if not problems and (message_of_root := object_root_problem(schema)):
        yield ("expected_schema",), f"expected_schema: {message_of_root}", None


def pattern_faults(settings: Settings) -> Iterator[Fault]:
    if message := pattern_fault(settings["pattern"]):
        yield ("pattern",), f"pattern: {message}", None


def permission_faults(settings: Settings) -> Iterator[Fault]:
    if "allowed_tools" not in settings and "denied_tools" not in settings:
        yield (), "it needs `allowed_tools` or `denied_tools`", "as in denied_tools: [delete_account]"


def tool_faults(settings: Settings) -> Iterator[Fault]:
    """Yield what is wrong with available_tools, and with what is compared of a call."""
    for index, one in enumerate(settings.get("available_tools", ())):
        at = ("available_tools", index)
        name = one.get("name") if isinstance(one, Mapping) else one
        if not isinstance(name, str) or not name.strip():
            yield at, f"{dotted(at)}: expected a tool's name, found {found(one)}", "as in {name: …, description: …}"
        elif isinstance(one, Mapping) and (unknown := set(one) - {"name", "description", "parameters"}):
            yield (
                at,
                f"{dotted(at)}: unknown key {shown(str(min(unknown)))}",
                "a tool has name, description, parameters",
            )
        elif isinstance(one, Mapping) and not isinstance(one.get("parameters", {}), Mapping):
            yield (*at, "parameters"), f"{dotted(at)}: parameters is a map, found {found(one['parameters'])}", None
    if "evaluation_params" in settings:
        yield from text_list_faults(("evaluation_params",), settings["evaluation_params"], ("input_parameters",))


def inner_faults(kind: MetricKind, settings: Settings, taken: Collection[str]) -> Iterator[Fault]:
    """Yield what is wrong with the settings of a metric that stands within another; it takes those in `taken`."""
    wrong = False
    for key, value in settings.items():
        types = kind.settings.get(key) if key in taken else None
        if types is None:
            wrong = True
            close = nearest(str(key), taken)
            yield (key,), f"no setting {shown(str(key))} here", f"did you mean {close!r}?" if close else None
        elif not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            wrong = True
            yield (key,), f"{key} is of another kind, found {found(value)}", None
    for key in kind.required_settings:
        if key not in settings:
            wrong = True
            yield (), f"it needs the setting `{key}`", None
    if not wrong and kind.faults is not None:
        yield from kind.faults(settings)
