"""A case that did not pass → the one-line command that evaluates it again, ready to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from promptstudio.evals.prompt_tests import TESTS
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.output.terminal import safe_cell


@dataclass(frozen=True, slots=True)
class Repeat:
    """`words` are the command and what it works on; `more` the options of the run that a repetition needs too.

    `has_model` says that the model was chosen on the command line, and not by the suite; `is_part` that the suite may
    have more prompts than were asked.
    """

    program: str
    words: tuple[str, ...]
    more: tuple[str, ...] = ()
    has_prompt: bool = True
    has_model: bool = False
    names_model: bool = True
    is_part: bool = False

    def command(self, result: CaseResult, targets: Iterable[tuple[str, str]]) -> str:
        """Return the command; prompt and model are named where `targets`, the pairs that were asked, has several."""
        prompts, models = map(set, zip(*targets, strict=True))
        words = [self.program, *self.words, *_option("--case", case_pattern(result.case.id))]
        if self.has_prompt and (self.is_part or len(prompts) > 1):
            words += _option("--prompt", result.prompt)
        if self.names_model and (self.has_model or len(models) > 1):
            words += _option("-m", result.model)
        return " ".join(shlex.quote(word) for word in (*words, *self.more))


def repeat_of_run(run: RunRecord, program: str = "ps") -> Repeat:
    """Return how a case of a stored run is evaluated again from the root of its project."""
    if "ab" in run.totals:  # a side is no prompt of the suite: what it said can be looked at
        return Repeat(program, ("runs", "show", run.id[:18]), has_prompt=False, names_model=False)
    has_model = bool(run.options.get("models"))
    if run.suite.endswith(TESTS):
        return Repeat(program, ("test", run.suite.removesuffix(TESTS)), has_prompt=False, has_model=has_model)
    return Repeat(program, ("eval", run.suite_file), has_model=has_model, is_part=True)


def repeat_command(run: RunRecord, result: CaseResult) -> str:
    """Return the command that evaluates this one case of a stored run again."""
    return repeat_of_run(run).command(result, product(run.prompts, run.models))


def case_pattern(case_id: str) -> str:
    """Return an id as --case takes it. What cannot be shown on a line, or means something there, becomes `?`."""
    if safe_cell(case_id) == case_id:
        return case_id
    return "".join("?" if safe_cell(char) != char or char in "[]*" else char for char in case_id)


def _option(name: str, value: str) -> list[str]:
    """A value that begins with a dash would be taken for an option."""
    if not value.startswith("-"):
        return [name, value]
    return [f"{name}={value}"] if name.startswith("--") else [f"--model={value}"]
