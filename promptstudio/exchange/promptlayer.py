"""PromptLayer: a prompt template as its API returns it, or the bare template in it → a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from promptstudio.exchange.drafts import CONNECTION, ROLES, TOOLS, Draft, only_input
from promptstudio.exchange.jsonfile import read_json_document
from promptstudio.exchange.peeking import peek
from promptstudio.exchange.schema import Foreign, Import
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.exchange.writing import Ledger, fstring_to_jinja, jinja_to_jinja, safe_name, stem_of
from promptstudio.prompts.wording import shown

FORMATS = ("f-string", "jinja2")
_SNIPPET = re.compile(r"@@@([^@]{1,200})@@@")
_TOOL_KEYS = ("tools", "functions", "function_call", "tool_choice")


class PromptLayerImporter:
    """One template; `llm_kwargs` beside it is what PromptLayer computed of it for a provider."""

    name = "promptlayer"
    title = "PromptLayer template JSON"

    def confidence(self, foreign: Foreign) -> int:
        if not foreign.path.name.lower().endswith(".json"):
            return 0
        value = peek(foreign)
        if not isinstance(value, dict):
            return 0
        inner = value.get("prompt_template")
        if isinstance(inner, dict):
            return 95 if inner.get("type") in ("chat", "completion") else 60
        is_bare = value.get("type") in ("chat", "completion") and ("messages" in value or "content" in value)
        return 70 if is_bare and "_type" not in value else 0

    def read(self, foreign: Foreign) -> Import:
        document = read_json_document(foreign.text, file=foreign.shown)
        ledger = Ledger(foreign, document)
        draft, reading = Draft(ledger), Reading(document, ledger)
        root = reading.spot()
        file = stem_of(foreign, [".json"])
        template = root.get("prompt_template")
        if template is not None:
            file = _read_envelope(draft, root, file)
        _read_template(draft, template or root)
        return reading.result(draft.made(file))


IMPORTER = PromptLayerImporter()


def _read_envelope(draft: Draft, root: Spot, file: str) -> str:
    """Read what stands around the template; return the name of our file."""
    if (name := root.get("prompt_name")) is not None:
        title = name.text()
        file = safe_name(title, file)
        if file != title:
            draft.ledger.changed(name.path, f"the prompt is called {shown(file)} here")
            draft.metadata["title"] = title
    draft.tags(root.get("tags"))
    _read_about(draft, root)
    if (metadata := root.get("metadata")) is not None:
        for key, spot in metadata.entries():
            if key == "model" and spot.is_map():
                _read_model(draft, spot)
            else:
                draft.note(key, spot)
    return file


def _read_about(draft: Draft, root: Spot) -> None:
    about: dict[str, Any] = {}
    for key in ("version", "commit_message"):
        if (spot := root.get(key)) is not None:
            about[key] = spot.plain()
    if (labels := root.get("release_labels")) is not None and labels.value:
        about["labels"] = labels.texts()
        labels.change("labels are kept in metadata only; put one on a commit with ps promote")
    if about:
        draft.metadata["promptlayer"] = about
    if (computed := root.get("llm_kwargs")) is not None:
        computed.drop("it is computed of the template and the model, which are taken over")
    for key in ("provider_base_url", "provider_base_url_name", "api_key"):
        if (there := root.get(key)) is not None:
            there.drop(CONNECTION)


def _read_model(draft: Draft, model: Spot) -> None:
    provider = model.get("provider")
    called = provider.text() if provider is not None else None
    if (name := model.get("name")) is not None:
        draft.model(name.text(), called, name.path)
    if (parameters := model.get("parameters")) is not None:
        for key, spot in parameters.entries():
            if key == "response_format" and spot.value is not None:
                draft.response_format(spot)
            elif key in _TOOL_KEYS and spot.value is not None:
                spot.drop(TOOLS)
            else:
                draft.parameter(key, spot)


def _read_template(draft: Draft, template: Spot) -> None:
    kind = template.need("type").one_of("chat", "completion")
    style = template.get("template_format")
    language = style.one_of(*FORMATS) if style is not None else "f-string"
    for key in _TOOL_KEYS:
        if (spot := template.get(key)) is not None:
            for tool in spot.items() if spot.is_list() else [spot]:
                tool.drop(TOOLS)
    if kind == "completion":
        draft.say("user", *_parts(draft, template.need("content"), language), at=template.path)
    else:
        for message in template.need("messages").items():
            _read_message(draft, message, language)
    _read_names(draft, template)


def _read_message(draft: Draft, message: Spot, default_language: str) -> None:
    role = message.need("role")
    style = message.get("template_format")
    language = style.one_of(*FORMATS) if style is not None else default_language
    content = message.get("content")
    if role.text() == "placeholder":
        name = message.need("name")
        draft.place(name.text(), name.path)
        if content is not None:
            content.drop("what is put in comes with each run")
        return
    own = ROLES.get(role.value)
    if own is None:
        message.drop(f"a message of the role {shown(role.value)} belongs to tools, which are code")
        return
    for key in ("tool_calls", "function_call"):
        if (calls := message.get(key)) is not None:
            calls.drop("a call of a tool is no text that can be sent again")
    if content is None:
        message.drop("there is no text in it")
        return
    draft.say(own, *_parts(draft, content, language), at=message.path)
    _read_names(draft, message)


def _read_names(draft: Draft, spot: Spot) -> None:
    """The list of variables says nothing the texts do not say, but for those no text uses."""
    if (names := spot.get("input_variables")) is not None:
        for item in names.items():
            if draft.ledger.own_name(item.text(), item.path) not in draft.ledger.inputs:
                item.drop("no text uses it")


def _parts(draft: Draft, content: Spot, language: str) -> Iterator[dict[str, str]]:
    if content.is_text():
        yield {"text": _converted(draft, content, language)}
        return
    for item in content.items():
        kind = item.need("type")
        called = kind.text()
        if called == "text":
            yield {"text": _converted(draft, item.need("text"), language)}
        elif called == "image_url":
            yield _image(draft, item, language)
        else:
            item.drop(f"a part of the type {shown(called)} has no counterpart")


def _image(draft: Draft, item: Spot, language: str) -> dict[str, str]:
    image = item.need("image_url")
    url = image.need("url") if image.is_map() else image
    if image.is_map() and (detail := image.get("detail")) is not None:
        detail.drop("how closely a picture is looked at is up to the provider")
    variable = item.get("image_variable")
    if variable is not None:
        url.settle()
        variable.reading.ledger.changed(variable.path, "a list of pictures is put in there; here it is one picture")
        return {"image": f"{{{{ {draft.media_input(variable.text(), 'image', variable.path)} }}}}"}
    scratch = Draft(Ledger(draft.ledger.foreign, draft.ledger.document))
    if name := only_input(_converted(scratch, url, language)):
        return {"image": f"{{{{ {draft.media_input(name, 'image', url.path)} }}}}"}
    if scratch.ledger.inputs:
        draft.ledger.changed(url.path, "the address is put together of values there; here it is given whole")
    return draft.fixed_media("image", url.value, url.path)


def _converted(draft: Draft, spot: Spot, language: str) -> str:
    text = spot.text()
    for match in _SNIPPET.finditer(text):
        draft.ledger.dropped(spot.path, f"the snippet {shown(match[1])} is kept elsewhere: its tag stands as text")
    convert = jinja_to_jinja if language == "jinja2" else fstring_to_jinja
    return convert(text, draft.ledger, spot.path)
