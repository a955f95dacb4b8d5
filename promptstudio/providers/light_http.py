"""A request and its whole answer over an httpx transport: a URL, headers and a body in, a response that is read out.

What httpx's client does around that is left out: cookies, which LiteLLM blocks anyway, redirects, a log line, and what
makes them possible. A third of the CPU of a request goes into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import httpx

_parsed = lru_cache(maxsize=64)(httpx.URL)


async def post_whole(
    transport: httpx.AsyncBaseTransport,
    url: str,
    body: str | bytes,
    headers: Mapping[str, str],
    limits: httpx.Timeout,
) -> httpx.Response:
    """Post once and read the answer, whatever its status. Raises what the transport raises."""
    extensions = {"timeout": limits.as_dict()}
    request = httpx.Request("POST", _parsed(url), headers=headers, content=body, extensions=extensions)
    response = await transport.handle_async_request(request)
    response.request = request
    try:
        await response.aread()
    finally:
        await response.aclose()
    return response
