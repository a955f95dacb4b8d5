"""docs/inputs.md lists what templates may use; the tables in the code are the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from promptstudio.prompts import budget, filters, media, plain, rewrite, sandbox, tokens
from promptstudio.prompts.template import RESERVED_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")


def names_after(label: str) -> set[str]:
    """The names in the first code span after a label."""
    return set(re.split(r"\s+", PAGE.split(label, 1)[1].split("`")[1]))


def test_every_filter_is_listed():
    assert names_after("\nFilters:") == {name for name in sandbox._ALL_FILTERS if not name.startswith("(")}


def test_every_test_is_listed_but_the_names_of_comparisons():
    assert names_after("\nTests:") | set(sandbox._COMPARING_TESTS.split()) == set(sandbox._ALL_TESTS)


@pytest.mark.parametrize(("label", "kind"), [("Methods of text:", str), ("of a mapping:", dict), ("of a list:", list)])
def test_every_method_is_listed(label, kind):
    assert names_after(label) == set(filters.METHODS[kind])


def test_every_reserved_name_is_listed():
    assert all(f"`{name}`" in PAGE for name in RESERVED_NAMES)


def test_the_limits_are_those_of_the_code():
    for number in (
        budget.WORK_LIMIT,
        budget.INT_BITS_LIMIT,
        filters.RANGE_LIMIT,
        rewrite.SOURCE_LIMIT,
        rewrite.TOKEN_LIMIT,
        tokens.EXACT_CHARACTERS,
        tokens.IMAGE_TOKENS,
    ):
        assert f"{number:,}" in PAGE
    assert f"{budget.CALL_DEPTH_LIMIT} deep" in PAGE
    assert f"brackets {rewrite.BRACKET_LIMIT} deep, {rewrite.NESTING_LIMIT} levels" in PAGE
    assert f"{plain.VALUE_DEPTH_LIMIT} levels deep" in PAGE
    assert f"At most {media.SIZE_LIMIT // 1024 // 1024} MiB" in PAGE
