"""Two runs → what broke, what was mended, what only one has. Cases are paired by id, prompt, model and repeat."""

from __future__ import annotations

from dataclasses import dataclass

from promptstudio.evals.baseline import Against, pairs_of
from promptstudio.evals.paired import CONFIDENCE, Paired, compare_series
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.schema import Outcome
from promptstudio.evals.series import series_of
from promptstudio.evals.store import EvalStore

Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """One case in both runs; `reason` is that of the newer result."""

    case: str
    prompt: str
    model: str
    repeat: int
    old: Outcome
    new: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`broke` passed before and does not now, `mended` the other way; `changed` is any other change of outcome."""

    old: RunRecord
    new: RunRecord
    broke: tuple[Pair, ...]
    mended: tuple[Pair, ...]
    changed: tuple[Pair, ...]
    same: int
    only_old: tuple[CaseResult, ...]
    only_new: tuple[CaseResult, ...]


def paired_runs(
    store: EvalStore,
    old: RunRecord,
    new: RunRecord,
    *,
    margin: float = 0.0,
    across_engines: bool = False,
    confidence: float = CONFIDENCE,
) -> list[Paired]:
    """Compare the figures of two runs, prompt by prompt and model by model, with intervals. Imports scipy."""
    pairs = pairs_of(Against(""), series_of(store.results(old)), series_of(store.results(new)))
    return [
        compare_series(earlier, now, margin=margin, spent=True, across_engines=across_engines, confidence=confidence)
        for earlier, now in pairs
    ]


def compare_runs(store: EvalStore, old: RunRecord, new: RunRecord) -> Comparison:
    """Pair the results of two runs. Where both asked one model each, another model is the same place."""
    ignores_model = len(old.models) == len(new.models) == 1
    before = {_key(one, ignores_model=ignores_model): one for one in store.results(old)}
    broke: list[Pair] = []
    mended: list[Pair] = []
    changed: list[Pair] = []
    only_new: list[CaseResult] = []
    same = 0
    for one in store.results(new):
        earlier = before.pop(_key(one, ignores_model=ignores_model), None)
        if earlier is None:
            only_new.append(one)
        elif earlier.outcome == one.outcome:
            same += 1
        else:
            pair = Pair(one.case.id, one.prompt, one.model, one.repeat, earlier.outcome, one.outcome, one.reason)
            (broke if pair.old == "pass" else mended if pair.new == "pass" else changed).append(pair)
    only_old = tuple(before.values())
    return Comparison(old, new, tuple(broke), tuple(mended), tuple(changed), same, only_old, tuple(only_new))


def _key(one: CaseResult, *, ignores_model: bool) -> Key:
    return one.case.id, one.prompt, "" if ignores_model else one.model, one.repeat
