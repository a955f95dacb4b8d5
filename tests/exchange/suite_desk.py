"""A desk for formats whose files hold tests too: prompts are loaded, suites and their rows are checked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from promptstudio.exchange.schema import Import
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.suite_schema import suite_problems
from promptstudio.prompts.yamlfile import read_yaml
from tests.exchange.foreign_files import Desk


class SuiteDesk(Desk):
    def prompt(self, result: Import, number: int = 0) -> Prompt:
        chosen = result.made[number]
        if chosen.kind != "prompt":
            check_suite(chosen.text, chosen.kind)
            number = 0
            chosen = next(made for made in result.made if made.kind == "prompt")
        prompts = tuple(made for made in result.made if made.kind == "prompt")
        return super().prompt(replace(result, made=prompts), prompts.index(chosen))

    def faults(self, result: Import) -> list[str]:
        for number in range(len(result.made)):
            self.prompt(result, number)
        return super().faults(replace(result, made=tuple(made for made in result.made if made.kind == "prompt")))


def check_suite(text: str, kind: str) -> None:
    if kind == "data":
        assert all(json.loads(line) for line in text.splitlines())
        return
    document = read_yaml(text, file="suite.yaml")
    assert [str(problem) for problem in suite_problems(Source(document, document.value))] == []


def suite_of(result: Import) -> dict[str, Any]:
    """Return the suite that was made, read back."""
    text = next(made.text for made in result.made if made.kind == "suite")
    value: dict[str, Any] = read_yaml(text, file="suite.yaml").value
    return value
