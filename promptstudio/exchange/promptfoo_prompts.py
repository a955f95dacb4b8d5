"""The `prompts:` of a promptfoo configuration → chats of ours: inline text, files of every kind it reads, chat JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.exchange.document import read_document
from promptstudio.exchange.drafts import ROLES, Draft, only_input
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.nearby import CODE, near_files
from promptstudio.exchange.nunjucks import jinja_to_jinja
from promptstudio.exchange.schema import Foreign
from promptstudio.prompts.includes import read_json
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath, read_yaml

_FILES = (".txt", ".md", ".j2", ".json", ".yaml", ".yml", ".jsonl", ".csv")
_FILE_NAME = re.compile(r"[^\s{}]+\.(?:txt|md|j2|json|yaml|yml|jsonl|csv)", re.IGNORECASE)
_SERVICES = ("langfuse://", "portkey://", "helicone://", "package:", "exec:")


@dataclass(frozen=True, slots=True)
class Source:
    """One prompt as promptfoo sees it: `raw` text, or `chat`, a list of messages already parsed.

    `path` is where it stands in the configuration, or nothing where it is a file of its own.
    """

    label: str
    foreign: Foreign
    path: ValuePath | str
    raw: str = ""
    chat: Any = None
    config: Any = None


@dataclass(slots=True)
class Sources:
    """Reads the entries of `prompts:`; `used` are the files that were read for them."""

    ledger: Ledger
    used: list[Foreign] = field(default_factory=list)

    def all(self, value: Any) -> Iterator[Source]:
        """Yield the prompts of a text, a list, or a map of file names to labels."""
        if isinstance(value, str):
            yield from self.entry(value, ("prompts",))
        elif isinstance(value, dict):
            for name, label in value.items():
                yield from self.entry({"id": name, "label": label}, ("prompts", name))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.entry(item, ("prompts", index))
        else:
            self.ledger.dropped(("prompts",), "expected a text, a list or a map")

    def entry(self, item: Any, path: ValuePath) -> Iterator[Source]:
        label = ""
        if isinstance(item, dict):
            self.ledger.rest(item, ("id", "label", "raw", "config", "description"), path, "a prompt has no such key")
            label = str(item.get("label") or item.get("id") or "")
            raw = item.get("raw", item.get("id"))
        else:
            raw = item
        if not isinstance(raw, str) or not raw.strip():
            self.ledger.dropped(path, "expected the text of a prompt, or the name of its file")
            return
        config = item.get("config") if isinstance(item, dict) else None
        try:
            yield from self.named(raw, label, path, config)
        except PromptFileError as cause:
            self.ledger.dropped(path, cause.problems[0].message)

    def named(self, raw: str, label: str, path: ValuePath, config: Any) -> Iterator[Source]:
        is_file = raw.startswith("file://")
        name = raw.removeprefix("file://")
        if raw.startswith(_SERVICES) or (CODE.search(name) and "\n" not in name and (is_file or " " not in name)):
            self.ledger.dropped(path, f"{shown(raw)} is code or another service: not run, not fetched")
        elif is_file or (_FILE_NAME.fullmatch(raw) and self.is_there(name)):
            for foreign in near_files(name, self.ledger.foreign, self.ledger.line_of(path)):
                self.used.append(foreign)
                yield from self.in_file(foreign, label, config)
        else:
            yield Source(label, self.ledger.foreign, path, raw=raw, config=config)

    def is_there(self, name: str) -> bool:
        return "*" in name or (self.ledger.foreign.path.parent / name).is_file()

    def in_file(self, foreign: Foreign, label: str, config: Any) -> Iterator[Source]:
        """Yield the prompts of one file, as its suffix says."""
        stem = label or PurePosixPath(foreign.shown).stem
        suffix = PurePosixPath(foreign.shown).suffix.lower()
        if suffix == ".txt":
            texts = [text.strip() for text in re.split(r"(?m)^[ \t]*---[ \t]*$", foreign.text)]
            yield from (Source(stem, foreign, "", raw=text, config=config) for text in texts if text)
        elif suffix in (".yaml", ".yml"):
            yield Source(stem, foreign, "", chat=read_document(foreign).value, config=config)
        elif suffix == ".jsonl":
            for number, line in enumerate(foreign.text.splitlines(), start=1):
                if line.strip():
                    chat = read_json(line, file=foreign.shown, line=number)
                    yield Source(f"{stem}-{number}", foreign, "", chat=chat, config=config)
        elif suffix == ".csv":
            for row in csv.DictReader(io.StringIO(foreign.text)):
                if row.get("prompt"):
                    yield Source(row.get("label") or stem, foreign, "", raw=row["prompt"], config=config)
        elif suffix in _FILES:
            yield Source(stem, foreign, "", raw=foreign.text, config=config)
        else:
            self.ledger.dropped(("prompts",), f"{shown(foreign.shown)}: files of this kind hold no prompt")


def draft_of(source: Source, ledger: Ledger) -> Draft:
    """Return the prompt with its messages. Raises PromptFileError for what is no chat, or no template of ours."""
    draft = Draft(ledger)
    chat = source.chat if source.chat is not None else _chat_in(source.raw, source)
    if chat is None:
        draft.say(
            "user", {"text": jinja_to_jinja(source.raw, ledger, source.path, keep_last_newline=True, nunjucks=True)}
        )
    elif isinstance(chat, list) and all(isinstance(message, dict) for message in chat) and chat:
        for index, message in enumerate(chat):
            _say(draft, message, (index,) if isinstance(source.path, str) else (*source.path, index))
    elif source.chat is not None and isinstance(chat, str):
        draft.say("user", {"text": jinja_to_jinja(chat, ledger, source.path, keep_last_newline=True, nunjucks=True)})
    else:
        raise PromptFileError(
            "expected a list of messages", file=source.foreign.shown, line=ledger.line_of(source.path)
        )
    return draft


def _chat_in(raw: str, source: Source) -> Any:
    """Return the messages of a text that is chat JSON or chat YAML, as promptfoo looks for them; else None."""
    text = raw.strip()
    if text.startswith("- role:"):
        return read_yaml(text, file=source.foreign.shown).value
    if not text.startswith(("[", "{")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if '"role"' in text and "{%" in text:
            said = "chat JSON with tags around its messages has no fixed list of them"
            raise PromptFileError(said, file=source.foreign.shown) from None
        return None
    value = read_json(text, file=source.foreign.shown)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        return value["messages"]
    return (
        value if isinstance(value, list) and any(isinstance(item, dict) and "role" in item for item in value) else None
    )


def _say(draft: Draft, message: dict[str, Any], path: ValuePath) -> None:
    role = ROLES.get(str(message.get("role", "")))
    if role is None:
        raise PromptFileError(
            f"the role {shown(str(message.get('role')))} is none a prompt file has", file=draft.ledger.foreign.shown
        )
    draft.ledger.rest(message, ("role", "content"), path, "a message here has a role and a content")
    content = message.get("content")
    items = content if isinstance(content, list) else [content]
    parts = [part for index, item in enumerate(items) if (part := _part(draft, item, (*path, "content", index)))]
    if parts:
        draft.say(role, *parts)


def _part(draft: Draft, item: Any, path: ValuePath) -> dict[str, str] | None:
    if isinstance(item, dict) and item.get("type") in ("image_url", "image"):
        address = item.get("image_url", item.get("image"))
        url = address.get("url") if isinstance(address, dict) else address
        return _image(draft, url, path)
    text = item.get("text") if isinstance(item, dict) else item
    if not isinstance(text, str):
        draft.ledger.dropped(path, "a part that is neither text nor an image")
        return None
    return {"text": jinja_to_jinja(text, draft.ledger, path, keep_last_newline=True, nunjucks=True)} if text else None


def _image(draft: Draft, url: Any, path: ValuePath) -> dict[str, str] | None:
    if not isinstance(url, str):
        draft.ledger.dropped(path, "an image without an address")
        return None
    name = only_input(url.partition("base64,")[2] if url.startswith("data:") else url)
    if name is not None:
        own = draft.media_input(name, "image", path)
        return {"image": f"{{{{ {own} }}}}"}
    return draft.fixed_media("image", url, path)
