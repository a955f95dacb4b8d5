"""A model id and the settings → a `Connection`: which route, which host, which key. Reads no network and no file.

A model id is `provider/name`. The provider is a connection of promptstudio.toml, one of the rows below, or another
name LiteLLM knows. A connection with its own `api_base` gets a key only from the variable it names itself, so that a
key never goes to a host it was not meant for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import urlsplit

from promptstudio.config import Settings
from promptstudio.config.settings import EnvValue, ProviderSettings
from promptstudio.errors import AuthenticationError, ConfigError, NotFoundError
from promptstudio.providers.prices import litellm_providers, provider_of
from promptstudio.providers.schema import Connection


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """`host` is contacted by default; None where LiteLLM computes it (a cloud region). `route` is LiteLLM's prefix."""

    host: str | None
    key_variables: tuple[str, ...] = ()
    base_variables: tuple[str, ...] = ()
    route: str | None = None
    default_base: str | None = None


# One row a provider: what its own documentation calls the host, the key and the variable for another address.
KNOWN: Mapping[str, KnownProvider] = {
    "openai": KnownProvider("api.openai.com", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL", "OPENAI_API_BASE")),
    "anthropic": KnownProvider("api.anthropic.com", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_BASE_URL",)),
    "gemini": KnownProvider("generativelanguage.googleapis.com", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "mistral": KnownProvider("api.mistral.ai", ("MISTRAL_API_KEY",), ("MISTRAL_API_BASE",)),
    "cohere": KnownProvider("api.cohere.com", ("COHERE_API_KEY", "CO_API_KEY")),
    "cohere_chat": KnownProvider("api.cohere.com", ("COHERE_API_KEY", "CO_API_KEY")),
    "groq": KnownProvider("api.groq.com", ("GROQ_API_KEY",)),
    "deepseek": KnownProvider("api.deepseek.com", ("DEEPSEEK_API_KEY",)),
    "xai": KnownProvider("api.x.ai", ("XAI_API_KEY",)),
    "openrouter": KnownProvider("openrouter.ai", ("OPENROUTER_API_KEY",)),
    "together_ai": KnownProvider("api.together.xyz", ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY")),
    "fireworks_ai": KnownProvider("api.fireworks.ai", ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY")),
    "perplexity": KnownProvider("api.perplexity.ai", ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY")),
    "ollama": KnownProvider("localhost:11434", (), ("OLLAMA_API_BASE",), "ollama_chat", "http://localhost:11434"),
    "ollama_chat": KnownProvider("localhost:11434", (), ("OLLAMA_API_BASE",), None, "http://localhost:11434"),
    "azure": KnownProvider(None, ("AZURE_API_KEY",), ("AZURE_API_BASE",)),
    "bedrock": KnownProvider(None),
    "vertex_ai": KnownProvider(None),
}
OFFLINE_MODELS = ("offline/echo", "offline/script")
DEFAULT_SCRIPT = "offline.yaml"


def connection_for(model: str, settings: Settings, env: Mapping[str, str]) -> Connection:
    """Find the way to a model.

    Raises `NotFoundError` for a provider nobody knows, `ConfigError` for a connection that cannot work, and
    `AuthenticationError` where the key's variable is not set.
    """
    connection = route_for(model, settings, env)
    if not connection.api_key and connection.key_variables:
        names = " or ".join(connection.key_variables)
        raise AuthenticationError(
            f"{model}: no key: {names} is not set",
            hint=f"export {connection.key_variables[0]}=…, or try the prompt without a key: -m offline/echo",
        )
    return connection


def route_for(model: str, settings: Settings, env: Mapping[str, str], *, without_secrets: bool = False) -> Connection:
    """Like `connection_for`, but a missing key is no error: for `doctor` and `--dry-run`.

    `without_secrets` leaves key and headers out, for answers that are not asked for over a network.
    """
    provider, slash, name = model.partition("/")
    if not slash:
        provider, name = _provider_of_bare(model), model
    if not name:
        raise NotFoundError(f"model '{model}' has no name after its provider", hint="write it as provider/model")
    if provider == "offline":
        return _offline(model, name, settings)
    if provider not in settings.providers and provider not in KNOWN:
        _check_provider(provider, model, settings)
    return _connection(model, provider, name, settings, env, without_secrets=without_secrets)


def _connection(
    model: str, provider: str, name: str, settings: Settings, env: Mapping[str, str], *, without_secrets: bool
) -> Connection:
    own = settings.providers.get(provider)
    known = KNOWN.get(provider)
    own_base = own.api_base if own else None
    base = own_base or _first(known.base_variables if known else (), settings, env)
    is_native = known is not None or provider in litellm_providers()
    if not is_native and not base:
        raise ConfigError(
            f"[providers.{provider}] has no api_base",
            file=str(settings.path) if settings.path else None,
            hint=f'add api_base = "https://…/v1" to [providers.{provider}]',
        )
    if own and own.api_key_env:
        variables: tuple[str, ...] = (own.api_key_env,)
    elif own_base:
        variables = ()
    else:
        variables = known.key_variables if known else ()
    prefix = (known.route if known and known.route else provider) if is_native else "openai"
    return Connection(
        model=model,
        provider=provider,
        route=f"{prefix}/{name}",
        host=_host(base) if base else (known.host if known else None),
        api_base=base or (known.default_base if known else None),
        api_key=None if without_secrets else _first(variables, settings, env),
        key_variables=variables,
        headers={} if without_secrets else _headers(provider, own, settings, env),
    )


def _provider_of_bare(model: str) -> str:
    provider = provider_of(model)
    if provider is None:
        raise NotFoundError(
            f"model '{model}' has no provider and is not in the price list",
            hint="write it as provider/model, for example openai/gpt-4.1-mini; `ps models` searches the list",
        )
    return provider


def _check_provider(provider: str, model: str, settings: Settings) -> None:
    known = {*KNOWN, *settings.providers, *litellm_providers(), "offline"}
    if provider in known:
        return
    near = get_close_matches(provider, sorted(known), n=3)
    raise NotFoundError(
        f"model '{model}': unknown provider '{provider}'",
        hint=f"did you mean {' or '.join(f'{one}/…' for one in near)}?"
        if near
        else f"add [providers.{provider}] with an api_base to promptstudio.toml",
    )


def _offline(model: str, name: str, settings: Settings) -> Connection:
    if model not in OFFLINE_MODELS:
        near = get_close_matches(name, ["echo", "script"], n=1)
        raise NotFoundError(
            f"unknown offline model '{model}'",
            hint=f"did you mean offline/{near[0]}?" if near else f"there are {' and '.join(OFFLINE_MODELS)}",
        )
    script = None
    if name == "script":
        own = settings.providers.get("offline")
        file = (own.api_base if own else None) or DEFAULT_SCRIPT
        script = str(settings.root / file) if settings.root else file
    return Connection(model=model, provider="offline", route=model, host=None, script=script)


def _headers(provider: str, own: ProviderSettings | None, settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in (own.headers if own else {}).items():
        if isinstance(value, EnvValue):
            found = settings.variable(value.name, env)
            if found is None:
                raise AuthenticationError(
                    f"[providers.{provider}] header '{name}': the variable {value.name} is not set",
                    hint=f"export {value.name}=…",
                )
            headers[name] = _sendable(found, value.name)
        else:
            headers[name] = value
    return headers


def _first(names: tuple[str, ...], settings: Settings, env: Mapping[str, str]) -> str | None:
    return next((_sendable(value, name) for name in names if (value := settings.variable(name, env))), None)


def _sendable(value: str, name: str) -> str:
    """Refuse a key or header that would break out of its line; a last newline, as files have, is cut off."""
    value = value.strip()
    if not value.isprintable():
        raise ConfigError(
            f"the variable {name} holds a line break or another control character", hint="set it again, without"
        )
    return value


def _host(base: str) -> str:
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"api_base '{base}' is not an http(s) URL", hint='write it like "https://host/v1"')
    return parts.netloc.rpartition("@")[2].lower()
