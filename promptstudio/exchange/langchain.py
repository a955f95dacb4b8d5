"""LangChain prompts: what `prompt.save` writes (`_type: prompt | few_shot | chat`) and what `dumps` writes (`lc: 1`).

Objects are read as data and never built; an output parser, a selector of examples or a function is code and stays
behind. Jinja is welcome here, because our templates run in a sandbox.
"""

from __future__ import annotations

import re
from typing import Any

from promptstudio.exchange.chat_content import literal_parts
from promptstudio.exchange.drafts import ROLES, Draft, only_input, title_of
from promptstudio.exchange.langchain_few_shot import few_shot_text
from promptstudio.exchange.langchain_text import FORMATS, converted, template_text
from promptstudio.exchange.peeking import document_of, peek
from promptstudio.exchange.schema import Foreign, Import
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.exchange.writing import Ledger, stem_of

TYPES = ("prompt", "few_shot", "chat")
PARSER = "what reads the answer is code; declare the fields of the answer below output:"
_CLASSES = {
    "SystemMessagePromptTemplate": "system",
    "HumanMessagePromptTemplate": "user",
    "AIMessagePromptTemplate": "assistant",
    "SystemMessage": "system",
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "SystemMessageChunk": "system",
    "HumanMessageChunk": "user",
    "AIMessageChunk": "assistant",
}
_WITHOUT_DEFAULT = ("messages", "image", "audio", "file")
_SECRET = re.compile(r"api_key|token$|secret|password|base_url|api_base|endpoint|organization|headers|proxy|client")


class LangChainImporter:
    """Both of LangChain's ways to write a prompt down."""

    name = "langchain"
    title = "LangChain prompt, YAML or JSON"

    def confidence(self, foreign: Foreign) -> int:
        if not foreign.path.name.lower().endswith((".json", ".yaml", ".yml")):
            return 0
        value = peek(foreign)
        if not isinstance(value, dict):
            return 0
        if value.get("_type") in TYPES or _class_of(value).endswith(("PromptTemplate", "StructuredPrompt")):
            return 95
        if value.get("lc") == 1:
            return 80
        return 75 if "input_variables" in value and ("template" in value or "template_path" in value) else 0

    def read(self, foreign: Foreign) -> Import:
        document = document_of(foreign)
        ledger = Ledger(foreign, document)
        draft, reading = Draft(ledger), Reading(document, ledger)
        stem = stem_of(foreign, [".json", ".yaml", ".yml"])
        root = reading.spot()
        root.as_map()
        if root.get("lc") is not None:
            _read_object(draft, root, stem)
        else:
            _read_saved(draft, root, stem)
        return reading.result(draft.made(stem))


IMPORTER = LangChainImporter()


# -- as saved -------------------------------------------------------------------------------------------------------


def _read_saved(draft: Draft, root: Spot, stem: str) -> None:
    spot = root.get("_type")
    kind = spot.one_of(*TYPES) if spot is not None else "prompt"
    _read_common(draft, root, stem)
    if kind == "chat":
        _read_saved_chat(draft, root)
        return
    source = few_shot_text(draft, root) if kind == "few_shot" else template_text(draft, root)
    _read_partials(draft, root)
    draft.say("user", {"text": source})


def _read_saved_chat(draft: Draft, root: Spot) -> None:
    for number, spot in enumerate(root.need("messages").items()):
        if spot.get("lc") is not None:
            _read_message(draft, spot, "f-string")
            continue
        role = spot.get("role") or spot.get("type")
        name = ROLES.get(role.text()) if role is not None and role.is_text() else None
        if name is None and number > 0:
            spot.drop("it was saved without its role, and LangChain itself reads only the first message back")
            continue
        if name is None:
            spot.reading.ledger.changed(spot.path, "it was saved without its role; LangChain reads it as the user's")
        _say_prompt(draft, name or "user", spot.need("prompt"))
    _read_partials(draft, root)


def _read_common(draft: Draft, spot: Spot, stem: str) -> None:
    """Keys that every kind of prompt may have."""
    title_of(draft, spot.get("name"), stem)
    draft.tags(spot.get("tags"))
    if (metadata := spot.get("metadata")) is not None:
        for key, value in metadata.entries():
            draft.note(key, value)
    if (parser := spot.get("output_parser")) is not None:
        parser.drop(PARSER)
    if (checked := spot.get("validate_template")) is not None:
        checked.change("templates are always checked here")
    if (types := spot.get("input_types")) is not None:
        types.drop("the types of values are Python classes there")


