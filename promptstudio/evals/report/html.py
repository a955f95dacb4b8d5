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
from html import escape
from importlib.resources import files
from typing import Any, TextIO, cast

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.data import Data, line_of, result_object, run_object, suites_of, without_nothing
from promptstudio.evals.report.repeat import repeat_command
from promptstudio.evals.report.schema import RunReport
from promptstudio.output.terminal import safe_cell

MAX_TEXT = 100_000
"""Characters of one text on the page. One that is longer is cut, and says so."""
CHUNK = 250
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
    verdict = "gate met" if all(report.figures.is_met for report in reports) else "gate missed"
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
    yield _element("runs", [run_object(report) for report in reports])
    for number, report in enumerate(reports):
        chunk: list[Data] = []
        for result in report.results:
            chunk.append(_row(number, report, result))
            if len(chunk) == CHUNK:
                yield _element("results", chunk)
                chunk = []
        if chunk:
            yield _element("results", chunk)


def _element(kind: str, value: Any) -> str:
    return f'<script type="application/json" data-kind="{kind}">{line_of(value).translate(_ESCAPED)}</script>\n'


def _row(number: int, report: RunReport, result: CaseResult) -> Data:
    data = result_object(result)
    data["case"] = without_nothing(data["case"])
    data["scores"] = [_score(score, data["answer"]) for score in data["scores"]]
    data["answer"] = without_nothing(data["answer"]) if data["answer"] else None
    data["earlier_answers"] = [without_nothing({**each, "messages": None}) for each in data["earlier_answers"]]
    data["again"] = repeat_command(report.run, result)
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
