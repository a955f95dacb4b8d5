"""`7d`, `12h`, `2026-11-01`, `2026-11-01T09:30` → a moment. For filters of the history."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from promptstudio.errors import UsageError

_AGE = re.compile(r"(\d{1,6})\s*(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_from(text: str, option: str, now: datetime) -> datetime:
    """Return the moment in UTC. An age counts back from `now`; a date without a zone is in this machine's."""
    age = _AGE.fullmatch(text.strip())
    try:
        if age:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        hint = "write an age such as 30m, 12h, 7d or 4w, or a date such as 2026-11-01"
        raise UsageError(f"{option}: {text[:40]!r} is no time", hint=hint) from error
