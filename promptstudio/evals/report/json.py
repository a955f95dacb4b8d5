"""Runs → one JSON object that holds everything. Its keys are a contract; see docs/reports.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from promptstudio.evals.report.data import FORMAT, VERSION, line_of, result_object, run_object
from promptstudio.evals.report.schema import RunReport


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    """Write one line a case, so that the file streams out, and a person or `diff` can read it."""
    out.write(f'{{"format": "{FORMAT}", "version": {VERSION}, "runs": [')
    for index, report in enumerate(reports):
        out.write(",\n" if index else "\n")
        out.write(line_of(run_object(report))[:-1] + ', "results": [')
        for number, result in enumerate(report.results):
            out.write((",\n" if number else "\n") + line_of(result_object(result)))
        out.write("\n]}")
    out.write("\n]}\n")
