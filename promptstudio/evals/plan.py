"""A suite → what will be asked: prompts × models, then a stream of tasks over cases and repeats. Sends nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import InputsError, Problem, SuiteFileError, UserError
from promptstudio.evals.assertions.assertion import Assertion, Origin
from promptstudio.evals.assertions.parse import implied_assertions, origin_at, origin_in, parse_assertions
from promptstudio.evals.datasets import Example, fingerprint
from promptstudio.evals.embedding_models import default_embedder, with_embedder
from promptstudio.evals.judge.pinned import Resolver, is_judged, resolved
from promptstudio.evals.marks import Marks
from promptstudio.evals.selection import NoneTaken, Selection
from promptstudio.evals.suite import Suite
from promptstudio.prompts.inputs import check_inputs, parse_value
from promptstudio.prompts.prompt import MEDIA_TYPES, Prompt
from promptstudio.providers.connect import route_for
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING
from promptstudio.runner import RunOptions, planned_model, planned_parameters
from promptstudio.versions.load import load_anywhere

_PARSED_AT_MOST = 512
MAX_PROBLEMS = 50
COMPARING = frozenset({"select-best", "pairwise"})
"""Assertions that look at the answers of all targets to a case."""


@dataclass(frozen=True, slots=True)
class Target:
    """One prompt asked of one model. `address` is as the suite has it, `model` what will be asked.

    `settings` are those the prompt belongs to; `asked_model` is None where the prompt's own model holds.
    """

    address: str
    prompt: Prompt
    settings: Settings
    model: str
    asked_model: str | None
    digest: str = ""  # of all of the target that decides an answer
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the sides of a comparison: a prompt, with another model or profile where it is told. `name` is shown."""

    name: str
    prompt: str
    model: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One case to be asked of one target. `repeat` counts from 0.

    `answer_key` is a hash of all that decides the answer, `key` of that and all that decides the outcome.
    """

    target: Target
    example: Example
    repeat: int
    assertions: tuple[Assertion, ...]
    answer_key: str
    key: str

    @property
    def options(self) -> RunOptions:
        return RunOptions(model=self.target.asked_model, profile=self.target.profile, repeat=self.repeat)


@dataclass(slots=True)
class Plan:
    """Targets × cases × repeats, streamed by `tasks()`; each call starts again."""

    suite: Suite
    targets: tuple[Target, ...]
    selection: Selection
    root: Path | None
    resolver: Resolver | None = None
    embedder: str = OFFLINE_EMBEDDING
    found_judged: bool = False  # in the assertions of a case
    takes_turns: bool = False  # which target is asked first changes from case to case: no side is always the first
    _parsed: dict[str, tuple[Assertion, ...]] = field(default_factory=dict)

    def examples(self) -> Iterator[Example]:
        """Yield the chosen cases. Raises SuiteFileError for an id that two different cases have."""
        return self.selection.chosen(_unique(self.suite.dataset.open()))

    def tasks(self) -> Iterator[Task]:
        for group in self.groups():
            yield from group

    def groups(self) -> Iterator[tuple[Task, ...]]:
        """Yield the tasks, together those whose answers are compared with each other: one case, all targets."""
        for number, example in enumerate(self.examples()):
            assertions = self.assertions_of(example)
            compares = len(self.targets) > 1 and _compares(assertions)
            repeats = range(example.repeats or self.suite.repeats)
            if compares:
                for repeat in repeats:
                    yield tuple(self.task(target, example, repeat, assertions) for target in self.targets)
                continue
            first = number % len(self.targets) if self.takes_turns else 0
            for target in (*self.targets[first:], *self.targets[:first]):
                for repeat in repeats:
                    yield (self.task(target, example, repeat, assertions),)

    def task(self, target: Target, example: Example, repeat: int, assertions: tuple[Assertion, ...]) -> Task:
        turns = [dict(turn.get("inputs", {})) for turn in example.turns]
        asked = {"target": target.digest, "inputs": dict(example.case.inputs), "turns": turns, "repeat": repeat}
        if files := _file_digests(target.prompt, [example.case.inputs, *turns], self.suite.path.parent):
            asked["files"] = files
        answer_key = fingerprint(asked)
        case = example.case
        judged = {
            "answer": answer_key,
            "case": case.id,
            "expected_output": case.expected_output,
            "context": [*case.context],
            "retrieval_context": [*case.retrieval_context],
            "expected_tools": [*case.expected_tools],
            "turns": [dict(turn) for turn in example.turns],
            "assertions": self._digest(assertions),
            "metrics": [*self.suite.metrics, *example.metrics],
            "threshold": self.threshold_of(example),
        }
        if len(self.targets) > 1 and _compares(assertions):
            judged["peers"] = [one.digest for one in self.targets]
        return Task(target, example, repeat, assertions, answer_key, fingerprint(judged))

    @property
    def is_judged(self) -> bool:
        """Whether a judge may be asked. Not all cases are known beforehand: who names a judge may want one."""
        if self.suite.judge is not None or (self.resolver and self.resolver.settings.eval.get("judge") is not None):
            return True
        return self.found_judged or any(is_judged(each) for each in self.suite.assertions)

    def judges(self) -> dict[str, Any]:
        """Return what is pinned of those who judge every case, by the name scores have for them."""
        judging = [each.judging for each in flat_assertions(self.suite.assertions) if each.judging is not None]
        pins: dict[str, Any] = {}
        for one in judging:
            if one.panel is not None:
                pin = pins.setdefault(one.panel.name, {**one.panel.settings, "asked_by": {}})
                if one.prompt is not None:
                    pin["asked_by"][one.prompt.name] = one.prompt.identity.behavior
        return pins

    def threshold_of(self, example: Example) -> float | None:
        return example.threshold if example.threshold is not None else self.suite.threshold

    def _digest(self, assertions: tuple[Assertion, ...]) -> list[dict[str, Any]]:
        return [assertion.settings for assertion in assertions]

    def assertions_of(self, example: Example) -> tuple[Assertion, ...]:
        """Return what is asserted of a case: the suite's, its own, and what its expected_output says by itself."""
        own = self.parsed(example.assertions, example, ("assert",))
        metrics = self.parsed(example.metrics, example, ("metrics",))
        return implied_assertions(
            (*self.suite.assertions, *own, *metrics), example.case.expected_output, has_metrics=False
        )

    def parsed(self, items: Sequence[Any], example: Example, path: tuple[str | int, ...]) -> tuple[Assertion, ...]:
        """Parse assertions of a case, or its metrics; equal lists are parsed once."""
        if not items:
            return ()
        key = fingerprint(
            [
                list(items),
                example.case.file if len(self._parsed) < _PARSED_AT_MOST else example.case.line,
                path[-1:] == ("metrics",),
            ]
        )
        if key not in self._parsed:
            while len(self._parsed) >= _PARSED_AT_MOST:
                self._parsed.pop(next(iter(self._parsed)))
            self._parsed[key] = parsed = self._parse(items, example, path)
            self.found_judged = self.found_judged or any(is_judged(each) for each in parsed)
        return self._parsed[key]

    def _parse(self, items: Sequence[Any], example: Example, path: tuple[str | int, ...]) -> tuple[Assertion, ...]:
        suite, source = self.suite, self.suite.source
        if source is not None and example.path[:1] in (("cases",), ("tests",)) and example.case.file == suite.shown:
            origin = origin_in(
                source, (*example.path, *path), folder=suite.path.parent, root=self.root, compat=suite.compat
            )
        else:
            origin = origin_at(
                example.case.file, example.case.line, folder=suite.path.parent, root=self.root, compat=suite.compat
            )
        read = self._read(list(items), replace(origin, path=(*origin.path[:-1], path[-1])))
        return resolved(with_embedder(read, self.embedder), self.resolver)

    def _read(self, items: list[Any], origin: Origin) -> tuple[Assertion, ...]:
        if origin.path[-1:] != ("metrics",):
            return parse_assertions(items, origin)
        from promptstudio.evals.metrics.parse import parse_metrics  # for cases that have metrics

        return parse_metrics(items, origin)


