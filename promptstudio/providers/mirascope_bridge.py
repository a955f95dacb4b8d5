"""A prompt file as a Mirascope object, and LiteLLM as the provider behind it. The one door to Mirascope.

`mirascope_prompt` makes a real `llm.Prompt`. Called with `litellm/MODEL`, it reaches `LiteLLMProvider`, whose client
hands the encoded request to a sender: the one `call_through` set for a run of ours, or else the default one, for
people who call the object themselves.
"""

from __future__ import annotations

import base64
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

from mirascope import llm
from mirascope.llm.content.document import Base64DocumentSource, Document
from mirascope.llm.providers.openai.completions.base_provider import BaseOpenAICompletionsProvider
from openai import Omit

from promptstudio.errors import InputsError
from promptstudio.portal import run_blocking
from promptstudio.providers.schema import Reply
from promptstudio.providers.wire_types import chunk_from, completion_from
from promptstudio.types import Media, Message, Part

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

SCOPE = "litellm/"
# What Mirascope decodes where the sender has taken the answer itself: nobody reads the outcome, whatever a model sent.
_TAKEN = completion_from({"choices": [{"index": 0, "message": {}, "finish_reason": "stop"}]})
Sender = Callable[[dict[str, Any]], Awaitable[Reply]]
_sender: ContextVar[Sender | None] = ContextVar("sender", default=None)
logging.getLogger("mirascope").setLevel(logging.CRITICAL)


def mirascope_prompt(
    name: str, render: Callable[[Mapping[str, Any]], Sequence[Message]], inputs: Sequence[str], output: Any = None
) -> llm.Prompt[..., Any]:
    """Build the object. `render` turns input values into our messages; `output` is a Pydantic model or None."""

    def template(**values: Any) -> list[llm.Message]:
        return [mirascope_message(message) for message in render(values)]

    template.__name__ = "".join(char if char.isalnum() else "_" for char in name) or "prompt"
    template.__doc__ = name
    template.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(one, inspect.Parameter.KEYWORD_ONLY) for one in inputs if one.isidentifier()]
    )
    register()
    return llm.prompt(format=output)(template)


async def call_through(
    messages: Sequence[Message], model: str, send: Sender, tools: Sequence[Callable[..., Any]] = ()
) -> None:
    """Call a model with these messages; `send` gets the request in the OpenAI format and answers it.

    `tools` are offered to the model by name, signature and docstring; nothing runs them here.
    """
    register()
    sent = [mirascope_message(message) for message in messages]
    token = _sender.set(send)
    try:
        offered = [llm.tool(tool) for tool in tools]
        await llm.Model(f"{SCOPE}{model}").call_async(sent, tools=offered or None)
    finally:
        _sender.reset(token)


def mirascope_message(message: Message) -> llm.Message:
    """Translate one of our messages. Mirascope has no `developer` role; providers read it as `system`."""
    if message.role in ("system", "developer"):
        return llm.messages.system(message.text)
    if message.role == "assistant":
        return llm.messages.assistant([_part(part) for part in message.parts], model_id=None, provider_id=None)
    if message.role == "user":
        return llm.messages.user([_part(part) for part in message.parts])
    raise InputsError(f"a message of role '{message.role}' cannot be sent yet", hint="use system, user and assistant")


def _part(part: Part) -> Any:
    media = part.media
    if part.kind == "text" or media is None:
        return llm.Text(text=part.text)
    if part.kind == "image":
        return llm.Image.from_url(media.url) if media.url else llm.Image(source=_base64_image(media))
    if media.data is None:
        raise InputsError(f"{part.kind} from a URL cannot be sent", hint="give the file itself: name=@file")
    if part.kind == "audio":
        return _audio(media)
    return _document(media)


def _base64_image(media: Media) -> Any:
    from mirascope.llm.content.image import Base64ImageSource

    return Base64ImageSource(type="base64_image_source", data=_base64(media), mime_type=media.mime_type)


