"""The words of a command → its arguments, for commands that are typed all day; loading an argument parser takes longer.

Only what is written plainly is read here. For anything else, `--help` and mistakes above all, the answer is None: then
the real parser does it, whose messages are better.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple


class Words(NamedTuple):
    """`names` are the words that are no options, `switches` the options without a value, `values` those with one."""

    names: tuple[str, ...]
    switches: frozenset[str]
    values: Mapping[str, str]


def plain_words(arguments: Sequence[str], *, switches: Collection[str], values: Collection[str] = ()) -> Words | None:
    """Sort the words of a command; None where one is not understood, or an option is given twice."""
    names: list[str] = []
    found: dict[str, str] = {}
    given: set[str] = set()
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            names.append(word)
        elif word in switches:
            given.add(word)
        elif name in values and name not in found and (equals or (waiting and not waiting[0].startswith("-"))):
            found[name] = value if equals else waiting.pop(0)
        else:
            return None
    return Words(tuple(names), frozenset(given), found)
