"""Wrong answers: what the mutations make of them in every script, and which assertions notice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from promptstudio.evals.assertions.assertion import Setting
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.mutate import MutateOptions, MutationReport, mutate
from promptstudio.evals.mutations import MUTATIONS, mutants_of
from promptstudio.evals.negation import negated
from promptstudio.evals.plan import Plan, Task, plan_suite
from promptstudio.evals.schema import Answer
from promptstudio.evals.selection import Selection
from promptstudio.evals.suite import load_suite
from promptstudio.types import ToolCall
from tests.conftest import Project

NEGATIONS = {
    "The refund is possible.": "The refund is not possible.",
    "No, it isn't.": "Yes, it isn't.",
    "yes": "no",
    "It isn't here": "It is here",
    "We won't pay": "We will pay",
    "You can't": "You can",
    "We cannot pay": "We can pay",
    "It is never late": "It is late",
    "Answer: TRUE": "Answer: FALSE",
    "Nothing here is known": "Nothing here is not known",
    "Paris": "It is not true that Paris",
    "نعم": "لا",
    "لا، شكرًا": "نعم، شكرًا",
    "الجواب صحيح": "الجواب خطأ",
    "لا يمكنك إرجاع المنتج": "يمكنك إرجاع المنتج",
    "يمكنك إرجاع المنتج": "لا يمكنك إرجاع المنتج",
    "المتجر مفتوح": "ليس صحيحًا أن المتجر مفتوح",
    "כן, אפשר": "לא, אפשר",
    "לא": "כן",
    "החנות לא פתוחה": "החנות פתוחה",
    "החנות פתוחה היום": "החנות לא פתוחה היום",
    "זה שקר": "זה אמת",
}


@pytest.mark.parametrize("text", NEGATIONS)
def test_a_text_is_negated_in_its_own_language(text: str) -> None:
    assert negated(text) == NEGATIONS[text]


@pytest.mark.parametrize("text", ["", "42", "你好", "  \n", "…"])
def test_what_no_rule_fits_is_not_negated(text: str) -> None:
    assert negated(text) is None


def made_of(answer: Answer, *others: Answer, seed: str = "0") -> dict[str, Answer]:
    return {mutation.name: mutant for mutation, mutant in mutants_of(answer, others, seed)}


def test_a_text_is_made_wrong_in_every_way_that_applies() -> None:
    found = made_of(Answer("You get 30 days to return it."), Answer("Another answer."))

    assert found["empty"].text == ""
    assert found["truncated"].text == "You get 30"
    assert found["wrong-value"].text == "You get 31 days to return it."
    assert found["other-language"].text.startswith("هذا نص")
    assert found["refusal"].text == "I'm sorry, but I can't help with that."
    assert found["swapped"].text == "Another answer."
    assert found["noise"].text == "you get 30 days to return it. \n"
    assert "missing-field" not in found


def test_an_arabic_answer_is_refused_in_arabic_and_counted_in_its_own_digits() -> None:
    found = made_of(Answer("لديك ٣٩ يومًا للإرجاع"))

    assert found["refusal"].text.startswith("عذرًا")
    assert found["wrong-value"].text == "لديك ٤٠ يومًا للإرجاع"
    assert found["other-language"].text == "This is a short text in another language."


@pytest.mark.parametrize("is_typed", [True, False])
def test_data_loses_a_field_gets_a_wrong_value_and_stays_data(is_typed: bool) -> None:
    data = {"urgent": True, "count": 2, "reply": "We are sorry."}
    answer = Answer(json.dumps(data), output=data if is_typed else None)
    found = made_of(answer)

    gone = json.loads(found["missing-field"].text)
    assert len(gone) == 2
    assert gone.items() <= data.items()
    wrong = json.loads(found["wrong-value"].text)
    assert sum(wrong[key] != data[key] for key in data) == 1
    assert json.loads(found["negated"].text)["urgent"] is False
    assert json.loads(found["noise"].text) == data
    assert json.loads(found["other-language"].text)["count"] == 2
    if is_typed:
        assert found["wrong-value"].output == wrong
        assert found["noise"].output == data
        assert found["refusal"].output is None


def test_tools_are_not_called_or_called_with_another_argument() -> None:
    answer = Answer("", tool_calls=(ToolCall("1", "weather", '{"city": "Rome"}'),))
    found = made_of(answer)

    assert found["no-tool-call"].tool_calls == ()
    assert json.loads(found["wrong-argument"].tool_calls[0].arguments) == {"city": "Rome x"}


def test_the_same_seed_makes_the_same_mutants_and_another_one_others() -> None:
    answer = Answer(json.dumps({name: name for name in "abcdefgh"}))
    same = [{name: mutant.text for name, mutant in made_of(answer, seed=seed).items()} for seed in ("1", "1", "2")]

    assert same[0] == same[1] != same[2]


@pytest.mark.parametrize("text", ["", " ", "{", "[" * 5_000 + "]" * 5_000, '{"a": NaN}', "\ud83d", "9" * 500, "null"])
def test_no_answer_is_too_odd_to_be_mutated(text: str) -> None:
    for _, mutant in mutants_of(Answer(text), [], "0"):
        assert isinstance(mutant.text, str)


# -- assertions -----------------------------------------------------------------------------------------------------

SUITE = """\
name: s
prompt: greet
cases:
  - {id: a, inputs: {name: Ada}, assert: [{contains: Ada}]}
  - {id: b, inputs: {name: Bob}, assert: [{contains: Bob}]}