def _read_partials(draft: Draft, spot: Spot) -> None:
    """Values filled in beforehand are defaults: in LangChain too, a value given later wins."""
    style = spot.get("template_format")
    is_fstring = style is None or style.value == "f-string"
    if (partials := spot.get("partial_variables")) is not None:
        for name, value in partials.entries():
            if value.is_map() and "lc" in value.value:
                value.drop("the value is an object of Python code")
                continue
            if draft.ledger.inputs.get(draft.ledger.own_name(name, value.path)) in _WITHOUT_DEFAULT:
                value.drop("messages and media have no default: give them for each run")
                continue
            default = value.plain()
            if is_fstring and isinstance(default, bool | float | list | dict):
                default = str(default)  # what Python puts into the text; here it would be JSON
            draft.declare(
                name, {"type": "string" if isinstance(default, str) else "any", "default": default}, value.path
            )
    for key in ("input_variables", "optional_variables"):
        if (names := spot.get(key)) is not None:
            _read_names(draft, names, optional=key == "optional_variables")


def _read_names(draft: Draft, names: Spot, *, optional: bool) -> None:
    for item in names.items():
        own = draft.ledger.own_name(item.text(), item.path)
        if own not in draft.ledger.inputs:
            item.drop("no text uses it")
        elif optional:
            draft.ledger.optional.add(own)


# -- as dumped ------------------------------------------------------------------------------------------------------


def _class_of(value: Any) -> str:
    """Return the class an object was of: the last part of its `id`."""
    names = value.get("id") if isinstance(value, dict) and value.get("lc") == 1 else None
    return str(names[-1]) if isinstance(names, list) and names else ""


def _opened(spot: Spot) -> tuple[str, Spot]:
    """Settle what only says that this is an object; return its class and its arguments."""
    spot.need("lc").settle()
    kind = spot.need("type").text()
    spot.need("id").settle()
    for key in ("name", "repr", "graph"):
        if (there := spot.get(key)) is not None:
            there.settle()  # the name of the class again, and pictures of it
    called = _class_of(spot.value)
    if kind != "constructor":
        spot.fail(f"{called or 'this object'} was not written down: its type is {kind}", "export it in another form")
    return called, spot.need("kwargs")


def _read_object(draft: Draft, root: Spot, stem: str) -> None:
    called, arguments = _opened(root)
    if called == "RunnableSequence":
        _read_object(draft, arguments.need("first"), stem)
        for part in [*_listed(arguments.get("middle")), *_listed(arguments.get("last"))]:
            _read_step(draft, part)
        return
    _read_common(draft, arguments, stem)
    if called in ("ChatPromptTemplate", "StructuredPrompt"):
        default = arguments.get("template_format")
        for message in arguments.need("messages").items():
            _read_message(draft, message, default.one_of(*FORMATS) if default is not None else "f-string")
        if (schema := arguments.get("schema_") or arguments.get("schema")) is not None:
            draft.output(schema, schema.get("title") if schema.is_map() and "title" in schema.value else None)
            schema.settle()
    elif called == "FewShotPromptTemplate":
        draft.say("user", {"text": few_shot_text(draft, arguments)})
    elif called == "PromptTemplate":
        draft.say("user", {"text": template_text(draft, arguments)})
    else:
        root.fail(f"a {called or 'value'} is no prompt", "known are ChatPromptTemplate and PromptTemplate")
    _read_partials(draft, arguments)


def _listed(spot: Spot | None) -> list[Spot]:
    return [] if spot is None else spot.items() if spot.is_list() else [spot]


