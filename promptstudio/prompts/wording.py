"""Values and names as they appear in messages: short, printable, with the nearest known name."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

MAX_SHOWN = 60
_JSON_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None where none is close. Cheap whatever is asked."""
    names = [item for item in known if len(item) <= 100][:5000]
    if not name or len(name) > 100:
        return None
    folded = {_folded(item): item for item in reversed(names)}
    if _folded(name) in folded:
        return folded[_folded(name)]
    longer = [item for short, item in folded.items() if len(name) > 2 and short.startswith(_folded(name))]
    if len(longer) == 1:
        return longer[0]
    close = difflib.get_close_matches(_folded(name), folded, 1, cutoff=0.6)
    return folded[close[0]] if close else None


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", unicodedata.normalize("NFKC", name).casefold())


def suggestion(name: str, known: Iterable[str], *, otherwise: str = "known") -> str:
    """Return `did you mean 'x'?`, or the list of what is known."""
    names = list(known)
    if close := nearest(name, names):
        return f"did you mean {close!r}?"
    listed = ", ".join(names[:24]) + (", …" if len(names) > 24 else "")
    return f"{otherwise}: {listed}"


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Return text in quotes for a message: cut, control and direction-changing characters made visible."""
    cut = text[:limit]
    visible = "".join(_visible(character) for character in cut)
    return f"'{visible}{'…' if len(text) > limit else ''}'"


def _visible(character: str) -> str:
    if character == "\n":
        return "\\n"
    if unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp") and character not in "\u200c\u200d":
        return f"\\u{ord(character):04x}"
    return character


def found(value: Any) -> str:
    """Return what a value is, in words: `the text 'abc'`, `a list`, `nothing (null)`."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, int | float):
        return f"the number {str(value)[:MAX_SHOWN]}"
    if isinstance(value, list | tuple):
        return "a list"
    return "a map" if isinstance(value, dict) else f"a {type(value).__name__}"


def type_in_words(names: str | Iterable[str]) -> str:
    """Return a JSON Schema `type` in words: `a number or null`."""
    listed = [names] if isinstance(names, str) else list(names)
    return " or ".join(_JSON_TYPES.get(str(name), str(name)) for name in listed)


def dotted(path: Iterable[str | int]) -> str:
    """Return a value path as people write it: `messages[0].content`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
