"""The shape of an evaluation suite, and of the cases and assertions that prompts and suites share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from promptstudio.errors import Problem
from promptstudio.prompts.assertion_faults import PYTHON_TARGET, assertion_faults
from promptstudio.prompts.assertion_table import ASSERTION_NAMES, BARE_NAMES
from promptstudio.prompts.filemodel import Fault, FileModel, choice, fault, found_text, model_problems, problems_at
from promptstudio.prompts.judge_faults import judge_faults
from promptstudio.prompts.metric_names import METRIC_NAMES
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.wording import nearest, shown
from promptstudio.prompts.yamlfile import ValuePath

_ASSERTION_JSON_SCHEMA: dict[str, Any] = {
    "description": "An assertion: its name, {type: name, value: …} or {name: value}; a `not-` form inverts it.",
    "anyOf": [
        {"type": "string", "enum": [name for name in ASSERTION_NAMES if name.removeprefix("not-") in BARE_NAMES]},
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
                "model": {"type": "string", "description": "What embeds for `similar`, such as mistral/mistral-embed."},
                "provider": {"description": "promptfoo's name of what embeds, where `compat: promptfoo` is set."},
                "judge": {"description": "Who judges this, instead of the suite's judge."},
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
        {"type": "string", "enum": list(METRIC_NAMES)},
        {"type": "object", "minProperties": 1},
    ],
}
_JUDGE_MODEL: list[dict[str, Any]] = [
    {"type": "string", "minLength": 1},
    {
        "type": "object",
        "properties": {
            "model": {"type": "string", "minLength": 1},
            "parameters": {"type": "object"},
            "prompts": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["model"],
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
    },
]
_JUDGE_JSON_SCHEMA: dict[str, Any] = {
    "anyOf": [
        *_JUDGE_MODEL,
        {"type": "array", "minItems": 1, "items": {"anyOf": _JUDGE_MODEL}},
        {
            "type": "object",
            "properties": {
                "panel": {"type": "array", "minItems": 1, "items": {"anyOf": _JUDGE_MODEL}},
                "vote": {"type": "string", "enum": ["majority", "mean"]},
                "parameters": {"type": "object"},
                "prompts": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["panel"],
            "patternProperties": {"^x-": {}},
            "additionalProperties": False,
        },
    ],
}
Assertion = Annotated[Any, WithJsonSchema(_ASSERTION_JSON_SCHEMA)]
Metric = Annotated[Any, WithJsonSchema(_METRIC_JSON_SCHEMA)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]


class Turn(FileModel):
    """One turn of a conversation: inputs that differ from the case's, and what is expected of its answer."""

    inputs: dict[str, Any] | None = None
    vars: dict[str, Any] | None = Field(None, description="Another name for inputs.")
    expected_output: Any = None
    expected_tools: list[Any] | None = None
    retrieval_context: list[str] | None = Field(None, description="The passages retrieved for this turn.")
    retrieved_contexts: list[str] | None = Field(None, description="Another name for retrieval_context.")
    assertions: list[Assertion] | None = Field(None, alias="assert", description="Checks of this turn's answer.")


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
    cluster: str | int | None = Field(
        None, description="Cases of one cluster, such as questions about one document, depend on each other."
    )
    turns: Annotated[list[Turn], Field(min_length=1)] | None = Field(
        None, description="Turns of a conversation, asked in order; the case's own assertions judge the last one."
    )


class PartGate(FileModel):
    """What must hold for the cases with a tag, or the answers of a model."""

    pass_rate: Fraction | None = None
    metrics: dict[str, dict[str, float]] | None = None
    errors: Annotated[int, Field(ge=0)] | None = None
    unscored: Annotated[int, Field(ge=0)] | None = None
    cost_usd: Annotated[float, Field(ge=0)] | None = None
    latency_p50_ms: Annotated[float, Field(ge=0)] | None = None
    latency_p90_ms: Annotated[float, Field(ge=0)] | None = None
    latency_p95_ms: Annotated[float, Field(ge=0)] | None = None
    latency_p99_ms: Annotated[float, Field(ge=0)] | None = None


