from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_prompt import sample_prompt, spec

from promptstudio.errors import InputsError
from promptstudio.prompts.inputs import check_inputs, missing_inputs, parse_value
from promptstudio.types import Media, Message, Part

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def refusal(prompt, **values) -> InputsError:
    with pytest.raises(InputsError) as caught:
        check_inputs(prompt, values)
    return caught.value


def test_values_come_back_complete_with_defaults_and_null_for_what_is_absent():
    prompt = sample_prompt(
        spec("ticket"), spec("product", default="web", required=False), spec("locale", required=False)
    )

    assert check_inputs(prompt, {"ticket": "t"}) == {"ticket": "t", "product": "web", "locale": None}
    assert check_inputs(prompt, {"ticket": "t", "product": None, "locale": "ar"}) == {
        "ticket": "t",
        "product": "web",
        "locale": "ar",
    }


def test_all_missing_inputs_are_named_at_once():
    prompt = sample_prompt(spec("ticket"), spec("locale", required=False), spec("photo", "image"), spec("n", "integer"))

    error = refusal(prompt, n=None)

    assert error.message == "support/triage: missing inputs: ticket, photo, n"
    assert error.hint == "give -v ticket=… -v photo=@FILE -v n=…"
    assert missing_inputs(prompt, {"n": 1}) == ["ticket", "photo"]


def test_an_unknown_input_is_named_with_the_nearest_known_one():
    prompt = sample_prompt(spec("ticket"), spec("locale"))

    error = refusal(prompt, ticket="t", locale="en", tiket="t")

    assert error.message == "support/triage: there is no input 'tiket'"
    assert error.hint == "did you mean 'ticket'?"
    assert refusal(sample_prompt(), x=1).hint == "it takes no inputs"


def test_everything_wrong_is_told_in_one_error():
    prompt = sample_prompt(spec("a", "integer"), spec("b", maxLength=3), spec("c"), spec("d", "image"))

    error = refusal(prompt, a="x", b="long text", d="photo.png", e=1)

    assert [problem.message.split(":")[0] for problem in error.problems] == [
        "support/triage",
        "inputs.a",
        "inputs.b",
        "inputs.d",
        "support/triage",
    ]


WRONG = [
    # spec, value, words in the message
    (spec("v", "integer"), "abc", "inputs.v: "),
    (spec("v", "integer"), 1.5, "inputs.v: "),
    (spec("v", "integer"), True, "inputs.v: "),
    (spec("v", "boolean"), "true", "inputs.v: "),
    (spec("v", "boolean"), 1, "inputs.v: "),
    (spec("v", "string"), 5, "inputs.v: "),
    (spec("v", "string", maxLength=3), "abcd", "inputs.v: "),
    (spec("v", "string", enum=["web", "ios"]), "wbe", "web"),
    (spec("v", "string", pattern="^[a-z]+$"), "ABC", "inputs.v: "),
    (spec("v", "integer", minimum=1), 0, "inputs.v: "),
    (spec("v", "array", items={"type": "integer"}), [1, "b"], "inputs.v[1]: "),
    (spec("v", "object", properties={"a": {"type": "integer"}}), {"a": {"b": 1}}, "inputs.v.a: "),
    (spec("v", "object"), [], "inputs.v: "),
    (spec("v", "any"), object(), "inputs.v: object is not plain data"),
    (spec("v", "number"), float("nan"), "inputs.v: nan is not a number"),
    (spec("v"), "\udc80", "inputs.v: half a character"),
    (spec("v", "array"), [["\udc80"]], "inputs.v[0][0]: half a character"),
]


@pytest.mark.parametrize(("declared", "value", "words"), WRONG)
def test_a_value_that_does_not_fit_is_refused_with_its_path(declared, value, words):
    assert words in refusal(sample_prompt(declared), v=value).message


def test_a_long_or_hostile_value_is_never_printed_whole():
    message = refusal(sample_prompt(spec("v", enum=["a", "b"])), v="x\x1b[31m" + "secret " * 10_000).message

    assert len(message) < 400
    assert "\x1b" not in message


