"""The evaluation behind the tests of a suite: it runs in the background, each test waits for its own case.

The first test that runs starts one evaluation of all cases this session selected, as concurrent as `ps eval`, and with
the same store: what was answered before is not asked again. With pytest-xdist one worker evaluates for all.
"""

from __future__ import annotations

import glob
import os
import shlex
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from promptstudio.cache.choose import WireChoice, choose_wires
from promptstudio.config import Settings
from promptstudio.errors import UserError
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.datasets import fingerprint
from promptstudio.evals.evaluate import EvalOptions, Finished, Started, Watcher, evaluate, prepare, verdict
from promptstudio.evals.gate import checks_of
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.report.repeat import repeat_of_run
from promptstudio.evals.runner import Ended
from promptstudio.evals.schema import Outcome
from promptstudio.evals.selection import Selection
from promptstudio.evals.suite import Suite, load_suite
from promptstudio.evals.totals import CaseEnd, Totals, totals_of
from promptstudio.output.terminal import safe_text
from promptstudio.portal import portal
from promptstudio.testing.options import folder_option, text_option
from promptstudio.testing.peers import Peers
from promptstudio.testing.show import gate_text, result_text

LOOKS_UP_S = 0.05
Target = tuple[str, str]
Key = tuple[str, str, str, int]
_evaluations = pytest.StashKey[dict[Path, "SuiteEvaluation"]]()
# The worst first: a case with repeats ends as its worst one.
_WORST: tuple[Outcome, ...] = ("error", "fail", "unscored", "pass", "skipped")


@dataclass(frozen=True, slots=True)
class Planned:
    """One case to come. `file` and `line` say where it stands."""

    id: str
    tags: tuple[str, ...]
    file: str | None
    line: int | None
    repeats: int


@dataclass(frozen=True, slots=True)
class Row:
    """How one case, model and repeat ended: what its test shows, and what the gate counts."""

    key: Key
    reason: str
    text: str
    end: CaseEnd
    score: float | None = None


