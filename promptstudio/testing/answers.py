"""An answer and assertions, as a suite has them → scores, or an AssertionError that reads like a failed case."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptstudio.config import load_settings
from promptstudio.errors import UsageError
from promptstudio.evals.assertions.assertion import Assertion, Embedder, Origin, Setting
from promptstudio.evals.assertions.embedding import OfflineEmbedder
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.assertions.parse import implied_assertions, load_functions, parse_assertions
from promptstudio.evals.assertions.score import case_outcome
from promptstudio.evals.assertions.score import score_answer as scored
from promptstudio.evals.embedding_models import (
    default_embedder,
    embedding_assertions,
    embedding_models,
    with_embedder,
)
from promptstudio.evals.limits import Accounts
from promptstudio.evals.runner import answer_of
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.output.terminal import safe_text
from promptstudio.portal import run_blocking
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING
from promptstudio.testing.show import score_lines
from promptstudio.types import Result

SETTINGS_FILE = "promptstudio.toml"


def assert_answer(
    answer: Result | Answer | str,
    assertions: Sequence[str | Mapping[str, Any]] = (),
    *,
    expected_output: Any = None,
    expected_tools: Sequence[Any] = (),
    inputs: Mapping[str, Any] | None = None,
    context: Sequence[str] = (),
    retrieval_context: Sequence[str] = (),
    threshold: float | None = None,
) -> tuple[Score, ...]:
    """Judge an answer as a suite judges a case, and return the scores.

    `assertions` are written as under `assert:`; a map or list as `expected_output` is compared key by key. Raises
    AssertionError with what was expected and found, SuiteFileError for an assertion that is none, UsageError where
    nothing is asserted: a test that looks at nothing must not pass.
    """
    __tracebackhide__ = True
    case = Case(
        "answer", dict(inputs or {}), expected_output, tuple(context), tuple(retrieval_context), tuple(expected_tools)
    )
    given = _answer(answer)
    scores = score_answer(given, assertions, case=case)
    end = case_outcome(scores, threshold)
    if end.outcome not in ("pass", "skipped"):
        passed = sum(score.outcome == "pass" for score in scores)
        lines = [f"{end.outcome}: {passed} of {len(scores)} assertions hold", *score_lines(scores, given)]
        raise AssertionError(safe_text("\n".join(lines)))
    return scores


def score_answer(
    answer: Result | Answer | str, assertions: Sequence[str | Mapping[str, Any]], *, case: Case | None = None
) -> tuple[Score, ...]:
    """Return the score of each assertion; nothing is raised for one that fails."""
    case = case or Case("answer")
    root = _root()
    functions = Functions(root)
    parsed = _parsed(assertions, case, root)
    load_functions(parsed, functions)
    if judged := next((each.written for each in parsed if each.needs_judge), None):
        raise UsageError(
            f"{judged} needs a judge, and no judge is asked here",
            hint="write it into a suite, which `ps eval` and `pytest evals` run, or write a python assertion",
        )
    parsed, embedder = _with_embedder(parsed)
    return run_blocking(scored, parsed, _answer(answer), case, Setting(embedder=embedder, functions=functions))


def _with_embedder(parsed: tuple[Assertion, ...]) -> tuple[tuple[Assertion, ...], Embedder]:
    """Return what embeds as in a suite of this project: the assertion's model, that of the settings, or none."""
    if not any(embedding_assertions(parsed)):
        return parsed, OfflineEmbedder()
    settings = load_settings(Path.cwd(), env=os.environ)
    default = default_embedder(settings)
    ready = with_embedder(parsed, default)
    if all(model == OFFLINE_EMBEDDING for model in embedding_models(ready)):
        return ready, OfflineEmbedder()
    from promptstudio.evals.embedder import RunEmbedder  # for assertions that ask a provider
    from promptstudio.providers.call import ProviderWires

    return ready, RunEmbedder(settings, os.environ, ProviderWires(), Accounts(), default)


def _parsed(assertions: Sequence[str | Mapping[str, Any]], case: Case, root: Path) -> tuple[Assertion, ...]:
    if isinstance(assertions, str | Mapping):
        raise UsageError("assertions are a list", hint=f"[{assertions!r}]"[:200])
    items = [dict(item) if isinstance(item, Mapping) else item for item in assertions]
    parsed = parse_assertions(items, Origin(path=("assertions",), folder=Path.cwd(), root=root))
    parsed = implied_assertions(parsed, case.expected_output, has_metrics=False)
    if not parsed:
        raise UsageError("nothing is asserted of the answer", hint="give assertions, or an expected_output")
    return parsed


def _root() -> Path:
    """Return the folder that Python assertions are taken from: the project's, else the working directory."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / SETTINGS_FILE).is_file()), here)


def _answer(answer: Result | Answer | str) -> Answer:
    if isinstance(answer, str):
        return Answer(answer)
    return answer_of(answer) if isinstance(answer, Result) else answer
