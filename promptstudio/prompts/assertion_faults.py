"""A list of assertions as plain data → everything that is wrong with it, before anything is called.

What passes here can be evaluated: names, keys, options, thresholds and the values themselves (patterns, JSON Schemas,
paths into the answer) are checked. Whether a Python file is there is for `promptstudio.evals`, which knows the folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from promptstudio.errors import PromptStudioError
from promptstudio.prompts.assertion_table import (
    ASSERTION_KEYS,
    ASSERTION_NAMES,
    AssertionKind,
    ValueKind,
    base_name,
    kind_of,
)
from promptstudio.prompts.embedder_faults import embedder_faults
from promptstudio.prompts.judge_faults import judge_faults
from promptstudio.prompts.patterns import pattern_fault
from promptstudio.prompts.wording import found, nearest, shown, suggestion

ValuePath = tuple[str | int, ...]
Fault = tuple[ValuePath, str, str | None]

MAX_SET_DEPTH = 20
MAX_ASSERTIONS = 10_000
MAX_WEIGHT = 1_000_000
MAX_DIMENSIONS = 65_536
PYTHON_TARGET = re.compile(r"[^:\0]+\.py:[A-Za-z_]\w*")
# One step into a value: a name, or a place in a list as [0]; names with other characters stand in brackets and quotes.
PATH_STEP = re.compile(r"""\.?([^\W\d][\w-]*|\d+)|\[(\d+)\]|\["([^"\]]+)"\]|\['([^'\]]+)'\]""")
MEASURES = {
    "levenshtein": ("distance", "similarity"),
    "rouge-n": ("f1", "recall", "precision"),
    "rouge-l": ("f1", "recall", "precision"),
}


def assertion_faults(items: Any, path: ValuePath, *, templates: bool = False, depth: int = 0) -> Iterator[Fault]:
    """Yield what is wrong with a list of assertions; with `templates` texts may refer to a case's inputs."""
    if not isinstance(items, list):
        return
    if depth > MAX_SET_DEPTH or len(items) > MAX_ASSERTIONS:
        limit = f"{MAX_SET_DEPTH} assert-sets within each other" if depth > MAX_SET_DEPTH else f"{MAX_ASSERTIONS:,}"
        yield path, f"more than {limit}; that is too much to follow", "split the suite"
        return
    for index, item in enumerate(items):
        at = (*path, index)
        if isinstance(item, str):
            yield from _bare_faults(item, at)
        elif isinstance(item, dict):
            yield from _map_faults(item, at, templates, depth)
        else:
            yield at, f"expected the name of an assertion or a map, {_found(item)}", None


def _bare_faults(name: str, path: ValuePath) -> Iterator[Fault]:
    kind = kind_of(name)
    if kind is None:
        yield path, f"there is no assertion {shown(name)}", suggestion(name, ASSERTION_NAMES)
    elif not kind.bare:
        yield path, f"the assertion {name!r} needs a value", f"write {{{name}: …}}"


def assertion_name(item: dict[str, Any]) -> str | None:
    """Return the name of an assertion written as a map, the short form being `{name: value}`; None where none is."""
    if "type" in item:
        return item["type"] if isinstance(item["type"], str) else None
    short = [key for key in item if key not in ASSERTION_KEYS and not key.startswith("x-")]
    known = [key for key in short if key in ASSERTION_NAMES]
    return known[0] if known else next((key for key in short if kind_of(key)), None)


def value_key(item: dict[str, Any], name: str) -> str | None:
    """Return the key that holds an assertion's value, or None where it has none."""
    keys = ("assert", "value", name) if base_name(name) == "assert-set" else ("value", name)
    return next((key for key in keys if key in item), None)


