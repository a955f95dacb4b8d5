"""Text on its way to a terminal, a pipe or JSON."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptstudio.output.terminal import Output, columns, display_width, fitted, json_text, safe_cell, safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\x00b\x08c\x7fd\x9be", "a\\x00b\\x08c\\x7fd\\x9be"),
        ("safe\rEVIL", "safe\\rEVIL"),
        ("one\r\ntwo\tthree\n", "one\ntwo\tthree\n"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("\u2066iso\u2069", "\\u2066iso\\u2069"),
        ("zero\u200bwidth\ufeff\u00ad", "zero\\u200bwidth\\ufeff\\xad"),
        ("line\u2028end\u2029", "line\\u2028end\\u2029"),
        ("tags\U000e0041", "tags\\U000e0041"),
        ("lone \ud800", "lone \\ud800"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_what_moves_the_cursor_or_hides_is_shown(text: str, shown: str) -> None:
    assert safe_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "مرحبًا بالعالم، كيف الحال؟",
        "שָׁלוֹם עוֹלָם",
        "می\u200cخواهم",  # Persian needs the non-joiner
        "👩\u200d👩\u200d👧 👍🏽 🇸🇦",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
        "\u200fعربي\u200e latin",
        "日本語 한국어 ไทย हिन्दी",
        "é e\u0301 “quotes” — …",
    ],
)
def test_real_text_of_any_script_stays(text: str) -> None:
    assert safe_text(text) == text


def test_a_cell_is_one_line() -> None:
    assert safe_cell("a\nb\tc\r\n") == "a\\nb\\tc\\r\\n"


@given(st.text())
def test_safe_text_is_safe_and_stays_so(text: str) -> None:
    shown = safe_text(text)

    assert not any(ord(char) < 32 and char not in "\n\t" for char in shown)
    assert not any(0x7F <= ord(char) <= 0x9F for char in shown)
    assert safe_text(shown) == shown


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_is_readable_harmless_and_the_same_value(value: object) -> None:
    text = json_text(value)

    assert json.loads(text) == value
    assert safe_text(text) == text


def test_json_keeps_letters_readable() -> None:
    assert json_text({"a": "مرحبا\x1b"}, indent=None) == '{"a": "مرحبا\\u001b"}'


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本", 4), ("e\u0301", 1), ("שָׁלוֹם", 4), ("مرحبا", 5), ("می\u200cخ", 3), ("👍", 2), ("", 0)],
)
def test_width_is_counted_in_cells(text: str, width: int) -> None:
    assert display_width(text) == width


def test_cutting_never_exceeds_the_width() -> None:
    for text in ("plain text", "日本語テキスト", "مرحبا بالعالم", "e\u0301" * 20):
        for width in range(1, 12):
            assert display_width(fitted(text, width)) <= width


def test_columns_line_up_whatever_the_script() -> None:
    lines = columns([("日本", "x"), ("abc", "y"), ("مرحبا", "z")], header=("A", "B"))

    assert [display_width(line.rstrip("Bxyz")) for line in lines] == [7, 7, 7, 7]


def test_columns_give_way_to_the_terminal_and_not_to_a_pipe() -> None:
    rows = [("name", "x" * 100, "y" * 50)]

    (line,) = columns(rows, width=60)
    assert len(line) <= 60
    assert line.startswith("name  xxx")
    assert line.endswith("yyy…")
    assert len(columns(rows)[0]) == 4 + 2 + 100 + 2 + 50


def test_a_cell_cannot_break_the_table() -> None:
    (line,) = columns([("a\nb", "\x1b[2J")])

    assert line == "a\\nb  \\x1b[2J"


def output(*, is_tty: bool, color: bool = False) -> tuple[Output, io.StringIO]:
    out = io.StringIO()
    return Output(out, io.StringIO(), is_tty, is_tty, 80 if is_tty else None, color), out


def test_a_pipe_gets_an_answer_exactly_and_a_terminal_gets_it_safe() -> None:
    for is_tty, expected in ((False, "\x1b[31m\u202e"), (True, "\\x1b[31m\\u202e")):
        to, out = output(is_tty=is_tty)
        to.write("\x1b[31m\u202e")
        assert out.getvalue() == expected


def test_lines_tables_and_json_are_safe_even_in_a_pipe() -> None:
    to, out = output(is_tty=False)

    to.line("a\x1b")
    to.table([("b\x1b", "c")])
    to.json(["d\x9b"], indent=None)

    assert out.getvalue() == 'a\\x1b\nb\\x1b  c\n["d\\u009b"]\n'


def test_color_is_only_for_terminals() -> None:
    for is_tty, color, colored in ((True, True, True), (True, False, False), (False, True, False)):
        to, out = output(is_tty=is_tty, color=color)
        to.table([("a",)], header=("A",))
        assert ("\x1b[1m" in out.getvalue()) is colored


def test_a_narrow_terminal_keeps_the_first_and_the_last_column() -> None:
    rows = [["support/triage", "1.0.0", "offline/echo", "support, typed", "Sort a ticket"]]
    lines = columns(rows, width=34)
    assert lines == ["support/triage  1.0.0  Sort a tic…"]
