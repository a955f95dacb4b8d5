"""YAML text → values, places, and one clear error."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from promptstudio.errors import NotFoundError, PromptFileError, SuiteFileError, UserError
from promptstudio.prompts.yamlfile import MAX_BYTES, read_text_file, read_yaml


def failure(text: str | bytes) -> UserError:
    with pytest.raises(UserError) as caught:
        read_yaml(text, file="f.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("NO", "NO")],
        *[("012", 12), ("0o14", 12), ("0x1F", 31), ("-7", -7), ("+7", 7), ("1_000", "1_000"), ("0b11", "0b11")],
        *[("12:30", "12:30"), ("1.10", 1.1), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("1.2.3", "1.2.3")],
        *[("2001-12-14", "2001-12-14"), ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00")],
        *[
            ("~", None),
            ("null", None),
            ("NULL", None),
            ("nUll", "nUll"),
            ("true", True),
            ("TRUE", True),
            ("tRue", "tRue"),
        ],
        *[("=", "="), ("'1'", "1"), ('"no"', "no"), ("!!str 1", "1"), ("! 1", "1"), ("!!float 1", 1.0)],
        ("مرحبا بالعالم", "مرحبا بالعالم"),
        ("שלום", "שלום"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    read = read_yaml(f"a: {written}", file="f.yaml").value["a"]
    assert read == value
    assert type(read) is type(value)


def test_every_value_and_key_knows_its_place() -> None:
    document = read_yaml("a: 1\nb:\n  - x: {y: z}\n  - |\n    first\n    second\nc: 'q'\n", file="f.yaml")
    assert document.positions[("b", 0, "x", "y")] == (3, 12)
    assert document.keys[("b", 0, "x")] == (3, 5)
    assert document.spans[("b", 1)] == (5, 6)
    assert document.spans[("c",)] == (7, 7)
    assert document.literals[("a",)] == "1"
    assert document.place_of(("b", 0, "nothing", "here")) == (3, 5)


def test_columns_count_characters_and_not_bytes() -> None:
    assert read_yaml("{سلام: é, b: x}", file="f.yaml").positions[("b",)] == (1, 14)


def test_an_alias_is_a_copy_that_shares_nothing() -> None:
    value = read_yaml("a: &a {x: [1]}\nb: *a\n", file="f.yaml").value
    value["a"]["x"].append(2)
    assert value["b"] == {"x": [1]}


@pytest.mark.parametrize(
    ("text", "place", "says", "hint"),
    [
        ("a: 1\na: 2\n", "2:1", "twice; the first is on line 1", "keep one"),
        ("a: {b: 1, 'b': 2}\n", "1:11", "twice", None),
        ("1: x\n", "1:1", "the key 1 is not text", 'quote it: "1"'),
        ("true: x\n", "1:1", "the key true is not text", None),
        ("? [a]\n: b\n", "1:3", "a key must be plain text", None),
        ("b: &b {x: 1}\na:\n  <<: *b\n", "3:3", "merge", "variant"),
        ("a: !!python/object/apply:os.system [x]\n", "1:4", "!!python/object/apply:os.system", "plain data"),
        ("a: !secret x\n", "1:4", "the tag !secret", None),
        ("a: !!binary aGk=\n", "1:4", "!!binary", None),
        ("a: !!int x\n", "1:4", "!!int", None),
        ("a: &a [*a]\n", "1:8", "*a names no anchor", None),
        ("a: *b\n", "1:4", "*b names no anchor", "quote"),
        ("", "1:1", "the file is empty", "prompt:"),
        ("# only a comment\n", "1:1", "the file is empty", None),
        ("---\n", "1:1", "the file is empty", None),
        ("a: 1\n---\nb: 2\n", "2:1", "second document", "---"),
        ("prompt: {{ x }}\n", "1:10", "a map within a map", 'quote the value ("{{ name }}")'),
        ("prompt: {{ x }} and more\n", "1:10", "a map within a map", "quote"),
        ("prompt: {% if x %}a{% endif %}\n", "1:10", "not YAML", "quote"),
        ("items:\n  - {{ x }}\n", "2:6", "a map within a map", "quote"),
        ("a: b: c\n", "1:5", "mapping values are not allowed", "quoted"),
        ("a:\n\t- b\n", "2:1", "cannot start any token", "spaces, not tabs"),
        ("a: @b\n", "1:4", "cannot start any token", "starts with @"),
        ("a: 'x\nb: 2\n", None, "unexpected end of stream", "never closed"),
        ("a: [1, 2\nb: 3\n", None, "not YAML", None),
        ('a: "\\q"\n', "1:5", "unknown escape", "single quotes"),
        ("a: .inf\n", "1:4", "not a number JSON knows", "quote"),
        ("a: .nan\n", "1:4", "not a number JSON knows", "quote"),
        ("a: 1e999\n", "1:4", "too large", "quote"),
        ("a: " + "9" * 5000, "1:4", "5,000 digits", "quote"),
        ("a: 0x" + "f" * 5000, "1:4", "digits", None),
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> main\n", "1:1", "git conflict marker", "resolve"),
        ("a: 1\n=======\nb: 2\n", "2:1", "git conflict marker", None),
        ("a: x\x1b[31m\n", "1:5", "U+001B", "\\u001B"),
        ("a: \u2028x\n", "1:4", "U+2028", None),
        ("a: \ud800\n", "1:4", "U+D800", "remove"),
        (b"a: \xff\n", "1", "0xFF at offset 3", "UTF-8"),
        (b"PK\x03\x04\x00\x00", None, "NUL byte at offset 4", "UTF-8 text"),
        ("[" * 100_000, "1:51", "deeper than 50", None),
        ("- " * 50_000, "1:101", "deeper than 50", None),
    ],
)
def test_a_bad_file_says_where_and_what_to_do(
    text: str | bytes, place: str | None, says: str, hint: str | None
) -> None:
    error = failure(text)
    problem = error.problems[0]
    assert says in problem.message
    if place is not None:
        assert problem.place == f"f.yaml:{place}"
    if hint is not None:
        assert hint in (problem.hint or "")


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    rows = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 40)]
    assert "more than 50,000 values" in str(failure("\n".join(rows)))


def test_nested_aliases_count_towards_the_depth() -> None:
    rows = ["a0: &a0 [[[[[[[[[[x]]]]]]]]]]"] + [f"a{i}: &a{i} [[[[[[*a{i - 1}]]]]]]" for i in range(1, 12)]
    assert "deeper than 50" in str(failure("\n".join(rows)))


def test_the_caller_chooses_the_class_of_the_error() -> None:
    with pytest.raises(SuiteFileError):
        read_yaml("a: [", file="s.yaml", error=SuiteFileError)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: |\r\n  x\r\n  y\r\n")
    assert read_yaml(read_text_file(path), file="a.yaml").value == {"a": "x\ny\n"}


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(50 << 20)
    program = "import sys, resource; from pathlib import Path\n"
    program += "from promptstudio.prompts.yamlfile import read_text_file\n"
    program += "resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)\n"
    program += "try:\n    read_text_file(Path(sys.argv[1]))\nexcept Exception as error:\n    print(error)\n"
    limit = str(200 << 20) if resource.RLIM_INFINITY else "0"
    done = subprocess.run([sys.executable, "-c", program, path, limit], capture_output=True, text=True, check=False)
    assert "52,428,800 bytes; the limit is 1,048,576" in done.stdout


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("pipe", "a device or a pipe"), (".", "directory"), ("/dev/zero", "device")):
        with pytest.raises(PromptFileError, match=says):
            read_text_file(tmp_path / name)
    with pytest.raises(NotFoundError, match="no such file"):
        read_text_file(tmp_path / "absent.yaml")
    with pytest.raises(PromptFileError, match="cannot read"):
        read_text_file(tmp_path / ("x" * 300))


def test_text_over_the_limit_is_refused_wherever_it_comes_from() -> None:
    assert "the limit is" in str(failure("a: " + "x" * MAX_BYTES))
    assert "the limit is" in str(failure(b"a: " + b"x" * MAX_BYTES))
