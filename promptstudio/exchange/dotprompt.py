"""A dotprompt file (`greet.prompt`: front matter and a Handlebars body) → a prompt; `greet.short.prompt` is a variant.

Partials (`_name.prompt`) are written into the text. Nothing the calling program would supply is guessed: named schemas,
tools, sections and context data are losses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptstudio.errors import UserError
from promptstudio.exchange.document import prompt_text, safe_name, stem_of
from promptstudio.exchange.drafts import TOOLS, Draft, title_of
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.nearby import near_file
from promptstudio.exchange.picoschema import PicoschemaError, input_field, json_schema_of
from promptstudio.exchange.schema import Foreign, Import, Loss, Made
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.exchange.writing import handlebars_to_messages
from promptstudio.prompts.fields import input_specs
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.prompt import MEDIA_TYPES
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath, YamlDocument, read_yaml

SUFFIX = ".prompt"
MAX_PARTIALS = 100
_FRONT = re.compile(r"\A(?:(?:#[^\n]*|[ \t]*)\n)*---[ \t]*\n")
_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_PARTIAL = re.compile(r"\{\{~?\s*>\s*[\"']?([\w./-]+)")
# Genkit's word for a provider → LiteLLM's.
_PROVIDERS = {"googleai": "gemini", "vertexai": "vertex_ai", "google": "gemini", "vertex": "vertex_ai"}
_RICH = (*MEDIA_TYPES, "messages")


class DotpromptImporter:
    """Google's dotprompt, as Genkit reads it."""

    name = "dotprompt"
    title = "dotprompt"

    def confidence(self, foreign: Foreign) -> int:
        name = foreign.path.name
        return 100 if name.lower().endswith(SUFFIX) and not name.startswith("_") else 0

    def read(self, foreign: Foreign) -> Import:
        if _base_of(foreign) is not None:
            return Import()  # it is read as a variant, with its base
        made, ledger, used = _read(foreign)
        losses = list(ledger.losses)
        variants: dict[str, Any] = {}
        for name, near in _variants_of(foreign):
            used.append(near.path)
            try:
                other, inner, more = _read(near)
            except UserError as cause:
                losses += [Loss(near.shown, "", f"not read: {each.message}", each.line) for each in cause.problems]
                continue
            losses += inner.losses
            used += more
            variants[name] = _overlay(_value(made), _value(other))
        if variants:
            document = {**_value(made), "variants": variants}
            made = replace(made, text=prompt_text(document, made.name))
        return Import((made,), tuple(losses), tuple(used))


IMPORTER = DotpromptImporter()


def _value(made: Made) -> dict[str, Any]:
    value: dict[str, Any] = read_yaml(made.text, file=made.name).value
    return value


