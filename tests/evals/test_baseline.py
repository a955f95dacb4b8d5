"""A gate with a baseline: the same suite with the prompts of another revision, pair by pair."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from promptstudio.errors import SuiteFileError, UsageError
from promptstudio.evals.evaluate import EvalOptions, Finished, Watcher, evaluate
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite

if TYPE_CHECKING:
    from tests.conftest import Project

CHECKS = """\
def grade(text, context):
    # how many of the cases pass is in the prompt: "good until 70" passes those whose number is below 70
    number, until = int(context.case.id[1:]), int(text.rsplit(" ", 1)[1])
    return number < until
"""


def prepare(project: Project, *, cases: int = 100, gate: str = "", extra: str = "", repeats: int = 1) -> None:
    project.write("evals/checks.py", CHECKS)
    rows = [{"id": f"c{number}", "inputs": {"name": f"n{number}"}} for number in range(cases)]
    project.write("evals/data/cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    project.write(
        "evals/greet.yaml",
        f"prompt: greet\ncases: data/cases.jsonl\nrepeats: {repeats}\nassert: [python: checks.py:grade]\n"
        f"gate: {{pass_rate: 0, baseline: main{gate}}}\n{extra}",
    )
    prompt(project, 70)
    project.commit("Good until 70")


def prompt(project: Project, until: int) -> None:
    project.write("prompts/greet.yaml", f'model: offline/echo\nprompt: "Hello {{{{ name }}}}, good until {until}"\n')


async def run(project: Project, watcher: Watcher | None = None, **options: Any) -> Finished:
    settings = project.settings()
    suite = load_suite(project.root / "evals/greet.yaml", settings)
    return await evaluate(suite, settings, {}, EvalOptions(**options), watcher or Watcher())


def found(finished: Finished, name: str = "pass rate") -> dict[str, Any]:
    [target] = finished.run.totals["against"]["targets"]
    figure: dict[str, Any] = target["figures"][name]
    return figure


@pytest.mark.parametrize(
    ("until", "gate", "verdict", "code"),
    [
        (95, "", "improved", 0),
        (40, "", "regressed", 1),
        (40, ", max_regression: 0.05", "regressed", 1),
        (70, ", max_regression: 0.05", "no worse", 0),
        (69, ", max_regression: 0.2", "no worse", 0),
        (67, ", max_regression: 0.01", "inconclusive", 0),
        (67, ", max_regression: 0.01, inconclusive: warn", "inconclusive", 0),
        (67, ", max_regression: 0.01, inconclusive: fail", "inconclusive", 6),
    ],
)
async def test_a_run_is_held_against_the_prompts_of_a_branch(
    project: Project, until: int, gate: str, verdict: str, code: int
) -> None:
    prepare(project, gate=gate)
    prompt(project, until)
    finished = await run(project)
    figure = found(finished)
    assert (figure["verdict"], finished.exit_code) == (verdict, code)
    assert figure["pairs"] == 100
    assert figure["difference"] == pytest.approx((until - 70) / 100)
    assert {flip["case"] for flip in figure["broke"]} <= {f"c{number}" for number in range(until, 70)}
    assert figure["broke_count"] == max(0, 70 - until)
    assert "against main" in finished.sentence


async def test_what_is_stored_of_the_baseline_is_not_asked_again(project: Project) -> None:
    prepare(project)
    asked: list[str] = []
    watcher = Watcher(case=lambda result, _: None if result.reused else asked.append(result.prompt))
    await run(project, watcher)
    assert {name: asked.count(name) for name in set(asked)} == {"greet@main": 100}  # greet is the same prompt
    asked.clear()
    prompt(project, 80)
    await run(project, watcher)
    assert {name: asked.count(name) for name in set(asked)} == {"greet": 100}


async def test_a_stored_run_is_a_baseline_too(project: Project) -> None:
    prepare(project)
    first = await run(project)
    prompt(project, 30)
    finished = await run(project, baseline=first.run.id[:13])
    assert (found(finished)["verdict"], finished.exit_code) == ("regressed", 1)
    assert finished.run.baseline == first.run.id
    with EvalStore(store_path(project.settings())) as store:
        assert store.run("last").totals["against"]["run"] == first.run.id


async def test_cases_that_only_one_side_has_are_listed_and_left_out(project: Project) -> None:
    prepare(project)
    first = await run(project)
    path = project.root / "evals/data/cases.jsonl"
    rows = path.read_text(encoding="utf-8").splitlines()[1:]
    path.write_text("\n".join([*rows, '{"id": "c500", "inputs": {"name": "new"}}']), encoding="utf-8")
    figure = found(await run(project, baseline=first.run.id))
    assert (figure["pairs"], figure["only_baseline"], figure["only_candidate"]) == (99, ["c0"], ["c500"])


async def test_a_baseline_that_is_nothing_is_told_with_its_place_before_any_call(project: Project) -> None:
    prepare(project)
    with pytest.raises(UsageError, match="--baseline: 'v9' is no run, and no revision"):
        await run(project, baseline="v9")
    path = project.root / "evals/greet.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("baseline: main", "baseline: v9"), encoding="utf-8")
    with pytest.raises(SuiteFileError, match=r"gate\.baseline: 'v9' is no run, and no revision") as caught:
        await run(project)
    assert (caught.value.problems[0].file, caught.value.problems[0].line) == ("evals/greet.yaml", 5)
    with EvalStore(store_path(project.settings())) as store:
        assert store.runs() == []


async def test_a_prompt_that_is_new_has_nothing_to_be_compared_with(project: Project) -> None:
    prepare(project)
    path = project.root / "evals/greet.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("prompt: greet", "prompts: [greet, fresh]"), encoding="utf-8"
    )
    project.write("prompts/fresh.yaml", 'model: offline/echo\nprompt: "{{ name }} new until 80"\n')
    finished = await run(project)
    assert finished.run.totals["against"]["new_prompts"] == ["fresh"]
    assert [one["candidate"] for one in finished.run.totals["against"]["targets"]] == ["greet · offline/echo"]


async def test_repeats_are_averaged_within_the_case(project: Project) -> None:
    prepare(project, cases=40, repeats=3)
    prompt(project, 20)
    finished = await run(project)
    assert found(finished)["pairs"] == 40
    figures = finished.run.totals["figures"]
    assert (figures["pass_rate"]["n"], figures["flake_rate"]) == (40, 0.0)
    assert figures["pass_at"]["3"] == figures["pass_hat"]["3"] == 0.5


async def test_clusters_widen_the_interval(project: Project) -> None:
    prepare(project, cases=60)
    prompt(project, 30)
    alone = found(await run(project))
    rows = [{"id": f"c{n}", "inputs": {"name": f"n{n}"}, "cluster": f"doc{n // 10}"} for n in range(60)]
    project.write("evals/data/cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    clustered = found(await run(project))
    assert clustered["clusters"] == 6
    assert clustered["upper"] - clustered["lower"] > alone["upper"] - alone["lower"]


async def test_every_figure_of_a_gate_has_its_interval(project: Project) -> None:
    prepare(project)
    finished = await run(project)
    [check] = [one for one in finished.checks if one.name == "pass_rate"]
    assert check.note == "95% interval 60.4% to 78.1%"


async def test_sequential_stops_when_the_gate_is_decided_and_not_before(project: Project) -> None:
    prepare(project, cases=400)
    path = project.root / "evals/greet.yaml"
    text = path.read_text(encoding="utf-8").replace("pass_rate: 0, baseline: main", "pass_rate: 0.5")
    path.write_text(text, encoding="utf-8")
    prompt(project, 400)
    stopped = await run(project, sequential=True, concurrency=1)
    assert (stopped.exit_code, stopped.run.status) == (0, "finished")
    assert 5 < stopped.totals.counts["pass"] < 100
    assert "a pass rate of 50% holds after" in stopped.sentence
    prompt(project, 0)
    assert (await run(project, sequential=True, concurrency=1)).exit_code == 1
    path.write_text(text.replace("pass_rate: 0.5", "pass_rate: 1"), encoding="utf-8")
    prompt(project, 400)
    whole = await run(project, sequential=True, concurrency=1)
    assert whole.totals.counts["pass"] == 400


async def test_what_is_the_same_is_said_to_be_so_and_meets_the_strictest_gate(project: Project) -> None:
    prepare(project, gate=", inconclusive: fail")
    finished = await run(project)
    assert finished.exit_code == 0
    assert "against main: the same prompt and model" in finished.sentence


async def test_what_is_worse_and_not_by_luck_misses_the_gate_whatever_the_margin(project: Project) -> None:
    prepare(project, gate=", max_regression: 0.1")
    prompt(project, 60)  # ten of a hundred cases worse, none better: surely worse, perhaps by less than ten points
    finished = await run(project)
    assert (found(finished)["verdict"], finished.exit_code) == ("inconclusive", 1)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("metrics: {polite: {mean: 0.5}}", "the gate wants 'polite', and nothing measures it"),
        ("metrics: {kidn: {mean: 0.5}}", "the gate wants 'kidn', and nothing measures it"),
    ],
)
async def test_a_gate_on_what_nothing_measures_is_refused_before_any_call(
    project: Project, extra: str, problem: str
) -> None:
    prepare(project)
    path = project.root / "evals/greet.yaml"
    text = path.read_text(encoding="utf-8").replace("baseline: main", extra)
    path.write_text(text + "metrics: [{python: checks.py:grade, name: kind}]\n", encoding="utf-8")
    with pytest.raises(SuiteFileError, match=problem) as caught:
        await run(project)
    assert caught.value.problems[0].line == 5
    hint = caught.value.problems[0].hint or ""
    assert hint == ("did you mean 'kind'?" if "kidn" in extra else "the metrics here are: kind")
