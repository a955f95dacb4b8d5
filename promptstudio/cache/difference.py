"""Two requests → where they differ, in a few short sentences, and how alike they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from promptstudio.prompts.wording import dotted, shown

MAX_SHOWN = 4
AROUND = 15
_ABSENT = object()

Path_ = tuple[str | int, ...]


def differences(asked: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each place that differs, the most telling first, and how many more there are."""
    ours, theirs = leaves(asked), leaves(recorded)
    paths = [path for path in dict.fromkeys([*ours, *theirs]) if _differ(ours, theirs, path)]
    sentences = [_sentence(path, ours.get(path, _ABSENT), theirs.get(path, _ABSENT)) for path in paths]
    left = len(sentences) - MAX_SHOWN
    return sentences if left <= 0 else [*sentences[:MAX_SHOWN], f"and {left} more"]


def nearest(asked: Mapping[str, Any], others: Iterable[tuple[Any, Mapping[str, Any]]]) -> Any | None:
    """Return the label of the request that is most like `asked`; None where there is none."""
    ours = leaves(asked)
    best, best_score = None, -1.0
    for label, other in others:
        theirs = leaves(other)
        paths = {*ours, *theirs}
        score = sum(_alike(ours.get(path, _ABSENT), theirs.get(path, _ABSENT)) for path in paths) / max(1, len(paths))
        if score > best_score:
            best, best_score = label, score
    return best


def leaves(value: Any) -> dict[Path_, Any]:
    """Return each value that is no map and no list, by its path."""
    return dict(_leaves(value, ()))


def _leaves(value: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    if isinstance(value, Mapping) and value:
        for name in value:
            yield from _leaves(value[name], (*path, str(name)))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _differ(ours: Mapping[Path_, Any], theirs: Mapping[Path_, Any], path: Path_) -> bool:
    return path not in ours or path not in theirs or ours[path] != theirs[path]


def _alike(one: Any, other: Any) -> float:
    if one is _ABSENT or other is _ABSENT:
        return 0.0
    if one == other:
        return 1.0
    if not (isinstance(one, str) and isinstance(other, str)):
        return 0.0
    return _common(one, other) / max(len(one), len(other), 1) * 0.9


def _common(one: str, other: str) -> int:
    """Return how many letters two texts have in common from the start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _sentence(path: Path_, asked: Any, recorded: Any) -> str:
    where = dotted(path)
    if recorded is _ABSENT:
        return f"{where} is {_value(asked)} and was not there"
    if asked is _ABSENT:
        return f"{where} was {_value(recorded)} and is not there"
    if isinstance(asked, str) and isinstance(recorded, str):
        start = max(0, _common(asked, recorded) - AROUND)
        return f"{where} is {_window(asked, start)} and was {_window(recorded, start)}"
    return f"{where} is {_value(asked)} and was {_value(recorded)}"


def _window(text: str, start: int) -> str:
    return shown(("…" if start else "") + text[start:], limit=3 * AROUND)


def _value(value: Any) -> str:
    return shown(value, limit=3 * AROUND) if isinstance(value, str) else str(value)[:60]
