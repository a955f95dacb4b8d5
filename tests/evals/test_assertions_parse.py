"""A list of assertions is checked whole before anything is called: fact, place and action for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import SuiteFileError
from promptstudio.evals.assertions import Origin, origin_at, origin_in, parse_assertions
from promptstudio.evals.assertions.table import EVALUATORS, EXPECTED_OUTPUT, evaluator_of
from promptstudio.prompts.assertion_faults import path_steps
from promptstudio.prompts.assertion_table import ALIASES, BARE_NAMES, KINDS
from promptstudio.prompts.overlay import overlaid
from promptstudio.prompts.patterns import MAX_UNROLLED_SIZE, unrolled_size
from promptstudio.prompts.suite_schema import suite_problems
from promptstudio.prompts.yamlfile import read_yaml
from tests.conftest import REPOSITORY

# One assertion as YAML, the place of the mistake within `assert:\n  - …`, the fact, the action.
BAD = [
    ("contans", "2:5", "there is no assertion 'contans'", "did you mean 'contains'?"),
    ("not-equls", "2:5", "there is no assertion 'not-equls'", "did you mean 'not-equals'?"),
    ("contains", "2:5", "the assertion 'contains' needs a value", "write {contains: …}"),
    ("3", "2:5", "expected the name of an assertion or a map", None),
    ("{type: contans, value: a}", "2:12", "there is no assertion 'contans'", "did you mean 'contains'?"),
    ("{contains: a, wieght: 2}", "2:19", "unknown key 'wieght'", "did you mean 'weight'?"),
    ("{contains: a, equals: b}", "2:5", "an assertion has one name", None),
    ("{path: a}", "2:5", "the assertion has no name", None),
    ("{type: contains}", "2:5", "the assertion 'contains' needs a value", None),
    ("{contains: ''}", "2:16", "expected text that is not empty", None),
    ("{contains: [a]}", "2:16", "expected text that is not empty, found a list", None),
    ("{contains-all: []}", "2:20", "expected a list of texts", "as in [one, two]"),
    ("{contains-any: [a, {}]}", "2:24", "expected text that is not empty, found a map", None),
    ("{regex: '(a'}", "2:13", "not a regular expression: missing )", None),
    ("{regex: '[z-a]'}", "2:13", "not a regular expression: bad character range", None),
    ("{not-regex: 5}", "2:17", "expected a regular expression (text), found the number 5", None),
    ("{regex: '(?:(?:a{1000}){1000}){1000}'}", "2:13", "its nested counts", None),
    (f"{{regex: '{'a' * 1001}'}}", "2:13", "a pattern of 1,001 characters; the limit is 1,000", None),
    (f"{{regex: '{'(' * 500}'}}", "2:13", "not a", None),
    ("{is-json: {type: objekt}}", "2:22", "unknown type 'objekt'; did you mean 'object'?", None),
    ("{json-schema: {maxlength: 3}}", "2:20", "unknown key 'maxlength'; did you mean 'maxLength'?", None),
    ("{json-schema: {$ref: 'http://x/y'}}", "2:26", "leaves the schema", None),
    ("{json-schema: text}", "2:19", "expected a JSON Schema (a map), found the text 'text'", None),
    ("json-schema", "2:5", "the assertion 'json-schema' needs a value", None),
    ("{is-xml: {required: [a]}}", "2:14", "expected required_elements", None),
    ("{is-xml: [3]}", "2:14", "expected a list of element paths", None),
    ("{word-count: -1}", "2:18", "expected a number of words", None),
    ("{word-count: {min: 5, max: 2}}", "2:18", "min (5) is above max (2)", "exchange them"),
    ("{word-count: {mni: 5}}", "2:19", "unknown key 'mni'", "did you mean 'min'?"),
    ("{word-count: {}}", "2:18", "expected min, max or both", None),
    ("{bleu: 3}", "2:12", "expected a text to compare with", None),
    ("{type: bleu, value: a, threshold: 1.2}", "2:39", "expected a number between 0 and 1, found the number 1.2", None),
    ("{type: bleu, value: a, threshold: -0.1}", "2:39", "expected a number between 0 and 1", None),
    ("{type: levenshtein, value: a, threshold: -1}", "2:46", "expected a number of at least 0", None),
    ("{contains: a, threshold: 0.5}", "2:30", "contains has no threshold", "remove the key"),
    ("{contains: a, weight: -1}", "2:27", "expected a number from 0 to 1,000,000, found the number -1", None),
    ("{contains: a, weight: true}", "2:27", "expected a number from 0 to 1,000,000, found true", None),
    ("{contains: a, metric: ''}", "2:27", "expected text that is not empty", None),
    ("{contains: a, path: 'a..b'}", "2:25", "expected a path such as items[0].name", None),
    ("{contains: a, options: {x: 1}}", "2:29", "unknown key 'x'", "contains has no options"),
    ("{type: rouge-n, value: a, options: {mesure: f1}}", "2:41", "unknown key 'mesure'", "did you mean 'measure'?"),
    ("{type: rouge-n, value: a, options: {measure: f2}}", "2:50", "expected one of f1, recall, precision", None),
    ("{type: rouge-n, value: a, options: {n: 0}}", "2:44", "expected a whole number from 1 to 10", None),
    ("{contains: a, judge: {model: m}}", "2:26", "contains needs no judge", None),
    ("{contains: a, assert: [equals]}", "2:27", "contains has no members", None),
    ("{type: assert-set, assert: []}", "2:32", "an assert-set needs its members", None),
    ("{assert-set: [{assert-set: [contans]}]}", "2:33", "there is no assertion 'contans'", None),
    ("{gt: '3'}", "2:10", "gt compares with a number, found the text '3'", None),
    ("{cost: cheap}", "2:12", "expected the largest allowed number", None),
    ("cost", "2:5", "the assertion 'cost' needs a value", None),
    ("{type: cost}", "2:5", "the assertion 'cost' needs a value", "write {cost: …}, or `metric:` to record it"),
    ("{type: not-latency, metric: speed}", "2:5", "the assertion 'not-latency' needs a value", None),
    ("{is-refusal: yes}", "2:18", "expected no value", "the name says it all"),
    ("{tool-call-f1: []}", "2:20", "expected a list of tool names", None),
    ("{tool-call-f1: [{args: {}}]}", "2:21", "expected the name of a tool", None),
    ("{is-valid-tool-call: [a]}", "2:26", "expected a map from tool to JSON Schema", None),
    ("{'trajectory:tool-sequence': {steps: [a], mode: any}}", "2:53", "expected in_order or exact", None),
    ("{'trajectory:tool-args-match': {name: a}}", "2:36", "expected the arguments as a map", None),
    ("{python: 'lambda: 1'}", "2:14", "expected FILE.py:FUNCTION", "code lives in a file of the repository"),
    ("{llm-rubric: ''}", "2:18", "expected text that is not empty", None),
]


def parsed_yaml(text: str, compat: str | None = None) -> Any:
    source = overlaid(read_yaml(text, file="s.yaml"), None)
    return parse_assertions(source.value["assert"], origin_in(source, ("assert",), compat=compat))


@pytest.mark.parametrize(("item", "place", "says", "hint"), BAD, ids=[row[0][:60] for row in BAD])
def test_each_mistake_has_its_place_fact_and_action(item: str, place: str, says: str, hint: str | None) -> None:
    text = f"assert:\n  - {item}\nprompt: p\ncases: [{{}}]\n"
    with pytest.raises(SuiteFileError) as caught:
        parsed_yaml(text)
    matching = [problem for problem in caught.value.problems if says in problem.message]
    assert matching, caught.value.message
    assert matching[0].place == f"s.yaml:{place}"
    assert hint is None or matching[0].hint == hint

    linted = suite_problems(overlaid(read_yaml(text, file="s.yaml"), None))
    assert [str(problem) for problem in caught.value.problems] == [str(problem) for problem in linted]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SuiteFileError) as caught:
        parsed_yaml("assert:\n  - contans\n  - {contains: a, wieght: 2, threshold: 1}\n  - is-json\n  - {regex: '('}\n")
    assert [problem.line for problem in caught.value.problems] == [2, 3, 3, 5]


def test_every_way_of_writing_an_assertion_means_the_same() -> None:
    for written in ("{contains: a}", "{type: contains, value: a}", "{type: contains, value: a, x-note: 1, weight: 1}"):
        (assertion,) = parsed_yaml(f"assert:\n  - {written}\n")
        assert (assertion.name, assertion.parsed, assertion.weight, assertion.line, assertion.column) == (
            "contains",
            ["a"],
            1.0,
            2,
            5,
        )
    (negated,) = parsed_yaml("assert: [{not-contains: a, path: 'b[0].c', metric: m, description: d}]")
    assert (negated.name, negated.written, negated.inverted, negated.path) == (
        "contains",
        "not-contains",
        True,
        ("b", 0, "c"),
    )
    assert negated.settings != parsed_yaml("assert: [{contains: a, path: 'b[0].c'}]")[0].settings


def test_sets_hold_sets() -> None:
    (outer,) = parsed_yaml(
        "assert:\n  - type: assert-set\n    threshold: 0.5\n    assert:\n"
        "      - not-is-json\n      - assert-set: [{contains: a, weight: 2}, {llm-rubric: kind}]\n"
    )
    assert [member.written for member in outer.members] == ["not-is-json", "assert-set"]
    assert [member.name for member in outer.members[1].members] == ["contains", "llm-rubric"]
    assert outer.members[1].members[0].line == 6
    assert outer.needs_judge


def test_sets_that_hold_too_many_sets_are_refused() -> None:
    nested: Any = "is-json"
    for _ in range(200):
        nested = {"assert-set": [nested]}
    with pytest.raises(SuiteFileError, match="more than 20 assert-sets within each other"):
        parse_assertions([nested], Origin())
    with pytest.raises(SuiteFileError, match="more than 10,000"):
        parse_assertions(["is-json"] * 10_001, Origin())


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e308, "2", None])
def test_a_weight_out_of_a_dataset_is_a_number(weight: Any) -> None:
    with pytest.raises(SuiteFileError) as caught:
        parse_assertions([{"contains": "a", "weight": weight}], origin_at("data.jsonl", 7))
    assert caught.value.problems[0].place == "data.jsonl:7"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_no_threshold_and_no_limit(number: float) -> None:
    for item in (
        {"type": "levenshtein", "value": "a", "threshold": number},
        {"gt": number},
        {"cost": number},
        {"contains": number},
    ):
        with pytest.raises(SuiteFileError, match=f"found the number {number}"):
            parse_assertions([item], Origin())


@pytest.mark.parametrize("items", ["is-json", {"contains": "a"}, 3])
def test_what_is_no_list_is_refused(items: Any) -> None:
    with pytest.raises(SuiteFileError, match="expected a list of assertions"):
        parse_assertions(items, Origin())


def test_every_row_of_the_table_has_an_evaluator_and_the_other_way_round() -> None:
    assert set(EVALUATORS) - {EXPECTED_OUTPUT} == set(KINDS)
    assert all(callable(evaluator_of(name)) for name in EVALUATORS)
    assert set(ALIASES.values()) <= set(KINDS)
    assert not set(ALIASES) & set(KINDS)


JUDGED = {"llm-rubric", "closed-qa", "factuality", "select-best", "pairwise"}


def test_every_assertion_of_the_contract_is_there() -> None:
    named = (
        "equals contains contains-all contains-any icontains icontains-all icontains-any starts-with ends-with regex "
        "is-json contains-json json-schema is-xml word-count levenshtein rouge-n bleu meteor similar cost latency "
        "is-refusal is-valid-tool-call tool-call-f1 python llm-rubric factuality select-best assert-set gt gte lt lte"
    )
    assert set(named.split()) <= set(KINDS)
    assert {name for name, kind in KINDS.items() if kind.judged} == JUDGED


def test_every_assertion_has_a_line_in_the_documentation() -> None:
    page = (REPOSITORY / "docs/assertions.md").read_text(encoding="utf-8")
    assert [name for name in (*KINDS, *ALIASES) if f"`{name}`" not in page] == []


def test_what_may_stand_alone_is_read_alone() -> None:
    for name in BARE_NAMES:
        for written in (name, f"not-{name}"):
            (assertion,) = parse_assertions([written], Origin())
            assert assertion.inverted == written.startswith("not-")


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", ("a",)),
        ("a.b-c", ("a", "b-c")),
        ("a[0].b", ("a", 0, "b")),
        ("a.0.b", ("a", 0, "b")),
        ("0", (0,)),
        ("[2][3]", (2, 3)),
        ("a['b c'][\"d.e\"]", ("a", "b c", "d.e")),
        ("العنوان.المدينة", ("العنوان", "المدينة")),
        ("", None),
        (".a", None),
        ("a.", None),
        ("a b", None),
        ("a[", None),
        ("a[x]", None),
        ("a['b']c", None),
        (3, None),
        (["a"], None),
    ],
)
def test_a_path_is_read_or_refused(path: Any, steps: tuple[Any, ...] | None) -> None:
    assert path_steps(path) == steps


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("abc", 3),
        (r"\d{4}-\d{2}", 7),
        ("(ab){3}", 6),
        ("((a{3}){4}){5}", 60),
        ("[a-z]{10}", 10),
        ("[]{9}]", 1),
        (r"\{9}", 3),
        ("a{2,5}", 5),
        ("a{,5}", 5),
        ("a{x}", 4),
        ("a{", 2),
        ("(?:a{99}){99}", 9801),
    ],
)
def test_the_size_of_a_pattern_is_known_before_it_is_compiled(pattern: str, size: int) -> None:
    assert unrolled_size(pattern) <= size * 1.02 + 2
    assert unrolled_size(pattern) >= size - 1


def test_the_size_of_a_pattern_that_would_need_all_memory_is_out_of_bounds() -> None:
    for pattern in (
        "(?:(?:a{1000}){1000}){1000}",
        "(((a{99}){99}){99}){99}",
        "[ab]{99999}",
        "(.{9999}|b){9}",
        "a{9}{9}{9}{9}{9}",
    ):
        assert unrolled_size(pattern) > MAX_UNROLLED_SIZE


def test_a_suite_with_bad_cases_names_each_place(tmp_path: Path) -> None:
    text = (
        "prompt: p\ncases:\n  - {inputs: {a: b}, assert: [{regex: '('}]}\n  - {assert: [contans]}\ncompat: promptfo\n"
    )
    problems = suite_problems(overlaid(read_yaml(text, file="s.yaml"), None))
    places = {problem.place for problem in problems}
    assert places == {"s.yaml:3:39", "s.yaml:4:15", "s.yaml:5:9"}
