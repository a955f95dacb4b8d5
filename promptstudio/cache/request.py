"""What a wire is asked → what the answer depends on, as plain data, and its hash.

The cache and the cassettes share it. Keys, headers, timeouts and other facts of the transport are not in it; media and
very long texts are in it as their SHA-256; ids of tool calls, which providers make up anew each time, are counted.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from promptstudio.providers.schema import Connection

# Raise it when the meaning of a stored key changes: old entries are then no longer found.
KEY_FORMAT = 1
MAX_TEXT = 65_536
LONGEST_SECRET = 500
NOT_PARAMETERS = frozenset({"model", "messages", "tools", "tool_choice", "response_format", "stream", "stream_options"})
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,")

Content = dict[str, Any]
Clean = Callable[[str], str]


def content_of(arguments: Mapping[str, Any], model: str, clean: Clean | None = None) -> Content:
    """Return model, messages, parameters, tools and schema of a request; absent ones are left out.

    `clean` is applied to every text, for what is written to a file.
    """
    call_ids: dict[str, str] = {}
    content: Content = {
        "model": model,
        "parameters": {
            name: _whole(value)
            for name, value in arguments.items()
            if name not in NOT_PARAMETERS and not name.startswith("_") and value is not None
        },
        "messages": [_plain(_counted(message, call_ids)) for message in arguments.get("messages") or ()],
        "tools": arguments.get("tools") or None,
        "tool_choice": arguments.get("tool_choice"),
        "response_format": arguments.get("response_format"),
        "schema": _schema_said_nowhere_else(arguments),
    }
    kept = {name: value for name, value in content.items() if value not in (None, {}) or name == "messages"}
    return kept if clean is None else cleaned(kept, clean)


def embedding_content(text: str, model: str, dimensions: int | None, clean: Clean | None = None) -> Content:
    """Return what the vector of a text depends on."""
    content: Content = {"model": model, "input": _plain(text)}
    if dimensions is not None:
        content["parameters"] = {"dimensions": dimensions}
    return content if clean is None else cleaned(content, clean)


def embedding_parts(content: Content, connection: Connection) -> dict[str, Any]:
    """Return the parts of an embedding's key for `explain`."""
    parts: dict[str, Any] = {"route": connection.route, "endpoint": endpoint_of(connection)}
    parts["input"] = _sha256(content["input"])[:12]
    return parts | {f"parameters.{name}": value for name, value in content.get("parameters", {}).items()}


def _schema_said_nowhere_else(arguments: Mapping[str, Any]) -> Any:
    """Tools and response formats carry the output schema themselves."""
    has_schema = arguments.get("tools") or (arguments.get("response_format") or {}).get("type") == "json_schema"
    return None if has_schema else arguments.get("_schema")


def content_id(content: Content) -> str:
    """Return the SHA-256 of a content, as hex."""
    return _sha256(content)


def cache_key(content: Content, connection: Connection, repeat: int | None) -> bytes:
    """Return the key of an answer: the content, and who answers it. Never a key, a header or a transport setting."""
    asked = {
        "format": KEY_FORMAT,
        "route": connection.route,
        "endpoint": endpoint_of(connection),
        "repeat": repeat or 0,
        **{name: value for name, value in content.items() if name != "model"},
    }
    return bytes.fromhex(_sha256(asked))


def key_parts(content: Content, connection: Connection, repeat: int | None) -> dict[str, Any]:
    """Return the parts of a key for `explain`: short values as they are, texts and schemas as short hashes."""
    parts: dict[str, Any] = {"route": connection.route, "endpoint": endpoint_of(connection), "repeat": repeat or 0}
    for number, message in enumerate(content["messages"]):
        parts[f"messages[{number}] ({message.get('role')})"] = _sha256(message)[:12]
    for name, value in content.get("parameters", {}).items():
        is_short = isinstance(value, int | float) or (isinstance(value, str) and len(value) <= 20)
        parts[f"parameters.{name}"] = value if is_short else _sha256(value)[:12]
    for name in ("tools", "tool_choice", "response_format", "schema"):
        if name in content:
            parts[name] = _sha256(content[name])[:12]
    return parts


def endpoint_of(connection: Connection) -> str:
    """Return who answers: host and path without credentials; for a script the hash of its rules."""
    if connection.script is not None:
        return _script_hash(connection.script)
    return _endpoint(connection.api_base, connection.host)


@lru_cache(maxsize=256)
def _endpoint(api_base: str | None, host: str | None) -> str:
    if api_base is None:
        return host or ""
    parts = urlsplit(api_base)
    return parts.netloc.rpartition("@")[2].lower() + parts.path.rstrip("/")


def _script_hash(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError:
        return "none"  # the wire will say what is wrong with it


def cleaned(value: Any, clean: Clean) -> Any:
    """Apply `clean` to every text; a short one that only its key gives away is seen beside its key."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _cleaned_entry(str(name), item, clean) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item, clean) for item in value]
    return value


def _cleaned_entry(name: str, value: Any, clean: Clean) -> Any:
    found = cleaned(value, clean)
    if isinstance(value, str) and found == value and len(value) <= LONGEST_SECRET:
        beside = f"{name}: {value}"
        return "[redacted: secret]" if clean(beside) != beside else value
    return found


def _counted(message: Mapping[str, Any], call_ids: dict[str, str]) -> Mapping[str, Any]:
    calls, answered = message.get("tool_calls"), message.get("tool_call_id")
    if calls:
        message = {**message, "tool_calls": [{**call, "id": _number(call.get("id"), call_ids)} for call in calls]}
    if answered:
        message = {**message, "tool_call_id": _number(answered, call_ids)}
    return message


def _number(call_id: Any, call_ids: dict[str, str]) -> str:
    return call_ids.setdefault(str(call_id), f"call_{len(call_ids) + 1}")


def _plain(value: Any) -> Any:
    """Copy data, with media and very long texts replaced by what identifies them."""
    if isinstance(value, str):
        return value if len(value) < 64 else _short_text(value)
    if isinstance(value, Mapping):
        if isinstance(value.get("data"), str) and "format" in value:  # the chat format's `input_audio`
            return {**value, "data": _media(f"audio/{value['format']}", value["data"])}
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _short_text(text: str) -> str:
    if match := _DATA_URL.match(text):
        return _media(match[1], text[match.end() :])
    if len(text) <= MAX_TEXT:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:1000]}\n[… in all {len(text)} characters, SHA-256 {digest}]"


def _media(kind: str, encoded: str) -> str:
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        data = encoded.encode("utf-8", "surrogatepass")
    return f"[{kind}, {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}]"


def _whole(value: Any) -> Any:
    """0.0 and 0 are the same temperature."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
