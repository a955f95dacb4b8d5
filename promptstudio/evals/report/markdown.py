"""Runs → Markdown for a pull request or the summary of a CI step: what to conclude, what broke since the baseline,
tables of figures, and what failed, folded.

What people and models wrote cannot become markup: names are HTML entities inside `<code>`, longer texts HTML inside
`<pre>`, which no backtick or pipe ends and in which no @name is a mention. Both have `dir="auto"`, so Arabic and Hebrew
read from the right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TextIO

from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.against import Flip, Held, Pairing, held_of, target_of
from promptstudio.evals.report.repeat import repeat_command
from promptstudio.evals.report.schema import RunReport, TargetFigures
from promptstudio.evals.report.sure import Judged, confidence_of, judged_by, repeated_figures, sure_figures
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
MAX_OPEN = 10
"""Flips that stand open; more are folded."""
MAX_FLIPS = 100
MAX_FIGURES = 100
HEAD_END = "<!-- promptstudio: tables -->\n\n"
"""Stands between verdict and flips, and the tables. No text of others can look like it: they have no `<`."""
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
    """Yield pieces that may be followed by nothing: verdicts of all runs and their flips, tables, then what failed."""
    for report in reports:
        yield _verdict(report)
    for report in reports:
        yield from _flips(report, len(reports) > 1)
    yield HEAD_END
    for report in reports:
        yield _table(report, len(reports) > 1)
        if report.figures.checks:
            yield _checks(report)
        yield from _sure(report)
    for report in reports:
        yield from _failures(report, len(reports) > 1)


def _verdict(report: RunReport) -> str:
    sign, word = ("✅", report.met_words) if report.figures.is_met else ("❌", _why(report))
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
    words = {2: "cannot be judged", 3: "provider failed", 5: "nothing judged", 6: "inconclusive"}
    return words.get(report.run.exit_code or 0, "gate missed")


def _flips(report: RunReport, is_named: bool) -> Iterator[str]:
    """Yield what broke since the baseline, with reasons and how to ask again, and then what was mended."""
    held = held_of(report.run.totals)
    if held is None:
        return
    where = f" in {inline(report.run.suite)}" if is_named else ""
    if count := held.count("broke"):
        yield f"### 🔻 Broke since {inline(held.named)}{where}: {count:,}\n\n"
        flips = list(held.flips("broke"))[:MAX_FLIPS]
        newest = _results_of(report, flips)
        items = [_broken(report, held, flip, newest.get((flip.target, flip.case))) for flip in flips]
        yield "".join(items[:MAX_OPEN]) + "\n"
        if items[MAX_OPEN:]:
            yield _folded(f"{len(items) - MAX_OPEN:,} more", "".join(items[MAX_OPEN:]))
        if count > len(items):
            yield f"… and {count - len(items):,} more that are not listed\n\n"
    if count := held.count("mended"):
        yield _mended(held, count, where)


def _results_of(report: RunReport, flips: Iterable[Flip]) -> dict[tuple[str, str], CaseResult]:
    """Return the result of each flip; where a case was asked more than once, the first that did not pass."""
    wanted = {(flip.target, flip.case) for flip in flips}
    found: dict[tuple[str, str], CaseResult] = {}
    for result in report.results if wanted else ():
        key = (target_of(result), result.case.id)
        if key in wanted and (key not in found or found[key].outcome == "pass" != result.outcome):
            found[key] = result
    return found


def _broken(report: RunReport, held: Held, flip: Flip, result: CaseResult | None) -> str:
    names = _names(held, flip)
    if result is None:
        return f"- {names}: {flip.change}\n"
    change = "" if flip.change == "pass → fail" else f" {flip.change}:"
    again = block(repeat_command(report.run, result)).replace("\n", "\n  ")
    return f"- {names}:{change} {_reason(result)}\n  {again}\n"


def _names(held: Held, flip: Flip) -> str:
    return " · ".join(map(inline, (flip.case, flip.target) if held.is_several else (flip.case,)))


def _reason(result: CaseResult) -> str:
    name, reason = reason_pieces(result)
    return f'{plain(name) + " " if name else ""}<span dir="auto">{plain(one_line(reason, 200))}</span>'


def _mended(held: Held, count: int, where: str) -> str:
    flips = list(held.flips("mended"))[:MAX_FLIPS]
    items = [f"{_names(held, flip)}{'' if flip.change == 'fail → pass' else f' ({flip.change})'}" for flip in flips]
    more = f" and {count - len(items):,} more" if count > len(items) else ""
    title = f"🔺 Mended since {inline(held.named)}{where}: {count:,}"
    if len(items) > MAX_OPEN:
        return _folded(title, f"{', '.join(items)}{more}\n")
    return f"**🔺 Mended since** {inline(held.named)}{where}: {', '.join(items)}{more}\n\n"


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n</details>\n\n"


def _sure(report: RunReport) -> Iterator[str]:
    """Yield the figures with their intervals, the baseline beside them where there is one, and who judged."""
    totals = report.run.totals
    held = held_of(totals)
    if held is not None:
        yield _compared(held)
        yield from _left_out(held)
    if rows := sure_figures(totals):
        table = _lines(
            ("of", "figure", "value", f"{confidence_of(totals)} interval", "cases"),
            ((row.target or "all", row.name, row.value, row.interval, row.cases) for row in rows[:MAX_FIGURES]),
        )
        is_long = held is not None or len(rows) > MAX_OPEN
        yield _folded(f"figures of this run, with {confidence_of(totals)} intervals", table) if is_long else table
    for row in repeated_figures(totals)[:MAX_FIGURES]:
        figures = " · ".join(f"{plain(name)} {value}" for name, value in row.figures)
        yield f"repeats{' of ' + inline(row.target) if row.target else ''}: {figures}\n\n"
    if judges := judged_by(report):
        lines = "".join(f"- {_judged(row)}\n" for row in judges)
        yield _folded(f"who judged: {len(judges):,}", lines) if len(judges) > MAX_OPEN else f"{lines}\n"


def _compared(held: Held) -> str:
    header = ("figure", held.named, "now", "difference", f"{held.confidence} interval", "verdict")
    rows = [
        (*((pairing.target,) if held.is_several else ()), *_cells(pairing, number))
        for pairing in held.pairings
        for number in range(len(pairing.figures))
    ]
    shown = _lines((*(("of",) if held.is_several else ()), *header), rows[:MAX_FIGURES]) if rows else ""
    return shown or f"Nothing could be compared with {inline(held.named)}.\n\n"


def _cells(pairing: Pairing, number: int) -> tuple[str, ...]:
    one = pairing.figures[number]
    sign = {"improved": "🔺 ", "regressed": "🔻 ", "inconclusive": "⚠️ "}.get(one.kind, "")
    return one.name, one.baseline, one.now, one.difference, one.interval, sign + one.verdict


def _left_out(held: Held) -> Iterator[str]:
    """Yield what was not compared, and why."""
    lines = []
    for pairing in held.pairings[:MAX_TARGETS]:
        of = f"{inline(pairing.target)}: " if held.is_several else ""
        lines += [f"{of}{inline(name)} is not compared: {plain(why)}" for name, why in pairing.refused.items()]
        for one in pairing.unmatched:
            more = [f"{one.more:,} more"] if one.more else []
            lines.append(f"{of}{plain(one.said)}: {', '.join([*map(inline, one.cases), *more])}")
    lines += [f"{inline(prompt)} is new, and is compared with nothing" for prompt in held.new_prompts[:MAX_TARGETS]]
    if lines:
        yield "".join(f"- {line}\n" for line in lines) + "\n"


def _judged(row: Judged) -> str:
    said = f"{inline(row.judge)} on {inline(row.metric)}" if row.judge else inline(row.metric)
    engine = f"{plain(row.engine)}{', settings ' + inline(row.settings[:12]) if row.settings else ''}"
    facts = [plain(row.agreement) if row.agreement else "", f"engine {engine}" if row.engine else ""]
    return f"{said}: {' · '.join(filter(None, facts)) or '–'}"


def _lines(header: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every cell is isolated from the direction of the others."""
    titles = [_cell(title) for title in header]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n\n"


def _cell(text: str) -> str:
    shown = plain(one_line(text, 200))
    return shown if text.isascii() else f'<span dir="auto">{shown}</span>'


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
        found = f"{check.found} ({check.note})" if check.note else check.found
        lines.append(f"| {inline(name)} | {plain(check.wanted)} | {plain(found)} | {_sign(check)} |")
    return "\n".join(lines) + "\n\n"


def _sign(check: Check) -> str:
    return "❌" if not check.is_met else "⚠️ unsure" if check.is_inconclusive else "✅"


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
    parts = [f"<details><summary>{names}: {_reason(result)}</summary>\n"]
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
