"""Results → the text of a failed test: what was expected beside what came, and the command that repeats it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from promptstudio.evals.assertions.reasons import SHORT
from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.texts import answer_text, cut, news_of, one_line, value_text
from promptstudio.evals.schema import Answer, Score
from promptstudio.output.terminal import safe_text

MAX_VALUE = 2_000
MAX_DIFF_CHARS = 20_000
MAX_DIFF_LINES = 40
MAX_SCORES = 20
MAX_SUMMARY = 200


class Failure(Exception):
    """A test that failed: the whole text, and the line for the summary at the end."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.text = text
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Crash:
    message: str


class Shown:
    """What pytest prints of a failure, instead of a traceback."""

    def __init__(self, failure: Failure) -> None:
        self.text = failure.text
        self.reprcrash = _Crash(safe_text(one_line(failure.reason, MAX_SUMMARY)))  # read for the short summary

    def __str__(self) -> str:
        return self.text

    def toterminal(self, terminal: Any) -> None:
        for line in self.text.splitlines():
            terminal.line(line, red=line.startswith(("fail", "error", "unscored", "missed", "the gate")))


def result_text(result: CaseResult, command: str) -> str:
    """Return what is to be said of a case that is no pass."""
    case = result.case
    place = ":".join(str(part) for part in (case.file, case.line) if part is not None)
    repeat = f", repeat {result.repeat + 1}" if result.repeat else ""
    lines = [f"{result.outcome}: {case.id}{repeat}  {result.prompt} · {result.model}{f'  ({place})' if place else ''}"]
    if result.error is not None:
        lines += [f"  {result.error.kind}: {result.error.message}"]
        lines += [f"  hint: {result.error.hint}"] if result.error.hint else []
    elif result.scores:
        lines += score_lines(result.scores, result.answer)
    else:
        lines += [f"  {result.reason}"]
    lines.append(f"repeat: {command}")
    return safe_text("\n".join(lines))


def score_lines(scores: Sequence[Score], answer: Answer | None) -> list[str]:
    """Return what each score that is no pass found, expected beside actual where the reason had to cut them."""
    lines: list[str] = []
    bad = list(news_of(scores))
    for score in bad[:MAX_SCORES]:
        lines.append(f"  {score.metric or score.name}: {score.reason}")
        lines += [f"    {line}" for line in _beside(score, answer)]
    if len(bad) > MAX_SCORES:
        lines.append(f"  … and {len(bad) - MAX_SCORES} more")
    if answer is not None and not any(line.startswith("    ") for line in lines):
        lines += _block("answer", answer_text(answer), "  ")
    return lines


def _beside(score: Score, answer: Answer | None) -> Iterator[str]:
    if score.expected is None:
        return
    expected = value_text(score.expected)
    actual = value_text(score.actual) if score.actual is not None else answer_text(answer) if answer else ""
    if max(len(expected), len(actual)) <= SHORT and "\n" not in expected + actual:
        return  # the reason has both whole
    is_diff = score.name in ("equals", "expected_output") or score.name.endswith("json")
    if is_diff and "\n" in expected and "\n" in actual and len(expected) + len(actual) <= MAX_DIFF_CHARS:
        changes = list(
            difflib.unified_diff(expected.splitlines(), actual.splitlines(), "expected", "actual", lineterm="")
        )
        yield from changes[:MAX_DIFF_LINES]
        return
    yield from _block("expected", expected, "")
    yield from _block("actual", actual, "")


def _block(name: str, text: str, indent: str) -> list[str]:
    """Return a value below its name, or beside it where it is one line."""
    lines = cut(text, MAX_VALUE).split("\n")
    if len(lines) == 1:
        return [f"{indent}{name}: {lines[0]}"]
    return [f"{indent}{name}:", *(f"{indent}  {line}" for line in lines)]


def gate_text(sentence: str, checks: Sequence[Check], count: str, command: str) -> str:
    """Return what is to be said of a gate that is missed."""
    lines = [sentence, *(f"  {'met   ' if check.is_met else 'missed'}  {check}" for check in checks)]
    return safe_text("\n".join([*lines, f"  over {count}", f"repeat: {command}"]))