def _map_faults(item: dict[str, Any], path: ValuePath, templates: bool, depth: int) -> Iterator[Fault]:
    name = assertion_name(item)
    names = [key for key in item if key in ASSERTION_NAMES or key == name]
    for key in item:
        if key not in names and key not in ASSERTION_KEYS and not key.startswith("x-"):
            close = nearest(key, (*ASSERTION_KEYS, *ASSERTION_NAMES))
            yield (*path, key), f"unknown key {shown(key)}", f"did you mean {close!r}?" if close else None
    if len(names) + ("type" in item) != 1:
        if names or not set(item) - set(ASSERTION_KEYS):
            said = "an assertion has one name" if names else "the assertion has no name"
            yield path, said, "write {type: contains, value: …} or {contains: …}"
        return
    kind = kind_of(name) if name is not None else None
    if name is None or kind is None:
        wrong = str(item["type"])
        yield (*path, "type"), f"there is no assertion {shown(wrong)}", suggestion(wrong, ASSERTION_NAMES)
        return
    yield from _key_faults(name, kind, item, path, templates)
    yield from _options_faults(name, kind, item.get("options"), (*path, "options"))
    holder = value_key(item, name)
    if holder is None or (item[holder] is None and kind.bare):
        yield from _no_value_faults(name, kind, item, path)
    elif kind.value == "members":
        yield from _member_faults(item[holder], (*path, holder), templates, depth)
    elif not (templates and has_template(item[holder])):
        yield from VALUE_FAULTS[kind.value](item[holder], (*path, holder))
    else:
        yield from _template_faults(item[holder], (*path, holder))


def _no_value_faults(name: str, kind: AssertionKind, item: dict[str, Any], path: ValuePath) -> Iterator[Fault]:
    if kind.value == "members":
        yield path, "an assert-set needs its members", "write {type: assert-set, assert: [...]}"
    elif kind.value == "limit":
        if "threshold" not in item and (name.startswith("not-") or "metric" not in item):
            yield path, f"the assertion {name!r} needs a value", f"write {{{name}: …}}, or `metric:` to record it"
    elif not kind.bare:
        yield path, f"the assertion {name!r} needs a value", f"write {{{name}: …}}"


def _member_faults(members: Any, path: ValuePath, templates: bool, depth: int) -> Iterator[Fault]:
    if not isinstance(members, list) or not members:
        yield path, "an assert-set needs its members", "write {type: assert-set, assert: [...]}"
        return
    yield from assertion_faults(members, path, templates=templates, depth=depth + 1)


def _key_faults(
    name: str, kind: AssertionKind, item: dict[str, Any], path: ValuePath, templates: bool
) -> Iterator[Fault]:
    if "weight" in item and not (_is_amount(item["weight"]) and item["weight"] <= MAX_WEIGHT):
        yield (*path, "weight"), f"expected a number from 0 to {MAX_WEIGHT:,}, {_found(item['weight'])}", None
    if "threshold" in item:
        threshold: Any = item["threshold"]
        range_ = "share" if _is_similarity(item) else kind.threshold
        if range_ is None and not templates:
            yield (*path, "threshold"), f"{name} has no threshold: it holds or it does not", "remove the key"
        elif not _is_amount(threshold) or (range_ == "share" and threshold > 1):
            said = "a number between 0 and 1" if range_ == "share" else "a number of at least 0"
            yield (*path, "threshold"), f"expected {said}, {_found(threshold)}", None
    for key in ("metric", "description"):
        if key in item and not (isinstance(item[key], str) and item[key]):
            yield (*path, key), f"expected text that is not empty, {_found(item[key])}", None
    if "path" in item and path_steps(item["path"]) is None:
        yield (*path, "path"), f"expected a path such as items[0].name, {_found(item['path'])}", None
    if "judge" in item and not kind.judged:
        yield (*path, "judge"), f"{name} needs no judge", "remove the key"
    elif "judge" in item:
        yield from judge_faults(item["judge"], (*path, "judge"))
    yield from embedder_faults(name, kind, item, path, templates)
    if "assert" in item and kind.value != "members":
        yield (*path, "assert"), f"{name} has no members", "write {type: assert-set, assert: [...]}"


def _is_similarity(item: dict[str, Any]) -> bool:
    options = item.get("options")
    return isinstance(options, dict) and options.get("measure") == "similarity"


