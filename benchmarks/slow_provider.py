"""An OpenAI-compatible provider on loopback that takes its time. Prints its port, and serves until it is ended.

python -m benchmarks.slow_provider MILLISECONDS [LOG]

LOG gets a line for each answer: when it was asked for and given, in seconds since 1970, and the question, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

ANSWER = "Hello, {}! It is good to see you; how can I help you with your {} today?"


def body(asked: bytes) -> bytes:
    """Answer with a text of its own for each question, so that no store can keep one for all."""
    question = json.loads(asked)["messages"][-1]["content"]
    name = question.rpartition(" ")[2].strip(".")
    reply = {
        "id": f"bench-{name}",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER.format(name, name)},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 6, "completion_tokens": 18, "total_tokens": 24},
    }
    return json.dumps(reply).encode()


async def serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay_s: float,
    log: TextIO | None = None,
    answer: Callable[[bytes], bytes] = body,
) -> None:
    """Answer what comes over one connection, each request after a while, until the client has gone."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            asked = await reader.readexactly(length)
            asked_at = time.time()
            await asyncio.sleep(delay_s)
            reply = answer(asked)
            if log is not None:
                question = json.loads(asked)["messages"][-1]["content"]
                print(json.dumps([asked_at, time.time(), question]), file=log, flush=True)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(reply) + reply
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has gone, which is how every connection ends
    finally:
        writer.close()


async def main(delay_s: float, log: TextIO | None = None, answer: Callable[[bytes], bytes] = body) -> None:
    """Serve on a port of the system's choice, which is printed, until the process is ended."""
    server = await asyncio.start_server(partial(serve, delay_s=delay_s, log=log, answer=answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with Path(sys.argv[2]).open("a") if len(sys.argv) > 2 else contextlib.nullcontext() as log_file:
        asyncio.run(main(float(sys.argv[1]) / 1000, log_file))