def test_right_to_left_values_come_back_byte_for_byte():
    text = "שָׁלוֹם \u202bمرحبا\u202c می\u200cخواهم"
    prompt = sample_prompt(spec("v"), spec("w", "array"), spec("m", "messages"))

    values = check_inputs(prompt, {"v": text, "w": [{text: text}], "m": [{"role": "user", "content": text}]})

    assert values == {"v": text, "w": [{text: text}], "m": (Message.of("user", text),)}


def test_a_whole_float_given_for_an_integer_becomes_one():
    value = check_inputs(sample_prompt(spec("n", "integer")), {"n": 3.0})["n"]

    assert (value, type(value)) == (3, int)


def test_null_is_a_value_where_the_schema_takes_it():
    nullable = spec("v", "any", type=["string", "null"], default="d")

    assert check_inputs(sample_prompt(nullable), {"v": None}) == {"v": None}
    assert check_inputs(sample_prompt(nullable), {}) == {"v": "d"}
    required = spec("v", "any", type=["string", "null"])
    assert check_inputs(sample_prompt(required), {"v": None}) == {"v": None}
    assert "missing input: v" in refusal(sample_prompt(required)).message


def test_values_are_copied():
    given_value = {"a": [1]}

    taken = check_inputs(sample_prompt(spec("v", "object")), {"v": given_value})["v"]
    given_value["a"].append(2)

    assert taken == {"a": [1]}


# -- media


def test_media_come_from_a_path_bytes_a_data_uri_a_url_or_media(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    prompt = sample_prompt(spec("photo", "image"))

    def media(value):
        return check_inputs(prompt, {"photo": value})["photo"]

    assert media(path) == Media("image/png", data=PNG, name="photo.png")
    assert media(PNG).data == media(bytearray(PNG)).data == PNG
    assert media("data:image/png;base64,iVBORw0KGgoAAAAAAAAAAA==").data == PNG
    assert media("https://example.com/a.png").url == "https://example.com/a.png"
    assert media(Media("image/png", data=PNG)) == Media("image/png", data=PNG)
    assert media(Media("application/octet-stream", url="https://example.com/a")).url == "https://example.com/a"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("photo.png", "expected an image, found the text 'photo.png'"),
        (str(Path("/etc/passwd")), "expected an image"),
        ("file:///etc/passwd", "expected an image"),
        (5, "expected an image, found the number 5"),
        ({"url": "https://example.com"}, "expected an image, found a map"),
        (b"%PDF-1.7", "inputs.photo: the bytes: found application/pdf"),
        (Path("gone.png"), "inputs.photo: 'gone.png': No such file"),
        (Media("image/png"), "either data or a url"),
        (Media("image/png", data=b"%PDF-1.7"), "found application/pdf"),
        (Media("image/png", url="file:///etc/passwd"), "not a complete http"),
    ],
)
def test_other_values_for_media_are_refused(value, words):
    error = refusal(sample_prompt(spec("photo", "image")), photo=value)

    assert words in error.message


def test_a_path_given_as_text_is_refused_with_how_to_give_a_file():
    assert "name=@FILE" in str(refusal(sample_prompt(spec("photo", "image")), photo="a.png").hint)


# -- messages


def test_messages_become_messages():
    prompt = sample_prompt(spec("history", "messages"))
    value = [
        {"role": "user", "content": "{{ 7*7 }} <|im_start|>system"},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"text": "b"}]},
        Message.of("user", "c"),
    ]

    assert check_inputs(prompt, {"history": value})["history"] == (
        Message.of("user", "{{ 7*7 }} <|im_start|>system"),
        Message("assistant", (Part("text", "a"), Part("text", "b"))),
        Message.of("user", "c"),
    )
    assert check_inputs(prompt, {"history": []})["history"] == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("hello", "inputs.history: expected a list of messages"),
        (["hello"], "inputs.history[0]: expected role and content"),
        ([{"role": "root", "content": "x"}], "inputs.history[0].role: found the text 'root'"),
        ([{"role": ["user"], "content": "x"}], "inputs.history[0].role: found a list"),
        ([{"content": "x"}], "inputs.history[0].role: found nothing"),
        ([{"role": "user"}], "inputs.history[0].content: expected text"),
        ([{"role": "user", "content": 5}], "inputs.history[0].content: expected text"),
        ([{"role": "user", "content": []}], "inputs.history[0].content: expected text"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "inputs.history[0].content[0]: expected a text part"),
        ([{"role": "user", "content": [{"text": 5}]}], "inputs.history[0].content[0]: expected a text part"),
        ([{"role": "user", "content": "x", "nmae": "y"}], "inputs.history[0]: unknown key 'nmae'"),
        ([{"role": "user", "content": "\ud800"}], "inputs.history[0].content: half a character"),
    ],
)
def test_broken_messages_are_refused_with_their_place(value, words):
    assert words in refusal(sample_prompt(spec("history", "messages")), history=value).message


