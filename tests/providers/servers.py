"""Small HTTP servers on loopback: Ollama's chat route, an OpenAI-compatible one, and Gemini with function calls.

They answer with fixed content and remember what they were asked, headers included.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

TYPED = {"category": "bug", "urgency": 4, "reply": "נשמח לעזור"}


class RecordingServer:
    """The frame: `answer(path, body)` gives status, content type and chunks. Use it as a context manager."""

    def __init__(self, *, status: int = 200, error: str = "", redirect_to: str | None = None) -> None:
        self.status = status
        self.error = error
        self.redirect_to = redirect_to
        self.paths: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.paths.append(self.path)
                outer.bodies.append(body)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                status, kind, data = outer.respond(self.path, body)
                self.send_response(status)
                if outer.redirect_to:
                    self.send_header("location", outer.redirect_to)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def respond(self, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        if self.redirect_to:
            return 307, "text/plain", b""
        if self.status != 200:
            return self.status, "application/json", json.dumps({"error": {"message": self.error}}).encode()
        return self.answer(path, body)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        raise AssertionError("a server says what it answers")


class OllamaServer(RecordingServer):
    """`/api/chat` as Ollama speaks it, and `/v1/chat/completions` with reasoning for the model `thinker`."""

    ANSWER: ClassVar[str] = "أهلًا وسهلًا, welcome"

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        if path == "/api/chat":
            return self._ollama(body)
        return self._openai(body)

    def _ollama(self, body: dict[str, Any]) -> tuple[int, str, bytes]:
        text = json.dumps(TYPED, ensure_ascii=False) if body.get("format") else self.ANSWER
        head = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}
        end = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 7}
        if not body.get("stream"):
            whole = {**head, "message": {"role": "assistant", "content": text}, **end}
            return 200, "application/json", json.dumps(whole).encode()
        pieces = [text[start : start + 6] for start in range(0, len(text), 6)]
        lines = [{**head, "message": {"role": "assistant", "content": piece}, "done": False} for piece in pieces]
        lines.append({**head, "message": {"role": "assistant", "content": ""}, **end})
        return 200, "application/x-ndjson", b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def _openai(self, body: dict[str, Any]) -> tuple[int, str, bytes]:
        thinks = body["model"] == "thinker"
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        head = {"id": "c1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": self.ANSWER}
            if thinks:
                message["reasoning_content"] = "let me think"
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            whole = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
            return 200, "application/json", json.dumps(whole).encode()
        deltas: list[dict[str, Any]] = [{"role": "assistant"}]
        deltas += [{"reasoning_content": word} for word in ("let me ", "think")] if thinks else []
        deltas += [{"content": self.ANSWER[start : start + 6]} for start in range(0, len(self.ANSWER), 6)]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
        chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}]
        return 200, "text/event-stream", _events([{**head, "object": "chat.completion.chunk", **c} for c in chunks])


class GeminiServer(RecordingServer):
    """`generateContent` and `streamGenerateContent`, answering a forced function call with the typed object."""

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        name = body["tools"][0]["function_declarations"][0]["name"]
        part = {"functionCall": {"name": name, "args": TYPED}}
        chunk = {
            "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12},
        }
        if "stream" in path:
            return 200, "text/event-stream", f"data: {json.dumps(chunk)}\n\n".encode()
        return 200, "application/json", json.dumps(chunk).encode()


def _events(chunks: list[dict[str, Any]]) -> bytes:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()
