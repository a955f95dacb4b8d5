"""Assertions: what can be said of an answer without asking a model. Pure, in process, and light.

    `assert:` → parse_assertions → Assertion … → score_answer(…, answer, case, setting) → Score … → case_outcome

- `promptstudio.prompts.assertion_table` names every assertion and what may be written for it; `table` has the evaluator
  of each, a function from (subject, assertion, setting) to a `Verdict`. A name in neither is looked up in the
  entry-point group `promptstudio.assertions` at that moment.
- `parse` does all checking, before anything is called: names, keys, options, thresholds, patterns, JSON Schemas, Python
  files, with file, line and column. What it returns can be evaluated.
- `score` takes the field at `path`, calls the evaluator, applies `not-` (pass ↔ fail, score → 1 − score; every other
  outcome stays: a crash never becomes a pass), and puts scores together, failing closed. Nothing raises from there.
- The outcome `error` means that an assertion broke, `unscored` that there was nothing to judge by; neither is a pass.
- An answer is anybody's text: patterns have a time limit, JSON and XML are searched with bounded work, texts to compare
  have a largest size, and functions of the repository are interrupted.

Heavy libraries (jsonschema, regex, jinja2) are imported where an assertion needs them, never with this package.
"""

from promptstudio.evals.assertions.assertion import Assertion, Embedder, Judge, Origin, Setting, Subject, Verdict
from promptstudio.evals.assertions.parse import (
    implied_assertions,
    load_functions,
    origin_at,
    origin_in,
    parse_assertions,
)
from promptstudio.evals.assertions.score import (
    CaseOutcome,
    case_outcome,
    metric_means,
    score_answer,
    score_assertion,
)

__all__ = [
    "Assertion",
    "CaseOutcome",
    "Embedder",
    "Judge",
    "Origin",
    "Setting",
    "Subject",
    "Verdict",
    "case_outcome",
    "implied_assertions",
    "load_functions",
    "metric_means",
    "origin_at",
    "origin_in",
    "parse_assertions",
    "score_answer",
    "score_assertion",
]
