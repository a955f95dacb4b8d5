"""Labels: what may be one, what it records, and how evidence goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from promptstudio.errors import NotFoundError, PromptFileError, UsageError
from promptstudio.versions.labels import (
    MAX_EVALUATIONS,
    MAX_UNLABELED,
    check_label_name,
    completed,
    is_same_content,
    label_at,
    label_before,
    prompt_files,
    renamed,
    who_now,
    with_evidence,
    with_label,
    without_label,
)
from promptstudio.versions.lock import LOCK_NAME, read_lock
from promptstudio.versions.promotion import check_committed
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.stanza import Evidence, Label, Stanza
from tests.conftest import Project

SetLabel = Callable[..., str]
HASHES = [f"p1:{number:064x}" for number in range(40)]


def made(behavior: int = 1, commit: str = "a") -> Label:
    at = "2026-11-21T10:00:00Z"
    return Label(commit * 40, "prompts/greet.yaml", HASHES[behavior], HASHES[0], HASHES[0], at, "Ada")


def evidence(day: int, **values: str) -> Evidence:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    return replace(Evidence("suite", 10, 10, 0, "met", at.strftime("%Y-%m-%dT%H:%M:%SZ")), **values)


@pytest.mark.parametrize("name", ["production", "staging", "eu-west.1", "canary_2", "إنتاج", "a"])
def test_a_label_may_be_named_so(name: str) -> None:
    check_label_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-x", "x-", "a b", "a/b", "a:b", "HEAD", "ORIG_HEAD", "v1", "1.2.0", "v2.1.0", "deadbeef", "label", "a@b"],
)
def test_what_would_mean_something_else_after_an_at_sign_is_no_label(name: str) -> None:
    with pytest.raises(UsageError):
        check_label_name(name)


def test_a_label_records_what_the_commit_has(project: Project) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.\n")
    project.write(
        "prompts/greet.yaml", "version: 1.2.0\nprompt: \"Hi {{ name }}. {% include '_partials/tone.md' %}\"\n"
    )
    commit = project.commit()
    project.write("prompts/_partials/tone.md", "Be quick.\n")

    with open_repository(project.root) as repository, Snapshots(repository, project.settings()) as snapshots:
        label = label_at(snapshots, snapshots.at(commit), project.root / "prompts/greet.yaml", who_now("Ada"))
        now = snapshots.known(snapshots.now(), project.root / "prompts/greet.yaml")

    assert (label.commit, label.file, label.version) == (commit, "prompts/greet.yaml", "1.2.0")
    assert label.includes == {"prompts/_partials/tone.md": "sha256:" + sha256(b"Be kind.\n").hexdigest()}
    assert now.identity is not None
    assert label.behavior != now.identity.behavior
    assert label.interface == now.identity.interface


def test_a_prompt_that_does_not_load_gets_no_label(project: Project) -> None:
    project.write("prompts/greet.yaml", "prompt: [\n")
    commit = project.commit()

    with (
        open_repository(project.root) as repository,
        Snapshots(repository, project.settings()) as snapshots,
        pytest.raises(PromptFileError, match=f"{commit[:8]}:prompts/greet.yaml"),
    ):
        label_at(snapshots, snapshots.at(commit), project.root / "prompts/greet.yaml", who_now("Ada"))


def test_evidence_goes_with_the_label_of_its_behavior_and_stays_when_the_label_moves_on() -> None:
    bare = with_evidence(Stanza("greet", "prompts/greet.yaml"), HASHES[1], [evidence(1)])
    assert bare.evaluations == {HASHES[1]: (evidence(1),)}

    labeled = with_label(bare, "production", made(1))
    assert (labeled.evaluations, labeled.labels["production"].evaluations) == ({}, (evidence(1),))

    moved_on = with_label(labeled, "production", made(2), [evidence(2)])
    assert moved_on.labels["production"].evaluations == (evidence(2),)
    assert moved_on.evaluations == {HASHES[1]: (evidence(1),)}

    back = with_label(moved_on, "production", made(1))
    assert back.labels["production"].evaluations == (evidence(1),)
    assert without_label(back, "production").evaluations == {HASHES[1]: (evidence(1),), HASHES[2]: (evidence(2),)}


def test_evidence_does_not_grow_without_end() -> None:
    stanza = Stanza("greet", "prompts/greet.yaml")
    stanza = with_evidence(stanza, HASHES[0], [evidence(day) for day in range(MAX_EVALUATIONS + 5)])
    for number in range(1, MAX_UNLABELED + 6):
        stanza = with_evidence(stanza, HASHES[number], [evidence(100 + number)])

    assert HASHES[0] not in stanza.evaluations
    assert len(stanza.evaluations) == MAX_UNLABELED
    assert HASHES[MAX_UNLABELED + 5] in stanza.evaluations
    many = with_evidence(Stanza("x", "x"), HASHES[0], [evidence(day) for day in range(MAX_EVALUATIONS + 5)])
    assert many.evaluations[HASHES[0]][0] == evidence(5)


def test_one_evaluation_is_kept_once() -> None:
    stanza = with_evidence(Stanza("greet", "x"), HASHES[1], [evidence(1), evidence(1)])

    assert with_evidence(stanza, HASHES[1], [evidence(1)]).evidence(HASHES[1]) == (evidence(1),)


def test_every_prompt_has_a_stanza_and_what_is_gone_stays_only_with_a_label() -> None:
    prompts = {
        "old": Stanza("old", "prompts/old.yaml", {}, {HASHES[1]: (evidence(1),)}),
        "live": Stanza("live", "prompts/live.yaml", {"production": made()}),
        "moved": Stanza("moved", "prompts/before.yaml", {"production": made()}),
    }

    found = completed(prompts, {"moved": "prompts/after.yaml", "new": "prompts/new.yaml"})

    assert sorted(found) == ["live", "moved", "new"]
    assert found["moved"].file == "prompts/after.yaml"
    assert found["moved"].labels == prompts["moved"].labels


def test_a_renamed_prompt_keeps_its_labels() -> None:
    before = {"greet": Stanza("greet", "prompts/greet.yaml", {"production": made()})}

    after = renamed(before, "greet", "hello", "prompts/hello.yaml")

    assert list(after) == ["hello"]
    assert after["hello"] == Stanza("hello", "prompts/hello.yaml", {"production": made()})
    assert renamed(before, "nobody", "x", "y") == before


def test_moving_to_another_commit_with_the_same_content_is_no_move() -> None:
    assert is_same_content(made(1, "a"), replace(made(1, "b"), by="Bob", reason="why"))
    assert not is_same_content(made(1), made(2))
    assert not is_same_content(made(1), replace(made(1), version="2.0.0"))
    assert not is_same_content(made(1), replace(made(1), includes={"x": "sha256:" + "0" * 64}))


def test_drafts_that_git_does_not_know_get_no_stanza(project: Project) -> None:
    project.write("prompts/draft.yaml", "prompt: not yet\n")

    with open_repository(project.root) as repository:
        files = prompt_files(project.settings(), repository)

    assert files == {name: f"prompts/{name}.yaml" for name in ("ar/welcome", "greet", "support/triage")}


def test_where_a_label_was_before_is_in_the_history_of_the_lock_file(project: Project, labeled: SetLabel) -> None:
    first = labeled(project, "greet", "production")
    project.commit("lock one")
    text = (project.root / "prompts/greet.yaml").read_text()
    project.write("prompts/greet.yaml", text.replace("hello", "good day"))
    second = project.commit("two")
    labeled(project, "greet", "production", second)
    project.write(LOCK_NAME, "<<<<<<< HEAD\n" + (project.root / LOCK_NAME).read_text())
    project.commit("a merge went wrong")
    labeled_text = (project.root / LOCK_NAME).read_text().replace("<<<<<<< HEAD\n", "")
    project.write(LOCK_NAME, labeled_text)
    project.commit("lock two")
    settings, now = project.settings(), read_lock(project.root).prompts["greet"].labels["production"]

    with open_repository(project.root) as repository:
        assert label_before(repository, settings, "greet", "production", now).commit == first
        before = label_before(repository, settings, "greet", "production", now)
        assert label_before(repository, settings, "greet", "production", before).commit == second
        with pytest.raises(NotFoundError, match="never pointed anywhere else"):
            label_before(repository, settings, "support/triage", "production", now)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("prompts/greet.yaml", "prompt: other\n"),
        ("prompts/_partials/tone.md", "other\n"),
        ("promptstudio.toml", '[project]\nname = "sample"\n[run]\nmodel = "offline/script"\n'),
    ],
)
def test_what_is_not_committed_cannot_be_promoted(project: Project, file: str, text: str) -> None:
    project.write("prompts/_partials/tone.md", "kind\n")
    project.write("prompts/greet.yaml", "prompt: \"{% include '_partials/tone.md' %}\"\n")
    project.commit()

    def check() -> None:
        with open_repository(project.root) as repository, Snapshots(repository, project.settings()) as snapshots:
            check_committed(snapshots, "greet")

    check()
    project.write("prompts/ar/welcome.yaml", "prompt: another one may change\n")
    check()
    project.write(file, text)
    with pytest.raises(UsageError, match=f"not committed as it is now: {file}"):
        check()
