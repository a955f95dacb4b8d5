"""`promptstudio.lock`: one text for one content, read strictly, written by one process at a time."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptstudio.errors import LockFileError, UserError
from promptstudio.prompts.yamlfile import read_yaml
from promptstudio.versions import lock as lock_module
from promptstudio.versions.lock import LOCK_NAME, change_lock, labels_at, parse_lock, read_lock
from promptstudio.versions.repo import open_repository
from promptstudio.versions.stanza import EMPTY, Evidence, Label, Stanza, is_passing, lock_text, scalar
from tests.conftest import Project

H1, H2, H3, H4 = (f"p1:{digit * 64}" for digit in "1234")
EVIDENCE = Evidence("evals/triage", 40, 38, 2, "missed", "2026-11-21T10:00:00Z", run="https://ci.example/run?id=7")
LABEL = Label(
    commit="b" * 40, file="prompts/greet.yaml", behavior=H1, interface=H2, text=H3, promoted="2026-11-21T10:00:00Z",
    by="Ada Lovelace <ada@example.com>", version="2.1.0", reason='it is "kinder": yes', variants={"terse": H4},
    includes={"prompts/_partials/tone.md": "sha256:" + "5" * 64}, evaluations=(EVIDENCE,),
)  # fmt: skip
GREET = Stanza("greet", "prompts/greet.yaml", {"production": LABEL, "staging": replace(LABEL, version=None)})
TEXT = lock_text([GREET])


def test_the_layout_is_a_contract() -> None:
    assert (
        f"""\
# Written by ps: the labels of prompts, and the evaluations they were promoted on.
# Change it with `ps promote`, `ps label`, `ps rollback` and `ps evidence`; `ps verify` finds other changes.
lock_version: 1

prompts:

  greet:
    labels:
      production:
        version: 2.1.0
        commit: {"b" * 40}
        file: prompts/greet.yaml
        behavior: {H1}
        interface: {H2}
        text: {H3}
        variants:
          terse: {H4}
        includes:
          prompts/_partials/tone.md: sha256:{"5" * 64}
        by: Ada Lovelace <ada@example.com>
        reason: "it is \\"kinder\\": yes"
        promoted: 2026-11-21T10:00:00Z
        evaluations:
          - {{suite: evals/triage, run: "https://ci.example/run?id=7", cases: 40, passed: 38, failed: 2, errors: 0, \
gate: missed, at: 2026-11-21T10:00:00Z}}
      staging:
        commit: {"b" * 40}
        file: prompts/greet.yaml
        behavior: {H1}
        interface: {H2}
        text: {H3}
        variants:
          terse: {H4}
        includes:
          prompts/_partials/tone.md: sha256:{"5" * 64}
        by: Ada Lovelace <ada@example.com>
        reason: "it is \\"kinder\\": yes"
        promoted: 2026-11-21T10:00:00Z
        evaluations:
          - {{suite: evals/triage, run: "https://ci.example/run?id=7", cases: 40, passed: 38, failed: 2, errors: 0, \
gate: missed, at: 2026-11-21T10:00:00Z}}
    file: prompts/greet.yaml
