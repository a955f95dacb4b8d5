"""Verdicts beside people's labels → how far a judge agrees with people, and what it favors. Needs scipy.

Labels that are all yes or no are held against whether the judge let the answer pass. Where a label lies in between, the
labels are graded: kappa has quadratic weights, alpha is that of intervals, and the judge's scores are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from promptstudio.evals.assertions.assertion import Assertion
from promptstudio.evals.calibrate import Judged
from promptstudio.evals.calibrations import Agreed, Known, name_of
from promptstudio.evals.human_labels import LabelsFile
from promptstudio.evals.schema import Score
from promptstudio.evals.statistics.agreement import accuracy, cohen_kappa, krippendorff_alpha
from promptstudio.evals.statistics.bias import bias_by, position_bias, trend
from promptstudio.evals.statistics.figures import flake_rate, repeat_variance
from promptstudio.evals.statistics.schema import Agreement, Bias, Figure, Trend

FEW_LABELS = 30
GRADES = 100
"""Graded labels are told apart to a hundredth."""
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often judge and people said what; `judge_pass_people_fail` are those the judge lets through."""

    both_pass: int = 0
    both_fail: int = 0
    judge_pass_people_fail: int = 0
    judge_fail_people_pass: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """What a judge that compares two answers makes of their places.

    `consistent` is the share of comparisons that ended alike in both orders. `first` is how often the first place won
    among the `decided` verdicts that did not; half of them where the judge has no favorite place.
    """

    compared: int
    consistent: float | None
    decided: int
    first: Figure
    p_value: float | None

    @property
    def favorite(self) -> str | None:
        rate = self.first.estimate
        return None if rate is None or rate == 0.5 else "first" if rate > 0.5 else "second"


@dataclass(frozen=True, slots=True)
class Repeats:
    """How a judge differs from itself when it is asked again. `variance` is within answers, in squared score units."""

    repeats: int
    flake_rate: float | None
    variance: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """One judging held against people. `no_verdict` are answers the judge said nothing usable of.

    `divided` are answers people themselves are divided on: they count for alpha alone.
    """

    assertion: Assertion
    is_graded: bool
    labels: int
    answers: int
    raters: int
    no_verdict: int
    divided: int
    accuracy: Agreement
    kappa: Agreement
    alpha: Agreement
    confusion: Confusion
    position: Position | None
    length: Trend
    languages: tuple[Bias, ...]
    repeats: Repeats
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        return name_of(self.assertion)

    @property
    def judge(self) -> str:
        judging = self.assertion.judging
        return judging.panel.name if judging is not None and judging.panel is not None else ""

    @property
    def settings_hash(self) -> str:
        return self.assertion.judging.digest if self.assertion.judging is not None else ""

    @property
    def prompt(self) -> str | None:
        prompt = self.assertion.judging.prompt if self.assertion.judging is not None else None
        return f"{prompt.name} {prompt.identity.behavior[:15]}" if prompt is not None else None


def calibrations_of(judged: Sequence[Judged], confidence: float) -> tuple[Calibration, ...]:
    """Return one calibration for each judging, in the order of their first labels."""
    by_judging: dict[tuple[str, float | None], list[Judged]] = {}
    for one in judged:
        judging = one.unit.assertion.judging
        key = (judging.digest if judging is not None else "", one.unit.assertion.threshold)
        by_judging.setdefault(key, []).append(one)
    return tuple(_calibration(of_one, confidence) for of_one in by_judging.values())


def known_of(calibration: Calibration, file: LabelsFile, day: date) -> Known:
    """Return what is kept of a calibration."""
    return Known(
        settings_hash=calibration.settings_hash,
        metric=calibration.name,
        assertion=calibration.assertion.written,
        judge=calibration.judge,
        prompt=calibration.prompt,
        threshold=calibration.assertion.threshold,
        is_graded=calibration.is_graded,
        labels=calibration.kappa.n,
        raters=calibration.raters,
        accuracy=agreed(calibration.accuracy),
        kappa=agreed(calibration.kappa),
        alpha=agreed(calibration.alpha),
        confidence=calibration.kappa.interval.confidence,
        date=day.isoformat(),
        labels_file=file.shown,
        labels_digest=file.digest,
    )


