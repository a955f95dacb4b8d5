"""The verdict: every rule, the golden vectors, and what must hold for any two versions. See docs/diff.md."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from promptstudio.config import load_settings
from promptstudio.prompts.snapshot import Snapshot, take_snapshot
from promptstudio.prompts.yamlfile import read_yaml
from promptstudio.versions.diff.compare import compare
from promptstudio.versions.diff.rules import RULES
from promptstudio.versions.diff.schema import Level, Verdict
from promptstudio.versions.diff.verdict import verdict_of

GOLDEN_DIR = Path(__file__).parent.parent / "golden"
IDENTITY, VERDICTS = (
    read_yaml((GOLDEN_DIR / name).read_text(encoding="utf-8"), file=name).value
    for name in ("identity.yaml", "verdicts.yaml")
)
EDITS = {edit["name"]: edit for edit in IDENTITY["same"] + IDENTITY["different"]}
EXPECTED: dict[str, list[str]] = {**VERDICTS["same"], **VERDICTS["different"]}
HASHES = ("behavior", "interface", "text")


def snapshot(text: str, files: dict[str, str]) -> Snapshot:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "prompts").mkdir()
        (folder / "promptstudio.toml").write_text(files.get("promptstudio.toml", ""), encoding="utf-8")
        for name, content in {**files, "p.yaml": text}.items():
            (folder / "prompts" / name).write_text(content, encoding="utf-8")
        return take_snapshot(folder / "prompts" / "p.yaml", load_settings(folder, env={}))


@cache
def base(name: str) -> Snapshot:
    if name == "identity":
        return snapshot(IDENTITY["base"], IDENTITY["files"])
    return snapshot(VERDICTS["bases"][name], {})


def replaced(text: str, edit: dict[str, Any]) -> str:
    for old, new in edit.get("edits", []):
        assert old in text, f"{edit['name']}: {old!r} is not in the file"
        text = text.replace(old, new)
    return text


@cache
def edited(name: str) -> Snapshot:
    if name in EDITS:
        edit = EDITS[name]
        return snapshot(replaced(IDENTITY["base"], edit), {**IDENTITY["files"], **edit.get("files", {})})
    edit = next(one for one in VERDICTS["more"] if one["name"] == name)
    return snapshot(replaced(VERDICTS["bases"][edit["base"]], edit), {})


def told(verdict: Verdict) -> list[str]:
    return [verdict.level.name, *dict.fromkeys(reason.rule for reason in verdict.reasons)]


def changed_hashes(old: Snapshot, new: Snapshot) -> set[str]:
    return {name for name in HASHES if getattr(old.identity, name) != getattr(new.identity, name)}


def test_every_edit_of_the_identity_has_a_verdict() -> None:
    assert set(EXPECTED) == set(EDITS)
    assert len(VERDICTS["same"]) >= 30
    assert len(VERDICTS["different"]) >= 30


@pytest.mark.parametrize("name", EXPECTED)
def test_the_verdict_when(name: str) -> None:
    assert told(verdict_of(base("identity"), edited(name))) == EXPECTED[name]


@pytest.mark.parametrize("edit", VERDICTS["more"], ids=lambda edit: edit["name"])
def test_the_verdict_and_the_hashes_when(edit: dict[str, Any]) -> None:
    old, new = base(edit["base"]), edited(edit["name"])
    expected = set() if edit["also"] is None else {"behavior", *edit["also"]}

    assert told(verdict_of(old, new)) == edit["verdict"]
    assert changed_hashes(old, new) == expected


def test_every_rule_has_a_golden_vector() -> None:
    vectors = {rule for rules in EXPECTED.values() for rule in rules[1:]}
    vectors |= {rule for edit in VERDICTS["more"] for rule in edit["verdict"][1:]}

    assert set(RULES) - vectors == {"prompt-removed", "prompt-added", "behavior-changed"}  # each has a test below


def test_the_docs_show_the_table_of_rules() -> None:
    page = (GOLDEN_DIR.parent.parent / "docs" / "diff.md").read_text(encoding="utf-8")

    for level in (Level.MAJOR, Level.MINOR, Level.PATCH):
        part = page.partition(f"**{level.name}**:")[2].partition("\n**")[0]
        rows = [f"| `{rule.name}` | {rule.meaning} |" for rule in RULES.values() if rule.level is level]
        assert [line for line in part.splitlines() if line.startswith("| `")] == rows


def test_a_prompt_that_is_gone_is_major_and_a_new_one_minor() -> None:
    prompt = base("plain")

    assert told(verdict_of(prompt, None)) == ["MAJOR", "prompt-removed"]
    assert told(verdict_of(None, prompt)) == ["MINOR", "prompt-added"]
    assert told(verdict_of(None, None)) == ["NONE"]


def test_a_hash_that_no_rule_explains_is_still_a_change() -> None:
    prompt = base("plain")
    other = replace(prompt, identity=replace(prompt.identity, behavior="p1:" + "0" * 64))

    assert told(verdict_of(prompt, other)) == ["MINOR", "behavior-changed"]


def test_what_the_prompt_and_its_variants_share_is_said_once() -> None:
    prompt = base("plain")
    text = VERDICTS["bases"]["plain"].replace("offline/echo", "offline/other")

    reasons = verdict_of(prompt, snapshot(text, {})).reasons

    assert [(reason.rule, reason.variant) for reason in reasons] == [("model-changed", None)]


def test_what_is_said_of_an_input_goes_with_its_name() -> None:
    text = "model: offline/echo\ninputs:\n  {}: string, {}\nprompt: 'Hello {{{{ {} }}}}'\n"
    prompt = snapshot(text.format("question", "the question", "question"), {})

    renamed = verdict_of(prompt, snapshot(text.format("q", "the question", "q"), {})).reasons
    both = verdict_of(prompt, snapshot(text.format("q", "what is asked", "q"), {})).reasons
    gone = verdict_of(prompt, snapshot("model: offline/echo\nprompt: Hello\n", {})).reasons

    assert [reason.rule for reason in renamed] == ["input-renamed", "messages-changed"]
    assert [reason.rule for reason in both] == ["input-renamed", "messages-changed", "input-described"]
    assert both[-1].place == "inputs.q"
    assert "input-described" not in [reason.rule for reason in gone]


def test_a_change_of_a_variant_names_it() -> None:
    reasons = verdict_of(base("plain"), edited("the parameters of a variant change")).reasons

    assert [(reason.place, reason.text) for reason in reasons] == [("parameters.max_tokens (in :short)", "20 → 30")]


@pytest.mark.parametrize(
    ("name", "place", "text"),
    [
        ("an enum of an input loses a value", "inputs.kind", "enum loses b"),
        ("a maximum of an input is lowered", "inputs.count", "maximum 9 → 8"),
        ("an input is renamed", "inputs.kind", "renamed to sort"),
        ("an input gets a pattern", "inputs.name", "pattern none → ^[a-z]+$; cannot be shown compatible"),
        ("a field deep in the answer may be missing", "output.rows[].id", "always there → may be missing"),
        ("an enum of the answer gains a value", "output.state", "enum gains lost"),
        ("a field of the answer may be null", "output.score", 'type number → ["number", "null"]'),
        ("a field of the answer goes", "output.date", "removed (string)"),
    ],
)
def test_the_first_reason_says_where_and_what(name: str, place: str, text: str) -> None:
    edit = next(one for one in VERDICTS["more"] if one["name"] == name)

    first = verdict_of(base(edit["base"]), edited(name)).reasons[0]

    assert (first.place, first.text) == (place, text)


def all_versions() -> list[Snapshot]:
    return [base("identity"), *map(edited, EXPECTED)]


def test_a_version_beside_itself_has_no_difference_at_all() -> None:
    for version in all_versions():
        found = compare(version, version)
        assert (found.verdict.level, found.sections, found.messages, found.variants) == (Level.NONE, (), (), {})


def test_none_means_equal_hashes_and_another_hash_means_at_least_minor() -> None:
    versions = all_versions()
    for old, new in itertools.chain(itertools.pairwise(versions), ((versions[0], one) for one in versions)):
        for one, other in ((old, new), (new, old)):
            level = verdict_of(one, other).level
            if changed_hashes(one, other):
                assert level >= Level.MINOR
            if level is Level.NONE:
                assert one.identity == other.identity
                assert one.notes == other.notes


def test_if_the_way_there_changes_nothing_neither_does_the_way_back() -> None:
    versions = all_versions()
    for old, new in itertools.combinations(versions[::3], 2):
        assert (verdict_of(old, new).level is Level.NONE) == (verdict_of(new, old).level is Level.NONE)


def test_the_order_of_reasons_is_by_weight() -> None:
    for version in all_versions():
        levels = [reason.level for reason in verdict_of(base("identity"), version).reasons]
        assert levels == sorted(levels, reverse=True)
