"""Prompty, version 1 and 2: a `.prompty` file with YAML front matter and a Markdown body → a prompt.

Nothing is fetched and no variable of the environment is read: `${env:…}` is a loss, `${file:…}` is read only from
within the imported folder.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.exchange.drafts import CONNECTION, TOOLS, Draft, title_of
from promptstudio.exchange.prompty_body import Body, add_messages, converted
from promptstudio.exchange.prompty_values import (
    RICH,
    file_value,
    properties,
    read_input,
    read_outputs,
    read_sample,
    resolved,
)
from promptstudio.exchange.schema import Foreign, Import
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.exchange.writing import Ledger, stem_of
from promptstudio.prompts.yamlfile import YamlDocument, read_yaml

_FENCE = re.compile(r"[ \t]*(?:---|\+\+\+)[ \t]*")
_NEW_MODEL_KEYS = frozenset({"id", "provider", "apiType", "options"})
_OLD_MODEL_KEYS = frozenset({"api", "configuration", "parameters"})


class PromptyImporter:
    """Both versions; which one a file is of shows in its keys."""

    name = "prompty"
    title = "Prompty, version 1 and 2"

    def confidence(self, foreign: Foreign) -> int:
        return 100 if foreign.path.name.lower().endswith(".prompty") else 0

    def read(self, foreign: Foreign) -> Import:
        document, body, line = _split(foreign)
        ledger = Ledger(foreign, document, base_line=line)
        draft, reading = Draft(ledger), Reading(document, ledger)
        stem = stem_of(foreign, [".prompty"])
        root = reading.spot()
        is_first = _is_version_1(document.value)
        language = _template_language(root)
        is_chat = _read_front(draft, root, stem, is_first=is_first)
        kinds = {name: str(about.get("type", "any")) for name, about in draft.declared.items()}
        rich = {name: kind for name, kind in kinds.items() if kind in RICH}
        text = Body(body, line, language, rich, kinds, is_first)
        if is_chat:
            positions = dict(document.positions)
            ledger.document = replace(document, positions=positions)
            add_messages(draft, text, positions)
        else:
            draft.say("user", {"text": converted(draft, text, body.strip("\n"), "body", "")})
        return reading.result(draft.made(stem))


IMPORTER = PromptyImporter()


def _split(foreign: Foreign) -> tuple[YamlDocument, str, int]:
    """Return the front matter, the body, and the line the body begins on."""
    lines = foreign.text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    empty = YamlDocument(foreign.shown, "", {}, {}, {}, {}, {})
    if first == len(lines):
        raise PromptFileError("the file is empty", file=foreign.shown)
    if not _FENCE.fullmatch(lines[first].rstrip("\r")):
        return empty, "\n".join(lines), 1
    last = next((at for at in range(first + 1, len(lines)) if _FENCE.fullmatch(lines[at].rstrip("\r"))), None)
    if last is None:
        said = "the front matter is opened and never closed"
        raise PromptFileError(said, file=foreign.shown, line=first + 1, hint="write --- on the line after it")
    body = "\n".join(line.rstrip("\r") for line in lines[last + 1 :])
    front = lines[first + 1 : last]
    if not any(line.split("#", 1)[0].strip() for line in front):
        return empty, body, last + 2
    # Empty lines before it, so that its lines are those of the file.
    document = read_yaml("\n" * (first + 1) + "\n".join(front) + "\n", file=foreign.shown)
    if not isinstance(document.value, dict):
        raise PromptFileError("the front matter is no map", file=foreign.shown, line=first + 2)
    return document, body, last + 2


def _is_version_1(front: dict[str, Any]) -> bool:
    model = front.get("model")
    if "sample" in front or (
        isinstance(model, dict) and not _NEW_MODEL_KEYS & model.keys() and model.keys() & _OLD_MODEL_KEYS
    ):
        return True
    inputs = front.get("inputs")
    about = inputs.values() if isinstance(inputs, dict) else inputs if isinstance(inputs, list) else ()
    return any(isinstance(each, dict) and "type" in each and "kind" not in each for each in about)


# -- front matter ---------------------------------------------------------------------------------------------------


def _read_front(draft: Draft, root: Spot, stem: str, *, is_first: bool) -> bool:
    """Read the front matter into the draft; return False where the body is one text without roles."""
    title_of(draft, root.get("name"), stem)
    draft.note("display_name", root.get("displayName"))
    draft.text_field("description", root.get("description"))
    for spot in filter(None, (root, root.get("metadata"))):
        _read_about(draft, spot)
    if (metadata := root.get("metadata")) is not None:
        for key, spot in metadata.entries():
            if key not in ("authors", "tags", "version"):
                draft.note(key, spot)
    for name, spot in properties(root.get("inputs") or _inner(root.get("inputSchema"))):
        read_input(draft, name, spot, is_first=is_first)
    if (sample := root.get("sample")) is not None:
        read_sample(draft, sample)
    outputs = root.get("outputs") or _inner(root.get("outputSchema"))
    if outputs is not None:
        read_outputs(draft, outputs, is_first=is_first)
    for tool in _each(root.get("tools")):
        tool.drop(TOOLS)
    model = root.get("model")
    return model is None or _read_model(draft, model)


def _read_about(draft: Draft, spot: Spot) -> None:
    draft.note("authors", spot.get("authors"))
    draft.tags(spot.get("tags"))
    draft.version(spot.get("version"))


def _inner(schema: Spot | None) -> Spot | None:
    """Early versions of 2 wrapped the list: `inputSchema: {properties: …}`."""
    return (
        None if schema is None else schema.get("properties") if schema.is_map() and schema.get("properties") else schema
    )


def _each(spot: Spot | None) -> list[Spot]:
    if spot is None:
        return []
    return [value for _, value in spot.entries()] if spot.is_map() else spot.items()


def _template_language(root: Spot) -> str:
    template = root.get("template")
    if template is None:
        return "jinja2"
    if template.is_text():
        return template.one_of("jinja2", "mustache", "nunjucks")
    language = "jinja2"
    for key in ("type", "format"):
        if (spot := template.get(key)) is not None:
            kind = spot if spot.is_text() else spot.need("kind")
            language = kind.one_of("jinja2", "mustache", "nunjucks", "handlebars")
            if language == "handlebars":
                kind.fail("Handlebars templates of Prompty are not read", "write the template in Jinja or Mustache")
            if spot.is_map() and (strict := spot.get("strict")) is not None:
                strict.settle()  # a value can open no role here in any case
    if (parser := template.get("parser")) is not None:
        kind = parser if parser.is_text() else parser.need("kind")
        if kind.text() not in ("prompty", "prompty.chat"):
            kind.change("the roles are read as the prompty parser does")
    return "jinja2" if language == "nunjucks" else language


def _read_model(draft: Draft, model: Spot) -> bool:
    """Read the model; return False where the body is one text without roles."""
    if model.is_text():
        draft.model(model.text(), None, model.path)
        return True
    where = model.get("connection") or model.get("configuration")
    provider = model.get("provider") or (where.get("type") if where is not None and where.is_map() else None)
    called = provider.text() if provider is not None else None
    name = model.get("id") or (_name_of(where) if where is not None and where.is_map() else None)
    if name is not None and (real := resolved(name)) is not None:
        draft.model(real, called, name.path)
    if where is not None:
        _drop_connection(where)
    for options in filter(None, (model.get("options"), model.get("parameters"))):
        _read_options(draft, options)
    if (response := model.get("response")) is not None:
        response.drop("an answer is always the first one")
    api = model.get("apiType") or model.get("api")
    kind = api.text() if api is not None else "chat"
    if api is not None and kind not in ("chat", "responses", "response", "agent", "completion"):
        api.change(f"a prompt is sent as a chat here, not to the {kind} interface")
    return kind in ("chat", "responses", "response", "agent")


def _name_of(where: Spot) -> Spot | None:
    keys = ("azure_deployment", "deployment", "model", "name")
    kind = where.get("kind")
    if kind is not None and kind.value == "reference":
        return None
    return next((spot for key in keys if (spot := where.get(key)) is not None), None)


def _drop_connection(where: Spot) -> None:
    if not where.is_map():
        where.drop(CONNECTION)
        return
    for _, spot in where.entries():
        if spot.path not in spot.reading.settled:
            spot.drop(CONNECTION)


def _read_options(draft: Draft, options: Spot) -> None:
    for key, spot in options.entries():
        if key == "response_format":
            real = file_value(spot) if isinstance(spot.value, str) else spot
            if real is not None:
                draft.response_format(real)
        elif key == "additionalProperties" and spot.is_map():
            _read_options(draft, spot)
        elif key in ("tools", "functions"):
            for tool in _each(spot):
                tool.drop(TOOLS)
        else:
            draft.parameter(key, spot)
