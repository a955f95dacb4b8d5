"""A list or map as Python or numpy prints it → plain data. Nothing is evaluated; a ValueError says what is wrong."""

from __future__ import annotations

import ast
import io
import math
import tokenize
from typing import Any

MAX_LENGTH = 4 << 20
_MAX_DEPTH = 40


def literal(text: str) -> Any:
    """Return the data; items that numpy prints without commas are items, not one text.

    >>> literal("['a', 'b']"), literal("['a' 'b']"), literal("{'k': [1, None]}")
    (['a', 'b'], ['a', 'b'], {'k': [1, None]})
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"more than {MAX_LENGTH:,} characters")
    try:
        value = ast.literal_eval(_with_commas(text))
    except (SyntaxError, TypeError, RecursionError, MemoryError, tokenize.TokenError) as cause:
        raise ValueError("it cannot be read") from cause
    return _plain(value)


def _with_commas(text: str) -> str:
    """Put a comma between two texts that stand side by side: Python would make one of them."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    pieces: list[str] = []
    done = depth = 0
    was_text = False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        depth += (token.string in ("[", "{", "(")) - (token.string in ("]", "}", ")"))
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
        if token.string == "..." and token.type == tokenize.OP:
            raise ValueError("it was shortened when it was printed (...)")
        if token.type in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            continue
        if token.type == tokenize.STRING and was_text:
            at = starts[token.start[0] - 1] + token.start[1]
            pieces += [text[done:at], ", "]
            done = at
        was_text = token.type == tokenize.STRING
    return "".join([*pieces, text[done:]])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that is not finite")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"a {type(value).__name__} in it")
