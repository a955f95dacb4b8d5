"""Where a model id leads, which key goes there, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptstudio.config import Settings, load_settings
from promptstudio.errors import AuthenticationError, ConfigError, NotFoundError, PromptStudioError
from promptstudio.providers.connect import connection_for, route_for

ENV = {"OPENAI_API_KEY": "sk-openai", "GATEWAY_KEY": "gateway-key", "ORG": "acme"}


def settings(folder: Path, toml: str = "") -> Settings:
    folder.joinpath("promptstudio.toml").write_text(toml)
    return load_settings(folder, env={})


@pytest.mark.parametrize(
    ("model", "route", "host", "variables"),
    [
        ("openai/gpt-4.1-mini", "openai/gpt-4.1-mini", "api.openai.com", ("OPENAI_API_KEY",)),
        ("gpt-4o-mini", "openai/gpt-4o-mini", "api.openai.com", ("OPENAI_API_KEY",)),
        ("anthropic/claude-haiku-4-5", "anthropic/claude-haiku-4-5", "api.anthropic.com", ("ANTHROPIC_API_KEY",)),
        ("ollama/llama3:8b", "ollama_chat/llama3:8b", "localhost:11434", ()),
        ("openrouter/meta/llama-3", "openrouter/meta/llama-3", "openrouter.ai", ("OPENROUTER_API_KEY",)),
        ("offline/echo", "offline/echo", None, ()),
    ],
)
def test_a_known_provider_needs_no_settings(
    tmp_path: Path, model: str, route: str, host: str | None, variables: tuple[str, ...]
) -> None:
    found = route_for(model, settings(tmp_path), {})
    assert (found.route, found.host, found.key_variables) == (route, host, variables)


def test_a_connection_of_ones_own_speaks_the_openai_format(tmp_path: Path) -> None:
    own = settings(tmp_path, '[providers.lab]\napi_base = "http://127.0.0.1:8000/v1"\napi_key_env = "GATEWAY_KEY"\n')
    found = connection_for("lab/qwen", own, ENV)
    assert (found.route, found.host, found.api_key) == ("openai/qwen", "127.0.0.1:8000", "gateway-key")


def test_a_providers_own_key_never_goes_to_another_host_by_itself(tmp_path: Path) -> None:
    own = settings(tmp_path, '[providers.openai]\napi_base = "https://gateway.example/v1"\n')
    found = connection_for("openai/gpt-4.1-mini", own, ENV)
    assert found.api_key is None
    assert found.host == "gateway.example"


def test_another_address_from_the_environment_is_used_and_shown(tmp_path: Path) -> None:
    env = {**ENV, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    found = connection_for("openai/gpt-4.1-mini", settings(tmp_path), env)
    assert (found.host, found.api_key) == ("127.0.0.1:9", "sk-openai")


def test_a_header_may_come_from_a_variable_and_neither_it_nor_the_key_is_shown(tmp_path: Path) -> None:
    toml = '[providers.lab]\napi_base = "https://h.example/v1"\nheaders = {x-org = {env = "ORG"}, x-team = "blue"}\n'
    found = connection_for("lab/m", settings(tmp_path, toml), ENV)
    assert found.headers == {"x-org": "acme", "x-team": "blue"}
    assert "acme" not in repr(found)
    assert "sk-openai" not in repr(connection_for("openai/m", settings(tmp_path), ENV))


@pytest.mark.parametrize(
    ("model", "toml", "error", "words", "hint"),
    [
        ("openai/gpt-4o", "", AuthenticationError, "OPENAI_API_KEY is not set", "offline/echo"),
        ("opnai/gpt-4o", "", NotFoundError, "unknown provider 'opnai'", "openai/"),
        ("gpt-99-nonsense", "", NotFoundError, "has no provider", "provider/model"),
        ("openai/", "", NotFoundError, "has no name", "provider/model"),
        ("offline/ecko", "", NotFoundError, "unknown offline model", "offline/echo"),
        ("lab/m", "[providers.lab]\n", ConfigError, "has no api_base", "api_base"),
        ("lab/m", '[providers.lab]\napi_base = "ftp://x"\n', PromptStudioError, "ftp://x", "https://"),
    ],
)
def test_what_cannot_work_says_what_to_do(
    tmp_path: Path, model: str, toml: str, error: type[PromptStudioError], words: str, hint: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        connection_for(model, settings(tmp_path, toml), {})
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("where", ["api_key_env", "headers"])
def test_a_key_or_header_with_a_line_break_is_refused_and_not_shown(tmp_path: Path, where: str) -> None:
    entry = 'api_key_env = "EVIL"' if where == "api_key_env" else 'headers = {x-a = {env = "EVIL"}}'
    own = settings(tmp_path, f'[providers.lab]\napi_base = "http://127.0.0.1:9/v1"\n{entry}\n')
    with pytest.raises(ConfigError, match="EVIL") as caught:
        connection_for("lab/m", own, {"EVIL": "secret\r\nx-b: y"})
    assert "secret" not in str(caught.value)
    assert connection_for("lab/m", own, {"EVIL": "fine\n"}).host == "127.0.0.1:9"
