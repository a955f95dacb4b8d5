"""A regular expression as a person wrote it → one that can be matched within bounds.

The engine is `regex`: Python's syntax with look-around and back-references, which people use in checks ("does not
contain …") and which engines of linear time lack, and, unlike `re`, a time limit that it watches itself while matching.
What it does not bound is compiling: it unrolls counted repeats, so `(?:(?:a{1000}){1000}){1000}` would need all memory
there is. Hence the size after unrolling is computed before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MAX_PATTERN_LENGTH = 1_000
MAX_UNROLLED_SIZE = 20_000
TIME_LIMIT_S = 1.0


class PatternTimeout(Exception):
    """A search that was given up."""


def pattern_fault(pattern: str) -> str | None:
    """Return why a text cannot be used as a regular expression, or None."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"a pattern of {len(pattern):,} characters; the limit is {MAX_PATTERN_LENGTH:,}"
    if unrolled_size(pattern) > MAX_UNROLLED_SIZE:
        return f"its nested counts, such as (a{{9}}){{9}}, repeat more than {MAX_UNROLLED_SIZE:,} times"
    # Loaded on use: 20 ms that most suites and all prompts never need.
    import regex

    try:
        _compiled(pattern)
    except regex.error as error:
        return f"not a regular expression: {str(error)[:120]}"
    except (RecursionError, OverflowError, MemoryError, ValueError) as error:
        return f"not a usable regular expression: {type(error).__name__}"
    return None


def occurs(pattern: str, text: str, time_limit_s: float = TIME_LIMIT_S) -> tuple[int, int] | None:
    """Return start and end of the first place where the pattern matches, or None. Raises PatternTimeout."""
    try:
        found = _compiled(pattern).search(text, timeout=time_limit_s)
    except TimeoutError as error:
        raise PatternTimeout(f"the pattern took longer than {time_limit_s:g} s on this text") from error
    return found.span() if found else None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    import regex  # loaded on use, see above

    return regex.compile(pattern)


def unrolled_size(pattern: str) -> int:
    """Return about how many atoms a pattern has once its counted repeats are written out."""
    sizes = [0]  # of each open group
    last = 0  # of the atom that a count would repeat
    place = 0
    while place < len(pattern):
        character = pattern[place]
        if character == "{" and (count := _count_at(pattern, place)):
            times, place = count
            sizes[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
            continue
        if character == "(":
            sizes.append(0)
        elif character == ")" and len(sizes) > 1:
            last = max(sizes.pop(), 1)
            sizes[-1] += last
        elif character not in "*+?|":
            place = _atom_end(pattern, place)
            last = 1
            sizes[-1] += 1
        place += 1
    return sum(sizes)


def _count_at(pattern: str, place: int) -> tuple[int, int] | None:
    """Return (largest number, place after) of a count such as {3}, {2,} or {1,9}; None where `{` is only a brace."""
    end = pattern.find("}", place)
    numbers = pattern[place + 1 : end].split(",") if end > 0 else []
    if not numbers or len(numbers) > 2 or any(not (n == "" or (n.isascii() and n.isdigit())) for n in numbers):
        return None
    return max((int(number[:12]) for number in numbers if number), default=0), end + 1


def _atom_end(pattern: str, place: int) -> int:
    """Return where the atom that starts at `place` ends: an escape is two characters, a class goes to its bracket."""
    if pattern[place] == "\\":
        return place + 1
    if pattern[place] != "[":
        return place
    end = place + 2 if pattern[place + 1 : place + 2] != "^" else place + 3  # a `]` that comes first is a member
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return end
