"""What `ps judge` found, as text, as JSON, and as Markdown. Nothing is decided here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from promptstudio.cli.context import Context
from promptstudio.evals.calibrations import agreement_text
from promptstudio.evals.disagree import KINDS, Disagreement
from promptstudio.evals.human_labels import LabelsFile
from promptstudio.evals.records import RunRecord
from promptstudio.evals.report.markdown import inline, plain
from promptstudio.output.terminal import safe_cell

if TYPE_CHECKING:
    from promptstudio.evals.calibrate import Verdicts
    from promptstudio.evals.judge.schema import Bill
    from promptstudio.evals.judge_figures import Calibration
    from promptstudio.evals.statistics.schema import Interval

EVERY_S = 10.0
MAX_ANSWER = 160
SHORT_ID = 18
_HEADINGS = {
    "people": "judge and people differ",
    "panel": "the judges differ",
    "repeat": "the judge differs from itself",
    "position": "the verdict changed with the places",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a calibration. `kept_in` is the file it was stored in."""

    suite: str
    run: RunRecord | None
    file: LabelsFile
    calibrations: tuple[Calibration, ...]
    verdicts: Verdicts
    kept_in: str


class Progress:
    """Says now and then how far judging is."""

    def __init__(self, context: Context, whole: int) -> None:
        self._context, self._whole, self._told = context, whole, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._told >= EVERY_S:
            self._told = time.monotonic()
            self._context.output.note(f"{done:,}/{self._whole:,} judged")


# -- calibrate ------------------------------------------------------------------------------------------------------


def print_calibrations(context: Context, outcome: Outcome) -> None:
    output = context.output
    for number, one in enumerate(outcome.calibrations):
        if number:
            output.line()
        output.heading(safe_cell(_title(one)), "bold")
        output.table(list(_figures(one)), header=("FIGURE", "VALUE", "95% INTERVAL", "N"))
        output.line()
        output.table(_confusion(one))
        for line in _biases(one):
            output.line(safe_cell(line))
    output.flush()
    for one in outcome.calibrations:
        for warning in one.warnings:
            output.labeled("warning", safe_cell(f"{one.name}: {warning}"), "yellow")
    output.note(_spent(outcome))
    output.note(f"kept in {safe_cell(outcome.kept_in)}; commit it: gates with min_kappa read it")


def _title(one: Calibration) -> str:
    people = "1 person" if one.raters == 1 else f"{one.raters} people"
    labels = "1 label" if one.labels == 1 else f"{one.labels:,} labels"
    return f"{one.judge} on {one.name}: {labels} of {people}"


def _figures(one: Calibration) -> Iterator[tuple[str, str, str, str]]:
    kappa = "kappa (weighted)" if one.is_graded else "kappa"
    for name, found in (("accuracy", one.accuracy), (kappa, one.kappa), ("alpha", one.alpha)):
        value = "not defined" if found.estimate is None else f"{found.estimate:.2f}"
        yield name, value, _between(found.interval), f"{found.n:,}"


def _between(interval: Interval, form: str = ".2f") -> str:
    if interval.lower is None or interval.upper is None:
        return "-"
    return f"{interval.lower:{form}} to {interval.upper:{form}}"


def _confusion(one: Calibration) -> list[tuple[str, str, str]]:
    found = one.confusion
    return [
        ("", "people pass", "people fail"),
        ("judge pass", f"{found.both_pass:,}", f"{found.judge_pass_people_fail:,}"),
        ("judge fail", f"{found.judge_fail_people_pass:,}", f"{found.both_fail:,}"),
    ]


def _biases(one: Calibration) -> Iterator[str]:
    """Yield a line for each thing a judge might favor, and one for how it differs from itself."""
    position = one.position
    if position is not None:
        alike = "-" if position.consistent is None else f"{position.consistent:.0%}"
        yield f"position: {alike} of {position.compared:,} comparisons ended alike in both orders"
        if position.decided:
            share = f"{position.first.estimate:.0%} ({_between(position.first.interval, '.0%')})"
            yield f"position: of the {position.decided:,} that did not, the first place won {share}"
    length = one.length
    if length.correlation is not None:
        sure = f"({_between(length.interval)}), p {_p(length.p_value)}"
        yield f"length: judge - people goes with the length of the answer by {length.correlation:.2f} {sure}"
    for each in one.languages if len(one.languages) > 1 else ():
        if each.difference is not None:
            sure = f" ({_between(each.interval)}), p {_p(each.adjusted)}" if each.p_value is not None else ""
            gap = f"judge - people is {each.difference:+.2f} against the others{sure}"
            yield f"language: {each.group}, {each.n:,}: {gap}"
    repeats = one.repeats
    if repeats.repeats > 1 and repeats.flake_rate is not None:
        yield (
            f"repeats: asked {repeats.repeats} times, the judge contradicts itself on {repeats.flake_rate:.1%} of the "
            f"answers; the variance of its scores is {repeats.variance or 0:.4f}"
        )


def _p(value: float | None) -> str:
    return "-" if value is None else "below 0.001" if value < 0.001 else f"{value:.3f}"


def _spent(outcome: Outcome) -> str:
    said = bill_text(outcome.verdicts.bill)
    if outcome.verdicts.reused and outcome.run is not None:
        said += f"; {_verdicts_text(outcome.verdicts.reused)} of the run {outcome.run.id[:SHORT_ID]} stood already"
    return said


def _verdicts_text(count: int) -> str:
    return "1 verdict" if count == 1 else f"{count:,} verdicts"


