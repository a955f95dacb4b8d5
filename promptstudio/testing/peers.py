"""What the workers of pytest-xdist tell each other of one suite: one evaluates it, the others read how its cases ended.

Below `.promptstudio/pytest/` one file of lines a session and suite, and one lock: whoever holds it writes. The system
drops the lock with its process, so another worker goes on where a dead one stopped.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptstudio.cache.locks import Claim

OLD_S = 24 * 3600.0


class Peers:
    """One suite of one session, as this worker sees it."""

    def __init__(self, state_dir: Path, session: str, suite: str) -> None:
        self._folder = state_dir / "pytest"
        self._lines = self._folder / f"{session}-{suite}.jsonl"
        self._claim = Claim(self._folder, f"{session}-{suite}.lock")
        self._offset = 0

    def lead(self) -> bool:
        """Try to become the one who evaluates."""
        if not self._claim.take():
            return False
        self._sweep()
        with self._lines.open("ab") as file:
            if file.tell():
                file.write(b"\n")  # ends a line that a dead worker had begun
        return True

    def let_go(self) -> None:
        self._claim.release()

    def tell(self, line: Any) -> None:
        """Add a line; only for who leads."""
        with self._lines.open("ab") as file:
            file.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")

    def read(self) -> Iterator[Any]:
        """Yield the whole lines that were added since the last look."""
        try:
            with self._lines.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):  # half a line of a dead worker: its case is evaluated again
                yield json.loads(line) if line else None

    def _sweep(self) -> None:
        for path in self._folder.glob("*.jsonl"):
            with contextlib.suppress(OSError):  # another worker was faster
                if time.time() - path.stat().st_mtime > OLD_S:
                    path.unlink()
