"""A prompt or suite as plain data → the text of its file; foreign names → names our files may bear."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from promptstudio.exchange.jsonfile import read_json_document
from promptstudio.exchange.schema import Foreign
from promptstudio.prompts.naming import is_device
from promptstudio.prompts.schema import PromptFile, name_fault
from promptstudio.prompts.suite_schema import SuiteFile
from promptstudio.prompts.yamlfile import YamlDocument, dump_yaml, read_yaml

_FORBIDDEN = re.compile(r"[\s:@\\\x00-\x1f\x7f*?\"'<>|%]+")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn")
MAX_PART_LENGTH = 80


def prompt_text(document: Mapping[str, Any], name: str) -> str:
    """Return the text of a prompt file that is to lie at `name` below prompts/, its keys in the order of the format.

    Keys with nothing in them (None, empty map or list) are left out. A `$schema` comment for editors stands first.
    """
    return _file_text(document, name, PromptFile.key_names(), "prompt")


def suite_text(document: Mapping[str, Any], name: str) -> str:
    """Return the text of a suite file that is to lie at `name` below evals/."""
    return _file_text(document, name, SuiteFile.key_names(), "suite")


def _file_text(document: Mapping[str, Any], name: str, order: list[str], kind: str) -> str:
    up = "../" * len(PurePosixPath(name).parts)
    keys = [*order, *(key for key in document if key not in order)]
    kept = {key: document[key] for key in keys if key in document and not _is_nothing(document[key])}
    comment = f"# yaml-language-server: $schema={up}.promptstudio/schemas/{kind}.schema.json\n"
    return comment + dump_yaml(plain(kept))


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | tuple) and not value)


def plain(value: Any) -> Any:
    """Return a deep copy with lists for tuples, so that it can be written."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def read_document(foreign: Foreign) -> YamlDocument:
    """Parse a foreign YAML or JSON file within our limits, with the lines of its values.

    Raises PromptFileError, for bombs, depth, tags and two keys of one name as well.
    """
    if not foreign.path.name.endswith(".json"):
        return read_yaml(foreign.text, file=foreign.shown)
    return read_json_document(foreign.text, file=foreign.shown)


def safe_name(name: str, otherwise: str = "prompt") -> str:
    """Return a prompt's name for a foreign one: folders are kept, nothing climbs or hides, NFC.

    >>> safe_name("../Support / Ticket:v2"), safe_name("_مرحبا"), safe_name("...")
    ('Support/Ticket-v2', 'مرحبا', 'prompt')
    """
    parts = [_safe_part(part) for part in re.split(r"[/\\]+", unicodedata.normalize("NFC", name))]
    safe = "/".join(part for part in parts if part) or otherwise
    return safe if name_fault(safe) is None else otherwise


def _safe_part(part: str) -> str:
    visible = "".join(
        character
        for character in part
        if unicodedata.category(character) not in _INVISIBLE or character in "\u200c\u200d"
    )
    text = _FORBIDDEN.sub("-", visible.strip()).strip("-").lstrip("-_.").rstrip("-. ")
    text = text[:MAX_PART_LENGTH].rstrip("-. ")
    return f"prompt-{text}" if is_device(text) else text


def stem_of(foreign: Foreign, suffixes: Iterable[str]) -> str:
    """Return the safe name of a foreign file: its path below the imported folder without its suffix."""
    path = foreign.path
    relative = path.relative_to(foreign.root).as_posix() if path.is_relative_to(foreign.root) else path.name
    suffix = next((suffix for suffix in suffixes if relative.lower().endswith(suffix)), PurePosixPath(relative).suffix)
    return safe_name(relative[: len(relative) - len(suffix)] if suffix else relative)