def _audio(media: Media) -> Any:
    """Audio goes out as `wav` or `mp3`: the chat format has no other names."""
    from mirascope.llm.content.audio import Base64AudioSource

    names = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
    if media.mime_type not in names:
        raise InputsError(
            f"audio of type {media.mime_type} cannot be sent: providers of the chat format take wav and mp3",
            hint="convert it first, for example with ffmpeg",
        )
    mime_type = f"audio/{names[media.mime_type]}"
    return llm.Audio(source=Base64AudioSource(type="base64_audio_source", data=_base64(media), mime_type=mime_type))


def _document(media: Media) -> Any:
    """PDFs go out as files. Text goes out as text: most providers take no text files."""
    if media.mime_type == "application/pdf":
        source = Base64DocumentSource(type="base64_document_source", data=_base64(media), media_type="application/pdf")
        return Document(source=source)
    text = (media.data or b"").decode("utf-8", errors="replace")
    return llm.Text(text=f"[file {media.name or 'attachment'}]\n{text}\n[end of file]")


def _base64(media: Media) -> str:
    return base64.b64encode(media.data or b"").decode("ascii")


class _Completions:
    """Stands where the OpenAI SDK's `client.chat.completions` would: one method, ours behind it."""

    def __init__(self, default: Sender) -> None:
        self._default = default

    async def answer(self, arguments: Mapping[str, Any]) -> Reply:
        keywords = {name: value for name, value in arguments.items() if not isinstance(value, Omit)}
        keywords.pop("stream", None)
        keywords.pop("stream_options", None)
        return await (_sender.get() or self._default)(keywords)


class _AsyncCompletions(_Completions):
    async def create(self, **arguments: Any) -> ChatCompletion | AsyncIterator[ChatCompletionChunk]:
        reply = await self.answer(arguments)
        if arguments.get("stream"):
            return _async_chunks(reply)
        return completion_from(reply.raw) if _sender.get() is None else _TAKEN


class _SyncCompletions(_Completions):
    def create(self, **arguments: Any) -> ChatCompletion | Iterator[ChatCompletionChunk]:
        reply = run_blocking(self.answer, arguments)
        if arguments.get("stream"):
            return iter(_chunks(reply))
        return completion_from(reply.raw)


def _chunks(reply: Reply) -> list[ChatCompletionChunk]:
    words = [reply.text[start : start + 64] for start in range(0, len(reply.text), 64)]
    model = reply.resolved_model or ""
    return [*(chunk_from(text=word, model=model) for word in words), chunk_from(finish_reason=reply.finish_reason)]


async def _async_chunks(reply: Reply) -> AsyncIterator[ChatCompletionChunk]:
    for chunk in _chunks(reply):
        yield chunk


class _Client:
    def __init__(self, completions: _Completions) -> None:
        self.chat = self
        self.completions = completions


class LiteLLMProvider(BaseOpenAICompletionsProvider):  # type: ignore[misc]  # Mirascope ships no types
    """Mirascope's side of the bridge: it encodes messages and decodes answers; the sending is ours."""

    id: ClassVar[str] = "litellm"
    default_scope: ClassVar[str | list[str]] = SCOPE
    api_key_required: ClassVar[bool] = False
    error_map: ClassVar[Mapping[Any, Any]] = {}

    def __init__(self, default: Sender) -> None:  # no SDK client is made: it would want a key and a host
        self.client = _Client(_SyncCompletions(default))
        self.async_client = _Client(_AsyncCompletions(default))

    def _model_name(self, model_id: str) -> str:
        return model_id.removeprefix(SCOPE)


_registered: list[LiteLLMProvider] = []


def register(default: Sender | None = None) -> None:
    """Make `litellm/…` known to Mirascope, once; `default` sends what nobody else sends."""
    if _registered and default is None:
        return
    provider = LiteLLMProvider(default or _nobody_sends)
    _registered[:] = [provider]
    llm.register_provider(provider, scope=SCOPE)


async def _nobody_sends(_arguments: dict[str, Any]) -> Reply:
    raise InputsError("this Mirascope prompt has no connection", hint="get it from promptstudio.load(…).as_mirascope()")