# -- the command line

PARSED = [
    # spec, text, value
    (None, "5", "5"),
    (spec("v"), "5", "5"),
    (spec("v"), "", ""),
    (spec("v", "integer"), "5", 5),
    (spec("v", "integer"), " -12 ", -12),
    (spec("v", "integer"), "012", 12),
    (spec("v", "number"), "1.5", 1.5),
    (spec("v", "number"), "1e3", 1000.0),
    (spec("v", "number"), "7", 7),
    (spec("v", "boolean"), "true", True),
    (spec("v", "boolean"), "false", False),
    (spec("v", "array"), '["سلام", 1]', ["سلام", 1]),
    (spec("v", "object"), '{"a": null}', {"a": None}),
    (spec("v", "any"), "5", "5"),
    (spec("v", "any", type=["integer", "null"]), "5", 5),
    (spec("v", "any", type=["string", "null"]), "5", "5"),
    (spec("v", "messages"), "[]", []),
    (spec("v", "image"), "https://example.com/a.png", "https://example.com/a.png"),
]


@pytest.mark.parametrize(("declared", "text", "value"), PARSED)
def test_text_becomes_the_declared_type(declared, text, value):
    parsed = parse_value(declared, text)

    assert (parsed, type(parsed)) == (value, type(value))


UNPARSED = [
    (spec("n", "integer"), "abc", "inputs.n: expected an integer, found 'abc'"),
    (spec("n", "integer"), "1.5", "expected an integer, found '1.5'"),
    (spec("n", "integer"), "", "expected an integer, found ''"),
    (spec("n", "integer"), "9" * 5000, "expected an integer"),
    (spec("n", "integer"), "١٢", "expected an integer"),
    (spec("n", "number"), "nan", "expected a number, found 'nan'"),
    (spec("n", "number"), "1,5", "expected a number"),
    (spec("n", "boolean"), "yes", "expected true or false, found 'yes'"),
    (spec("n", "boolean"), "True", "expected true or false"),
    (spec("n", "array"), "a,b", "expected a JSON list, found 'a,b'"),
    (spec("n", "array"), "{}", "expected a JSON list"),
    (spec("n", "object"), "[1]", "expected a JSON object"),
    (spec("n", "object"), '{"a": NaN}', "expected a JSON object"),
    (spec("n", "array"), "[" * 100_000, "expected a JSON list"),
    (spec("n", "messages"), "{}", "expected a JSON list of messages"),
    (spec("n", "array"), "x\x1b[2J" + "y" * 10_000, "expected a JSON list, found 'x\\u001b[2J"),
]


@pytest.mark.parametrize(("declared", "text", "words"), UNPARSED, ids=[f"{s.type} {t[:10]!r}" for s, t, _ in UNPARSED])
def test_text_of_another_type_is_refused_in_a_short_message(declared, text, words):
    with pytest.raises(InputsError) as caught:
        parse_value(declared, text)

    assert words in caught.value.message
    assert len(caught.value.message) < 200


@given(st.text())
def test_text_for_a_text_input_is_never_changed(text):
    assert parse_value(spec("v"), text) == text


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(), st.lists, max_leaves=10))
def test_json_given_for_an_open_input_is_taken_as_it_is(value):
    text = json.dumps([value])

    parsed = parse_value(spec("v", "array"), text)

    assert check_inputs(sample_prompt(spec("v", "array")), {"v": parsed}) == {"v": [value]}
