"""A database error and where it happened → a `HistoryError` that says what to do. No password ever passes through."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from promptstudio.errors import HistoryError

ELSEWHERE = "set PROMPTSTUDIO_HISTORY_URL to a place you can write to, or use --no-history"
_PASSWORD = re.compile(
    r"(?P<before>://[^/@\s:]*:)[^@\s]*(?=@)|(?P<key>[?&;](?:password|pwd|passfile|sslpassword)=)[^&\s]*"
)

# What SQLite says (a part of it, lower case) → what is wrong, and what to do about it.
SQLITE_FACTS: tuple[tuple[str, str, str], ...] = (
    (
        "file is not a database",
        "is not a SQLite database",
        "move the file away, or set PROMPTSTUDIO_HISTORY_URL to another place",
    ),
    (
        "malformed",
        "is damaged",
        "keep a copy, then try `sqlite3 FILE .recover`; moving the file away starts a new history",
    ),
    ("database or disk is full", "cannot grow: the disk is full", "free some space, or use --no-history"),
    ("readonly database", "is read-only", ELSEWHERE),
    ("read-only", "is read-only", ELSEWHERE),
    ("unable to open", "cannot be opened", ELSEWHERE),
    (
        "disk i/o error",
        "cannot be used: the disk has an error or is full",
        "check the disk, or use --no-history",
    ),
    ("locked", "is kept locked by another program", "close the program that holds it, then try again"),
    ("no such module: fts5", "has a full-text index, which this Python's SQLite lacks", "use a Python with FTS5"),
)


def without_password(text: str) -> str:
    """Blank out what stands where a URL has its password."""
    return _PASSWORD.sub(lambda found: f"{found['before'] or found['key']}***", text)


def sqlite_failure(error: sqlite3.Error | OSError, path: Path) -> HistoryError:
    """Say what a failing SQLite file means for the user; unknown complaints are quoted."""
    words = str(error).lower()
    for part, fact, hint in SQLITE_FACTS:
        if part in words:
            return HistoryError(f"the history {fact}", file=str(path), hint=hint.replace("FILE", str(path)))
    return HistoryError(f"the history failed: {error}", file=str(path), hint="`ps doctor` checks the history")


def foreign_file(path: Path, tables: list[str]) -> HistoryError:
    shown = ", ".join(tables[:3]) + (", …" if len(tables) > 3 else "") or "none"
    return HistoryError(
        f"is a SQLite database of another program (tables: {shown})",
        file=str(path),
        hint="set PROMPTSTUDIO_HISTORY_URL to another file",
    )


def newer_schema(place: str, found: int, known: int) -> HistoryError:
    return HistoryError(
        f"written by a newer PromptStudio (schema {found}; this one knows {known})",
        file=place,
        hint="upgrade: pip install --upgrade promptstudio",
    )
