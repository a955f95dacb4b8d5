"""Two sequences → which items they share, in order. Time grows with the length, not with its square; pure.

Common ends are set aside; then items that occur once in both are anchors, and what lies between two anchors is aligned
on its own. A stretch without anchors is aligned exactly while the work allowed lasts, and taken as replaced after that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise

MAX_CELLS = 200_000  # of one exact alignment: its table has a cell for each pair of items
MAX_WORK = 2_000_000  # of all of them together
MAX_DEPTH = 40

Pair = tuple[int, int]


def aligned(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Pair]:
    """Return the index pairs of items that stay, both ascending."""
    work = [MAX_WORK]
    found: list[Pair] = []
    stack = [(0, len(old), 0, len(new), 0)]
    while stack:
        low, high, new_low, new_high, depth = stack.pop()
        low, high, new_low, new_high, ends = _without_ends(old, new, (low, high, new_low, new_high))
        found += ends
        if low == high or new_low == new_high:
            continue
        anchors = _anchors(old, new, (low, high, new_low, new_high)) if depth < MAX_DEPTH else []
        if not anchors:
            found += _exact(old, new, (low, high, new_low, new_high), work)
            continue
        found += anchors
        edges = [(low - 1, new_low - 1), *anchors, (high, new_high)]
        for (left, new_left), (right, new_right) in pairwise(edges):
            stack.append((left + 1, right, new_left + 1, new_right, depth + 1))
    return sorted(found)


def rising(values: Sequence[int]) -> list[int]:
    """Return the positions of a longest strictly rising subsequence."""
    tails: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        slot = bisect_left(tails, value)
        before.append(places[slot - 1] if slot else -1)
        if slot == len(tails):
            tails.append(value)
            places.append(place)
        else:
            tails[slot], places[slot] = value, place
    chain: list[int] = []
    place = places[-1] if places else -1
    while place >= 0:
        chain.append(place)
        place = before[place]
    return chain[::-1]


_Block = tuple[int, int, int, int]


def _without_ends(
    old: Sequence[Hashable], new: Sequence[Hashable], block: _Block
) -> tuple[int, int, int, int, list[Pair]]:
    low, high, new_low, new_high = block
    ends: list[Pair] = []
    while low < high and new_low < new_high and old[low] == new[new_low]:
        ends.append((low, new_low))
        low, new_low = low + 1, new_low + 1
    while low < high and new_low < new_high and old[high - 1] == new[new_high - 1]:
        high, new_high = high - 1, new_high - 1
        ends.append((high, new_high))
    return low, high, new_low, new_high, ends


def _anchors(old: Sequence[Hashable], new: Sequence[Hashable], block: _Block) -> list[Pair]:
    """Return the items that occur once in both stretches, as far as their order is the same."""
    low, high, new_low, new_high = block
    counts, new_counts = Counter(old[low:high]), Counter(new[new_low:new_high])
    places = {new[place]: place for place in range(new_low, new_high) if new_counts[new[place]] == 1}
    pairs = [
        (place, places[old[place]]) for place in range(low, high) if counts[old[place]] == 1 and old[place] in places
    ]
    return [pairs[place] for place in rising([place for _, place in pairs])]


def _exact(old: Sequence[Hashable], new: Sequence[Hashable], block: _Block, work: list[int]) -> Iterator[Pair]:
    """Yield a longest common subsequence, from a table of lengths."""
    low, high, new_low, new_high = block
    rows, width = high - low, new_high - new_low
    if rows * width > min(MAX_CELLS, work[0]):
        return
    work[0] -= rows * width
    table = [[0] * (width + 1)]
    for row in range(rows - 1, -1, -1):
        below, item = table[-1], old[low + row]
        line = [0] * (width + 1)
        for column in range(width - 1, -1, -1):
            if item == new[new_low + column]:
                line[column] = below[column + 1] + 1
            else:
                line[column] = max(below[column], line[column + 1])
        table.append(line)
    table.reverse()
    row = column = 0
    while row < rows and column < width:
        if old[low + row] == new[new_low + column]:
            yield low + row, new_low + column
            row, column = row + 1, column + 1
        elif table[row + 1][column] >= table[row][column + 1]:
            row += 1
        else:
            column += 1