def bill_text(bill: Bill) -> str:
    """`the judge was asked 120 times, 20 known: $0.0123`."""
    times = {0: "never", 1: "once", 2: "twice"}.get(bill.calls, f"{bill.calls:,} times")
    unpriced = f", {bill.unpriced:,} of unknown price" if bill.unpriced else ""
    return f"the judge was asked {times}, {bill.cached:,} known: ${bill.cost_usd:.4f}{unpriced}"


def calibrate_object(outcome: Outcome) -> dict[str, Any]:
    bill = outcome.verdicts.bill
    return {
        "suite": outcome.suite,
        "run": outcome.run.id if outcome.run is not None else None,
        "labels_file": outcome.file.shown,
        "labels_digest": outcome.file.digest,
        "kept_in": outcome.kept_in,
        "judgings": [_calibration_object(one) for one in outcome.calibrations],
        **_bill_object(outcome.verdicts),
        "cost_usd": None if bill.unpriced else float(bill.cost_usd),
    }


def _bill_object(verdicts: Verdicts) -> dict[str, Any]:
    bill = verdicts.bill
    return {
        "calls": bill.calls,
        "cached": bill.cached,
        "unpriced": bill.unpriced,
        "reused": verdicts.reused,
        "input_tokens": bill.usage.input_tokens,
        "output_tokens": bill.usage.output_tokens,
    }


def _calibration_object(one: Calibration) -> dict[str, Any]:
    position = one.position
    return {
        "metric": one.name,
        "assertion": one.assertion.written,
        "judge": one.judge,
        "prompt": one.prompt,
        "settings_hash": one.settings_hash,
        "threshold": one.assertion.threshold,
        "scale": "graded" if one.is_graded else "binary",
        "labels": one.labels,
        "answers": one.answers,
        "raters": one.raters,
        "no_verdict": one.no_verdict,
        "divided": one.divided,
        "accuracy": asdict(one.accuracy),
        "kappa": asdict(one.kappa),
        "alpha": asdict(one.alpha),
        "confusion": asdict(one.confusion),
        "position": None if position is None else {**asdict(position), "favorite": position.favorite},
        "length": asdict(one.length),
        "languages": [asdict(each) for each in one.languages],
        "repeats": asdict(one.repeats),
        "warnings": list(one.warnings),
    }


def markdown(outcome: Outcome) -> str:
    """Return the figures as Markdown, for a review. What files and models wrote in it cannot become markup."""
    lines = ["# How far judges agree with people", ""]
    lines += [f"Suite {inline(outcome.suite)}, labels {inline(outcome.file.shown)}. {plain(_spent(outcome))}.", ""]
    for one in outcome.calibrations:
        lines += [f"## {inline(one.name)}, judged by {inline(one.judge)}", "", f"{plain(_title(one))}", ""]
        lines += ["| figure | value | 95% interval | n |", "|---|--:|---|--:|"]
        lines += [f"| {name} | {value} | {between} | {n} |" for name, value, between, n in _figures(one)]
        head, *rows = _confusion(one)
        lines += ["", f"| | {head[1]} | {head[2]} |", "|---|--:|--:|", *(f"| {' | '.join(row)} |" for row in rows), ""]
        lines += [f"- {plain(line)}" for line in _biases(one)]
        lines += [f"- **warning** {plain(line)}" for line in one.warnings]
        lines += ["", f"Settings hash `{one.settings_hash}`.", ""]
    return "\n".join(lines)


# -- disagreements --------------------------------------------------------------------------------------------------


def print_disagreements(
    context: Context, found: Sequence[Disagreement], limit: int, run: RunRecord | None, verdicts: Verdicts | None
) -> None:
    output = context.output
    for kind in KINDS:
        here = [one for one in found[:limit] if one.kind == kind]
        if here:
            output.heading(f"{_HEADINGS[kind]}: {sum(one.kind == kind for one in found):,}", "bold")
        for one in here:
            for line in _disagreement_lines(one):
                output.line(line)
    if not found:
        where = f"the run {run.id[:SHORT_ID]}" if run is not None else "the labels"
        output.line(f"nothing disagrees in {where}")
    output.flush()
    if len(found) > limit:
        output.note(f"{len(found) - limit:,} more; --limit shows them")
    if verdicts is not None:
        output.note(bill_text(verdicts.bill))


def _disagreement_lines(one: Disagreement) -> Iterator[str]:
    target = f"  {one.prompt} on {one.model}" if one.prompt is not None else ""
    again = f", repeat {one.repeat}" if one.repeat else ""
    where = f"  ({one.where})" if one.where is not None else ""
    yield safe_cell(f"  {one.case}{target}{again}  {one.metric}{where}")
    yield safe_cell(f"    {one.said}")
    if one.reason:
        yield safe_cell(f"    the judge: {one.reason}")
    text = " ".join(one.answer.split())
    yield safe_cell(f"    answer: {text[:MAX_ANSWER]}{'…' if len(text) > MAX_ANSWER else ''}")


def disagreements_object(
    found: Sequence[Disagreement], limit: int, run: RunRecord | None, verdicts: Verdicts | None
) -> dict[str, Any]:
    return {
        "run": run.id if run is not None else None,
        "counts": {kind: sum(one.kind == kind for one in found) for kind in KINDS},
        "disagreements": [asdict(one) for one in found[:limit]],
        "more": max(0, len(found) - limit),
        **(_bill_object(verdicts) if verdicts is not None else {}),
    }


# -- list -----------------------------------------------------------------------------------------------------------


def print_judges(context: Context, rows: Sequence[Mapping[str, Any]]) -> None:
    cells = [
        (row["suite"], row["metric"], row["judge"], row["settings_hash"][:12], agreement_text(row), row["place"])
        for row in rows
    ]
    context.output.table(cells, header=("SUITE", "METRIC", "JUDGE", "HASH", "AGREEMENT", "PLACE"))
