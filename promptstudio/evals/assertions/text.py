"""Assertions on the words of an answer: equals, contains, starts with, matches, has so many words.

Texts are compared in Unicode's composed form (NFC), so that an é or an Arabic letter with a vowel sign is the same
however it was typed; with `compat: promptfoo` they are compared as they come.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from promptstudio.evals.assertions.assertion import (
    Assertion,
    Setting,
    Subject,
    Verdict,
    as_text,
    broken,
    decided,
    failed,
)
from promptstudio.evals.assertions.reasons import first_difference, listed, quoted
from promptstudio.evals.assertions.values import parsed_json, same
from promptstudio.prompts.patterns import TIME_LIMIT_S, PatternTimeout, occurs

MAX_MATCHED_LENGTH = 10_000_000


def composed(text: str, assertion: Assertion) -> str:
    """Return a text in the form in which texts are compared."""
    return text if text.isascii() or assertion.compat else unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Return a text without its capitals."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text.casefold())


def equals(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    """Text is compared as text, data with data: a map or a list with the typed output, or with the answer as JSON."""
    wanted = subject.case.expected_output if assertion.needs_expected else assertion.parsed
    if assertion.needs_expected and wanted is None:
        return broken("there is nothing to compare with: the assertion has no value and the case no expected_output")
    if subject.has_field and not isinstance(wanted, str):
        return _equal_data(wanted, subject.field)
    if isinstance(wanted, dict | list):
        if subject.answer.output is not None:
            return _equal_data(wanted, subject.answer.output)
        read = parsed_json(subject.text)
        if read.problem:
            return failed(
                quoted(wanted),
                f"{quoted(subject.text)}, which is not JSON",
                expected=wanted,
                actual=subject.text,
            )
        return _equal_data(wanted, read.value)
    expected, actual = composed(as_text(wanted), assertion), composed(subject.text, assertion)
    holds = expected == actual and (not subject.has_field or isinstance(subject.field, str))
    shown_expected, shown_actual = first_difference(expected, actual) if not holds else (quoted(wanted),) * 2
    return decided(holds, shown_expected, shown_actual, expected=wanted, actual=subject.text)


def _equal_data(wanted: Any, actual: Any) -> Verdict:
    return decided(same(wanted, actual), quoted(wanted), quoted(actual), expected=wanted, actual=actual)


def _finder(
    word: str, *, fold: bool, test: Callable[[list[str], str], bool]
) -> Callable[[Subject, Assertion, Setting], Verdict]:
    """Make an assertion of one or more texts in the answer."""

    def find(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
        prepare = (
            folded if fold and not assertion.compat else str.lower if fold else lambda text: composed(text, assertion)
        )
        needles: list[str] = assertion.parsed
        haystack = prepare(subject.text)
        holds = test([prepare(needle) for needle in needles], haystack)
        wanted = f"text that {word} {listed(needles)}"
        found = quoted(subject.text)
        if not holds and len(needles) > 1 and word.startswith("contains all"):
            found += f" without {listed(needle for needle in needles if prepare(needle) not in haystack)}"
        expected = assertion.value if assertion.value is not None else needles
        return decided(holds, wanted, found, expected=expected, actual=subject.text)

    return find


def _all_in(needles: list[str], haystack: str) -> bool:
    return all(needle in haystack for needle in needles)


def _any_in(needles: list[str], haystack: str) -> bool:
    return any(needle in haystack for needle in needles)


contains = _finder("contains", fold=False, test=_all_in)
contains_all = _finder("contains all of", fold=False, test=_all_in)
contains_any = _finder("contains one of", fold=False, test=_any_in)
icontains = _finder("contains (in any case)", fold=True, test=_all_in)
icontains_all = _finder("contains all of (in any case)", fold=True, test=_all_in)
icontains_any = _finder("contains one of (in any case)", fold=True, test=_any_in)
starts_with = _finder("starts with", fold=False, test=lambda needles, text: text.startswith(needles[0]))


def ends_with(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    text = composed(subject.text, assertion)
    holds = text.endswith(composed(assertion.parsed[0], assertion))
    found = quoted(text) if len(text) <= 60 else f"'…{quoted(text[-50:])[1:]}"
    return decided(
        holds, f"text that ends with {listed(assertion.parsed)}", found, expected=assertion.value, actual=subject.text
    )


def regex(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    text = subject.text
    if len(text) > MAX_MATCHED_LENGTH:
        return broken(f"the text of {len(text):,} characters is too long to match ({MAX_MATCHED_LENGTH:,})")
    try:
        place = occurs(assertion.parsed, text, min(TIME_LIMIT_S, setting.time_limit_s))
    except PatternTimeout as error:
        return broken(str(error), expected=assertion.value, actual=text)
    found = quoted(text) if place is None else quoted(text[place[0] : place[1]])
    wanted = f"text that matches {quoted(assertion.parsed)}"
    return decided(place is not None, wanted, found, expected=assertion.value, actual=text)


def word_count(subject: Subject, assertion: Assertion, _setting: Setting) -> Verdict:
    """Count what stands between spaces."""
    least, most = assertion.parsed
    count = len(subject.text.split())
    holds = (least is None or count >= least) and (most is None or count <= most)
    if least == most:
        wanted = f"{least} words"
    elif least is None or most is None:
        wanted = f"at least {least} words" if most is None else f"at most {most} words"
    else:
        wanted = f"{least} to {most} words"
    return decided(holds, wanted, str(count), expected=assertion.value, actual=subject.text, details={"words": count})
