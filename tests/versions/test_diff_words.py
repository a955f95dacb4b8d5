"""Two texts, word by word: nothing is lost, any script, bounded time."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptstudio.versions.diff.align import aligned
from promptstudio.versions.diff.schema import Segment
from promptstudio.versions.diff.words import segments, similarity, words_of

TEXTS = st.text(alphabet="ab مَر\u05d1\u05b0 中文\n\t.{}%-é\u200d", max_size=60)


def shown(found: tuple[Segment, ...]) -> str:
    marks = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    return "".join(marks[part.kind].format(part.text) for part in found)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("You triage tickets.", "You sort tickets.", "You [-triage-]{+sort+} tickets."),
        ("Be kind.", "Be very kind.", "Be {+very +}kind."),
        ("a big red dog ran", "a small blue dog ran", "a [-big red-]{+small blue+} dog ran"),
        ("one\ntwo\nthree\n", "one\nthree\n", "one\n[-two\n-]three\n"),
        ("اكتب ترحيبًا قصيرًا لها", "اكتب ترحيبًا طويلًا لها", "اكتب ترحيبًا [-قصيرًا-]{+طويلًا+} لها"),
        ("שלום לכל העולם", "שלום לכל הילדים", "שלום לכל [-העולם-]{+הילדים+}"),
        ("我喜欢红色的花", "我喜欢蓝色的花", "我喜欢[-红-]{+蓝+}色的花"),
        ("Hi {{ name }}, welcome", "Hi {{ first_name }}, welcome", "Hi [-{{ name }}-]{+{{ first_name }}+}, welcome"),
        ("the end", "the end\n", "the end{+\n+}"),
        ("", "new", "{+new+}"),
        ("old", "", "[-old-]"),
        ("alpha beta gamma", "one two three", "[-alpha beta gamma-]{+one two three+}"),
    ],
)
def test_the_words_that_differ(old: str, new: str, expected: str) -> None:
    assert shown(segments(old, new)) == expected


def test_a_word_keeps_its_vowel_marks_and_joiners() -> None:
    assert words_of("مَرْحَبًا بِكُم") == ["مَرْحَبًا", " ", "بِكُم"]
    assert words_of("می\u200cخواهم") == ["می\u200cخواهم"]
    assert words_of("שָׁלוֹם־עוֹלָם") == ["שָׁלוֹם", "־", "עוֹלָם"]


@given(TEXTS)
def test_words_joined_are_the_text_again(text: str) -> None:
    assert "".join(words_of(text)) == text


@given(TEXTS, TEXTS)
def test_without_the_added_it_is_the_old_text_and_without_the_removed_the_new(old: str, new: str) -> None:
    found = segments(old, new)

    assert "".join(part.text for part in found if part.kind != "added") == old
    assert "".join(part.text for part in found if part.kind != "removed") == new
    assert all(part.text for part in found)
    assert (old == new) == all(part.kind == "same" for part in found)


@given(st.lists(st.sampled_from("abc"), max_size=25), st.lists(st.sampled_from("abc"), max_size=25))
def test_aligned_pairs_are_equal_and_rise(old: list[str], new: list[str]) -> None:
    pairs = aligned(old, new)

    assert all(old[one] == new[other] for one, other in pairs)
    assert all(one < two and other < too for (one, other), (two, too) in pairwise(pairs))


def hostile(kind: str) -> tuple[str, str]:
    noise = random.Random(7)
    if kind == "one line of words":
        return " ".join(noise.choices("abcdefgh", k=500_000)), " ".join(noise.choices("abcdefgh", k=500_000))
    if kind == "one word":
        return "x" * (1 << 20), "x" * (1 << 20) + "y"
    if kind == "equal lines in another number":
        return "a\n" * 300_000, "b\n" + "a\n" * 400_000 + "b\n"
    if kind == "lines in the other order":
        lines = [f"line {number}\n" for number in range(60_000)]
        return "".join(lines), "".join(lines[::-1])
    return "a b " * 260_000, "b a c " * 170_000


HOSTILE = (
    "one line of words",
    "one word",
    "equal lines in another number",
    "lines in the other order",
    "few words",
)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_text_of_a_mebibyte_is_compared_too(kind: str) -> None:
    old, new = hostile(kind)

    found = segments(old, new)

    assert "".join(part.text for part in found if part.kind != "added") == old
    assert "".join(part.text for part in found if part.kind != "removed") == new


def test_similarity_is_about_words_wherever_they_stand() -> None:
    assert similarity("a b c", "c b a") == 1.0
    assert similarity("a b", "c d") == 0.0
    assert 0.4 < similarity("one two three four", "one two five six") < 0.6
