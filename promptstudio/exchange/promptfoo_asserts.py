"""promptfoo's assertions → ours; names we share keep their meaning, the rest is a loss. Code is never taken over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import UserError
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.nearby import CODE, near_file
from promptstudio.exchange.nunjucks import jinja_to_jinja
from promptstudio.exchange.promptfoo_models import model_of
from promptstudio.prompts.assertion_faults import assertion_faults
from promptstudio.prompts.assertion_table import ASSERTION_NAMES, BARE_NAMES, kind_of
from promptstudio.prompts.embedder_faults import embedding_model_of
from promptstudio.prompts.pieces import literal_to_jinja
from promptstudio.prompts.suite_schema import metric_faults
from promptstudio.prompts.template import render_template
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath, read_yaml

# Nearly the same as what we have under another name.
RENAMED = {"model-graded-closedqa": "llm-rubric"}
# Judged by a metric of DeepEval here: the same idea, another prompt of the judge.
METRICS = {
    "answer-relevance": "deepeval/answer_relevancy",
    "context-faithfulness": "deepeval/faithfulness",
    "context-recall": "deepeval/contextual_recall",
    "context-relevance": "deepeval/contextual_relevancy",
    "g-eval": "deepeval/g_eval",
}
# What promptfoo takes where a file gives no threshold.
THRESHOLDS = {
    "similar": 0.75,
    "similar:dot": 0.75,
    "similar:euclidean": 0.75,
    "levenshtein": 5,
    "rouge-n": 0.75,
    "bleu": 0.5,
    "meteor": 0.5,
}
EMBEDDING = frozenset({"similar", "similar:cosine", "similar:dot", "similar:euclidean"})
_CODE_TYPES = frozenset({"javascript", "python", "ruby", "webhook"})
_KEPT = ("weight", "threshold", "metric")
_TEMPLATE = re.compile(r"\{[{%#]")
_DATA = (".json", ".yaml", ".yml")
_FROM_TEXT = re.compile(r"(not-)?([a-z][a-z0-9-]*)(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?")
_LISTS = frozenset({"contains-all", "contains-any", "icontains-all", "icontains-any"})


@dataclass(slots=True)
class Checks:
    """What a list of promptfoo assertions became: assertions and metrics."""

    assertions: list[Any] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)


def checks_of(items: Any, ledger: Ledger, path: ValuePath, values: Mapping[str, Any] | None) -> Checks:
    """Convert a list of assertions. `values` are the case's: promptfoo renders assertions with them, and so it is done
    here, once. Without a case there are none, and what is a template is a loss."""
    checks = Checks()
    for index, item in enumerate(items if isinstance(items, list) else []):
        at = (*path, index)
        if isinstance(item, str):
            item = assertion_from_text(item)  # noqa: PLW2901 — the long form of the same thing
        if not isinstance(item, Mapping) or not isinstance(item.get("type"), str):
            ledger.dropped(at, "an assertion without a type")
            continue
        _convert(dict(item), ledger, at, values, checks)
    return checks


def is_templated(items: Any) -> bool:
    """Say whether an assertion of the list reads a variable, so that it belongs to each case by itself."""
    if isinstance(items, str):
        return bool(_TEMPLATE.search(items))
    if isinstance(items, Mapping):
        return any(is_templated(value) for value in items.values())
    return isinstance(items, list) and any(is_templated(item) for item in items)


def assertion_from_text(text: str) -> dict[str, Any]:
    """Read the short form of a CSV cell: `contains: x`, `similar(0.8): x`, `not-equals: x`; all else is compared.

    >>> assertion_from_text("similar(0.9):hi"), assertion_from_text("Paris")
    ({'type': 'similar', 'value': 'hi', 'threshold': 0.9}, {'type': 'equals', 'value': 'Paris'})
    """
    for prefix, name in (("fn:", "javascript"), ("eval:", "javascript"), ("grade:", "llm-rubric")):
        if text.startswith(prefix):
            return {"type": name, "value": text[len(prefix) :]}
    if text.startswith("file://") and CODE.search(text):
        return {"type": "javascript" if ".py" not in text else "python", "value": text}
    match = _FROM_TEXT.fullmatch(text)
    known = match is not None and (
        match[2] in ASSERTION_NAMES or match[2] in RENAMED or match[2] in METRICS or match[2] in _CODE_TYPES
    )
    if match is None or not known:
        return {"type": "equals", "value": text}
    made: dict[str, Any] = {"type": f"{match[1] or ''}{match[2]}"}
    if match[4] is not None:
        made["value"] = [part.strip() for part in match[4].split(",")] if match[2] in _LISTS else match[4].lstrip(" ")
    if match[3] is not None:
        made["threshold"] = float(match[3])
    elif match[2] == "similar":
        made["threshold"] = 0.8
    return made


def _convert(
    item: dict[str, Any], ledger: Ledger, path: ValuePath, values: Mapping[str, Any] | None, checks: Checks
) -> None:
    written = item["type"]
    inverse, kind = ("not-", written[4:]) if written.startswith("not-") else ("", written)
    if kind in _CODE_TYPES:
        ledger.dropped(
            path, f"{shown(written)} runs code, which is not taken over: write a python assertion after a review"
        )
        return
    try:
        value = _value(item.get("value"), ledger, path, values)
    except UserError as cause:
        ledger.dropped((*path, "value"), f"the {written} assertion is left out: {cause.problems[0].message}")
        return
    if kind in METRICS and not inverse:
        _convert_metric(kind, value, item, ledger, path, checks)
        return
    name = RENAMED.get(kind, kind)
    if f"{inverse}{name}" not in ASSERTION_NAMES:
        ledger.dropped(path, f"there is no assertion like {shown(written)}")
        return
    if name != kind:
        ledger.changed(path, f"{shown(written)} is written as {name}, which is nearly the same")
    made = _assertion(f"{inverse}{name}", value, item, ledger, path, values)
    faults = list(assertion_faults([made], (), templates=True))
    if faults:
        ledger.dropped(path, f"the {written} assertion is left out: {faults[0][1]}")
    else:
        checks.assertions.append(made)


def _assertion(
    name: str, value: Any, item: dict[str, Any], ledger: Ledger, path: ValuePath, values: Mapping[str, Any] | None
) -> Any:
    kind = name.removeprefix("not-")
    made: dict[str, Any] = {"type": name}
    if kind == "assert-set":
        inner = checks_of(item.get("assert"), ledger, (*path, "assert"), values)
        for metric in inner.metrics:
            ledger.dropped((*path, "assert"), f"the metric {shown(next(iter(metric)))} cannot be in a set")
        made["assert"] = inner.assertions
    elif value is not None:
        made["value"] = value
    for key in _KEPT:
        if item.get(key) is not None:
            made[key] = item[key]
    if kind in THRESHOLDS and "threshold" not in made:
        made["threshold"] = THRESHOLDS[kind]
    if kind in EMBEDDING and embedding_model_of(item.get("provider")) is not None:
        made["model"] = embedding_model_of(item["provider"])
    else:
        judge = _judge(item.get("provider"), name, ledger, (*path, "provider"))
        made |= {"judge": judge} if judge else {}
    ledger.rest(item, ("type", "value", "assert", "provider", *_KEPT), path, "an assertion here has no such key")
    return name if set(made) == {"type"} and kind in BARE_NAMES else made


def _judge(provider: Any, name: str, ledger: Ledger, path: ValuePath) -> dict[str, Any] | None:
    if provider is None:
        return None
    model = model_of(provider) if isinstance(provider, str) else None
    kind = kind_of(name)
    if model is not None and kind is not None and kind.judged:
        return {"model": model}
    ledger.dropped(path, "no judge that can be named here")
    return None


def _convert_metric(
    kind: str, value: Any, item: dict[str, Any], ledger: Ledger, path: ValuePath, checks: Checks
) -> None:
    name = METRICS[kind]
    settings: dict[str, Any] = {"threshold": item.get("threshold", 0.7 if kind == "g-eval" else 0)}
    if kind == "g-eval":
        settings |= {"name": str(item.get("metric") or "g-eval"), "criteria": value}
    metric = {name: settings}
    faults = list(metric_faults([metric], ()))
    if faults:
        ledger.dropped(path, f"the {kind} assertion is left out: {faults[0][1]}")
        return
    ledger.changed(path, f"{shown(kind)} is judged by the metric {name}, whose judge is asked in other words")
    ledger.rest(item, ("type", "value", "threshold", "metric"), path, "a metric here has no such key")
    checks.metrics.append(metric)


def _value(value: Any, ledger: Ledger, path: ValuePath, values: Mapping[str, Any] | None) -> Any:
    """Return a value with its files read and its templates rendered. Raises UserError."""
    if isinstance(value, list):
        return [_value(item, ledger, path, values) for item in value]
    if isinstance(value, dict):
        return {str(key): _value(item, ledger, path, values) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    if value.startswith("file://"):
        name = value.removeprefix("file://")
        if CODE.search(name):
            raise UserError(f"{shown(value)} is code, which is not run")
        near = near_file(name, ledger.foreign, ledger.line_of(path))
        return read_yaml(near.text, file=near.shown).value if name.endswith(_DATA) else _literal(near.text)
    if not _TEMPLATE.search(value):
        return value
    if values is None:
        raise UserError("it reads variables, and there is no case to take them from")
    known = Ledger(ledger.foreign, ledger.document)
    source = jinja_to_jinja(value, known, path, keep_last_newline=True, nunjucks=True)
    missing = {name: "" for name in known.inputs if name not in values}
    return _literal(render_template(source, {**missing, **values}, {}))


def _literal(text: str) -> str:
    """A suite with `compat: promptfoo` fills in what is in braces; these came from a value and stay."""
    return literal_to_jinja(text) if _TEMPLATE.search(text) else text
