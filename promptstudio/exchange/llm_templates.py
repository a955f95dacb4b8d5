"""Templates of the `llm` program: YAML with `prompt`, `system`, `$variables` and options → a prompt.

`functions` is Python that `llm` would run: here it is neither run nor kept, only named.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from promptstudio.exchange.drafts import TOOLS, Draft
from promptstudio.exchange.peeking import document_of, peek
from promptstudio.exchange.schema import Foreign, Import
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.exchange.writing import Ledger, dollar_to_jinja, stem_of
from promptstudio.prompts.media import SUPPORTED, kind_of
from promptstudio.prompts.pieces import Tag, Text, Value, jinja_source
from promptstudio.prompts.wording import shown

KEYS = frozenset(
    [
        *("name", "prompt", "system", "model", "defaults", "options", "schema_object", "tools", "functions"),
        *("attachments", "attachment_types", "extract", "extract_last", "fragments", "system_fragments"),
    ]
)
# Keys that no other format of prompts in YAML has.
_OWN = frozenset({"schema_object", "extract", "extract_last", "system_fragments", "attachment_types", "functions"})
_FRAGMENT = "a fragment is text from elsewhere: put it into the prompt, or into a file that it includes"
_PRINTED = "which part of an answer is printed is not the prompt's to say"
# What is not taken over → why.
_LEFT = {
    "name": "a template is named by its file",
    "extract": _PRINTED,
    "extract_last": _PRINTED,
    "fragments": _FRAGMENT,
    "system_fragments": _FRAGMENT,
    "tools": TOOLS,
    "functions": "Python code, which is never run: register its functions in promptstudio.toml, [tools]",
}
_SETTINGS = frozenset({"defaults", "options", "attachments", "fragments"})
_INPUT = re.compile(r"\$(?:input\b|\{input\})")
_VARIABLE = re.compile(r"\$\{?[a-z_]", re.IGNORECASE)
_MIME_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "pdf": "application/pdf",
}
INPUT = "input"


class LlmImporter:
    """Templates as `llm templates edit` keeps them."""

    name = "llm"
    title = "template of the llm program"

    def confidence(self, foreign: Foreign) -> int:
        if not foreign.path.name.lower().endswith((".yaml", ".yml")):
            return 0
        value = peek(foreign)
        if not isinstance(value, dict) or not value or value.keys() - KEYS:
            return 0
        if value.keys() & _OWN:
            return 85
        return _confidence_of(value)

    def read(self, foreign: Foreign) -> Import:
        document = document_of(foreign)
        ledger = Ledger(foreign, document)
        draft, reading = Draft(ledger), Reading(document, ledger)
        root = reading.spot()
        if root.is_text():
            _say(draft, None, root, [])
        else:
            _read(draft, root)
        return reading.result(draft.made(stem_of(foreign, [".yaml", ".yml"])))


IMPORTER = LlmImporter()


def _confidence_of(value: dict[str, Any]) -> int:
    """Tell a template from a prompt of ours, which may look much like it, by its variables."""
    texts = [value[key] for key in ("prompt", "system") if isinstance(value.get(key), str)]
    if not texts:
        return 0
    if value.keys() & _SETTINGS or any(map(_INPUT.search, texts)):
        return 80
    if any("{{" in text or "{%" in text for text in texts):
        return 0
    return 80 if any(map(_VARIABLE.search, texts)) else 30


def _read(draft: Draft, root: Spot) -> None:
    if (model := root.get("model")) is not None:
        draft.model(model.text(), None, model.path)
    for key, spot in root.need("options").entries() if root.get("options") is not None else ():
        draft.parameter(key, spot)
    if (schema := root.get("schema_object")) is not None:
        draft.output(schema, None)
    for key, reason in _LEFT.items():
        there = root.get(key)
        for item in [] if there is None else there.items() if there.is_list() else [there]:
            item.drop(reason)
    _say(draft, root.get("system"), root.get("prompt"), _attachments(draft, root))
    if (defaults := root.get("defaults")) is not None:
        _read_defaults(draft, defaults)


def _listed(spot: Spot | None) -> list[Spot]:
    return [] if spot is None else spot.items()


def _say(draft: Draft, system: Spot | None, prompt: Spot | None, parts: list[dict[str, str]]) -> None:
    """Add the messages. What is typed after the template's name is `$input`, or else comes below the prompt."""
    if system is not None and (text := system.text()):
        draft.say("system", {"text": dollar_to_jinja(text, draft.ledger, system.path)})
    text = prompt.text() if prompt is not None else ""
    path = prompt.path if prompt is not None else ()
    if not text:
        source = jinja_source([Value(draft.ledger.uses(INPUT, "string", path))])
    else:
        source = dollar_to_jinja(text, draft.ledger, path)
        if INPUT not in draft.ledger.inputs:
            source = _with_more_below(draft, source, path)
    draft.say("user", {"text": source}, *parts)


def _with_more_below(draft: Draft, source: str, path: tuple[str | int, ...]) -> str:
    own = draft.ledger.uses(INPUT, "string", path)
    draft.declare(INPUT, {"type": "string", "required": False, "description": "More text, below the prompt"}, path)
    below = jinja_source([Tag(f"if {own}"), Text("\n"), Value(own), Tag("endif")])
    # The last line feed of a template is dropped, and the source has one more for each that is meant.
    return source.removesuffix("\n") + below if source.endswith("\n") else source + below


def _read_defaults(draft: Draft, defaults: Spot) -> None:
    for name, spot in defaults.entries():
        if name == INPUT:
            spot.drop("llm always sets $input itself")
            continue
        value: Any = spot.value
        if isinstance(value, dict | list):
            spot.drop("a default is one text or number")
            continue
        spot.settle()
        draft.declare(name, {"type": "string", "default": str(value)}, spot.path)


def _attachments(draft: Draft, root: Spot) -> list[dict[str, str]]:
    parts = []
    for item in _listed(root.get("attachments")):
        address = item.text()
        suffix = urlsplit(address).path.rpartition(".")[2].lower() if len(address) < 2000 else ""
        if (mime_type := _MIME_TYPES.get(suffix)) is None:
            item.drop("it does not tell whether this is a picture, a sound or a document")
        else:
            parts.append(draft.fixed_media(kind_of(mime_type), address, item.path))
    for item in _listed(root.get("attachment_types")):
        value, mime_type = item.need("value"), item.need("type").text()
        if any(mime_type in types for types in SUPPORTED.values()):
            parts.append(draft.fixed_media(kind_of(mime_type), value.text(), value.path))
        else:
            item.drop(f"media of the type {shown(mime_type)} are not taken")
    return parts
