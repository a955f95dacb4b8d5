"""Runs → JSON Lines of flat rows: `pandas.read_json(file, lines=True, dtype=False)`, DuckDB, Polars and jq read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from promptstudio.evals.report.data import line_of
from promptstudio.evals.report.rows import table_of
from promptstudio.evals.report.schema import RunReport


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    for row in table_of(reports).rows():
        out.write(line_of(row) + "\n")
