"""The file of a recorded request: what it looks like, what reads it back, and what is refused in it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cache_samples import arguments
from hypothesis import given
from hypothesis import strategies as st

from promptstudio.cache.cassette import Answer, Cassette, cassette_text, raw_of, read_cassette
from promptstudio.cache.difference import differences, nearest
from promptstudio.cache.request import content_id, content_of
from promptstudio.errors import UserError

REQUEST = content_of(
    arguments("Say hello to Ada.\nBe brief.", temperature=0.2, tools=[{"type": "function", "function": {"name": "f"}}]),
    "openai/m",
)
CALL = {"id": "call_9", "type": "function", "function": {"name": "f", "arguments": '{"city": "Tel Aviv", "n": 2}'}}
ANSWER = Answer(
    number=1,
    message={"role": "assistant", "content": "Hello,\nAda.", "reasoning_content": "hm", "tool_calls": [CALL]},
    finish_reason="stop",
    model="m-2026",
    usage={"input_tokens": 5, "output_tokens": 7, "cached_tokens": 1, "reasoning_tokens": 2},
    cost_usd=Decimal("0.00125"),
    duration_ms=812,
    pieces=(7, 4),
    reasoning_pieces=(2,),
)
CASSETTE = Cassette("tapes/greet-x.yaml", content_id(REQUEST), "greet", REQUEST, (ANSWER,))
FILE = f"""\
# A recorded request and its answers; `ps cassette verify` checks that they still belong together.
cassette: 1
id: {content_id(REQUEST)}
prompt: greet
request:
  model: openai/m
  parameters:
    temperature: 0.2
  messages:
    - role: user
      content: |-
        Say hello to Ada.
        Be brief.
  tools:
    - type: function
      function:
        name: f
answers:
  - number: 1
    text: |-
      Hello,
      Ada.
    reasoning: hm
    tool_calls:
      - name: f
        id: call_9
        arguments_json:
          city: Tel Aviv
          n: 2
    finish_reason: stop
    model: m-2026
    usage:
      input_tokens: 5
      output_tokens: 7
      cached_tokens: 1
      reasoning_tokens: 2
    cost_usd: '0.00125'
    duration_ms: 812
    pieces: 7 4
    reasoning_pieces: '2'
