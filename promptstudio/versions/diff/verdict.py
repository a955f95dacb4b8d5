"""Two snapshots → MAJOR, MINOR, PATCH or NONE, and why. Pure; rules.py has the table of rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from promptstudio.prompts.snapshot import Snapshot
from promptstudio.versions.diff.brief import brief
from promptstudio.versions.diff.contract import input_reasons, output_reasons, renamed_inputs
from promptstudio.versions.diff.rules import reason
from promptstudio.versions.diff.schema import Level, Reason, Verdict
from promptstudio.versions.diff.values import same

UNCHANGED = Verdict(Level.NONE)
# A part of the behavior → the rule for it.
_PARTS = (
    ("messages", "messages-changed"),
    ("examples", "examples-changed"),
    ("tools", "tools-changed"),
    ("fallbacks", "fallbacks-changed"),
)
_NOTES = (
    ("description", "description-changed"),
    ("type", "type-changed"),
    ("tags", "tags-changed"),
    ("metadata", "metadata-changed"),
    ("profile", "profile-changed"),
    ("tests", "tests-changed"),
    ("evals", "evals-changed"),
)


def verdict_of(old: Snapshot | None, new: Snapshot | None) -> Verdict:
    """Return what the change from `old` to `new` means; None stands for a prompt that is not there."""
    if old is None or new is None:
        return _presence(old, new)
    reasons = _reasons(old, new)
    if not reasons:
        return UNCHANGED
    ordered = sorted(reasons, key=lambda one: -one.level)
    return Verdict(ordered[0].level, tuple(ordered))


def _presence(old: Snapshot | None, new: Snapshot | None) -> Verdict:
    if old is new:
        return UNCHANGED
    if new is None:
        only = reason("prompt-removed", "prompt", f"{old.name} is gone" if old else "")
    else:
        only = reason("prompt-added", "prompt", f"{new.name} is new")
    return Verdict(only.level, (only,))


def _reasons(old: Snapshot, new: Snapshot) -> list[Reason]:
    found = list(_own_reasons(old, new))
    if old.name != new.name:
        found.append(reason("renamed", "name", f"{old.name} → {new.name}"))
    if old.version != new.version:
        found.append(reason("version-changed", "version", f"{old.version or 'none'} → {new.version or 'none'}"))
    told = set(found)
    for name in dict.fromkeys([*old.variants, *new.variants]):
        found += [one for one in _variant_reasons(name, old, new) if replace(one, variant=None) not in told]
    return found


def _variant_reasons(name: str, old: Snapshot, new: Snapshot) -> Iterator[Reason]:
    before, after = old.variants.get(name), new.variants.get(name)
    if after is None:
        yield reason("variant-removed", f"variants.{name}", "removed")
    elif before is None:
        yield reason("variant-added", f"variants.{name}", "added")
    else:
        yield from (replace(one, variant=name) for one in _own_reasons(before, after))


def _own_reasons(old: Snapshot, new: Snapshot) -> Iterator[Reason]:
    """Yield what differs in behavior and notes, variants left aside. Equal hashes end the first half at once."""
    if old.identity.behavior != new.identity.behavior:
        found = list(_behavior_reasons(old, new))
        yield from found or [reason("behavior-changed", "behavior", "the hash is another")]
    yield from _note_reasons(old.notes, new.notes)
    yield from _input_note_reasons(old, new)


def _behavior_reasons(old: Snapshot, new: Snapshot) -> Iterator[Reason]:
    before, after = old.behavior, new.behavior
    if old.identity.interface != new.identity.interface:
        yield from input_reasons(before["interface"]["inputs"], after["interface"]["inputs"])
        yield from output_reasons(before["interface"]["output"], after["interface"]["output"])
    if before["model"] != after["model"]:
        yield reason("model-changed", "model", f"{before['model'] or 'none'} → {after['model'] or 'none'}")
    for name in dict.fromkeys([*before["parameters"], *after["parameters"]]):
        change = _value_change(name, before["parameters"], after["parameters"])
        if change:
            yield reason("parameters-changed", f"parameters.{name}", change)
    for part, rule in _PARTS:
        if not same(before[part], after[part]):
            describe = _turns_changed if part == "messages" else _list_change
            yield reason(rule, part, describe(before[part], after[part]))
    for name in before["retry"]:
        change = _value_change(name, before["retry"], after["retry"])
        if change:
            yield reason("retry-changed", f"retry.{name}", change)
    if before["reask"] and after["reask"]:
        for name in before["reask"]:
            change = _value_change(name, before["reask"], after["reask"])
            if change:
                yield reason("reask-changed", f"output.{name}", change)


def _value_change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    if name not in after:
        return f"{brief(before[name])} → none"
    if name not in before:
        return f"none → {brief(after[name])}"
    return None if same(before[name], after[name]) else f"{brief(before[name])} → {brief(after[name])}"


def _list_change(before: list[Any], after: list[Any]) -> str:
    """Say how a list changed without aligning it: what it holds is shown in the sections of a diff."""
    if all(isinstance(item, str) for item in [*before, *after]):
        return f"{', '.join(before) or 'none'} → {', '.join(after) or 'none'}"
    if len(before) != len(after):
        return f"{len(before)} → {len(after)}"
    changed = sum(not same(one, other) for one, other in zip(before, after, strict=True))
    return f"{changed} of {len(after)} changed"


def _turns_changed(before: list[Any], after: list[Any]) -> str:
    roles = [[str(one.get("role", one.get("placeholder"))) for one in side] for side in (before, after)]
    if len(before) != len(after):
        return f"{len(before)} → {len(after)} messages"
    changed = [
        name if name == was else f"{was} → {name}"
        for was, name, one, other in zip(*roles, before, after, strict=True)
        if not same(one, other)
    ]
    return f"{', '.join(dict.fromkeys(changed))} reworded" if roles[0] == roles[1] else ", ".join(changed)


def _note_reasons(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Reason]:
    for part, rule in _NOTES:
        if not same(old.get(part), new.get(part)):
            yield reason(rule, part, _note_change(old.get(part), new.get(part)))


def _input_note_reasons(old: Snapshot, new: Snapshot) -> Iterator[Reason]:
    """Yield inputs that are described otherwise; what is said of one that went or came goes and comes with it."""
    before, after = old.notes.get("inputs") or {}, new.notes.get("inputs") or {}
    if same(before, after):
        return
    known, left = (one.behavior["interface"]["inputs"] for one in (old, new))
    names = {**{name: name for name in known if name in left}, **renamed_inputs(known, left)}
    for was, name in names.items():
        if before.get(was) != after.get(name):
            yield reason("input-described", f"inputs.{name}", _note_change(before.get(was), after.get(name)))


def _note_change(old: Any, new: Any) -> str:
    if isinstance(old, list | Mapping) or isinstance(new, list | Mapping):
        return "changed"
    return f"{brief(old, 40) if old else 'none'} → {brief(new, 40) if new else 'none'}"
