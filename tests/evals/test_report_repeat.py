"""The command that evaluates a case again: the same wherever it is shown, and safe to paste."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from promptstudio.evals.report.repeat import Repeat, case_pattern, repeat_command
from tests.evals.report_samples import case_result, record

OF_ONE = {"prompts": {"greet": "p1:0"}, "models": ("a/b",), "suite_file": "evals/s.yaml"}


@pytest.mark.parametrize(
    ("case", "run", "command"),
    [
        ("c1", {}, "ps eval evals/s.yaml --case c1 --prompt greet"),
        ("it's", {}, "ps eval evals/s.yaml --case 'it'\"'\"'s' --prompt greet"),
        ("-rf", {}, "ps eval evals/s.yaml --case=-rf --prompt greet"),
        ("a\x1b[2J*", {}, "ps eval evals/s.yaml --case 'a??2J?' --prompt greet"),
        ("عمر", {}, "ps eval evals/s.yaml --case 'عمر' --prompt greet"),
        ("c1", {"prompts": {"greet": "", "greet:short": ""}}, "ps eval evals/s.yaml --case c1 --prompt greet"),
        ("c1", {"models": ("a/b", "c/d")}, "ps eval evals/s.yaml --case c1 --prompt greet -m a/b"),
        ("c1", {"options": {"models": ["a/b"]}}, "ps eval evals/s.yaml --case c1 --prompt greet -m a/b"),
        ("c1", {"suite": "greet:short (tests)"}, "ps test greet:short --case c1"),
    ],
)
def test_it_names_what_the_run_had_several_of_and_nothing_else(case: str, run: dict[str, Any], command: str) -> None:
    stored = record([], **{**OF_ONE, "options": {}, **run})
    result = replace(case_result(case), prompt="greet", model="a/b")
    assert repeat_command(stored, result) == command


def test_options_of_the_run_that_a_repetition_needs_stand_at_its_end() -> None:
    repeat = Repeat("promptstudio", ("--project", "my dir", "eval", "s.yaml"), ("--replay", "tapes"))
    result = replace(case_result("c1"), prompt="greet", model="a/b")
    command = repeat.command(result, {("greet", "a/b"): None})
    assert command == "promptstudio --project 'my dir' eval s.yaml --case c1 --replay tapes"


def test_a_pattern_is_the_id_itself_where_it_can_be_shown() -> None:
    assert case_pattern("a [b] *") == "a [b] *"
    assert case_pattern("a\n[b]") == "a??b?"
