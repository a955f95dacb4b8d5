"""Inputs and output of two versions → the reasons why a caller must change, or need not. Pure.

Who calls gives inputs, so what was taken must still be taken: each value of the old schema has to fit the new one.
Who reads gets the output, so what comes must be what could come: each value of the new schema has to fit the old one,
except that a field more hurts nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.versions.diff.brief import brief, described
from promptstudio.versions.diff.contain import Break, Path, breaks, resolved
from promptstudio.versions.diff.rules import reason
from promptstudio.versions.diff.schema import Reason
from promptstudio.versions.diff.values import missing, same

MAX_FIELDS = 2_000
_NO_SCHEMA = frozenset({"image", "audio", "file", "messages"})
_NOTES = frozenset(
    {"title", "description", "examples", "default", "$comment", "$schema", "$id", "definitions", "$defs"}
)


# -- inputs -----------------------------------------------------------------------------------------------------------


def input_reasons(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Reason]:
    """Yield what changed for whoever calls the prompt."""
    removed = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    renamed = renamed_inputs(old, new)
    for name in removed:
        if name in renamed:
            yield reason("input-renamed", f"inputs.{name}", f"renamed to {renamed[name]}")
        else:
            yield reason("input-removed", f"inputs.{name}", f"removed ({_kind(old[name])})")
    for name in added:
        if name in renamed.values():
            continue
        rule = "input-added-required" if new[name]["required"] else "input-added-optional"
        need = "required" if new[name]["required"] else "optional"
        yield reason(rule, f"inputs.{name}", f"added, {need} ({_kind(new[name])})")
    for name in old:
        if name in new and not same(old[name], new[name]):
            yield from _input_changes(f"inputs.{name}", old[name], new[name])


def renamed_inputs(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return the inputs that have another name now, and nothing else that differs: old name → new name."""
    return _renamed(
        {name: spec for name, spec in old.items() if name not in new},
        {name: spec for name, spec in new.items() if name not in old},
    )


def _renamed(removed: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, str]:
    """Pair what went with what came where just one of each is the same thing."""
    pairs: dict[str, str] = {}
    for name, spec in removed.items():
        twins = [other for other, candidate in added.items() if same(spec, candidate)]
        rivals = [other for other, candidate in removed.items() if same(spec, candidate)]
        if len(twins) == len(rivals) == 1:
            pairs[name] = twins[0]
    return pairs


def _kind(spec: Mapping[str, Any]) -> str:
    return described(spec["schema"]) if spec["schema"] else str(spec["type"])


def _input_changes(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Reason]:
    if new["required"] and not old["required"]:
        yield reason("input-became-required", where, "optional → required")
    elif old["required"] and not new["required"]:
        text = f"required → optional, default {brief(new['default'])}" if "default" in new else "required → optional"
        yield reason("input-became-optional", where, text)
    elif not _same_default(old, new):
        text = f"default {brief(old['default']) if 'default' in old else 'none'}"
        yield reason(
            "input-default-changed", where, f"{text} → {brief(new['default']) if 'default' in new else 'none'}"
        )
    yield from _input_schema(where, old, new)


