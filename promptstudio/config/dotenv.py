"""The text of a .env file → a mapping. KEY=VALUE lines only: nothing is expanded, nothing is executed."""

from __future__ import annotations

import re

from promptstudio.errors import ConfigError, Problem

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def read_dotenv(text: str, *, file: str) -> dict[str, str]:
    """Return the variables. A value may be quoted; ` #` starts a comment after an unquoted one."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        value = _unquoted(match[2]) if match else None
        if match is None or value is None:
            # The line is not shown: it may hold a key.
            hint = 'write NAME=value on one line, with "quotes" around a value that needs them'
            problems.append(Problem("this line is not NAME=value", file=file, line=number, hint=hint))
        else:
            values[match[1]] = value
    if problems:
        raise ConfigError(problems)
    return values


def _unquoted(text: str) -> str | None:
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        rest = text[end + 1 :].strip()
        return None if end < 0 or (rest and not rest.startswith("#")) else text[1:end]
    return re.split(r"\s#", text, maxsplit=1)[0].strip()
