"""Runs → JSON Lines: one line a case (`"type": "case"`), and after the cases of a run one for it (`"type": "run"`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from promptstudio.evals.report.data import VERSION, line_of, result_object, run_object
from promptstudio.evals.report.schema import RunReport


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    for report in reports:
        run = {"run": report.run.id, "suite": report.run.suite}
        for result in report.results:
            out.write(line_of({"type": "case", **run, **result_object(result)}) + "\n")
        out.write(line_of({"type": "run", "version": VERSION, **run_object(report)}) + "\n")
