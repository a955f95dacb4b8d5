"""Runs → Markdown for a pull request or the summary of a CI step: the verdict, a table, and what failed, folded.

What people and models wrote cannot become markup: names are HTML entities inside `<code>`, longer texts HTML inside
`<pre>`, which no backtick or pipe ends and in which no @name is a mention. Both have `dir="auto"`, so Arabic and Hebrew
read from the right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, TextIO

from promptstudio.evals.calibrations import agreement_text
from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.repeat import repeat_command
from promptstudio.evals.report.schema import RunReport, TargetFigures
from promptstudio.evals.report.texts import (
    answer_text,
    cut,
    dollars,
    milliseconds,
    news_of,
    one_line,
    percent,
    reason_pieces,
    title_of,
    value_text,
)
from promptstudio.evals.schema import Outcome
from promptstudio.evals.totals import OUTCOMES
from promptstudio.output.terminal import safe_cell, safe_text

MAX_BYTES = 1 << 20
MAX_TARGETS = 100
MAX_TEXT = 3_000
MAX_CASES = 200
_RESERVED = 2_000  # for the line that says what is left out
_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#+!|&@~:$^='\"]|(?<=www)\.", re.IGNORECASE)
# Outcome → how a failing case is headed, in the order they are told.
_TOLD: dict[Outcome, str] = {"error": "💥 error", "fail": "❌ fail", "unscored": "❔ unscored"}


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    write_within(reports, out, MAX_BYTES)


def write_within(reports: Sequence[RunReport], out: TextIO, limit: int | None) -> None:
    """Write no more than so many bytes: what does not fit is counted, and the verdict always comes first.

    Where there is no room even for that, nothing is written.
    """
    room = (MAX_BYTES if limit is None else limit) - _RESERVED
    for part in _parts(reports):
        size = len(part.encode("utf-8", "backslashreplace"))
        if size > room:
            if room > 0:
                out.write("\n*The rest does not fit here; the html and json reports have everything.*\n")
            return
        out.write(part)
        room -= size


def _parts(reports: Sequence[RunReport]) -> Iterator[str]:
    """Yield pieces that may be followed by nothing: verdicts of all runs, then their tables, then what failed."""
    for report in reports:
        yield _verdict(report)
    for report in reports:
        yield _table(report, len(reports) > 1)
        if report.figures.checks:
            yield _checks(report)
        if judges := report.run.totals.get("judges"):
            yield (
                "\n".join(f"- {inline(row['judge'])} on {inline(row['metric'])}: {_agreement(row)}" for row in judges)
                + "\n\n"
            )
    for report in reports:
        yield from _failures(report, len(reports) > 1)


def _verdict(report: RunReport) -> str:
    sign, word = ("✅", "gate met") if report.figures.is_met else ("❌", _why(report))
    facts = [f"{report.figures.count:,} results", f"pass rate {percent(report.figures.pass_rate)}"]
    facts += [dollars(report.figures.cost_usd) if report.figures.cost_usd is not None else "cost not known"]
    facts += [f"p95 {milliseconds(report.figures.latency_ms.get('p95'))}"]
    facts += [f"commit `{report.run.commit[:10]}`"] if report.run.commit else []
    heading = f"## {sign} {inline(report.run.suite)}: {word}"
    return "\n\n".join([heading, plain(report.figures.sentence), " · ".join(facts)]) + "\n\n"


def _why(report: RunReport) -> str:
    """Return in two words why a run is not good."""
    if report.run.status != "finished":
        return {"running": "no end", "stopped": "stopped"}.get(report.run.status, report.run.status)
    return {2: "cannot be judged", 3: "provider failed", 5: "nothing judged"}.get(
        report.run.exit_code or 0, "gate missed"
    )


def _table(report: RunReport, is_named: bool) -> str:
    lines = [f"### {inline(report.run.suite)}\n"] if is_named else []
    lines.append(f"| prompt | model | {' | '.join(OUTCOMES)} | pass rate | cost | p95 |")
    lines.append(f"|---|---|{'--:|' * (len(OUTCOMES) + 3)}")
    lines += [_row(target) for target in report.figures.targets[:MAX_TARGETS]]
    if len(report.figures.targets) > MAX_TARGETS:
        lines.append(f"\n… and {len(report.figures.targets) - MAX_TARGETS:,} more prompts and models")
    return "\n".join(lines) + "\n\n"


def _row(target: TargetFigures) -> str:
    counts = " | ".join(f"{target.counts[outcome]:,}" for outcome in OUTCOMES)
    figures = f"{percent(target.pass_rate)} | {dollars(target.cost_usd)} | {milliseconds(target.latency_ms.get('p95'))}"
    return f"| {inline(target.prompt)} | {inline(target.model)} | {counts} | {figures} |"


def _checks(report: RunReport) -> str:
    lines = ["| gate | wanted | found | |", "|---|---|---|---|"]
    for check in report.figures.checks[:MAX_TARGETS]:
        name = f"{check.scope}: {check.name}" if check.scope else check.name
        sign = "✅" if check.is_met else "❌"
        lines.append(f"| {inline(name)} | {plain(check.wanted)} | {plain(check.found)} | {sign} |")
    return "\n".join(lines) + "\n\n"


def _agreement(row: Mapping[str, Any]) -> str:
    """Return how far a judge agrees with people."""
    return plain(agreement_text(row))


def _failures(report: RunReport, is_named: bool) -> Iterator[str]:
    for outcome, title in _TOLD.items():
        count = sum(target.counts[outcome] for target in report.figures.targets)
        if not count:
            continue
        where = f" in {inline(report.run.suite)}" if is_named else ""
        yield f"### {title}: {count:,}{where}\n\n"
        told = 0
        for result in report.results:
            if result.outcome != outcome:
                continue
            if told == MAX_CASES:
                yield f"… and {count - told:,} more\n\n"
                break
            told += 1
            yield _case(report, result)


def _case(report: RunReport, result: CaseResult) -> str:
    names = " · ".join(inline(name) for name in (title_of(result), result.prompt, result.model))
    name, reason = reason_pieces(result)
    found = f'<span dir="auto">{plain(one_line(reason, 200))}</span>'
    parts = [f"<details><summary>{names}: {plain(name) + ' ' if name else ''}{found}</summary>\n"]
    for label, text in _texts(report, result):
        parts.append(f"{label}\n{block(text)}\n")
    return "\n".join(parts) + "\n</details>\n\n"


def _texts(report: RunReport, result: CaseResult) -> Iterator[tuple[str, str]]:
    """Yield label and text of what there is to see of a case."""
    case = result.case
    if result.error is not None:
        yield "error", result.error.message + (f"\nhint: {result.error.hint}" if result.error.hint else "")
    reasons = [f"{score.name}: {score.reason or score.outcome}" for score in news_of(result.scores)]
    if reasons:
        yield "reasons", "\n".join(reasons)
    if case.inputs:
        yield "inputs", value_text(dict(case.inputs))
    if case.expected_output is not None:
        yield "expected", value_text(case.expected_output)
    if result.answer is not None:
        yield "answer", answer_text(result.answer)
    if case.file:
        yield "where", f"{case.file}:{case.line}" if case.line else case.file
    yield "again", repeat_command(report.run, result)


def plain(text: str) -> str:
    """Return a text on one line in which nothing is markup, a mention or a link, for between words of ours."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", safe_cell(" ".join(text.split()))) or "–"


def inline(text: str) -> str:
    """Return a name as code, isolated from the direction of what is around it."""
    return f'<code dir="auto">{plain(one_line(text, 200))}</code>'


def block(text: str) -> str:
    """Return a text of many lines as it is."""
    # A leading newline would be swallowed by HTML, so there is always one.
    return f'<pre dir="auto">\n{escape(safe_text(cut(text, MAX_TEXT)), quote=False)}\n</pre>'
