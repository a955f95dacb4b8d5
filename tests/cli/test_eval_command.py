"""`ps eval`, `ps test`, `ps score` and `ps runs` as processes: what they print, and the exit codes people gate on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SCRIPTS

if TYPE_CHECKING:
    from tests.conftest import Project, Script

SUITE = """\
prompt: greet
cases:
  - {id: ada, inputs: {name: Ada}}
  - {id: "bo's case", inputs: {name: Bo}, assert: [{contains: Zoe}]}
  - {id: عمر, inputs: {name: عمر}}
assert:
  - {contains: Say hello}
"""
PASSING = SUITE.replace(", assert: [{contains: Zoe}]", "")


def test_a_missed_gate_exits_1_and_each_failure_has_the_command_that_repeats_it(project: Project, ps: Script) -> None:
    project.write("evals/greet.yaml", SUITE)
    done = ps("eval")
    assert done.code == 1
    assert "the gate is missed: pass_rate 66.7%, wanted at least 100.0%" in done.out
    assert "\x1b" not in done.out + done.err
    command = next(line.strip() for line in done.err.splitlines() if line.strip().startswith("ps eval "))
    assert command == """ps eval evals/greet.yaml --case 'bo'"'"'s case'"""
    again = subprocess.run(
        ["/bin/sh", "-c", command], env=ps.environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert "1 fail" in again.stdout or "FAIL" in again.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "code", "says"),
    [
        (PASSING, [], 0, "the gate is met: 3 pass"),
        (SUITE, ["-k", "ada"], 0, "the gate is met: 1 pass"),
        (SUITE, ["-k", "nobody"], 5, "no case is selected"),
        (SUITE, ["-k", "(ada"], 2, "a bracket is not closed"),
        (SUITE, ["-k", ""], 2, "-k is empty"),
        (SUITE, ["--prompt", "other"], 5, "no prompt and model of the suite is selected"),
        (SUITE, ["--failed"], 5, "no case ended so the last time"),
        (SUITE, ["gret"], 2, "did you mean 'greet'?"),
        (SUITE, ["--report", "pdf:x"], 2, "pdf"),
        (SUITE, ["--max-cost", "much"], 2, "is no amount"),
        (SUITE, ["--record", "a", "--replay", "b"], 2, "exclude each other"),
        (SUITE, ["--replay", "nowhere"], 2, "nowhere"),
        (SUITE.replace("contains: Say", "containz: Say"), [], 2, "greet.yaml:7"),
        (SUITE.replace("name: Ada", "nam: Ada"), [], 2, "greet.yaml:3: case ada"),
        (SUITE.replace("prompt: greet", "prompt: gret"), [], 2, "greet.yaml:1"),
        ("prompt: greet\ncases: [{inputs: {name: A}}]\n", [], 5, "nothing is asserted"),
        ("prompt: greet\ncases: x.jsonl\nassert: [is-json]\n", [], 2, "there is no such file"),
    ],
)  # fmt: skip
def test_the_exit_code_says_what_happened(
    project: Project, ps: Script, text: str, arguments: list[str], code: int, says: str
) -> None:
    project.write("evals/greet.yaml", text)
    done = ps("eval", *arguments)
    assert (done.code, says in done.out + done.err) == (code, True), done.err


def test_without_a_suite_nothing_is_green(project: Project, ps: Script) -> None:
    done = ps("eval")
    assert done.code == 5
    assert "there is no suite in evals/" in done.err


def test_one_suite_that_cannot_run_does_not_stop_the_others(project: Project, ps: Script) -> None:
    project.write("evals/a.yaml", PASSING.replace("prompt: greet", "prompt: gone"))
    project.write("evals/b.yaml", PASSING)
    done = ps("eval", "--json")
    assert done.code == 2
    assert [suite["suite"] for suite in done.json["suites"]] == ["b"]
    assert "gone" in done.json["refused"][0]["message"]


def test_check_and_plan_call_nothing_and_run_no_code(project: Project, ps: Script) -> None:
    project.write("evals/cases.py", "raise SystemExit('ran')\ndef make():\n    return []\n")
    project.write("evals/checks.py", "raise SystemExit('ran')\ndef f(context):\n    return True\n")
    project.write("evals/code.yaml", "prompt: greet\ncases: cases.py:make\nassert: [{python: 'checks.py:f'}]\n")
    project.write("evals/greet.yaml", SUITE)
    checked = ps("eval", "--check")
    assert checked.code == 0, checked.err
    assert "not checked: the cases of cases.py:make" in checked.err
    planned = ps("eval", "greet", "--plan", "--json")
    assert planned.json[0]["targets"][0]["asked"] == 3
    assert not (project.root / ".promptstudio/history.db").exists()
    ps("eval", "greet")
    assert ps("eval", "greet", "--plan", "--json").json[0]["targets"][0]["asked"] == 0


def test_a_run_can_be_listed_shown_compared_judged_again_exported_and_removed(project: Project, ps: Script) -> None:
    project.write("evals/greet.yaml", SUITE)
    ps("eval")
    project.write("evals/greet.yaml", SUITE.replace("Zoe", "Bo"))
    scored = ps("score", "--json")
    assert scored.json["suites"][0]["totals"]["pass"] == 3
    assert len(ps("history", "--json").json) == 3  # nothing was asked again
    new, old = ps("runs", "list", "--json").json
    compared = ps("runs", "compare", old["id"], new["id"], "--json").json
    assert [pair["case"] for pair in compared["mended"]] == ["bo's case"]
    assert compared["same_suite"] is True
    shown = ps("runs", "show", old["id"][:20], "--failed", "--json").json["results"]
    assert [one["case"]["id"] for one in shown] == ["bo's case"]
    page = ps("runs", "show", old["id"], "--case", "عمر").out
    assert "Say hello to عمر in a warm way." in page
    exported = ps("runs", "export", old["id"], "--to", "junit:r.xml", "--to", "csv:r.csv")
    assert exported.code == 0, exported.err
    assert "عمر" in (project.root / "r.xml").read_text()
    assert ps("runs", "rm", old["id"]).code == 0
    assert len(ps("runs", "list", "--json").json) == 1
    assert ps("runs", "show", "nothing").code == 2


def test_the_tests_in_a_prompt_file_run_with_the_same_engine(project: Project, ps: Script) -> None:
    text = (project.root / "prompts/greet.yaml").read_text()
    tests = (
        "tests:\n  - inputs: {name: Ada}\n    assert: [{contains: Ada}]\n"
        "  - inputs: {name: Bo}\n    assert: [{contains: Zoe}]\n"
    )
    project.write("prompts/greet.yaml", text + tests)
    done = ps("test")
    assert done.code == 1
    assert "1     1" in done.out
    assert "ps test greet --case" in done.err
    assert ps("test", "ar/welcome").code == 5
    project.write("prompts/greet.yaml", text + tests.replace("Zoe", "Bo"))
    assert ps("test", "greet").code == 0


def test_a_typed_answer_is_compared_with_what_is_expected_of_its_fields(project: Project, ps: Script) -> None:
    project.write(
        "evals/triage.yaml",
        "prompt: support/triage\ncases:\n  - {id: a, inputs: {ticket: x}, expected_output: {category: billing}}\n"
        "assert:\n  - {path: urgency, gte: 1}\n",
    )
    assert ps("eval").code == 0


# A provider that does what it is told


@dataclass
class Provider:
    """An OpenAI-compatible server. `answers` maps a word of the question to a status; others get an answer."""

    statuses: dict[str, int] = field(default_factory=dict)
    delay_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    limited: int = 0
    port: int = 0


@pytest.fixture
def provider(project: Project) -> Iterator[Provider]:
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            question = f"{asked['model']} {asked['messages'][-1]['content']}"
            state.asked.append(question)
            time.sleep(state.delay_s)
            status = next((status for word, status in state.statuses.items() if word in question), 200)
            if status == 429 and state.limited <= 0:
                status = 200
            state.limited -= status == 429
            self.answer(status, question)

        def answer(self, status: int, question: str) -> None:
            message = {"role": "assistant", "content": question}
            body: dict[str, Any] = {"error": {"message": "no", "type": "x", "code": "invalid_api_key"}}
            if status == 200:
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
                body = {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "m",
                    "choices": [choice],
                    "usage": usage,
                }
            data = json.dumps(body).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("retry-after", "0")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        toml = (project.root / "promptstudio.toml").read_text()
        project.write(
            "promptstudio.toml", f'{toml}\n[providers.loopback]\napi_base = "http://127.0.0.1:{state.port}/v1"\n'
        )
        yield state
        server.shutdown()


def many(project: Project, count: int, models: str = "loopback/good") -> None:
    cases = "".join(json.dumps({"id": f"c{n}", "inputs": {"name": f"N{n}."}}) + "\n" for n in range(count))
    project.write("evals/data/many.jsonl", cases)
    text = f"prompt: greet\nmodels: [{models}]\ncases: data/many.jsonl\nassert: [{{contains: N}}]\n"
    project.write("evals/many.yaml", text)


def test_a_provider_that_refuses_exits_3_and_does_not_stop_another(
    project: Project, ps: Script, provider: Provider
) -> None:
    provider.statuses = {"bad": 401}
    many(project, 30, "loopback/bad, loopback/good")
    done = ps("eval", "--json", "--concurrency", "2")
    assert done.code == 3
    totals = done.json["suites"][0]["totals"]
    assert totals["models"]["loopback/good"]["pass"] == 30
    assert totals["models"]["loopback/bad"]["error"] == 30
    assert "authentication" in done.json["suites"][0]["sentence"]
    assert sum("bad" in question for question in provider.asked) <= 4  # it is not asked thirty times


def test_too_many_requests_slow_it_down_and_lose_nothing(project: Project, ps: Script, provider: Provider) -> None:
    provider.statuses, provider.limited = {"good": 429}, 12
    many(project, 40)
    done = ps("eval", "--json", "--no-cache")
    assert done.code == 0, done.err
    assert done.json["suites"][0]["totals"]["pass"] == 40
    assert len(provider.asked) == 40 + 12  # each answer that came was kept


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_exits_130_and_the_same_command_asks_only_the_rest(
    project: Project, ps: Script, provider: Provider, stop: signal.Signals
) -> None:
    provider.delay_s = 0.05
    many(project, 60)
    process = subprocess.Popen(
        [SCRIPTS / "ps", "eval", "--concurrency", "2"], env=ps.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(provider.asked) < 10 and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, stop)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted: " in out
    assert "met " not in out
    assert "once more stops now" in err
    assert "Traceback" not in err
    provider.delay_s = 0.0
    done = ps("eval", "--json", "--no-cache")
    assert done.json["suites"][0]["totals"]["pass"] == 60
    assert len(provider.asked) == len(set(provider.asked)) == 60  # what was under way ended, and was stored


def test_a_second_signal_stops_at_once_and_what_ended_is_still_stored(
    project: Project, ps: Script, provider: Provider
) -> None:
    many(project, 12)
    assert ps("eval", "--first", "3", "--no-cache").code == 0
    provider.delay_s = 20.0
    process = subprocess.Popen(
        [SCRIPTS / "ps", "eval", "--concurrency", "2", "--no-cache"], env=ps.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(provider.asked) < 5 and time.monotonic() < until:
        time.sleep(0.02)
    for line in iter(process.stderr.readline, ""):  # type: ignore[union-attr]
        if "12 cases" in line:
            process.send_signal(signal.SIGINT)
        if "once more" in line:
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=15)  # and not the 20 seconds of the calls
    assert process.returncode == 130, err
    assert "stopped; 3 cases that ended are stored" in err
    assert "Warning" not in err


def test_fresh_asks_everything_again_and_takes_nothing_from_the_cache(
    project: Project, ps: Script, provider: Provider
) -> None:
    many(project, 3)
    for more in ([], [], ["--fresh"]):
        assert ps("eval", *more).code == 0
    assert len(provider.asked) == 6


def test_a_model_of_the_command_line_is_part_of_what_repeats_a_case_and_of_what_is_scored(
    project: Project, ps: Script, provider: Provider
) -> None:
    project.write("evals/greet.yaml", SUITE)
    done = ps("eval", "-m", "loopback/other")
    assert done.code == 1
    [command] = [line.strip() for line in done.err.splitlines() if line.startswith("    ps eval")]
    assert command == """ps eval evals/greet.yaml --case 'bo'"'"'s case' -m loopback/other"""
    again = subprocess.run(["/bin/sh", "-c", command], env=ps.environment(), capture_output=True, check=False)
    assert again.returncode == 1
    assert len(provider.asked) == 3
    scored = ps("score", ps("runs", "list", "--json").json[1]["id"], "--json").json["suites"][0]
    assert (scored["totals"]["pass"], scored["totals"]["unscored"]) == (2, 0)


def test_check_looks_at_every_suite_though_one_is_wrong(project: Project, ps: Script) -> None:
    project.write("evals/a.yaml", "prompt: greet\ncases: []\n")
    project.write("evals/b.yaml", PASSING)
    for option in ("--check", "--plan"):
        done = ps("eval", option)
        assert done.code == 2
        assert "evals/b.yaml: 3 cases" in done.out
        assert "evals/a.yaml:2:8: cases: the list of cases is empty" in done.err


def test_a_killed_run_loses_nothing_that_was_stored(project: Project, ps: Script, provider: Provider) -> None:
    provider.delay_s = 0.05
    many(project, 40)
    process = subprocess.Popen(
        [SCRIPTS / "ps", "eval", "--concurrency", "2", "--no-cache"], env=ps.environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 60
    while len(provider.asked) < 12 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    provider.delay_s = 0.0
    before = len(provider.asked)
    done = ps("eval", "--json", "--no-cache")
    assert done.json["suites"][0]["totals"]["pass"] == 40
    assert len(provider.asked) - before <= 40 - (before - 4)


def test_a_recording_answers_without_the_provider(project: Project, ps: Script, provider: Provider) -> None:
    many(project, 3)
    assert ps("eval", "--record", "evals/cassettes").code == 0
    asked = len(provider.asked)
    provider.statuses = {"good": 500}
    replayed = ps("eval", "--replay", "evals/cassettes", "--json")
    assert replayed.code == 0, replayed.err
    assert replayed.json["suites"][0]["totals"]["pass"] == 3
    assert len(provider.asked) == asked
    many(project, 4)
    missing = ps("eval", "--replay", "evals/cassettes")
    assert missing.code == 2
    assert len(provider.asked) == asked


def test_a_whole_run_on_a_real_model_is_evidence_to_promote_on(
    project: Project, ps: Script, provider: Provider
) -> None:
    many(project, 3, "offline/echo")
    assert ps("eval").code == 0
    assert ps("promote", "greet", "production", "--require-evals").code == 1  # nobody promotes on an echo
    many(project, 3)
    assert ps("eval", "--first", "1").code == 0
    assert ps("promote", "greet", "production", "--require-evals").code == 1  # nor on a part of the cases
    assert ps("eval").code == 0
    promoted = ps("promote", "greet", "production", "--require-evals")
    assert promoted.code == 0, promoted.err
    [evidence] = ps("evidence", "list", "greet", "--json").json
    assert (evidence["suite"], evidence["passed"], evidence["gate"]) == ("many", 3, "met")
