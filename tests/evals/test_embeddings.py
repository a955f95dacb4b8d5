"""`similar` with an embedding model: in suites, over a real HTTP server, with cost, cache, cassettes and failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from promptstudio.cache.choose import WireChoice
from promptstudio.errors import SuiteFileError
from promptstudio.evals.assertions import Origin, Setting, parse_assertions, score_assertion
from promptstudio.evals.embedder import RunEmbedder
from promptstudio.evals.evaluate import EvalOptions, Finished, evaluate, prepare
from promptstudio.evals.forecast import forecast
from promptstudio.evals.limits import Accounts
from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Answer, Case
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite
from promptstudio.providers.call import ProviderWires, close_connections
from tests.providers.embedding_server import KEY, EmbeddingServer

if TYPE_CHECKING:
    from tests.conftest import Project

MODEL = "openai/text-embedding-3-small"
ENV = {"OPENAI_KEY": KEY}
SUITE = """\
prompt: say
cases:
  - {id: car, inputs: {text: an automobile}}
  - {id: سيارة, inputs: {text: سيارة}}
  - {id: cat, inputs: {text: a kitten}}
assert:
  - {type: similar, value: a car, model: openai/text-embedding-3-small}
"""


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    yield
    await close_connections()


@pytest.fixture
def suite(project: Project, server: EmbeddingServer) -> Project:
    project.write("prompts/say.yaml", 'model: offline/echo\nprompt: "{{ text }}"\n')
    settings = (project.root / "promptstudio.toml").read_text()
    settings += f'\n[providers.openai]\napi_base = "{server.url}"\napi_key_env = "OPENAI_KEY"\n'
    project.write("promptstudio.toml", settings)
    project.write("evals/say.yaml", SUITE)
    return project


async def run(project: Project, env: dict[str, str] | None = None, **options: Any) -> Finished:
    settings = project.settings()
    loaded = load_suite(project.root / "evals/say.yaml", settings)
    return await evaluate(loaded, settings, ENV if env is None else env, EvalOptions(**options))


def results(project: Project) -> dict[str, CaseResult]:
    with EvalStore(store_path(project.settings())) as store:
        return {one.case.id: one for one in store.results(store.run("last"))}


async def test_a_meaning_passes_in_another_language_and_is_paid_for(suite: Project, server: EmbeddingServer) -> None:
    finished = await run(suite, wires=WireChoice())
    ended = results(suite)
    assert {name: one.outcome for name, one in ended.items()} == {"car": "pass", "سيارة": "pass", "cat": "fail"}
    [score] = ended["cat"].scores
    assert score.reason == (
        "expected a similarity (openai/text-embedding-3-small) of at least 0.75 with 'a car', found 0 for 'a kitten'"
    )
    assert score.details == {"embedder": MODEL}
    assert sorted(server.texts) == ["a car", "a kitten", "an automobile", "سيارة"]  # the reference once
    assert finished.totals.cost_usd == Decimal("14E-8")  # 7 words at $0.02 for a million
    assert finished.exit_code == 1


async def test_stored_scores_are_not_embedded_again_and_another_model_is_another_score(
    suite: Project, server: EmbeddingServer
) -> None:
    await run(suite, wires=WireChoice())
    asked = len(server.texts)
    again = await run(suite, wires=WireChoice())
    assert (len(server.texts), again.totals.cost_usd) == (asked, 0)
    suite.write("evals/say.yaml", SUITE.replace("3-small", "3-large"))
    await run(suite, wires=WireChoice())
    assert {body["model"] for body in server.bodies[-1:]} == {"text-embedding-3-large"}


async def test_the_model_of_the_settings_embeds_for_assertions_that_name_none(
    suite: Project, server: EmbeddingServer
) -> None:
    suite.write("evals/say.yaml", SUITE.replace(", model: openai/text-embedding-3-small", ""))
    await run(suite)
    assert server.bodies == []
    assert results(suite)["cat"].scores[0].details == {"embedder": "offline/ngrams-v1"}
    suite.write("promptstudio.toml", (suite.root / "promptstudio.toml").read_text() + f'[eval]\nembedder = "{MODEL}"\n')
    await run(suite)
    assert len(server.texts) == 4
    assert results(suite)["car"].outcome == "pass"


async def test_a_wrong_key_is_an_error_and_the_providers_and_nobody_is_asked_twice(
    suite: Project, server: EmbeddingServer
) -> None:
    for env in ({"OPENAI_KEY": "wrong-key-0000000000"}, {}):
        finished = await run(suite, env, wires=WireChoice())
        assert finished.totals.counts["error"] == 3
        assert finished.exit_code == 3
        assert "authentication" in finished.sentence
    assert server.bodies == []
    mended = await run(suite, wires=WireChoice())  # the answers are there, and are judged now
    assert (mended.totals.counts["pass"], mended.totals.counts["error"]) == (2, 0)


async def test_too_many_requests_are_waited_for_and_no_case_is_lost(suite: Project, server: EmbeddingServer) -> None:
    server.script = [(429, {"retry-after": "0.01"})] * 5
    finished = await run(suite, wires=WireChoice())
    assert (finished.totals.counts["pass"], finished.totals.counts["fail"]) == (2, 1)


async def test_a_recorded_suite_replays_without_key_and_a_new_text_is_an_error_of_the_file(
    suite: Project, server: EmbeddingServer
) -> None:
    tapes = suite.root / "tapes"
    await run(suite, wires=WireChoice(record=tapes))
    asked = len(server.texts)
    replayed = await run(suite, {}, wires=WireChoice(replay=tapes))
    assert (replayed.totals.counts["pass"], replayed.totals.counts["fail"]) == (2, 1)
    assert (len(server.texts), replayed.totals.cost_usd) == (asked, 0)
    suite.write("evals/say.yaml", SUITE.replace("a car,", "a new car,"))
    missed = await run(suite, {}, wires=WireChoice(replay=tapes))
    assert (missed.exit_code, missed.totals.counts["error"]) == (2, 3)
    assert "was never recorded; the nearest is" in missed.sentence


async def test_a_check_names_the_models_and_refuses_one_that_cannot_embed(suite: Project) -> None:
    settings = suite.settings()
    loaded = load_suite(suite.root / "evals/say.yaml", settings)
    plan, found = prepare(loaded, settings, EvalOptions(), None)
    assert dict(found.comparisons) == {MODEL: 3}
    rows = {row.model: row for row in await forecast(plan, settings, {}, EvalOptions())}
    assert (rows[MODEL].calls, rows[MODEL].embeds, rows[MODEL].cost_usd) == (3, True, None)  # answers of any length
    suite.write("evals/say.yaml", SUITE.replace("openai/text-embedding-3-small", "anthropic/claude-haiku-4-5"))
    with pytest.raises(SuiteFileError) as refused:
        prepare(load_suite(suite.root / "evals/say.yaml", settings), settings, EvalOptions(), None)
    [problem] = refused.value.problems
    assert (problem.line, "does not embed" in problem.message) == (7, True)


async def test_a_plan_knows_the_cost_where_an_answer_has_a_limit(suite: Project) -> None:
    suite.write("prompts/say.yaml", 'model: offline/echo\nparameters: {max_tokens: 100}\nprompt: "{{ text }}"\n')
    settings = suite.settings()
    plan, _ = prepare(load_suite(suite.root / "evals/say.yaml", settings), settings, EvalOptions(), None)
    [row] = [row for row in await forecast(plan, settings, {}, EvalOptions()) if row.embeds]
    assert row.input_tokens == 3 * (100 + 2)
    assert row.cost_usd == row.input_tokens * Decimal("2E-8")


def test_the_commands_say_what_will_be_embedded(suite: Project, ps: Any) -> None:
    checked = ps("eval", "--check")
    assert f"embeddings: 3 comparisons by {MODEL}, at most 3 calls" in checked.out
    planned = ps("eval", "--plan", "--json")
    assert planned.json[0]["embeddings"] == {MODEL: 3}
    assert [row["calls"] for row in planned.json[0]["targets"] if row["embeds"]] == [3]


@pytest.mark.parametrize(
    ("item", "text", "outcome", "score"),
    [
        ({"similar": "a car"}, "an automobile", "pass", 1.0),
        ({"similar": ["rain", "a car"]}, "an automobile", "pass", 1.0),
        ({"similar:dot": "car car"}, "a car", "pass", 1.0),  # 2: above what a score may be
        ({"type": "similar:dot", "value": "car car", "threshold": 2.5}, "a car", "fail", 1.0),
        ({"similar:euclidean": "a car"}, "an automobile", "pass", 1.0),
        ({"similar:euclidean": "car car"}, "a car", "fail", 0.5),
        ({"type": "similar:euclidean", "value": "car car", "threshold": 1}, "a car", "pass", 0.5),
        ({"not-similar:euclidean": "car car"}, "a car", "pass", 0.5),
        ({"not-similar": "a car"}, "a kitten", "pass", 1.0),
        ({"similar": "a car"}, "", "unscored", None),
        ({"not-similar": "a car"}, "  ", "unscored", None),
    ],
)
async def test_each_measure_means_what_its_name_says(
    suite: Project, item: dict[str, Any], text: str, outcome: str, score: float | None
) -> None:
    setting = Setting(embedder=RunEmbedder(suite.settings(), ENV, ProviderWires(), Accounts(), MODEL))
    [assertion] = parse_assertions([item], Origin())
    found = await score_assertion(assertion, Answer(text), Case("x"), setting)
    assert (found.outcome, found.score) == (outcome, score)


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ({"type": "similar", "value": "a", "model": 3}, "expected the name of an embedding model"),
        (
            {"type": "similar", "value": "a", "model": "x/y", "options": {"model": "x/z"}},
            "name the embedding model twice",
        ),
        ({"type": "similar", "value": "a", "provider": "openai:embedding:x"}, "unknown key 'provider'"),
        ({"type": "contains", "value": "a", "model": "x/y"}, "it does not embed"),
        ({"type": "similar", "value": "a", "options": {"dimensions": 0}}, "whole number from 1"),
        ({"type": "similar", "value": "a", "options": {"dimension": 2}}, "unknown key"),
        ({"type": "similar", "value": "a", "threshold": 1.1}, "between 0 and 1"),
    ],
)
def test_what_is_wrong_with_an_embedding_model_is_told_before_a_call(item: dict[str, Any], fault: str) -> None:
    with pytest.raises(SuiteFileError) as refused:
        parse_assertions([item], Origin())
    assert any(fault in problem.message for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai:embedding:text-embedding-3-large", "openai/text-embedding-3-large"),
        ("ollama:embeddings:nomic-embed-text:latest", "ollama/nomic-embed-text:latest"),
        ("google:embedding:gemini-embedding-001", "gemini/gemini-embedding-001"),
        ("voyage:voyage-3", "voyage/voyage-3"),
        ({"id": "azure:embedding:mine", "config": {"apiHost": "x"}}, "azure/mine"),
        ({"embedding": {"id": "openai:embedding:e"}}, "openai/e"),
        ({"embedding": "openai/e"}, "openai/e"),
        ("huggingface:sentence-similarity:x/y", None),
        ("file://embed.js", None),
        (3, None),
    ],
)
def test_promptfoos_name_of_an_embedding_model_is_understood(provider: Any, model: str | None) -> None:
    item = {"type": "similar", "value": "a", "provider": provider}
    if model is None:
        with pytest.raises(SuiteFileError, match="promptfoo's name of an embedding model"):
            parse_assertions([item], Origin(compat="promptfoo"))
    else:
        [parsed] = parse_assertions([item], Origin(compat="promptfoo"))
        assert parsed.options == {"model": model}


async def test_texts_are_embedded_once_however_many_ask_and_are_asked_for_again_after_a_failure(
    suite: Project, server: EmbeddingServer
) -> None:
    import asyncio

    embedder = RunEmbedder(suite.settings(), ENV, ProviderWires(), Accounts(), MODEL)
    server.script = [(400, {})]
    pairs = [("a car", "a cat"), ("a cat",), ("a car", "a cat"), ("rain",)] * 5
    found = await asyncio.gather(*(embedder.embed(pair) for pair in pairs), return_exceptions=True)
    assert sum(isinstance(one, Exception) for one in found) == 1
    assert max(map(server.texts.count, ("a car", "a cat", "rain"))) <= 2
    good = [one for one in found if not isinstance(one, BaseException)]
    assert sum(one.cost_usd is not None and one.cost_usd > 0 for one in good) == len(server.bodies) - 1


def test_an_assertion_in_a_python_test_asks_the_model_of_the_settings(
    suite: Project, server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptstudio.testing import assert_answer

    monkeypatch.setenv("OPENAI_KEY", KEY)
    assert_answer("an automobile", [{"type": "similar", "value": "a car", "model": MODEL}])
    assert sorted(server.texts) == ["a car", "an automobile"]


def test_the_default_of_the_settings_is_the_offline_model(project: Project) -> None:
    from promptstudio.providers.ngrams import OFFLINE_EMBEDDING

    assert project.settings().eval["embedder"] == OFFLINE_EMBEDDING
