"""An OpenAI-compatible judge on loopback that takes its time and passes everything. Prints its port, and serves.

python -m benchmarks.slow_judge MILLISECONDS
"""

from __future__ import annotations

import asyncio
import json
import sys

VERDICT = {"reason": "It meets the rubric.", "pass": True, "score": 0.9}


def body(asked: bytes) -> bytes:
    """Answer in the shape that was asked for: the arguments of the tool that is offered."""
    name = json.loads(asked)["tools"][0]["function"]["name"]
    call = {"id": "call-1", "type": "function", "function": {"name": name, "arguments": json.dumps(VERDICT)}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reply = {
        "id": "verdict-1",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320},
    }
    return json.dumps(reply).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            asked = await reader.readexactly(length)
            await asyncio.sleep(delay_s)
            reply = body(asked)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(reply) + reply
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has gone
    finally:
        writer.close()


async def main(delay_s: float) -> None:
    server = await asyncio.start_server(lambda reader, writer: serve(reader, writer, delay_s), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000))
