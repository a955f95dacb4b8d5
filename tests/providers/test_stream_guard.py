"""Streams that lie about being complete, line by line."""

from __future__ import annotations

import json

import pytest

from promptstudio.providers.stream_guard import MAX_LINE_BYTES, BrokenStreamError, StreamCheck


def events(*chunks: object) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def lines(*chunks: object) -> bytes:
    return b"".join(json.dumps(chunk).encode() + b"\n" for chunk in chunks)


OPEN = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
COMPLETE = {
    "openai": events(OPEN, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    "openai, done without a reason": events(OPEN) + b"data: [DONE]\n\n",
    "anthropic": events({"type": "message_start"}, {"type": "content_block_delta"}, {"type": "message_stop"}),
    "gemini": events({"candidates": [{"content": {}, "finishReason": "STOP"}]}),
    "an error event": events({"type": "error", "error": {}}),
    "a format nobody knows": events({"hello": 1}),
    "comments and events": b": ping\nevent: x\nretry: 3\n" + events({"type": "message_stop"}),
    "windows newlines": b'data: {"type": "message_stop"}\r\n\r\n',
    "no newline at the end": b'data: {"type": "message_stop"}',
    "nothing at all": b"",
}
BROKEN = {
    "openai": events(OPEN),
    "anthropic": events({"type": "message_start"}, {"type": "content_block_delta"}),
    "gemini": events({"candidates": [{"content": {}}]}),
    "cut inside a chunk": events(OPEN) + b'data: {"choices": [{"ind',
    "not JSON": b"data: {oops}\n\n" + events({"type": "message_stop"}),
}


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_stream_passes_however_it_is_cut_into_packets(name: str, size: int) -> None:
    check = StreamCheck()
    for start in range(0, len(COMPLETE[name]), size):
        check.feed(COMPLETE[name][start : start + size], event_stream=True)
    check.end()


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_is_noticed_however_it_is_cut_into_packets(name: str, size: int) -> None:
    check = StreamCheck()
    with pytest.raises(BrokenStreamError):  # noqa: PT012 — it may be noticed while it is read, or at its end
        for start in range(0, len(BROKEN[name]), size):
            check.feed(BROKEN[name][start : start + size], event_stream=True)
        check.end()


def test_lines_of_json_are_checked_like_events() -> None:
    check = StreamCheck()
    check.feed(lines({"message": {}, "done": False}), event_stream=False)
    with pytest.raises(BrokenStreamError, match="without a finish reason"):
        check.end()
    whole = StreamCheck()
    whole.feed(lines({"message": {}, "done": False}, {"done": True}), event_stream=False)
    whole.end()


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    check = StreamCheck()
    with pytest.raises(BrokenStreamError, match="16 MiB"):  # noqa: PT012
        for _ in range(MAX_LINE_BYTES // 1_000_000 + 2):
            check.feed(b"x" * 1_000_000, event_stream=True)
