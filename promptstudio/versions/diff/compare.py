"""Two snapshots → a `Diff`: the verdict, then what differs in each part. Pure; equal parts end at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptstudio.prompts.identity import canonical_json
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.versions.diff.align import aligned
from promptstudio.versions.diff.messages import CountTokens, message_changes, turn_of
from promptstudio.versions.diff.schema import ABSENT, Change, Diff, Level, Section, Side, Verdict
from promptstudio.versions.diff.values import same
from promptstudio.versions.diff.verdict import verdict_of

_NOTES = ("description", "type", "tags", "metadata", "profile", "tests", "evals")


def compare(old: Snapshot | None, new: Snapshot | None, *, count: CountTokens | None = None) -> Diff:
    """Return what differs between two versions; None stands for a prompt that is not there.

    `count` estimates the tokens of a text (`promptstudio.prompts.tokens.estimate_tokens`); without it none are told.
    """
    verdict = verdict_of(old, new)
    sides = (_side(old), _side(new))
    if old is None or new is None:
        return _one_sided(old, new, verdict, count)
    if verdict.level is Level.NONE:
        return Diff(*sides, verdict)
    sections = tuple(section for section in _sections(old, new) if section.changes)
    messages = message_changes(_messages(old), _messages(new), count) if _text_differs(old, new) else ()
    tokens = (_tokens(old, count), _tokens(new, count)) if messages else (None, None)
    return Diff(*sides, verdict, sections, messages, *tokens, _variants(old, new, count))


def _side(snapshot: Snapshot | None) -> Side | None:
    if snapshot is None:
        return None
    identity = snapshot.identity
    return Side(snapshot.name, snapshot.path, snapshot.version, identity.behavior, identity.interface, identity.text)


def _one_sided(old: Snapshot | None, new: Snapshot | None, verdict: Verdict, count: CountTokens | None) -> Diff:
    messages = message_changes(_messages(old), _messages(new), count)
    sections = tuple(section for section in _sections(old, new) if section.changes)
    return Diff(_side(old), _side(new), verdict, sections, messages, _tokens(old, count), _tokens(new, count))


def _messages(snapshot: Snapshot | None) -> Sequence[Mapping[str, Any]]:
    return snapshot.behavior["messages"] if snapshot else ()


def _text_differs(old: Snapshot, new: Snapshot) -> bool:
    return old.identity.text != new.identity.text


def _tokens(snapshot: Snapshot | None, count: CountTokens | None) -> int | None:
    if count is None or snapshot is None:
        return None
    turns = [turn_of(message) for message in snapshot.behavior["messages"]]
    return sum(count(turn.text) for turn in turns if turn.role != "placeholder")


def _variants(old: Snapshot, new: Snapshot, count: CountTokens | None) -> dict[str, Diff]:
    """Return the variants that differ in another way than the prompt itself does."""
    found = {}
    base = _own_facts(old, new)
    for name in dict.fromkeys([*old.variants, *new.variants]):
        before, after = old.variants.get(name), new.variants.get(name)
        if before is None or after is None or _own_facts(before, after) != base:
            found[name] = compare(before, after, count=count)
    return {name: diff for name, diff in found.items() if diff.verdict.level}


def _own_facts(old: Snapshot, new: Snapshot) -> str:
    """Return what differs between two versions as text, to tell whether two others differ in the same way."""
    texts = (old.identity.text, new.identity.text) if _text_differs(old, new) else None
    return repr((texts, [section for section in _sections(old, new) if section.changes]))


# -- sections ---------------------------------------------------------------------------------------------------------


def _sections(old: Snapshot | None, new: Snapshot | None) -> Iterator[Section]:
    before: Mapping[str, Any] = old.behavior if old else {}
    after: Mapping[str, Any] = new.behavior if new else {}
    if not (old and new and old.identity.behavior == new.identity.behavior):
        yield Section("model", tuple(_value("model", before.get("model"), after.get("model"))))
        yield Section("parameters", tuple(_map(before.get("parameters", {}), after.get("parameters", {}))))
        yield Section("inputs", tuple(_inputs(old, new)))
        yield Section("output", tuple(_output(before, after)))
        yield Section(
            "examples", tuple(_list(before.get("examples", ()), after.get("examples", ()), ("inputs", "output")))
        )
        yield Section("tools", tuple(_list(before.get("tools", ()), after.get("tools", ()))))
        yield Section("fallbacks", tuple(_list(before.get("fallbacks", ()), after.get("fallbacks", ()))))
        yield Section("retry", tuple(_map(before.get("retry") or {}, after.get("retry") or {}) if old and new else ()))
    yield Section("variants", tuple(_names(old, new)))
    yield Section("notes", tuple(_notes(old, new)))


def _value(name: str, old: Any, new: Any) -> Iterator[Change]:
    """Yield one change where two values differ; null counts as nothing there."""
    before, after = (ABSENT if value is None else value for value in (old, new))
    if before is ABSENT or after is ABSENT:
        if before is not after:
            yield Change("added" if before is ABSENT else "removed", name, before, after)
    elif not same(before, after):
        yield Change("changed", name, before, after)


def _map(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        yield from _value(name, old.get(name), new.get(name))


def _inputs(old: Snapshot | None, new: Snapshot | None) -> Iterator[Change]:
    before = old.behavior["interface"]["inputs"] if old else {}
    after = new.behavior["interface"]["inputs"] if new else {}
    yield from _map(before, after)


def _output(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, after = (side["interface"]["output"] if side else None for side in (old, new))
    yield from _map(_output_values(before), _output_values(after))
    if old and new:
        yield from _map(old["reask"] or {}, new["reask"] or {})


def _output_values(output: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an output as named values: its name, its class, and each field of its schema."""
    if output is None:
        return {}
    found = {"name": output["name"]}
    if "model" in output:
        return {**found, "model": output["model"]}
    schema = output["schema"]
    fields = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(fields, Mapping) or "$ref" in schema:
        return {**found, "schema": schema}
    required = schema.get("required", ())
    rest = {key: value for key, value in schema.items() if key not in ("properties", "required", "type")}
    if rest.get("additionalProperties") is False:
        rest.pop("additionalProperties")
    if rest:
        found["schema"] = rest
    named = {f"fields.{name}": {"required": name in required, "schema": field} for name, field in fields.items()}
    return {**found, **named}