assert:
  - {type: word-count, value: {min: 0}}
  - {type: not-contains, value: sorry}
  - {type: regex, value: '\\.$'}
  - {type: cost, threshold: 1}
  - {type: similar, value: hello, threshold: 0.1}
"""
SAID = {"a": "Hello Ada, it is nice to meet you.", "b": "Hello Bob, it is nice to meet you."}


def plan_of(project: Project, text: str) -> Plan:
    path = project.write("evals/s.yaml", text)
    settings = project.settings()
    return plan_suite(load_suite(path, settings), settings, Selection())


def mutated(project: Project, text: str = SUITE, said: dict[str, str] | None = None, **options: Any) -> MutationReport:
    answers = SAID if said is None else said

    def find(task: Task) -> tuple[Answer, ...]:
        text = answers.get(task.example.case.id)
        return () if text is None else (Answer(text),)

    setting = Setting(functions=Functions(project.root))
    return asyncio.run(mutate(plan_of(project, text), find, setting, MutateOptions(**options)))


def test_each_assertion_is_counted_for_each_mutation_and_the_blind_one_is_named(project: Project) -> None:
    report = mutated(project)
    rows = {row.label: row for row in report.rows}

    assert rows['word-count {"min":0}'].notices_nothing
    assert [row.label for row in report.rows if row.notices_nothing] == ['word-count {"min":0}']
    assert rows["contains"].found["swapped"].killed == 2
    assert rows["contains"].found["negated"].survived == 2
    assert rows["not-contains 'sorry'"].found["refusal"].killed == 2
    assert rows["regex '\\.$'"].is_too_strict
    assert report.mutants["empty"].killed == report.mutants["empty"].total == 2
    assert (report.answers, report.failing) == (2, 0)
    assert {one.mutation for one in report.survivors} == {"negated"}
    assert report.score == report.killed / report.total
    assert 0 < (report.score or 0) < 1


def test_what_is_not_about_the_text_or_needs_a_model_is_skipped_and_said(project: Project) -> None:
    report = mutated(project, SUITE + "  - {type: llm-rubric, value: polite}\njudge: {model: openai/gpt-4.1}\n")

    assert report.skipped == {
        "cost": "it is not about what is said",
        "similar 'hello'": "it needs an embedding model (--judge asks one)",
        "llm-rubric 'polite'": "it needs a judge (--judge asks one)",
    }
    assert not {row.label for row in report.rows} & set(report.skipped)


def test_an_answer_is_swapped_with_that_of_another_case_not_with_a_repeat_of_its_own(project: Project) -> None:
    plan = plan_of(project, SUITE + "repeats: 2\n")

    def find(task: Task) -> tuple[Answer, ...]:
        case = task.example.case.id
        return (Answer(f"{'Again: ' * task.repeat}{SAID[case]}"),)

    report = asyncio.run(mutate(plan, find, Setting()))
    assert next(row for row in report.rows if row.label == "contains").found["swapped"].killed == 4


def test_an_equivalent_mutant_is_no_wrong_answer(project: Project) -> None:
    report = mutated(project)
    equivalent = {mutation.name for mutation in MUTATIONS if mutation.is_equivalent}

    assert equivalent <= set(report.mutants)
    assert report.total == sum(each.total for name, each in report.mutants.items() if name not in equivalent)


def test_answers_that_fail_or_are_not_there_are_left_out_and_counted(project: Project) -> None:
    report = mutated(project, said={"a": "Nobody is here."})

    assert (report.answers, report.failing, report.unanswered) == (0, 1, 1)
    assert report.score is None


def test_a_limit_cuts_and_says_so(project: Project) -> None:
    report = mutated(project, most=1)

    assert report.answers == 1
    assert report.is_cut


def test_with_a_threshold_a_mutant_is_noticed_only_where_the_case_fails(project: Project) -> None:
    lenient = mutated(project, SUITE + "threshold: 0.1\n")

    assert lenient.killed == 0
    assert next(row for row in lenient.rows if row.label == "contains").killed > 0


def test_turns_of_a_conversation_are_judged_by_their_own_assertions(project: Project) -> None:
    text = (
        "name: s\nprompt: greet\ncases:\n  - id: a\n    turns:\n"
        "      - {inputs: {name: Ada}, assert: [{contains: Ada}]}\n      - {inputs: {name: Bob}}\n"
        "    assert: [{contains: Bob}]\n"
    )

    def find(task: Task) -> tuple[Answer, ...]:
        return Answer("It is Ada."), Answer("It is Bob.")

    setting = Setting(functions=Functions(project.root))
    report = asyncio.run(mutate(plan_of(project, text), find, setting))
    assert report.answers == 2
    assert report.mutants["empty"].killed == 2
