"""A report → HTML for a notebook's cell. All text is escaped, there is no script and no request, and any script reads
in its own direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import islice

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.against import Compared, Flip, Held, held_of, target_of
from promptstudio.evals.report.schema import RunReport, TargetFigures
from promptstudio.evals.report.sure import confidence_of, judged_by, repeated_figures, sure_figures
from promptstudio.evals.report.texts import answer_text, cut, dollars, milliseconds, percent, title_of
from promptstudio.output.terminal import safe_text

SHOWN_FAILURES = 20
MAX_TEXT = 600
_MARKS = {"pass": "✓", "fail": "✗", "error": "!", "unscored": "?", "skipped": "–"}
# Colors that keep their contrast on light and dark ground; everything else is the notebook's own.
_GOOD, _BAD = "#2e8b57", "#d0413e"
_CELL = 'dir="auto" style="text-align:start;vertical-align:top;padding:2px 10px"'


def report_html(report: RunReport, sentence: str, *, is_met: bool) -> str:
    """Return what broke since the baseline, the figures, a table of the targets, and the first of what is not good."""
    color = _GOOD if is_met else _BAD
    bad = list(islice((one for one in report.results if one.outcome not in ("pass", "skipped")), SHOWN_FAILURES + 1))
    verdict = f'<span style="color:{color}">{_MARKS["pass" if is_met else "fail"]} {_text(sentence)}</span>'
    parts = [
        '<div class="promptstudio-report">',
        f'<p dir="auto"><strong>{_text(report.run.suite)}</strong> {verdict}</p>',
        *_against(report),
        *_sure(report),
        _table(
            ("prompt", "model", *report.figures.counts, "pass rate", "cost", "p95"),
            map(_target, report.figures.targets),
        ),
    ]
    if bad:
        parts.append(_table(("", "case", "prompt · model", "why", "answer"), map(_failure, bad[:SHOWN_FAILURES])))
    if len(bad) > SHOWN_FAILURES:
        parts.append(f"<p>The first {SHOWN_FAILURES} of what is not good; <code>report.failures()</code> has all.</p>")
    parts.append(f"<p><small>run {_text(report.run.id)}</small></p></div>")
    return "".join(parts)


def _against(report: RunReport) -> Iterator[str]:
    """Yield what broke and was mended since the baseline, and each figure beside it."""
    held = held_of(report.run.totals)
    if held is None:
        return
    if broke := list(islice(held.flips("broke"), SHOWN_FAILURES)):
        wanted = {(flip.target, flip.case) for flip in broke}
        flipped = (one for one in report.results if (target_of(one), one.case.id) in wanted and one.outcome != "pass")
        reasons = {(target_of(one), one.case.id): one.reason for one in flipped}
        more = f" (the first {len(broke)})" if held.count("broke") > len(broke) else ""
        yield f'<p dir="auto">Broke since {_text(held.named)}: {held.count("broke"):,}{more}</p>'
        yield _table(("case", "prompt · model", "change", "why"), (_flip(flip, reasons) for flip in broke))
    if mended := list(islice(held.flips("mended"), SHOWN_FAILURES)):
        names = ", ".join(f"<bdi>{_text(flip.case)}</bdi>" for flip in mended)
        more = f" and {held.count('mended') - len(mended):,} more" if held.count("mended") > len(mended) else ""
        yield f'<p dir="auto">Mended since {_text(held.named)}: {names}{more}</p>'
    yield _table(
        ("of", "figure", held.named, "now", "difference", f"{held.confidence} interval", "verdict"),
        ((pairing.target, *_compared(one)) for pairing in held.pairings for one in pairing.figures),
    )
    yield from _left_out(held)


def _flip(flip: Flip, reasons: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
    return flip.case, flip.target, flip.change, cut(reasons.get((flip.target, flip.case), ""), MAX_TEXT)


def _compared(one: Compared) -> tuple[str, ...]:
    return one.name, one.baseline, one.now, one.difference, one.interval, one.verdict


def _left_out(held: Held) -> Iterator[str]:
    for pairing in held.pairings:
        for name, why in pairing.refused.items():
            yield f'<p dir="auto">{_text(f"{name} is not compared with {held.named}: {why}")}</p>'
        for one in pairing.unmatched:
            named = [*one.cases, *([f"{one.more:,} more"] if one.more else [])]
            yield f'<p dir="auto">{_text(f"{one.said}: " + ", ".join(named))}</p>'


def _sure(report: RunReport) -> Iterator[str]:
    """Yield each figure with its interval, and who judged."""
    totals = report.run.totals
    if rows := sure_figures(totals):
        header = ("of", "figure", "value", f"{confidence_of(totals)} interval", "cases")
        yield _table(header, ((row.target or "all", row.name, row.value, row.interval, row.cases) for row in rows))
    for row in repeated_figures(totals):
        said = ", ".join(f"{name} {value}" for name, value in row.figures)
        yield f"<p>{_text(f'{row.target}: {said}' if row.target else said)}</p>"
    if judged := judged_by(report):
        rows_of = ((one.metric, one.judge, one.engine, one.agreement) for one in judged)
        yield _table(("metric", "judge", "engine", "agreement with people"), rows_of)


def _target(one: TargetFigures) -> tuple[str, ...]:
    return (
        one.prompt,
        one.model,
        *(f"{count:,}" for count in one.counts.values()),
        percent(one.pass_rate),
        dollars(one.cost_usd),
        milliseconds(one.latency_ms.get("p95")),
    )


def _failure(result: CaseResult) -> tuple[str, ...]:
    answer = answer_text(result.answer) if result.answer is not None else ""
    return (
        f"{_MARKS[result.outcome]} {result.outcome}",
        title_of(result),
        f"{result.prompt} · {result.model}",
        cut(result.reason, MAX_TEXT),
        cut(answer, MAX_TEXT),
    )


def _table(header: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th {_CELL}>{_text(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td {_CELL}>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    """Escape a text; what would move or hide other text is made visible, lines stay lines."""
    return escape(safe_text(text)).replace("\n", "<br>")
