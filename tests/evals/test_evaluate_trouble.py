"""An evaluation on a provider in trouble, and one that is killed again and again: nothing is lost or paid twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from llmock.chaos import ChaosSettings, StreamChaos
from llmock.simulation import MockResponseSettings
from llmock.testing import LLMockServer
from llmock.verdict import judge

from promptstudio.evals.evaluate import EvalOptions, evaluate
from promptstudio.evals.suite import load_suite
from promptstudio.providers.call import close_connections

if TYPE_CHECKING:
    from tests.conftest import Project, Script

KILLER = Path(__file__).with_name("killer.py")


def many(project: Project, count: int, base: str) -> None:
    cases = "".join(json.dumps({"id": f"c{n}", "inputs": {"name": f"N{n}."}}) + "\n" for n in range(count))
    project.write("evals/many.jsonl", cases)
    project.write(
        "evals/many.yaml",
        "prompt: greet\nmodels: [loopback/m]\ncases: many.jsonl\nassert: [{not-equals: nothing at all}]\n",
    )
    toml = (project.root / "promptstudio.toml").read_text()
    project.write("promptstudio.toml", f'{toml}\n[providers.loopback]\napi_base = "{base}"\n')


async def test_every_case_is_judged_though_a_quarter_of_the_requests_fail(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmock.chaos.random", random.Random(3))  # the same trouble each time
    chaos = ChaosSettings(error_rate_429=0.20, error_rate_503=0.05)
    with LLMockServer(chaos=chaos, responses=MockResponseSettings()) as server:
        server.state.stream_chaos = StreamChaos(fault_rates=(("disconnect", 0.02),))
        many(project, 30, f"{server.url}/v1")
        settings = project.settings()
        finished = await evaluate(load_suite(project.root / "evals/many.yaml", settings), settings, {}, EvalOptions())
        await close_connections()
        records = list(server.state.journal.records())
    counts = finished.totals.counts
    assert (counts["pass"] + counts["fail"], counts["error"]) == (30, 0), finished.sentence
    assert 30 < len(records) <= 45
    found = judge(records)
    assert not found.findings, found.render()


@pytest.fixture
def asked(project: Project) -> Iterator[Counter[str]]:
    """A provider that takes 30 ms, and how often it was asked each question."""
    seen: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            question = body["messages"][-1]["content"]
            seen[question] += 1
            threading.Event().wait(0.03)
            choice = {"index": 0, "message": {"role": "assistant", "content": question}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
            data = json.dumps({**answer, "choices": [choice], "usage": usage}).encode()
            try:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # who asked was killed

        def log_message(self, *args: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        many(project, 120, f"http://127.0.0.1:{server.server_port}/v1")
        yield seen
        server.shutdown()


def test_a_run_that_is_killed_at_random_again_and_again_asks_nothing_twice_and_ends_the_same(
    project: Project, ps: Script, asked: Counter[str]
) -> None:
    done = subprocess.run(
        [sys.executable, str(KILLER), "8", "4"],
        cwd=project.root, env=ps.environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "suites" in told, told
    assert told["suites"][0]["totals"]["pass"] == 120, told
    assert told["codes"].get("130", 0) + told["codes"].get("-9", 0) > 0, told  # some were stopped in their midst
    assert len(asked) == 120
    # What was answered and on its way to the disk when a SIGKILL came: twice the four at once, and no more.
    assert sum(asked.values()) <= 120 + told["codes"].get("-9", 0) * 8, told
    again = ps("eval", "--json", "--no-cache", "--concurrency", "4")
    assert again.code == 0, again.out + again.err
    assert again.json["suites"][0]["totals"]["pass"] == 120
    assert len(asked) == 120
