from __future__ import annotations

from enum import IntEnum, StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptstudio.errors import InputsError, PromptFileError
from promptstudio.prompts import template
from promptstudio.prompts.template import (
    RESERVED_NAMES,
    check_syntax,
    free_variables,
    literal_includes,
    render_template,
    without_comments,
)

ARABIC = "مرحبا \u202bبالعالم\u202c"
HEBREW = "שָׁלוֹם, עולם"


def render(source: str, partials: dict[str, str] | None = None, **values: object) -> str:
    return render_template(source, values, partials or {}, file="prompts/a.yaml", line=10)


RENDERED = {
    # source: (values, text)
    "Hi {{ name }}!": ({"name": "Ada"}, "Hi Ada!"),
    "{% if a %}\n  yes\n{% endif %}\nend\n": ({"a": True}, "  yes\nend"),
    "{% for x in xs %}\n- {{ x }}\n{% endfor %}": ({"xs": ["a", "b"]}, "- a\n- b\n"),
    "{% for x in xs %}{{ loop.index }}/{{ loop.length }}{{ '' if loop.last else ',' }}{% endfor %}": (
        {"xs": "ab"},
        "1/2,2/2",
    ),
    "{% for k, v in m.items() %}{{ k }}={{ v }};{% endfor %}": ({"m": {"a": 1, "b": 2}}, "a=1;b=2;"),
    "{% for x in xs if x > 1 %}{{ x }}{% else %}none{% endfor %}": ({"xs": [1, 2, 3]}, "23"),
    "{% for x in xs %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x) }}{% endfor %}": ({"xs": [1, 1]}, "atruebfalse"),
    "{{ m.items }} {{ m['items'] }} {{ m.name }}": ({"m": {"items": 3, "name": "n"}}, "3 3 n"),
    "{{ xs[0] }} {{ xs[-1] }} {{ xs[1:] }} {{ t[:2] }} {{ t[::-1] }}": (
        {"xs": [1, 2, 3], "t": "abc"},
        "1 3 [2, 3] ab cba",
    ),
    "{{ a ~ 1 ~ none ~ true }}": ({"a": "x"}, "x1true"),
    "{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ 7 % 2 }} {{ 2 ** 8 }} {{ -n }}": ({"n": 1}, "5.0 3 1 256 -1"),
    "{{ 'a' + 'b' }} {{ [1] + [2] }} {{ '-' * 3 }} {{ 2 * 'ab' }}": ({}, "ab [1, 2] --- abab"),
    "{{ xs|map(attribute='id')|join(', ') }}": ({"xs": [{"id": 1}, {"id": 2}]}, "1, 2"),
    "{{ xs|selectattr('ok')|map(attribute='id')|list }}": (
        {"xs": [{"id": 1, "ok": True}, {"id": 2, "ok": False}]},
        "[1]",
    ),
    "{{ xs|sort(attribute='id')|first }}": ({"xs": [{"id": 2}, {"id": 1}]}, '{"id": 1}'),
    "{% for g in xs|groupby('k') %}{{ g.grouper }}:{{ g.list|length }};{% endfor %}": (
        {"xs": [{"k": "a"}, {"k": "b"}, {"k": "a"}]},
        "a:2;b:1;",
    ),
    "{{ xs|batch(2)|list }} {{ xs|slice(2)|list }}": ({"xs": [1, 2, 3]}, "[[1, 2], [3]] [[1, 2], [3]]"),
    "{{ xs|sum }} {{ xs|min }} {{ xs|max }} {{ xs|last }} {{ xs|unique|list }}": ({"xs": [1, 2, 2]}, "5 1 2 2 [1, 2]"),
    "{{ xs|reject('odd')|list }} {{ xs|reverse }} {{ xs|length }}": ({"xs": [1, 2]}, "[2] [2, 1] 2"),
    "{{ m|dictsort }}": ({"m": {"b": 1, "a": 2}}, '[["a", 2], ["b", 1]]'),
    "{{ t|upper }} {{ t|title }} {{ t|capitalize }} {{ t|trim }} {{ t|wordcount }}": (
        {"t": "one two"},
        "ONE TWO One Two One two one two 2",
    ),
    "{{ t|truncate(9) }}|{{ t|truncate(9, true) }}|{{ t|truncate(100) }}": (
        {"t": "one two three four"},
        "one...|one tw...|one two three four",
    ),
    "{{ t|replace('a', 'b') }} {{ t|replace('a', 'b', 1) }} {{ t.replace('a', '') }}": ({"t": "aXa"}, "bXb bXa X"),
    "{{ t|indent }}|{{ t|indent(2, true) }}": ({"t": "a\nb"}, "a\n    b|  a\n  b"),
    "{{ t|e }} {{ t|urlencode }}": ({"t": "<a&'\">"}, "&lt;a&amp;&#39;&#34;&gt; %3Ca%26%27%22%3E"),
    "{{ v|int }} {{ v|float }} {{ 'x'|int(7) }} {{ 2.567|round(1) }} {{ -1|abs }}": ({"v": "12"}, "12 12.0 7 2.6 1"),
    "{{ 2.1|round(0, 'ceil') }} {{ -2.1|round(0, 'floor') }}": ({}, "3.0 -3.0"),
    "{{ t.split(',') }} {{ t.startswith('a') }} {{ ','.join(t.split(',')) }}": ({"t": "a,b"}, '["a", "b"] true a,b'),
    "{{ a if b }}|{{ a if b else 'c' }}": ({"a": 1, "b": False}, "|c"),
    "{{ a is defined }} {{ b is defined }} {{ c is defined }} {{ b is none }}": (
        {"a": 1, "b": None},
        "true false false true",
    ),
    "{{ b|default('d') }} {{ c|default('d') }} {{ ''|default('d', true) }}": ({"b": None}, "d d d"),
    "{{ b }}{{ b|upper }}{% for x in b %}{{ x }}{% endfor %}{{ b|join }}{{ b|length }}": ({"b": None}, "0"),
    "{{ 'a' in t }} {{ 1 in xs }} {{ t == 'abc' }} {{ 3 is odd }} {{ t is string }}": (
        {"t": "abc", "xs": [1]},
        "true true true true true",
    ),
    "{% set ns = namespace(n=0) %}{% for x in xs %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}": (
        {"xs": [1, 2]},
        "3",
    ),
    "{% set a %}<{{ t }}>{% endset %}{{ a }}{% with b = a %}{{ b }}{% endwith %}": ({"t": "x"}, "<x><x>"),
    "{% macro f(a, b='d') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(1, b=2) }}": ({}, "[1d][12]"),
    "{% macro f() %}<{{ caller('x') }}>{% endmacro %}{% call(v) f() %}{{ v }}{% endcall %}": ({}, "<x>"),
    "{% filter upper %}a{{ t }}{% endfilter %}": ({"t": "b"}, "AB"),
    "{% raw %}{{ not }} {# this #}{% endraw %}": ({}, "{{ not }} {# this #}"),
    "{# a comment #}text": ({}, "text"),
    "{{ dict(a=1) }} {{ range(3)|list }}": ({}, '{"a": 1} [0, 1, 2]'),
}


