"""A stream that starts again shows every character once, or says that it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptstudio.output.continuation import Continuation


@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=5), st.integers(1, 7))
def test_the_same_answer_is_shown_once_however_often_it_breaks(text: str, breaks: list[int], size: int) -> None:
    shown = Continuation()
    out = ""
    for end in [*breaks, len(text)]:
        shown.restart()
        for start in range(0, min(end, len(text)), size):
            out += shown.add(text[start : min(start + size, end)])
    shown.end()
    assert out == text
    assert not shown.diverged


@pytest.mark.parametrize(
    ("first", "second"), [("abc", "abX"), ("abc", "Xbc"), ("abc", "ab"), ("abc", ""), ("abc", "abXdef")]
)
def test_another_answer_is_noticed_and_not_mixed_in(first: str, second: str) -> None:
    shown = Continuation()
    assert shown.add(first) == first
    shown.restart()
    assert shown.add(second) == ""
    shown.end()
    assert shown.diverged


def test_a_terminal_may_accept_the_new_answer_and_go_on() -> None:
    shown = Continuation()
    shown.add("old")
    shown.restart()
    shown.add("new a")
    assert shown.diverged
    assert shown.accept() == "new a"
    assert shown.add("nswer") == "nswer"
    shown.end()
    assert not shown.diverged
