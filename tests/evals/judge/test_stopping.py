"""A run that stops while judges are at work: nobody new is judged, what was begun ends, and no answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from promptstudio.evals.runner import Limits
from promptstudio.history import open_history

if TYPE_CHECKING:
    import pytest
    from conftest import Judged
    from judge_server import Question, Said

Make = Callable[[Callable[["Question"], "Said"]], "Judged"]
CASES = ", ".join(f"{{id: c{number}, inputs: {{name: N{number}}}}}" for number in range(100))
SUITE = "prompt: greet\njudge: {model}\ncases: [{cases}]\nassert:\n  - llm-rubric: is kind\n  - closed-qa: greets\n"
GOOD = {"reason": "it is so", "pass": True, "score": 1, "meets": True}


def say(question: Question) -> Said:
    known = question.body["tools"][0]["function"]["parameters"]["properties"]
    return {name: value for name, value in GOOD.items() if name in known}


async def test_where_a_limit_stops_the_run_judges_are_asked_no_more_and_answers_are_kept(
    judged: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = judged(say)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    settings = line.project.root / "promptstudio.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + line.server.settings("openai"), encoding="utf-8")
    suite = SUITE.format(model="openai/gpt-4.1", cases=CASES)

    stopped = await line.run(suite, fresh=True, concurrency=4, limits=Limits(max_cost_usd=Decimal("0.0001")))

    assert stopped.sentence.startswith("stopped before the end: --max-cost $0.0001 is reached")
    ended = stopped.totals.counts["pass"]
    assert 1 <= ended < 30
    assert len(line.asked) == 2 * ended  # a case that was begun was judged to its end, and no other was begun
    answered = open_history(line.project.settings()).count() - 2 * ended
    assert ended <= answered < 30
    unjudged = [one for one in line.results() if one.outcome == "unscored"]
    assert [one.reason for one in unjudged] == ["stopped before it was judged"] * (answered - ended)
    assert (await line.run(suite)).totals.counts["pass"] == 100
    assert open_history(line.project.settings()).count() == 300  # each question was asked once in all


async def test_a_judge_without_a_price_does_not_spend_past_a_limit_that_cannot_be_kept(judged: Make) -> None:
    line = judged(say)

    stopped = await line.run(
        SUITE.format(model="judge/unpriced", cases=CASES), concurrency=2, limits=Limits(max_cost_usd=Decimal(1))
    )

    assert "--max-cost $1 cannot be kept: no price is known for judge/unpriced" in stopped.sentence
    assert len(line.asked) < 40


async def test_one_judge_for_all_cases_that_is_stopped_before_its_first_answer_is_asked_by_the_next_run(
    judged: Make,
) -> None:
    line = judged(say)
    from promptstudio.evals.evaluate import EvalOptions, Watcher, evaluate
    from promptstudio.evals.suite import load_suite

    path = line.project.write("evals/judged.yaml", SUITE.format(model="judge/any", cases=CASES))
    project = line.project.settings()
    watcher = Watcher(started=lambda started: asyncio.get_running_loop().call_soon(started.interrupt))
    stopped = await evaluate(load_suite(path, project), project, {}, EvalOptions(), watcher)
    assert stopped.exit_code == 130
    assert (await evaluate(load_suite(path, project), project, {}, EvalOptions())).totals.counts["pass"] == 100
    assert len(line.asked) == 200