def plan_suite(
    suite: Suite,
    settings: Settings,
    selection: Selection,
    *,
    models: Sequence[str] = (),
    sides: Sequence[Side] = (),
    cwd: Path | None = None,
) -> Plan:
    """Load the prompts of a suite and cross them with its models. Raises UserError with every problem.

    With `sides` those are asked instead of the suite's own prompts and models.
    """
    targets: list[Target] = []
    problems: list[Problem] = []
    asked = sides or [
        Side(address, address, model)
        for address in suite.prompts
        if selection.takes_prompt(address)
        for model in (models or suite.models or (None,))
    ]
    for side in asked:
        try:
            target = _target(side, settings, cwd)
        except UserError as error:
            known = [_in_suite(each, suite, side.prompt) for each in error.problems]
            problems += [each for each in known if each not in problems]  # a prompt is asked of several models
        else:
            if selection.takes_model(target.model):
                targets.append(target)
    if problems:
        raise SuiteFileError(problems)
    if not targets:
        raise NoneTaken(f"{suite.shown}: no prompt and model of the suite is selected", hint="look at -m and --prompt")
    resolver = Resolver(settings, suite.judge)
    embedder = default_embedder(settings)
    judged = replace(suite, assertions=resolved(with_embedder(suite.assertions, embedder), resolver))
    return Plan(judged, tuple(targets), selection, settings.root, resolver, embedder, takes_turns=bool(sides))


