"""A run and its results → `Figures`, in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.report.schema import Figures, TargetFigures
from promptstudio.evals.series import Maker, flat_scores
from promptstudio.evals.totals import OUTCOMES, Totals, totals_data
from promptstudio.prompts.secrets import redact

MAX_INPUT_NAMES = 500
MAX_MAKERS = 200
_SHARES = (50, 90, 95, 99)


class _Tally:
    """What is counted on the way through the results."""

    def __init__(self) -> None:
        self.whole = Totals()
        self.parts: dict[tuple[str, str], tuple[Totals, list[float]]] = {}
        self.names: dict[str, None] = {}
        self.kinds: Counter[str] = Counter()
        self.makers: dict[tuple[str, Maker], None] = {}
        self.seconds = 0.0

    def add(self, result: CaseResult) -> None:
        end = result.end
        self.whole.add(end)
        totals, durations = self.parts.setdefault((result.prompt, result.model), (Totals(is_part=True), [0.0]))
        totals.add(end)
        durations[0] += (result.latency_ms or 0.0) / 1000
        self.seconds += (result.latency_ms or 0.0) / 1000
        if len(self.names) < MAX_INPUT_NAMES:
            self.names.update(dict.fromkeys(map(str, result.case.inputs)))
        if result.error is not None:
            self.kinds[result.error.kind] += 1
        for score in flat_scores(result.scores):
            if score.engine is not None and len(self.makers) < MAX_MAKERS:
                maker = Maker(score.engine, score.engine_version, score.settings_hash, score.judge)
                self.makers[score.metric or score.name, maker] = None


def figures_of(run: RunRecord, results: Iterable[CaseResult]) -> Figures:
    """Count the results. What the run noted of itself when it ended counts more; one that was killed noted nothing."""
    tally = _Tally()
    for result in results:
        tally.add(result)
    totals = run.totals or totals_data(tally.whole)
    is_judged = any(totals.get(outcome) for outcome in OUTCOMES if outcome != "skipped")
    return Figures(
        is_met=run.status == "finished" and run.exit_code == 0 and is_judged,
        sentence=_sentence(run),
        counts={outcome: int(totals.get(outcome, 0)) for outcome in OUTCOMES},
        pass_rate=totals.get("pass_rate"),
        cost_usd=_cost(totals),
        saved_usd=Decimal(totals.get("saved_usd", "0")),
        latency_ms=totals.get("latency_ms", {}),
        duration_s=_duration_s(run, tally.seconds),
        totals=totals,
        metrics={name: value for name, value in totals.get("metrics", {}).items() if value is not None},
        checks=run.checks,
        targets=tuple(_target(*key, *part) for key, part in tally.parts.items()),
        input_names=tuple(list(tally.names)[:MAX_INPUT_NAMES]),
        error_kinds=dict(tally.kinds.most_common()),
        makers=tuple(tally.makers),
    )


def _sentence(run: RunRecord) -> str:
    if run.status == "running":
        return "the run did not end: it is still under way, or it was killed"
    return redact(run.note or run.status)


def _cost(totals: Mapping[str, Any]) -> Decimal | None:
    return None if totals.get("unpriced") else Decimal(totals.get("cost_usd", "0"))


def _duration_s(run: RunRecord, seconds: float) -> float:
    if run.finished_at is None:
        return seconds
    return (run.finished_at - run.created_at).total_seconds()


def _target(prompt: str, model: str, totals: Totals, durations: list[float]) -> TargetFigures:
    return TargetFigures(
        prompt,
        model,
        dict(totals.counts),
        totals.figure("pass_rate"),
        None if totals.unpriced else totals.cost_usd,
        {f"p{share}": totals.latency_ms(share / 100) for share in _SHARES},
        durations[0],
    )
