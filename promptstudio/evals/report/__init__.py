"""Runs → reports: files in the formats of `formats.py`, a summary and annotations where GitHub Actions shows them.

--report texts → requests → (each run → figures) → one document a request
"""

from __future__ import annotations

from promptstudio.evals.report.request import report_requests
from promptstudio.evals.report.runner import report_of, write_reports
from promptstudio.evals.report.schema import Figures, Reporter, ReportRequest, RunReport, TargetFigures

__all__ = [
    "Figures",
    "ReportRequest",
    "Reporter",
    "RunReport",
    "TargetFigures",
    "report_of",
    "report_requests",
    "write_reports",
]