def agreed(found: Agreement) -> Agreed:
    return Agreed(found.estimate, found.interval.lower, found.interval.upper)


def _calibration(judged: Sequence[Judged], confidence: float) -> Calibration:
    is_graded = any(label.value not in (0, 1) for one in judged for label in one.unit.labels)
    spoken = [one for one in judged if one.has_verdict]
    clear = [one for one in spoken if is_graded or not one.unit.is_divided]
    mine = [judge_passes(one) for one in clear]
    theirs = [people_pass(one) for one in clear]
    gaps = [judge_value(one.score, is_graded=is_graded) - one.unit.human for one in spoken]
    raters = {label.rater for one in judged for label in one.unit.labels}
    kappa = _kappa(clear, mine, theirs, is_graded=is_graded, confidence=confidence)
    lengths = [float(len(one.unit.answer.text)) for one in spoken]
    position = _position(judged, confidence)
    found = Calibration(
        assertion=judged[0].unit.assertion,
        is_graded=is_graded,
        labels=sum(len(one.unit.labels) for one in judged),
        answers=len(judged),
        raters=len(raters),
        no_verdict=len(judged) - len(spoken),
        divided=len(spoken) - len(clear),
        accuracy=accuracy(mine, theirs, confidence=confidence),
        kappa=kappa,
        alpha=_alpha(spoken, is_graded=is_graded, confidence=confidence),
        confusion=_confusion(mine, theirs),
        position=position,
        length=trend("length", lengths, gaps, confidence=confidence),
        languages=bias_by(_by_language(spoken, gaps), confidence=confidence),
        repeats=_repeats(judged),
        warnings=(),
    )
    return _with_warnings(found, mine, theirs)


def judge_value(score: Score, *, is_graded: bool) -> float:
    """Return what the judge said as a number that labels can be held against."""
    return score.score or 0.0 if is_graded else float(score.outcome == "pass")


def judge_passes(one: Judged) -> bool:
    return one.score.outcome == "pass"


def people_pass(one: Judged) -> bool:
    """Whether people would let an answer pass: their mean is on the good side of the threshold."""
    human, threshold = one.unit.human, one.score.threshold
    if all(label.value in (0, 1) for label in one.unit.labels) or threshold is None:
        return human >= DEFAULT_THRESHOLD
    return human <= threshold if _lower_is_better(one.unit.assertion) else human >= threshold


def _lower_is_better(assertion: Assertion) -> bool:
    if "/" not in assertion.name:
        return False
    from promptstudio.evals.metrics.table import METRICS  # for metrics of an engine only

    return METRICS[assertion.name].lower_is_better


def _kappa(
    clear: Sequence[Judged], mine: Sequence[bool], theirs: Sequence[bool], *, is_graded: bool, confidence: float
) -> Agreement:
    if not is_graded:
        return cohen_kappa(mine, theirs, confidence=confidence)
    return cohen_kappa(
        [round(GRADES * judge_value(one.score, is_graded=True)) for one in clear],
        [round(GRADES * one.unit.human) for one in clear],
        weights="quadratic",
        order=range(GRADES + 1),
        confidence=confidence,
    )


def _alpha(spoken: Sequence[Judged], *, is_graded: bool, confidence: float) -> Agreement:
    """The judge is a rater among the people."""
    raters = list(dict.fromkeys(label.rater for one in spoken for label in one.unit.labels))
    said = [{label.rater: label.value for label in one.unit.labels} for one in spoken]
    rows: list[list[float | None]] = [[of_one.get(rater) for of_one in said] for rater in raters]
    rows.append([judge_value(one.score, is_graded=is_graded) for one in spoken])
    return krippendorff_alpha(rows, level="interval" if is_graded else "nominal", confidence=confidence)