"""
        == TEXT
    )


def test_order_of_prompts_and_labels_does_not_count() -> None:
    other = Stanza("ar/welcome", "prompts/ar/welcome.yaml")
    turned = replace(GREET, labels=dict(reversed(GREET.labels.items())))

    assert lock_text([GREET, other]) == lock_text([other, turned])


NAMES = st.one_of(
    st.sampled_from(
        ["support/triage", "no", "1.0", "دعم/تَرحيب", "with space", "a: b", "#x", "~", "1e3", "a\u202eb", "é"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(lambda text: bool(text.strip())),
)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, NAMES)
def test_whatever_is_written_reads_back_quickly_and_as_yaml(name: str, version: str, reason: str) -> None:
    said = " ".join(reason.split()) or "x"
    label = replace(LABEL, version=version.strip(), reason=said, by=name.strip())
    stanza = Stanza(name, f"prompts/{name}.yaml", {"production": label}, {H2: (EVIDENCE,)})

    text = lock_text([stanza, Stanza("zz", "prompts/zz.yaml")])

    quick = parse_lock(text)
    assert quick.prompts[name] == stanza
    assert quick.is_canonical
    plain = read_yaml(text, file=LOCK_NAME).value
    assert plain["prompts"][name]["labels"]["production"]["version"] == version.strip()
    strict = parse_lock(text + "# a remark\n")
    assert strict.prompts == quick.prompts


@pytest.mark.parametrize(
    "text", ["true", "No", "12", "1.5", "0x1f", "12:30", "null", "", " x", "x ", "a,b", "a]", "'", "- x"]
)
def test_what_yaml_would_take_for_something_else_is_quoted(text: str) -> None:
    assert scalar(text).startswith('"')
    assert read_yaml(f"key: {scalar(text)}\nlist: [{scalar(text)}]", file="x").value == {"key": text, "list": [text]}


def test_a_text_without_prompts_is_an_empty_lock(tmp_path: Path) -> None:
    assert read_lock(tmp_path).prompts == {}
    assert read_lock(None).prompts == {}
    assert parse_lock(EMPTY).prompts == {}
    assert lock_text([]) == EMPTY


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("commit: bbb", "comit: bbb", 11, "greet › labels › production › comit: unknown key 'comit'"),
        (H1, "p1:abc", 13, "behavior: expected `p1:` and 64 hex digits, found the text 'p1:abc'"),
        ("version: 2.1.0", "version: 2.1", 10, "version: expected a version, found the number 2.1"),
        ("b" * 40, "b" * 39, 11, "commit: expected a commit's 40 hex digits"),
        ("lock_version: 1", "lock_version: 2", 3, "lock_version: expected 1, found the number 2"),
        ("gate: missed", "gate: perhaps", 24, "gate: expected met or missed"),
        ("cases: 40", "cases: many", 24, "cases: expected a count, found the text 'many'"),
        ("      production:", "      -x:", 9, "-x: not a name of a label"),
        ("    labels:", "    labels:\n    labels:", 9, "the key 'labels' is here twice"),
        ("  greet:", "<<<<<<< HEAD\n  greet:", 7, "a git conflict marker"),
        ("    file: prompts/greet.yaml\n", "", 7, "greet: missing key 'file'"),
    ],
)
def test_a_wrong_edit_is_named_with_its_line(old: str, new: str, line: int, message: str) -> None:
    # The last `file:` is the stanza's; everything else is meant where it stands first.
    head, _, tail = TEXT.rpartition(old) if old.startswith("    file") else TEXT.partition(old)

    with pytest.raises(LockFileError) as caught:
        parse_lock(head + new + tail)

    problem = caught.value.problems[0]
    assert message in problem.message
    assert (problem.file, problem.line) == (LOCK_NAME, line)


def test_all_wrong_edits_are_named_at_once() -> None:
    with pytest.raises(LockFileError) as caught:
        parse_lock(TEXT.replace(H1, "x").replace(H2, "y"))

    assert [problem.line for problem in caught.value.problems] == [13, 14, 28, 29]


def test_a_text_that_ps_did_not_write_is_read_and_told_apart() -> None:
    lock = parse_lock(TEXT.replace("prompts:\n", "prompts:   # ours\n", 1))

    assert lock.prompts == {"greet": GREET}
    assert not lock.is_canonical


def test_every_value_is_found_on_its_line_however_the_file_is_laid_out() -> None:
    for text in (TEXT, "# one line more\n" + TEXT):
        lock, lines = parse_lock(text), text.splitlines()
        for key in ("version", "commit", "behavior", "promoted"):
            line = lock.line_of("greet", "labels", "production", key)
            assert line is not None
            assert lines[line - 1].strip().startswith(f"{key}:")
        assert (
            lock.line_of("greet", "labels", "production", "variants", "terse")
            == lines.index(f"          terse: {H4}") + 1
        )
        assert lock.line_of("greet", "labels", "nowhere") == lock.line_of("greet", "labels")


def test_a_file_that_is_no_text_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_bytes(b"lock_version: 1\n\xff\n")
    with pytest.raises(LockFileError, match="lock:2: not UTF-8"):
        read_lock(tmp_path)
    (tmp_path / LOCK_NAME).unlink()
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(LockFileError, match="no regular file"):
        read_lock(tmp_path)


def _add(root: Path, number: int) -> None:
    name = f"prompt{number}"
    change_lock(root, lambda lock: {**lock.prompts, name: Stanza(name, f"prompts/{name}.yaml")})


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add, args=(tmp_path, number)) for number in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    assert sorted(read_lock(tmp_path).prompts) == sorted(f"prompt{number}" for number in range(12))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [LOCK_NAME]


def test_a_writer_does_not_wait_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "WAIT_S", 0.05)
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(LockFileError, match="another ps is writing it"):
            _add(tmp_path, 1)
    finally:
        os.close(holder)


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text(TEXT)

    def fail(_: object) -> dict[str, Stanza]:
        raise UserError("no")

    with pytest.raises(UserError):
        change_lock(tmp_path, fail)
    (tmp_path / LOCK_NAME).chmod(0o444)
    assert (tmp_path / LOCK_NAME).read_text() == TEXT


def test_a_broken_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("<<<<<<< HEAD\n" + TEXT)

    with pytest.raises(LockFileError, match="conflict marker"):
        _add(tmp_path, 1)

    assert (tmp_path / LOCK_NAME).read_text() == "<<<<<<< HEAD\n" + TEXT


def test_the_labels_of_a_commit_are_those_its_lock_file_had(project: Project) -> None:
    before = project.commit()
    project.write(LOCK_NAME, TEXT)
    after = project.commit()
    (project.root / LOCK_NAME).unlink()

    with open_repository(project.root) as repository:
        assert labels_at(repository, before, project.settings()) == {}
        assert labels_at(repository, after, project.settings())["greet"]["production"] == LABEL


@pytest.mark.parametrize(
    ("evidence", "passing"),
    [
        ([], False),
        ([EVIDENCE], False),
        ([replace(EVIDENCE, gate="met")], True),
        ([replace(EVIDENCE, gate="met"), replace(EVIDENCE, at="2026-11-22T10:00:00Z")], False),
        ([EVIDENCE, replace(EVIDENCE, gate="met", at="2026-11-22T10:00:00Z")], True),
        ([replace(EVIDENCE, gate="met", at="2026-11-22T10:00:00Z"), EVIDENCE], True),
        ([replace(EVIDENCE, gate="met"), replace(EVIDENCE, suite="other")], False),
        ([replace(EVIDENCE, gate="met", cases=0)], False),
    ],
)
def test_the_newest_evaluation_of_every_suite_must_have_met_its_gate(evidence: list[Evidence], passing: bool) -> None:
    assert is_passing(evidence) is passing


def test_the_end_of_a_stanza_is_a_line_that_promotions_leave_alone() -> None:
    for block in re.split(r"\n\n", TEXT)[2:]:
        assert block.strip().splitlines()[-1].strip() == "file: prompts/greet.yaml"
