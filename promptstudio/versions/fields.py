"""The data of two versions of a prompt file → which of their fields correspond, whatever their layout and position.

A document is brought into one form first: `system:` and `prompt:` become messages, one-line inputs become maps. A leaf
is a value that holds no map; its path is that in this form, and `shown` says how the file itself writes it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

FieldPath = tuple[str | int, ...]
LIKE = 0.35
MAX_COMPARED = 2_500
_ONE_LINE = re.compile(r"\s*(?P<type>[A-Za-z_]\w*)\s*(?P<optional>\?)?\s*(?:,\s*(?P<text>.*))?", re.DOTALL)
_SHORT_FORMS = (("system", "system"), ("prompt", "user"))


class Fields(NamedTuple):
    """A document in one form, its leaves in order, and how the file writes their paths."""

    tree: Any
    leaves: Mapping[FieldPath, Any]
    shown: Mapping[FieldPath, str]


def fields_of(document: Any) -> Fields:
    """Return the leaves of a prompt file's data."""
    shown: dict[FieldPath, str] = {}
    tree = _one_form(document, shown) if isinstance(document, dict) else document
    leaves = dict(_leaves(tree, ()))
    return Fields(tree, leaves, {path: shown.get(path) or dotted(path) for path in leaves})


def dotted(path: FieldPath) -> str:
    """Return `messages[0].content`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _one_form(document: dict[str, Any], shown: dict[FieldPath, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in document.items():
        if key == "messages" or key not in dict(_SHORT_FORMS):
            tree[key] = value
        elif "messages" not in tree and "messages" not in document:
            tree["messages"] = _short_messages(document, shown)
    for where in (("inputs",), ("output", "fields")):
        _widen(tree, where, shown)
    return tree


def _short_messages(document: Mapping[str, Any], shown: dict[FieldPath, str]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for key, role in _SHORT_FORMS:
        if key in document:
            shown[("messages", len(messages), "role")] = shown[("messages", len(messages), "content")] = key
            messages.append({"role": role, "content": document[key]})
    return messages


def _widen(tree: dict[str, Any], where: tuple[str, ...], shown: dict[FieldPath, str]) -> None:
    """Turn `name: string?, a description` into a map, in the map at a place."""
    holder: Any = tree
    for key in where[:-1]:
        holder = holder.get(key) if isinstance(holder, dict) else None
    entries = holder.get(where[-1]) if isinstance(holder, dict) else None
    if not isinstance(entries, dict):
        return
    widened = {name: _widened(value) for name, value in entries.items()}
    for name, value in entries.items():
        if isinstance(value, str) and isinstance(widened[name], dict):
            shown |= {(*where, name, key): dotted((*where, name)) for key in widened[name]}
    copied: Any = {**holder, where[-1]: widened}
    if len(where) == 1:
        tree[where[0]] = widened
    else:
        tree[where[0]] = copied


def _widened(value: Any) -> Any:
    found = _ONE_LINE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    wide: dict[str, Any] = {"type": found["type"]}
    if found["optional"]:
        wide["required"] = False
    if found["text"]:
        wide["description"] = found["text"].strip()
    return wide


def _leaves(value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif path:
        yield path, value


def corresponding(new: Fields, old: Fields) -> dict[FieldPath, FieldPath]:
    """Return path in `new` → path in `old` for every leaf whose value is the same."""
    found: dict[FieldPath, FieldPath] = {}
    _match(new.tree, old.tree, (), (), found)
    return found


def _match(new: Any, old: Any, at: FieldPath, was: FieldPath, found: dict[FieldPath, FieldPath]) -> None:
    if isinstance(new, dict) and new:
        if isinstance(old, dict):
            for key, item in new.items():
                if key in old:
                    _match(item, old[key], (*at, key), (*was, key), found)
    elif isinstance(new, list) and any(isinstance(item, dict) for item in new):
        if isinstance(old, list):
            for index, before in _partners(new, old).items():
                _match(new[index], old[before], (*at, index), (*was, before), found)
    elif _text(new, at) == _text(old, was):
        found[at] = was


def _text(value: Any, path: FieldPath = ()) -> str:
    """Return what two equal values have in common. A line feed at the end of a text is layout: `|` adds one."""
    if isinstance(value, str) and path[:1] != ("examples",):
        value = value.removesuffix("\n")
    return json.dumps(value, ensure_ascii=False)


def _partners(new: list[Any], old: list[Any]) -> dict[int, int]:
    """Return for items of a list those of another that they were: equal ones wherever they stand, then like ones."""
    waiting: dict[str, list[int]] = {}
    for place, item in enumerate(old):
        waiting.setdefault(_text(item), []).append(place)
    partner: dict[int, int] = {}
    for place, item in enumerate(new):
        if places := waiting.get(_text(item)):
            partner[place] = places.pop(0)
    left_new = [place for place in range(len(new)) if place not in partner]
    left_old = sorted(place for places in waiting.values() for place in places)
    if len(left_new) * len(left_old) <= MAX_COMPARED:
        partner |= _alike(new, old, left_new, left_old)
    return partner


def _alike(new: list[Any], old: list[Any], left_new: list[int], left_old: list[int]) -> dict[int, int]:
    words_new = {place: _words(new[place]) for place in left_new}
    words_old = {place: _words(old[place]) for place in left_old}
    scores = [
        (_likeness(words_new[one], words_old[other]), -abs(one - other), one, other)
        for one in left_new
        for other in left_old
        if _kind(new[one]) == _kind(old[other])
    ]
    partner: dict[int, int] = {}
    for score, _, one, other in sorted(scores, reverse=True):
        # A message that was rewritten is still that message where no other one could be meant.
        is_only = len(left_new) == len(left_old) == 1
        if (score >= LIKE or is_only) and one not in partner and other not in partner.values():
            partner[one] = other
    return partner


def _kind(item: Any) -> Any:
    """Return what an item must share with its partner: the role of a message, else whether it is a map at all."""
    return (item.get("role"), item.get("placeholder")) if isinstance(item, dict) else type(item)


def _words(item: Any) -> Counter[str]:
    return Counter(re.findall(r"\w+|[^\w\s]", _text(item)))


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 1.0
