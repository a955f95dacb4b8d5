"""What differs between two versions: messages, examples, tokens; what is asked for; and the faces of the answer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from promptstudio.errors import NotFoundError, UsageError
from promptstudio.prompts.hashes import Identity
from promptstudio.prompts.identity import content_hash
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.versions.diff.ask import Meanings, Question, question_of, question_with_dashes, range_of
from promptstudio.versions.diff.compare import compare
from promptstudio.versions.diff.json_form import comparison_json
from promptstudio.versions.diff.markdown import MAX_CHARACTERS, fenced, inline, markdown
from promptstudio.versions.diff.rows import Comparison, Found, PromptRow, Version
from promptstudio.versions.diff.schema import Diff, MessageChange
from promptstudio.versions.diff.show import Look, page
from promptstudio.versions.diff.verdict import verdict_of


def turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def version(*messages: dict[str, Any], name: str = "greet", **parts: Any) -> Snapshot:
    behavior = {
        "interface": {"inputs": {}, "output": None},
        "messages": list(messages),
        "examples": [], "tools": [], "model": "offline/echo", "parameters": {}, "fallbacks": [],
        "retry": {"max_attempts": 3, "timeout": 60.0}, "reask": None,
        **parts,
    }  # fmt: skip
    hashes = Identity(content_hash(behavior), content_hash(behavior["interface"]), content_hash(behavior["messages"]))
    return Snapshot(name, f"prompts/{name}.yaml", "1.0.0", {}, behavior, hashes)


def changes(old: Snapshot, new: Snapshot) -> list[tuple[str, str, int | None, int | None]]:
    return [(one.kind, one.role, one.old_index, one.new_index) for one in compare(old, new).messages]


SYSTEM, USER = turn("system", "You are a kind and patient helper."), turn("user", "Tell me about {{ topic }}.")


# -- messages ---------------------------------------------------------------------------------------------------------


def test_a_reworded_message_is_matched_with_its_old_self() -> None:
    new = version(turn("system", "You are a kind and quick helper."), USER)

    assert changes(version(SYSTEM, USER), new) == [("changed", "system", 0, 0), ("same", "user", 1, 1)]


def test_messages_that_come_and_go_are_told_apart_from_those_that_change() -> None:
    extra = turn("assistant", "Of course, what would you like to know?")

    assert changes(version(SYSTEM, USER), version(SYSTEM, extra, USER)) == [
        ("same", "system", 0, 0), ("added", "assistant", None, 1), ("same", "user", 1, 2),
    ]  # fmt: skip
    assert changes(version(SYSTEM, extra, USER), version(SYSTEM, USER)) == [
        ("same", "system", 0, 0), ("removed", "assistant", 1, None), ("same", "user", 2, 1),
    ]  # fmt: skip


def test_a_message_that_moved_is_said_to_have_moved() -> None:
    first, second, third = (turn("user", text) for text in ("alpha beta gamma", "delta epsilon", "eta theta iota"))

    found = changes(version(first, second, third), version(third, first, second))

    assert found == [("moved", "user", 2, 0), ("same", "user", 0, 1), ("same", "user", 1, 2)]


def test_the_most_similar_message_of_the_role_is_the_partner() -> None:
    one, two = turn("user", "the red fox jumps over the dog"), turn("user", "a ship sails on the open sea")
    new_two, new_one = turn("user", "a ship sails on the calm sea"), turn("user", "the red fox leaps over the dog")

    found = changes(version(one, two), version(new_two, new_one))

    assert {(new, old) for _, _, old, new in found} == {(0, 1), (1, 0)}


def test_a_message_that_says_something_else_is_another_one() -> None:
    found = changes(version(turn("system", "alpha beta")), version(turn("system", "gamma delta")))

    assert [kind for kind, *_ in found] == ["removed", "added"]


def test_a_new_role_with_the_same_words_is_one_change() -> None:
    found = compare(version(SYSTEM, USER), version({**SYSTEM, "role": "developer"}, USER)).messages[0]

    assert (found.kind, found.old_role, found.role, found.segments) == ("changed", "system", "developer", ())


def test_parts_and_media_are_lines_of_their_own() -> None:
    old = version({"role": "user", "parts": [{"text": "Look at this"}]})
    new = version({"role": "user", "parts": [{"text": "Look at this"}, {"image": "photo"}]})

    found = compare(old, new).messages[0]

    assert [part.text for part in found.segments if part.kind == "added"] == ["[text]\n", "\n[image: photo]"]


def test_thousands_of_messages_are_matched_too() -> None:
    old = version(*(turn("user", f"message {number} about things") for number in range(8_000)))
    new = version(*(turn("user", f"message {number} about stuff") for number in range(8_000)))

    assert len(compare(old, new).messages) >= 8_000


def test_long_messages_that_all_differ_are_compared_in_bounded_time() -> None:
    texts = [" ".join(f"w{number * place}" for place in range(1_000)) for number in range(1, 61)]
    old, new = ([turn("user", text) for text in part] for part in (texts[:30], texts[30:]))

    assert len(compare(version(*old), version(*new)).messages) >= 30


# -- sections ---------------------------------------------------------------------------------------------------------


def section(diff: Diff, title: str) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for part in diff.sections if part.title == title for one in part.changes]


def test_examples_are_aligned() -> None:
    one, two, three = ({"inputs": {"n": number}, "output": f"answer {number}"} for number in range(3))
    other = {"inputs": {"n": 2}, "output": "another answer"}

    found = compare(version(examples=[one, two, three]), version(examples=[one, other]))

    assert section(found, "examples") == [("removed", "[1]"), ("changed", "[1]")]


def test_the_order_of_fallbacks_counts_and_is_a_move() -> None:
    found = compare(version(fallbacks=["a", "b", "c"]), version(fallbacks=["c", "a", "b"]))

    assert section(found, "fallbacks") == [("moved", "[2] → [0]")]


def test_true_is_not_one_and_five_is_five_point_zero() -> None:
    assert section(compare(version(parameters={"x": True}), version(parameters={"x": 1})), "parameters")
    assert not compare(version(parameters={"x": 5}), version(parameters={"x": 5.0})).sections


def test_a_variant_is_shown_where_it_differs_in_its_own_way() -> None:
    def with_variant(model: str, limit: int) -> Snapshot:
        variant = version(SYSTEM, model=model, parameters={"max_tokens": limit})
        return replace(version(SYSTEM, model=model), variants={"short": variant})

    assert not compare(with_variant("a/x", 20), with_variant("b/x", 20)).variants
    assert list(compare(with_variant("a/x", 20), with_variant("b/x", 30)).variants) == ["short"]


def test_a_prompt_on_one_side_only_is_shown_whole() -> None:
    found = compare(None, version(SYSTEM, tools=["search"]), count=len)

    assert (found.old, found.new_tokens) == (None, 34)
    assert [one.kind for one in found.messages] == ["added"]
    assert section(found, "tools") == [("added", "[0]")]


# -- what is asked for ------------------------------------------------------------------------------------------------

KNOWN = Meanings({"HEAD", "main", "v1", "both"}.__contains__, {"greet", "a/b", "both"}.__contains__)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Question()),
        (["main"], Question("main")),
        (["main", "v1"], Question("main", "v1")),
        (["main..v1"], Question("main", "v1")),
        (["main.."], Question("main", "HEAD")),
        (["..v1"], Question("HEAD", "v1")),
        (["main...v1"], Question("main", "v1", from_fork=True)),
        (["greet"], Question(prompts=("greet",))),
        (["main", "greet"], Question("main", prompts=("greet",))),
        (["main..v1", "greet", "a/b"], Question("main", "v1", prompts=("greet", "a/b"))),
        (["greet", "a/b"], Question(pair=("greet", "a/b"))),
        (["greet", "greet:short"], Question(pair=("greet", "greet:short"))),
        (["greet@main", "greet@v1"], Question(pair=("greet@main", "greet@v1"))),
        (["greet:short@main"], Question(pair=("greet:short@main", "greet:short"))),
        (["greet@main..v1"], Question("main", "v1", prompts=("greet",))),
        (["./prompts/greet.yaml"], Question(prompts=("./prompts/greet.yaml",))),
        (["../x/greet.yaml"], Question(prompts=("../x/greet.yaml",))),
        (["HEAD~3"], Question("HEAD~3")),
        (["main@{1}"], Question("main@{1}")),
        (["unknown"], Question(prompts=("unknown",))),
    ],
)
def test_words_are_read_as(words: list[str], expected: Question) -> None:
    assert question_of(words, (), KNOWN) == expected


def test_a_word_with_two_meanings_is_refused_with_both_ways_to_write_it() -> None:
    with pytest.raises(UsageError, match="'both' is a revision and a prompt") as caught:
        question_of(["both"], (), KNOWN)

    assert caught.value.hint == "`ps diff both --` means the revision, `ps diff -- both` the prompt"
    assert question_with_dashes(["both"], [], KNOWN) == Question("both")
    assert question_with_dashes([], ["both"], KNOWN) == Question(prompts=("both",))


@pytest.mark.parametrize("words", [["main", "v1", "HEAD"], ["main..v1", "HEAD"], ["main..v1", "v1..main"]])
def test_more_than_two_revisions_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="more than two revisions"):
        question_of(words, (), KNOWN)


def test_a_revision_beside_a_prompt_with_its_own_is_refused() -> None:
    with pytest.raises(UsageError, match="names its own revision"):
        question_of(["main", "greet@v1"], (), KNOWN)


def test_before_the_dashes_stand_revisions_only() -> None:
    with pytest.raises(NotFoundError, match="there is no revision 'greet'"):
        question_with_dashes(["greet"], [], KNOWN)


def test_a_range_has_two_ends() -> None:
    assert range_of("a..b") == ("a", "b", False)
    assert range_of("a...") == ("a", "HEAD", True)
    with pytest.raises(UsageError, match="'a' is not a range"):
        range_of("a")


# -- faces ------------------------------------------------------------------------------------------------------------

NASTY = (
    "```\n````js\n<script>alert(1)</script> @everyone | [x](http://evil) \x1b[31m \u202e #1 www.evil.com\n</details>"
)


def text_of(diff: Diff, look: Look) -> str:
    return "\n".join("".join(text for text, _ in line) for line in page(diff, look))


def comparison(old: Snapshot | None, new: Snapshot | None) -> tuple[Comparison, list[Diff | None]]:
    row = PromptRow(Found("p", None, old), Found("p", None, new), verdict_of(old, new))
    return Comparison(Version("HEAD", "a" * 40), Version("working tree"), (row,)), [compare(old, new)]


def test_without_color_words_stand_between_marks() -> None:
    diff = compare(version(turn("user", "مرحبا يا صديقي")), version(turn("user", "أهلا يا صديقي")))

    assert "      [-مرحبا-]{+أهلا+} يا صديقي" in text_of(diff, Look()).splitlines()
    assert "      مرحباأهلا يا صديقي" in text_of(diff, Look(marked=False)).splitlines()


def test_blanks_that_come_or_go_can_be_seen() -> None:
    diff = compare(version(turn("user", "a b")), version(turn("user", "a  b\n")))

    assert "a[-·-]{+··+}b{+⏎+}" in text_of(diff, Look())


def test_unchanged_lines_are_left_out_as_far_as_asked() -> None:
    lines = [f"line {number}" for number in range(20)]
    diff = compare(version(turn("user", "\n".join(lines))), version(turn("user", "\n".join([*lines, "end"]))))

    assert "… 17 unchanged lines" in text_of(diff, Look(context=2))
    assert "… 19 unchanged lines" in text_of(diff, Look(context=0))
    assert "unchanged line" not in text_of(diff, Look(context=None))


def test_a_long_line_is_shown_around_the_change() -> None:
    text = "word " * 2000
    found = text_of(compare(version(turn("user", text + "end")), version(turn("user", text + "finish"))), Look())

    assert "[-end-]{+finish+}" in found
    assert max(map(len, found.splitlines())) < 400


def test_markdown_keeps_what_people_wrote_in_code() -> None:
    found, diffs = comparison(version(turn("user", "hello")), version(turn("user", NASTY), name="a|b@c`d`"))

    text = markdown(found, diffs)

    fence = re.search(r"^(`{5,})text\n(.*?)^\1$", text, re.MULTILINE | re.DOTALL)
    assert fence
    outside = text.replace(fence[0], "")
    assert "<script>" in fence[2]
    assert not re.search(r"<script>|@everyone|@c|\x1b|\u202e|\|b", outside)
    assert outside.count("</details>") == outside.count("<details>") == 1
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("text", ["a ``` b", "````````", "~~~", "`", ""])
def test_a_fence_is_longer_than_what_it_holds(text: str) -> None:
    opening, *inside, closing = fenced(text).split("\n")

    assert inside == text.split("\n")
    assert opening == closing
    assert opening not in text


def test_inside_a_line_every_mark_is_an_entity() -> None:
    assert inline("a|b <i> *x* `y` @me www.x.io") == (
        "<code>a&#124;b &#60;i&#62; &#42;x&#42; &#96;y&#96; &#64;me www&#46;x.io</code>"
    )
    assert inline("two\nlines") == "<code>two lines</code>"


def test_markdown_stays_below_the_size_of_a_comment() -> None:
    found, diffs = comparison(version(turn("user", "x")), version(turn("user", "y " * 1500)))
    many = Comparison(found.old, found.new, found.rows * 300)

    text = markdown(many, diffs * 300)

    assert len(text) < MAX_CHARACTERS + 200
    assert "more prompts are left out" in text


def test_json_has_the_same_keys_whatever_differs() -> None:
    full = comparison_json(*comparison(version(SYSTEM), version(USER)))
    bare = comparison_json(comparison(None, version(USER))[0], [None])

    assert set(full["prompts"][0]) == set(bare["prompts"][0])
    assert bare["prompts"][0]["messages"] is None
    assert full["verdict"] == "MINOR"
    assert full["counts"] == {"MAJOR": 0, "MINOR": 1, "PATCH": 0, "NONE": 0}
    json.dumps(full)


def test_a_message_change_is_a_frozen_value() -> None:
    with pytest.raises(AttributeError):
        MessageChange("same", "user").kind = "added"  # type: ignore[misc]
