"""Every assertion there is by its name, and what may be written for it.

One table for the checker of files (`assertion_faults`), for the schema that editors read (`suite_schema`) and for the
evaluators (`promptstudio.evals.assertions.table`, which has one row for each row here; a test compares them).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

ENTRY_POINTS = "promptstudio.assertions"
"""The entry-point group in which names outside the table are looked up."""

ValueKind = Literal[
    "anything",
    "text",
    "texts",
    "pattern",
    "schema",
    "schema?",
    "elements?",
    "count",
    "references",
    "limit",
    "none",
    "tools?",
    "tool schemas?",
    "tool sequence",
    "tool arguments",
    "number",
    "python",
    "members",
    "rubric",
]
ThresholdKind = Literal["share", "amount"]


@dataclass(frozen=True, slots=True)
class AssertionKind:
    """What may be written for an assertion.

    `value` is what stands in its value. `bare` says that the name alone is enough: where a value could be given, the
    case's `expected_output` or `expected_tools` takes its place, or there is nothing to give. `threshold` is the range
    of a threshold (a share is 0 to 1, an amount 0 or more), None where it would mean nothing. `options` are the keys of
    `options:`, None where they are free.
    """

    value: ValueKind
    bare: bool = False
    threshold: ThresholdKind | None = None
    options: tuple[str, ...] | None = ()
    judged: bool = False


EMBEDDING_OPTIONS = ("model", "dimensions")
_OVERLAP = AssertionKind("references", bare=True, threshold="share")

KINDS: Mapping[str, AssertionKind] = {
    # text
    "equals": AssertionKind("anything", bare=True),
    "contains": AssertionKind("text"),
    "contains-all": AssertionKind("texts"),
    "contains-any": AssertionKind("texts"),
    "icontains": AssertionKind("text"),
    "icontains-all": AssertionKind("texts"),
    "icontains-any": AssertionKind("texts"),
    "starts-with": AssertionKind("text"),
    "ends-with": AssertionKind("text"),
    "regex": AssertionKind("pattern"),
    "word-count": AssertionKind("count"),
    # structure
    "is-json": AssertionKind("schema?", bare=True),
    "contains-json": AssertionKind("schema?", bare=True),
    "json-schema": AssertionKind("schema"),
    "is-xml": AssertionKind("elements?", bare=True),
    "contains-xml": AssertionKind("elements?", bare=True),
    # numbers
    "gt": AssertionKind("number"),
    "gte": AssertionKind("number"),
    "lt": AssertionKind("number"),
    "lte": AssertionKind("number"),
    "cost": AssertionKind("limit", threshold="amount"),
    "latency": AssertionKind("limit", threshold="amount"),
    # likeness
    "levenshtein": AssertionKind("references", bare=True, threshold="amount", options=("measure",)),
    "rouge-n": AssertionKind("references", bare=True, threshold="share", options=("n", "measure")),
    "rouge-l": AssertionKind("references", bare=True, threshold="share", options=("measure",)),
    "bleu": _OVERLAP,
    "gleu": _OVERLAP,
    "meteor": AssertionKind("references", bare=True, threshold="share", options=("alpha", "beta", "gamma")),
    "similar": AssertionKind("references", bare=True, threshold="share", options=EMBEDDING_OPTIONS),
    "similar:dot": AssertionKind("references", bare=True, threshold="amount", options=EMBEDDING_OPTIONS),
    "similar:euclidean": AssertionKind("references", bare=True, threshold="amount", options=EMBEDDING_OPTIONS),
    # how the model ended, and the tools it called
    "finish-reason": AssertionKind("text"),
    "is-refusal": AssertionKind("none", bare=True),
    "is-valid-tool-call": AssertionKind("tool schemas?", bare=True),
    "tool-call-f1": AssertionKind("tools?", bare=True, threshold="share"),
    "trajectory:tool-used": AssertionKind("tools?", bare=True),
    "trajectory:tool-sequence": AssertionKind("tool sequence", bare=True),
    "trajectory:tool-args-match": AssertionKind("tool arguments"),
    # others
    "python": AssertionKind("python", threshold="share", options=None),
    "assert-set": AssertionKind("members", threshold="share"),
    # those that need a judge
    "llm-rubric": AssertionKind("rubric", threshold="share", options=None, judged=True),
    "factuality": AssertionKind("references", bare=True, threshold="share", options=None, judged=True),
    "closed-qa": AssertionKind("rubric", options=None, judged=True),
    "select-best": AssertionKind("rubric", options=None, judged=True),
    "pairwise": AssertionKind("rubric", threshold="share", options=None, judged=True),
}

# Names that other tools use for the same thing.
ALIASES: Mapping[str, str] = {
    "is-valid-openai-tools-call": "is-valid-tool-call",
    "is-valid-function-call": "is-valid-tool-call",
    "is-valid-openai-function-call": "is-valid-tool-call",
    "similar:cosine": "similar",
    "model-graded-factuality": "factuality",
    "model-graded-closedqa": "closed-qa",
}
PLUGIN = AssertionKind("anything", bare=True, threshold="share", options=None)
"""What may be written for an assertion of another package: it reads its value itself."""

_POSITIVE = (*KINDS, *ALIASES)
ASSERTION_NAMES = (*_POSITIVE, *(f"not-{name}" for name in _POSITIVE))
BARE_NAMES = tuple(name for name in _POSITIVE if KINDS[ALIASES.get(name, name)].bare)
# Keys beside the assertion itself.
ASSERTION_KEYS = (
    *("type", "value", "path", "weight", "threshold", "metric", "description", "options", "judge", "assert"),
    *("model", "provider"),  # who embeds; `provider` is promptfoo's word
)


def base_name(name: str) -> str:
    """Return the name in the table: without `not-`, an alias resolved."""
    positive = name.removeprefix("not-")
    return ALIASES.get(positive, positive)


def kind_of(name: str) -> AssertionKind | None:
    """Return what may be written for a name, with or without `not-`; None where nobody knows it."""
    base = base_name(name)
    if base in KINDS:
        return KINDS[base]
    return PLUGIN if plugin(base) is not None else None


def plugin(name: str) -> Callable[[], Any] | None:
    """Return what loads an assertion of another package, looked up at this moment; None where there is none."""
    return _plugin(name, tuple(sys.path))


@lru_cache(maxsize=256)
def _plugin(name: str, _path: tuple[str, ...]) -> Callable[[], Any] | None:
    """A dataset may ask for one name a million times; the answer holds while packages come from the same places."""
    from importlib.metadata import entry_points  # 30 ms, and only for names that are not ours

    return next((entry.load for entry in entry_points(group=ENTRY_POINTS, name=name)), None)
