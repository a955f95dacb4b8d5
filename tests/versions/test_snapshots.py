"""Snapshots of any moment, read once for each content: what holds, what does not, and what damage costs."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptstudio.errors import ConfigError, NotFoundError, Problem
from promptstudio.prompts import assemble
from promptstudio.prompts.snapshot import Snapshot, take_snapshot
from promptstudio.versions import snapshots as looked_at
from promptstudio.versions.compare import changed_paths, likeness
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshotdb import Key, SnapshotDb
from promptstudio.versions.snapshots import Snapshots, prompts_at
from tests.conftest import GREET, Project

LOUD = GREET.replace("Say hello", "Shout hello")


@contextmanager
def snapshots(project: Project, *, root: Path | None = None) -> Iterator[Snapshots]:
    top = root or project.root
    with open_repository(top) as repository, Snapshots(repository, Project(top).settings()) as found:
        yield found


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were loaded, in order."""
    seen: list[str] = []
    original = assemble.overlaid

    def counting(document: object, variant: object) -> object:
        seen.append(document.file)  # type: ignore[attr-defined]
        return original(document, variant)  # type: ignore[arg-type]

    monkeypatch.setattr(assemble, "overlaid", counting)
    return seen


def greeting(found: Snapshots, commit: str | None = None) -> Snapshot | Problem:
    moment = found.now() if commit is None else found.at(commit)
    return found.of(moment, found.repository.top / "prompts/greet.yaml")


def test_a_snapshot_from_the_cache_is_the_snapshot_that_was_taken(project: Project, loads: list[str]) -> None:
    path = project.root / "prompts/greet.yaml"
    with snapshots(project) as found:
        first = greeting(found)
    assert isinstance(first, Snapshot)
    assert first.identity == take_snapshot(path, project.settings()).identity
    assert set(first.variants) == {"short"}
    loads.clear()
    with snapshots(project) as found:
        assert greeting(found) == first
        head = found.repository.head()
        assert head is not None
        committed = greeting(found, head)
    assert isinstance(committed, Snapshot)
    assert committed.path == f"{head[:8]}:prompts/greet.yaml"
    assert committed.variants["short"].path == committed.path
    assert committed.behavior == first.behavior
    assert loads == []


def test_an_entry_holds_only_where_all_files_it_was_made_of_are_the_same(project: Project) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.")
    path = project.write("prompts/support/p.yaml", "prompt: \"{% include '_partials/tone.md' %}\"\n")
    first = project.commit()
    project.write("prompts/_partials/tone.md", "Be strict.")
    second = project.commit()
    with snapshots(project) as found:
        kinds = [found.known(found.at(commit), path).identity for commit in (first, second)]
        assert kinds[0] != kinds[1]
    with snapshots(project) as found:
        assert [found.known(found.at(commit), path).identity for commit in (first, second)] == kinds
        asked = found.known(found.at(first), path).asked
        assert set(asked) == {"prompts/support/p.yaml", "prompts/_partials/tone.md"}


def test_a_file_that_comes_to_stand_in_the_way_of_another_one_counts(project: Project) -> None:
    line = '{{"inputs": {{"name": "A"}}, "output": "{}"}}\n'
    project.write("prompts/rows.jsonl", line.format("outer"))
    path = project.write("prompts/support/p.yaml", "prompt: Hi {{ name }}\nexamples: [{file: rows.jsonl}]\n")
    first = project.commit()
    project.write("prompts/support/rows.jsonl", line.format("inner"))
    second = project.commit()
    for _ in range(2):
        with snapshots(project) as found:
            taken = [found.of(found.at(commit), path) for commit in (first, second)]
            outputs = [each.behavior["examples"][0]["output"] for each in taken if isinstance(each, Snapshot)]
            assert outputs == ["outer", "inner"]


def test_settings_that_count_are_part_of_the_key_and_others_are_not(project: Project, loads: list[str]) -> None:
    path = project.write("prompts/p.yaml", "prompt: Hi\n")
    first = project.commit()
    project.write(
        "promptstudio.toml",
        '[run]\nmodel = "offline/echo"\n[profiles.strict]\ntemperature = 0\n[history]\nredact = false\n',
    )
    second = project.commit()
    project.write("promptstudio.toml", '[run]\nmodel = "openai/other"\n')
    third = project.commit()
    with snapshots(project) as found:
        models = [found.of(found.at(commit), path).behavior["model"] for commit in (first, second, third)]  # type: ignore[union-attr]
    assert models == ["offline/echo", "offline/echo", "openai/other"]
    assert len(loads) == 2


