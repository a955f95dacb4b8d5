"""`model` beside an assertion that embeds, and promptfoo's `provider` → what is wrong with it, or our name of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from promptstudio.prompts.assertion_table import AssertionKind
from promptstudio.prompts.wording import found

ValuePath = tuple[str | int, ...]
Fault = tuple[ValuePath, str, str | None]

# promptfoo's openai:embedding:text-embedding-3-small, and our own openai/text-embedding-3-small.
EMBEDDING_PROVIDER = re.compile(r"([a-z][a-z0-9_-]*)(?::embeddings?:|:(?!embeddings?:)|/)([^\s:/][^\s]*)")
EMBEDDING_PROVIDERS = {"google": "gemini", "vertex": "vertex_ai", "azureopenai": "azure"}


def embedder_faults(
    name: str, kind: AssertionKind, item: dict[str, Any], path: ValuePath, templates: bool
) -> Iterator[Fault]:
    """Yield what is wrong with `model`, or with `provider` where promptfoo's words are taken."""
    given = [key for key in ("model", "provider") if key in item]
    embeds = kind.options is not None and "model" in kind.options
    for key in given:
        if not embeds and key == "provider":
            yield (
                (*path, key),
                "unknown key 'provider'",
                "a judge is named as {judge: {model: …}}" if kind.judged else None,
            )
        elif not embeds:
            yield (*path, key), f"{name} needs no {key}: it does not embed", "remove the key"
        elif key == "provider" and not templates:
            yield (*path, key), "unknown key 'provider'", "did you mean 'model'?"
        elif key == "provider" and embedding_model_of(item[key]) is None:
            hint = "as in openai:embedding:text-embedding-3-small, or openai/text-embedding-3-small as `model`"
            yield (*path, key), f"expected promptfoo's name of an embedding model, found {found(item[key])}", hint
        elif key == "model" and not (isinstance(item[key], str) and item[key]):
            yield (*path, key), f"expected the name of an embedding model, found {found(item[key])}", None
    options = item.get("options")
    named = [*given, *(["options.model"] if isinstance(options, dict) and "model" in options else [])]
    if embeds and len(named) > 1:
        yield path, f"{' and '.join(named)} name the embedding model twice", "keep `model`"


def embedding_model_of(provider: Any) -> str | None:
    """Return our name of a promptfoo provider that embeds, such as openai:embedding:NAME; None where it is none.

    A map has it as `id`, or below `embedding`.
    """
    if isinstance(provider, dict):
        return embedding_model_of(provider.get("embedding") or provider.get("id"))
    match = EMBEDDING_PROVIDER.fullmatch(provider) if isinstance(provider, str) else None
    if match is None or match[1] == "huggingface":  # its tasks there are no models of ours
        return None
    return f"{EMBEDDING_PROVIDERS.get(match[1], match[1])}/{match[2]}"
