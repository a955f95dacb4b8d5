"""Edits of a file's text, and the writing of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yaml_writer import notes, yaml_texts

from promptstudio.errors import PromptFileError, UserError
from promptstudio.prompts.edit import same, with_value, with_version
from promptstudio.prompts.filewrite import create_file, read_copy, rewrite, write_atomically
from promptstudio.prompts.keyorder import PROMPT_KEYS, SUITE_KEYS
from promptstudio.prompts.overlay import walk
from promptstudio.prompts.schema import PromptFile
from promptstudio.prompts.suite_schema import SuiteFile
from promptstudio.prompts.yamlfile import read_yaml

# name: (before, after `version` became 2.1.0)
VERSIONS = {
    "plain": ("version: 1.0.0  # ours\nprompt: hi\n", "version: 2.1.0  # ours\nprompt: hi\n"),
    "single quotes": ("version: '1.0.0' # ours\nprompt: hi\n", "version: '2.1.0' # ours\nprompt: hi\n"),
    "double quotes": ('version: "1.0.0"\nprompt: hi\n', 'version: "2.1.0"\nprompt: hi\n'),
    "quoted key": ('"version": 1.0.0\nprompt: hi\n', '"version": 2.1.0\nprompt: hi\n'),
    "a number": ("version: 1.0\nprompt: hi\n", "version: 2.1.0\nprompt: hi\n"),
    "no value": ("version:\nprompt: hi\n", "version: 2.1.0\nprompt: hi\n"),
    "no value, a comment": ("version: # which?\nprompt: hi\n", "version: 2.1.0 # which?\nprompt: hi\n"),
    "block": ("version: >- # why\n  1.0.0\n\nprompt: hi\n", "version: 2.1.0 # why\n\nprompt: hi\n"),
    "value on the next line": ("version:\n  1.0.0 # a\nprompt: hi\n", "version:\n  2.1.0 # a\nprompt: hi\n"),
    "anchor nobody uses": ("version: &v 1.0.0\nprompt: hi\n", "version: &v 2.1.0\nprompt: hi\n"),
    "alias": ("x-v: &v 1.0.0\nversion: *v # a\nprompt: hi\n", "x-v: &v 1.0.0\nversion: 2.1.0 # a\nprompt: hi\n"),
    "tag": ("version: !!str 1.0\nprompt: hi\n", "version: !!str 2.1.0\nprompt: hi\n"),
    "flow": ("{version: 1.0.0, prompt: hi}\n", "{version: 2.1.0, prompt: hi}\n"),
    "flow with quotes": ("{'version': '1', prompt: hi} # a\n", "{'version': '2.1.0', prompt: hi} # a\n"),
    "CRLF": ("version: 1.0.0\t# a\r\nprompt: hi\r\n", "version: 2.1.0\t# a\r\nprompt: hi\r\n"),
    "no final newline": ("prompt: hi\nversion: 1.0.0", "prompt: hi\nversion: 2.1.0"),
    "byte order mark": ("\ufeffversion: 1.0.0\nprompt: hi\n", "\ufeffversion: 2.1.0\nprompt: hi\n"),
    "right to left": (
        "description: ترحيب 👋 # مرحبا\nversion: 1.0.0 # الإصدار\nprompt: hi\n",
        "description: ترحيب 👋 # مرحبا\nversion: 2.1.0 # الإصدار\nprompt: hi\n",
    ),
    "the word elsewhere": (
        "prompt: |\n  version: 1.0.0\nversion: 1.0.0\n",
        "prompt: |\n  version: 1.0.0\nversion: 2.1.0\n",
    ),
    "document marks": (
        "%YAML 1.2\n---\nversion: 1.0.0\nprompt: hi\n...\n",
        "%YAML 1.2\n---\nversion: 2.1.0\nprompt: hi\n...\n",
    ),
}
ADDED = {
    "after the description": (
        "description: a # b\nprompt: hi\n",
        "description: a # b\nversion: 2.1.0\nprompt: hi\n",
    ),
    "after the head": (
        "# yaml-language-server: $schema=s.json\n# About.\nprompt: hi\n",
        "# yaml-language-server: $schema=s.json\n# About.\nversion: 2.1.0\nprompt: hi\n",
    ),
    "before the comment of the first key": (
        "# Head.\n\n# Of the prompt.\nprompt: hi\n",
        "# Head.\n\nversion: 2.1.0\n# Of the prompt.\nprompt: hi\n",
    ),
    "after a block and its comment": (
        "name: a\ndescription: |\n  a\n\n  b\n  # c\n# d\nprompt: hi\n",
        "name: a\ndescription: |\n  a\n\n  b\n  # c\nversion: 2.1.0\n# d\nprompt: hi\n",
    ),
    "after kept blank lines": (
        "description: |+\n  a\n\n\nprompt: hi\n",
        "description: |+\n  a\n\n\nversion: 2.1.0\nprompt: hi\n",
    ),
    "keys in another order": ("prompt: hi\nname: a\ntags: []\n", "prompt: hi\nname: a\nversion: 2.1.0\ntags: []\n"),
    "flow": ("{prompt: hi}\n", "{version: 2.1.0, prompt: hi}\n"),
    "flow, after a key": ("{name: a, prompt: hi,}\n", "{name: a, version: 2.1.0, prompt: hi,}\n"),
    "last without newline": ("prompt: hi\nname: a", "prompt: hi\nname: a\nversion: 2.1.0"),
    "CRLF": ("name: a\r\nprompt: hi\r\n", "name: a\r\nversion: 2.1.0\r\nprompt: hi\r\n"),
    "indented": ("  name: a\n  prompt: hi\n", "  name: a\n  version: 2.1.0\n  prompt: hi\n"),
    "document start": ("---\nprompt: hi\n", "---\nversion: 2.1.0\nprompt: hi\n"),
    "byte order mark": ("\ufeffprompt: hi\n", "\ufeffversion: 2.1.0\nprompt: hi\n"),
}


@pytest.mark.parametrize(("before", "after"), VERSIONS.values(), ids=VERSIONS)
def test_a_value_is_replaced_and_nothing_else(before: str, after: str) -> None:
    assert with_version(before, "2.1.0") == after


@pytest.mark.parametrize(("before", "after"), ADDED.values(), ids=ADDED)
def test_a_missing_key_is_added_at_its_place(before: str, after: str) -> None:
    assert with_version(before, "2.1.0") == after


@pytest.mark.parametrize(
    ("text", "path", "value", "after"),
    [
        (
            "messages:\n- content: hi # a\n",
            ("messages", 0, "content"),
            "x\ny",
            "messages:\n- content: |- # a\n    x\n    y\n",
        ),
        ("a:\n  b: |\n    x\n  c: 1\n", ("a", "b"), " y\nz\n", "a:\n  b: |2\n     y\n    z\n  c: 1\n"),
        ("a: [x, 'y']\n", ("a", 1), "it's", "a: [x, 'it''s']\n"),
        ("a: [x, y]\n", ("a", 0), "p, q", 'a: ["p, q", y]\n'),
        ("a: [x, y]\n", ("a", 0), "p\nq", 'a: ["p\\nq", y]\n'),
        ("a: x\n", ("a",), "no", 'a: "no"\n'),
        ("a: x\n", ("a",), "1.10", 'a: "1.10"\n'),
        ("a: x\n", ("a",), "b # c", 'a: "b # c"\n'),
        ("a: x\n", ("a",), "", 'a: ""\n'),
        ("a: 'x'\n", ("a",), "\x1b[2J", 'a: "\\u001b[2J"\n'),
        ("a: x\n", ("a",), 3, "a: 3\n"),
        ("a: x\n", ("a",), True, "a: true\n"),
        ("m: {a: 1}\n", ("m", "b"), [1, "x: y"], 'm: {a: 1, b: [1, "x: y"]}\n'),
        ("m:\n  a: 1\nn: 2\n", ("m", "b"), "مرحبا", "m:\n  a: 1\n  b: مرحبا\nn: 2\n"),
        ("m:\n  a: >\n    x\n    y\nn: 2\n", ("m", "a"), "z\n", "m:\n  a: >\n    z\nn: 2\n"),
    ],
)
def test_values_are_written_so_that_they_read_the_same(text: str, path: Any, value: Any, after: str) -> None:
    assert with_value(text, path, value, order=()) == after


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("version: &v 1.0.0\nx-v: *v\nprompt: hi\n", ("version",), "<text>:1:10: version cannot be edited"),
        ("version: [1]\nprompt: hi\n", ("version",), "it is a list"),
        ("x-a: &a {version: 1}\nx-b: *a\nprompt: hi\n", ("x-b", "version"), "no place for it"),
        ("version: 1\nversion: 2\n", ("version",), "<text>:2:1: the key 'version' is here twice"),
        ("<<<<<<< ours\nversion: 1\n", ("version",), "conflict marker"),
        ("prompt: hi\n", ("version", "major"), "no place for it"),
        ("- a\n", ("version",), "cannot be edited"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_its_place(text: str, path: Any, said: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        with_value(text, path, "2.1.0")
    assert said in caught.value.message


TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40) | st.text(
    "ab :#-'\"{}[]&*!|>\n\t%@`,?", max_size=12
)
STYLES = ["x", "'x'", '"x"', "|\n    x", ">-\n    x", ""]


@given(TEXTS, st.sampled_from(STYLES), st.sampled_from(["", "  # c"]))
def test_any_text_can_be_written_into_any_scalar(value: str, style: str, comment: str) -> None:
    first, line_break, rest = style.partition("\n")
    text = f"# head\nm:\n  a: 1\n  b: {first}{comment}{line_break}{rest}\n  c: [1, 2] # end\n"
    edited = with_value(text, ("m", "b"), value)
    assert read_yaml(edited, file="x").value == {"m": {"a": 1, "b": value, "c": [1, 2]}}
    assert edited.startswith("# head\nm:\n  a: 1\n  b: ")
    assert edited.endswith("\n  c: [1, 2] # end\n")
    assert edited.count("# c") >= (comment != "")


@given(TEXTS, TEXTS)
@example("", "-")
@example("- a", "? b")
def test_any_text_can_be_added(key: str, value: str) -> None:
    edited = with_value("m: {a: 1}\nn:\n  b: 2 # c\n", ("n", key + "_"), value)
    assert read_yaml(edited, file="x").value == {"m": {"a": 1}, "n": {"b": 2, key + "_": value}}


@settings(max_examples=200, deadline=None)
@given(yaml_texts(), st.data())
def test_one_value_of_any_file_changes_and_every_comment_stays(text: str, data: st.DataObject) -> None:
    try:
        value = read_yaml(text, file="x").value
    except PromptFileError:
        return  # a comment that fell out of a block and such
    path = data.draw(st.sampled_from([path for path, item in walk(value) if not isinstance(item, dict | list)] or [()]))
    new = data.draw(TEXTS | st.sampled_from([1, 0.5, True, None, "a", "one\n two\n"]))
    if not path:
        return
    edited = with_value(text, path, new)
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    assert same(read_yaml(edited, file="x").value, value)
    assert set(notes(text)) <= set(notes(edited + str(new))) | set(notes(str(old_texts(text, path))))


def old_texts(text: str, path: Any) -> Any:
    """Return the value that was there: what looks like a comment in a block is its text."""
    value = read_yaml(text, file="x").value
    for step in path:
        value = value[step]
    return value


def test_the_orders_of_keys_name_every_key_of_the_models() -> None:
    assert set(PROMPT_KEYS) == set(PromptFile.key_names())
    assert set(SUITE_KEYS) == set(SuiteFile.key_names())


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())


def test_a_file_keeps_its_mode_and_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\r\nprompt: hi")
    path.chmod(0o640)
    assert rewrite(path, lambda text: with_version(text, "2.1.0"))
    assert path.read_bytes() == b"\xef\xbb\xbfversion: 2.1.0\r\nprompt: hi"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["a.yaml"]
    assert not rewrite(path, lambda text: text)


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    target = tmp_path / "target.yaml"
    target.write_text("old")
    link = tmp_path / "link.yaml"
    link.symlink_to("target.yaml")
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("version: 1\n")
    copy = read_copy(path)
    path.write_text("version: 3\n")
    with pytest.raises(UserError, match="changed by somebody else"):
        write_atomically(path, "version: 2\n", was=copy.data)
    assert path.read_text() == "version: 3\n"
    assert names(tmp_path) == ["a.yaml"]


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="cannot write: No space left on device"):
        write_atomically(path, "new")
    with pytest.raises(UserError, match="No space left"):
        create_file(tmp_path / "b.yaml", "new")
    assert names(tmp_path) == ["a.yaml"]
    assert path.read_text() == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_file_or_folder_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.yaml"
    create_file(path, "old")
    path.chmod(0o444)
    with pytest.raises(UserError, match="read-only"):
        write_atomically(path, "new")
    path.chmod(0o644)
    path.parent.chmod(0o555)
    with pytest.raises(UserError, match="cannot write: Permission denied"):
        write_atomically(path, "new")
    path.parent.chmod(0o755)
    assert path.read_text() == "old"


def test_a_new_file_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    create_file(tmp_path / "deep" / "a.yaml", "one")
    with pytest.raises(UserError, match="there is a file already"):
        create_file(tmp_path / "deep" / "a.yaml", "two")
    (tmp_path / "link.yaml").symlink_to("nowhere")
    with pytest.raises(UserError, match="there is a file already"):
        create_file(tmp_path / "link.yaml", "two")
    assert (tmp_path / "deep" / "a.yaml").read_text() == "one"
