"""Runs → one HTML page that needs nothing else: its style, its script and the results are in it.

Results stand in it as JSON in which `<` is escaped, and the script shows them as text, never as markup. A content
security policy names the one script and the one style by their hashes and forbids everything else, so that nothing a
model wrote can run, and the page asks no server for anything.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import Any, TextIO, cast

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.against import Held, held_of
from promptstudio.evals.report.data import Data, line_of, result_object, run_object, suites_of, without_nothing
from promptstudio.evals.report.repeat import repeat_command
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.report.sure import confidence_of, judged_by, repeated_figures, sure_figures
from promptstudio.evals.trend import TrendPoint
from promptstudio.output.terminal import safe_cell

MAX_TEXT = 100_000
"""Characters of one text on the page. One that is longer is cut, and says so."""
CHUNK = 250
MAX_ROWS = 100
_ASSETS = files("promptstudio.evals.report") / "assets"
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    before, after = _page(reports)
    out.write(before)
    for piece in _data(reports):
        out.write(piece)
    out.write(after)


def _page(reports: Sequence[RunReport]) -> tuple[str, str]:
    """Return what stands before the data, and what after it."""
    style, script = _asset("report.css"), _asset("report.js")
    sentences = "; ".join(f"{report.run.suite}: {report.figures.sentence}" for report in reports)
    values = {
        "POLICY": _policy(script, style),
        "TITLE": escape(safe_cell(_title(reports))),
        "SENTENCE": escape(safe_cell(sentences)),
        "STYLE": style,
        "SCRIPT": script,
    }
    before, after = _asset("report.html").split("%%DATA%%")
    return _filled(before, values), _filled(after, values)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return re.sub("%%([A-Z]+)%%", lambda match: values[match[1]], template)


def _title(reports: Sequence[RunReport]) -> str:
    is_met = all(report.figures.is_met for report in reports)
    verdict = " and ".join(dict.fromkeys(report.met_words for report in reports)) if is_met else "gate missed"
    return f"{suites_of(reports)}: {verdict}"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _policy(script: str, style: str) -> str:
    allowed = {"script-src": script, "style-src": style}
    hashes = " ".join(f"{source} 'sha256-{_sha256(text)}';" for source, text in allowed.items())
    return f"default-src 'none'; {hashes} img-src data:; base-uri 'none'; form-action 'none'"


def _sha256(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _data(reports: Sequence[RunReport]) -> Iterator[str]:
    """Yield the elements that hold the data: the runs, and results some at a time."""
    yield _element("runs", [_run(report) for report in reports])
    for number, report in enumerate(reports):
        held = held_of(report.run.totals)
        chunk: list[Data] = []
        for result in report.results:
            chunk.append(_row(number, report, result, held))
            if len(chunk) == CHUNK:
                yield _element("results", chunk)
                chunk = []
        if chunk:
            yield _element("results", chunk)


def _run(report: RunReport) -> Data:
    more = {"met_words": report.met_words, "trend": _trend(report), "shown": _shown(report)}
    return {**run_object(report), **more}


def _trend(report: RunReport) -> list[Data]:
    """Return the points of the plot; one alone is no trend."""
    points = list(report.trend)
    return [_point(point) for point in points] if len(points) > 1 else []


def _point(point: TrendPoint) -> Data:
    run = point.run
    return {
        "id": run.id,
        "at": run.created_at.isoformat(),
        "commit": run.commit,
        "dirty": run.dirty,
        "pass_rate": dict(point.pass_rate),
        "metrics": {name: dict(figure) for name, figure in point.metrics.items()},
    }


def _element(kind: str, value: Any) -> str:
    return f'<script type="application/json" data-kind="{kind}">{line_of(value).translate(_ESCAPED)}</script>\n'


def _shown(report: RunReport) -> Data:
    """Return what the page says of how sure the figures are, in the words of the other reports."""
    totals = report.run.totals
    held = held_of(totals)
    return {
        "confidence": confidence_of(totals),
        "figures": [asdict(row) for row in sure_figures(totals)[:MAX_ROWS]],
        "repeats": [asdict(row) for row in repeated_figures(totals)[:MAX_ROWS]],
        "judged": [asdict(row) for row in judged_by(report)],
        "held": _held(held) if held is not None else None,
    }


def _held(held: Held) -> Data:
    return {
        "named": held.named,
        "run": held.run,
        "commit": held.commit,
        "confidence": held.confidence,
        "broke": held.count("broke"),
        "mended": held.count("mended"),
        "new_prompts": list(held.new_prompts),
        "pairings": [asdict(pairing) for pairing in held.pairings[:MAX_ROWS]],
    }


def _row(number: int, report: RunReport, result: CaseResult, held: Held | None) -> Data:
    data = result_object(result)
    data["case"] = without_nothing(data["case"])
    data["scores"] = [_score(score, data["answer"]) for score in data["scores"]]
    data["answer"] = without_nothing(data["answer"]) if data["answer"] else None
    data["earlier_answers"] = [without_nothing({**each, "messages": None}) for each in data["earlier_answers"]]
    data["again"] = repeat_command(report.run, result)
    if held is not None and (flip := held.flip_of(result)) is not None:
        data |= {"since": flip.side, "change": flip.change}
    return cast("Data", _short({"run": number, **without_nothing(data)}))


def _score(score: Data, answer: Data | None) -> Data:
    """Leave out what nobody is shown: what a score expected that passed, and a found text that is the answer itself."""
    left_out = {"expected": None, "actual": None} if score["outcome"] == "pass" else {}
    if answer is not None and score["actual"] in (answer["text"], answer["output"]):
        left_out["actual"] = None
    return without_nothing({**score, **left_out, "children": [_score(child, answer) for child in score["children"]]})


def _short(value: Any) -> Any:
    """Cut texts nobody reads on a page to their beginning."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else _cut(value)
    if isinstance(value, dict):
        return {key: _short(part) for key, part in value.items()}
    return [_short(part) for part in value] if isinstance(value, list | tuple) else value


def _cut(text: str) -> str:
    return f"{text[:MAX_TEXT]}\n… {len(text) - MAX_TEXT:,} more characters are in the json report"
