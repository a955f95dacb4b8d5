"""OpenAI chat completions: the JSON of a request → a prompt; and back.

A request is finished text: `{{` in it is two braces and nothing else. Written with values, a prompt is such a request;
without values its texts keep `{{name}}` where a value would go, for whoever fills them in.
"""

from __future__ import annotations

import json
from typing import Any

from promptstudio.exchange.chat_content import literal_parts
from promptstudio.exchange.drafts import ROLES, TOOLS, Draft
from promptstudio.exchange.export_turns import Turn, about_losses, call_of, template_turns
from promptstudio.exchange.jsonfile import read_json_document
from promptstudio.exchange.peeking import peek
from promptstudio.exchange.schema import Exported, ExportRequest, Foreign, Import, Loss
from promptstudio.exchange.spots import NOTHING_LIKE_IT, Reading, Spot
from promptstudio.exchange.writing import Ledger, stem_of
from promptstudio.prompts.parameters import KNOWN, REFUSED
from promptstudio.prompts.wording import shown

# Parameters of this interface beside those that every provider has.
_OWN = frozenset(
    [
        *("store", "prediction", "modalities", "audio", "web_search_options"),
        *("prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
    ]
)
_ENVELOPE = ("custom_id", "method", "url")


class OpenAIChatImporter:
    """A request body, one line of a batch with the body in it, or a bare list of messages."""

    name = "openai-json"
    title = "OpenAI chat JSON"

    def confidence(self, foreign: Foreign) -> int:
        if not foreign.path.name.lower().endswith(".json"):
            return 0
        value = peek(foreign)
        if isinstance(value, dict) and isinstance(value.get("body"), dict) and "messages" in value["body"]:
            value = value["body"]
        if isinstance(value, list):
            return 50 if _are_messages(value) else 0
        if not isinstance(value, dict) or not _are_messages(value.get("messages")):
            return 0
        foreign_keys = {"lc", "_type", "prompt_template", "testData", "inputs", "template_format", "input_variables"}
        return 0 if value.keys() & foreign_keys else 80 if "model" in value else 65

    def read(self, foreign: Foreign) -> Import:
        document = read_json_document(foreign.text, file=foreign.shown)
        ledger = Ledger(foreign, document)
        draft, reading = Draft(ledger), Reading(document, ledger)
        _read(draft, reading.spot())
        return reading.result(draft.made(stem_of(foreign, [".json"])))


IMPORTER = OpenAIChatImporter()


def _are_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and isinstance(item.get("role"), str) for item in value[:50])
        and any("content" in item for item in value[:50])
        and not any("template_format" in item for item in value[:50])
    )


def _read(draft: Draft, root: Spot) -> None:
    if root.is_list():
        for message in root.items():
            _read_message(draft, message)
        return
    body = root.get("body")
    if body is not None and "messages" not in root.value:
        for key in _ENVELOPE:
            if (spot := root.get(key)) is not None:
                spot.drop("it belongs to the request, not to the prompt")
        root = body
    for message in root.need("messages").items():
        _read_message(draft, message)
    for key, spot in root.entries():
        if key not in ("messages", "body"):
            _read_setting(draft, key, spot)


def _read_setting(draft: Draft, key: str, spot: Spot) -> None:
    if spot.value is None:
        return
    if key == "model":
        draft.model(spot.text(), None, spot.path)
    elif key == "response_format":
        draft.response_format(spot)
    elif key in ("tools", "functions"):
        for tool in spot.items():
            tool.drop(TOOLS)
    elif key == "metadata" and spot.is_map():
        draft.metadata |= spot.plain()
    elif key in KNOWN or key in _OWN or key in REFUSED:
        draft.parameter(key, spot)
    else:
        spot.drop(NOTHING_LIKE_IT)


def _read_message(draft: Draft, message: Spot) -> None:
    role = message.need("role")
    own = ROLES.get(role.text())
    content = message.get("content")
    if own is None:
        message.drop(f"a message of the role {shown(role.value)} belongs to tools, which are code")
        return
    for key in ("tool_calls", "function_call"):
        if (calls := message.get(key)) is not None:
            calls.drop("a call of a tool is no text that can be sent again")
    if content is None:
        message.drop("there is no text in it")
    else:
        draft.say(own, *literal_parts(draft, content), at=message.path)


# -- export ---------------------------------------------------------------------------------------------------------


class OpenAIChatExporter:
    """A request body; the model bears OpenAI's own name where it is OpenAI's."""

    name = "openai-json"
    title = "OpenAI chat JSON, rendered with values"

    def write(self, request: ExportRequest) -> Exported:
        prompt = request.prompt
        file = f"{request.stem}.json"
        losses: list[Loss] = []
        turns = template_turns(request, file, losses)
        call, lost = call_of(prompt, file)
        document: dict[str, Any] = {}
        if prompt.model is not None:
            provider, _, name = prompt.model.partition("/")
            document["model"] = name if provider == "openai" and name else prompt.model
            if name and provider != "openai":
                losses.append(Loss(file, "model", f"{shown(prompt.model)} is not OpenAI's own", severity="changed"))
        document["messages"] = [message for turn in turns if (message := _message(turn, file, losses))]
        document |= call
        losses += [*lost, *about_losses(prompt, file)]
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        return Exported({file: text}, tuple(dict.fromkeys(losses)))


EXPORTER = OpenAIChatExporter()


def _message(turn: Turn, file: str, losses: list[Loss]) -> dict[str, Any] | None:
    if turn.role is None:
        said = f"a request has no place for messages to come: give values, among them {turn.placeholder}"
        losses.append(Loss(file, turn.key, said))
        return None
    if len(turn.parts) == 1 and turn.parts[0][0] == "text":
        return {"role": turn.role, "content": turn.parts[0][1]}
    return {"role": turn.role, "content": [_part(kind, text) for kind, text in turn.parts]}


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": text}}
    if kind == "audio":
        mime_type, _, data = text.removeprefix("data:").partition(";base64,")
        name = {"audio/mpeg": "mp3"}.get(mime_type, mime_type.removeprefix("audio/"))
        return {"type": "input_audio", "input_audio": {"data": data or text, "format": name if data else "wav"}}
    if kind == "file":
        return {"type": "file", "file": {"file_data": text}}
    return {"type": "text", "text": text}
