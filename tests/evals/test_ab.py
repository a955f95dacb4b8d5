"""Sides of a comparison: what a word means, what one side is to another, and which one to take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from promptstudio.cli.ab_view import pareto_lines
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.evals.ab import Contest, contest_of, losers
from promptstudio.evals.plan import Side, plan_suite
from promptstudio.evals.selection import Selection
from promptstudio.evals.series import Maker, Series
from promptstudio.evals.sides import Entrant, check_sides, read_sides
from promptstudio.evals.suite import Suite, load_suite
from tests.evals.sides_sample import prepare, series

if TYPE_CHECKING:
    from tests.conftest import Project


def contest(*sides: Series, margin: float = 0.0) -> Contest:
    entrants = [Entrant("prompt", Side(f"v{number}", f"v{number}")) for number in range(len(sides))]
    return contest_of(entrants, sides, margin=margin)


@pytest.mark.parametrize(
    ("sides", "margin", "relation", "winner", "says"),
    [
        ((series(70), series(85)), 0.0, "better", "B", "B (v1) is better than A (v0) by 15 points"),
        ((series(70, cost=0.001), series(85, cost=0.0012)), 0.0, "better", "B", "costs 20% more"),
        ((series(85), series(70)), 0.0, "worse", "A", "take A"),
        ((series(70), series(71)), 0.0, "unclear", None, "100 cases cannot tell A (v0) and B (v1) apart"),
        ((series(70, cost=0.002), series(71, cost=0.001)), 0.0, "unclear", None, "B costs 50% less"),
        ((series(70, cost=0.002), series(70, cost=0.001)), 0.1, "cheaper", "B", "not worse than A (v0) by 10 points"),
        ((series(70, cost=0.001), series(70, cost=0.002)), 0.1, "dearer", "A", "costs 100% more; take A"),
        ((series(70), series(70)), 0.1, "alike", None, "are alike within 10 points on 100 cases"),
        (
            (series(70, metric={"polite": 0.9}), series(85, metric={"polite": 0.5})),
            0.0,
            "mixed",
            None,
            "worse at polite",
        ),
    ],
)
def test_the_recommendation_says_what_the_cases_can_tell_and_no_more(
    sides: tuple[Series, Series], margin: float, relation: str, winner: str | None, says: str
) -> None:
    found = contest(*sides, margin=margin)
    assert found.duels[0].relation == relation
    assert (found.recommendation.winner.letter if found.recommendation.winner else None) == winner
    assert says in found.recommendation.sentence


def test_without_enough_cases_the_sentence_says_how_many_it_takes() -> None:
    assert "; about " in contest(series(70), series(73)).recommendation.sentence


def test_verdicts_hold_for_all_sides_together() -> None:
    alone = contest(series(70), series(76))
    assert alone.duels[0].relation == "better"
    among_many = contest(series(70), series(76), *(series(70 + number % 2) for number in range(8)))
    assert among_many.duels[0].relation == "unclear"
    assert "not among so many" in (among_many.duels[0].paired.comparisons["pass rate"].note or "")


def test_of_several_that_are_better_the_best_wins_and_the_others_are_named() -> None:
    found = contest(series(50), series(70), series(90), series(30))
    assert [duel.relation for duel in found.duels] == ["better", "better", "worse"]
    assert found.recommendation.winner is not None
    assert found.recommendation.winner.letter == "C"
    assert "B (v1) is better than A too" in found.recommendation.sentence
    assert [duel.side.letter for duel in losers(found)] == ["D"]


def test_the_first_wins_only_where_it_beats_all() -> None:
    assert contest(series(90), series(70), series(60)).recommendation.sentence.endswith("take A")
    assert contest(series(90), series(70), series(90)).recommendation.winner is None


def test_a_side_without_outcomes_wins_with_a_warning() -> None:
    lossy = series(95)
    for number in range(95, 100):
        del lossy.passed[f"c{number}"]
        lossy.missing[f"c{number}"] = "error"
    found = contest(series(70), lossy)
    assert "(but 5 of its cases have no outcome, and are left out)" in found.recommendation.sentence
    assert found.standings[1].missing == 5
    assert found.standings[1].quality == 0.95  # an error has not passed


def test_scores_of_other_engines_are_refused() -> None:
    old, new = series(70, metric={"polite": 0.5}), series(70, metric={"polite": 0.9})
    old.makers["polite"] = {Maker("deepeval", "4.3", "x", None)}
    new.makers["polite"] = {Maker("ragas", "0.4", "x", None)}
    paired = contest(old, new).duels[0].paired
    assert "polite" in paired.refused
    assert "polite" not in paired.comparisons


def test_costs_that_are_all_the_same_prove_nothing() -> None:
    cost = contest(series(70), series(70)).duels[0].paired.comparisons["cost"]
    assert (cost.difference, cost.interval.lower, cost.verdict) == (0.0, None, "inconclusive")


def test_who_is_beaten_in_everything_is_no_pareto_choice() -> None:
    found = contest(series(70, cost=0.002), series(90, cost=0.004), series(60, cost=0.003), series(70, cost=0.001))
    assert [(one.letter, one.on_front, one.is_beaten_by) for one in found.standings] == [
        ("A", False, "D"),
        ("B", True, None),
        ("C", False, "A"),
        ("D", True, None),
    ]
    drawn = "\n".join(pareto_lines(found.standings))
    assert {letter for letter in "aBcD" if letter in drawn.split("└")[0]} == set("aBcD")
    assert "pass rate over cost" in drawn


# -- words


@pytest.fixture
def suite(project: Project) -> Suite:
    prepare(project, cases=3)
    return load_suite(project.root / "evals/greet.yaml", project.settings())


@pytest.mark.parametrize(
    ("word", "kind", "side"),
    [
        ("support/triage", "prompt", Side("support/triage", "support/triage")),
        (":better", "prompt", Side("greet:better", "greet:better")),
        ("@main", "prompt", Side("greet@main", "greet@main")),
        (":better@main", "prompt", Side("greet:better@main", "greet:better@main")),
        ("prompt=@main", "prompt", Side("greet@main", "greet@main")),
        ("openai/gpt-4.1-mini", "model", Side("openai/gpt-4.1-mini", "greet", model="openai/gpt-4.1-mini")),
        ("ollama/llama3:8b", "model", Side("ollama/llama3:8b", "greet", model="ollama/llama3:8b")),
        ("strict", "profile", Side("profile=strict", "greet", profile="strict")),
        ("profile=strict", "profile", Side("profile=strict", "greet", profile="strict")),
    ],
)
def test_a_word_is_a_prompt_a_variant_a_version_a_model_or_a_profile(
    project: Project, suite: Suite, word: str, kind: str, side: Side
) -> None:
    found = read_sides(["greet", word], suite, project.settings())[1]
    assert (found.kind, found.side) == (kind, side)


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (["greet", "grret"], NotFoundError, "did you mean 'greet'?"),
        (["greet", "offline/ecko"], NotFoundError, "did you mean 'offline/echo'?"),
        (["greet", "profile=stirct"], NotFoundError, "did you mean 'strict'?"),
        (["greet", "model=nobody/x"], NotFoundError, "unknown provider"),
        (["greet", ""], UsageError, "a side is empty"),
        (["greet", "@"], UsageError, "names nothing"),
        (["greet", "prompt="], UsageError, "names nothing"),
        (["greet"], UsageError, "two sides or more"),
        (["greet"] * 27, UsageError, "too many"),
    ],
)
def test_a_word_that_means_nothing_is_told_with_the_nearest_name(
    project: Project, suite: Suite, words: list[str], error: type[UsageError], says: str
) -> None:
    with pytest.raises(error) as caught:
        read_sides(words, suite, project.settings())
    assert says in f"{caught.value.message} {caught.value.hint}"


def test_a_word_that_may_mean_two_things_is_refused_with_how_to_write_each(project: Project, suite: Suite) -> None:
    project.write("prompts/strict.yaml", "prompt: Hello {{ name }}\n")
    with pytest.raises(UsageError, match="is a prompt and a profile") as caught:
        read_sides(["greet", "strict"], suite, project.settings())
    assert caught.value.hint == "write prompt=strict or profile=strict"
    both = read_sides(["prompt=strict", "profile=strict"], suite, project.settings())
    assert [one.kind for one in both] == ["prompt", "profile"]


def test_a_suite_of_several_prompts_has_no_variant_or_model_of_its_own(project: Project) -> None:
    prepare(project, cases=3)
    path = project.root / "evals/greet.yaml"
    path.write_text(path.read_text("utf-8").replace("prompt: greet", "prompts: [greet, ar/welcome]"), "utf-8")
    several = load_suite(path, project.settings())
    with pytest.raises(UsageError, match="has several prompts: greet, ar/welcome") as caught:
        read_sides([":better", "@main"], several, project.settings())
    assert caught.value.hint == "write greet:better"


def test_a_suite_of_several_models_wants_one_named(project: Project, suite: Suite) -> None:
    path = project.root / "evals/greet.yaml"
    path.write_text(path.read_text("utf-8") + "models: [offline/echo, offline/script]\n", "utf-8")
    several = load_suite(path, project.settings())
    with pytest.raises(UsageError, match="has 2 models"):
        read_sides(["greet", ":better"], several, project.settings())
    found = read_sides(["greet", ":better"], several, project.settings(), model="offline/echo")
    assert {one.side.model for one in found} == {"offline/echo"}


@pytest.mark.parametrize("words", [["greet", "@main"], ["greet", "greet"], ["greet", "offline/echo"]])
def test_two_sides_that_are_the_same_thing_are_refused(project: Project, suite: Suite, words: list[str]) -> None:
    settings = project.settings()
    sides = [one.side for one in read_sides(words, suite, settings)]
    with pytest.raises(UsageError, match="are the same thing"):
        check_sides(plan_suite(suite, settings, Selection(), sides=sides))


def test_no_side_is_always_asked_first(project: Project, suite: Suite) -> None:
    settings = project.settings()
    sides = [one.side for one in read_sides(["greet", ":better"], suite, settings)]
    plan = plan_suite(suite, settings, Selection(), sides=sides)
    asked = [task.target.address for task in plan.tasks()]
    assert asked == ["greet", "greet:better", "greet:better", "greet", "greet", "greet:better"]
