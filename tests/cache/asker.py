"""A process that asks through the cache: `asker.py CACHE CALLS DELAY_S PROMPTS REPEATS` prints how many were cached.

Each call of the provider adds a line to the file CALLS; the word `slow` in a prompt makes it take DELAY_S.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from cache_samples import CONNECTION, completion, send

from promptstudio.cache import locks
from promptstudio.cache.store import CacheStore
from promptstudio.cache.wire import CachedWires
from promptstudio.providers.assemble import reply_from
from promptstudio.providers.schema import Connection, Emit, Reach, Reply, Wire, WireCall


class FileCountingWires:
    """The provider: a line in a file for each call, appended in one write."""

    reach: Reach = "never"

    def __init__(self, calls: str, delay_s: float) -> None:
        self.calls = calls
        self.delay_s = delay_s

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        return self

    async def send(
        self, connection: Connection, arguments: Mapping[str, Any], *, timeout_s: float, emit: Emit | None
    ) -> Reply:
        text = arguments["messages"][0]["content"]
        descriptor = os.open(self.calls, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(descriptor, f"{os.getpid()} {text}\n".encode())
        os.close(descriptor)
        await asyncio.sleep(self.delay_s)
        return reply_from(completion(f"answer to {text}"), Decimal("0.01"))


async def main(cache: str, calls: str, delay_s: str, prompts: str, times: str) -> None:
    wires = CachedWires(CacheStore(Path(cache)), FileCountingWires(calls, float(delay_s)))
    texts = [f"{number}" for number in range(int(prompts))] * int(times)
    replies = await asyncio.gather(*(send(wires, text, timeout_s=30.0) for text in texts))
    wires.close()
    assert [reply.text for reply in replies] == [f"answer to {text}" for text in texts]
    assert CONNECTION.api_key
    sys.stdout.write(f"{sum(reply.saved is not None for reply in replies)}\n")


if __name__ == "__main__":
    if os.environ.get("LOCKS") == "files":  # as on systems that lock no single bytes
        locks._SET_LOCK = None
    asyncio.run(main(*sys.argv[1:]))