def test_a_file_that_does_not_load_is_its_problem_at_its_commit(project: Project, loads: list[str]) -> None:
    path = project.write("prompts/broken.yaml", "prompt: Hi {{ name }\n")
    commit = project.commit()
    for _ in range(2):
        with snapshots(project) as found:
            problem = found.of(found.at(commit), path)
            assert isinstance(problem, Problem)
            assert problem.place.startswith(f"{commit[:8]}:prompts/broken.yaml:1")
            now = found.of(found.now(), path)
            assert isinstance(now, Problem)
            assert now.place.startswith("prompts/broken.yaml:1")
            absent = found.of(found.at(commit), project.root / "prompts/absent.yaml")
            assert isinstance(absent, Problem)
            assert "no such file" in absent.message
    assert len(loads) == 1


def test_a_commit_that_is_gone_and_settings_that_cannot_be_read_are_errors(project: Project) -> None:
    project.write("promptstudio.toml", "[run\n")
    broken = project.commit()
    project.git("checkout", "-q", "HEAD~1", "--", ".")
    with snapshots(project) as found:
        with pytest.raises(NotFoundError, match="is not in this repository"):
            found.at("1" * 40)
        with pytest.raises(ConfigError, match="not valid TOML"):
            found.at(broken)


def test_the_cache_lies_in_the_git_folder_and_only_this_user_reads_it(project: Project) -> None:
    with snapshots(project) as found:
        greeting(found)
        file = found.db.path
    assert file == project.root / ".git/promptstudio/snapshots.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert project.git("status", "--porcelain", "--ignored") == ""


def damage_nothing(file: Path) -> None:
    file.write_bytes(b"")


def damage_header(file: Path) -> None:
    file.write_bytes(b"not a database at all" * 100)


def damage_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for place in range(4096, len(content), 64):
        content[place : place + 8] = b"\xff" * 8
    file.write_bytes(bytes(content))


