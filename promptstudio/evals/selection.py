"""Which cases, prompts and models of a suite are wanted. What is left out is not counted, only named."""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from promptstudio.errors import NothingSelected, UsageError
from promptstudio.evals.datasets import Example
from promptstudio.prompts.wording import shown

_TOKEN = re.compile(r"\s*(?:(?P<mark>[()])|(?P<word>[^\s()]+))")
_MAX_DEPTH = 50
Matches = Callable[[str], bool]


class NoneTaken(NothingSelected):
    """A suite with cases, of which the selection takes none: no fault where it takes some of another suite."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for on the command line; empty means everything.

    `expression` is that of -k: words with `and`, `or`, `not` and brackets, found in id, tags or description. `ids` are
    those of cases, as --failed takes them from an earlier run. `sample` takes so many at random, the same for a seed.
    """

    expression: str | None = None
    tags: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    ids: frozenset[str] | None = None
    first: int | None = None
    sample: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.expression is not None:
            _parsed(self.expression)  # a mistake in it is told at once

    @property
    def is_everything(self) -> bool:
        return self == Selection(seed=self.seed)

    def takes_prompt(self, address: str) -> bool:
        return not self.prompts or any(fnmatchcase(address, pattern) for pattern in self.prompts)

    def takes_model(self, model: str) -> bool:
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)

    def chosen(self, examples: Iterator[Example]) -> Iterator[Example]:
        """Yield the cases that are wanted, in their order."""
        wanted = _parsed(self.expression) if self.expression is not None else None
        taken: Iterator[Example] = (example for example in examples if self._takes(example, wanted))
        if self.sample is not None:
            taken = _sampled(taken, self.sample, self.seed)
        if self.first is None:
            yield from taken
            return
        for number, example in enumerate(taken, 1):
            yield example
            if number >= self.first:  # before the next case is read
                return

    def _takes(self, example: Example, wanted: Callable[[Matches], bool] | None) -> bool:
        case = example.case
        if self.ids is not None and case.id not in self.ids:
            return False
        if self.cases and not any(case.id == one or fnmatchcase(case.id, one) for one in self.cases):
            return False
        if self.tags and not set(self.tags) <= set(case.tags):
            return False
        if wanted is None:
            return True
        text = " ".join([case.id, *case.tags, str(example.raw.get("description", ""))]).casefold()
        return wanted(lambda word: word.casefold() in text)


def _sampled(examples: Iterator[Example], count: int, seed: int) -> Iterator[Example]:
    """Choose without holding more than the chosen: each case draws a number from seed and id, the smallest win."""
    drawn = (
        (random.Random(f"{seed}:{example.case.id}").random(), number, example)  # noqa: S311  a sample, not a secret
        for number, example in enumerate(examples)
    )
    smallest = heapq.nsmallest(count, drawn, key=lambda one: one[:2])
    yield from (example for _, _, example in sorted(smallest, key=lambda one: one[1]))


def _parsed(expression: str) -> Callable[[Matches], bool]:
    """Read `a and not (b or c)`. Raises UsageError with what was found."""
    tokens = [found["mark"] or found["word"] for found in _TOKEN.finditer(expression)]
    if not tokens:
        raise UsageError("-k is empty", hint='as in -k "refund and not slow"')
    parser = _Expression(tokens, expression)
    matcher = parser.either(0)
    if parser.rest:
        parser.fail(f"{shown(parser.rest[0])} is one word too many")
    return matcher


class _Expression:
    def __init__(self, tokens: list[str], written: str) -> None:
        self.rest = tokens
        self.written = written

    def fail(self, fact: str) -> None:
        raise UsageError(f"-k {shown(self.written)}: {fact}", hint="words with and, or, not, and brackets")

    def either(self, depth: int) -> Callable[[Matches], bool]:
        parts = [self.both(depth)]
        while self.rest[:1] == ["or"]:
            self.rest = self.rest[1:]
            parts.append(self.both(depth))
        return lambda has: any(part(has) for part in parts)

    def both(self, depth: int) -> Callable[[Matches], bool]:
        parts = [self.one(depth)]
        while self.rest[:1] == ["and"]:
            self.rest = self.rest[1:]
            parts.append(self.one(depth))
        return lambda has: all(part(has) for part in parts)

    def one(self, depth: int) -> Callable[[Matches], bool]:
        if depth > _MAX_DEPTH:
            self.fail("it is nested too deeply")
        if not self.rest or self.rest[0] in ("and", "or", ")"):
            self.fail(
                f"a word is missing before {shown(self.rest[0])}" if self.rest else "a word is missing at its end"
            )
        word, self.rest = self.rest[0], self.rest[1:]
        if word == "not":
            inner = self.one(depth + 1)
            return lambda has: not inner(has)
        if word == "(":
            inner = self.either(depth + 1)
            if self.rest[:1] != [")"]:
                self.fail("a bracket is not closed")
            self.rest = self.rest[1:]
            return inner
        return lambda has: has(word)
