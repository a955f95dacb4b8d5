"""`-v` words → values."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from promptstudio.cli.values import MAX_BYTES, parse_assignments
from promptstudio.errors import InputsError, UsageError
from promptstudio.prompts.load import load_prompt
from promptstudio.prompts.prompt import Prompt
from promptstudio.types import Media
from tests.conftest import Project, Script

PROMPT = """\
inputs:
  name: string
  n: {type: integer, required: false}
  tags: {type: array, items: {type: string}, required: false}
  shot: {type: image, required: false}
messages:
  - role: user
    content:
      - text: "{{ name }} {{ n }} {{ tags }}"
      - image: "{{ shot }}"
"""
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


@pytest.fixture
def prompt(project: Project) -> Prompt:
    project.write("prompts/all.yaml", PROMPT)
    return load_prompt("all", project.settings())


@pytest.mark.parametrize(
    ("item", "values"),
    [
        ("name=Ada", {"name": "Ada"}),
        ("name=", {"name": ""}),
        ("name=a=b", {"name": "a=b"}),
        ("name=مرحبا بالعالم", {"name": "مرحبا بالعالم"}),
        ("name={{ 7 * 7 }}", {"name": "{{ 7 * 7 }}"}),
        ("name=line\nbreak", {"name": "line\nbreak"}),
        ("n=3", {"n": 3}),
        ('name:="@home"', {"name": "@home"}),
        ('name:="-"', {"name": "-"}),
        ('tags:=["a", "b"]', {"tags": ["a", "b"]}),
        ('tags=["a"]', {"tags": ["a"]}),
        ("unknown=5", {"unknown": "5"}),
        ("اسم=5", {"اسم": "5"}),
    ],
)
def test_a_word_becomes_a_value(prompt: Prompt, item: str, values: dict[str, Any]) -> None:
    assert parse_assignments([item], prompt) == values


def test_a_file_gives_its_text_without_the_last_newline(prompt: Prompt, tmp_path: Path) -> None:
    for data, text in ((b"one\ntwo\n", "one\ntwo"), (b"one\r\n", "one"), (b"\xef\xbb\xbfx\n\n", "x\n"), (b"", "")):
        (tmp_path / "text").write_bytes(data)
        assert parse_assignments([f"name=@{tmp_path / 'text'}"], prompt) == {"name": text}


def test_a_file_is_read_as_the_type_of_its_input(prompt: Prompt, tmp_path: Path) -> None:
    (tmp_path / "n").write_text("42\n")
    (tmp_path / "tags").write_text('["x"]\n')

    values = parse_assignments([f"n=@{tmp_path / 'n'}", f"tags=@{tmp_path / 'tags'}"], prompt)

    assert values == {"n": 42, "tags": ["x"]}


def test_an_image_comes_from_a_file_or_from_stdin(prompt: Prompt, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)

    from_file = parse_assignments([f"shot=@{tmp_path / 'a.png'}"], prompt)["shot"]
    from_stdin = parse_assignments(["shot=-"], prompt, io.BytesIO(PNG))["shot"]

    assert isinstance(from_file, Media)
    assert (from_file.mime_type, from_file.data) == ("image/png", PNG)
    assert from_stdin.data == PNG


def test_stdin_is_read_once(prompt: Prompt) -> None:
    assert parse_assignments(["name=-"], prompt, io.BytesIO("سلام\n".encode())) == {"name": "سلام"}
    with pytest.raises(UsageError, match="both read standard input"):
        parse_assignments(["name=-", "n=-"], prompt, io.BytesIO(b"1"))


@pytest.mark.parametrize("item", ["name", "=x", "1name=x", "na me=x", "name;=x", ""])
def test_a_word_that_is_no_assignment_is_refused(prompt: Prompt, item: str) -> None:
    with pytest.raises(UsageError, match="is not name=value"):
        parse_assignments([item], prompt)


def test_one_input_is_given_once(prompt: Prompt) -> None:
    with pytest.raises(UsageError, match="'name' is given twice"):
        parse_assignments(["name=a", "name=b"], prompt)


@pytest.mark.parametrize(
    ("data", "fact"),
    [(b"\xff\xfe", "not UTF-8 text"), (b"a\0b", "NUL bytes"), (b"x" * (MAX_BYTES + 1), "more than 10 MiB")],
)
def test_what_is_no_text_is_refused(prompt: Prompt, tmp_path: Path, data: bytes, fact: str) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(InputsError, match=fact):
        parse_assignments([f"name=@{tmp_path / 'bad'}"], prompt)


def test_all_bad_values_are_told_at_once(prompt: Prompt, tmp_path: Path) -> None:
    items = [f"name=@{tmp_path / 'nowhere'}", "n=abc", "tags:=[1,", f"shot=@{tmp_path}"]
    with pytest.raises(InputsError) as raised:
        parse_assignments(items, prompt)

    assert len(raised.value.problems) == 4


def test_all_that_is_wrong_with_the_inputs_is_told_at_once(project: Project, ps: Script) -> None:
    project.write(
        "prompts/see.yaml",
        "inputs: {n: integer, pic: image}\n"
        "messages: [{role: user, content: [{text: '{{ n }}'}, {image: '{{ pic }}'}]}]\n",
    )
    done = ps("run", "see", "-v", "n=abc", "-v", "pic=@nope.png", "-v", "zzz=1")
    assert done.code == 2
    for words in ("inputs.n: expected an integer", "inputs.pic: 'nope.png'", "zzz"):
        assert words in done.err