class Gate(FileModel):
    """What must hold for the suite to pass."""

    pass_rate: Fraction | None = Field(None, description="Share of cases that must pass, 0 to 1.")
    metrics: dict[str, dict[str, float]] | None = Field(None, description="Per metric: {mean: …}, {min: …}.")
    errors: Annotated[int, Field(ge=0)] | None = Field(None, description="How many cases may end in an error.")
    baseline: Text | None = Field(None, description="A git ref, a label or a run id to compare with.")
    max_regression: Fraction | None = Field(None, description="Non-inferiority margin.")
    inconclusive: choice(("warn", "fail")) | None = None  # type: ignore[valid-type]
    confidence: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(
        None, description="Of the intervals the verdicts go by. Default: 0.95."
    )
    min_kappa: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="Least agreement of each judge with people (Cohen's kappa), by `ps judge calibrate`."
    )
    cost_usd: Annotated[float, Field(ge=0)] | None = None
    unscored: Annotated[int, Field(ge=0)] | None = Field(None, description="How many cases may stay unscored.")
    latency_p50_ms: Annotated[float, Field(ge=0)] | None = None
    latency_p90_ms: Annotated[float, Field(ge=0)] | None = None
    latency_p95_ms: Annotated[float, Field(ge=0)] | None = None
    latency_p99_ms: Annotated[float, Field(ge=0)] | None = None
    tags: dict[str, PartGate] | None = Field(None, description="Gates over the cases with a tag.")
    models: dict[str, PartGate] | None = Field(None, description="Gates over the answers of a model.")


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
    compat: choice(("promptfoo",)) | None = Field(  # type: ignore[valid-type]
        None, description="Assertions mean what they mean in that tool, and their values may refer to inputs."
    )
    judge: Annotated[Any, WithJsonSchema(_JUDGE_JSON_SCHEMA)] = Field(
        None, description="The model that judges, or several: {model, parameters}, a list, or {panel, vote}."
    )
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
        faults = case_faults(cases[index], ("cases", index), templates=_has_templates(source.value))
        problems += problems_at(source, faults)
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
    yield from assertion_faults(suite.get("assert"), ("assert",), templates=_has_templates(suite))
    yield from judge_faults(suite.get("judge"), ("judge",))
    yield from metric_faults(suite.get("metrics"), ("metrics",))


def _has_templates(suite: dict[str, Any]) -> bool:
    return suite.get("compat") == "promptfoo"


def case_faults(case: Any, path: ValuePath, *, templates: bool = False) -> Iterator[Fault]:
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
    yield from assertion_faults(case.get("assert"), (*path, "assert"), templates=templates)
    yield from metric_faults(case.get("metrics"), (*path, "metrics"))
    turns = case.get("turns")
    for index, turn in enumerate(turns) if isinstance(turns, list) else ():
        if isinstance(turn, dict):
            yield from assertion_faults(turn.get("assert"), (*path, "turns", index, "assert"), templates=templates)


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
            if not (isinstance(target, str) and PYTHON_TARGET.fullmatch(target)):
                yield (*at, "python"), f"expected FILE.py:FUNCTION, {found_text(target)}", None
        elif name not in METRIC_NAMES:
            close = nearest(name, METRIC_NAMES)
            hint = "a metric is deepeval/NAME, ragas/NAME or python: FILE.py:FUNCTION"
            yield at, f"there is no metric {shown(name)}", f"did you mean {close!r}?" if close else hint
        elif len(names) > 1:
            yield at, "one map names one metric", "start a new list item with `- `"
        elif isinstance(item, dict) and not (item[name] is None or isinstance(item[name], dict)):
            yield (*at, name), f"expected a map of settings, {found_text(item[name])}", "as in {threshold: 0.7}"
