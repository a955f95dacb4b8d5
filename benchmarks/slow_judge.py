"""An OpenAI-compatible judge on loopback that takes its time and passes everything. Prints its port, and serves.

python -m benchmarks.slow_judge MILLISECONDS
"""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.slow_provider import main

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


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000, answer=body))
