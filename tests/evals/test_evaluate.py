"""`evaluate`: from a suite to an exit code, stored as it goes, and never green by accident."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from promptstudio.errors import Interrupted, NothingSelected, PromptStudioError, SuiteFileError
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.evaluate import EvalOptions, Finished, Watcher, evaluate, prepare
from promptstudio.evals.records import CaseResult
from promptstudio.evals.runner import Limits
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite
from promptstudio.evals.totals import Totals
from promptstudio.history import open_history

if TYPE_CHECKING:
    from tests.conftest import Project

SUITE = """\
prompt: greet
cases:
  - {id: ada, inputs: {name: Ada}, tags: [short]}
  - {id: bo, inputs: {name: Bo}, assert: [{contains: Bo}]}
  - {id: عمر, inputs: {name: عمر}}
assert:
  - {contains: Say hello}
"""


def written(project: Project, text: str = SUITE, name: str = "evals/greet.yaml") -> None:
    project.write(name, text)


async def run(project: Project, **options: Any) -> Finished:
    settings = project.settings()
    suite = load_suite(project.root / "evals/greet.yaml", settings)
    watcher = options.pop("watcher", Watcher())
    return await evaluate(suite, settings, {}, EvalOptions(**options), watcher)


def results(project: Project, name: str = "last") -> list[CaseResult]:
    with EvalStore(store_path(project.settings())) as store:
        return list(store.results(store.run(name)))


async def test_a_suite_that_passes_exits_0_and_every_case_is_stored(project: Project) -> None:
    written(project)
    finished = await run(project)
    assert (finished.exit_code, finished.sentence) == (0, "the gate is met: 3 pass")
    stored = {one.case.id: one for one in results(project)}
    assert set(stored) == {"ada", "bo", "عمر"}
    assert stored["bo"].answer is not None
    assert stored["bo"].answer.text == "Say hello to Bo in a warm way."
    assert [score.name for score in stored["bo"].scores] == ["contains", "contains"]
    assert stored["عمر"].case.line == 5


async def test_a_case_that_fails_misses_the_gate(project: Project) -> None:
    written(project, SUITE.replace("contains: Bo", "contains: Zoe"))
    finished = await run(project)
    assert finished.exit_code == 1
    assert finished.sentence == "the gate is missed: pass_rate 66.7%, wanted at least 100.0%"
    [failed] = [one for one in results(project) if one.outcome == "fail"]
    assert failed.case.id == "bo"
    assert "Zoe" in failed.reason


async def test_the_same_command_again_asks_nothing_and_says_the_same(project: Project) -> None:
    written(project, SUITE.replace("contains: Bo", "contains: Zoe"))
    first = await run(project)
    second = await run(project)
    assert second.exit_code == first.exit_code == 1
    assert all(one.reused for one in results(project))
    assert open_history(project.settings()).count() == 3
    assert {one.case.id: one.outcome for one in results(project)} == {"ada": "pass", "bo": "fail", "عمر": "pass"}


async def test_fresh_asks_again(project: Project) -> None:
    written(project)
    await run(project)
    await run(project, fresh=True)
    assert not any(one.reused for one in results(project))
    assert open_history(project.settings()).count() == 6


async def test_a_changed_assertion_judges_the_stored_answers_anew(project: Project) -> None:
    written(project)
    await run(project)
    written(project, SUITE.replace("Say hello", "Shout"))
    finished = await run(project)
    assert finished.totals.counts["fail"] == 3
    assert open_history(project.settings()).count() == 3


@pytest.mark.parametrize(
    ("file", "old", "new", "asked"),
    [
        ("prompts/greet.yaml", "Say hello", "Say hello again", 6),  # behavior
        ("prompts/greet.yaml", "Greet someone", "Greet anyone", 3),  # words only
        ("evals/greet.yaml", "name: Ada", "name: Ida", 4),  # one case
        ("evals/greet.yaml", "tags: [short]", "tags: [long]", 3),  # nothing that is sent
    ],
)
async def test_only_what_decides_an_answer_asks_for_a_new_one(
    project: Project, file: str, old: str, new: str, asked: int
) -> None:
    written(project)
    await run(project)
    project.write(file, (project.root / file).read_text().replace(old, new))
    await run(project)
    assert open_history(project.settings()).count() == asked


async def test_repeats_are_asked_each_by_itself(project: Project) -> None:
    written(project, SUITE + "repeats: 3\n")
    finished = await run(project)
    assert finished.totals.counts["pass"] == 9
    assert sorted(one.repeat for one in results(project)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_every_prompt_meets_every_model(project: Project) -> None:
    text = SUITE.replace("prompt: greet", "prompts: [greet, 'greet:short']\nmodels: [offline/echo, offline/other]")
    written(project, text)
    with pytest.raises(PromptStudioError):
        await run(project)  # there is no offline/other
    written(project, text.replace(", offline/other", ""))
    finished = await run(project)
    assert sorted({(one.prompt, one.model) for one in results(project)}) == [
        ("greet", "offline/echo"),
        ("greet:short", "offline/echo"),
    ]
    assert finished.totals.judged == 6


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (SUITE.replace("contains: Say hello", "containz: x"), SuiteFileError, "greet.yaml:7"),
        (SUITE.replace("contains: Bo", "containz: x"), SuiteFileError, "greet.yaml:4"),
        (SUITE.replace("name: Ada", "nmae: Ada"), SuiteFileError, "greet.yaml:3: case ada"),
        (SUITE.replace("inputs: {name: Ada}", "inputs: {}"), SuiteFileError, "greet.yaml:3: case ada"),
        (SUITE.replace("id: bo", "id: ada"), SuiteFileError, "the id 'ada' is that of another case too"),
        (SUITE.replace("prompt: greet", "prompt: gret"), SuiteFileError, "greet.yaml:1"),
        ("prompt: greet\ncases: []\nassert: [{contains: x}]\n", SuiteFileError, "the list of cases is empty"),
        ("prompt: greet\ncases: [{inputs: {name: A}}]\n", NothingSelected, "nothing is asserted of any case"),
        ("prompt: greet\ncases: none.jsonl\nassert: [is-json]\n", SuiteFileError, "there is no such file"),
        (SUITE + "  - {llm-rubric: polite}\n", SuiteFileError, "llm-rubric needs a judge"),
        (SUITE + "  - {python: 'nothing.py:f'}\n", SuiteFileError, "nothing.py"),
    ],
)
async def test_a_mistake_is_told_with_its_place_before_anything_is_asked(
    project: Project, text: str, error: type[Exception], says: str
) -> None:
    written(project, text)
    with pytest.raises(error) as caught:
        await run(project)
    assert says in str(caught.value)
    assert open_history(project.settings()).count() == 0


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(expression="ada or bo"), ["ada", "bo"]),
        (Selection(expression="not (ada or short)"), ["bo", "عمر"]),
        (Selection(tags=("short",)), ["ada"]),
        (Selection(cases=("b*",)), ["bo"]),
        (Selection(first=2), ["ada", "bo"]),
        (Selection(ids=frozenset({"عمر"})), ["عمر"]),
    ],
)
async def test_only_what_is_selected_is_asked(project: Project, selection: Selection, ids: list[str]) -> None:
    written(project)
    await run(project, selection=selection)
    assert sorted(one.case.id for one in results(project)) == sorted(ids)


async def test_nothing_selected_is_never_green(project: Project) -> None:
    written(project)
    with pytest.raises(NothingSelected, match="no case is selected"):
        await run(project, selection=Selection(expression="nobody"))


async def test_a_sample_is_the_same_for_the_same_seed(project: Project) -> None:
    cases = "".join(json.dumps({"id": f"c{n}", "inputs": {"name": "A"}, "tags": [str(n)]}) + "\n" for n in range(40))
    project.write("evals/many.jsonl", cases)
    written(project, "prompt: greet\ncases: many.jsonl\nassert: [{contains: A}]\n")
    chosen = []
    for seed in (1, 1, 2):
        await run(project, selection=Selection(sample=5, seed=seed))
        chosen.append({one.case.id for one in results(project)})
    assert len(chosen[0]) == 5
    assert chosen[0] == chosen[1] != chosen[2]


async def test_a_python_assertion_that_crashes_is_an_error_and_no_pass(project: Project) -> None:
    project.write("evals/checks.py", "def check(context):\n    raise KeyError('oops')\n")
    written(project, SUITE + "  - {not-python: 'checks.py:check'}\n")
    finished = await run(project)
    assert finished.totals.counts["error"] == 3
    assert finished.exit_code == 1


async def test_python_cases_and_a_check_that_runs_no_code(project: Project) -> None:
    code = "print('ran')\ndef make():\n    for n in range(3):\n        yield {'inputs': {'name': f'N{n}'}}\n"
    project.write("evals/cases.py", code)
    written(project, "prompt: greet\ncases: cases.py:make\nassert: [{contains: N}]\n")
    settings = project.settings()
    suite = load_suite(project.root / "evals/greet.yaml", settings)
    _, preflight = prepare(suite, settings, EvalOptions(), None)
    assert (preflight.cases, preflight.is_whole) == (0, False)
    _, preflight = prepare(suite, settings, EvalOptions(), Functions(settings.root))
    assert preflight.cases == 3
    assert (await run(project)).totals.counts["pass"] == 3


async def test_a_conversation_is_asked_turn_by_turn_and_each_turn_judged(project: Project) -> None:
    project.write(
        "prompts/chat.yaml",
        "inputs:\n  said: string\n  history: {type: messages, required: false}\n"
        'messages:\n  - placeholder: history\n  - role: user\n    content: "{{ said }}"\n',
    )
    written(
        project,
        "prompt: chat\ncases:\n  - id: talk\n    turns:\n"
        "      - {inputs: {said: one}, assert: [{contains: one}]}\n"
        "      - {inputs: {said: two}, assert: [{contains: three}]}\n"
        "assert: [{contains: two}]\n",
    )
    finished = await run(project)
    [talk] = results(project)
    assert [score.outcome for score in talk.scores] == ["pass", "fail", "pass"]
    assert [answer.text for answer in talk.answers] == ["one", "two"]
    assert finished.exit_code == 1
    asked = open_history(project.settings()).row("last").detail
    assert asked is not None
    assert [message["role"] for message in asked.messages] == ["user", "assistant", "user"]


async def test_it_stops_at_a_limit_and_goes_on_from_there(project: Project) -> None:
    project.write("evals/checks.py", "def check(context):\n    raise KeyError('oops')\n")
    cases = "".join(json.dumps({"id": f"c{n}", "inputs": {"name": f"N{n}"}}) + "\n" for n in range(200))
    project.write("evals/many.jsonl", cases)
    suite = "prompt: greet\ncases: many.jsonl\nassert: [{python: 'checks.py:check'}]\n"
    written(project, suite)
    finished = await run(project, limits=Limits(max_errors=3), concurrency=2)
    assert finished.exit_code == 1
    assert finished.sentence.startswith("stopped before the end: --max-errors 3 is exceeded")
    assert finished.run.status == "stopped"
    done = finished.totals.counts["error"]
    assert 3 < done < 20
    project.write("evals/checks.py", "def check(context):\n    return True\n")
    assert (await run(project)).exit_code == 0
    assert open_history(project.settings()).count() == 200  # the answers there were are judged, not asked for


async def test_an_interrupted_run_keeps_what_ended_and_the_next_goes_on(project: Project) -> None:
    cases = "".join(json.dumps({"id": f"c{n}", "inputs": {"name": f"N{n}"}}) + "\n" for n in range(300))
    project.write("evals/many.jsonl", cases)
    written(project, "prompt: greet\ncases: many.jsonl\nassert: [{contains: N}]\n")
    seen = 0

    def stop(_result: CaseResult, _totals: Totals) -> None:
        nonlocal seen
        seen += 1
        if seen == 50:
            task.cancel()

    task = asyncio.ensure_future(run(project, watcher=Watcher(case=stop), concurrency=4))
    with pytest.raises(Interrupted, match="cases that ended are stored"):
        await task
    with EvalStore(store_path(project.settings())) as store:
        assert store.run("last").status == "interrupted"
    kept = len(results(project))
    assert 50 <= kept < 300
    assert (await run(project)).totals.counts["pass"] == 300
    assert sum(one.reused for one in results(project)) >= kept


async def test_two_runs_at_once_on_one_store_lose_nothing(project: Project) -> None:
    written(project, SUITE + "repeats: 20\n")
    finished = await asyncio.gather(*(run(project, fresh=True) for _ in range(3)))
    assert [one.totals.counts["pass"] for one in finished] == [60, 60, 60]
    for one in finished:
        assert len(results(project, one.run.id)) == 60


async def test_an_answer_without_a_price_leaves_a_cost_gate_unmet(project: Project) -> None:
    written(project, SUITE + "gate: {cost_usd: 1}\n")
    finished = await run(project)
    assert finished.exit_code == 0  # offline costs nothing, which is known
    assert finished.totals.cost_usd == Decimal(0)


async def test_half_a_character_in_a_case_is_stored_and_read_back(project: Project) -> None:
    line = '{"id": "half \\ud83d", "inputs": {"name": "Ada"}, "tags": ["t\\ud83d"], "metadata": {"k": "\\ud83d"}}'
    project.write("evals/half.jsonl", line + "\n")
    written(project, "prompt: greet\ncases: half.jsonl\nassert: [{contains: Ada}]\n")
    assert (await run(project)).exit_code == 0
    [stored] = results(project)
    assert (stored.case.id, stored.case.tags) == ("half \ud83d", ("t\ud83d",))
