"""The canonical layout: what moves, what stays, and that nothing gets lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from yaml_writer import notes, yaml_texts

from promptstudio.errors import PromptFileError
from promptstudio.prompts.edit import same
from promptstudio.prompts.layout import laid_out
from promptstudio.prompts.yamlfile import read_yaml
from tests.conftest import REPOSITORY

LAYOUTS = {
    "the order of keys": (
        "prompt: hi\nversion: '1'\nx-own: 1\nname: a\nmodel: m/x\n",
        "name: a\nversion: '1'\nmodel: m/x\nprompt: hi\nx-own: 1\n",
    ),
    "the order of a suite": (
        "gate: {errors: 0}\ncases: c.jsonl\nassert: [is-json]\nprompt: greet\nname: a\n",
        "name: a\nprompt: greet\ncases: c.jsonl\nassert: [is-json]\ngate: {errors: 0}\n",
    ),
    "a file that is neither keeps its order": ("b: 1\na: 2\n", "b: 1\na: 2\n"),
    "inside a message": (
        "messages:\n- content: hi # what\n  role: user\n",
        "messages:\n  - role: user\n    content: hi # what\n",
    ),
    "indentation": (
        "inputs:\n      a:\n            type: string\n      b: integer\ntags:\n- x\n- y\nprompt: hi\n",
        "tags:\n  - x\n  - y\ninputs:\n  a:\n    type: string\n  b: integer\nprompt: hi\n",
    ),
    "comments go with what follows them": (
        "prompt: hi # p\n# the model, chosen by Ada\nmodel: m/x\n\n# who\nname: a\n# end\n",
        "# who\nname: a\n# the model, chosen by Ada\nmodel: m/x\nprompt: hi # p\n# end\n",
    ),
    "the head stays at the head": (
        "# About this file.\nprompt: hi\nname: a\n",
        "# About this file.\nname: a\nprompt: hi\n",
    ),
    "the first key's own comment goes with it": (
        "# About this file.\n\n# The text.\nprompt: hi\nname: a\n",
        "# About this file.\n\nname: a\n# The text.\nprompt: hi\n",
    ),
    "the schema line is first": (
        "# About.\nprompt: hi\n# yaml-language-server: $schema=s.json\n",
        "# yaml-language-server: $schema=s.json\n# About.\nprompt: hi\n",
    ),
    "comments in a column stay in one": (
        "name: a         # one\nprompt: hello   # two\n",
        "name: a         # one\nprompt: hello   # two\n",
    ),
    "comments between list items": (
        "tags:\n# first\n- a\t# one\n\n\n# second\n- b\n  # deeper\n# of the prompt\nprompt: hi\n",
        "tags:\n  # first\n  - a # one\n\n  # second\n  - b\n    # deeper\n# of the prompt\nprompt: hi\n",
    ),
    "comments below an empty key": (
        "prompt: hi\nexamples:\n    # - file: a\n    # - file: b\n",
        "prompt: hi\nexamples:\n  # - file: a\n  # - file: b\n",
    ),
    "comments in brackets open them": (
        "tags: [ # why\n  a, # one\n  b\n  # last\n] # end\nprompt: hi\n",
        "# why\ntags: # end\n  - a # one\n  - b\n  # last\nprompt: hi\n",
    ),
    "a short map stays on its line": (
        "parameters: { temperature:   0.20,max_tokens : 0x10 }  # c\nprompt: hi\n",
        "parameters: {temperature: 0.20, max_tokens: 0x10}  # c\nprompt: hi\n",
    ),
    "a long map opens": (
        "metadata: {a: " + "x" * 60 + ", b: [1, 2], c: " + "y" * 50 + "}\nprompt: hi\n",
        "metadata:\n  a: " + "x" * 60 + "\n  b: [1, 2]\n  c: " + "y" * 50 + "\nprompt: hi\n",
    ),
    "several lines become a block": (
        'prompt: "one\\n  two\\n" # c\n',
        "prompt: | # c\n  one\n    two\n",
    ),
    "a long text becomes a block": ("prompt: " + "word " * 30 + "end\n", "prompt: |-\n  " + "word " * 30 + "end\n"),
    "a text on several lines is joined": ("prompt: 'one\n  two'\n", "prompt: 'one two'\n"),
    "a block is indented by two": (
        "prompt: |+ # c\n     one\n       two\n\n\nmodel: m/x",
        "model: m/x\nprompt: |+ # c\n  one\n    two\n\n\n",
    ),
    "nothing is added behind a text that keeps its blank lines": (
        "model: m/x\n\nmessages:\n  - role: user\n    content: |+\n      one\n\n\n# c\n\nname: a\n",
        "# c\n\nname: a\nmodel: m/x\n\nmessages:\n  - role: user\n    content: |+\n      one\n\n\n",
    ),
    "a comment in the way of a text that keeps its blank lines": (
        "x-a:\n  b: |+\n    one\n\n  # c\n\n  d: 1\n",
        "x-a:\n  b: |+\n    one\n\n  # c\n\n  d: 1\n",
    ),
    "a folded text stays folded": (
        "prompt: >-\n     one\n     two\n\n     three\nname: a\n",
        "name: a\nprompt: >-\n  one\n  two\n\n  three\n",
    ),
    "a block that begins with blanks": ("prompt: |4\n       one\n    two\n", "prompt: |2\n     one\n  two\n"),
    "blank lines": ("\n\nname: a\n\n\n\nprompt: hi\n\n\n", "name: a\n\nprompt: hi\n"),
    "a root in brackets": ('{"prompt": "hi", name: a}', 'name: a\n"prompt": "hi"\n'),
    "document marks": ("--- # c\nprompt: hi\n...\n# d\n", "# c\nprompt: hi\n# d\n"),
    "anchors keep the order": (
        "x-a: &a {b: 1}\nprompt: hi\nmetadata: *a\n",
        "x-a: &a {b: 1}\nprompt: hi\nmetadata: *a\n",
    ),
    "line breaks of Windows stay": ("prompt: hi\r\nname:   a # c\r\n", "name: a # c\r\nprompt: hi\r\n"),
    "a byte order mark goes": ("\ufeffprompt: hi", "prompt: hi\n"),
    "right to left": (
        "prompt: مرحبا {{ name }}   # تعليق\n# تعليق قبل الوصف\ndescription: وصف\n",
        "# تعليق قبل الوصف\ndescription: وصف\nprompt: مرحبا {{ name }}   # تعليق\n",
    ),
    "numbers stay as they are written": ("x-a: 1.10\nx-b: 0o17\nx-c: 012\n", "x-a: 1.10\nx-b: 0o17\nx-c: 012\n"),
}


@pytest.mark.parametrize(("before", "after"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_layout(before: str, after: str) -> None:
    assert laid_out(before) == after
    assert laid_out(after) == after


def test_a_file_that_cannot_be_read_is_refused_with_its_place() -> None:
    with pytest.raises(PromptFileError, match=r"a\.yaml:2:7: .*anchor"):
        laid_out("prompt: hi\nname: *a\n", file="a.yaml")


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(PromptFileError, match="cannot be laid out without changing"):
        laid_out("%TAG !y! tag:yaml.org,2002:\n---\nprompt: !y!str hi\n")


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("prompts", "evals", "promptstudio/templates", "tests/golden")
        for path in sorted((REPOSITORY / folder).rglob("*.yaml"))
    ],
    ids=lambda path: path.name,
)
def test_every_file_of_ours_keeps_its_value(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    once = laid_out(text)
    assert same(read_yaml(once, file="x").value, read_yaml(text, file="x").value)
    assert laid_out(once) == once


@settings(max_examples=300, deadline=None)
@given(yaml_texts())
def test_whatever_is_written_keeps_its_value_and_its_comments(text: str) -> None:
    try:
        value = read_yaml(text, file="x").value
    except PromptFileError:
        return  # a comment that fell out of a block and such
    once = laid_out(text)
    assert same(read_yaml(once, file="x").value, value)
    assert notes(once) == notes(text)
    assert laid_out(once) == once
