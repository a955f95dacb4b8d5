"""The contract with Mirascope's private encoders: what a message of ours becomes on the wire."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from promptstudio.config import Settings, load_settings
from promptstudio.errors import InputsError
from promptstudio.providers.call import exact_request
from promptstudio.providers.connect import route_for
from promptstudio.providers.schema import Request
from promptstudio.types import Media, Message, Part

PNG = b"\x89PNG\r\n\x1a\n1234"


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    return load_settings(tmp_path, env={})


async def encoded(settings: Settings, *messages: Message, model: str = "openai/gpt-4.1-mini", **more: Any) -> Any:
    request = Request(connection=route_for(model, settings, {}), messages=messages, parameters={}, **more)
    return (await exact_request(request))["messages"]


async def test_roles_keep_their_order_and_developer_becomes_system(bare: Settings) -> None:
    turns = [
        Message.of("developer", "d"), Message.of("user", "سؤال"), Message.of("assistant", "a"), Message.of("user", "u"),
    ]  # fmt: skip
    sent = await encoded(bare, *turns)
    assert [(turn["role"], turn["content"]) for turn in sent] == [
        ("system", "d"), ("user", "سؤال"), ("assistant", "a"), ("user", "u"),
    ]  # fmt: skip


async def test_media_become_the_content_parts_of_the_chat_format(bare: Settings) -> None:
    parts = (
        Part("text", "look"),
        Part("image", media=Media("image/png", PNG)),
        Part("image", media=Media("image/png", url="https://example.com/a.png")),
        Part("audio", media=Media("audio/mpeg", b"ID3x")),
        Part("file", media=Media("application/pdf", b"%PDF-1.4")),
        Part("file", media=Media("text/markdown", "# عنوان".encode(), name="note.md")),
    )
    content = (await encoded(bare, Message("user", parts)))[0]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "image_url", "input_audio", "file", "text"]
    assert content[1]["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert content[2]["image_url"]["url"] == "https://example.com/a.png"
    assert content[3]["input_audio"] == {"data": base64.b64encode(b"ID3x").decode(), "format": "mp3"}
    assert content[4]["file"]["file_data"].startswith("data:application/pdf;base64,")
    assert content[5]["text"] == "[file note.md]\n# عنوان\n[end of file]"


@pytest.mark.parametrize(
    ("model", "part", "words"),
    [
        ("gemini/gemini-2.5-flash", Part("image", media=Media("image/png", url="https://x.example/a.png")), "download"),
        ("openai/gpt-4.1-mini", Part("audio", media=Media("audio/ogg", b"OggS")), "wav and mp3"),
        ("openai/gpt-4.1-mini", Part("file", media=Media("application/pdf", url="https://x.example/a.pdf")), "URL"),
    ],
)
async def test_what_a_provider_cannot_take_is_said_before_anything_is_sent(
    bare: Settings, model: str, part: Part, words: str
) -> None:
    with pytest.raises(InputsError, match=words):
        await encoded(bare, Message("user", (part,)), model=model)


async def test_tools_are_offered_by_name_signature_and_docstring(bare: Settings) -> None:
    def lookup_order(number: int) -> str:
        """Find an order."""
        return str(number)

    connection = route_for("openai/gpt-4.1-mini", bare, {})
    request = Request(connection=connection, messages=(Message.of("user", "x"),), parameters={}, tools=(lookup_order,))
    function = (await exact_request(request))["tools"][0]["function"]
    assert function["name"] == "lookup_order"
    assert function["description"] == "Find an order."
    assert function["parameters"]["properties"]["number"]["type"] == "integer"