def _options_faults(name: str, kind: AssertionKind, options: Any, path: ValuePath) -> Iterator[Fault]:
    if options is None:
        return
    if not isinstance(options, dict):
        yield path, f"expected a map, {_found(options)}", None
        return
    if kind.options is None:
        return
    for key, value in options.items():
        if key not in kind.options and not key.startswith("x-"):
            hint = suggestion(key, kind.options) if kind.options else f"{name} has no options"
            yield (*path, key), f"unknown key {shown(key)}", hint
        elif key == "measure" and value not in MEASURES[base_name(name)]:
            yield (*path, key), f"expected one of {', '.join(MEASURES[base_name(name)])}, {_found(value)}", None
        elif key == "n" and not (type(value) is int and 1 <= value <= 10):
            yield (*path, key), f"expected a whole number from 1 to 10, {_found(value)}", None
        elif key in ("alpha", "beta", "gamma") and not _is_amount(value):
            yield (*path, key), f"expected a number of at least 0, {_found(value)}", None
        elif key == "alpha" and value > 1:
            yield (*path, key), f"expected a number between 0 and 1, {_found(value)}", None
        elif key == "dimensions" and not (type(value) is int and 1 <= value <= MAX_DIMENSIONS):
            yield (*path, key), f"expected a whole number from 1 to {MAX_DIMENSIONS:,}, {_found(value)}", None
        elif key == "model" and not (isinstance(value, str) and value):
            yield (*path, key), f"expected the name of an embedding model, {_found(value)}", None


# -- values ---------------------------------------------------------------------------------------------------------


def path_steps(path: Any) -> tuple[str | int, ...] | None:
    """Read `items[0].name` as ("items", 0, "name"); None where it is not a path."""
    if not isinstance(path, str) or not path or len(path) > 1_000:
        return None
    steps: list[str | int] = []
    place = 0
    while place < len(path):
        step = PATH_STEP.match(path, place)
        if step is None or (step[0].startswith(".") and not steps):
            return None
        if steps and step[1] and not step[0].startswith("."):
            return None
        number = step[2] or (step[1] if step[1] and step[1].isdecimal() else None)
        steps.append(int(number[:9]) if number else step[1] or step[3] or step[4])
        place = step.end()
    return tuple(steps)


