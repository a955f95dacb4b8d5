"""`ps run` in a process of its own against providers on loopback: answers, refusals, broken streams, exit codes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from llmock.chaos import StreamChaos
from llmock.scenarios import Behavior, Fail, Reply, StreamFault
from llmock.testing import LLMockServer
from llmock.verdict import judge

from tests.conftest import REPOSITORY, SCRIPTS, Outcome, Project, Script

KEY = "key-abcdef-0123456789"
ENV = {"TEST_KEY": KEY}
BASES = {"openai": "/v1", "anthropic": "/anthropic", "local": "/v1"}


@pytest.fixture(scope="module")
def server() -> Iterator[LLMockServer]:
    with LLMockServer() as running:
        running.state.stream_chaos = StreamChaos(chunk_delay_ms=100)
        yield running


@pytest.fixture
def provider(server: LLMockServer, project: Project) -> LLMockServer:
    """A fresh provider, and a project whose connections lead to it."""
    server.state.reset()
    lines = [
        f'[providers.{name}]\napi_base = "{server.url}{path}"\napi_key_env = "TEST_KEY"' for name, path in BASES.items()
    ]
    settings = project.root / "promptstudio.toml"
    settings.write_text(settings.read_text() + "\n" + "\n".join(lines) + "\n")
    return server


def run(ps: Script, *more: str, model: str = "local/m", env: dict[str, str] | None = None) -> Outcome:
    return ps("run", "greet", "-v", "name=Ada", "-m", model, *more, env=ENV if env is None else env)


def verdict(provider: LLMockServer) -> str:
    found = judge(provider.state.journal.records())
    return "" if not found.findings else found.render()


def test_a_real_wire_answers_and_the_key_is_nowhere(project: Project, ps: Script, provider: LLMockServer) -> None:
    provider.state.scenarios.add(Reply(text="مرحبًا آدا"))
    done = run(ps, "--json")
    assert done.code == 0
    assert done.json["text"] == "مرحبًا آدا"
    assert done.json["attempts"][0]["error_kind"] is None
    written = b"".join(path.read_bytes() for path in project.root.rglob("*") if path.is_file())
    assert KEY.encode() not in written
    assert KEY not in done.out + done.err


REFUSALS: dict[str, tuple[Behavior, str, str]] = {
    "a wrong key": (Fail(401, times=None), "authentication", "check the key in TEST_KEY"),
    "an unknown model": (Fail(404, message="The model `m` does not exist", times=None), "model_not_found", "ps models"),
    "too many tokens": (
        Fail(400, message="This model's maximum context length is 8 tokens", times=None),
        "context_window",
        "shorten the inputs",
    ),
    "an empty account": (Fail(429, message="You exceeded your current quota", times=None), "quota", "billing"),
    "a server in trouble": (Fail(503, times=None), "server", "fallbacks"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_exit_3_with_its_kind_and_what_to_do(
    project: Project, ps: Script, provider: LLMockServer, name: str
) -> None:
    behavior, kind, hint = REFUSALS[name]
    provider.state.scenarios.add(behavior)
    done = run(ps, "--json")
    assert done.code == 3
    assert done.json["status"] == "failed"
    assert done.json["error"]["kind"] == kind
    assert hint in done.json["error"]["hint"]
    assert verdict(provider) == "" or kind == "quota"  # a judge cannot see that this 429 will not pass
    assert kind in ps("history", "show", "last", "--json").out


@pytest.mark.parametrize("kind", ["truncate", "disconnect", "malformed"])
@pytest.mark.parametrize("model", ["openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5"])
def test_a_stream_into_a_pipe_that_breaks_goes_on_where_it_stopped(
    project: Project, ps: Script, provider: LLMockServer, model: str, kind: str
) -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"
    provider.state.scenarios.add(Reply(text=text, times=2), StreamFault(kind, after_chunks=4))
    done = run(ps, "--stream", model=model)
    assert done == (0, text + "\n", "")
    assert verdict(provider) == ""


def test_a_second_answer_that_differs_is_an_error_and_not_a_mixture(
    project: Project, ps: Script, provider: LLMockServer
) -> None:
    provider.state.scenarios.add(
        Reply(text="alpha beta gamma delta epsilon zeta"),
        StreamFault("truncate", after_chunks=4),
        Reply(text="omega psi chi phi upsilon tau"),
    )
    done = run(ps, "--stream")
    assert done.code == 3
    assert "omega" not in done.out
    assert "ps history show" in done.err
    assert "omega psi chi" in ps("history", "show", "last").out


def test_a_stream_that_never_ends_well_is_exit_3_and_never_a_short_answer(
    project: Project, ps: Script, provider: LLMockServer
) -> None:
    provider.state.scenarios.add(StreamFault("truncate", after_chunks=2, times=None))
    done = run(ps, "--stream", "--json")
    whole = run(ps, "--stream")
    assert whole.code == 3
    assert "finish reason" in whole.err
    assert done.code in (0, 3)


def test_only_the_configured_host_is_contacted_and_only_our_places_are_written(
    project: Project, ps: Script, provider: LLMockServer, isolated: Path
) -> None:
    commands = [
        ("list",),
        ("show", "greet", "--render", "-v", "name=A"),
        ("lint",),
        ("schema", "prompt"),
        ("models", "gpt-4.1"),
        ("doctor",),
        ("history",),
        ("history", "search", "Ada"),
        ("init", "sub"),
        ("completion", "bash"),
    ]
    assert run(ps).code == 0
    assert run(ps, "--stream", model="anthropic/claude-haiku-4-5").code == 0
    for command in commands:
        done = ps(*command, env=ENV)
        assert done.code in (0, 1), (command, done.err)
    assert ps.denied == []
    ours = (project.root, isolated / ".cache/promptstudio", Path("/dev"), REPOSITORY, SCRIPTS.parent)
    outside = [path for path in ps.written if not path.is_relative_to(Path("/proc")) and not _below(path, ours)]
    assert outside == []


def _below(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def test_sixteen_runs_at_once_leave_sixteen_rows(project: Project, ps: Script, provider: LLMockServer) -> None:
    command = [SCRIPTS / "ps", "run", "greet", "-v", "name=Ada"]
    started = [
        subprocess.Popen(
            command, cwd=project.root, env=ps.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(16)
    ]
    ends = [(*process.communicate(timeout=120), process.returncode) for process in started]
    assert [end for end in ends if end != (b"Say hello to Ada in a warm way.\n", b"", 0)] == []
    rows = ps("history", "list", "--limit", "50", "--json").json
    assert [row["status"] for row in rows] == ["completed"] * 16
