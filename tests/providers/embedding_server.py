"""OpenAI's /v1/embeddings and /v1/chat/completions on loopback: vectors by what a text is about, in any language.

`script` holds answers that come first: (status, headers) for a refusal, or a function of the usual answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self

KEY = "key-0123456789-abcdef"
TOPICS = (("car", "automobile", "سيارة", "מכונית"), ("cat", "kitten", "قطة", "חתול"), ("rain", "weather", "مطر"))
Scripted = tuple[int, Mapping[str, str]] | Callable[[dict[str, Any]], dict[str, Any]]


def vector_of(text: str, dimensions: int = 4) -> list[float]:
    """One number for each topic, and a last one for texts about nothing."""
    found = [float(sum(text.count(word) for word in words)) for words in TOPICS]
    return [*found, 0.0 if any(found) else 1.0][:dimensions]


class EmbeddingServer:
    """Remembers the bodies of the requests for embeddings it was sent, and counts chats. A context manager."""

    def __init__(self, script: list[Scripted] | None = None) -> None:
        self.script = script or []
        self.bodies: list[dict[str, Any]] = []
        self.chats = 0
        self._lock = Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                authorized = self.headers.get("authorization") == f"Bearer {KEY}"
                status, headers, answer = outer.answer(self.path, body, authorized=authorized)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def texts(self) -> list[str]:
        """Everything that was embedded, in order."""
        return [text for body in self.bodies for text in body["input"]]

    def answer(self, path: str, body: dict[str, Any], *, authorized: bool) -> tuple[int, Mapping[str, str], Any]:
        with self._lock:
            if not authorized:
                return 401, {}, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
            if not path.endswith("/embeddings"):
                self.chats += 1
                return 200, {}, _chat(body)
            self.bodies.append(body)
            scripted = self.script.pop(0) if self.script else None
        if isinstance(scripted, tuple):
            return scripted[0], scripted[1], {"error": {"message": "not now"}}
        answer = _embeddings(body)
        return 200, {}, scripted(answer) if scripted else answer


def _embeddings(body: Mapping[str, Any]) -> dict[str, Any]:
    vectors = [vector_of(text, body.get("dimensions", 4)) for text in body["input"]]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    tokens = sum(len(text.split()) for text in body["input"])
    # the order of the rows is nobody's promise: `index` is
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": f"{body['model']}-1", "data": data[::-1], "usage": usage}


def _chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer with the last line of what was asked."""
    said = body["messages"][-1]["content"].splitlines()[-1]
    message = {"role": "assistant", "content": said}
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": choices,
        "usage": usage,
    }