@pytest.mark.parametrize("source", RENDERED)
def test_templates_do_what_jinja_users_expect(source):
    values, text = RENDERED[source]

    assert render(source, **values) == text


PRINTED = [
    ("", ""),
    ("سلام", "سلام"),
    (None, ""),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (1.5, "1.5"),
    (10**30, "1" + "0" * 30),
]


@pytest.mark.parametrize(("value", "text"), PRINTED)
def test_text_prints_as_it_is_null_as_nothing_and_the_rest_as_json(value, text):
    assert render("{{ v }}", v=value) == text


def test_lists_and_mappings_print_as_json_with_their_letters_readable():
    assert render(
        "{{ v }}|{{ v|tojson }}", v={"a": [HEBREW, None, True]}
    ) == f'{{"a": ["{HEBREW}", null, true]}}|' * 1 + (f'{{"a": ["{HEBREW}", null, true]}}')
    assert render("{{ v|tojson(indent=2) }}", v=["<é>"]) == '[\n  "<é>"\n]'


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_any_value_comes_out_as_it_went_in(text):
    assert render("[{{ v }}]", v=text) == f"[{text}]"
    assert render("{{ v ~ '' }}{{ [v]|join }}", v=text) == text + text


@pytest.mark.parametrize("text", [ARABIC, HEBREW, "\u200f", "می\u200cخواهم", "سـلام\u2067x\u2069"])
def test_right_to_left_text_survives_byte_for_byte(text):
    source = f"{text} {{{{ v }}}} {{% if v == '{text}' %}}{text}{{% endif %}}"

    assert render(source, v=text).encode() == f"{text} {text} {text}".encode()
    assert render("{% include 'p.md' %}", {"p.md": f"{text}{{{{ v }}}}"}, v=text) == text + text
    assert without_comments(f"{text}{{# {text} #}}{{{{ v }}}}") == f"{text}{{{{ v }}}}"
    assert render("{{ v|upper|lower|trim|replace('', '') }}", v=f"{text}").strip() in (text.strip(), text)


