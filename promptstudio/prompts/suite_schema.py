"""The shape of an evaluation suite, and of the cases and assertions that prompts and suites share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from promptstudio.errors import Problem
from promptstudio.prompts.filemodel import Fault, FileModel, choice, fault, found_text, model_problems, problems_at
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.wording import nearest, shown, suggestion
from promptstudio.prompts.yamlfile import ValuePath

ASSERTIONS = (
    *("equals", "contains", "contains-all", "contains-any", "icontains", "icontains-all", "icontains-any"),
    *("starts-with", "ends-with", "regex", "is-json", "contains-json", "json-schema", "is-xml", "word-count"),
    *("levenshtein", "rouge-n", "bleu", "meteor", "similar", "cost", "latency", "is-refusal", "is-valid-tool-call"),
    *("tool-call-f1", "python", "llm-rubric", "factuality", "select-best", "assert-set", "gt", "gte", "lt", "lte"),
)
ASSERTION_NAMES = (*ASSERTIONS, *(f"not-{name}" for name in ASSERTIONS))
# Assertions that say everything by their name.
BARE = frozenset({"is-json", "contains-json", "is-xml", "is-refusal", "is-valid-tool-call"})
# Keys beside the assertion itself.
ASSERTION_KEYS = ("type", "value", "path", "weight", "threshold", "metric", "description", "options", "judge", "assert")
_METRIC = re.compile(r"(?:deepeval|ragas)/[a-z][a-z0-9_]*")
_PYTHON = re.compile(r"[^:]+\.py:[A-Za-z_]\w*")

_ASSERTION_JSON_SCHEMA: dict[str, Any] = {
    "description": "An assertion: its name, {type: name, value: …} or {name: value}; a `not-` form inverts it.",
    "anyOf": [
        {"type": "string", "enum": [n for n in ASSERTION_NAMES if n.removeprefix("not-") in BARE]},
        {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": list(ASSERTION_NAMES)},
                "value": {"description": "What the answer is compared with."},
                "path": {"type": "string", "description": "A field of the typed output, such as address.city."},
                "weight": {"type": "number", "minimum": 0},
                "threshold": {"type": "number"},
                "metric": {"type": "string", "description": "Scores with one metric name are averaged in the report."},
                "description": {"type": "string"},
                "options": {"type": "object"},
                "judge": {"type": "object"},
                "assert": {"type": "array", "description": "The members of an assert-set."},
                **{name: {"description": f"Short for type: {name}, value: …"} for name in ASSERTION_NAMES},
            },
            "patternProperties": {"^x-": {}},
            "additionalProperties": False,
        },
    ],
}
_METRIC_JSON_SCHEMA: dict[str, Any] = {
    "description": "A metric: its name, or {name: {threshold: …}}; python: FILE.py:FUNCTION is one of your own.",
    "anyOf": [
        {"type": "string", "pattern": "^(deepeval|ragas)/[a-z][a-z0-9_]*$"},
        {"type": "object", "minProperties": 1},
    ],
}
Assertion = Annotated[Any, WithJsonSchema(_ASSERTION_JSON_SCHEMA)]
Metric = Annotated[Any, WithJsonSchema(_METRIC_JSON_SCHEMA)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]


class Case(FileModel):
    """One example to judge: inputs, and what is expected of the answer."""

    id: Text | None = Field(None, description="Default: a hash of the case's content.")
    description: str | None = None
    inputs: dict[str, Any] | None = Field(None, description="Values for the prompt's inputs.")
    vars: dict[str, Any] | None = Field(None, description="Another name for inputs.")
    expected_output: Any = Field(None, description="The wanted answer; a map is compared key by key (subset).")
    expected: Any = Field(None, description="Another name for expected_output.")
    reference: Any = Field(None, description="Another name for expected_output.")
    context: Annotated[Any, WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}})] = None
    retrieval_context: list[str] | None = Field(None, description="The passages a retriever returned.")
    retrieved_contexts: list[str] | None = Field(None, description="Another name for retrieval_context.")
    expected_tools: list[Any] | None = Field(None, description="Tool calls the answer should contain.")
    tags: list[Text] | None = None
    metadata: dict[str, Any] | None = None
    assertions: list[Assertion] | None = Field(None, alias="assert", description="Checks of the answer.")
    metrics: list[Metric] | None = None
    threshold: Fraction | None = None
    repeats: Annotated[int, Field(ge=1, le=1000)] | None = None


class Judge(FileModel):
    """The model that judges answers."""

    model: Text
    parameters: dict[str, Any] = Field(default_factory=dict)


class Gate(FileModel):
    """What must hold for the suite to pass."""

    pass_rate: Fraction | None = Field(None, description="Share of cases that must pass, 0 to 1.")
    metrics: dict[str, dict[str, float]] | None = Field(None, description="Per metric: {mean: …}, {min: …}.")
    errors: Annotated[int, Field(ge=0)] | None = Field(None, description="How many cases may end in an error.")
    baseline: Text | None = Field(None, description="A git ref, a label or a run id to compare with.")
    max_regression: Fraction | None = Field(None, description="Non-inferiority margin.")
    inconclusive: choice(("warn", "fail")) | None = None  # type: ignore[valid-type]
    cost_usd: Annotated[float, Field(ge=0)] | None = None
    latency_p95_ms: Annotated[float, Field(ge=0)] | None = None


def _check_schema_version(value: int) -> int:
    if value > 1:
        raise fault(f"schema_version {value} is newer than this program reads (1)", "upgrade promptstudio")
    if value < 1:
        raise fault(f"there is no schema_version {value}", "write 1, or remove the line")
    return value


SchemaVersion = Annotated[int, AfterValidator(_check_schema_version), WithJsonSchema({"type": "integer", "const": 1})]


class SuiteFile(FileModel):
    """An evaluation suite: prompts × models × cases, what to assert, and the gate."""

    schema_version: SchemaVersion = 1
    name: Text | None = Field(None, description="Default: the path below evals/ without suffix.")
    description: str | None = None
    tags: list[Text] | None = None
    metadata: dict[str, Any] | None = None
    prompt: Text | None = Field(None, description="The prompt to judge, such as support/triage:terse.")
    prompts: Annotated[list[Text], Field(min_length=1)] | None = Field(None, description="Several prompts to compare.")
    models: Annotated[list[Text], Field(min_length=1)] | None = Field(None, description="Default: each prompt's own.")
    repeats: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="How often each case runs.")
    cases: Annotated[
        Any,
        WithJsonSchema(
            {
                "description": "An inline list, a csv, json, jsonl or yaml file, or a Python function: cases.py:make",
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {"type": "array"},
                ],
            }
        ),
    ]
    assertions: list[Assertion] | None = Field(None, alias="assert", description="Checks on every case.")
    metrics: list[Metric] | None = None
    threshold: Fraction | None = None
    judge: Judge | None = None
    gate: Gate | None = None


def suite_problems(source: Source) -> list[Problem]:
    """Return everything that is wrong with a suite file."""
    _, problems = model_problems(SuiteFile, source)
    if not isinstance(source.value, dict):
        return problems
    return problems + problems_at(source, _suite_faults(source.value)) + _case_problems(source)


def _case_problems(source: Source) -> list[Problem]:
    cases = source.value.get("cases")
    if not isinstance(cases, list):
        return []
    problems: list[Problem] = []
    for index in range(len(cases)):
        problems += model_problems(Case, source, ("cases", index))[1]
        problems += problems_at(source, case_faults(cases[index], ("cases", index)))
    return problems


def _suite_faults(suite: dict[str, Any]) -> Iterator[Fault]:
    if ("prompt" in suite) == ("prompts" in suite):
        said = "both `prompt` and `prompts` are given" if "prompt" in suite else "missing key 'prompt'"
        yield ("prompt",) if "prompt" in suite else (), said, "write either `prompt:` or `prompts:`"
    cases = suite.get("cases")
    if "cases" in suite and not (isinstance(cases, list) or (isinstance(cases, str) and cases)):
        yield ("cases",), f"expected a list of cases or a file name, {found_text(cases)}", None
    elif cases == []:
        yield ("cases",), "the list of cases is empty", "a suite without cases checks nothing"
    yield from assertion_faults(suite.get("assert"), ("assert",))
    yield from metric_faults(suite.get("metrics"), ("metrics",))


def case_faults(case: Any, path: ValuePath) -> Iterator[Fault]:
    """Yield what the shape of a case cannot say: one name for each thing, and known assertions."""
    if not isinstance(case, dict):
        return
    for names in (
        ("inputs", "vars"),
        ("expected_output", "expected", "reference"),
        ("retrieval_context", "retrieved_contexts"),
    ):
        given = [name for name in names if name in case]
        if len(given) > 1:
            yield (*path, given[1]), f"{given[0]} and {given[1]} are two names for one thing", f"keep {names[0]}"
    context = case.get("context")
    if not (
        context is None
        or isinstance(context, str)
        or (isinstance(context, list) and all(isinstance(c, str) for c in context))
    ):
        yield (*path, "context"), f"expected text or a list of texts, {found_text(context)}", None
    yield from assertion_faults(case.get("assert"), (*path, "assert"))
    yield from metric_faults(case.get("metrics"), (*path, "metrics"))


def assertion_faults(items: Any, path: ValuePath) -> Iterator[Fault]:
    """Yield what is wrong with a list of assertions."""
    for index, item in enumerate(items) if isinstance(items, list) else ():
        at = (*path, index)
        if isinstance(item, str):
            yield from _bare_assertion_faults(item, at)
        elif isinstance(item, dict):
            yield from _assertion_map_faults(item, at)
        else:
            yield at, f"expected the name of an assertion or a map, {found_text(item)}", None


def _bare_assertion_faults(name: str, path: ValuePath) -> Iterator[Fault]:
    if name not in ASSERTION_NAMES:
        yield path, f"there is no assertion {shown(name)}", suggestion(name, ASSERTION_NAMES)
    elif name.removeprefix("not-") not in BARE:
        yield path, f"the assertion {name!r} needs a value", f"write {{{name}: …}}"


def _assertion_map_faults(item: dict[str, Any], path: ValuePath) -> Iterator[Fault]:
    short = [key for key in item if key in ASSERTION_NAMES]
    for key in item:
        if key not in ASSERTION_NAMES and key not in ASSERTION_KEYS and not key.startswith("x-"):
            close = nearest(key, (*ASSERTION_KEYS, *ASSERTION_NAMES))
            yield (*path, key), f"unknown key {shown(key)}", f"did you mean {close!r}?" if close else None
    name = item.get("type", short[0] if short else None)
    if len(short) + ("type" in item) != 1:
        if short or "type" in item or not set(item) - set(ASSERTION_KEYS):
            said = "an assertion has one name" if name is not None else "the assertion has no name"
            yield path, said, "write {type: contains, value: …} or {contains: …}"
        return
    if not isinstance(name, str) or name not in ASSERTION_NAMES:
        yield (*path, "type"), f"there is no assertion {shown(str(name))}", suggestion(str(name), ASSERTION_NAMES)
        return
    yield from _assertion_value_faults(name, item, path)


def _assertion_value_faults(name: str, item: dict[str, Any], path: ValuePath) -> Iterator[Fault]:
    kind = name.removeprefix("not-")
    value = item.get("value", item.get(name))
    if kind == "assert-set":
        members = item.get("assert", value)
        if not isinstance(members, list) or not members:
            yield path, "an assert-set needs its members", "write {type: assert-set, assert: [...]}"
        yield from assertion_faults(
            members, (*path, "assert" if "assert" in item else "value" if "value" in item else name)
        )
    elif (
        kind not in BARE
        and value is None
        and "value" not in item
        and item.get(name, ...) is ...
        and "threshold" not in item
    ):
        yield path, f"the assertion {name!r} needs a value", f"write {{{name}: …}}"
    for key in ("weight", "threshold"):
        number = item.get(key)
        if key in item and (
            isinstance(number, bool) or not isinstance(number, int | float) or (key == "weight" and number < 0)
        ):
            yield (*path, key), f"expected a number, {found_text(number)}", None
    if kind in ("gt", "gte", "lt", "lte") and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield path, f"{name} compares with a number, {found_text(value)}", None
    if kind == "python" and not (isinstance(value, str) and _PYTHON.fullmatch(value)):
        yield path, f"expected FILE.py:FUNCTION, {found_text(value)}", "code lives in a file of the repository"


def metric_faults(items: Any, path: ValuePath) -> Iterator[Fault]:
    """Yield what is wrong with a list of metrics."""
    for index, item in enumerate(items) if isinstance(items, list) else ():
        at = (*path, index)
        names = [key for key in item if not key.startswith("x-")] if isinstance(item, dict) else [item]
        if not names or not all(isinstance(name, str) for name in names):
            yield at, f"expected the name of a metric or a map, {found_text(item)}", "as in deepeval/faithfulness"
            continue
        name = names[0]
        if name == "python" and isinstance(item, dict):
            target = item["python"]
            if not (isinstance(target, str) and _PYTHON.fullmatch(target)):
                yield (*at, "python"), f"expected FILE.py:FUNCTION, {found_text(target)}", None
        elif not _METRIC.fullmatch(name):
            yield (
                at,
                f"there is no metric {shown(name)}",
                "a metric is deepeval/NAME, ragas/NAME or python: FILE.py:FUNCTION",
            )
        elif len(names) > 1:
            yield at, "one map names one metric", "start a new list item with `- `"
        elif isinstance(item, dict) and not (item[name] is None or isinstance(item[name], dict)):
            yield (*at, name), f"expected a map of settings, {found_text(item[name])}", "as in {threshold: 0.7}"
