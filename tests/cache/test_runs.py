"""Whole runs through the cache and through cassettes, against a provider on loopback that counts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from llmock.scenarios import Fail, Reply, StreamFault, ToolFault
from llmock.testing import LLMockServer

from promptstudio.cache.choose import WireChoice, choose_wires, open_wires
from promptstudio.config import Settings
from promptstudio.errors import ConfigError, NotFoundError, UsageError
from promptstudio.history import open_history
from promptstudio.output.result_json import result_object
from promptstudio.prompts.load import load_prompt
from promptstudio.providers.call import close_connections
from promptstudio.providers.schema import Event, TextDelta
from promptstudio.runner import Runner, RunOptions
from promptstudio.types import Result
from tests.conftest import Project

ENV = {"TEST_KEY": "key-0123456789-abcdef"}
VALUES: dict[str, dict[str, Any]] = {
    "greet": {"name": "Ada"},
    "support/triage": {"ticket": "I was charged twice"},
    "shop": {"order": "A7"},
}
SHOP = """\
model: local/m
inputs: {order: string}
tools: [lookup_order]
prompt: Where is order {{ order }}?
"""
TOOL = '''def lookup_order(order: str) -> str:
    """Find an order."""
    return order
'''


@pytest.fixture(scope="module")
def server() -> Iterator[LLMockServer]:
    with LLMockServer() as running:
        yield running


@pytest.fixture
def provider(server: LLMockServer, project: Project) -> LLMockServer:
    server.state.reset()
    lines = f'[providers.local]\napi_base = "{server.url}/v1"\napi_key_env = "TEST_KEY"\n'
    lines += '[tools]\nlookup_order = "shop_tools:lookup_order"\n'
    project.write("promptstudio.toml", (project.root / "promptstudio.toml").read_text() + lines)
    project.write("prompts/shop.yaml", SHOP)
    project.write("shop_tools.py", TOOL)
    return server


@pytest_asyncio.fixture(autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    yield
    await close_connections()


def calls(provider: LLMockServer) -> int:
    return len(provider.state.journal.records())


@contextmanager
def runner_of(settings: Settings, choice: WireChoice, env: dict[str, str] | None = None) -> Iterator[Runner]:
    env = ENV if env is None else env
    with open_wires(choice, settings, env, lambda _note: None) as wires:
        yield Runner(settings, env, None, wires)


async def run(
    project: Project, choice: WireChoice, name: str = "greet", *, streamed: bool = False, env: Any = None, **more: Any
) -> tuple[Result, list[str]]:
    """Run a prompt on the provider; return the result and the pieces of text that streamed."""
    settings = project.settings()
    pieces: list[str] = []

    def emit(event: Event) -> None:
        if isinstance(event, TextDelta):
            pieces.append(event.text)

    with runner_of(settings, choice, env) as runner:
        options = RunOptions(model=more.pop("model", "local/m"), **more)
        outcome = await runner.run(load_prompt(name, settings), VALUES[name], options, emit if streamed else None)
    if outcome.error is not None:
        raise outcome.error
    return outcome.result, pieces


def comparable(result: Result) -> dict[str, Any]:
    """What of a result must be the same to the letter however it was come by."""
    found = result_object(result)
    for name in ("id", "cost_usd", "duration_ms", "first_token_ms", "cached", "saved", "attempts"):
        found.pop(name)
    return found


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kind", ["cassettes", "cache"])
async def test_what_comes_back_is_what_the_provider_said_to_the_letter(
    project: Project, provider: LLMockServer, name: str, streamed: bool, kind: str
) -> None:
    tapes = project.root / "tapes"
    first_choice = WireChoice(record=tapes) if kind == "cassettes" else WireChoice(cache=True)
    again_choice = WireChoice(replay=tapes) if kind == "cassettes" else WireChoice(cache=True)
    first, pieces = await run(project, first_choice, name, streamed=streamed)
    asked = calls(provider)
    again, pieces_again = await run(project, again_choice, name, streamed=streamed)
    assert calls(provider) == asked == len(first.attempts) == 1
    assert comparable(again) == comparable(first)
    assert (first.cached, first.saved, again.cached) == (False, None, True)
    assert again.cost_usd == Decimal(0)
    assert again.saved is not None
    assert again.saved.cost_usd == first.cost_usd
    if kind == "cassettes":
        assert pieces_again == pieces
    else:
        assert "".join(pieces_again) == "".join(pieces)


async def test_a_replay_needs_no_key_no_header_and_no_provider(project: Project, provider: LLMockServer) -> None:
    with (project.root / "promptstudio.toml").open("a") as file:
        file.write('[providers.local.headers]\nx-org = {env = "ORG"}\n')
    tapes = project.root / "tapes"
    await run(project, WireChoice(record=tapes), env={**ENV, "ORG": "acme-secret"})
    asked = calls(provider)
    result, _ = await run(project, WireChoice(replay=tapes), env={})
    assert result.cached
    assert calls(provider) == asked
    written = b"".join(path.read_bytes() for path in tapes.iterdir())
    assert b"acme" not in written
    assert ENV["TEST_KEY"].encode() not in written
    assert provider.url.encode() not in written


async def test_a_transport_error_that_passes_is_neither_cached_nor_recorded(
    project: Project, provider: LLMockServer
) -> None:
    tapes = project.root / "tapes"
    provider.state.scenarios.add(Fail(503, times=1))
    first, _ = await run(project, WireChoice(record=tapes))
    assert [attempt.error_kind for attempt in first.attempts] == ["server", None]
    again, _ = await run(project, WireChoice(replay=tapes))
    assert [attempt.error_kind for attempt in again.attempts] == [None]
    assert again.text == first.text


async def test_a_broken_stream_is_not_cached(project: Project, provider: LLMockServer) -> None:
    provider.state.scenarios.add(StreamFault("disconnect", after_chunks=1))
    first, _ = await run(project, WireChoice(cache=True), streamed=True)
    assert len(first.attempts) == 2
    again, _ = await run(project, WireChoice(cache=True), streamed=True)
    assert (again.cached, again.text, calls(provider)) == (True, first.text, 2)


async def test_a_typed_answer_that_did_not_validate_is_asked_for_again_and_the_reask_too(
    project: Project, provider: LLMockServer
) -> None:
    provider.state.scenarios.add(ToolFault("malformed_arguments"))
    first, _ = await run(project, WireChoice(cache=True), "support/triage")
    assert [attempt.reason for attempt in first.attempts] == ["call", "reask"]
    provider.state.reset()
    again, _ = await run(project, WireChoice(cache=True), "support/triage")
    assert (again.cached, len(again.attempts), calls(provider)) == (False, 1, 1)


async def test_an_answer_that_reads_well_and_does_not_fit_the_schema_is_asked_for_again(
    project: Project, provider: LLMockServer
) -> None:
    path = project.root / "prompts/support/triage.yaml"
    path.write_text(path.read_text().replace("  name: Triage\n", "  name: Triage\n  mode: json\n"))
    good = json.dumps({"category": "bug", "urgency": 2})
    provider.state.scenarios.add(Reply(text=json.dumps({"category": "weather", "urgency": 2}), times=1))
    provider.state.scenarios.add(Reply(text=good, times=None))
    first, _ = await run(project, WireChoice(cache=True), "support/triage")
    assert [attempt.error_kind for attempt in first.attempts] == ["output_validation", None]
    again, _ = await run(project, WireChoice(cache=True), "support/triage")
    assert (again.cached, len(again.attempts)) == (False, 1)
    third, _ = await run(project, WireChoice(cache=True), "support/triage")
    assert (third.cached, comparable(third)) == (True, comparable(again))


async def test_reasks_are_recorded_and_replayed_one_after_the_other(project: Project, provider: LLMockServer) -> None:
    tapes = project.root / "tapes"
    provider.state.scenarios.add(ToolFault("malformed_arguments"))
    first, _ = await run(project, WireChoice(record=tapes), "support/triage")
    again, _ = await run(project, WireChoice(replay=tapes), "support/triage")
    assert comparable(again) == comparable(first)
    assert [attempt.error_kind for attempt in again.attempts] == ["output_validation", None]


async def test_a_replay_that_finds_nothing_is_a_users_error_and_no_fallback_hides_it(
    project: Project, provider: LLMockServer
) -> None:
    project.write(
        "prompts/greet.yaml", (project.root / "prompts/greet.yaml").read_text() + "fallbacks: [offline/echo]\n"
    )
    tapes = project.root / "tapes"
    await run(project, WireChoice(record=tapes), "shop")
    with pytest.raises(NotFoundError, match="a request was never recorded; the nearest is shop-"):
        await run(project, WireChoice(replay=tapes))


async def test_repeats_of_a_suite_are_told_apart(project: Project, provider: LLMockServer) -> None:
    provider.state.scenarios.add(Reply(text="one", times=1))
    provider.state.scenarios.add(Reply(text="two", times=1))
    texts = [(await run(project, WireChoice(cache=True), repeat=number))[0].text for number in (0, 1, 0, 1)]
    assert texts[:2] == texts[2:]
    assert len(set(texts)) == 2
    assert calls(provider) == 2


async def test_a_verdict_is_asked_for_each_time(project: Project, provider: LLMockServer) -> None:
    for _ in range(2):
        await run(project, WireChoice(cache=True), is_verdict=True)
    assert calls(provider) == 2


async def test_the_history_says_that_a_run_was_cached(project: Project, provider: LLMockServer) -> None:
    settings = project.settings()
    choice = WireChoice(cache=True)
    with open_wires(choice, settings, ENV, lambda _note: None) as wires, open_history(settings) as history:
        runner = Runner(settings, ENV, history, wires)
        for _ in range(2):
            await runner.run(load_prompt("greet", settings), VALUES["greet"], RunOptions(model="local/m"))
        assert [row.cached for row in history.rows()] == [True, False]


class TestChoosing:
    """Which wires flags and settings lead to."""

    def settings(self, project: Project, text: str = "", env: dict[str, str] | None = None) -> Settings:
        project.write("promptstudio.toml", text)
        return project.settings(env=env)

    def test_the_cache_is_off_for_a_run_and_on_for_an_evaluation(self, project: Project) -> None:
        settings = self.settings(project)
        assert not choose_wires(settings, "run").cache
        assert choose_wires(settings, "eval").cache
        assert choose_wires(settings, "run", cache=True).cache
        assert not choose_wires(settings, "eval", cache=False).cache

    @pytest.mark.parametrize("enabled", [True, False])
    def test_a_setting_turns_it_on_or_off_for_both(self, project: Project, enabled: bool) -> None:
        settings = self.settings(project, f"[cache]\nenabled = {str(enabled).lower()}\n")
        assert choose_wires(settings, "run").cache == choose_wires(settings, "eval").cache == enabled

    def test_a_folder_in_the_settings_is_one_of_the_project(self, project: Project, tmp_path: Path) -> None:
        settings = self.settings(project, '[eval]\nreplay = "evals/tapes"\n[run]\nrecord = "tapes"\n')
        assert choose_wires(settings, "eval") == WireChoice(replay=project.root / "evals/tapes")
        assert choose_wires(settings, "run") == WireChoice(record=project.root / "tapes")
        assert choose_wires(settings, "eval", record=tmp_path) == WireChoice(record=tmp_path)
        variable = self.settings(project, env={"PROMPTSTUDIO_EVAL_REPLAY": "tapes"})
        assert choose_wires(variable, "eval") == WireChoice(replay=project.root / "tapes")

    @pytest.mark.parametrize("folder", ["../elsewhere", "/etc"])
    def test_a_folder_outside_the_project_is_refused_in_the_settings(self, project: Project, folder: str) -> None:
        settings = self.settings(project, f'[run]\nrecord = "{folder}"\n')
        with pytest.raises(ConfigError, match="leaves the project folder"):
            choose_wires(settings, "run")

    def test_what_excludes_each_other_is_an_error(self, project: Project, tmp_path: Path) -> None:
        settings = self.settings(project)
        with pytest.raises(UsageError, match="exclude each other"):
            choose_wires(settings, "run", record=tmp_path, replay=tmp_path)
        with pytest.raises(UsageError, match="--cache does not go with a replay"):
            choose_wires(settings, "run", cache=True, replay=tmp_path)
        both = self.settings(project, '[run]\nrecord = "a"\nreplay = "b"\n')
        with pytest.raises(ConfigError, match="are both set"):
            choose_wires(both, "run")

    @pytest.mark.parametrize(
        ("line", "fact"),
        [
            ('ttl = "30"', "expected an age"),
            ("ttl = 30", "expected an age"),
            ('ttl = "0d"', "expected an age"),
            ("max_size_mb = 0", "expected 1 or more"),
            ('enabled = "yes"', "expected true or false"),
            ("tll = 1", "unknown key 'tll'"),
        ],
    )
    def test_a_wrong_setting_of_the_cache_is_named(self, project: Project, line: str, fact: str) -> None:
        with pytest.raises(ConfigError, match=fact) as caught:
            self.settings(project, f"[cache]\n{line}\n")
        assert caught.value.problems[0].line == 2

    def test_an_answer_may_be_good_for_ever(self, project: Project) -> None:
        assert self.settings(project, '[cache]\nttl = "never"\n').cache["ttl"] == "never"