@dataclass(frozen=True, slots=True)
class CaseEnded:
    """How a case ended with all its repeats. `properties` go into reports of pytest, such as JUnit's."""

    outcome: Outcome
    reason: str
    text: str
    properties: list[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class GateVerdict:
    is_met: bool
    sentence: str
    text: str


def evaluation_for(path: Path, settings: Settings, session: pytest.Session) -> SuiteEvaluation:
    """Return the evaluation of a suite, the same for all of a session. Raises what is wrong with the file."""
    known = session.config.stash.setdefault(_evaluations, {})
    if path not in known:
        known[path] = SuiteEvaluation(load_suite(path, settings), settings, session)
    return known[path]


def finish(config: pytest.Config) -> None:
    """End what still runs: nothing more is asked, what is under way is stored."""
    for evaluation in config.stash.get(_evaluations, {}).values():
        evaluation.finish()


class SuiteEvaluation:
    """One suite in one session (or worker) of pytest."""

    def __init__(self, suite: Suite, settings: Settings, session: pytest.Session) -> None:
        config = session.config
        self.suite, self.settings, self._session = suite, settings, session
        self._options = _options(config, settings)
        self._plan, _ = prepare(suite, settings, self._options, Functions(settings.root))
        self.targets: list[Target] = list(
            dict.fromkeys((target.address, target.model) for target in self._plan.targets)
        )
        self._all: list[Planned] | None = None
        self._tolerant = text_option(config, "promptstudio_verdict") == "gate"
        self._peers = _peers(config, settings, suite)
        self._wanted: dict[Target, dict[str, Planned]] | None = None
        self._rows: dict[Key, Row] = {}
        self._changed = threading.Condition()
        self._future: Future[None] | None = None
        self._failure: BaseException | None = None
        self._run: RunRecord | None = None
        self._interrupt: Callable[[], None] | None = None
        self._is_stopping = False

    def cases(self) -> Iterator[Planned]:
        """Yield the cases in their order."""
        found: list[Planned] = []
        for example in self._plan.examples():
            case = example.case
            found.append(Planned(case.id, case.tags, case.file, case.line, example.repeats or self.suite.repeats))
            yield found[-1]
        self._all = found

    @property
    def gate_decides(self) -> bool:
        """Whether a failed case is left to the gate: that was asked for, and the gate is among the tests that run."""
        return self._tolerant and any(self._is_mine(item, "GateItem") for item in self._session.items)

    def ended(self, target: Target, planned: Planned) -> CaseEnded:
        """Wait for a case. Raises what ended the evaluation before it."""
        rows = [self._row((*target, planned.id, repeat)) for repeat in range(planned.repeats)]
        outcome = next(each for each in _WORST if any(row.end.outcome == each for row in rows))
        bad = [row for row in rows if row.end.outcome == outcome]
        shown = [row.text for row in rows if row.text]
        count = f"{len(bad)} of {len(rows)} repeats: " if len(rows) > 1 and outcome != "pass" else ""
        return CaseEnded(outcome, count + bad[0].reason, "\n".join(shown), _properties(rows))

    def verdict(self) -> GateVerdict:
        """Wait for all cases, and hold them against the gate."""
        wanted = self._selected()
        rows = [
            self._row((*target, planned.id, repeat))
            for target, cases in wanted.items()
            for planned in cases.values()
            for repeat in range(planned.repeats)
        ]
        totals = totals_of(row.end for row in rows)
        checks = checks_of(self.suite.gate, totals)
        code, sentence = verdict(Ended(totals, len(rows)), checks)
        if self.suite.gate.baseline is not None and code in (0, 1):
            finished = portal().start_task_soon(self._held, wanted).result()
            code, sentence, checks = finished.exit_code, finished.sentence, finished.checks
        whole = len(self._all or ()) * len(self.targets)
        chosen = sum(len(cases) for cases in wanted.values())
        count = f"{chosen:,} of {whole:,} cases" if chosen != whole else f"all {whole:,} cases"
        command = shlex.join(["ps", "eval", self.suite.shown, *self._more()])
        return GateVerdict(code == 0, sentence, gate_text(sentence, checks, count, command))

    async def _held(self, wanted: Mapping[Target, Mapping[str, Planned]]) -> Finished:
        """Hold the cases that ran against the gate's baseline: their results are stored, and not asked for again."""
        ids = frozenset(name for cases in wanted.values() for name in cases)
        every = frozenset(planned.id for planned in self._all or ())
        selection = _selection(list(wanted), None if ids == every else ids)
        options = replace(self._options, selection=selection, fresh=False)
        return await evaluate(self.suite, self.settings, os.environ, options)

    def finish(self) -> None:
        """Stop asking, and wait for what is under way. A second Ctrl-C does not wait."""
        future = self._future
        try:
            if future is not None and not future.done():
                self._is_stopping = True
                if self._interrupt is not None:
                    portal().call(self._interrupt)
                with suppress(Exception):  # nobody waits for it any more
                    future.result()
        except KeyboardInterrupt:
            if future is not None:
                future.cancel()
            raise
        finally:
            if self._peers is not None:
                self._peers.let_go()

    # One row

    def _row(self, key: Key) -> Row:
        while key not in self._rows:
            if self._failure is not None:
                raise self._failure
            if self._future is None and not self._begin(key):
                threading.Event().wait(LOOKS_UP_S)
                continue
            self._await(key)
        return self._rows[key]

    def _begin(self, key: Key) -> bool:
        """Start the evaluation, unless another worker has it: then read what that one has to tell."""
        if self._peers is None:
            self._start()
            return True
        self._hear(self._peers)
        if key in self._rows or not self._peers.lead():
            return key in self._rows
        self._hear(self._peers)  # what was told before the lock was let go
        if key in self._rows:
            self._peers.let_go()
        else:
            self._start()
        return True

    def _await(self, key: Key) -> None:
        future = self._future
        if future is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: key in self._rows or future.done(), timeout=LOOKS_UP_S * 4)
        if not future.done():
            return
        self._future = None
        if key not in self._rows:
            self._failure = future.exception() or UserError(f"{self.suite.shown}: this case was not evaluated")

    def _hear(self, peers: Peers) -> None:
        for line in peers.read():
            if line is not None:
                row = _row_from(line)
                self._rows[row.key] = row

    # The evaluation

    def _start(self) -> None:
        selections = self._selections()
        future = portal().start_task_soon(self._evaluate, selections)
        self._future = future
        future.add_done_callback(self._over)

    async def _evaluate(self, selections: Sequence[Selection]) -> None:
        for selection in selections:
            if self._is_stopping:
                return
            options = replace(self._options, selection=selection)
            suite = replace(self.suite, gate=replace(self.suite.gate, baseline=None))  # that is for the gate's test
            await evaluate(suite, self.settings, os.environ, options, Watcher(self._started, self._case))

    def _started(self, started: Started) -> None:
        models = tuple(dict.fromkeys(model for _, model in self.targets))
        self._run, self._interrupt = replace(started.run, models=models), started.interrupt
        if self._is_stopping:
            started.interrupt()

    def _more(self) -> tuple[str, ...]:
        """Return the options of this session that a command which repeats something needs too."""
        replay = self._options.wires.replay
        return ("--replay", os.path.relpath(replay, self.settings.root or ".")) if replay is not None else ()

    def _case(self, result: CaseResult, _totals: Totals) -> None:
        row = _row_of(result, self._run, self._more())
        if self._peers is not None:
            self._peers.tell(_row_data(row))
        with self._changed:
            self._rows[row.key] = row
            self._changed.notify_all()

    def _over(self, _future: Future[None]) -> None:
        """Let another worker go on where this one failed, and wake whoever waits here."""
        if self._peers is not None:
            self._peers.let_go()
        with self._changed:
            self._changed.notify_all()

    # What is wanted

    def _is_mine(self, item: object, kind: str) -> bool:
        return type(item).__name__ == kind and getattr(item, "evaluation", None) is self

    def _selected(self) -> Mapping[Target, Mapping[str, Planned]]:
        """Return the cases whose tests run; all where only the gate does. The same in every worker."""
        if self._wanted is None:
            self._wanted = {}
            for item in self._session.items:
                if self._is_mine(item, "CaseItem"):
                    planned: Planned = item.planned  # type: ignore[attr-defined]
                    self._wanted.setdefault(item.target, {})[planned.id] = planned  # type: ignore[attr-defined]
            if not self._wanted:
                every = {planned.id: planned for planned in self._all or ()}
                self._wanted = dict.fromkeys(self.targets, every)
        return self._wanted

    def _selections(self) -> list[Selection]:
        """Return what to evaluate, without the cases that ended already: few runs, and nothing that is not wanted."""
        missing: dict[Target, frozenset[str]] = {}
        for target, cases in self._selected().items():
            ids = frozenset(
                planned.id
                for planned in cases.values()
                if any((*target, planned.id, repeat) not in self._rows for repeat in range(planned.repeats))
            )
            if ids:
                missing[target] = ids
        every = frozenset(planned.id for planned in self._all or ())
        if set(missing) == set(self.targets) and all(ids == every for ids in missing.values()):
            return [Selection()]
        groups: dict[frozenset[str], list[Target]] = {}
        for target, ids in missing.items():
            groups.setdefault(ids, []).append(target)
        return [
            _selection(part, None if ids == every else ids)
            for ids, group in groups.items()
            for part in _products(group, self.targets)
        ]


