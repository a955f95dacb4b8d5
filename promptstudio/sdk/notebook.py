"""A report → HTML for a notebook's cell. All text is escaped, there is no script and no request, and any script reads
in its own direction."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.schema import RunReport, TargetFigures
from promptstudio.evals.report.texts import answer_text, cut, dollars, milliseconds, percent, title_of
from promptstudio.output.terminal import safe_text

SHOWN_FAILURES = 20
MAX_TEXT = 600
_MARKS = {"pass": "✓", "fail": "✗", "error": "!", "unscored": "?", "skipped": "–"}
# Colors that keep their contrast on light and dark ground; everything else is the notebook's own.
_GOOD, _BAD = "#2e8b57", "#d0413e"
_CELL = 'dir="auto" style="text-align:start;vertical-align:top;padding:2px 10px"'


def report_html(report: RunReport, sentence: str, *, is_met: bool) -> str:
    """Return a table of the targets, and the first of what is not good."""
    color = _GOOD if is_met else _BAD
    bad = list(islice((one for one in report.results if one.outcome not in ("pass", "skipped")), SHOWN_FAILURES + 1))
    verdict = f'<span style="color:{color}">{_MARKS["pass" if is_met else "fail"]} {_text(sentence)}</span>'
    parts = [
        '<div class="promptstudio-report">',
        f'<p dir="auto"><strong>{_text(report.run.suite)}</strong> {verdict}</p>',
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
