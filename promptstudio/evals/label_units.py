"""People's labels + the judged assertions of a suite + a stored run → what is to be judged, with who said what of it.

Labels of several people about one answer and one assertion are one unit. What cannot be matched is told all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from promptstudio.errors import NothingSelected, Problem, UserError
from promptstudio.evals.assertions.assertion import Assertion
from promptstudio.evals.calibrations import calibratable, name_of
from promptstudio.evals.human_labels import HumanLabel, double_labels, script_of
from promptstudio.evals.plan import COMPARING
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.schema import Answer, Case, Score
from promptstudio.evals.series import flat_scores
from promptstudio.prompts.wording import nearest, shown

Target = tuple[str, str]
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Unit:
    """One answer, one judged assertion, and what people said of the two.

    `known` are the verdicts of the run on this very answer that this very judging gave, by repeat: where the same was
    answered again, it was judged again. `peers` are the answers of all targets to the same case and repeat. `target` is
    None for an answer that a label brought along.
    """

    assertion: Assertion
    case: Case
    answer: Answer
    labels: tuple[HumanLabel, ...]
    target: Target | None = None
    repeat: int = 0
    known: Mapping[int, Score] = field(default_factory=dict)
    peers: Mapping[Target, Answer] = field(default_factory=dict)

    @property
    def human(self) -> float:
        """What people say together: the mean of their labels."""
        return fmean(label.value for label in self.labels)

    @property
    def is_divided(self) -> bool:
        """Whether as many people say yes as no."""
        return self.human == 0.5 and all(label.value in (0, 1) for label in self.labels)

    @property
    def language(self) -> str:
        """What a label says of it, else the script of the answer."""
        said = next((label.language for label in self.labels if label.language is not None), None)
        return said or script_of(self.answer.text)

    def asked_anew(self) -> Unit:
        """Return it without the verdicts of its run."""
        return replace(self, known={})


@dataclass(frozen=True, slots=True)
class Labeled:
    """What a label is about, found: the answer, and where it comes from."""

    case: Case
    answer: Answer
    target: Target | None = None
    repeat: int = 0
    result: CaseResult | None = None

    @property
    def key(self) -> tuple[object, ...]:
        return (self.case.id, self.case.metadata.get("content") if self.target is None else self.target, self.repeat)


def units_of(
    labels: Sequence[HumanLabel],
    assertions: Iterable[Assertion],
    suite: str,
    run: RunRecord | None,
    results: Iterable[CaseResult],
) -> tuple[Unit, ...]:
    """Match labels with results and assertions. Raises UserError with every problem, each with its line."""
    judged = list(calibratable(assertions))
    if not judged:
        raise NothingSelected(
            f"nothing in {suite} is judged by a model", hint="as llm-rubric is: an assertion with a judge"
        )
    found = _Matching(suite, judged, run, _by_case(labels, results))
    return found.units(labels)


def _by_case(labels: Sequence[HumanLabel], results: Iterable[CaseResult]) -> dict[str, list[CaseResult]]:
    """Return the results of the cases that are labeled; of the others the ids alone."""
    wanted = {label.case for label in labels if label.case is not None}
    by_case: dict[str, list[CaseResult]] = {}
    for result in results if wanted else ():
        kept = by_case.setdefault(result.case.id, [])
        if result.case.id in wanted:
            kept.append(result)
    return by_case


@dataclass(frozen=True, slots=True)
class _Matching:
    suite: str
    judged: Sequence[Assertion]
    run: RunRecord | None
    by_case: Mapping[str, list[CaseResult]]

    def units(self, labels: Sequence[HumanLabel]) -> tuple[Unit, ...]:
        problems: list[Problem] = []
        grouped: dict[tuple[object, ...], list[HumanLabel]] = {}
        about: dict[tuple[object, ...], tuple[Assertion, Labeled]] = {}
        for label in labels:
            assertion, labeled = self._assertion(label), self._labeled(label)
            if isinstance(assertion, Problem):
                problems.append(assertion)
            if isinstance(labeled, Problem):
                problems.append(labeled)
            if isinstance(assertion, Assertion) and isinstance(labeled, Labeled):
                key = (*labeled.key, self.judged.index(assertion))
                grouped.setdefault(key, []).append(label)
                about.setdefault(key, (assertion, labeled))
        problems += double_labels(grouped)
        if problems:
            raise UserError(sorted(problems, key=lambda problem: problem.line or 0))
        return tuple(self._unit(*about[key], tuple(of_one)) for key, of_one in grouped.items())

    def _unit(self, assertion: Assertion, labeled: Labeled, labels: tuple[HumanLabel, ...]) -> Unit:
        result = labeled.result
        if result is None:
            return Unit(assertion, labeled.case, labeled.answer, labels)
        peers = {
            (one.prompt, one.model): one.answer
            for one in self.by_case[result.case.id]
            if one.repeat == result.repeat and one.answer is not None
        }
        known = self._known(result, labeled, assertion)
        return Unit(assertion, labeled.case, labeled.answer, labels, labeled.target, labeled.repeat, known, peers)

    def _known(self, result: CaseResult, labeled: Labeled, assertion: Assertion) -> dict[int, Score]:
        """Return the verdicts on this answer; whoever compares answers judged this one among those of its repeat."""
        again = [result] if assertion.name in COMPARING else self.by_case[result.case.id]
        same = [
            one
            for one in again
            if (one.prompt, one.model) == labeled.target and one.answer and one.answer.text == labeled.answer.text
        ]
        found = {one.repeat: stored_verdict(one, assertion) for one in same}
        return {repeat: score for repeat, score in sorted(found.items()) if score is not None}

    def _assertion(self, label: HumanLabel) -> Assertion | Problem:
        names = [name_of(each) for each in self.judged]
        if label.metric is None:
            if len(self.judged) == 1:
                return self.judged[0]
            return label.problem(
                f"{self.suite} has {len(self.judged)} judged assertions, and the label is about none of them",
                f'write "metric": one of {_listed(names)}',
            )
        found = [each for each in self.judged if label.metric in (each.metric, each.written)]
        if len(found) == 1:
            return found[0]
        if found:
            lines = " and ".join(f"{each.file}:{each.line}" for each in found[:_SHOWN])
            return label.problem(
                f"{shown(label.metric)} is the name of {len(found)} judged assertions ({lines})",
                "give each a `metric:` of its own in the suite",
            )
        close = nearest(label.metric, names)
        return label.problem(
            f"no model judges {shown(label.metric)} in {self.suite}",
            f"did you mean {close!r}?" if close else f"what is judged there: {_listed(names)}",
        )

    def _labeled(self, label: HumanLabel) -> Labeled | Problem:
        if label.own is not None:
            return Labeled(label.own.case, label.own.answer)
        if self.run is None:
            return label.problem(
                f"there is no run of {self.suite} to find the case {shown(label.case or '')} in",
                "run the suite first: ps eval; or give the answer beside the label",
            )
        found = self.by_case.get(label.case or "", [])
        if not found:
            close = nearest(label.case or "", self.by_case)
            hint = f"did you mean {close!r}?" if close else f"ps runs show {self.run.id[:18]} lists them"
            return label.problem(f"the run {self.run.id[:18]} has no case {shown(label.case or '')}", hint)
        return self._chosen(label, found)

    def _chosen(self, label: HumanLabel, results: Sequence[CaseResult]) -> Labeled | Problem:
        """Return the one result a label is about: the first repeat, where it names none."""
        fits = [
            one
            for one in results
            if label.prompt in (None, one.prompt)
            and label.model in (None, one.model)
            and label.repeat in (None, one.repeat)
        ]
        if not fits:
            return label.problem(
                f"the case {shown(label.case or '')} has no result of "
                + ", ".join(
                    f"{key} {shown(str(value))}"
                    for key, value in (("prompt", label.prompt), ("model", label.model), ("repeat", label.repeat))
                    if value is not None
                ),
                f"there are {_listed([f'{one.prompt} on {one.model}, repeat {one.repeat}' for one in results])}",
            )
        targets = list(dict.fromkeys((one.prompt, one.model) for one in fits))
        if len(targets) > 1:
            return label.problem(
                f"the case {shown(label.case or '')} has answers of {len(targets)} prompts and models",
                f"say which, with prompt or model: {_listed([' on '.join(target) for target in targets])}",
            )
        one = min(fits, key=lambda each: each.repeat)
        if one.answer is None:
            return label.problem(
                f"the case {shown(label.case or '')} has no answer that could be judged: {one.reason}"[:300],
                "remove the label, or run the case again: ps eval --errors",
            )
        return Labeled(one.case, one.answer, (one.prompt, one.model), one.repeat, one)


def stored_verdict(result: CaseResult, assertion: Assertion) -> Score | None:
    """Return what this very judging said of a result when it was evaluated."""
    digest = assertion.judging.digest if assertion.judging is not None else None
    return next(
        (
            score
            for score in flat_scores(result.scores)
            if score.settings_hash == digest
            and score.name == assertion.written
            and score.outcome in ("pass", "fail")
            and ("/" not in assertion.name or score.threshold == assertion.threshold)
        ),
        None,
    )


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:_SHOWN]) + (", …" if len(unique) > _SHOWN else "")