def has_template(value: Any) -> bool:
    """True where a text, or one in a list or a map, refers to an input as `{{ name }}`."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(has_template(child) for child in children)


def _template_faults(value: Any, path: ValuePath) -> Iterator[Fault]:
    if isinstance(value, str):
        from promptstudio.prompts.template import check_syntax  # Jinja, which only imported suites need here

        try:
            check_syntax(value)
        except PromptStudioError as error:
            yield path, error.problems[0].message, error.hint
        return
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from _template_faults(child, (*path, step))


def _found(value: Any) -> str:
    return f"found {found(value)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_amount(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_text(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, str) and value != "")


def _text(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not _is_text(value):
        yield path, f"expected text that is not empty, {_found(value)}", None


def _texts(value: Any, path: ValuePath) -> Iterator[Fault]:
    """A list, or one text with commas."""
    if isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _text(item, (*path, index))
    elif not (isinstance(value, str) and value.strip(", ")):
        what = "found one that is empty" if value == [] else _found(value)
        yield path, f"expected a list of texts, {what}", "as in [one, two]"


def _pattern(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not isinstance(value, str) or not value:
        yield path, f"expected a regular expression (text), {_found(value)}", None
    elif said := pattern_fault(value):
        yield path, said, "in double quotes YAML needs \\\\ for each \\; single quotes need only one"


def _schema(value: Any, path: ValuePath) -> Iterator[Fault]:
    from promptstudio.prompts.jsonschemas import schema_problems  # jsonschema: 100 ms

    if not isinstance(value, dict | bool):
        yield path, f"expected a JSON Schema (a map), {_found(value)}", None
        return
    for at, message in schema_problems(value):
        yield (*path, *at), message, None


def _optional_schema(value: Any, path: ValuePath) -> Iterator[Fault]:
    if value is not None and value != "":
        yield from _schema(value, path)


def _elements(value: Any, path: ValuePath) -> Iterator[Fault]:
    names = value
    if isinstance(value, dict):
        unknown = [key for key in value if key not in ("requiredElements", "required_elements")]
        if unknown or len(value) != 1:
            hint = "write {required_elements: [root.child]}"
            yield path, f"expected required_elements, found {', '.join(map(shown, value)) or 'nothing'}", hint
            return
        key, names = next(iter(value.items()))
        path = (*path, key)
    if value is not None and not (isinstance(names, list) and all(isinstance(n, str) and n.strip(".") for n in names)):
        yield path, f"expected a list of element paths, {_found(names)}", "as in [root.child]"


def _count(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not isinstance(value, dict):
        if type(value) is not int or value < 0:
            hint = "as in 50 or {min: 20, max: 50}"
            yield path, f"expected a number of words or {{min: …, max: …}}, {_found(value)}", hint
        return
    for key, number in value.items():
        if key not in ("min", "max"):
            yield (*path, key), f"unknown key {shown(key)}", suggestion(key, ("min", "max"))
        elif type(number) is not int or number < 0:
            yield (*path, key), f"expected a whole number of at least 0, {_found(number)}", None
    least, most = value.get("min"), value.get("max")
    if not value:
        yield path, "expected min, max or both", "as in {min: 20, max: 50}"
    elif type(least) is int and type(most) is int and least > most:
        yield path, f"min ({least}) is above max ({most})", "exchange them"


def _references(value: Any, path: ValuePath) -> Iterator[Fault]:
    for index, item in enumerate(value) if isinstance(value, list) else ():
        yield from _text(item, (*path, index))
    if not value or not isinstance(value, str | list):
        yield path, f"expected a text to compare with, or a list of them, {_found(value)}", None


def _limit(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not _is_amount(value):
        yield path, f"expected the largest allowed number, {_found(value)}", None


def _number(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not _is_number(value):
        yield path, f"{path[-1]} compares with a number, {_found(value)}", None


def _none(value: Any, path: ValuePath) -> Iterator[Fault]:
    if value not in (None, True):
        yield path, f"expected no value, {_found(value)}", "the name says it all"


def _tools(value: Any, path: ValuePath) -> Iterator[Fault]:
    items = [item for item in value.split(",") if item.strip()] if isinstance(value, str) else value
    if not isinstance(items, list) or not items:
        yield path, f"expected a list of tool names, {_found(value)}", "as in [search, book]"
        return
    for index, item in enumerate(items):
        name: Any = item.get("name") if isinstance(item, dict) else item
        if not (isinstance(name, str) and name):
            yield (*path, index), f"expected the name of a tool, {_found(item)}", None


def _tool_sequence(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield from _tools(value, path)
        return
    for key in value:
        if key not in ("steps", "mode"):
            yield (*path, key), f"unknown key {shown(key)}", suggestion(key, ("steps", "mode"))
    if value.get("mode", "in_order") not in ("in_order", "exact"):
        yield (*path, "mode"), f"expected in_order or exact, {_found(value['mode'])}", None
    yield from _tools(value.get("steps"), (*path, "steps") if "steps" in value else path)


def _tool_arguments(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield path, f"expected a map, {_found(value)}", "as in {name: search, args: {city: Cairo}}"
        return
    known = ("name", "args", "arguments", "mode")
    for key in value:
        if key not in known:
            yield (*path, key), f"unknown key {shown(key)}", suggestion(key, known)
    if not (isinstance(value.get("name"), str) and value["name"]):
        yield path, "missing key 'name'", "the name of the tool"
    if value.get("mode", "partial") not in ("partial", "exact"):
        yield (*path, "mode"), f"expected partial or exact, {_found(value['mode'])}", None
    given = [key for key in ("args", "arguments") if key in value]
    if len(given) != 1 or not isinstance(value[given[0]], dict):
        yield path, "expected the arguments as a map", "as in {name: search, args: {city: Cairo}}"


def _tool_schemas(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield path, f"expected a map from tool to JSON Schema, {_found(value)}", None
        return
    for name, schema in value.items():
        yield from _schema(schema, (*path, name))


def _python(value: Any, path: ValuePath) -> Iterator[Fault]:
    if not (isinstance(value, str) and PYTHON_TARGET.fullmatch(value)):
        yield path, f"expected FILE.py:FUNCTION, {_found(value)}", "code lives in a file of the repository"


VALUE_FAULTS: dict[ValueKind, Callable[[Any, ValuePath], Iterator[Fault]]] = {
    "anything": lambda _value, _path: iter(()),
    "text": _text,
    "texts": _texts,
    "pattern": _pattern,
    "schema": _schema,
    "schema?": _optional_schema,
    "elements?": _elements,
    "count": _count,
    "references": _references,
    "limit": _limit,
    "none": _none,
    "tools?": _tools,
    "tool schemas?": _tool_schemas,
    "tool sequence": _tool_sequence,
    "tool arguments": _tool_arguments,
    "number": _number,
    "python": _python,
    "rubric": _text,
}
