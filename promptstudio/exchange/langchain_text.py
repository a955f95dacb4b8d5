"""A template of LangChain in one of its three languages → Jinja."""

from __future__ import annotations

from promptstudio.exchange.drafts import Draft
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.spots import Spot
from promptstudio.exchange.writing import fstring_to_jinja, jinja_to_jinja, mustache_to_jinja
from promptstudio.prompts.yamlfile import ValuePath

FORMATS = ("f-string", "mustache", "jinja2")


def template_text(draft: Draft, spot: Spot, default_format: str = "f-string") -> str:
    """Convert `template`, or the file `template_path` names, in the language of `template_format`."""
    style = spot.get("template_format")
    language = style.one_of(*FORMATS) if style is not None else default_format
    text, path = own_or_named(spot, "template")
    return converted(draft.ledger, text, path, language)


def own_or_named(spot: Spot, key: str) -> tuple[str, ValuePath]:
    """Return the text of a key, or of the `.txt` file that KEY_path names within the imported folder."""
    named = spot.get(f"{key}_path")
    if named is None:
        there = spot.need(key)
        return there.text(), there.path
    if spot.get(key) is not None:
        named.fail(f"both {key} and {key}_path are given", "keep one of them")
    return named.near(named.text()).text, named.path


def converted(ledger: Ledger, text: str, path: ValuePath, language: str) -> str:
    """Convert a text; LangChain's Mustache turns `&` in a value into `&amp;` as it was made for HTML."""
    if language == "jinja2":
        return jinja_to_jinja(text, ledger, path)
    if language == "mustache":
        return mustache_to_jinja(text, ledger, path, escape=True)
    return fstring_to_jinja(text, ledger, path)
