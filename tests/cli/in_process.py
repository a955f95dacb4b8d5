"""A command line run in this process: `command("cache", "stats")` → code, out, err."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Ended]


def greet(command: Command, *more: str, name: str = "Ada") -> Ended:
    return command("run", "greet", "-v", f"name={name}", *more)
