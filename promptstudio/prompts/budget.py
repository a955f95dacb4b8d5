"""What a template may cost, counted before the cost is paid; no clock, no thread, no signal.

One budget pays for one rendered template. Its unit is about one character handled: printing a text costs its length,
building a list costs its elements, a loop step costs what stands in the loop. Because each price is known before the
work is done, the same template with the same values always ends at the same place, on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

WORK_LIMIT = 10_000_000
"""Units one template may spend: some ten million characters, or 200,000 steps of a small loop."""

CALL_DEPTH_LIMIT = 40
INT_BITS_LIMIT = 4096
ELEMENT_PRICE = 4
COMPARED_PER_UNIT = 16
"""Comparing runs through text this many times as fast as building it."""


class OverBudgetError(Exception):
    """The template would do more than a prompt can need."""


class Budget:
    """How much is left for one rendered template, and how deep its macros are in one another."""

    __slots__ = ("depth", "left")

    def __init__(self) -> None:
        self.left = WORK_LIMIT
        self.depth = 0

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise OverBudgetError(f"the template does more than {WORK_LIMIT:,} characters of work")

    def spend_on(self, value: object) -> None:
        """Pay for `value` as if it were built or printed now."""
        self.spend(weight(value, self.left))

    def spend_comparing(self, value: object) -> None:
        """Pay for looking through `value` once."""
        self.spend(len(value) // COMPARED_PER_UNIT + 1 if isinstance(value, str) else weight(value, self.left))


_current: ContextVar[Budget | None] = ContextVar("template_budget", default=None)


@contextmanager
def fresh_budget() -> Iterator[Budget]:
    """A full budget for what is rendered inside the block."""
    token = _current.set(Budget())
    try:
        yield budget()
    finally:
        _current.reset(token)


def budget() -> Budget:
    """The budget of the template that is rendering now."""
    current = _current.get()
    if current is None:
        raise RuntimeError("a template may only run inside fresh_budget()")
    return current


def weight(value: object, limit: int) -> int:
    """The size of plain data as if it were written out; stops counting a little above `limit`.

    Shared parts count each time they occur: `[x, x]` weighs twice `x`, so a list that doubles itself is as heavy as it
    would be on paper although it is small in memory.
    """
    if type(value) is str:
        return len(value) + 1
    total = 0
    pending: list[Any] = [value]
    while pending and total <= limit:
        item = pending.pop()
        if isinstance(item, str):
            total += len(item) + 1
        elif isinstance(item, (list, tuple)):
            total += ELEMENT_PRICE * (len(item) + 1)
            if total <= limit:
                pending.extend(item)
        elif isinstance(item, dict):
            total += 2 * ELEMENT_PRICE * (len(item) + 1)
            if total <= limit:
                pending.extend(item.keys())
                pending.extend(item.values())
        elif isinstance(item, range):
            total += ELEMENT_PRICE * (len(item) + 1)
        elif isinstance(item, int):
            total += 1 + item.bit_length() // 3
        else:
            total += 1
    return total
