"""`ps diff --runs`: what both versions really answered to the same inputs, from the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.cli.diff_render import only_row
from promptstudio.cli.history_view import local_time
from promptstudio.history.answers import Answer, answers_of
from promptstudio.history.ids import short_id
from promptstudio.history.store import open_history
from promptstudio.prompts.identity import canonical_json
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.versions.diff.brief import brief
from promptstudio.versions.diff.rows import Comparison, PromptRow
from promptstudio.versions.diff.show import Look, text_lines
from promptstudio.versions.diff.words import segments

SHOWN = 5
_SECOND = 1_000


@dataclass(frozen=True, slots=True)
class Pair:
    """The newest answers of both versions to the same inputs."""

    inputs: Mapping[str, Any]
    old: Answer
    new: Answer


def print_runs(context: Context, found: Comparison, look: Look, *, as_json: bool) -> int:
    """Print pairs of answers, the newest first."""
    row = only_row(found, "--runs")
    old, new = row.old.snapshot, row.new.snapshot
    if old is None or new is None:
        raise AssertionError("only_row has looked")
    with open_history(context.settings()) as history:
        names = sorted({old.name, new.name})
        before = answers_of(history, names, old.identity.behavior)
        after = answers_of(history, names, new.identity.behavior)
    pairs = paired_answers(before, after, _shared(old, new))
    if as_json:
        context.output.json(_object(found, row, pairs, before, after))
        return 0
    context.output.pieces([(row.name, "bold"), (f"  {found.old.shown} → {found.new.shown}", "dim")])
    if old.identity.behavior == new.identity.behavior:
        context.output.note("both versions have one behavior: there is nothing to compare")
        return 0
    for pair in pairs[:SHOWN]:
        _print_pair(context, pair, look)
    context.output.note(_summary(pairs, before, after))
    return 0


def paired_answers(old: Sequence[Answer], new: Sequence[Answer], names: frozenset[str]) -> list[Pair]:
    """Join answers by equal inputs, as far as both versions know them; of several the newest counts."""
    known: dict[str, Answer] = {}
    for answer in reversed(old):
        known[_key(answer, names)] = answer
    pairs: dict[str, Pair] = {}
    for answer in new:
        key = _key(answer, names)
        if key in known:
            pairs.setdefault(key, Pair(answer.inputs, known[key], answer))
    return list(pairs.values())


def _key(answer: Answer, names: frozenset[str]) -> str:
    return canonical_json({name: value for name, value in answer.inputs.items() if name in names})


def _shared(old: Snapshot, new: Snapshot) -> frozenset[str]:
    sides = (side.behavior["interface"]["inputs"] for side in (old, new))
    return frozenset.intersection(*map(frozenset, sides))


def _print_pair(context: Context, pair: Pair, look: Look) -> None:
    context.output.line()
    given = ", ".join(f"{name}={brief(value)}" for name, value in pair.inputs.items())
    context.output.pieces([("  inputs  ", "bold"), (given or "none", "")])
    for label, answer in (("before", pair.old), ("after", pair.new)):
        context.output.pieces([(f"  {label:<8}", "bold"), (_facts(answer), "dim")])
    if pair.old.text == pair.new.text:
        context.output.pieces([("    the same answer: ", "dim"), (brief(pair.new.text, 200), "")])
        return
    for line in text_lines(segments(pair.old.text, pair.new.text), look, "    "):
        context.output.pieces(line)


def _facts(answer: Answer) -> str:
    cost = "cost unknown" if answer.cost_usd is None else f"${answer.cost_usd:.6f}"
    time = "" if answer.duration_ms is None else f", {answer.duration_ms / _SECOND:.2f} s"
    return f"{short_id(answer.id)}  {local_time(answer.created_at)}  {answer.model}, {cost}{time}"


def _summary(pairs: Sequence[Pair], old: Sequence[Answer], new: Sequence[Answer]) -> str:
    if not pairs:
        sides = f"{len(old)} answers of the one version, {len(new)} of the other"
        return f"{sides}, none to the same inputs; `ps run PROMPT@REV -v …` adds some"
    same = sum(pair.old.text == pair.new.text for pair in pairs)
    more = f"; {SHOWN} of them are shown, --json has all" if len(pairs) > SHOWN else ""
    inputs = "1 input" if len(pairs) == 1 else f"{len(pairs)} inputs"
    return f"{inputs} answered by both, {same} with the same words{more}"


def _object(
    found: Comparison, row: PromptRow, pairs: Sequence[Pair], old: Sequence[Answer], new: Sequence[Answer]
) -> dict[str, Any]:
    return {
        "prompt": row.name,
        "from": found.old.shown,
        "to": found.new.shown,
        "answers": {"old": len(old), "new": len(new)},
        "pairs": [{"inputs": dict(pair.inputs), "old": _answer(pair.old), "new": _answer(pair.new)} for pair in pairs],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "created_at": answer.created_at.isoformat(),
        "model": answer.model,
        "text": answer.text,
        "cost_usd": float(answer.cost_usd) if answer.cost_usd is not None else None,
        "duration_ms": answer.duration_ms,
    }