complete: true
"""


def test_the_file_reads_like_a_conversation() -> None:
    assert cassette_text(CASSETTE) == FILE


def test_the_file_reads_back_as_what_was_written() -> None:
    assert read_cassette(FILE, CASSETTE.file) == CASSETTE
    assert CASSETTE.is_genuine


def test_an_answer_becomes_the_completion_it_was() -> None:
    raw = raw_of(ANSWER, CASSETTE.id)
    message = raw["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"], message["tool_calls"]) == ("Hello,\nAda.", "hm", [CALL])
    assert raw["usage"]["total_tokens"] == 12
    assert raw["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"a":1,"b":[true,null,1.5]}',
        '{"a": "\\u05e9"}',
        '{\n  "a": 1\n}',
        '{"a": 1, "a": 2}',
        '{"a": 1e5}',
        "[1,2",
        "{}",
        " {}",
        '{"a": "\\ud800"}',
        "1.0",
        "",
        "null",
        "a\r\nb",
        "tab\there \x07",
        "اكتب ترحيبًا\nקצר",
        "  lead\ntrail  \n\n",
        "<<<<<<< ours\n=======\n",
    ],
)
def test_every_text_comes_back_to_the_letter(text: str) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": text}}
    answer = Answer(1, {"role": "assistant", "content": text, "tool_calls": [call]}, "stop", "m")
    cassette = replace(CASSETTE, answers=(answer,))
    assert read_cassette(cassette_text(cassette), CASSETTE.file) == cassette


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.text(), plain)
def test_whatever_a_model_says_comes_back_to_the_letter(text: str, value: Any) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps(value)}}
    answer = Answer(1, {"role": "assistant", "content": text, "tool_calls": [call]}, "stop", "m")
    cassette = replace(CASSETTE, answers=(answer,))
    assert read_cassette(cassette_text(cassette), CASSETTE.file) == cassette


def test_an_answer_that_says_the_same_changes_nothing() -> None:
    call = {**CALL, "id": "call_new"}
    new = replace(
        ANSWER,
        message={**ANSWER.message, "tool_calls": [call]},
        duration_ms=99,
        cost_usd=Decimal(1),
        usage={},
        pieces=(),
    )
    assert CASSETTE.with_answer(new) == CASSETTE
    assert CASSETTE.with_answer(replace(new, finish_reason="length")) != CASSETTE


def test_answers_are_kept_in_order_of_their_number() -> None:
    more = CASSETTE.with_answer(replace(ANSWER, number=3)).with_answer(replace(ANSWER, number=2))
    assert [one.number for one in more.answers] == [1, 2, 3]


@pytest.mark.parametrize(
    ("old", "new", "place", "fact"),
    [
        ("cassette: 1\n", "cassette: 2\n", "2:", "this is no cassette of format 1"),
        ("cassette: 1\n", "", "2:", "this is no cassette of format 1"),
        ("prompt: greet\n", "prompt: greet\nnote: x\n", "5:", "unknown key 'note'"),
        ("    finish_reason: stop\n", "    finish_raeson: stop\n", "30:", "unknown key 'finish_raeson'"),
        ("prompt: greet\n", "prompt: 5\n", "4:", "prompt: expected text, found the number 5"),
        ("  - number: 1\n", "  - number: 0\n", "19:", "answers are counted from 1"),
        ("  - number: 1\n", "  - number: true\n", "19:", "expected an integer, found true"),
        ("'0.00125'", "'much'", "37:", "expected dollars"),
        ("'0.00125'", "'NaN'", "37:", "expected dollars"),
        ("pieces: 7 4", "pieces: 7 x", "39:", "expected lengths"),
        ("        id: call_9\n", "", "25:", "the key 'id' is missing"),
        ("    text: |-\n      Hello,\n      Ada.\n", "    text: 7\n", "20:", "expected text, found the number 7"),
        ("answers:\n", "answers: []\nx-rest:\n", "19:", "unknown key"),
        ("request:\n", "request: &a\n", "", ""),
        ("request:\n", "request: !!python/object:os.system\n", "5:", "the tag"),
    ],
)
def test_a_fault_in_the_file_is_named_with_its_place(old: str, new: str, place: str, fact: str) -> None:
    assert old in FILE
    text = FILE.replace(old, new, 1)
    if not fact:
        assert read_cassette(text, "f.yaml") is not None
        return
    with pytest.raises(UserError) as caught:
        read_cassette(text, "f.yaml")
    assert str(caught.value).startswith(f"f.yaml:{place}")
    assert fact in str(caught.value)
    assert caught.value.hint or "tag" in fact


@pytest.mark.parametrize("length", range(0, len(FILE) - 2, 13))
def test_a_truncated_file_is_an_error_with_a_place(length: int) -> None:
    with pytest.raises(UserError) as caught:
        read_cassette(FILE[:length], "f.yaml")
    assert str(caught.value).startswith("f.yaml")


def test_a_file_of_two_answers_with_one_number_is_refused() -> None:
    answers = FILE[FILE.index("  - number: 1") : FILE.index("complete")]
    doubled = FILE.replace("complete: true", answers + "complete: true")
    with pytest.raises(UserError, match="two answers have the same number"):
        read_cassette(doubled, "f.yaml")


def test_a_request_that_was_edited_no_longer_fits_its_id() -> None:
    assert not read_cassette(FILE.replace("Be brief", "Be long"), "f.yaml").is_genuine
    assert not read_cassette(FILE.replace("0.2", "0.3"), "f.yaml").is_genuine
    assert read_cassette(FILE.replace("Hello,", "Hi,"), "f.yaml").is_genuine


def test_what_differs_is_said_in_short_sentences() -> None:
    other = content_of(arguments("Say hello to Bob.\nBe brief.", seed=7, temperature=0.5), "openai/n")
    assert differences(REQUEST, other) == [
        "model is 'openai/m' and was 'openai/n'",
        "parameters.temperature is 0.2 and was 0.5",
        "messages[0].content is 'Say hello to Ada.\\nBe brief.' and was 'Say hello to Bob.\\nBe brief.'",
        "tools[0].type is 'function' and was not there",
        "and 2 more",
    ]


def test_the_nearest_request_is_the_one_with_most_in_common() -> None:
    others = [("far", content_of(arguments("Nothing alike"), "x/y")), ("near", {**REQUEST, "parameters": {"seed": 1}})]
    assert nearest(REQUEST, others) == "near"
    assert nearest(REQUEST, []) is None


def test_the_file_in_the_documentation_is_one_that_replays() -> None:
    page = (Path(__file__).parents[2] / "docs/cassettes.md").read_text(encoding="utf-8")
    cassette = read_cassette(page.split("```yaml\n")[1].split("```")[0], "docs/cassettes.md")
    assert cassette.id == content_id(cassette.request)
    assert cassette.answers[0].message["content"] == "Hello, Ada."
    assert sum(cassette.answers[0].pieces) == len("Hello, Ada.")