def _read_step(draft: Draft, spot: Spot) -> None:
    """What follows the prompt in a sequence: a model tells its name and parameters, all else is code."""
    called = _class_of(spot.value)
    arguments = spot.get("kwargs") if spot.is_map() else None
    if arguments is not None and called == "RunnableBinding" and (bound := arguments.get("bound")) is not None:
        _read_step(draft, bound)
        return
    if arguments is None or not called.startswith("Chat") or not arguments.is_map():
        spot.drop("what follows the prompt is code")
        return
    _opened(spot)
    provider = {"ChatOpenAI": "openai", "AzureChatOpenAI": "azure", "ChatAnthropic": "anthropic"}.get(called)
    for key, value in arguments.entries():
        if key in ("model", "model_name") and value.is_text():
            draft.model(value.text(), provider, value.path)
        elif _SECRET.search(key) or (value.is_map() and "lc" in value.value):
            value.drop("connections live in promptstudio.toml, [providers.NAME]; a key only in the environment")
        elif key == "model_kwargs" and value.is_map():
            for name, inner in value.entries():
                draft.parameter(name, inner)
        else:
            draft.parameter(key, value)


def _read_message(draft: Draft, spot: Spot, default_format: str) -> None:
    if (kind := spot.get("type")) is not None and kind.value == "not_implemented":
        spot.drop(f"LangChain itself did not write a {_class_of(spot.value)} down")
        return
    called, arguments = _opened(spot)
    if called == "MessagesPlaceholder":
        _read_placeholder(draft, arguments)
    elif called == "ChatMessagePromptTemplate":
        role = arguments.need("role")
        if (own := ROLES.get(role.text())) is None:
            spot.drop(f"there is no role {role.value!r:.40} here")
        else:
            _say_prompt(draft, own, arguments.need("prompt"))
    elif called in _CLASSES and "prompt" in arguments.as_map():
        _say_prompt(draft, _CLASSES[called], arguments.need("prompt"))
    elif called in _CLASSES and "content" in arguments.as_map():
        _say_content(draft, _CLASSES[called], arguments)
    elif called.endswith("PromptTemplate") and "template" in arguments.as_map():
        draft.say("user", {"text": template_text(draft, arguments, default_format)})
    else:
        spot.drop(f"a {called} is no message of a prompt file")


def _read_placeholder(draft: Draft, arguments: Spot) -> None:
    optional = arguments.get("optional")
    name = arguments.need("variable_name")
    draft.place(name.text(), name.path, required=not (optional is not None and optional.truth()))
    if (limit := arguments.get("n_messages")) is not None:
        limit.drop("all the messages given are put in; give only the last ones")


def _say_prompt(draft: Draft, role: str, prompt: Spot) -> None:
    parts = [_prompt_part(draft, part) for part in (prompt.items() if prompt.is_list() else [prompt])]
    draft.say(role, *(part for part in parts if part is not None), at=prompt.path)


def _prompt_part(draft: Draft, spot: Spot) -> dict[str, str] | None:
    called, arguments = _opened(spot) if "lc" in spot.as_map() else ("PromptTemplate", spot)
    if called == "ImagePromptTemplate":
        return _image_part(draft, arguments)
    if called != "PromptTemplate":
        spot.drop(f"a {called} is no part of a message")
        return None
    for key in ("_type", "input_types"):
        if (there := arguments.get(key)) is not None:
            there.settle()
    _read_common(draft, arguments, "")
    source = template_text(draft, arguments)
    _read_partials(draft, arguments)
    return {"text": source}


def _image_part(draft: Draft, arguments: Spot) -> dict[str, str]:
    """The template of a picture is a map with `url`, and perhaps `detail`."""
    template = arguments.need("template")
    url = template.need("url") if template.is_map() else template
    if template.is_map() and (detail := template.get("detail")) is not None:
        detail.drop("how closely a picture is looked at is up to the provider")
    style = arguments.get("template_format")
    scratch = Ledger(draft.ledger.foreign, draft.ledger.document)
    source = converted(scratch, url.text(), url.path, style.one_of(*FORMATS) if style is not None else "f-string")
    if (names := arguments.get("input_variables")) is not None:
        names.settle()
    if name := only_input(source):
        return {"image": f"{{{{ {draft.media_input(name, 'image', url.path)} }}}}"}
    if scratch.inputs:
        draft.ledger.changed(url.path, "the address is put together of values there; here it is given whole")
    return draft.fixed_media("image", url.value, url.path)


def _say_content(draft: Draft, role: str, arguments: Spot) -> None:
    """A message that is no template: its text is literal."""
    if (kind := arguments.get("type")) is not None:
        kind.settle()
    draft.say(role, *literal_parts(draft, arguments.need("content")), at=arguments.path)