def _list(old: Sequence[Any], new: Sequence[Any], keys: Sequence[str] = ()) -> Iterator[Change]:
    """Yield what differs between two lists: equal items are aligned, then items that share a value of `keys`."""
    before, after = [canonical_json(item) for item in old], [canonical_json(item) for item in new]
    if before == after:
        return
    pairs = aligned(before, after)
    kept = {one for one, _ in pairs}, {other for _, other in pairs}
    gone = [place for place in range(len(old)) if place not in kept[0]]
    came = [place for place in range(len(new)) if place not in kept[1]]
    moved = _paired(gone, came, before, after)
    yield from (Change("moved", f"[{one}] → [{other}]", old[one], new[other]) for one, other in moved.items())
    gone, came = (
        [place for place in gone if place not in moved],
        [place for place in came if place not in moved.values()],
    )
    changed: dict[int, int] = {}
    for key in keys:
        texts = [[canonical_json(item[key]) for item in side] for side in (old, new)]
        free = [place for place in came if place not in changed.values()]
        changed |= _paired([place for place in gone if place not in changed], free, texts[0], texts[1])
    for place in gone:
        if place in changed:
            yield Change("changed", f"[{changed[place]}]", old[place], new[changed[place]])
        else:
            yield Change("removed", f"[{place}]", old[place])
    for place in came:
        if place not in changed.values():
            yield Change("added", f"[{place}]", ABSENT, new[place])


def _paired(gone: Sequence[int], came: Sequence[int], before: Sequence[str], after: Sequence[str]) -> dict[int, int]:
    waiting: dict[str, list[int]] = {}
    for place in reversed(came):
        waiting.setdefault(after[place], []).append(place)
    return {place: waiting[before[place]].pop() for place in gone if waiting.get(before[place])}


def _names(old: Snapshot | None, new: Snapshot | None) -> Iterator[Change]:
    before, after = old.variants if old else {}, new.variants if new else {}
    for name in before:
        if name not in after:
            yield Change("removed", name)
    for name in after:
        if name not in before:
            yield Change("added", name)


def _notes(old: Snapshot | None, new: Snapshot | None) -> Iterator[Change]:
    """Yield what people read and no model does."""
    if old and new:
        yield from _value("name", old.name, new.name)
    yield from _value("version", old.version if old else None, new.version if new else None)
    before: Mapping[str, Any] = old.notes if old else {}
    after: Mapping[str, Any] = new.notes if new else {}
    for name in _NOTES:
        yield from _value(name, before.get(name) or None, after.get(name) or None)
    described = before.get("inputs") or {}, after.get("inputs") or {}
    yield from (Change(change.kind, f"inputs.{change.name}", change.old, change.new) for change in _map(*described))
