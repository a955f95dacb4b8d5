"""The identity hashes: what changes them, what does not, and published values. See docs/identity.md."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptstudio.config import load_settings
from promptstudio.prompts.identity import canonical_json, content_hash
from promptstudio.prompts.load import load_prompt
from promptstudio.prompts.prompt import Identity, Prompt
from promptstudio.prompts.yamlfile import read_yaml

GOLDEN_DIR = Path(__file__).parent.parent / "golden"
GOLDEN = read_yaml((GOLDEN_DIR / "identity.yaml").read_text(encoding="utf-8"), file="identity.yaml").value
PUBLISHED = json.loads((GOLDEN_DIR / "identity_hashes.json").read_text(encoding="utf-8"))


def load(folder: Path, text: str, files: dict[str, str] | None = None, variant: str = "") -> Prompt:
    settings_text = (files or {}).get("promptstudio.toml", "")
    (folder / "promptstudio.toml").write_text(settings_text, encoding="utf-8")
    for name, content in {**(files or {}), "p.yaml": text}.items():
        path = folder / "prompts" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return load_prompt("./prompts/p.yaml" + variant, load_settings(folder, env={}), cwd=folder)


def edited(folder: Path, edit: dict[str, Any]) -> Identity:
    text = GOLDEN["base"]
    for old, new in edit.get("edits", []):
        assert old in text, f"{edit['name']}: {old!r} is not in the file"
        text = text.replace(old, new)
    return load(folder, text, {**GOLDEN["files"], **edit.get("files", {})}).identity


@pytest.fixture
def base(tmp_path: Path) -> Identity:
    return load(tmp_path, GOLDEN["base"], GOLDEN["files"]).identity


def test_the_tables_are_large_enough_and_name_each_edit_once() -> None:
    assert len(GOLDEN["same"]) >= 30
    assert len(GOLDEN["different"]) >= 30
    names = [edit["name"] for edit in GOLDEN["same"] + GOLDEN["different"]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("edit", GOLDEN["same"], ids=lambda edit: edit["name"])
def test_no_hash_changes_when(edit: dict[str, Any], base: Identity, tmp_path: Path) -> None:
    assert edited(tmp_path, edit) == base


@pytest.mark.parametrize("edit", GOLDEN["different"], ids=lambda edit: edit["name"])
def test_the_behavior_changes_when(edit: dict[str, Any], base: Identity, tmp_path: Path) -> None:
    after = edited(tmp_path, edit)
    changed = {name for name in ("behavior", "interface", "text") if getattr(after, name) != getattr(base, name)}
    assert changed == {"behavior", *edit["also"]}


def test_no_two_edits_that_differ_share_a_behavior(tmp_path: Path) -> None:
    found = {edited(tmp_path, edit).behavior for edit in GOLDEN["different"]}
    # an absent and another profile may come to one behavior only where their values are the same
    assert len(found) == len(GOLDEN["different"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_hashes_still_hold(name: str, tmp_path: Path) -> None:
    vector = PUBLISHED[name]
    identity = load(tmp_path, vector["prompt"], vector.get("files"), vector.get("variant", "")).identity
    assert identity == Identity(vector["behavior"], vector["interface"], vector["text"])


def test_the_base_of_the_tables_is_published_too(base: Identity) -> None:
    assert base.behavior == PUBLISHED["whole"]["behavior"]


def test_the_algorithm_of_the_docs_gives_the_published_hash() -> None:
    messages = [{"role": "user", "parts": [{"text": "Say hello to {{ name }}."}]}]
    text = '[{"parts":[{"text":"Say hello to {{ name }}."}],"role":"user"}]'
    assert canonical_json(messages) == text
    assert "p1:" + hashlib.sha256(text.encode()).hexdigest() == PUBLISHED["smallest"]["text"]


def test_undeclared_variables_are_the_same_interface_as_declared_strings(tmp_path: Path) -> None:
    bare = load(tmp_path, "prompt: '{{ a }} {{ b }}'").identity
    assert load(tmp_path, "inputs: {b: string, a: string}\nprompt: '{{ a }} {{ b }}'").identity == bare


def test_the_name_of_the_file_and_its_folder_do_not_count(tmp_path: Path) -> None:
    first = load(tmp_path, "prompt: a").identity
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.yaml").write_text("prompt: a\n")
    assert load_prompt("./x.yaml", load_settings(other, env={}), cwd=other).identity == first


def test_a_statement_in_a_partial_does_not_leak_into_the_hash_of_the_text_around_it(tmp_path: Path) -> None:
    inside = load(tmp_path, "prompt: \"{% include '_p.md' %}{{ x }}\"", {"_p.md": "{% set x = 1 %}"}).identity
    outside = load(tmp_path, 'prompt: "{% set x = 1 %}{{ x }}"').identity
    assert inside.text != outside.text


@pytest.mark.parametrize(
    ("template", "written_out"),
    [
        ("a {%- include '_p.md' -%}  b", "aPb"),
        ("a {% include '_p.md' %}  b", "a P  b"),
        ("a\\n{% include '_p.md' %}\\nb", "a\\nPb"),
        ("a\\n{% include '_p.md' +%}\\nb", "a\\nP\\nb"),
        ("a\\n  {% include '_p.md' with context %}b", "a\\nPb"),
    ],
)
def test_an_include_is_the_text_that_rendering_makes_of_it(tmp_path: Path, template: str, written_out: str) -> None:
    included = load(tmp_path, f'prompt: "{template}"', {"_p.md": "P\n"}).identity
    assert included == load(tmp_path, f'prompt: "{written_out}"').identity


def test_two_halves_of_a_tag_that_meet_are_not_a_variable(tmp_path: Path) -> None:
    halves = load(tmp_path, "prompt: \"{% include '_p.md' %}{ x }}\"", {"_p.md": "{"}).identity
    assert halves.text != load(tmp_path, 'prompt: "{{ x }}"').identity.text


def test_an_include_in_a_raw_block_is_text(tmp_path: Path) -> None:
    raw = "prompt: \"{% raw %}{% include '_p.md' %}{% endraw %}\""
    first = load(tmp_path, raw, {"_p.md": "one"}).identity
    assert load(tmp_path, raw, {"_p.md": "two"}).identity == first


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1.5e-7, "1.5e-7"),
        (0.000001, "0.000001"),
        (123.456, "123.456"),
        (-2.5, "-2.5"),
        (10**30, "1" + "0" * 30),
        ('"\\\n\x1f\x7fé', '"\\"\\\\\\n\\u001f\x7fé"'),
        # UTF-16 order: U+1F600 (a surrogate pair) sorts before U+FB33
        ({"\ufb33": 1, "\U0001f600": 2, "ا": 3}, '{"ا":3,"\U0001f600":2,"\ufb33":1}'),
    ],
)
def test_canonical_json_is_that_of_rfc_8785(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_its_canonical_form(value: float) -> None:
    assert math.isclose(float(canonical_json(value)), value, rel_tol=0, abs_tol=0)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_key_order_never_counts(value: Any) -> None:
    def reversed_keys(item: Any) -> Any:
        return {key: reversed_keys(item[key]) for key in reversed(item)} if isinstance(item, dict) else item

    assert content_hash(reversed_keys(value)) == content_hash(value)
    assert json.loads(canonical_json(value)) == value