def test_an_input_may_have_an_arabic_name():
    assert render("{{ الاسم }}", الاسم="آدا") == "آدا"
    assert free_variables("{{ الاسم }}", {}) == {"الاسم"}


# -- values


class Color(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Sneaky(str):
    def __str__(self) -> str:
        return "{{ changed }}"

    def upper(self) -> str:
        return "overridden"


def test_subclasses_become_the_plain_value_they_hold():
    assert render("{{ c|upper }} {{ l + 1 }}", c=Color.RED, l=Level.HIGH) == "RED 4"
    assert render("{{ v }} {{ v.upper() }}", v=Sneaky("text")) == "text TEXT"


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", [object()], {"a": {"b": print}}, {1: "a"}, float("nan"), float("inf"), "\ud800"],
)
def test_what_is_not_plain_data_is_refused_with_its_path(value):
    with pytest.raises(InputsError, match=r"inputs\.v"):
        render("{{ 1 }}", v=value)


def test_a_value_may_not_hold_itself():
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(InputsError, match="nested more than 50 deep"):
        render("{{ 1 }}", v=endless)


def test_a_template_cannot_change_the_values_it_was_given():
    values = {"xs": [[1]]}

    render("{% set ys = xs + [2] %}{{ ys }}", **values)

    assert values == {"xs": [[1]]}


# -- errors

FAILING = {
    # source: (class, line in the file, words in the message)
    "a\n{{ nope }}": (InputsError, 11, "'nope' is not defined"),
    "a\n\n{{ order.itmes }}": (InputsError, 12, "there is no key 'itmes' (did you mean 'items'?)"),
    "{{ order.items.deeper.still }}": (InputsError, 10, "no 'deeper'"),
    "a\n{% if %}": (PromptFileError, 11, "Expected an expression"),
    "{% if order %}\nb": (PromptFileError, 11, "Jinja was looking for the following tags"),
    "a\n{{ order|uper }}": (PromptFileError, 11, "there is no filter 'uper' (did you mean 'upper'?)"),
    "{% if order is defind %}{% endif %}": (PromptFileError, 10, "there is no test 'defind' (did you mean 'defined'?)"),
    "{% if false %}{{ order|uper }}{% endif %}": (PromptFileError, 10, "there is no filter 'uper'"),
    "\n\n{{ 1 / 0 }}": (PromptFileError, 12, "division by zero"),
    "{{ 'a' + 1 }}": (PromptFileError, 10, "text + a number has no meaning in a template; join text with ~"),
    "{{ 'a' < 1 }}": (PromptFileError, 10, "not supported"),
    "{% for x in 3 %}{% endfor %}": (PromptFileError, 10, "a loop needs a list or a mapping, not a number"),
    "{{ 3|length }}": (PromptFileError, 10, "a number has no length"),
    "{{ [order.nope] }}": (PromptFileError, 10, "cannot be written as JSON"),
    "{{ order.nope|upper }}": (InputsError, 10, "there is no key 'nope'"),
    "{{ nope.upper() }}": (InputsError, 10, "'nope' is not defined"),
    "{% include 'gone.md' %}": (PromptFileError, 10, "the included file 'gone.md' is not there"),
    "{{ unquoted": (PromptFileError, 10, "unexpected end of template"),
}


