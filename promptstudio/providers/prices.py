"""LiteLLM's price list, read as the data file it is: models, context, cost, capabilities. Imports no LiteLLM."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE_NAME = "model_prices_and_context_window_backup.json"


def price_file() -> Path | None:
    """Return where the installed LiteLLM keeps the list, or None where it is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / FILE_NAME
    return path if path.is_file() else None


@cache
def price_list() -> Mapping[str, Mapping[str, Any]]:
    """Return model id → row; empty where there is no list. Prices are US dollars per token."""
    path = price_file()
    if path is None:
        return {}
    rows: dict[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    rows.pop("sample_spec", None)
    return rows


@cache
def litellm_providers() -> frozenset[str]:
    """Return the provider names that occur in the list."""
    return frozenset(str(row["litellm_provider"]) for row in price_list().values() if row.get("litellm_provider"))


def price_row(model: str) -> Mapping[str, Any] | None:
    """Return a model's row, under its full id or, as the list does for OpenAI and others, without the provider."""
    rows = price_list()
    provider, _, name = model.partition("/")
    row = rows.get(model)
    if row is None and name:
        row = rows.get(name)
        if row is not None and row.get("litellm_provider") != provider:
            return None
    return row


def provider_of(model: str) -> str | None:
    """Return the provider the list names for a bare model id."""
    row = price_list().get(model)
    return str(row["litellm_provider"]) if row and row.get("litellm_provider") else None
