"""Templates of other languages become Jinja that renders to the same text; what is written reads back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptstudio.errors import PromptFileError
from promptstudio.exchange.schema import Foreign
from promptstudio.exchange.writing import (
    Ledger,
    dollar_to_jinja,
    fstring_to_jinja,
    handlebars_to_jinja,
    handlebars_to_messages,
    input_name,
    jinja_to_jinja,
    literal_to_jinja,
    mustache_to_jinja,
    prompt_text,
    safe_name,
)
from promptstudio.prompts.schema import name_fault
from promptstudio.prompts.template import render_template
from promptstudio.prompts.yamlfile import dump_yaml, read_yaml, same_data

ITEMS = [{"title": "one"}, {"title": "two", "name": "own"}]


def ledger() -> Ledger:
    return Ledger(Foreign(Path("their.txt"), "their.txt", "", Path()))


def rendered(source: str, values: dict[str, Any]) -> str:
    return render_template(source, values, {})


# What the format's own engine makes of it, by its documentation.
MUSTACHE = [
    ("Hi {{name}}, {{{name}}}, {{&name}}!", {"name": "<Ada>"}, "Hi <Ada>, <Ada>, <Ada>!"),
    ("a{{! gone }}b\n  {{! the line goes }}\nc\n", {}, "ab\nc\n"),
    ("{{#items}}\n- {{title}} of {{name}}\n{{/items}}\n{{name}}", {"items": ITEMS, "name": "Ada"},
     "- one of Ada\n- two of own\nAda"),
    ("{{^items}}\nnone\n{{/items}}\nend", {"items": []}, "none\nend"),
    ("{{#tags}}<{{.}}>{{/tags}}", {"tags": ["a", "b"]}, "<a><b>"),
    ("{{#person}}{{first}} {{last}}{{/person}}", {"person": {"first": "Ada", "last": "L"}}, "Ada L"),
    ("{{=<% %>=}}<% name %> {{name}}", {"name": "Ada"}, "Ada {{name}}"),
    ("{% if x %} {# no #} {%{{x}}", {"x": "1"}, "{% if x %} {# no #} {%1"),
    ("{{a.b.c}}", {"a": {"b": {"c": "deep"}}}, "deep"),
    ("  {{#x}}kept{{/x}}  \n", {"x": True}, "  kept  \n"),
    ("مرحبا {{الاسم}}", {"الاسم": "آدا"}, "مرحبا آدا"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "wanted"), MUSTACHE)
def test_mustache_renders_as_mustache_does(text: str, values: dict[str, Any], wanted: str) -> None:
    assert rendered(mustache_to_jinja(text, ledger(), "text"), values) == wanted


def test_a_mustache_section_that_may_be_a_list_is_said_to_be_read_as_a_condition() -> None:
    notes = ledger()

    source = mustache_to_jinja("{{#vip}}Welcome back{{/vip}}", notes, "text")

    assert rendered(source, {"vip": True}) == "Welcome back"
    assert [(loss.severity, "'vip'" in loss.reason) for loss in notes.losses] == [("changed", True)]
    assert notes.optional == {"vip"}


def test_mustache_partials_are_put_in_place_and_may_not_go_round_in_circles() -> None:
    source = mustache_to_jinja("{{> a}}!", ledger(), "text", partials={"a": "[{{> b}}]", "b": "{{x}}"})
    assert rendered(source, {"x": "1"}) == "[1]!"

    with pytest.raises(PromptFileError, match="calls itself"):
        mustache_to_jinja("{{> a}}", ledger(), "text", partials={"a": "{{> a}}"})


@pytest.mark.parametrize("text", ["{{name", "{{#a}}x", "{{/a}}", "{{#a}}{{/b}}", "{{.}}", "{{> missing}}", "{{=x=}}"])
def test_broken_mustache_is_an_error_and_not_another_text(text: str) -> None:
    with pytest.raises(PromptFileError, match=r"their\.txt"):
        mustache_to_jinja(text, ledger(), "text")


HANDLEBARS = [
    ("{{#if a}}\nyes\n{{else if b}}\nmaybe\n{{else}}\nno\n{{/if}}\n", {"a": "", "b": "x"}, "maybe\n"),
    ("{{#unless a}}no{{/unless}}", {"a": None}, "no"),
    ("{{#each xs}}\n{{@index}}. {{this.title}}{{#if @last}} (last){{/if}}\n{{else}}\nnothing\n{{/each}}\n",
     {"xs": ITEMS}, "0. one\n1. two (last)\n"),
    ("{{#each xs}}x{{else}}nothing{{/each}}", {"xs": []}, "nothing"),
    ("{{#each xs}}{{name}}-{{../name}};{{/each}}", {"xs": ITEMS, "name": "Ada"}, "-Ada;own-Ada;"),
    ("{{#each m}}{{@key}}={{this}};{{/each}}", {"m": {"k": "v", "l": "w"}}, "k=v;l=w;"),
    ("{{#each xs as |x i|}}{{i}}{{x.title}} {{/each}}", {"xs": ITEMS}, "0one 1two "),
    ("{{#with p}}{{first}}{{../x}}{{/with}}", {"p": {"first": "Ada"}, "x": "!"}, "Ada!"),
    ("{{#ifEquals a 'x'}}same{{else}}other{{/ifEquals}}", {"a": "x"}, "same"),
    ("{{#unlessEquals a 2}}other{{/unlessEquals}}", {"a": 3}, "other"),
    ("{{json o indent=2}}", {"o": {"a": [1]}}, '{\n  "a": [\n    1\n  ]\n}'),
    (r"\{{not a tag}} {{a}}", {"a": "1"}, "{{not a tag}} 1"),
    ("a   {{~ x ~}}   b", {"x": "-"}, "a-b"),
    ("{{!-- {{gone}} --}}a", {}, "a"),
    ("{{xs.[0].title}} {{xs.1.title}} {{lookup m k}}", {"xs": ITEMS, "m": {"z": 1}, "k": "z"}, "one two 1"),
    ("{% raw %} {{{a}}} {#", {"a": "<b>"}, "{% raw %} <b> {#"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "wanted"), HANDLEBARS)
def test_handlebars_renders_as_handlebars_does(text: str, values: dict[str, Any], wanted: str) -> None:
    assert rendered(handlebars_to_jinja(text, ledger(), "text"), values) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "{{#if a}}",
        "{{/if}}",
        "{{else}}",
        "{{helper a b}}",
        "{{#repeat 3}}x{{/repeat}}",
        "{{#if (eq a b)}}x{{/if}}",
        "{{{{raw}}}}x{{{{/raw}}}}",
        "{{@auth.uid}}",
        "{{#if a}}{{role 'user'}}{{/if}}",
        "{{> nowhere}}",
        "{{#each xs}}{{../../x}}{{/each}}",
    ],
)
def test_handlebars_that_has_no_counterpart_is_an_error(text: str) -> None:
    with pytest.raises(PromptFileError):
        handlebars_to_jinja(text, ledger(), "text")


def test_roles_history_and_media_within_a_text_become_messages_and_parts() -> None:
    notes = ledger()
    text = 'Before. {{role "system"}}You are {{who}}.{{history}}{{role "user"}}See {{media url=photo}} now.'

    messages = handlebars_to_messages(text, notes, "body")

    assert messages == [
        {"role": "user", "content": "Before. "},
        {"role": "system", "content": "You are {{ who }}."},
        {"placeholder": "history"},
        {"role": "user", "content": [{"text": "See "}, {"image": "{{ photo }}"}, {"text": " now."}]},
    ]
    assert notes.inputs == {"who": "string", "history": "messages", "photo": "image"}


NUNJUCKS = [
    ("A\n  {% if x %}\n yes\n  {% endif %}\nB\n", {"x": True}, "A\n  \n yes\n  \nB\n"),
    ("A {# gone #}\nB", {}, "A \nB"),
    ("{%- if x -%} y {%- endif %} z", {"x": True}, "y z"),
    ("{% raw %}{{ x }}{% endraw %}\n{{ x | dump }}", {"x": ["é"]}, '{{ x }}\n["é"]'),
    ("{{ x | safe }} {{ '}}' }}", {"x": "<b>"}, "<b> }}"),
]


@pytest.mark.parametrize(("text", "values", "wanted"), NUNJUCKS)
def test_jinja_of_other_tools_keeps_the_white_space_that_ours_would_drop(
    text: str, values: dict[str, Any], wanted: str
) -> None:
    source = jinja_to_jinja(text, ledger(), "text", keep_last_newline=True)
    assert rendered(source, values) == wanted


def test_settings_of_white_space_that_other_tools_choose_are_followed() -> None:
    text = "A\n  {% if x %}\nyes\n  {% endif %}\nB\n"

    source = jinja_to_jinja(text, ledger(), "text", trim_blocks=True, lstrip_blocks=True)

    assert rendered(source, {"x": True}) == "A\nyes\nB"


@pytest.mark.parametrize("text", ["{{ env.HOME }}", "{% include 'x' %}", "{{ x | unheard_of }}", "{% if x", "{{ x"])
def test_templates_that_read_the_machine_or_other_files_are_refused(text: str) -> None:
    with pytest.raises(PromptFileError):
        jinja_to_jinja(text, ledger(), "text")


def test_python_format_strings_keep_their_braces_and_lose_their_formats_aloud() -> None:
    notes = ledger()

    source = fstring_to_jinja("{a} {{b}} {c.d} {e[0]} {f[k]} {n:.2f} {{{{", notes, "template")

    assert rendered(source, {"a": "1", "c": {"d": "2"}, "e": ["3"], "f": {"k": "4"}, "n": 5}) == "1 {b} 2 3 4 5 {{"
    assert [loss.reason for loss in notes.losses] == [
        "the format of '{n:.2f}' is left out; the value is printed as it is"
    ]


def test_dollar_templates_escape_with_two_dollars() -> None:
    source = dollar_to_jinja("$a ${b} $$5 {{ c }}", ledger(), "prompt")
    assert rendered(source, {"a": "1", "b": "2"}) == "1 2 $5 {{ c }}"

    with pytest.raises(PromptFileError, match="begins no variable"):
        dollar_to_jinja("costs $5", ledger(), "prompt")


@given(st.text(alphabet=st.sampled_from("{}%#'\" \n\r\\ab-+س"), max_size=30))
def test_literal_text_renders_as_itself_whatever_it_looks_like(text: str) -> None:
    assert rendered(literal_to_jinja(text), {}) == text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(
        ["no", "1e5", "0o17", "~", "<<", "- a", "a: b", "a\nb\n", " lead\n x", "\n", "# c", "مرحبا\nبك\n"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_is_written_as_yaml_reads_back_the_same(value: Any) -> None:
    document = {"key": value}
    assert same_data(read_yaml(dump_yaml(document), file="x").value, document)


def test_a_prompt_file_has_its_keys_in_order_and_long_text_in_blocks() -> None:
    text = prompt_text({"prompt": "a\nb\n", "model": "m/x", "tags": [], "description": "d"}, "team/greet.yaml")

    assert text.splitlines() == [
        "# yaml-language-server: $schema=../../.promptstudio/schemas/prompt.schema.json",
        "description: d",
        "model: m/x",
        "prompt: |",
        "  a",
        "  b",
    ]


def test_text_that_yaml_would_read_as_something_else_is_quoted_and_other_text_is_not() -> None:
    value = {"a": "1e5", "b": "no", "c": "0o17", "d": "~", "e": "plain", "f": ["x"]}
    assert dump_yaml(value) == "a: '1e5'\nb: 'no'\nc: '0o17'\nd: '~'\ne: plain\nf:\n  - x\n"


def test_what_cannot_be_written_is_said_and_not_written_wrong() -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        dump_yaml({"x": float("inf")})


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        ("Support Ticket", "Support-Ticket"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs\\win:v1@x", "abs/win-v1-x"),
        ("_hidden/.dot/-x", "hidden/dot/x"),
        ("...", "prompt"),
        ("e\u0301te\u0301", "été"),
        ("تقرير\u202e شهري", "تقرير-شهري"),
        ("a" * 200, "a" * 80),
        ("team/CON.v1", "team/prompt-CON.v1"),
    ],
)
def test_names_are_made_safe(foreign: str, ours: str) -> None:
    assert safe_name(foreign) == ours
    assert name_fault(safe_name(foreign)) is None


@given(st.text(max_size=40))
def test_every_safe_name_is_a_name(foreign: str) -> None:
    assert name_fault(safe_name(foreign)) is None


@given(st.text(min_size=1, max_size=20))
def test_every_input_name_can_be_used_in_a_template(foreign: str) -> None:
    name = input_name(foreign)
    assert rendered(f"{{{{ {name} }}}}", {name: "x"}) == "x"


def test_two_foreign_names_never_become_one_input() -> None:
    notes = ledger()

    names = {notes.uses(name) for name in ("user-name", "user_name", "user name")}

    assert len(names) == 3
    assert len(notes.losses) == 3
