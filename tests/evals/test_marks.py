"""Ids that were seen are kept like in a dict, in a fraction of its memory."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from promptstudio.evals.marks import Marks

NUMBERS = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)


@given(st.lists(st.tuples(st.one_of(NUMBERS, st.integers(0, 9)), st.integers(0, 3)), max_size=60))
def test_what_was_seen_is_what_a_dict_says(pairs: list[tuple[int, int]]) -> None:
    marks, seen = Marks(), dict[int, int]()
    for key, value in pairs:
        known = key or 1  # 0 and 1 are one key
        wanted = True if known not in seen else (None if seen[known] == value else False)
        assert marks.first(key, value) is wanted
        seen.setdefault(known, value)
    assert len(marks) == len(seen)


def test_it_grows_and_forgets_nothing() -> None:
    marks = Marks()
    keys = [hash(f"case {number}") for number in range(20_000)]
    assert all(marks.first(key, key >> 7) is True for key in keys)
    assert all(marks.first(key, key >> 7) is None for key in keys)
    assert all(marks.first(key, (key >> 7) + 1) is False for key in keys)
    assert sys.getsizeof(marks._keys) + sys.getsizeof(marks._values) < 20_000 * 24
