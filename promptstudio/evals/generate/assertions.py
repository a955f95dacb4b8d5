"""`ps generate assertions`: a suite and its stored answers → proposed assertions, each tried out on those answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import UserError
from promptstudio.evals.assertions.assertion import Assertion, Setting, as_text
from promptstudio.evals.assertions.parse import origin_at, parse_assertions
from promptstudio.evals.assertions.score import score_answer
from promptstudio.evals.datasets import fingerprint
from promptstudio.evals.generate.asking import Proposer
from promptstudio.evals.mutate import EQUIVALENT
from promptstudio.evals.mutations import mutants_of
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Answer
from promptstudio.evals.suite import Suite
from promptstudio.prompts.assertion_table import KINDS
from promptstudio.prompts.prompt import Prompt

MAX_ANSWERS = 12
MAX_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Proposed:
    """An assertion as a suite has it, and how it did: on so many stored answers it held, on so many it did not.

    `noticed` is the share of answers made wrong that it noticed, None where it was not tried.
    """

    written: Any
    why: str
    held: int
    not_held: int
    noticed: float | None = None


@dataclass(slots=True)
class ProposedAssertions:
    """What is worth a look, and how many proposals were let go for what reason."""

    found: list[Proposed] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


async def propose_assertions(
    suite: Suite, prompt: Prompt, source: str, results: Sequence[CaseResult], proposer: Proposer, count: int
) -> ProposedAssertions:
    """Ask once, and keep what can be evaluated, is new, and holds for most of the answers. Raises ProviderError."""
    present = [as_text(one.settings) for one in suite.assertions]
    said = await proposer.ask(
        "assertions",
        {
            "prompt": source,
            "output_schema": as_text(prompt.output.schema) if prompt.output and prompt.output.schema else None,
            "answers": [_shown(result) for result in results[:MAX_ANSWERS]],
            "present": present,
            "names": names_text(),
            "count": count,
        },
    )
    known = {fingerprint(one.settings) for one in suite.assertions}
    proposals = ProposedAssertions()
    for one in said["assertions"][: 2 * count]:
        written, parsed = _parsed(one["assertion_json"], suite, proposals.dropped)
        if parsed is None:
            continue
        mark = fingerprint(parsed.settings)
        if mark in known:
            proposals.dropped["it is there already"] += 1
            continue
        known.add(mark)
        proposals.found.append(await _tried(written, str(one["why"]), parsed, results))
    proposals.found.sort(key=lambda each: (-(each.noticed or 0.0), each.not_held))
    del proposals.found[count:]
    return proposals


def _parsed(text: str, suite: Suite, dropped: Counter[str]) -> tuple[Any, Assertion | None]:
    try:
        written = json.loads(text)
    except ValueError:
        dropped["it is not JSON"] += 1
        return None, None
    if isinstance(written, dict) and (written.get("type") == "python" or "python" in written):
        dropped["it would be code"] += 1  # what a model says is never run
        return None, None
    try:
        [parsed] = parse_assertions([written], origin_at(suite.shown, None, folder=suite.path.parent))
    except UserError:
        dropped["it cannot be evaluated"] += 1
        return None, None
    if _has_code(parsed):
        dropped["it would be code"] += 1
        return None, None
    return written, parsed


def _has_code(assertion: Assertion) -> bool:
    return assertion.name not in KINDS or assertion.name == "python" or any(map(_has_code, assertion.members))


async def _tried(written: Any, why: str, assertion: Assertion, results: Sequence[CaseResult]) -> Proposed:
    """Hold an assertion against the answers there are, and against the same answers made wrong."""
    if assertion.needs_judge or not results:
        return Proposed(written, why, 0, 0)
    held = not_held = noticed = tried = 0
    setting = Setting()
    for result in results:
        if not result.answers:
            continue
        [score] = await score_answer([assertion], result.answers[-1], result.case, setting)
        if score.outcome != "pass":
            not_held += 1
            continue
        held += 1
        for wrong in _made_wrong(result, [one.answers[-1] for one in results if one is not result and one.answers]):
            [found] = await score_answer([assertion], wrong, result.case, setting)
            tried += 1
            noticed += found.outcome != "pass"
    return Proposed(written, why, held, not_held, noticed / tried if tried else None)


def _made_wrong(result: CaseResult, others: Sequence[Answer]) -> Iterator[Answer]:
    """Yield an answer made wrong in the ways that `ps mutate` knows; ways that leave it right are left out."""
    for mutation, wrong in mutants_of(result.answers[-1], others, result.case.id):
        if mutation.name not in EQUIVALENT:
            yield wrong


def _shown(result: CaseResult) -> str:
    answer = result.answers[-1] if result.answers else None
    text = "" if answer is None else answer.text or as_text(answer.output)
    return as_text({"inputs": dict(result.case.inputs), "answer": text[:MAX_TEXT]})


def names_text() -> str:
    """Return the assertions a model may propose, each with what its value is."""
    rows: list[str] = []
    for name, kind in KINDS.items():
        if name == "python":
            continue
        threshold = ", threshold" if kind.threshold else ""
        judged = ", asks a judge" if kind.judged else ""
        rows.append(f"- {name}: value is {kind.value}{threshold}{judged}")
    return "\n".join([*rows, "- path: FIELD beside any of them looks at a field of the typed output; not-NAME inverts"])


def proposal_data(one: Proposed) -> Mapping[str, Any]:
    return {
        "assertion": one.written,
        "why": one.why,
        "held": one.held,
        "not_held": one.not_held,
        "noticed": one.noticed,
    }
