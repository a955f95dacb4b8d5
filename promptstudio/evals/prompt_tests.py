"""The `tests:` inside a prompt file → a `Suite`, so that they run through the same engine as any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from promptstudio.config import Settings
from promptstudio.evals.datasets import Dataset, Example, inline_cases
from promptstudio.evals.gate import gate_of
from promptstudio.evals.suite import Suite
from promptstudio.prompts.overlay import overlaid
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.yamlfile import read_yaml

TESTS = " (tests)"
"""What the name of such a suite ends in, behind the prompt's address."""


def suite_of_tests(prompt: Prompt, text: str, settings: Settings) -> Suite | None:
    """Return the tests of a prompt as a suite; None where it has none. `text` is the prompt's file."""
    if not prompt.tests or prompt.path is None:
        return None
    source = overlaid(read_yaml(text, file=prompt.shown_path), None)
    address = f"{prompt.name}:{prompt.variant}" if prompt.variant else prompt.name
    tests = inline_cases(list(prompt.tests), prompt.shown_path, lambda index: source.place(("tests", index))[0])

    def opened() -> Iterator[Example]:
        for index, example in enumerate(tests.open()):
            yield replace(example, path=("tests", index))

    return Suite(
        name=address + TESTS,
        path=prompt.path if settings.root is None else settings.root / prompt.path,
        shown=prompt.shown_path,
        prompts=(address,),
        models=(),
        repeats=1,
        dataset=Dataset(prompt.shown_path, opened),
        assertions=(),
        metrics=(),
        threshold=None,
        judge=None,
        gate=gate_of({}),
        source=source,
    )
