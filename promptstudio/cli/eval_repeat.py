"""A case that failed → the one-line command that repeats it, ready to be pasted into a shell."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.evals.evaluate import EvalOptions
from promptstudio.evals.records import CaseResult
from promptstudio.output.terminal import safe_cell


@dataclass(frozen=True, slots=True)
class Repeat:
    """`words` are the command and what it works on; `more` the options of the run that a repetition needs too.

    `has_model` says that the model was chosen on the command line, and not by the suite.
    """

    program: str
    words: tuple[str, ...]
    more: tuple[str, ...] = ()
    has_prompt: bool = True
    has_model: bool = False

    def command(self, result: CaseResult, *, several: bool) -> str:
        """Return the command; prompt and model are named where the suite has `several` of them."""
        words = [self.program, *self.words, *_option("--case", case_pattern(result.case.id))]
        if several:
            words += _option("--prompt", result.prompt) if self.has_prompt else []
        if several or self.has_model:
            words += _option("-m", result.model)
        return " ".join(shlex.quote(word) for word in (*words, *self.more))


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


def repeat_of_suite(context: Context, suite: Path, options: EvalOptions) -> Repeat:
    """Return how a case of a suite is repeated from the folder this command was given in."""
    where = ("--project", str(context.project)) if context.project is not None else ()
    name = os.path.relpath(suite) if context.project is None else str(suite)
    replay = options.wires.replay
    more = ("--replay", str(replay)) if replay is not None else ()
    return Repeat(context.program, (*where, "eval", name), more, has_model=bool(options.models))
