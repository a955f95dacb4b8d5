"""Every run, remembered: `open_history(settings)` gives a `History`; see docs/history.md."""

from promptstudio.history.schema import (
    EvaluationRow,
    Filters,
    Found,
    Health,
    HistoryRow,
    Pruned,
    RequestRow,
    ResponseRow,
    RowDetail,
    Snippet,
)
from promptstudio.history.store import History, open_history, preload

__all__ = [
    "EvaluationRow",
    "Filters",
    "Found",
    "Health",
    "History",
    "HistoryRow",
    "Pruned",
    "RequestRow",
    "ResponseRow",
    "RowDetail",
    "Snippet",
    "open_history",
    "preload",
]
