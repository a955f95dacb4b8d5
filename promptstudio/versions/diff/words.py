"""Two texts → what stays, what goes, what comes, word by word, in any script. Pure, in bounded time.

Lines are aligned first, then the words of the lines that differ. A word keeps its marks (Arabic vowels, Hebrew points)
and its joiners; letters of scripts without spaces (Chinese, Japanese) are words of their own; `{{ name }}` is one word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from promptstudio.versions.diff.align import Pair, aligned
from promptstudio.versions.diff.schema import Segment, SegmentKind

MAX_COMPARED = 20_000  # characters that say how alike two texts are
REPLACED_BELOW = 0.35  # lines with less in common are shown whole, one after the other
THIN = 3  # characters between two replacements that are not worth an own segment

_PUNCTUATION = (
    "!-/:-@\\[-^`{-~\u00a1-\u00bf\u055a-\u055f\u0589\u058a\u05be\u05c0\u05c3\u05c6\u05f3\u05f4\u060c\u060d\u061b-\u061f"
    "\u066a-\u066d\u06d4\u0964\u0965\u2010-\u205e\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_NO_SPACES = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(
    r"\{\{[^{}\n]{0,120}\}\}|\{%[^{}%\n]{0,120}%\}"
    rf"|[{_NO_SPACES}]|[^\s{_PUNCTUATION}{_NO_SPACES}]+|\n|[^\S\n]+|[{_PUNCTUATION}]|."
)


def words_of(text: str) -> list[str]:
    """Cut a text into words, runs of blanks, and single marks; joined they are the text again."""
    return _TOKEN.findall(text)


def segments(old: str, new: str) -> tuple[Segment, ...]:
    """Return both texts as one list: without the added segments it is the old text, without the removed the new."""
    if old == new:
        return (Segment("same", old),) if old else ()
    return _joined(_by_lines(old, new))


def similarity(old: str, new: str) -> float:
    """Return how much of two texts is the same words, 0 to 1, wherever they stand."""
    if old == new:
        return 1.0
    before, after = _bag(old[:MAX_COMPARED]), _bag(new[:MAX_COMPARED])
    total = before.total() + after.total()
    return 2 * (before & after).total() / total if total else 0.0


@lru_cache(maxsize=256)
def _bag(text: str) -> Counter[str]:
    return Counter(word for word in words_of(text) if not word.isspace())


def _by_lines(old: str, new: str) -> Iterator[Segment]:
    before, after = _lines(old), _lines(new)
    for is_same, low, high, new_low, new_high in _blocks(aligned(before, after), len(before), len(after)):
        if is_same:
            yield Segment("same", "".join(before[low:high]))
        else:
            yield from _by_words("".join(before[low:high]), "".join(after[new_low:new_high]))


def _lines(text: str) -> list[str]:
    """Cut at line feeds alone: other marks that end a line for Python are part of the text."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _blocks(pairs: Sequence[Pair], size: int, new_size: int) -> Iterator[tuple[bool, int, int, int, int]]:
    """Yield stretches that stay, and those between: (stays, low, high, new low, new high)."""
    low = new_low = place = 0
    while place < len(pairs):
        start, new_start = pairs[place]
        if (low, new_low) != (start, new_start):
            yield False, low, start, new_low, new_start
        length = 1
        while place + length < len(pairs) and pairs[place + length] == (start + length, new_start + length):
            length += 1
        yield True, start, start + length, new_start, new_start + length
        low, new_low, place = start + length, new_start + length, place + length
    if (low, new_low) != (size, new_size):
        yield False, low, size, new_low, new_size


def _by_words(old: str, new: str) -> Iterator[Segment]:
    if not old or not new or similarity(old, new) < REPLACED_BELOW:
        yield from _replaced(old, new)
        return
    before, after = words_of(old), words_of(new)
    for is_same, low, high, new_low, new_high in _blocks(aligned(before, after), len(before), len(after)):
        if is_same:
            yield Segment("same", "".join(before[low:high]))
        else:
            yield from _replaced("".join(before[low:high]), "".join(after[new_low:new_high]))


def _replaced(old: str, new: str) -> Iterator[Segment]:
    if old:
        yield Segment("removed", old)
    if new:
        yield Segment("added", new)


def _joined(parts: Iterator[Segment]) -> tuple[Segment, ...]:
    """Join neighbours of one kind, and two replacements that only a blank or a mark keeps apart: one to a reader."""
    runs = _runs(parts)
    joined: list[_Run] = []
    for place, run in enumerate(runs):
        last = joined[-1] if joined else None
        follows = runs[place + 1] if place + 1 < len(runs) else None
        if last and last.is_replaced and run.is_thin and follows and follows.is_replaced:
            joined[-1] = _Run("", last.removed + run.same, last.added + run.same)
        elif last and last.is_replaced and run.is_replaced:
            joined[-1] = _Run("", last.removed + run.removed, last.added + run.added)
        else:
            joined.append(run)
    return tuple(segment for run in joined for segment in run.segments())


@dataclass(frozen=True, slots=True)
class _Run:
    """Text that stays, or text that goes and comes."""

    same: str = ""
    removed: str = ""
    added: str = ""

    @property
    def is_replaced(self) -> bool:
        return bool(self.removed and self.added)

    @property
    def is_thin(self) -> bool:
        return 0 < len(self.same) <= THIN and "\n" not in self.same and not any(map(str.isalnum, self.same))

    def segments(self) -> Iterator[Segment]:
        kinds: tuple[tuple[SegmentKind, str], ...] = (
            ("same", self.same),
            ("removed", self.removed),
            ("added", self.added),
        )
        yield from (Segment(kind, text) for kind, text in kinds if text)


def _runs(parts: Iterator[Segment]) -> list[_Run]:
    """Collect neighbours: a run is all that stays, or all that goes and comes between two of those."""
    runs: list[_Run] = []
    for is_same, group in groupby(parts, key=lambda part: part.kind == "same"):
        listed = list(group)
        texts = {kind: "".join(part.text for part in listed if part.kind == kind) for kind in ("removed", "added")}
        runs.append(_Run("".join(part.text for part in listed)) if is_same else _Run("", **texts))
    return runs
