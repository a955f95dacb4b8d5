"""Langfuse: a prompt as its API returns it (type text or chat, alone or in a list) → prompts; and back.

`{{name}}` is all of its template language: a value is put in, nothing else happens. What is in double braces and is no
name stays as it is, as it does there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from promptstudio.exchange.drafts import CONNECTION, ROLES, TOOLS, Draft, snake_case
from promptstudio.exchange.export_turns import Turn, about_losses, call_of, template_turns
from promptstudio.exchange.jsonfile import read_json_document
from promptstudio.exchange.peeking import peek
from promptstudio.exchange.schema import Exported, ExportRequest, Foreign, Import, Loss, Made
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.exchange.writing import Ledger, safe_name
from promptstudio.prompts.parameters import KNOWN, parameter_faults
from promptstudio.prompts.pieces import Piece, Text, Value, jinja_source
from promptstudio.prompts.wording import shown

MAX_INLINED = 5
MAX_TEXT_LENGTH = 1 << 20
_HINTS = frozenset({"labels", "config", "version", "commitMessage", "projectId", "isActive", "resolutionGraph"})
_NAME = re.compile(r"[^\W\d][\w\s.-]*")
_REFERENCE = re.compile(r"@@@langfusePrompt:(?P<about>[^@]*)@@@")


class LangfuseImporter:
    """One prompt, or a list of them: of several versions the one in production, or the newest."""

    name = "langfuse"
    title = "Langfuse prompt JSON"

    def confidence(self, foreign: Foreign) -> int:
        if not foreign.path.name.lower().endswith(".json"):
            return 0
        return max((_confidence_of(value) for value in _candidates(peek(foreign))), default=0)

    def read(self, foreign: Foreign) -> Import:
        document = read_json_document(foreign.text, file=foreign.shown)
        ledger = Ledger(foreign, document)
        reading = Reading(document, ledger)
        spots = list(_prompts(reading.spot()))
        texts = {str(spot.value.get("name")): spot.value["prompt"] for spot in spots if _is_text_prompt(spot.value)}
        made = []
        for spot in spots:
            own = Ledger(foreign, document, losses=ledger.losses)
            made.append(_read(Draft(own), Reading(document, own, reading.settled), spot.path, texts))
        return reading.result(*made)


IMPORTER = LangfuseImporter()


def _candidates(value: Any) -> list[Any]:
    data = value.get("data") if isinstance(value, dict) and isinstance(value.get("data"), list) else value
    return data[:20] if isinstance(data, list) else [data]


def _confidence_of(value: Any) -> int:
    if not isinstance(value, dict) or not isinstance(value.get("prompt"), str | list) or "messages" in value:
        return 0
    typed = value.get("type") in ("text", "chat") and isinstance(value.get("name"), str)
    return 85 if typed and value.keys() & _HINTS else 75 if typed else 60 if {"name", "labels"} <= value.keys() else 0


def _is_text_prompt(value: dict[str, Any]) -> bool:
    return isinstance(value.get("prompt"), str) and isinstance(value.get("name"), str)


def _prompts(root: Spot) -> Iterator[Spot]:
    """Yield the prompts to make: one for each name."""
    data = root.get("data") if root.is_map() and "data" in root.value else None
    if data is not None and (meta := root.get("meta")) is not None:
        meta.settle()  # which page of a list this is
    whole = data or root
    if not whole.is_list():
        whole.need("prompt")
        yield whole
        return
    chosen: dict[str, Spot] = {}
    for spot in whole.items():
        if "prompt" not in spot.as_map():
            spot.drop("a list tells names only: export the prompts themselves")
            continue
        name = spot.need("name").text()
        other = chosen.get(name)
        if other is not None:
            spot, other = (spot, other) if _rank(spot) > _rank(other) else (other, spot)  # noqa: PLW2901 — the better one
            other.drop(f"another version of {shown(name)} is taken")
        chosen[name] = spot
    yield from chosen.values()


def _rank(spot: Spot) -> tuple[bool, float]:
    labels, version = spot.value.get("labels"), spot.value.get("version")
    live = isinstance(labels, list) and "production" in labels
    return live, version if isinstance(version, int | float) else 0


def _read(draft: Draft, reading: Reading, path: tuple[str | int, ...], texts: dict[str, str]) -> Made:
    root = reading.spot(path)
    spot = root.get("name")
    name = spot.text() if spot is not None else ""
    file = safe_name(name or draft.ledger.foreign.path.name.removesuffix(".json"))
    if name and file != name:
        draft.ledger.changed((*path, "name"), f"the prompt is called {shown(file)} here")
        draft.metadata["title"] = name
    prompt = root.need("prompt")
    kind = root.get("type")
    if kind is not None:
        kind.one_of("text", "chat")
    if prompt.is_text():
        draft.say("user", {"text": _converted(draft, prompt, texts)})
    else:
        for message in prompt.items():
            _read_message(draft, message, texts)
    draft.tags(root.get("tags"))
    _read_about(draft, root)
    if (config := root.get("config")) is not None:
        _read_config(draft, config)
    return draft.made(file)


def _read_about(draft: Draft, root: Spot) -> None:
    about: dict[str, Any] = {}
    for key, own in (("version", "version"), ("commitMessage", "commit_message")):
        if (spot := root.get(key)) is not None:
            about[own] = spot.plain()
    if (labels := root.get("labels")) is not None and labels.value:
        about["labels"] = labels.texts()
        labels.change("labels are kept in metadata only; put one on a commit with ps promote")
    if about:
        draft.metadata["langfuse"] = about


def _read_message(draft: Draft, message: Spot, texts: dict[str, str]) -> None:
    kind = message.get("type")
    called = kind.one_of("message", "chatmessage", "placeholder") if kind is not None else "message"
    if called == "placeholder":
        name = message.need("name")
        draft.place(name.text(), name.path)
        return
    role = message.need("role")
    own = ROLES.get(role.text())
    if own is None:
        message.drop(f"there is no role {shown(role.value)} here")
    else:
        draft.say(own, {"text": _converted(draft, message.need("content"), texts)})


def _read_config(draft: Draft, config: Spot) -> None:
    """Of the free settings those that a call has are taken as such; the others are kept as they are."""
    if not config.is_map():
        draft.note("config", config)
        return
    provider = config.get("provider")
    for key, spot in config.entries():
        own = snake_case(key)
        if key in ("model", "model_name", "modelName") and spot.is_text():
            called = provider.text() if provider is not None and provider.is_text() else None
            draft.model(spot.text(), called, spot.path)
        elif own in ("response_format", "responseformat"):
            draft.response_format(spot)
        elif own in ("tools", "functions", "tool_choice"):
            spot.drop(TOOLS)
        elif own in KNOWN or own in ("max_output_tokens", "stop_sequences"):
            draft.parameter(key, spot)
        elif any("looks like a secret" in said or hint == CONNECTION for _, said, hint in parameter_faults({own: 0})):
            spot.drop(CONNECTION)
        elif key != "provider" or spot.path not in spot.reading.settled:
            draft.metadata.setdefault("config", {})[key] = spot.plain()


# -- its template language ------------------------------------------------------------------------------------------


def _converted(draft: Draft, spot: Spot, texts: dict[str, str]) -> str:
    return jinja_source(_pieces(draft, spot, _Inliner(spot, texts).whole(spot.text(), ())))


@dataclass(slots=True)
class _Inliner:
    """Puts the text of other prompts in the place of their tags, as Langfuse does before it hands a prompt out.

    `length` is all the text put in anywhere, so that prompts that double each other end early.
    """

    spot: Spot
    texts: dict[str, str]
    length: int = 0

    def whole(self, text: str, inside: tuple[str, ...]) -> str:
        return _REFERENCE.sub(lambda match: self.other(match, inside), text)

    def other(self, match: re.Match[str], inside: tuple[str, ...]) -> str:
        about = dict(part.partition("=")[::2] for part in match["about"].split("|"))
        name, ledger = about.get("name", ""), self.spot.reading.ledger
        if name not in self.texts or name in inside or len(inside) >= MAX_INLINED:
            ledger.dropped(self.spot.path, f"the prompt {shown(name)} is not in this file: its tag stands as text")
            return match[0]
        said = f"the text of {shown(name)} is written into this one; its version or label is not looked at"
        ledger.changed(self.spot.path, said)
        text = self.whole(self.texts[name], (*inside, name))
        self.length += len(text) + len(match[0])
        if self.length > MAX_TEXT_LENGTH:
            self.spot.fail("with the prompts it names it comes to more than 1 MiB of text")
        return text


def _pieces(draft: Draft, spot: Spot, text: str) -> Iterator[Piece]:
    position = 0
    while (start := text.find("{{", position)) >= 0 and (stop := text.find("}}", start)) >= 0:
        name = text[start + 2 : stop].strip()
        yield Text(text[position:start])
        if _NAME.fullmatch(name):
            yield Value(draft.ledger.uses(name, "string", spot.path))
        else:
            draft.ledger.changed(spot.path, f"{shown(text[start : stop + 2])} is no variable and stands as text")
            yield Text(text[start : stop + 2])
        position = stop + 2
    yield Text(text[position:])


# -- export ---------------------------------------------------------------------------------------------------------


class LangfuseExporter:
    """The JSON that Langfuse takes to create a prompt."""

    name = "langfuse"
    title = "Langfuse prompt JSON"

    def write(self, request: ExportRequest) -> Exported:
        prompt = request.prompt
        file = f"{request.stem}.json"
        losses: list[Loss] = []
        turns = template_turns(request, file, losses)
        is_text = len(turns) == 1 and turns[0].role == "user" and all(kind == "text" for kind, _ in turns[0].parts)
        call, lost = call_of(prompt, file)
        config: dict[str, Any] = {"model": prompt.model, **call} if prompt.model else dict(call)
        document: dict[str, Any] = {
            "name": prompt.name,
            "type": "text" if is_text else "chat",
            "prompt": _text_of(turns[0], file, losses) if is_text else [_message(turn, file, losses) for turn in turns],
            "config": config,
            "labels": [],
            "tags": list(prompt.tags),
        }
        losses += [*lost, *about_losses(prompt, file, carried=("tags",))]
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        return Exported({file: text}, tuple(dict.fromkeys(losses)))


EXPORTER = LangfuseExporter()


def _message(turn: Turn, file: str, losses: list[Loss]) -> dict[str, str]:
    if turn.role is None:
        return {"type": "placeholder", "name": turn.placeholder}
    return {"role": turn.role, "content": _text_of(turn, file, losses)}


def _text_of(turn: Turn, file: str, losses: list[Loss]) -> str:
    """Langfuse's messages are one text each."""
    for kind, _ in turn.parts:
        if kind != "text":
            losses.append(Loss(file, "prompt", f"{turn.key}: a message there is text; the {kind} is left out"))
    return "\n\n".join(text for kind, text in turn.parts if kind == "text")
