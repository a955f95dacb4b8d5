"""promptfoo's provider ids → LiteLLM's model ids, and back."""

from __future__ import annotations

from promptstudio.exchange.drafts import model_id

# promptfoo's word for a provider → LiteLLM's; the words after it that only choose an endpoint are left out.
PROVIDERS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure": "azure",
    "azureopenai": "azure",
    "google": "gemini",
    "vertex": "vertex_ai",
    "mistral": "mistral",
    "groq": "groq",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "xai": "xai",
    "ollama": "ollama_chat",
    "openrouter": "openrouter",
    "bedrock": "bedrock",
    "togetherai": "together_ai",
    "fireworks": "fireworks_ai",
    "perplexity": "perplexity",
    "github": "github",
    "replicate": "replicate",
    "huggingface": "huggingface",
    "cerebras": "cerebras",
    "databricks": "databricks",
    "offline": "offline",
}
_ENDPOINTS = frozenset({"chat", "completion", "messages", "responses", "text-generation", "deployment"})
_NO_MODEL = frozenset(
    {"embedding", "embeddings", "assistant", "image", "realtime", "moderation", "agents", "transcription"}
)


def model_of(provider: str) -> str | None:
    """Return LiteLLM's id of a promptfoo provider, or None for what is no chat model (code, HTTP, an assistant).

    >>> model_of("openai:chat:gpt-4o"), model_of("anthropic:claude-haiku-4-5"), model_of("exec:python x.py")
    ('openai/gpt-4o', 'anthropic/claude-haiku-4-5', None)
    """
    if provider == "echo":
        return "offline/echo"
    name, colon, rest = provider.partition(":")
    if not colon or name not in PROVIDERS:
        return None
    endpoint, colon, model = rest.partition(":")
    if endpoint in _NO_MODEL:
        return None
    if endpoint not in _ENDPOINTS or not colon:
        model = rest
    if not model or any(character.isspace() for character in model):
        return None
    if name == "ollama" and endpoint == "completion":
        return f"ollama/{model}"
    return f"{PROVIDERS[name]}/{model}"


def provider_of(model: str) -> str:
    """Return promptfoo's id of a LiteLLM model.

    >>> provider_of("openai/gpt-4.1-mini"), provider_of("gemini/gemini-2.5-flash"), provider_of("offline/echo")
    ('openai:gpt-4.1-mini', 'google:gemini-2.5-flash', 'echo')
    """
    if model == "offline/echo":
        return "echo"
    prefix, slash, name = model_id(model).partition("/")
    if not slash:
        return model
    if prefix == "ollama":
        return f"ollama:completion:{name}"
    found = next((word for word, ours in PROVIDERS.items() if ours == prefix), prefix)
    return f"{found}:chat:{name}" if found in ("azure", "ollama") else f"{found}:{name}"