def _target(side: Side, settings: Settings, cwd: Path | None) -> Target:
    found = load_anywhere(side.prompt, settings, cwd=settings.root or cwd)
    options = RunOptions(model=side.model, profile=side.profile)
    model = planned_model(found.prompt, found.settings, options)
    digest = _target_digest(found.prompt, found.settings, model, options)
    return Target(side.name, found.prompt, found.settings, model, side.model, digest, side.profile)


def flat_assertions(assertions: Iterable[Assertion]) -> Iterator[Assertion]:
    """Yield assertions and the members of sets among them."""
    for each in assertions:
        yield each
        yield from flat_assertions(each.members)


def _compares(assertions: Sequence[Assertion]) -> bool:
    """Whether one of the assertions looks at the answers of the other targets."""
    return any(each.name in COMPARING for each in flat_assertions(assertions))


def _target_digest(prompt: Prompt, settings: Settings, model: str, options: RunOptions) -> str:
    """Name what decides an answer beside the case: behavior, model, parameters of profiles, and an offline script."""
    parts = [prompt.identity.behavior, model]
    parameters = planned_parameters(prompt, settings, options)
    if parameters != prompt.parameters:
        parts.append(fingerprint(parameters))
    script = route_for(model, settings, {}, without_secrets=True).script
    if script is not None and Path(script).is_file():
        parts.append(hashlib.sha256(Path(script).read_bytes()).hexdigest()[:32])
    return "|".join(parts)


def _file_digests(prompt: Prompt, rounds: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Return the contents of the files that inputs name by `@path`: another picture is another question."""
    names = [name for name, spec in prompt.inputs.items() if spec.type in MEDIA_TYPES]
    values = [inputs[name] for inputs in rounds for name in names if isinstance(inputs.get(name), str)]
    return [_digest_of_file(folder / value[1:]) for value in values if value.startswith("@")]


def _digest_of_file(path: Path) -> str:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ""  # told with the inputs that cannot be read
    return _content_digest(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _content_digest(path: Path, _changed_ns: int, _size: int) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError:
        return ""


def _in_suite(problem: Problem, suite: Suite, address: str) -> Problem:
    if problem.file is not None:
        return problem
    place: tuple[int | None, int | None] = (None, None)
    if suite.source is not None and address in suite.prompts:
        index = suite.prompts.index(address)
        place = suite.source.place(("prompts", index) if len(suite.prompts) > 1 else ("prompt",))
    return Problem(problem.message, file=suite.shown, line=place[0], column=place[1], hint=problem.hint)


def _unique(examples: Iterator[Example]) -> Iterator[Example]:
    """Let the second of two equal cases go; two different ones with one id are an error."""
    seen = Marks()
    for example in examples:
        is_first = seen.first(hash(example.case.id), hash(fingerprint(dict(example.raw))))
        if is_first is False:
            raise SuiteFileError(
                f"the id {example.case.id!r} is that of another case too",
                file=example.case.file,
                line=example.case.line,
                hint="ids tell cases apart between runs: give each its own",
            )
        if is_first:
            yield example


def values_of(example: Example, prompt: Prompt, inputs: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a case's inputs as values for a prompt: text cells become numbers where the prompt wants them.

    Raises InputsError for what is missing, unknown or of the wrong kind; a file is named by `@path` beside the suite.
    """
    is_table = bool(example.case.file and example.case.file.endswith((".csv", ".tsv")))
    values: dict[str, Any] = {}
    for name, value in inputs.items():
        spec = prompt.inputs.get(name)
        if spec is None or not isinstance(value, str):
            values[name] = value
        elif spec.type in MEDIA_TYPES and value.startswith("@"):
            values[name] = folder / value[1:]
        elif is_table and spec.type != "string":
            if value != "" or spec.required:
                values[name] = parse_value(spec, value)
        else:
            values[name] = value
    return values


def input_problems(example: Example, target: Target, folder: Path) -> list[Problem]:
    """Return what is wrong with a case's inputs for a prompt, with the case's place."""
    rounds = [turn.get("inputs", {}) for turn in example.turns] or [{}]
    problems: list[Problem] = []
    for inputs in rounds:
        try:
            values = values_of(example, target.prompt, {**example.case.inputs, **inputs}, folder)
            check_inputs(target.prompt, values)
        except InputsError as error:
            case = example.case
            problems += [
                Problem(f"case {case.id}: {each.message}", file=case.file, line=case.line, hint=_case_hint(each))
                for each in error.problems
            ]
    return problems


def _case_hint(problem: Problem) -> str | None:
    """Return a hint for who writes a case, where that of the problem is for who types a command."""
    if problem.hint and problem.hint.startswith("give -v "):
        return "a case gives it below `inputs:`, a table in a column of that name"
    return problem.hint