@pytest.mark.parametrize("source", FAILING)
def test_an_error_names_the_line_in_the_file(source):
    kind, line, words = FAILING[source]

    with pytest.raises((InputsError, PromptFileError)) as caught:
        render(source, order={"items": 3})

    problem = caught.value.problems[0]
    assert type(caught.value) is kind
    assert (problem.file, problem.line) == ("prompts/a.yaml", line)
    assert words in problem.message


@pytest.mark.parametrize("text", ["{{ nope }}", "{{ 1 / 0 }}", "{{ 'a'|nope }}", "{% if %}"])
def test_an_error_in_a_partial_names_the_partial_and_its_line(text):
    with pytest.raises((InputsError, PromptFileError)) as caught:
        render("a\n{% include 'tone.md' %}", {"tone.md": f"one\ntwo\n{text}"})

    assert caught.value.problems[0].place == "tone.md:3"


def test_syntax_is_checked_without_rendering_and_with_the_column_of_a_one_line_text():
    check_syntax("{{ a|upper }}{% include 'not_read.md' %}", file="a.yaml", line=3, column=5)

    with pytest.raises(PromptFileError) as caught:
        check_syntax("{{ a|uper }}", file="a.yaml", line=3, column=5)
    assert caught.value.problems[0].place == "a.yaml:3:5"

    with pytest.raises(PromptFileError) as caught:
        check_syntax("ok\n{{ a|uper }}", file="a.yaml", line=3, column=5)
    assert caught.value.problems[0].place == "a.yaml:4"


# -- what can be said of a source

FREE = {
    "{{ a }} {{ b.c }} {{ d['e'] }}": {"a", "b", "d"},
    "{% for x in xs %}{{ x }}{{ y }}{{ loop.index }}{% endfor %}": {"xs", "y"},
    "{% set a = b %}{{ a }}": {"b"},
    "{% set a = 1 %}{% block c %}{{ a }}{{ d }}{% endblock %}": {"d"},
    "{% if a is defined %}{% endif %}{{ b|default('c') }}": {"a", "b"},
    "{% macro f(a) %}{{ a }}{{ b }}{{ varargs }}{% endmacro %}{{ f(c) }}": {"b", "c"},
    "{{ range(3) }}{{ dict(a=b) }}{% set ns = namespace(c=d) %}{{ ns.c }}": {"b", "d"},
    "{% for item in items %}{% include 'row.md' %}{% endfor %}": {"items", "unit"},
    "{% include 'row.md' %}": {"item", "unit"},
    "{% include 'outer.md' %}": {"x", "item", "unit"},
    "{% include 'gone.md' ignore missing %}": set(),
    "{% import 'macros.md' as m %}{{ m.f(a) }}": {"a"},
    "{% from 'open.md' import f with context %}{{ f() }}": {"outside"},
    "{% extends 'base.md' %}{% block body %}{{ a }}{% endblock %}": {"a", "title"},
    "{# {{ a }} #}{% raw %}{{ b }}{% endraw %}": set(),
}
PARTIALS = {
    "row.md": "{{ item.name }} {{ unit }}",
    "outer.md": "{{ x }}{% include 'row.md' %}",
    "macros.md": "{% macro f(x) %}<{{ x }}>{% endmacro %}",
    "open.md": "{% macro f() %}{{ outside }}{% endmacro %}",
    "base.md": "{{ title }}{% block body %}{% endblock %}",
    "self.md": "{% include 'self.md' %}",
}


@pytest.mark.parametrize("source", FREE)
def test_free_variables_are_what_a_template_reads_from_outside(source):
    assert free_variables(source, PARTIALS) == FREE[source]


