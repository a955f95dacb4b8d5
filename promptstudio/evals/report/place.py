"""Where a report goes: a file replaced as a whole, or a file of others that a text is added to."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replaced_file(path: Path) -> Iterator[TextIO]:
    """Open a stream whose text takes the file's place at the end, or, where something fails, not at all.

    Who reads meanwhile sees the old file. What is no regular file, such as /dev/stdout or a pipe, is written as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
        return
    target = path.resolve()
    temporary = target.with_name(f".ps-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def added_text(path: Path, text_for: Callable[[int | None], str], max_bytes: int | None) -> None:
    """Add a text at the end of a file; `text_for` is told how many bytes there is room for."""
    used = path.stat().st_size if path.is_file() else 0
    text = text_for(None if max_bytes is None else max(0, max_bytes - used))
    with path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        stream.write(text)
