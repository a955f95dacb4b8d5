"""What a foreign file holds, for the question whose it is: parsed once within our limits, or nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from promptstudio.errors import UserError
from promptstudio.exchange.jsonfile import read_json_document
from promptstudio.exchange.schema import Foreign
from promptstudio.exchange.writing import read_document
from promptstudio.prompts.yamlfile import YamlDocument


def document_of(foreign: Foreign) -> YamlDocument:
    """Parse a YAML or JSON file, by its suffix; text of another suffix is JSON where it begins like that."""
    if is_json(foreign):
        return read_json_document(foreign.text, file=foreign.shown)
    return read_document(foreign)


def is_json(foreign: Foreign) -> bool:
    name = foreign.path.name.lower()
    return name.endswith(".json") or (
        not name.endswith((".yaml", ".yml")) and foreign.text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")
    )


@lru_cache(maxsize=4)
def peek(foreign: Foreign) -> Any:
    """Return the value in a file, or None where it cannot be read. Not to be changed: it is shared."""
    try:
        return document_of(foreign).value
    except UserError:
        return None