def _confusion(mine: Sequence[bool], theirs: Sequence[bool]) -> Confusion:
    pairs = list(zip(mine, theirs, strict=True))
    return Confusion(
        pairs.count((True, True)),
        pairs.count((False, False)),
        pairs.count((True, False)),
        pairs.count((False, True)),
    )


def _by_language(spoken: Sequence[Judged], gaps: Sequence[float]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for one, gap in zip(spoken, gaps, strict=True):
        groups.setdefault(one.unit.language, []).append(gap)
    return groups


def _repeats(judged: Sequence[Judged]) -> Repeats:
    told = {
        str(number): [score for score in one.scores if score.outcome in ("pass", "fail")]
        for number, one in enumerate(judged)
    }
    outcomes = {key: [float(score.outcome == "pass") for score in scores] for key, scores in told.items()}
    values = {key: [judge_value(score, is_graded=True) for score in scores] for key, scores in told.items()}
    most = max((len(one.scores) for one in judged), default=0)
    return Repeats(most, flake_rate(outcomes), repeat_variance(values))


def comparisons(score: Score) -> Iterator[Score]:
    """Yield the comparisons of two answers in a score: its own, or those of the members of a panel."""
    if "consistent" in score.details:
        yield score
    for child in score.children:
        yield from comparisons(child)


def _position(judged: Sequence[Judged], confidence: float) -> Position | None:
    found = [each for one in judged for score in one.scores for each in comparisons(score)]
    if not found:
        return None
    flipped = [each for each in found if not each.details["consistent"]]
    places = [
        each.details["as_first"]
        for each in flipped
        if each.details["as_first"] == each.details["as_second"] and each.details["as_first"] in ("first", "second")
    ]
    first, p_value = position_bias(places.count("first"), len(places), confidence=confidence)
    return Position(len(found), 1 - len(flipped) / len(found), len(places), first, p_value)


def _with_warnings(found: Calibration, mine: Sequence[bool], theirs: Sequence[bool]) -> Calibration:
    return replace(found, warnings=tuple(_warnings(found, mine, theirs)))


def _warnings(found: Calibration, mine: Sequence[bool], theirs: Sequence[bool]) -> Iterator[str]:
    if found.kappa.n < FEW_LABELS:
        yield f"few labels: {found.kappa.n}; the intervals are wide below {FEW_LABELS}, and some 100 are better"
    if len(set(theirs)) == 1:
        word = "pass" if theirs[0] else "fail"
        yield f"people say {word} of every answer: kappa tells nothing until some are labeled otherwise"
    elif theirs and min(theirs.count(True), theirs.count(False)) < 5:
        yield "people say the same of almost every answer: kappa hangs on a few labels"
    if len(set(mine)) == 1 and len(set(theirs)) > 1:
        yield f"the judge says {'pass' if mine[0] else 'fail'} of every answer"
    if found.no_verdict:
        yield f"the judge gave no usable verdict on {found.no_verdict} of {found.answers} answers; they are left out"
    if found.divided:
        yield f"people are divided on {found.divided} of the answers; these count for alpha alone"
    yield from _favors(found)


def _favors(found: Calibration) -> Iterator[str]:
    """Yield what the judge favors, as far as it is not luck."""
    alpha = 1 - found.kappa.interval.confidence
    for each in found.languages:
        if each.adjusted is not None and each.adjusted < alpha and each.difference is not None:
            word = "kinder" if each.difference > 0 else "harsher"
            yield f"the judge is {word} to {each.group} than to the others, by {abs(each.difference):.2f}"
    rank = found.length.correlation
    if found.length.p_value is not None and rank is not None and found.length.p_value < alpha:
        yield f"the judge favors {'long' if rank > 0 else 'short'} answers more than people do"
    position = found.position
    if position is not None and position.p_value is not None and position.p_value < alpha:
        yield f"the judge favors the {position.favorite} place when two answers are compared"
