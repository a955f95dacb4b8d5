"""Runs → JUnit XML, as GitLab, Jenkins and others read it: one `testsuite` for each prompt with each model, and one
for the gate.

A `fail` is a failure; an `error` and an `unscored` are errors, told apart by their `type`; a `skipped` is skipped. That
nothing was there to judge is no failure, and it is not hidden either: a case that was not judged must not look green.
The elements and attributes are those of the schema of Jenkins' xUnit plugin (junit-10.xsd), no others.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC
from typing import IO, TextIO
from xml.sax.saxutils import escape, quoteattr

from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.against import Held, held_of, since_text
from promptstudio.evals.report.repeat import repeat_command
from promptstudio.evals.report.schema import RunReport, TargetFigures
from promptstudio.evals.report.texts import answer_text, cut, news_of, one_line, title_of, value_text
from promptstudio.output.terminal import safe_text

MAX_OUTPUT = 65_536
MAX_DETAIL = 8_192
MAX_MESSAGE = 500
_SPOOLED_BYTES = 1 << 20
_NO_CHARACTER = re.compile("[\ufffe\uffff]")
# Outcome → the element that says so.
_ELEMENTS = {"fail": "failure", "error": "error", "unscored": "error", "skipped": "skipped"}


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites')
    counts = [report.figures.counts for report in reports]
    gates = [_gate_cases(report) for report in reports]
    out.write(_attribute("name", "promptstudio"))
    out.write(_attribute("tests", sum(report.figures.count for report in reports) + sum(map(len, gates))))
    out.write(_attribute("failures", sum(each["fail"] for each in counts) + _count(gates, "failure")))
    out.write(_attribute("errors", sum(each["error"] + each["unscored"] for each in counts) + _count(gates, "error")))
    out.write(f"{_attribute('time', _seconds(sum(report.figures.duration_s for report in reports)))}>\n")
    for report, gate in zip(reports, gates, strict=True):
        _write_targets(report, out)
        _write_gate(report, gate, out)
    out.write("</testsuites>\n")


def _count(gates: Sequence[Sequence[tuple[str, str]]], element: str) -> int:
    return sum(f"<{element} " in body for gate in gates for _, body in gate)


def _write_targets(report: RunReport, out: TextIO) -> None:
    """Write the suites, each whole, in one pass: results come in the order they ended, and wait in temporary files."""
    held = held_of(report.run.totals)
    with ExitStack() as opened:
        waiting = {(target.prompt, target.model): opened.enter_context(_spool()) for target in report.figures.targets}
        for result in report.results:
            if (spool := waiting.get((result.prompt, result.model))) is not None:
                spool.write(_testcase(report, result, held))
        for target in report.figures.targets:
            _write_target(report, target, waiting[target.prompt, target.model], out)


def _spool() -> tempfile.SpooledTemporaryFile[str]:
    """Return a file that stays in memory as long as it is small."""
    return tempfile.SpooledTemporaryFile(_SPOOLED_BYTES, "w+", encoding="utf-8", errors="backslashreplace", newline="")


def _write_target(report: RunReport, target: TargetFigures, cases: IO[str], out: TextIO) -> None:
    run, counts = report.run, target.counts
    out.write(f"<testsuite{_attribute('name', f'{run.suite} · {target.prompt} · {target.model}')}")
    out.write(_attribute("tests", target.count) + _attribute("failures", counts["fail"]))
    out.write(_attribute("errors", counts["error"] + counts["unscored"]) + _attribute("skipped", counts["skipped"]))
    out.write(_attribute("time", _seconds(target.duration_s)) + _attribute("timestamp", _timestamp(report)))
    out.write(f"{_attribute('file', run.suite_file)}>\n<properties>\n")
    for name, value in _properties(report, target):
        out.write(f"<property{_attribute('name', name)}{_attribute('value', value)}/>\n")
    out.write("</properties>\n")
    cases.seek(0)
    while piece := cases.read(1 << 16):
        out.write(piece)
    out.write("</testsuite>\n")


def _properties(report: RunReport, target: TargetFigures) -> list[tuple[str, str]]:
    run = report.run
    found = [
        ("run", run.id),
        ("suite", run.suite),
        ("prompt", target.prompt),
        ("model", target.model),
        ("behavior", run.prompts.get(target.prompt)),
        ("commit", run.commit),
        ("pass_rate", None if target.pass_rate is None else f"{target.pass_rate:.4f}"),
        ("cost_usd", None if target.cost_usd is None else f"{target.cost_usd:f}"),
    ]
    return [(name, value) for name, value in found if value]


def _testcase(report: RunReport, result: CaseResult, held: Held | None) -> str:
    seconds = _seconds((result.latency_ms or 0.0) / 1000)
    head = f"<testcase{_attribute('name', title_of(result))}{_attribute('classname', _class_of(result))}"
    body = ""
    if (element := _ELEMENTS.get(result.outcome)) is not None:
        since = since_text(held, result)
        message = one_line(": ".join(filter(None, (since, result.reason or result.outcome))), MAX_MESSAGE)
        body = f"<{element}{_attribute('type', _type_of(result))}{_attribute('message', message)}>"
        body += f"{xml_text(_detail(report, result, since))}</{element}>\n"
    if result.answer is not None:
        body += f"<system-out>{xml_text(cut(_conversation(result), MAX_OUTPUT))}</system-out>\n"
    return f"{head}{_attribute('time', seconds)}>\n{body}</testcase>\n"


def _class_of(result: CaseResult) -> str:
    """Return prompt and model; Jenkins takes what stands before a dot for a package, so there is none."""
    return f"{result.prompt} [{result.model}]".replace(".", "_")


def _type_of(result: CaseResult) -> str:
    if result.error is not None:
        return result.error.kind
    if result.outcome == "fail":
        return next((score.name for score in news_of(result.scores)), "threshold")
    return result.outcome


def _detail(report: RunReport, result: CaseResult, since: str) -> str:
    """Return all there is to know of a case that is no pass."""
    case, parts = result.case, [since] if since else []
    if case.file:
        parts.append(f"{case.file}:{case.line}" if case.line else case.file)
    if result.error is not None:
        parts.append(result.error.message + (f"\nhint: {result.error.hint}" if result.error.hint else ""))
    parts += [f"{one.name}: {one.outcome}: {one.reason or 'no reason was given'}" for one in news_of(result.scores)]
    if not result.scores and result.error is None:
        parts.append(result.reason)
    if case.inputs:
        parts.append("inputs:\n" + cut(value_text(dict(case.inputs)), MAX_DETAIL))
    if case.expected_output is not None:
        parts.append("expected:\n" + cut(value_text(case.expected_output), MAX_DETAIL))
    if result.answer is not None:
        parts.append("answer:\n" + cut(answer_text(result.answer), MAX_DETAIL))
    parts.append("again:\n" + repeat_command(report.run, result))
    return "\n\n".join(parts)


def _conversation(result: CaseResult) -> str:
    if len(result.answers) < 2:
        return answer_text(result.answer) if result.answer is not None else ""
    return "\n\n".join(f"turn {number}:\n{answer_text(each)}" for number, each in enumerate(result.answers, 1))


def _gate_cases(report: RunReport) -> list[tuple[str, str]]:
    """Return name and content of a test for each limit of the gate, and of one for the run itself."""
    found = [
        (f"{check.scope}: {check.name}" if check.scope else check.name, _check_body(check))
        for check in report.figures.checks
    ]
    is_explained = report.figures.is_met or (
        report.run.exit_code in (1, 6) and any("<failure" in each for _, each in found)
    )
    kind = f"exit code {report.run.exit_code}" if report.run.exit_code is not None else "no end"
    sentence = report.figures.sentence
    message = one_line(sentence, MAX_MESSAGE)
    run = "" if is_explained else f"<error{_attribute('type', kind)}{_attribute('message', message)}/>\n"
    return [*found, ("the run reaches its end", f"{run}<system-out>{xml_text(sentence)}</system-out>\n")]


def _check_body(check: Check) -> str:
    """Return what was found: of a limit that is missed as a failure, of any other as output."""
    note = f" ({check.note})" if check.note else ""
    found = one_line(f"{check.name} {check.found}{note}, wanted {check.wanted}", MAX_MESSAGE)
    if not check.is_met:
        kind = "inconclusive" if check.is_inconclusive else "gate"
        scope = f"{check.scope}: " if check.scope else ""
        return f"<failure{_attribute('type', kind)}{_attribute('message', scope + found)}/>\n"
    return f"<system-out>{xml_text(f'unsure: {found}' if check.is_inconclusive else found)}</system-out>\n"


def _write_gate(report: RunReport, cases: Sequence[tuple[str, str]], out: TextIO) -> None:
    out.write(f"<testsuite{_attribute('name', f'{report.run.suite} · gate')}{_attribute('tests', len(cases))}")
    out.write(_attribute("failures", _count([cases], "failure")) + _attribute("errors", _count([cases], "error")))
    out.write(_attribute("skipped", 0) + _attribute("time", "0.000"))
    out.write(f"{_attribute('timestamp', _timestamp(report))}>\n")
    for name, body in cases:
        head = f"<testcase{_attribute('name', name)}{_attribute('classname', f'{report.run.suite} gate')}"
        out.write(f"{head}{_attribute('time', '0.000')}>\n{body}</testcase>\n")
    out.write("</testsuite>\n")


def xml_text(text: str) -> str:
    """Return text as XML 1.0 takes it: what it forbids is made visible, as is what would hide or reorder text."""
    return escape(_allowed(text))


def _attribute(name: str, value: object) -> str:
    return f" {name}={quoteattr(_allowed(str(value)))}"


def _allowed(text: str) -> str:
    return _NO_CHARACTER.sub(lambda match: f"\\u{ord(match[0]):04x}", safe_text(text))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _timestamp(report: RunReport) -> str:
    """Return when the run began, in UTC and without a zone, as the format has it."""
    return report.run.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