def damage_entries(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("update entries set facts = replace(facts, 'p1:', 'p1:0')")
        connection.execute("update entries set body = cast(replace(body, 'Say', 'Cry') as blob)")
    connection.close()


def damage_schema(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("drop table entries")
    connection.close()


def damage_link(file: Path) -> None:
    file.rename(file.with_name("other.db"))
    file.symlink_to("other.db")


def damage_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES = [damage_nothing, damage_header, damage_pages, damage_entries, damage_schema, damage_link, damage_folder]


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_wrong_with_the_cache_costs_only_time(project: Project, damage: object) -> None:
    with snapshots(project) as found:
        expected = greeting(found)
        file = found.db.path
    assert isinstance(expected, Snapshot)
    damage(file)  # type: ignore[operator]
    for _ in range(3):
        with snapshots(project) as found:
            assert found.identity(found.now(), project.root / "prompts/greet.yaml") == expected.identity
            assert greeting(found) == expected


def test_a_cache_of_another_version_is_begun_anew(project: Project, loads: list[str]) -> None:
    with snapshots(project) as found:
        greeting(found)
        file = found.db.path
    connection = sqlite3.connect(file)
    connection.execute("pragma user_version = 1")
    connection.close()
    loads.clear()
    for _ in range(2):
        with snapshots(project) as found:
            greeting(found)
    assert len(loads) == 2  # the prompt and its variant, once


def test_a_cache_that_another_process_holds_is_not_waited_for(project: Project) -> None:
    with snapshots(project) as found:
        expected = greeting(found)
        file = found.db.path
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("begin exclusive")
    try:
        with snapshots(project) as found:
            assert greeting(found) == expected
    finally:
        holder.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_git_folder_that_cannot_be_written_is_no_hindrance(project: Project) -> None:
    (project.root / ".git").chmod(0o500)
    try:
        with snapshots(project) as found:
            assert isinstance(greeting(found), Snapshot)
    finally:
        (project.root / ".git").chmod(0o700)


def test_the_file_does_not_grow_beyond_its_bound(tmp_path: Path) -> None:
    for day in range(4):
        db = SnapshotDb(tmp_path, 1, max_bytes=200_000)
        db.today = day
        for number in range(20):
            db.add(Key(f"p{day}-{number}", "c", "b"), {"name": "x"}, {"text": "y" * 4000})
        db.close()
    db = SnapshotDb(tmp_path, 1)
    assert list(db.find(Key("p3-0", "c", "b")))
    assert not list(db.find(Key("p0-0", "c", "b")))
    db.close()
    assert db.path.stat().st_size < 600_000


def test_many_at_once_fill_one_cache(project: Project) -> None:
    wrong: list[object] = []

    def look() -> None:
        with snapshots(project) as found:
            if not isinstance(greeting(found), Snapshot):
                wrong.append(greeting(found))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = looked_at.take_snapshot

    def interrupted(*arguments: object) -> Snapshot:
        project.write("prompts/greet.yaml", LOUD)
        return original(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, snapshots(project) as found:
        patched.setattr(looked_at, "take_snapshot", interrupted)
        greeting(found)
    project.write("prompts/greet.yaml", GREET)
    with snapshots(project) as found:
        again = greeting(found)
        assert isinstance(again, Snapshot)
        assert "Say" in again.behavior["messages"][0]["parts"][0]["text"]


# -- comparing two moments --------------------------------------------------------------------------------------------


def pairs(project: Project, old: str | None, new: str | None) -> list[tuple[str | None, str | None]]:
    with snapshots(project) as found:
        before, after = (found.now() if commit is None else found.at(commit) for commit in (old, new))
        return [(change.old_path, change.new_path) for change in found.changes(before, after)]


def test_only_prompts_whose_files_differ_are_compared(project: Project, loads: list[str]) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.")
    project.write("prompts/p.yaml", "prompt: \"{% include '_partials/tone.md' %}\"\n")
    project.write("prompts/q.yaml", "prompt: Nothing included\n")
    first = project.commit()
    project.write("prompts/_partials/tone.md", "Be strict.")
    project.write("prompts/greet.yaml", LOUD)
    second = project.commit()
    both = [("prompts/greet.yaml", "prompts/greet.yaml"), ("prompts/p.yaml", "prompts/p.yaml")]
    assert pairs(project, first, second) == both
    assert not any("q.yaml" in file or "triage" in file for file in loads)
    with snapshots(project) as found:  # also where the cache knows what each prompt asked for
        found.all_at(found.at(first))
    assert pairs(project, first, second) == both
    assert pairs(project, second, None) == []
    project.write("prompts/_partials/tone.md", "Be rude.")
    assert pairs(project, second, None) == both[1:]


def test_a_partial_of_a_partial_and_an_escaped_name_are_found(project: Project) -> None:
    project.write("prompts/_partials/inner.md", "Be kind.")
    project.write("prompts/_partials/outer.md", "{% include '_partials/inner.md' %}")
    project.write("prompts/p.yaml", "prompt: \"{% include '_partials/outer.md' %}\"\n")
    project.write("prompts/q.yaml", "prompt: \"{% include '_partials/\\u0069nner.md' %}\"\n")
    first = project.commit()
    project.write("prompts/_partials/inner.md", "Be strict.")
    second = project.commit()
    assert [new for _, new in pairs(project, first, second)] == ["prompts/p.yaml", "prompts/q.yaml"]


def test_new_removed_and_moved_prompts_are_paired(project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    project.write("prompts/hello.yaml", LOUD)
    project.git("mv", "prompts/ar", "prompts/arabic")
    project.git("rm", "-q", "prompts/support/triage.yaml")
    project.write("prompts/new.yaml", "prompt: Quite another thing\n")
    second = project.commit()
    expected = [
        ("prompts/ar/welcome.yaml", "prompts/arabic/welcome.yaml"),
        ("prompts/greet.yaml", "prompts/hello.yaml"),
        (None, "prompts/new.yaml"),
        ("prompts/support/triage.yaml", None),
    ]
    assert pairs(project, first, second) == expected
    assert pairs(project, first, None) == expected


def test_changed_settings_make_every_prompt_one_that_may_differ(project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    project.write("promptstudio.toml", '[run]\nmodel = "openai/other"\n')
    assert len(pairs(project, first, project.commit())) == 3


def test_changed_paths_are_those_whose_content_differs(project: Project) -> None:
    first = project.git("rev-parse", "HEAD").strip()
    project.write("prompts/ar/more/deep.yaml", "prompt: Hi\n")
    project.write("prompts/greet.yaml", LOUD)
    second = project.commit()
    with snapshots(project) as found:
        old, new = found.at(first), found.at(second)
        assert changed_paths(found.repository, old, new) == {"prompts/ar/more/deep.yaml", "prompts/greet.yaml"}
        assert changed_paths(found.repository, new, found.now()) == set()
        assert set(prompts_at(old, found.repository)) == {
            "prompts/ar/welcome.yaml", "prompts/greet.yaml", "prompts/support/triage.yaml"
        }  # fmt: skip
    assert likeness([b"a", b"b"], [b"b", b"a"]) == 1
    assert likeness([b"a"], [b"b"]) == 0
