"""`verify_lock` finds every value of the lock file that the repository does not bear out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from promptstudio.versions.lock import LOCK_NAME, read_lock
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.verify import Mismatch, verify_lock
from tests.conftest import GREET, Project

SetLabel = Callable[..., str]


@pytest.fixture
def locked(project: Project, labeled: SetLabel) -> Project:
    """The sample project with a partial, and labels on two of its prompts."""
    project.write("prompts/_partials/tone.md", "Be kind.\n")
    project.write("prompts/greet.yaml", GREET + "messages_note: x\n".replace("messages_note", "x-note"))
    project.write("prompts/support/toned.yaml", "version: 0.1.0\nprompt: \"{% include '_partials/tone.md' %}\"\n")
    project.commit()
    labeled(project, "greet", "production")
    labeled(project, "support/toned", "staging")
    project.commit("lock")
    return project


def verified(project: Project, *names: str, fresh: bool = False) -> tuple[Mismatch, ...]:
    settings = project.settings()
    with open_repository(project.root) as repository, Snapshots(repository, settings, fresh=fresh) as snapshots:
        return verify_lock(read_lock(project.root), snapshots, settings, names).mismatches


def edit(project: Project, old: str, new: str) -> int:
    """Change the first place in the lock file and return its line."""
    path = project.root / LOCK_NAME
    text = path.read_text()
    found = re.search(old, text)
    assert found, old
    path.write_text(text[: found.start()] + found.expand(new) + text[found.end() :])
    return text.count("\n", 0, found.start()) + 1


def test_what_ps_wrote_is_borne_out_with_and_without_the_cache(locked: Project) -> None:
    assert verified(locked) == ()
    assert verified(locked) == ()
    assert verified(locked, fresh=True) == ()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (r"version: 1\.0\.0", "version: 1.0.1", "version"),
        (r"(behavior: p1:)....", r"\g<1>0000", "behavior"),
        (r"(interface: p1:)....", r"\g<1>0000", "interface"),
        (r"( text: p1:)....", r"\g<1>0000", "text"),
        (r"(short: p1:)....", r"\g<1>0000", "variants"),
        (r"short: p1", "long: p1", "variants"),
        (r"(tone\.md: sha256:)....", r"\g<1>0000", "includes"),
    ],
)
def test_a_value_that_was_changed_by_hand_is_named_with_its_line(
    locked: Project, old: str, new: str, rule: str
) -> None:
    line = edit(locked, old, new)

    found = verified(locked)

    assert {each.rule for each in found} == {rule}
    assert {each.level for each in found} == {"error"}
    first = found[0]
    assert (first.problem.file, first.problem.line) == (LOCK_NAME, line)
    assert first.found != first.computed
    assert first.label in ("production", "staging")


def test_a_commit_of_another_content_is_named(locked: Project) -> None:
    locked.write("prompts/greet.yaml", GREET.replace("hello", "good day"))
    other = locked.commit()
    edit(locked, r"commit: [0-9a-f]{40}", f"commit: {other}")

    assert [each.rule for each in verified(locked)] == ["behavior", "text", "variants"]


def test_a_commit_that_is_gone_is_named(locked: Project) -> None:
    line = edit(locked, r"commit: [0-9a-f]{40}", f"commit: {'c' * 40}")

    (found,) = verified(locked)

    assert (found.level, found.rule, found.problem.line) == ("error", "commit", line)
    assert "is gone" in found.problem.message


def test_a_label_on_the_file_of_another_prompt_is_named(locked: Project) -> None:
    path = locked.root / LOCK_NAME
    text = path.read_text()
    production = text.partition("      production:\n")[2].partition("\n    file: ")[0]
    staging = text.partition("      staging:\n")[2].partition("\n    file: ")[0]
    path.write_text(text.replace(production, staging, 1))

    (found,) = verified(locked)

    assert (found.rule, found.prompt) == ("file", "greet")
    assert "the file is that of support/toned" in found.problem.message


def test_a_prompt_that_was_moved_since_is_as_it_was(locked: Project) -> None:
    locked.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    path = locked.root / LOCK_NAME
    path.write_text(
        path.read_text()
        .replace("  greet:\n", "  hello:\n")
        .replace("    file: prompts/greet", "    file: prompts/hello")
    )
    text = path.read_text()
    path.write_text(text.replace("        file: prompts/hello.yaml", "        file: prompts/greet.yaml", 1))
    locked.commit()

    assert verified(locked) == ()


def test_another_layout_is_named_with_its_first_line(locked: Project) -> None:
    line = edit(locked, r"        by: Ada", "        by:  Ada")

    (found,) = verified(locked)

    assert (found.rule, found.level, found.problem.line) == ("layout", "error", line)
    assert (found.found, found.computed) == ("        by:  Ada", "        by: Ada")


def test_stanzas_that_are_gone_or_missing_are_told(locked: Project) -> None:
    (locked.root / "prompts/greet.yaml").unlink()
    (locked.root / "prompts/ar/welcome.yaml").unlink()
    locked.write("prompts/new.yaml", "prompt: new\n")

    found = {each.prompt: (each.rule, each.level) for each in verified(locked)}

    assert found == {"greet": ("gone", "error"), "ar/welcome": ("gone", "warning"), "new": ("missing", "warning")}


def test_prompts_of_the_working_tree_must_load_and_their_names_be_their_own(locked: Project) -> None:
    locked.write("prompts/broken.yaml", "prompt: '{{ x'\n")
    locked.write("prompts/Greet.yaml", "prompt: hi\n")

    found = [each for each in verified(locked) if each.rule == "prompt"]

    assert {each.problem.file for each in found} == {"prompts/broken.yaml", "prompts/Greet.yaml", "prompts/greet.yaml"}
    assert all(each.level == "error" for each in found)


def test_names_that_differ_in_composition_only_are_named_in_the_lock_file(locked: Project) -> None:
    path = locked.root / LOCK_NAME
    path.write_text(path.read_text().rstrip("\n") + "\n\n  Support/toned:\n    file: prompts/Support/toned.yaml\n")

    assert "name" in {each.rule for each in verified(locked)}


def test_only_the_named_prompts_are_looked_at(locked: Project) -> None:
    edit(locked, r"(behavior: p1:)....", r"\g<1>0000")

    assert verified(locked, "support/toned") == ()
    assert {each.rule for each in verified(locked, "greet")} == {"behavior"}


def test_a_prompt_that_cannot_be_read_at_its_commit_is_named(locked: Project) -> None:
    locked.write("prompts/greet.yaml", "prompt: [\n")
    broken = locked.commit()
    locked.write("prompts/greet.yaml", GREET)
    locked.commit()
    edit(locked, r"commit: [0-9a-f]{40}", f"commit: {broken}")

    (found,) = verified(locked)

    assert found.rule == "unreadable"
    assert f"{broken[:8]}:prompts/greet.yaml" in found.problem.message


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "/etc/passwd", '"prompts/x\\\\ny.yaml"', "prompts", ".git/config", "-x"]
)
def test_a_hostile_path_in_the_lock_file_reaches_nothing(locked: Project, path: str) -> None:
    line = edit(locked, r"file: prompts/greet\.yaml", f"file: {path}")
    edit(locked, r"prompts/_partials/tone\.md: ", "../../../etc/hosts: ")

    found = [each for each in verified(locked) if each.prompt == "greet"]

    assert [(each.rule, each.problem.line) for each in found] == [("unreadable", line)]
    assert {each.rule for each in verified(locked) if each.prompt == "support/toned"} == {"includes"}


def test_a_link_in_an_old_commit_is_followed(project: Project, labeled: SetLabel) -> None:
    project.write("prompts/real.yaml", "version: 1.0.0\nprompt: real\n")
    (project.root / "prompts/linked.yaml").symlink_to("real.yaml")
    project.commit()
    labeled(project, "linked", "production")
    project.write("prompts/real.yaml", "version: 1.1.0\nprompt: another\n")
    project.commit()
    labeled(project, "linked", "staging")
    project.commit("lock")

    assert verified(project) == ()
    assert verified(project) == ()


def test_a_shallow_clone_says_what_it_cannot_check(locked: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "shallow clone")
    subprocess.run(["git", "clone", "-q", "--depth", "1", locked.root.as_uri(), clone.root], check=True)

    found = verified(clone)

    assert [(each.level, each.rule) for each in found] == [("unknown", "shallow")] * 2
    assert "--allow-shallow" in (found[0].problem.hint or "")


@pytest.mark.parametrize("place", ["worktree", "submodule", "subfolder", "detached", "spaces and عربي"])
def test_it_works_wherever_the_project_lies(project: Project, labeled: SetLabel, tmp_path: Path, place: str) -> None:
    root = project.root
    if place == "worktree":
        root = tmp_path / "tree"
        project.git("worktree", "add", "-q", str(root), "-b", "side")
    elif place == "submodule":
        outer = Project(tmp_path / "outer")
        outer.root.mkdir()
        outer.git("init", "-q")
        outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(project.root), "inner")
        root = outer.root / "inner"
    elif place in ("subfolder", "spaces and عربي"):
        for name in ("prompts", "promptstudio.toml"):
            (project.root / place / "a").mkdir(parents=True, exist_ok=True)
            project.git("mv", name, f"{place}/a/{name}")
        root = project.root / place / "a"
    elif place == "detached":
        project.git("checkout", "-q", "--detach")
    there = Project(root)
    there.commit()
    labeled(there, "ar/welcome", "production")
    there.commit("lock")

    assert verified(there) == ()
    edit(there, r"(behavior: p1:)....", r"\g<1>0000")
    assert [each.rule for each in verified(there)] == ["behavior"]


def test_without_a_repository_only_labels_cannot_be_checked(locked: Project) -> None:
    settings = locked.settings()

    found = verify_lock(read_lock(locked.root), None, settings).mismatches

    assert [each.rule for each in found] == ["no-repository"]
