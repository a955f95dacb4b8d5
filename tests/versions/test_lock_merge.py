"""Branches that promoted different prompts merge with plain git; the merge driver solves what plain git cannot."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from promptstudio.versions.labels import with_evidence, with_label, without_label
from promptstudio.versions.lock import LOCK_NAME, parse_lock
from promptstudio.versions.lock_merge import merge_lock_files
from promptstudio.versions.stanza import EMPTY, Evidence, Label, Stanza, lock_text
from tests.conftest import Project

NAMES = ["alpha", "beta", "gamma"]


def label(letter: str, **values: str) -> Label:
    """A label whose commit and hashes are made of one hex digit."""
    digest, day = f"p1:{letter * 64}", int(letter, 16) % 10
    made = Label(
        letter * 40, "prompts/x.yaml", digest, digest, digest, f"2026-11-2{day}T10:00:00Z", "Ada", f"1.{day}.0"
    )
    return replace(made, **values)


def stanza(name: str, **labels: Label) -> Stanza:
    return Stanza(name, f"prompts/{name}.yaml", labels)


def evidence(day: int) -> Evidence:
    return Evidence("suite", 10, 10, 0, "met", f"2026-11-0{day}T10:00:00Z")


BARE = [stanza(name) for name in NAMES]
LABELED = [stanza(name, production=label("1"), staging=label("2")) for name in NAMES]


def changed(stanzas: list[Stanza], name: str, change: str) -> list[Stanza]:
    """What one branch makes of the lock file."""
    old = next(each for each in stanzas if each.name == name)
    made = {
        "promote": with_label(old, "production", label("a")),
        "promote with evidence": with_label(old, "production", label("a"), [evidence(1)]),
        "new label": with_label(old, "canary", label("b")),
        "last label": with_label(old, "zeta", label("b")),
        "evidence": with_evidence(old, "p1:" + "c" * 64, [evidence(2)]),
        "remove": without_label(old, "production"),
    }[change]
    return [made if each.name == name else each for each in stanzas]


def merged_by_git(project: Project, base: str | None, ours: str, theirs: str) -> tuple[int, str]:
    """Merge two branches with git as it is; return its exit code and the file."""
    if base is not None:
        project.write(LOCK_NAME, base)
    project.commit("base")
    project.git("checkout", "-q", "-b", "theirs")
    project.write(LOCK_NAME, theirs)
    project.commit("theirs")
    project.git("checkout", "-q", "main")
    project.write(LOCK_NAME, ours)
    project.commit("ours")
    done = subprocess.run(["git", "merge", "-q", "theirs"], cwd=project.root, capture_output=True, check=False)
    return done.returncode, (project.root / LOCK_NAME).read_text()


@pytest.mark.parametrize("before", [BARE, LABELED], ids=["without labels", "with labels"])
@pytest.mark.parametrize(("one", "other"), list(permutations(NAMES, 2)))
def test_two_branches_that_promoted_different_prompts_merge_with_plain_git(
    project: Project, before: list[Stanza], one: str, other: str
) -> None:
    ours, theirs = changed(before, one, "promote"), changed(before, other, "promote with evidence")
    both = changed(ours, other, "promote with evidence")

    code, text = merged_by_git(project, lock_text(before), lock_text(ours), lock_text(theirs))

    assert (code, text) == (0, lock_text(both))


@pytest.mark.parametrize("one", ["promote", "new label", "last label", "evidence", "remove"])
@pytest.mark.parametrize("other", ["promote", "new label", "last label", "evidence", "remove"])
def test_whatever_happens_to_neighbors_merges_with_plain_git(tmp_path: Path, one: str, other: str) -> None:
    before = LABELED
    ours, theirs = changed(before, "alpha", one), changed(before, "beta", other)
    texts = {"base": before, "ours": ours, "theirs": theirs}
    for name, stanzas in texts.items():
        (tmp_path / name).write_text(lock_text(stanzas))

    done = subprocess.run(
        ["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert done.stdout == lock_text(changed(ours, "beta", other))


def test_promoting_one_prompt_differently_is_a_conflict_a_person_can_read(project: Project) -> None:
    ours = [stanza("alpha", production=label("a")), *LABELED[1:]]
    theirs = [stanza("alpha", production=label("b")), *LABELED[1:]]
    base = [stanza("alpha", production=label("1")), *LABELED[1:]]

    code, text = merged_by_git(project, lock_text(base), lock_text(ours), lock_text(theirs))

    assert code == 1
    assert text.count("<<<<<<<") == 1
    inside = text.partition("<<<<<<<")[2].partition(">>>>>>>")[0]
    assert f"commit: {'a' * 40}" in inside
    assert f"commit: {'b' * 40}" in inside
    assert "beta" not in inside


def test_the_reason_of_a_promotion_stays_on_its_side_of_a_conflict(project: Project) -> None:
    ours = [stanza("alpha", production=replace(label("a"), promoted="2026-11-21T10:00:01Z"))]
    theirs = [stanza("alpha", production=replace(label("b"), promoted="2026-11-21T10:00:02Z", reason="theirs alone"))]
    base = [stanza("alpha", production=label("1"))]

    code, text = merged_by_git(project, lock_text(base), lock_text(ours), lock_text(theirs))

    assert code == 1
    lines = text.splitlines()
    sides = {"<": "ours", "=": "theirs", ">": "both"}
    where = "both"
    for line in lines:
        where = sides[line[0]] if line.startswith(("<<<<<<<", "=======", ">>>>>>>")) else where
        if "reason:" in line:
            assert where == "theirs"
    assert "theirs alone" in text


# -- the merge driver


def test_the_driver_makes_one_file_of_two_first_ones() -> None:
    ours, theirs = lock_text([LABELED[0], BARE[1]]), lock_text([BARE[0], LABELED[1], LABELED[2]])

    text, has_conflicts = merge_lock_files("", lock_text([LABELED[0]]), lock_text([LABELED[1], LABELED[2]]))

    assert (text, has_conflicts) == (lock_text(LABELED), False)
    assert merge_lock_files("", ours, theirs) == (lock_text(LABELED), False)


def test_the_driver_adds_new_prompts_of_both_sides() -> None:
    base = lock_text([BARE[0]])

    assert merge_lock_files(base, lock_text(BARE[:2]), lock_text([BARE[0], BARE[2]])) == (lock_text(BARE), False)


def test_the_driver_merges_different_labels_and_evidence_of_one_prompt() -> None:
    base = [stanza("alpha", production=label("1"), staging=label("2"))]
    ours = changed(base, "alpha", "promote with evidence")
    theirs = [with_evidence(with_label(base[0], "staging", label("3")), "p1:" + "1" * 64, [evidence(3)])]

    text, has_conflicts = merge_lock_files(*(lock_text(each) for each in (base, ours, theirs)))

    found = parse_lock(text).prompts["alpha"]
    assert not has_conflicts
    assert found.labels["production"].commit == "a" * 40
    assert found.labels["staging"].commit == "3" * 40
    assert found.evidence("p1:" + "a" * 64) == (evidence(1),)
    assert found.evidence("p1:" + "1" * 64) == (evidence(3),)
    assert parse_lock(text).is_canonical


def test_the_same_promotion_on_both_sides_is_no_conflict() -> None:
    base, ours = LABELED, changed(LABELED, "alpha", "promote")
    theirs = [with_label(LABELED[0], "production", label("a", promoted="2026-11-30T10:00:00Z", by="Bob")), *LABELED[1:]]

    text, has_conflicts = merge_lock_files(lock_text(base), lock_text(ours), lock_text(theirs))

    assert not has_conflicts
    assert parse_lock(text).prompts["alpha"].labels["production"].by == "Bob"


def test_a_conflict_of_the_driver_stands_around_that_label_alone() -> None:
    ours = changed(LABELED, "beta", "promote with evidence")
    theirs = [LABELED[0], with_label(LABELED[1], "production", label("b")), LABELED[2]]

    text, has_conflicts = merge_lock_files(
        lock_text(LABELED), lock_text(ours), lock_text(theirs), sides=("HEAD", "fix")
    )

    assert has_conflicts
    before, _, rest = text.partition("<<<<<<< HEAD\n")
    inside, _, after = rest.partition(">>>>>>> fix\n")
    mine, _, yours = inside.partition("=======\n")
    assert before + mine + after == lock_text(ours)
    assert before + yours + after == lock_text(theirs)
    assert mine.startswith("      production:\n")


def test_a_label_that_one_side_moved_and_the_other_took_away_is_a_conflict() -> None:
    ours, theirs = changed(LABELED, "beta", "remove"), changed(LABELED, "beta", "promote")

    for one, other in ((ours, theirs), (theirs, ours)):
        text, has_conflicts = merge_lock_files(lock_text(LABELED), lock_text(one), lock_text(other))
        before, _, rest = text.partition("<<<<<<< ours\n")
        inside, _, after = rest.partition(">>>>>>> theirs\n")
        mine, _, yours = inside.partition("=======\n")
        assert has_conflicts
        assert "" in (mine, yours)
        assert f"commit: {'a' * 40}" in mine + yours
        assert parse_lock(before + mine + after).prompts["beta"].labels.keys() == one[1].labels.keys()
        assert parse_lock(before + yours + after).prompts["beta"].labels.keys() == other[1].labels.keys()


def test_a_prompt_that_one_side_deleted_and_the_other_promoted_is_a_conflict() -> None:
    text, has_conflicts = merge_lock_files(
        lock_text(LABELED), lock_text(LABELED[1:]), lock_text(changed(LABELED, "alpha", "promote"))
    )

    assert has_conflicts
    assert "<<<<<<< ours\n=======\n  alpha:\n" in text


def test_a_deleted_prompt_that_nobody_touched_is_gone() -> None:
    assert merge_lock_files(lock_text(BARE), lock_text(BARE[1:]), lock_text(BARE)) == (lock_text(BARE[1:]), False)
    assert merge_lock_files(lock_text(BARE), EMPTY, EMPTY) == (EMPTY, False)


def test_two_names_for_one_file_are_a_conflict_of_that_line() -> None:
    ours, theirs = (lock_text([replace(BARE[0], file=file)]) for file in ("a.yaml", "b.yaml"))

    text, has_conflicts = merge_lock_files(lock_text(BARE[:1]), ours, theirs)

    assert has_conflicts
    assert text.endswith("<<<<<<< ours\n    file: a.yaml\n=======\n    file: b.yaml\n>>>>>>> theirs\n")


def test_a_side_that_cannot_be_read_is_kept_whole() -> None:
    broken = "<<<<<<< HEAD\n" + lock_text(BARE)

    text, has_conflicts = merge_lock_files(lock_text(BARE), broken, lock_text(LABELED))

    assert has_conflicts
    assert broken in text
    assert lock_text(LABELED) in text
