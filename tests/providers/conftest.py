"""Providers on loopback: llmock for five wire formats, and small servers of our own for what it does not speak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from llmock.chaos import ChaosSettings
from llmock.simulation import MockResponseSettings
from llmock.testing import LLMockServer

from promptstudio.config import Settings, load_settings
from promptstudio.output.model import model_from_schema
from promptstudio.prompts.prompt import OutputSpec, Retry
from promptstudio.providers.call import close_connections
from promptstudio.providers.connect import connection_for
from promptstudio.providers.schema import Emit, Request
from promptstudio.types import Message

THREE_TIMES = Retry(max_attempts=3, timeout_s=5)
KEY = "key-0123456789-abcdef"
BASES = {
    "openai": "/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini/v1beta",
    "mistral": "/mistral/v1",
    "local": "/v1",
}
TRIAGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "category": {"type": "string", "enum": ["billing", "bug"]},
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
        "reply": {"type": "string"},
    },
    "required": ["category", "urgency", "reply"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def llmock_server() -> Iterator[LLMockServer]:
    with LLMockServer(chaos=ChaosSettings(), responses=MockResponseSettings()) as server:
        yield server


@pytest_asyncio.fixture(autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    """Close provider connections with the loop they belong to, as every caller of ours does."""
    yield
    await close_connections()


@pytest.fixture
def provider(llmock_server: LLMockServer) -> Iterator[LLMockServer]:
    """A provider that has forgotten what earlier tests asked of it."""
    llmock_server.state.reset()
    yield llmock_server
    llmock_server.state.reset()


@pytest.fixture
def settings(provider: LLMockServer, tmp_path: Path) -> Settings:
    """Connections of a project that lead to the provider on loopback."""
    return settings_for(tmp_path, {name: provider.url + base for name, base in BASES.items()})


def settings_for(folder: Path, bases: dict[str, str]) -> Settings:
    lines = [f'[providers.{name}]\napi_base = "{base}"\napi_key_env = "TEST_KEY"\n' for name, base in bases.items()]
    folder.joinpath("promptstudio.toml").write_text("\n".join(lines), encoding="utf-8")
    return load_settings(folder, env={})


def request(
    settings: Settings,
    model: str,
    text: str = "hello مرحبا",
    *,
    typed: bool = False,
    mode: str = "auto",
    emit: Emit | None = None,
    retry: Retry = THREE_TIMES,
    **parameters: Any,
) -> Request:
    """A request to a model; `typed` asks for a triage object."""
    return Request(
        connection=connection_for(model, settings, {"TEST_KEY": KEY}),
        messages=(Message.of("system", "Be nice."), Message.of("user", text)),
        parameters=parameters,
        retry=retry,
        output=OutputSpec("Triage", TRIAGE_SCHEMA, mode=mode) if typed else None,  # type: ignore[arg-type]
        output_model=model_from_schema("Triage", TRIAGE_SCHEMA) if typed else None,
        emit=emit,
    )