def _same_default(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return ("default" in old) == ("default" in new) and same(old.get("default"), new.get("default"))


def _input_schema(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Reason]:
    types = {str(old["type"]), str(new["type"])}
    if len(types) == 2 and types & _NO_SCHEMA:
        yield reason("input-type-changed", where, f"type {old['type']} → {new['type']}")
        return
    if same(old["schema"], new["schema"]):
        return
    found = breaks(old["schema"], new["schema"])
    for one in found:
        rule = "input-not-shown" if not one.is_shown else "input-narrowed"
        if one.is_shown and one.keyword == "type":
            rule = "input-type-changed"
        yield reason(rule, place(where, one.path), _wording(one, one.inner, one.outer))
    if not found:
        back = breaks(new["schema"], old["schema"])
        rule = "input-loosened" if back else "input-restated"
        text = ", ".join(dict.fromkeys(_wording(one, one.outer, one.inner) for one in back[:4]))
        yield reason(rule, where, text or "the schema is written otherwise, and takes the same values")


# -- output -----------------------------------------------------------------------------------------------------------


def output_reasons(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[Reason]:
    """Yield what changed for whoever reads the answer."""
    if old is None and new is None:
        return
    if old is None:
        yield reason("output-added", "output", "the answer was text, now it is typed")
        return
    if new is None:
        yield reason("output-removed", "output", "the answer was typed, now it is text")
        return
    if "model" in old or "model" in new:
        before, after = old.get("model", "a schema"), new.get("model", "a schema")
        if before != after:
            yield reason("output-model-changed", "output.model", f"{before} → {after}; cannot be shown compatible")
    elif not same(old["schema"], new["schema"]):
        yield from _output_schema(old["schema"], new["schema"])
    if old["name"] != new["name"]:
        yield reason("output-renamed", "output.name", f"{old['name']} → {new['name']}")


def _output_schema(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Reason]:
    fields = list(_field_reasons(old, new))
    yield from dict.fromkeys(one for _, one in fields)
    told = {path for path, _ in fields}
    found = breaks(new, old, formats=True)
    contract = [one for one in found if one.path not in told]
    for one in contract:
        yield reason(_output_rule(one), place("output", one.path), _wording(one, one.outer, one.inner))
    if fields or contract:
        return
    back = breaks(old, new, formats=True)
    if back:
        for one in back:
            rule = "output-field-required" if one.keyword == "required" else "output-narrowed"
            yield reason(rule, place("output", one.path), _wording(one, one.inner, one.outer))
    else:
        yield reason("output-reworded", "output", _reworded(old, new))


def _output_rule(one: Break) -> str:
    if not one.is_shown:
        return "output-not-shown"
    return {"type": "output-type-changed", "required": "output-field-optional"}.get(one.keyword, "output-widened")


def _reworded(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    names = [".".join(path) for path, one, other in _fields(old, new) if _notes(one) != _notes(other)]
    listed = ", ".join(names[:6])
    return f"title or description of {listed}" if listed else "titles, descriptions, defaults or the order of values"


def _notes(schema: Any) -> list[Any]:
    return [schema.get(word) for word in ("title", "description")] if isinstance(schema, Mapping) else []


def _field_reasons(old: Any, new: Any) -> Iterator[tuple[Path, Reason]]:
    """Yield fields that went, came, or were renamed, at any depth, with the path of each."""
    for path, one, other in _objects(old, new):
        before, after = one.get("properties", {}), other.get("properties", {})
        gone = {name: before[name] for name in before if name not in after}
        came = {name: after[name] for name in after if name not in before}
        pairs = _renamed(gone, came)
        for name, schema in gone.items():
            where = place("output", (*path, name))
            if name in pairs:
                renamed = reason("output-field-renamed", where, f"renamed to {pairs[name]}")
                yield from (((*path, name), renamed), ((*path, pairs[name]), renamed))
            else:
                yield (*path, name), reason("output-field-removed", where, f"removed ({described(schema)})")
        for name, schema in came.items():
            if name not in pairs.values() and one.get("additionalProperties", True) in (False, True, {}):
                where = place("output", (*path, name))
                yield (*path, name), reason("output-field-added", where, f"added ({described(schema)})")


def _objects(old: Any, new: Any) -> Iterator[tuple[Path, Mapping[str, Any], Mapping[str, Any]]]:
    for path, one, other in _fields(old, new):
        if isinstance(one, Mapping) and isinstance(other, Mapping) and ("properties" in one or "properties" in other):
            yield path, one, other


def _fields(old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
    """Walk both schemas side by side, through properties and items; each pair of definitions is seen once."""
    stack: list[tuple[Path, Any, Any]] = [((), old, new)]
    seen: set[tuple[int, int]] = set()
    while stack and len(seen) < MAX_FIELDS:
        path, one, other = stack.pop()
        one, other = resolved(one, old), resolved(other, new)
        if (id(one), id(other)) in seen or not (isinstance(one, Mapping) and isinstance(other, Mapping)):
            continue
        seen.add((id(one), id(other)))
        yield path, one, other
        before, after = one.get("properties", {}), other.get("properties", {})
        stack += [((*path, name), before[name], after[name]) for name in reversed(list(before)) if name in after]
        if "items" in one and "items" in other:
            stack.append(((*path, "[]"), one["items"], other["items"]))


# -- words ------------------------------------------------------------------------------------------------------------


def place(where: str, path: Path) -> str:
    """Return a place as people write it: `output.reply`, `inputs.rows[].id`."""
    return where + "".join(step if step == "[]" else f".{step}" for step in path)


def _wording(one: Break, before: Any, after: Any) -> str:
    """Say what changed at a keyword; `before` and `after` are what the versions say there."""
    ending = "" if one.is_shown else "; cannot be shown compatible"
    if one.keyword in ("enum", "const") and isinstance(before, list) and isinstance(after, list):
        return _values(before, after) + ending
    if one.keyword == "required":
        return ("optional → required" if after else "always there → may be missing") + ending
    if one.keyword == "schema" and not one.is_shown:
        return "the schema is too deep or too large" + ending
    if one.keyword in ("schema", "properties"):
        return f"{_presence(before)} → {_presence(after)}{ending}"
    nothing = "any" if one.keyword == "type" else "none"
    sides = [nothing if value is None else brief(value) for value in (before, after)]
    return f"{one.keyword} {sides[0]} → {sides[1]}{ending}"


def _presence(schema: Any) -> str:
    return "never there" if schema is False or schema is None else described(schema)


def _values(before: list[Any], after: list[Any]) -> str:
    lost, gained = missing(before, after), missing(after, before)
    said = [
        f"loses {', '.join(map(brief, lost[:5]))}" if lost else "",
        f"gains {', '.join(map(brief, gained[:5]))}" if gained else "",
    ]
    return "enum " + " and ".join(filter(None, said))
