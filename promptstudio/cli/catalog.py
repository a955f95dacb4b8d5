"""LiteLLM's price list → models one can run: id, context, price per million tokens, capabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from promptstudio.providers.prices import price_list

CHAT_MODES = frozenset({"chat", "completion", "responses"})
# Word we show → the flag in the list.
CAPABILITIES = {
    "tools": "supports_function_calling",
    "json": "supports_response_schema",
    "vision": "supports_vision",
    "pdf": "supports_pdf_input",
    "audio": "supports_audio_input",
    "reasoning": "supports_reasoning",
    "caching": "supports_prompt_caching",
    "search": "supports_web_search",
}
# Providers of the list that are one provider to LiteLLM's router.
_ROUTES = {"bedrock_converse": "bedrock", "text-completion-openai": "text-completion-openai"}


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A row of the catalog; prices in US dollars per million tokens, None where the list knows none."""

    id: str
    provider: str
    context_tokens: int | None
    max_output_tokens: int | None
    input_usd: Decimal | None
    output_usd: Decimal | None
    capabilities: tuple[str, ...]


def catalog() -> list[ModelInfo]:
    """Return every model that can answer a prompt, sorted by id, the offline ones first."""
    offline = [
        ModelInfo("offline/echo", "offline", None, None, Decimal(0), Decimal(0), ("offline",)),
        ModelInfo("offline/script", "offline", None, None, Decimal(0), Decimal(0), ("offline",)),
    ]
    listed = {
        info.id: info
        for name, row in price_list().items()
        if row.get("mode") in CHAT_MODES
        for info in [_info(name, row)]
    }
    return offline + sorted(listed.values(), key=lambda info: info.id)


def model_ids() -> list[str]:
    return [info.id for info in catalog()]


def matching(models: Iterable[ModelInfo], words: Sequence[str], provider: str | None) -> list[ModelInfo]:
    """Return the models in whose id, provider or capabilities each word occurs; exact names first."""
    lowered = [word.casefold() for word in words]
    found = [
        info
        for info in models
        if (provider is None or info.provider == provider)
        and all(word in f"{info.id} {info.provider} {' '.join(info.capabilities)}".casefold() for word in lowered)
    ]
    return sorted(found, key=lambda info: (_name(info) not in lowered, info.id.count("/"))) if words else found


def _name(info: ModelInfo) -> str:
    return info.id.rpartition("/")[2].casefold()


def _info(name: str, row: Mapping[str, Any]) -> ModelInfo:
    listed = str(row.get("litellm_provider") or "")
    provider = "vertex_ai" if listed.startswith("vertex_ai") else _ROUTES.get(listed, listed)
    has_prefix = not provider or name.startswith(f"{provider}/")
    return ModelInfo(
        id=name if has_prefix else f"{provider}/{name}",
        provider=provider,
        context_tokens=_count(row.get("max_input_tokens") or row.get("max_tokens")),
        max_output_tokens=_count(row.get("max_output_tokens")),
        input_usd=_per_million(row.get("input_cost_per_token")),
        output_usd=_per_million(row.get("output_cost_per_token")),
        capabilities=tuple(word for word, flag in CAPABILITIES.items() if row.get(flag) is True),
    )


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _per_million(value: Any) -> Decimal | None:
    return Decimal(str(value)) * 1_000_000 if isinstance(value, int | float) else None
