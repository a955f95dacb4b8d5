"""LangChain's few-shot prompt → one text: prefix, examples written out, suffix.

The examples are fixed, so they are filled in here. What comes of them is read once more as part of the template, as
LangChain does: braces that an example brings along mean a variable again.
"""

from __future__ import annotations

import string
from typing import Any

from promptstudio.errors import PromptFileError, UserError
from promptstudio.exchange.drafts import Draft
from promptstudio.exchange.langchain_text import converted, own_or_named
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.peeking import document_of
from promptstudio.exchange.spots import Spot
from promptstudio.exchange.writing import jinja_to_jinja
from promptstudio.prompts.template import free_variables, render_template
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import MAX_BYTES

MAX_EXAMPLES = 1_000
LANGUAGES = ("f-string", "jinja2")


def few_shot_text(draft: Draft, spot: Spot) -> str:
    """Return the whole prompt as Jinja."""
    style = spot.get("template_format")
    language = style.one_of(*LANGUAGES) if style is not None else "f-string"
    if (selector := spot.get("example_selector")) is not None:
        selector.drop("examples that are chosen for each run are chosen by code")
    separator = spot.get("example_separator")
    has_prefix = spot.get("prefix") is not None or spot.get("prefix_path") is not None
    prefix = own_or_named(spot, "prefix")[0] if has_prefix else ""
    suffix, path = own_or_named(spot, "suffix")
    pieces = [prefix, *_filled_examples(spot), suffix]
    joint = separator.text() if separator is not None else "\n\n"
    whole = joint.join(piece for piece in pieces if piece)
    if len(whole) > MAX_BYTES:
        spot.fail("the examples come to more than 1 MiB of text")
    return converted(draft.ledger, whole, path, language)


def _filled_examples(spot: Spot) -> list[str]:
    examples = spot.get("examples")
    if examples is None:
        return []
    if examples.is_text():
        examples = _from_file(examples)
    template = _example_prompt(spot)
    style = template.get("template_format")
    language = style.one_of(*LANGUAGES) if style is not None else "f-string"
    text, _ = own_or_named(template, "template")
    if (kind := template.get("_type")) is not None:
        kind.one_of("prompt")
    for key in ("input_variables", "validate_template", "input_types", "output_parser", "partial_variables"):
        if (there := template.get(key)) is not None and (key != "partial_variables" or there.value):
            there.settle() if key == "input_variables" else there.drop("the examples are written out here")
    fill = _fill_jinja if language == "jinja2" else _fill_fstring
    filled: list[str] = []
    length = 0
    for item in examples.items():
        filled.append(fill(text, item, item.as_map()))
        length += len(filled[-1])
        if length > MAX_BYTES or len(filled) > MAX_EXAMPLES:
            examples.fail(f"more than {MAX_EXAMPLES:,} examples or 1 MiB of text in them")
    return filled


def _example_prompt(spot: Spot) -> Spot:
    named = spot.get("example_prompt_path")
    if named is None:
        there = spot.need("example_prompt")
        if "lc" in there.as_map():
            for key in ("lc", "type", "id", "name"):
                if (each := there.get(key)) is not None:
                    each.settle()
            return there.need("kwargs")
        return there
    if spot.get("example_prompt") is not None:
        named.fail("both example_prompt and example_prompt_path are given", "keep one of them")
    return _from_file(named)


def _from_file(named: Spot) -> Spot:
    """Put what a named JSON or YAML file holds in the place of its name."""
    near = named.near(named.text())
    if near.path.suffix.lower() not in (".json", ".yaml", ".yml"):
        named.fail(f"{shown(near.shown)} is neither JSON nor YAML")
    return named.reading.graft(named.path, document_of(near).value)


def _fill_fstring(template: str, item: Spot, values: dict[str, Any]) -> str:
    """Fill in `{name}`s. Nothing is formatted by Python: a width of a billion would be a bomb, an attribute code."""
    filled: list[str] = []
    try:
        for literal, name, spec, conversion in string.Formatter().parse(template):
            filled.append(literal)
            if name is None:
                continue
            if name not in values:
                item.fail(f"the example has no {shown(name)}, which the example prompt uses")
            if spec or conversion not in (None, "s"):
                item.reading.ledger.changed(item.path, f"the format of {shown(name)} is left out")
            filled.append(str(values[name]))
            Spot(item.reading, (*item.path, name), values[name]).settle()
    except ValueError as cause:
        said = f"the example prompt is no Python format string: {cause}"
        raise PromptFileError(
            said, file=item.reading.document.file, line=item.reading.ledger.line_of(item.path)
        ) from cause
    return "".join(filled)


def _fill_jinja(template: str, item: Spot, values: dict[str, Any]) -> str:
    ledger = item.reading.ledger
    source = jinja_to_jinja(template, Ledger(ledger.foreign, ledger.document), item.path)
    for name in free_variables(source, {}) & values.keys():
        Spot(item.reading, (*item.path, name), values[name]).settle()
    try:
        return render_template(source, values, {}, file=ledger.foreign.shown, line=ledger.line_of(item.path))
    except UserError as cause:
        said = f"the example does not fit the example prompt: {cause.problems[0].message}"
        raise PromptFileError(said, file=ledger.foreign.shown, line=ledger.line_of(item.path)) from cause
