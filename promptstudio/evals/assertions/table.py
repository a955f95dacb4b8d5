"""The name of an assertion → what evaluates it. One row for each row of `promptstudio.prompts.assertion_table`.

A row names a function of (subject, assertion, setting) → Verdict, or an awaitable of one, as `module:function` of this
package; the module is imported when the first such assertion is evaluated. A name that is not here belongs to another
package, which registers a function like those of `python:` in the entry-point group `promptstudio.assertions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module

from promptstudio.evals.assertions.assertion import Evaluator

EXPECTED_OUTPUT = "expected-output"
"""The name under which a case's `expected_output` is compared; nobody writes it, a case implies it."""

EVALUATORS: Mapping[str, str] = {
    # text
    "equals": "text:equals",
    "contains": "text:contains",
    "contains-all": "text:contains_all",
    "contains-any": "text:contains_any",
    "icontains": "text:icontains",
    "icontains-all": "text:icontains_all",
    "icontains-any": "text:icontains_any",
    "starts-with": "text:starts_with",
    "ends-with": "text:ends_with",
    "regex": "text:regex",
    "word-count": "text:word_count",
    # structure
    "is-json": "structure:is_json",
    "contains-json": "structure:contains_json",
    "json-schema": "structure:json_schema",
    "is-xml": "structure:is_xml",
    "contains-xml": "structure:contains_xml",
    EXPECTED_OUTPUT: "structure:expected_output",
    # numbers
    "gt": "numbers:gt",
    "gte": "numbers:gte",
    "lt": "numbers:lt",
    "lte": "numbers:lte",
    "cost": "numbers:cost",
    "latency": "numbers:latency",
    # likeness
    "levenshtein": "likeness:levenshtein",
    "rouge-n": "likeness:rouge_n",
    "rouge-l": "likeness:rouge_l",
    "bleu": "likeness:bleu",
    "gleu": "likeness:gleu",
    "meteor": "likeness:meteor",
    "similar": "likeness:similar",
    "similar:dot": "likeness:similar_dot",
    "similar:euclidean": "likeness:similar_euclidean",
    # how the model ended, and the tools it called
    "finish-reason": "endings:finish_reason",
    "is-refusal": "endings:is_refusal",
    "is-valid-tool-call": "tools:is_valid_tool_call",
    "tool-call-f1": "tools:tool_call_f1",
    "trajectory:tool-used": "tools:tool_used",
    "trajectory:tool-sequence": "tools:tool_sequence",
    "trajectory:tool-args-match": "tools:tool_args_match",
    # others
    "assert-set": "score:assert_set",
    "python": "functions:python",
    # those that need a judge
    "llm-rubric": "judged:ask_judge",
    "factuality": "judged:ask_judge",
    "closed-qa": "judged:ask_judge",
    "select-best": "judged:ask_judge",
    "pairwise": "judged:ask_judge",
}
_OF_OTHERS = "functions:python"


@lru_cache
def evaluator_of(name: str) -> Evaluator:
    """Return what evaluates a name; one that is not in the table is another package's."""
    if "/" in name:  # deepeval/faithfulness: a metric
        from promptstudio.evals.metrics.measure import measure  # with the first metric of a run

        return measure
    module, _, function = EVALUATORS.get(name, _OF_OTHERS).partition(":")
    evaluator: Evaluator = getattr(import_module(f"promptstudio.evals.assertions.{module}"), function)
    return evaluator
