"""What `ps eval` shows of a suite while it runs: failures as they come, with the command that repeats each.

On a terminal a bar, counts, rate, cost and remaining time stand below them; a pipe, a dumb terminal and CI get a line
now and then. All of it goes to standard error. Nothing is judged here.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from promptstudio.cli.context import Context
from promptstudio.evals.evaluate import Started, Watcher
from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.repeat import Repeat
from promptstudio.evals.totals import OUTCOMES, Totals
from promptstudio.output.terminal import safe_cell

if TYPE_CHECKING:
    from promptstudio.cli.eval_live import LiveBar

SHOWN_AT_MOST = 50
SHORT_ID = 18  # of a run: its time, and enough of chance
EVERY_S = 10.0
WINDOW_S = 15.0
Parts = dict[tuple[str, str], Totals]
_STYLES = {"fail": "red", "error": "yellow"}


class Pace:
    """How far it is, how fast it goes, and how long it will take. `whole` is None where nobody knows."""

    def __init__(self, whole: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.whole = whole
        self.done = 0
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque([(clock(), 0)])

    def moved_to(self, done: int) -> None:
        self.done = done
        now = self._clock()
        if now - self._marks[-1][0] >= 0.2:
            self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_S:
            self._marks.popleft()

    @property
    def per_second(self) -> float:
        since, count = self._marks[0]
        return (self.done - count) / max(0.001, self._clock() - since)

    @property
    def left_s(self) -> float | None:
        if self.whole is None or not self.per_second:
            return None
        return max(0, self.whole - self.done) / self.per_second


def pace_text(pace: Pace) -> str:
    """`120/400 · 31/s · 0:09 left`."""
    whole = f"/{pace.whole:,}" if pace.whole is not None else ""
    parts = [f"{pace.done:,}{whole}", f"{pace.per_second:.3g}/s"]
    if pace.left_s is not None and pace.done < (pace.whole or 0):
        minutes, seconds = divmod(round(pace.left_s), 60)
        parts.append(f"{minutes}:{seconds:02} left")
    return " · ".join(parts)


def cost_text(totals: Totals) -> str:
    """`$0.0123`, with what has no price, and what was saved."""
    cost = f"${totals.cost_usd:.4f}" if totals.cost_usd else "$0"
    if totals.unpriced:
        cost = f"{cost} and {totals.unpriced:,} without a known price"
    return f"{cost}, ${totals.saved_usd:.4f} saved" if totals.saved_usd else cost


def count_texts(totals: Totals) -> list[str]:
    """The five outcomes; those that did not occur are left out, apart from `pass` and `fail`."""
    return [f"{totals.counts[one]:,} {one}" for one in OUTCOMES if totals.counts[one] or one in ("pass", "fail")]


class EvalView:
    """One suite while it runs. `parts` are the figures of each prompt and model, for the table at the end.

    Without `repeat` what fails is not told case by case: it is compared afterwards. `of_sides` says how it is counted.
    """

    def __init__(self, context: Context, repeat: Repeat | None, *, of_sides: bool = False) -> None:
        self.output = context.output
        self.repeat = repeat
        self.of_sides = of_sides
        self.parts: Parts = {}
        self.pace = Pace(None)
        self._run = "last"
        self._program = context.program
        self._shown = 0
        self._hints: set[str] = set()
        self._told_at = time.monotonic()
        self._bar: LiveBar | None = None
        self._is_live = is_live(context)
        self._is_baseline = False
        self.watcher = Watcher(self._started, self._case, self.note)

    def __enter__(self) -> EvalView:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, text: str) -> None:
        """Show a line of ours above the bar."""
        if self._bar is not None:
            self._bar.print(text)
        else:
            self.output.note(text)

    def _started(self, started: Started) -> None:
        preflight, plan = started.preflight, started.plan
        self._is_baseline = started.is_baseline
        self.__exit__()  # the bar of the baseline
        self.pace = Pace(preflight.tasks if preflight.is_whole else None)
        for target in plan.targets:
            self.parts[(target.address, target.model)] = Totals(is_part=True)
        self._run = started.run.id[:SHORT_ID]
        self.note(f"{started.run.suite}: {self._extent(started)}")
        for text in preflight.warnings:
            self._warn_once(text)
        if self._is_live and self.output.err is not None:
            from promptstudio.cli.eval_live import LiveBar  # rich: only a terminal needs it

            self._bar = LiveBar(self.output.err, self.pace, color=self.output.color)

    def _warn_once(self, text: str) -> None:
        """Say it for the first of the runs that are shown: a baseline and its suite have the same engines."""
        if text not in self._hints:
            self._hints.add(text)
            self.note(f"warning: {text}")

    def _extent(self, started: Started) -> str:
        if self.of_sides:
            return " × ".join([_many(len(started.plan.targets), "side"), _cases_of(started)])
        return f"{_extent(started)}{', the baseline' if started.is_baseline and self.repeat else ''}"

    def _case(self, result: CaseResult, totals: Totals) -> None:
        self.parts[(result.prompt, result.model)].add(result.end)
        self.pace.moved_to(sum(totals.counts.values()))
        if result.outcome == "error" or (result.outcome == "fail" and self.repeat and not self._is_baseline):
            self._failure(result)
        if self._bar is not None:
            self._bar.totals = totals
        elif time.monotonic() - self._told_at > EVERY_S:
            self._told_at = time.monotonic()
            self.output.note(f"{pace_text(self.pace)} · {', '.join(count_texts(totals))} · {cost_text(totals)}")

    def _failure(self, result: CaseResult) -> None:
        self._shown += 1
        if self._shown == SHOWN_AT_MOST + 1:
            self.note(f"… what else fails is not shown here: {self._program} runs show {self._run} --failed")
        if self._shown > SHOWN_AT_MOST:
            return
        several = f"{result.prompt} · {result.model}  " if len(self.parts) > 1 else ""
        line = f"{result.case.id}  {several}{result.reason}"
        if self._bar is not None:
            self._bar.print(safe_cell(line), label=result.outcome.upper(), style=_STYLES[result.outcome])
        else:
            self.output.labeled(result.outcome.upper(), safe_cell(line), _STYLES[result.outcome])
        if self.repeat is not None:
            self.note(f"    {self.repeat.command(result, self.parts)}")
        hint = result.error.hint if result.error is not None else None
        if hint and hint not in self._hints:  # a key that is missing is missing for every case
            self._hints.add(hint)
            self.note(f"    hint: {safe_cell(hint)}")


def _extent(started: Started) -> str:
    """`2 prompts × 1 model × 40 cases`."""
    plan, preflight = started.plan, started.preflight
    prompts = len({target.address for target in plan.targets})
    models = len({target.model for target in plan.targets})
    parts = [_many(prompts, "prompt"), _many(models, "model"), _cases_of(started)]
    if preflight.is_whole and preflight.tasks > preflight.cases * len(plan.targets):
        parts.append("repeats")
    return " × ".join(parts)


def _cases_of(started: Started) -> str:
    return _many(started.preflight.cases, "case") if started.preflight.is_whole else "cases that stream"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def is_live(context: Context) -> bool:
    """Whether somebody looks: a terminal that can be redrawn, and no CI, whose logs keep every redrawing."""
    env: Any = context.env
    return context.output.err_is_tty and env.get("TERM") != "dumb" and not env.get("CI")
