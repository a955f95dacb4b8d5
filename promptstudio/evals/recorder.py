"""The calls of an evaluation on their way into the history: many ended runs at once, before their results are."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from promptstudio.history import History, RequestRow, ResponseRow
from promptstudio.history.many import EndedRun
from promptstudio.types import Attempt, Status


class BatchedHistory:
    """Takes what a runner records, and gives it to the history when it is told to.

    A request is not in the history before it has ended: a case that was killed is asked again anyway.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._open: dict[str, RequestRow] = {}
        self._ended: list[EndedRun] = []
        self._lock = threading.Lock()

    def begin(self, row: RequestRow) -> str:
        with self._lock:
            self._open[row.id] = row
        return row.id

    def finish(
        self, row_id: str, response: ResponseRow, attempts: Iterable[Attempt] = (), status: Status = "completed"
    ) -> bool:
        with self._lock:
            row = self._open.pop(row_id, None)
            if row is not None:
                self._ended.append(EndedRun(row, response, tuple(attempts), status))
        return row is not None

    def flush(self) -> None:
        """Store what has ended. Raises HistoryError; then nothing of it is lost, and the next flush tries again."""
        with self._lock:
            taken, self._ended = self._ended, []
        if not taken:
            return
        try:
            self.history.add_ended(taken)
        except BaseException:
            with self._lock:
                self._ended = taken + self._ended
            raise