def _products(group: list[Target], every: list[Target]) -> list[list[Target]]:
    """Split targets where prompts × models would take in others too."""
    prompts, models = {prompt for prompt, _ in group}, {model for _, model in group}
    crossed = [target for target in every if target[0] in prompts and target[1] in models]
    return [group] if set(crossed) == set(group) else [[target] for target in group]


def _selection(targets: list[Target], ids: frozenset[str] | None) -> Selection:
    prompts = tuple(dict.fromkeys(glob.escape(prompt) for prompt, _ in targets))
    models = tuple(dict.fromkeys(glob.escape(model) for _, model in targets))
    return Selection(prompts=prompts, models=models, ids=ids)


def _options(config: pytest.Config, settings: Settings) -> EvalOptions:
    model = text_option(config, "promptstudio_model")
    is_fresh = bool(config.getoption("promptstudio_fresh"))
    return EvalOptions(
        models=(model,) if model else (),
        concurrency=settings.eval.get("concurrency"),
        fresh=is_fresh,
        wires=wires_of(config, settings, cache=False if is_fresh else None),
    )


def wires_of(config: pytest.Config, settings: Settings, *, cache: bool | None) -> WireChoice:
    """Decide where answers come from: an option, else pytest's settings, else those of the project."""
    record, replay = folder_option(config, "promptstudio_record"), folder_option(config, "promptstudio_replay")
    return choose_wires(settings, "eval", cache=cache, record=record, replay=replay)


def _peers(config: pytest.Config, settings: Settings, suite: Suite) -> Peers | None:
    worker: Mapping[str, Any] | None = getattr(config, "workerinput", None)
    if worker is None or settings.state_dir is None:
        return None
    session = str(worker.get("testrunuid") or uuid.uuid4().hex)
    return Peers(settings.state_dir, session, fingerprint(str(suite.path))[:12])


def _properties(rows: Sequence[Row]) -> list[tuple[str, object]]:
    costs = [row.end.cost_usd for row in rows]
    times = [row.end.latency_ms for row in rows if row.end.latency_ms is not None]
    scores = [row.score for row in rows if row.score is not None]
    found: list[tuple[str, object]] = []
    if scores:
        found.append(("score", round(sum(scores) / len(scores), 4)))
    if all(cost is not None for cost in costs):
        found.append(("cost_usd", str(sum((cost for cost in costs if cost is not None), Decimal(0)))))
    if times:
        found.append(("latency_ms", round(max(times))))
    return found


# Rows as plain data, for other workers


def _row_of(result: CaseResult, run: RunRecord | None, more: tuple[str, ...]) -> Row:
    key = (result.prompt, result.model, result.case.id, result.repeat)
    text = ""
    if result.outcome not in ("pass", "skipped") and run is not None:
        command = replace(repeat_of_run(run), more=more).command(result, product(run.prompts, run.models))
        text = result_text(result, command)
    return Row(key, safe_text(result.reason), text, result.end, result.score)


_AMOUNTS = ("cost_usd", "saved_usd", "judge_usd")


def _row_data(row: Row) -> dict[str, Any]:
    end = asdict(row.end)
    end |= {name: None if end[name] is None else str(end[name]) for name in _AMOUNTS}
    return {"key": list(row.key), "reason": row.reason, "text": row.text, "end": end, "score": row.score}


def _row_from(data: Mapping[str, Any]) -> Row:
    end = dict(data["end"])
    end |= {name: None if end[name] is None else Decimal(end[name]) for name in _AMOUNTS}
    end["tags"] = tuple(end["tags"])
    prompt, model, case, repeat = data["key"]
    return Row((prompt, model, case, repeat), data["reason"], data["text"], CaseEnd(**end), data["score"])
