"""A pass-through for streamed HTTP bodies that notices what parsers above it forgive.

In goes the byte stream of a `text/event-stream` or NDJSON response, out come the same bytes; a line of data that is
not JSON, or an end before anything said the answer is finished, raises instead of passing for a short answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

AllowedHost = Callable[[], str | None]

STREAM_TYPES = ("text/event-stream", "application/x-ndjson", "application/jsonl")
MAX_LINE_BYTES = 16 * 1024 * 1024


class GuardError(httpx.TransportError):
    """What the guard objects to; a transport error, so that what stands above treats it as one."""


class BrokenStreamError(GuardError, httpx.RemoteProtocolError):
    """The provider's stream is not what its format promises."""


class ForbiddenHostError(GuardError, httpx.UnsupportedProtocol):
    """A request was about to leave for a host nobody named."""


class StreamCheck:
    """Reads the lines of one stream. `finished` turns true when the format says that the answer is complete."""

    def __init__(self) -> None:
        self.finished = False
        self.recognized = False
        self._pending = bytearray()
        self._event_stream = True

    def feed(self, data: bytes, *, event_stream: bool) -> None:
        """Take in bytes as they arrive; raise `BrokenStreamError` at the first line of data that is not JSON."""
        self._event_stream = event_stream
        self._pending += data
        if len(self._pending) > MAX_LINE_BYTES and b"\n" not in self._pending:
            raise BrokenStreamError("a line of the stream is longer than 16 MiB")
        *lines, rest = bytes(self._pending).split(b"\n")
        self._pending = bytearray(rest)
        for line in lines:
            self._read(line.strip())

    def end(self) -> None:
        """Say that the stream is over; raise if nothing in it said so."""
        last, self._pending = bytes(self._pending).strip(), bytearray()
        if last:
            self._read(last)
        if self.recognized and not self.finished:
            raise BrokenStreamError("the stream ended without a finish reason")

    def _read(self, line: bytes) -> None:
        if self._event_stream:
            if not line.startswith(b"data:"):
                return
            line = line[len(b"data:") :].strip()
        if not line:
            return
        if line == b"[DONE]":
            self.finished = True
            return
        try:
            chunk = json.loads(line)
        except ValueError as error:
            raise BrokenStreamError("a chunk of the stream is not JSON") from error
        if isinstance(chunk, dict):
            self._read_chunk(chunk)

    def _read_chunk(self, chunk: dict[str, Any]) -> None:
        for is_format, is_end in FORMATS:
            if is_format(chunk):
                self.recognized = True
                self.finished = self.finished or is_end(chunk)
                return


def _any_has(items: Any, key: str) -> bool:
    return isinstance(items, list) and any(isinstance(item, dict) and item.get(key) for item in items)


# One row a wire format: does this chunk belong to it, and does this chunk end the answer?
FORMATS: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], bool]], ...] = (
    (lambda chunk: "choices" in chunk, lambda chunk: _any_has(chunk["choices"], "finish_reason")),  # OpenAI and kin
    (lambda chunk: "candidates" in chunk, lambda chunk: _any_has(chunk["candidates"], "finishReason")),  # Gemini
    (lambda chunk: "done" in chunk, lambda chunk: chunk["done"] is True),  # Ollama
    (  # Anthropic, Cohere, OpenAI Responses
        lambda chunk: isinstance(chunk.get("type"), str),
        lambda chunk: (
            chunk["type"]
            in {"message_stop", "message-end", "response.completed", "response.incomplete", "response.failed", "error"}
        ),
    ),
)


class GuardedStream(httpx.AsyncByteStream):
    """An httpx byte stream, checked while it is read."""

    def __init__(self, stream: httpx.AsyncByteStream, *, event_stream: bool) -> None:
        self._stream = stream
        self._event_stream = event_stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        check = StreamCheck()
        try:
            async for data in self._stream:
                check.feed(data, event_stream=self._event_stream)
                yield data
            check.end()
        except BrokenStreamError:
            await self.aclose()  # at once: the server should see that nobody reads on
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()


class GuardedTransport(httpx.AsyncBaseTransport):
    """An httpx transport that checks streams and lets requests go to one host only.

    `allowed_host` is asked for every request, redirects included, so nothing reaches a host the call did not name;
    None allows all (providers whose host LiteLLM computes, such as Bedrock).
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, allowed_host: AllowedHost) -> None:
        self._transport = transport
        self._allowed_host = allowed_host

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = self._allowed_host()
        if host is not None and request.url.netloc.decode("ascii").lower() != host:
            raise ForbiddenHostError(f"refused to contact {request.url.host}: this call is for {host} only")
        response = await self._transport.handle_async_request(request)
        content_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
        encoding = response.headers.get("content-encoding", "identity").lower()
        if (
            content_type in STREAM_TYPES
            and encoding in ("identity", "")
            and isinstance(response.stream, httpx.AsyncByteStream)
        ):
            response.stream = GuardedStream(response.stream, event_stream=content_type == STREAM_TYPES[0])
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()
