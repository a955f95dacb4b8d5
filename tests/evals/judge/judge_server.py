"""A judge on loopback: an OpenAI-compatible server whose answers a function of the test gives.

The function gets a `Question` and returns what the judge says: a map for a typed answer (sent as a tool call), text for
prose, or an `(HTTP status, message)` pair.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Said = Mapping[str, Any] | str | tuple[int, str]


@dataclass(frozen=True)
class Question:
    """What the judge was asked, as it came over the wire."""

    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def system(self) -> str:
        return "\n".join(one["content"] for one in self.body["messages"] if one["role"] == "system")

    @property
    def user(self) -> str:
        return next(one["content"] for one in reversed(self.body["messages"]) if one["role"] == "user")

    def between(self, tag: str) -> str:
        """Return the text between <tag-MARK> and </tag-MARK>, as the prompts of ours set it off."""
        start = self.user.index(f"<{tag}-") + len(f"<{tag}-")
        mark = self.user[start : self.user.index(">", start)]
        return self.user.split(f"<{tag}-{mark}>\n", 1)[1].split(f"\n</{tag}-{mark}>", 1)[0]


class JudgeServer:
    """Use it as a context manager; `asked` are the questions so far."""

    def __init__(self, say: Callable[[Question], Said], *, delay_s: float = 0.0) -> None:
        self.asked: list[Question] = []
        self.most_at_once = 0
        self._say, self._delay_s = say, delay_s
        self._at_once = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, data = outer.respond(Question(body, dict(self.headers.items())))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Be quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def settings(self, name: str = "judge") -> str:
        """Return the section of promptstudio.toml that makes `NAME/any` lead here."""
        return f'\n[providers.{name}]\napi_base = "{self.url}"\n'

    def respond(self, question: Question) -> tuple[int, bytes]:
        with self._lock:
            self.asked.append(question)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            time.sleep(self._delay_s)
            said = self._say(question)
        finally:
            with self._lock:
                self._at_once -= 1
        if isinstance(said, tuple):
            return said[0], json.dumps({"error": {"message": said[1], "type": "test", "code": None}}).encode()
        return 200, json.dumps(self._completion(question, said)).encode()

    def _completion(self, question: Question, said: Mapping[str, Any] | str) -> dict[str, Any]:
        tools = question.body.get("tools")
        message: dict[str, Any] = {"role": "assistant", "content": said if isinstance(said, str) else None}
        if not isinstance(said, str) and tools:
            function = {"name": tools[0]["function"]["name"], "arguments": json.dumps(said, ensure_ascii=False)}
            message["tool_calls"] = [{"id": f"call-{len(self.asked)}", "type": "function", "function": function}]
        elif not isinstance(said, str):
            message["content"] = json.dumps(said, ensure_ascii=False)
        return {
            "id": f"verdict-{len(self.asked)}",
            "object": "chat.completion",
            "created": 1,
            "model": question.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tools else "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50},
        }
