"""Runs → workflow commands of GitHub Actions, which it shows as annotations on lines of files.

On each case that broke since the baseline: why. On the prompt file: how many of its cases are not good. Then on each
other case: why. GitHub shows ten errors and ten warnings of a step and drops the others, so what is left out is said in
the last line. Where the gate is met they are warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.against import held_of
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.report.texts import one_line, title_of
from promptstudio.output.terminal import safe_text

MAX_OF_A_KIND = 10
MAX_MESSAGE = 400
MAX_NAMED = 5

Level = Literal["error", "warning"]


@dataclass(slots=True)
class Annotation:
    """A message at a line of a file; `file` is named from the folder of the project."""

    level: Level
    title: str
    file: str | None = None
    line: int | None = None
    messages: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, message: str) -> None:
        if len(self.messages) < MAX_NAMED:
            self.messages.append(one_line(message, MAX_MESSAGE))
        else:
            self.more += 1

    @property
    def text(self) -> str:
        return "\n".join([*self.messages, *([f"… and {self.more:,} more"] if self.more else [])])


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    out.writelines(f"{line}\n" for line in commands(reports, None))


def commands(reports: Sequence[RunReport], workspace: Path | None) -> Iterator[str]:
    """Yield the lines to print, at most ten errors and ten warnings. `workspace` is the root of the repository."""
    shown = {"error": 0, "warning": 0}
    left_out = 0
    for report in reports:
        found, uncounted = _found(report)
        left_out += uncounted
        for one in found:
            if shown[one.level] == MAX_OF_A_KIND:
                left_out += 1
                continue
            shown[one.level] += 1
            yield _command(one, report.root, workspace)
    if left_out:
        yield f"::notice::{left_out:,} more are not shown here: the summary and the reports have them"


def _found(report: RunReport) -> tuple[list[Annotation], int]:
    """Return what there is to say of a run, and how much was not kept."""
    level: Level = "warning" if report.figures.is_met else "error"
    found = []
    if not report.figures.is_met:
        found.append(Annotation("error", report.run.suite, report.run.suite_file, 1, [report.figures.sentence]))
    cases: dict[tuple[str | None, int | None, str], Annotation] = {}
    prompts: dict[tuple[str, str], Annotation] = {}
    broken: dict[tuple[str | None, int | None, str], Annotation] = {}
    left_out = 0
    held = held_of(report.run.totals)
    for result in report.results:
        if result.outcome in ("pass", "skipped"):
            continue
        _add_to_prompt(prompts, report, result, level)
        key = (result.case.file, result.case.line, result.case.id)
        flip = held.flip_of(result) if held is not None else None
        since = f" since {held.named}" if held is not None and flip is not None and flip.side == "broke" else ""
        told = broken if since or key in broken else cases
        if key not in told and len(told) > 2 * MAX_OF_A_KIND:
            left_out += 1
            continue
        worst: Level = level if result.outcome != "unscored" else "warning"
        title = f"{'broke' + since if since else result.outcome}: {result.case.id}"
        one = told.setdefault(key, Annotation(worst, title, *key[:2]))
        one.add(f"{result.prompt} · {result.model}: {result.reason}")
    return [*found, *broken.values(), *prompts.values(), *cases.values()], left_out


def _add_to_prompt(
    prompts: dict[tuple[str, str], Annotation], report: RunReport, result: CaseResult, level: Level
) -> None:
    key = (result.prompt, result.model)
    if key not in prompts:
        file, line = _place_of(report, result)
        counts = next(
            (one.counts for one in report.figures.targets if (one.prompt, one.model) == key), report.figures.counts
        )
        bad = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items() if count)
        prompts[key] = Annotation(level, f"{result.prompt} with {result.model}", file, line, [bad])
    prompts[key].add(f"{result.outcome}: {title_of(result)}")


def _place_of(report: RunReport, result: CaseResult) -> tuple[str | None, int | None]:
    """Return file and line of the prompt a result is about, as the run noted them."""
    for target in report.run.options.get("targets", ()):
        if target["prompt"] == result.prompt and target["model"] == result.model:
            file = target.get("file")
            # A prompt at a revision, or on standard input, has no line that could be shown.
            is_there = file and (report.root is None or (report.root / file).is_file())
            return (file, target.get("line")) if is_there else (None, None)
    return None, None


def _command(one: Annotation, root: Path | None, workspace: Path | None) -> str:
    properties = []
    if one.file is not None:
        properties.append(f"file={_property(_from_workspace(one.file, root, workspace))}")
        properties += [f"line={one.line}"] if one.line is not None else []
    properties.append(f"title={_property(one_line(one.title, 120))}")
    return f"::{one.level} {','.join(properties)}::{_message(one.text)}"


def _from_workspace(file: str, root: Path | None, workspace: Path | None) -> str:
    """Name a file from the root of the repository, which may lie above that of the project."""
    if root is None or workspace is None:
        return file
    path = (root / file).resolve()
    top = workspace.resolve()
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else file


def _message(text: str) -> str:
    return safe_text(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
