"""What is wrong with the settings of a RAGAS metric, whose types are right.

RAGAS itself takes a misspelled `mode` for the default one, and finds other mistakes only when a case is measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promptstudio.evals.metrics.schema import Settings
from promptstudio.prompts.judge_faults import Fault
from promptstudio.prompts.wording import found, nearest, shown

Said = tuple[str, str | None] | None
"""What is wrong with a value, and a hint; None where nothing is."""
ValueCheck = Callable[[Any], Said]

_LEVEL = re.compile(r"score(\d{1,4})(?:_description)?")
DEFAULT_LEVELS = (1, 5)
TOKENIZERS = ("13a", "intl", "zh", "char", "none")
"""Those of sacrebleu that need no further package and fetch no model."""


def checked(**by_setting: ValueCheck) -> Callable[[Settings], Iterator[Fault]]:
    """Make a check of settings from checks of their values."""

    def faults(settings: Settings) -> Iterator[Fault]:
        for name, value in settings.items():
            if name in by_setting and (said := by_setting[name](value)) is not None:
                yield (name,), f"{name}: {said[0]}", said[1]

    return faults


def name_of_a_model(value: Any) -> Said:
    return None if value.strip() else ("expected the name of an embedding model, found nothing", None)


def one_of(*allowed: str) -> ValueCheck:
    def check(value: Any) -> Said:
        if value in allowed:
            return None
        close = nearest(str(value), allowed)
        said = f"expected {', '.join(allowed[:-1])} or {allowed[-1]}, found {found(value)}"
        return said, f"did you mean {close!r}?" if close else None

    return check


def within(low: float, high: float) -> ValueCheck:
    def check(value: Any) -> Said:
        return None if low <= value <= high else (f"expected a number from {low:g} to {high:g}, found {value}", None)

    return check


def two_weights(value: Any) -> Said:
    """The weights of facts and of likeness, one of which may be 0."""
    are_numbers = all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < 1e9 for one in value)
    if len(value) == 2 and are_numbers and any(value):
        return None
    return "expected two numbers from 0, of facts and of likeness", "such as [0.75, 0.25]"


def texts(value: Any) -> Said:
    if value and all(isinstance(one, str) and one.strip() for one in value):
        return None
    return "expected a list of texts", None


def rubrics(value: Any) -> Said:
    """A map of at least two levels to what each means: {score1_description: …, score2_description: …}."""
    names = "the names are score1_description, score2_description and so on"
    for name, text in value.items():
        if _LEVEL.fullmatch(str(name)) is None:
            return f"expected a level, found {found(name)}", names
        if not isinstance(text, str) or not text.strip():
            return f"{name}: expected what this level means, found {found(text)}", None
    low, high = levels(value)
    return None if value and low < high else ("expected at least two levels", names)


def levels(written: Mapping[str, Any] | None) -> tuple[int, int]:
    """Return the lowest and the highest level of rubrics; 1 and 5 where there are none."""
    found = [int(match[1]) for name in written or () if (match := _LEVEL.fullmatch(str(name)))]
    return (min(found), max(found)) if found else DEFAULT_LEVELS


def options(**allowed: ValueCheck) -> ValueCheck:
    """Check a map of options that is handed on."""

    def check(value: Any) -> Said:
        for name, one in value.items():
            if name not in allowed:
                close = nearest(str(name), allowed)
                return f"there is no {shown(str(name))}", f"did you mean {close!r}?" if close else ", ".join(allowed)
            if (said := allowed[name](one)) is not None:
                return f"{name}: {said[0]}", said[1]
        return None

    return check


def yes_or_no(value: Any) -> Said:
    return None if isinstance(value, bool) else (f"expected true or false, found {found(value)}", None)


def whole_number(value: Any) -> Said:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100:
        return None
    return f"expected a whole number from 0 to 100, found {found(value)}", None


def share(value: Any) -> Said:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return None
    return f"expected a number from 0 to 1, found {found(value)}", None