def _overlay(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what laid over `base` gives `other`: null takes a key away, equal values are left out."""
    overlay: dict[str, Any] = {key: None for key in base if key not in other}
    for key, value in other.items():
        if key in base and base[key] == value:
            continue
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        overlay[key] = _overlay(base[key], value) if both else value
    return overlay


# -- which file is what ---------------------------------------------------------------------------------------------


def _base_of(foreign: Foreign) -> Path | None:
    """Return the file of which this one is a variant: `greet.prompt` for `greet.short.prompt`."""
    stem, dot, _ = foreign.path.name[: -len(SUFFIX)].rpartition(".")
    base = foreign.path.with_name(stem + SUFFIX)
    return base if dot and stem and base.is_file() and not base.is_symlink() else None


def _variants_of(foreign: Foreign) -> Iterator[tuple[str, Foreign]]:
    stem = foreign.path.name[: -len(SUFFIX)]
    for path in sorted(foreign.path.parent.glob(f"*{SUFFIX}")):
        middle = path.name[: -len(SUFFIX)].removeprefix(f"{stem}.")
        if path.name.startswith(f"{stem}.") and middle and "." not in middle and path.name != foreign.path.name:
            yield safe_name(middle, "variant"), near_file(path.name, foreign)


def _partials(text: str, foreign: Foreign, used: list[Path]) -> dict[str, str]:
    """Return the partials a text names, and those they name, as far as they lie in the imported folder."""
    found: dict[str, str] = {}
    pending = list(dict.fromkeys(_PARTIAL.findall(text)))
    while pending and len(found) < MAX_PARTIALS:
        name = pending.pop()
        if name in found:
            continue
        folder, _, last = name.rpartition("/")
        try:
            near = near_file(f"{folder}/_{last}{SUFFIX}" if folder else f"_{last}{SUFFIX}", foreign)
        except UserError:
            continue  # the template that calls it says that it is not there, with the line
        used.append(near.path)
        found[name] = near.text
        pending += _PARTIAL.findall(near.text)
    return found


# -- one file -------------------------------------------------------------------------------------------------------


def _read(foreign: Foreign) -> tuple[Made, Ledger, list[Path]]:
    front, body, line = _split(foreign)
    ledger = Ledger(foreign, front, base_line=line)
    draft = Draft(ledger)
    used: list[Path] = []
    schema = _front_matter(draft, front) if front is not None else {}
    kinds = {name: _kind(about) for name, about in schema.items()}
    partials = _partials(body, foreign, used)
    draft.messages = handlebars_to_messages(body, ledger, "body", kinds=kinds, partials=partials)
    _declare(draft, schema)
    return draft.made(stem_of(foreign, [SUFFIX])), ledger, used


def _split(foreign: Foreign) -> tuple[YamlDocument | None, str, int]:
    """Return the front matter, the body, and its line. As in dotprompt, only a body after front matter is trimmed."""
    opening = _FRONT.match(foreign.text)
    closing = _FENCE.search(foreign.text, opening.end()) if opening else None
    if opening is None or closing is None:
        return None, foreign.text, 1
    above = foreign.text.count("\n", 0, opening.end())
    front = foreign.text[opening.end() : closing.start()]
    body = foreign.text[closing.end() :]
    start = len(body) - len(body.lstrip())
    line = foreign.text.count("\n", 0, closing.end() + start) + 1
    document = read_yaml("\n" * above + front, file=foreign.shown) if front.strip() else None
    return document, body.strip(), line


def _kind(about: Mapping[str, Any]) -> str:
    kind = about.get("type", "any")
    return kind if isinstance(kind, str) else "any"


def _front_matter(draft: Draft, document: YamlDocument) -> dict[str, dict[str, Any]]:
    """Carry the front matter; return the declared inputs."""
    reading = Reading(document, draft.ledger)
    root = reading.spot()
    stem = safe_name(draft.ledger.foreign.path.name[: -len(SUFFIX)])
    title_of(draft, root.get("name"), stem)
    draft.text_field("description", root.get("description"))
    if (model := root.get("model")) is not None:
        name = model.text()
        prefix, slash, rest = name.partition("/")
        draft.model(f"{_PROVIDERS.get(prefix, prefix)}/{rest}" if slash else name, None, model.path)
    if (version := root.get("version")) is not None:
        draft.fields["version"] = str(version.plain())
    if (config := root.get("config")) is not None:
        for key, setting in config.entries():
            draft.parameter(key, setting)
    for key in ("tools", "toolDefs"):
        if (tools := root.get(key)) is not None:
            tools.drop(TOOLS)
    if (variant := root.get("variant")) is not None:
        variant.settle()  # the file's name says it
    for key, extension in root.entries():
        if "." in key or key in ("ext", "metadata"):
            draft.metadata[key] = extension.plain()
    _output(draft, root.get("output"))
    schema = _input(draft, root.get("input"))
    reading.finish()
    return schema


def _output(draft: Draft, output: Spot | None) -> None:
    if output is None:
        return
    form, schema = output.get("format"), output.get("schema")
    wanted = form.text() if form is not None else "json" if schema is not None else "text"
    if schema is not None and wanted == "json":
        try:
            made = json_schema_of(schema.value)
        except PicoschemaError as cause:
            schema.drop(str(cause))
            return
        whole = Reading(YamlDocument(output.reading.document.file, "", made, {}, {}, {}, {}), draft.ledger)
        draft.output(whole.spot(), None)
        schema.settle()
    elif schema is not None:
        schema.drop(f"it goes with the format {wanted}")
    elif form is not None and wanted != "text":
        form.drop("an answer without a schema has no type here: declare its fields below output:")


def _input(draft: Draft, given: Spot | None) -> dict[str, dict[str, Any]]:
    if given is None:
        return {}
    schema, default = given.get("schema"), given.get("default")
    fields: dict[str, dict[str, Any]] = {}
    if schema is not None:
        try:
            whole = json_schema_of(schema.value)
        except PicoschemaError as cause:
            schema.drop(str(cause))
            whole = {}
        schema.settle()
        required = whole.get("required", [])
        for name, about in whole.get("properties", {}).items():
            fields[name] = input_field(about if isinstance(about, dict) else {}, is_required=name in required)
        if isinstance(whole.get("additionalProperties"), dict):
            draft.ledger.changed(schema.path, "`(*)` names no input that could be declared")
    if default is not None and default.is_map():
        for name, value in default.entries():
            field = fields.setdefault(name, {"type": "any"})
            given_value = value.plain()
            if given_value is not None:
                field.pop("required", None)
                field["default"] = given_value
    return fields


def _declare(draft: Draft, schema: Mapping[str, dict[str, Any]]) -> None:
    """Declare the inputs: what the schema says, and for media and conversations what the text says."""
    ledger = draft.ledger
    names = ledger.names()
    for name, about in schema.items():
        own = names.get(name)
        if own is None:
            ledger.dropped(_path_of(name, ledger), f"no message uses the input {shown(name)}")
        elif (kind := ledger.inputs[own]) in _RICH:
            kept: dict[str, Any] = {key: about[key] for key in ("description", "required") if key in about}
            if "default" in about:
                ledger.changed(("input", "default", name), f"an input of type {kind} has no default here")
                kept["required"] = False
            draft.declared[own] = {"type": kind, **kept}
        else:
            draft.declared[own] = _sound(about, name, ledger)
    for own, kind in ledger.inputs.items():
        if own not in draft.declared and own in ledger.optional:
            draft.declared[own] = {"type": kind, "required": False}


def _path_of(name: str, ledger: Ledger) -> ValuePath:
    """Return where an input is declared: `style?` and `items(array)` are keys of the inputs style and items."""
    value = ledger.document.value.get("input", {}) if ledger.document is not None else {}
    for place in ("schema", "default"):
        there = value.get(place)
        keys = there.get("properties", there) if isinstance(there, dict) else {}
        for key in keys if isinstance(keys, dict) else ():
            if str(key).partition("(")[0].removesuffix("?") == name:
                return ("input", place, *(["properties"] if keys is not there else []), key)
    return ("input", name)


def _sound(about: dict[str, Any], name: str, ledger: Ledger) -> dict[str, Any]:
    """Return the declaration, without what our own check refuses in it: first the default, then all but the type."""
    for keys in (set(about), set(about) - {"default"}, {"type", "description", "required"}, {"required"}):
        field = {"type": "any", **{key: value for key, value in about.items() if key in keys}}
        document = YamlDocument("", "", {"inputs": {"it": field}}, {}, {}, {}, {})
        _, problems = input_specs(Source(document, document.value))
        if not problems:
            return field
        ledger.dropped(_path_of(name, ledger), problems[0].message.removeprefix("inputs.it"))
    return {"type": "any"}