@pytest.mark.parametrize("source", [source for source in FREE if "gone" not in source])
def test_a_template_renders_with_its_free_variables_and_no_less(source):
    value = {"name": "n", "c": 1, "e": 2}
    values = {name: [value] if name == "items" else value for name in FREE[source]}

    render(source, PARTIALS, **values)

    for name in FREE[source] - {"a", "b"}:
        with pytest.raises(InputsError):
            render(source, PARTIALS, **{other: value for other, value in values.items() if other != name})


def test_what_is_imported_without_context_may_read_nothing_from_outside():
    with pytest.raises(PromptFileError, match=r"'open\.md' reads outside: add 'with context'"):
        free_variables("\n{% import 'open.md' as m %}", PARTIALS, file="a.yaml", line=1)


def test_a_partial_that_includes_itself_is_named():
    with pytest.raises(PromptFileError, match=r"'self\.md' includes itself"):
        free_variables("{% include 'self.md' %}", PARTIALS)


def test_literal_includes_lists_the_files_in_order_and_refuses_computed_names():
    source = (
        "{% include 'a.md' %}{% import 'b.md' as b %}{% from 'c.md' import c %}"
        "{% if x %}{% include 'd.md' %}{% endif %}"
    )

    assert literal_includes(source) == ["a.md", "b.md", "c.md", "d.md"]
    assert literal_includes("{# {% include 'a.md' %} #}{% raw %}{% include 'b.md' %}{% endraw %}") == []
    with pytest.raises(PromptFileError) as caught:
        literal_includes("a\n{% include name %}", file="a.yaml", line=5)
    assert caught.value.problems[0].place == "a.yaml:6"


def test_reserved_names_are_those_a_template_gives_a_meaning_of_its_own():
    assert {"range", "dict", "namespace", "loop", "self"} <= RESERVED_NAMES


# -- comments

UNCOMMENTED = {
    "a{# c #}b": "ab",
    "{# c #}": "",
    "{# c #}\ntext": "text",
    "a\n{# c #}\nb": "a\nb",
    "a\n  {# c #}\n{{ b }}": "a\n{{ b }}",
    "{{ a }}{#- c -#}  b": "{{ a }}b",
    "{{ a }} {# one #}{# two #} b": "{{ a }}  b",
    "{% raw %}{# kept #}{% endraw %}{# dropped #}": "{% raw %}{# kept #}{% endraw %}",
    "{{ '{# text #}' }}": "{{ '{# text #}' }}",
    "no comment {{ a }}": "no comment {{ a }}",
    "{# {{ a }} {% if %} #}x": "x",
    "x\n\n": "x\n\n",
}


@pytest.mark.parametrize("source", UNCOMMENTED)
def test_comments_are_dropped(source):
    assert without_comments(source) == UNCOMMENTED[source]


@pytest.mark.parametrize(
    ("commented", "bare"),
    [
        ("You are kind.\n{# be brief #}\nAnswer {{ q }}.\n", "You are kind.\nAnswer {{ q }}.\n"),
        ("{# top #}\n{% if q %}\n{# inner #}\nyes\n{% endif %}\n", "{% if q %}\nyes\n{% endif %}\n"),
    ],
)
def test_a_template_with_and_without_comments_becomes_the_same_text(commented, bare):
    assert without_comments(commented) == without_comments(bare)


PIECES = [
    "{#c#}",
    "{#- c -#}",
    "{# a\nb #}",
    "\n",
    " ",
    "x",
    "{",
    "%",
    "#",
    "}",
    "{{ v }}",
    "{{- v -}}",
    "{% if v %}",
    "{%- endif -%}",
]


@given(st.lists(st.sampled_from([*PIECES, "{% raw %}{# r #}{% endraw %}", ARABIC]), max_size=12).map("".join))
@settings(max_examples=500, deadline=None)
def test_dropping_comments_never_changes_what_a_template_renders(source):
    try:
        expected = render(source, v="V")
    except PromptFileError:
        return
    bare = without_comments(source)

    assert render(bare, v="V") == expected
    assert without_comments(bare) == bare


def test_a_template_compiles_once_and_renders_often():
    template._compiled.cache_clear()
    for number in range(5):
        render("{{ n }}", n=number)

    assert template._compiled.cache_info().misses == 1
