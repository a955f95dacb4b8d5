"""The versions of a prompt: which commits make one, what caused it, and where the log must hold."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from promptstudio.errors import ToolError
from promptstudio.prompts.load import load_file
from promptstudio.versions.log import PromptLog, Version
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from tests.conftest import GREET, Project
from tests.versions.conftest import Commits, SetLabel

Log = Callable[..., PromptLog]
LOUD = GREET.replace("Say hello", "Shout hello")


def subjects(log: PromptLog) -> list[str | None]:
    return [version.commit.subject if version.commit else None for version in log.versions]


def kept(version: Version) -> list[str]:
    return [member.commit.subject for member in version.kept]


def test_a_version_is_a_commit_after_which_the_model_sees_something_else(
    project: Project, commit: Commits, log_of: Log
) -> None:
    project.write("prompts/greet.yaml", GREET.replace("tags: [demo]", "tags: [demo, other]"))
    commit("Other tags")
    project.write("prompts/greet.yaml", LOUD)
    commit("Louder", by="Grace Hopper")
    project.write("prompts/greet.yaml", "# a comment\n" + LOUD)
    commit("Comment")
    project.write("prompts/greet.yaml", LOUD.replace("1.0.0", "2.0.0"))
    commit("Number")
    log = log_of()
    assert subjects(log) == ["Louder", "The sample project"]
    newest, oldest = log.versions
    assert kept(newest) == ["Number", "Comment"]
    assert kept(oldest) == ["Other tags"]
    assert (newest.number, oldest.number) == ("2.0.0", "1.0.0")
    assert newest.commit is not None
    assert newest.commit.author == "Grace Hopper"
    settings = project.settings()
    assert newest.behavior == load_file(project.root / "prompts/greet.yaml", settings).identity.behavior
    assert newest.known.variants["short"] in newest.behaviors
    assert (oldest.is_first, newest.is_first) == (True, False)


def test_what_was_kept_of_a_log_gives_the_same_log(project: Project, commit: Commits, log_of: Log) -> None:
    project.write("prompts/greet.yaml", LOUD)
    commit()
    first = log_of()
    assert (project.root / ".git/promptstudio/snapshots.db").exists()
    assert log_of() == first
    project.write("prompts/greet.yaml", GREET)
    commit("Back")
    assert subjects(log_of()) == ["Back", "A change", "The sample project"]


# What is written beside a prompt → how the prompt names it, and the file that caused the second version.
DEPENDENCIES = {
    "prompts/_partials/tone.md": ("prompt: \"{% include '_partials/tone.md' %}\"\n", "Be kind.", "Be strict."),
    "prompts/examples.jsonl": (
        "prompt: Hi {{ name }}\nexamples: [{file: examples.jsonl}]\n",
        '{"inputs": {"name": "A"}, "output": "x"}\n',
        '{"inputs": {"name": "A"}, "output": "y"}\n',
    ),
    "prompts/answer.schema.json": (
        "prompt: Hi\noutput: {schema: {$ref: ./answer.schema.json}}\n",
        '{"type": "object", "properties": {"a": {"type": "string"}}}',
        '{"type": "object", "properties": {"b": {"type": "string"}}}',
    ),
    "promptstudio.toml": ("prompt: Hi\n", '[run]\nmodel = "offline/echo"\n', '[run]\nmodel = "openai/other"\n'),
}


@pytest.mark.parametrize("path", DEPENDENCIES)
def test_a_change_of_what_a_prompt_depends_on_is_a_version_and_is_named(
    project: Project, commit: Commits, log_of: Log, path: str
) -> None:
    prompt, before, after = DEPENDENCIES[path]
    project.write(path, before)
    project.write("prompts/p.yaml", prompt)
    commit("Begin")
    project.write("prompts/greet.yaml", LOUD)
    commit("Another prompt")
    project.write(path, after)
    commit("Dependency")
    log = log_of("p")
    assert subjects(log) == ["Dependency", "Begin"]
    assert log.versions[0].causes == (path,)
    # As it is found a second time, from what was kept, and for a change that is not committed.
    project.write(path, before)
    assert log_of("p").versions[0].causes == (path,)
    assert log_of("p").versions[0].commit is None


def test_a_profile_that_a_prompt_does_not_use_makes_no_version(project: Project, commit: Commits, log_of: Log) -> None:
    text = (project.root / "promptstudio.toml").read_text()
    project.write("promptstudio.toml", text + "\n[profiles.other]\ntemperature = 1\n")
    commit("A profile")
    assert subjects(log_of()) == ["The sample project"]
    assert kept(log_of().versions[0]) == ["A profile"]


def test_renames_of_a_file_and_of_its_folder_are_followed(project: Project, commit: Commits, log_of: Log) -> None:
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    commit("Rename")
    (project.root / "prompts/old").mkdir()
    project.git("mv", "prompts/hello.yaml", "prompts/old/hello.yaml")
    project.write("prompts/old/hello.yaml", LOUD)
    commit("Move and change")
    project.git("mv", "prompts/old", "prompts/new")
    commit("Move the folder")
    log = log_of("new/hello")
    assert subjects(log) == ["Move and change", "The sample project"]
    assert kept(log.versions[0]) == ["Move the folder"]
    assert log.versions[0].moved_from == "prompts/hello.yaml"
    assert log.versions[0].kept[0].moved_from == "prompts/old/hello.yaml"
    assert log.versions[1].kept[0].moved_from == "prompts/greet.yaml"


def test_a_file_that_bore_the_name_before_is_not_of_this_prompt(project: Project, commit: Commits, log_of: Log) -> None:
    project.write("prompts/target.yaml", "prompt: Something else entirely, long ago\n")
    commit("Old target")
    (project.root / "prompts/target.yaml").unlink()
    commit("Old target removed")
    project.git("mv", "prompts/greet.yaml", "prompts/target.yaml")
    commit("Move")
    assert subjects(log_of("target")) == ["The sample project"]


def test_both_sides_of_a_merge_and_what_was_changed_in_it_are_versions(
    project: Project, commit: Commits, log_of: Log
) -> None:
    base = project.git("rev-parse", "HEAD").strip()
    project.git("checkout", "-q", "-b", "side")
    project.write("prompts/greet.yaml", GREET.replace("warm, dry", "warm, dry, cold"))
    commit("Side")
    project.git("checkout", "-q", "main")
    project.write("prompts/greet.yaml", LOUD)
    commit("Main")
    subprocess.run(["git", "merge", "-q", "--no-commit", "side"], cwd=project.root, check=False, capture_output=True)
    project.write("prompts/greet.yaml", LOUD.replace("warm, dry", "warm, dry, cold").replace("Shout", "Whisper"))
    commit("Merge with a change")
    log = log_of()
    assert subjects(log) == ["Merge with a change", "Main", "Side", "The sample project"]
    # Each is compared with its own parent, not with the line below it.
    assert all(version.before == base for version in log.versions[1:3])


def test_a_merge_that_only_combines_two_files_is_a_version(project: Project, commit: Commits, log_of: Log) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.")
    project.write("prompts/p.yaml", "prompt: \"A {% include '_partials/tone.md' %}\"\n")
    commit("Begin")
    project.git("checkout", "-q", "-b", "side")
    project.write("prompts/_partials/tone.md", "Be strict.")
    commit("Side")
    project.git("checkout", "-q", "main")
    project.write("prompts/p.yaml", "prompt: \"B {% include '_partials/tone.md' %}\"\n")
    commit("Main")
    project.git("merge", "-q", "-m", "Merge", "side")
    assert subjects(log_of("p"))[0] == "Merge"


def test_a_rename_on_a_branch_that_is_merged_with_a_change_is_followed_on_both_sides(
    project: Project, commit: Commits, log_of: Log
) -> None:
    project.git("checkout", "-q", "-b", "side")
    project.git("mv", "prompts/greet.yaml", "prompts/hello.yaml")
    commit("Rename")
    project.git("checkout", "-q", "main")
    project.write("prompts/greet.yaml", LOUD)
    commit("Louder")
    project.git("merge", "-q", "-m", "Merge", "side")
    assert subjects(log_of("hello")) == ["Louder", "The sample project"]


def test_a_removed_and_a_broken_version_are_lines_that_say_so(project: Project, commit: Commits, log_of: Log) -> None:
    project.write("prompts/greet.yaml", f"<<<<<<< HEAD\n{GREET}=======\n{LOUD}>>>>>>> side\n")
    commit("Conflict")
    (project.root / "prompts/greet.yaml").unlink()
    removed = commit("Removed")
    log = log_of()
    assert subjects(log) == ["Removed", "Conflict", "The sample project"]
    assert log.versions[0].is_gone
    problem = log.versions[1].known.problem
    assert problem is not None
    assert "conflict marker" in problem.message
    assert log.versions[1].commit is not None
    assert problem.file == f"{log.versions[1].commit.id[:8]}:prompts/greet.yaml"
    project.write("prompts/greet.yaml", GREET)
    commit("Back")
    assert subjects(log_of())[:2] == ["Back", "Removed"]
    assert log_of().versions[1].commit.id == removed  # type: ignore[union-attr]


def test_settings_that_could_not_be_read_are_a_line_that_says_so(
    project: Project, commit: Commits, log_of: Log
) -> None:
    good = (project.root / "promptstudio.toml").read_text()
    project.write("promptstudio.toml", "[run\n")
    commit("Broken settings")
    project.write("promptstudio.toml", good)
    commit("Repaired")
    log = log_of()
    assert subjects(log) == ["Repaired", "Broken settings", "The sample project"]
    assert log.versions[1].known.problem is not None


def test_what_is_not_committed_is_the_first_line(project: Project, log_of: Log) -> None:
    assert subjects(log_of()) == ["The sample project"]
    project.write("prompts/greet.yaml", "# a comment\n" + GREET)
    assert subjects(log_of())[0] is None
    assert log_of().versions[0].is_same
    project.write("prompts/greet.yaml", LOUD)
    assert not log_of().versions[0].is_same
    (project.root / "prompts/greet.yaml").unlink()
    assert log_of().versions[0].is_gone


def test_line_ends_that_a_checkout_wrote_are_no_change(project: Project, log_of: Log) -> None:
    (project.root / "prompts/greet.yaml").write_bytes(GREET.replace("\n", "\r\n").encode())
    assert subjects(log_of()) == ["The sample project"]


def test_before_the_first_commit_only_the_file_itself_is_listed(project: Project, log_of: Log) -> None:
    project.git("checkout", "-q", "--orphan", "empty")
    log = log_of()
    assert subjects(log) == [None]
    assert log.notes == ("nothing is committed yet",)


def test_the_log_holds_in_a_worktree_with_the_cache_of_the_repository(
    project: Project, commit: Commits, log_of: Log, tmp_path: Path
) -> None:
    project.write("prompts/greet.yaml", LOUD)
    commit("Louder")
    project.git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"), "HEAD~1")
    assert subjects(log_of(root=tmp_path / "tree")) == ["The sample project"]
    assert not (tmp_path / "tree/.git/promptstudio").exists()
    assert subjects(log_of()) == ["Louder", "The sample project"]


def test_the_log_holds_in_a_submodule_and_in_a_folder_of_the_repository(
    project: Project, commit: Commits, log_of: Log, tmp_path: Path
) -> None:
    outer = Project(tmp_path / "outer")
    outer.write("README", "x")
    outer.git("init", "-q")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(project.root), "part")
    assert subjects(log_of(root=outer.root / "part")) == ["The sample project"]
    folder = outer.root / "قوالب here"
    for name in ("promptstudio.toml", "prompts/greet.yaml"):
        outer.write(f"{folder.name}/{name}", (project.root / name).read_text())
    outer.write(f"{folder.name}/prompts/تحية one.yaml", "prompt: أهلا\n")
    outer.commit("In a folder")
    outer.write(f"{folder.name}/prompts/تحية one.yaml", "prompt: مرحبا\n")
    outer.commit("Changed")
    log = log_of("تحية one", root=folder)
    assert subjects(log) == ["Changed", "In a folder"]
    assert log.name == "تحية one"
    assert log.versions[0].causes == ("prompts/تحية one.yaml",)


def test_a_shallow_clone_says_what_it_cannot_know(
    project: Project, commit: Commits, log_of: Log, tmp_path: Path
) -> None:
    project.write("prompts/greet.yaml", LOUD)
    commit("Louder")
    project.write("README", "x")
    commit("Unrelated")
    source, target = f"file://{project.root}", str(tmp_path / "shallow")
    subprocess.run(["git", "clone", "-q", "--depth", "1", source, target], check=True)
    log = log_of(root=tmp_path / "shallow")
    assert subjects(log) == ["Unrelated"]
    assert log.versions[0].is_cut
    assert "shallow" in log.notes[0]


def test_a_file_reached_through_a_link_has_the_history_of_what_it_points_at(
    project: Project, commit: Commits, log_of: Log
) -> None:
    (project.root / "prompts/link.yaml").symlink_to("greet.yaml")
    commit("A link")
    project.write("prompts/greet.yaml", LOUD)
    commit("Louder")
    log = log_of("link")
    assert subjects(log) == ["Louder", "A link"]
    assert log.versions[0].causes == ("prompts/link.yaml",)


def test_a_file_outside_git_is_listed_with_a_note(project: Project, tmp_path: Path, log_of: Log) -> None:
    outside = tmp_path / "outside"
    (outside / "prompts").mkdir(parents=True)
    (outside / "prompts/p.yaml").write_text("prompt: Hi\n")
    with pytest.raises(ToolError, match="not in a git repository"):
        log_of("p", root=outside)


def test_versions_of_a_variant_are_told_by_its_own_hash(project: Project, commit: Commits, log_of: Log) -> None:
    project.write("prompts/greet.yaml", GREET.replace("max_tokens: 20", "max_tokens: 30"))
    commit("Longer variant")
    project.write("prompts/greet.yaml", GREET.replace("max_tokens: 20", "max_tokens: 30") + "fallbacks: [a/b]\n")
    commit("A fallback")
    assert subjects(log_of(variant="short")) == ["A fallback", "Longer variant", "The sample project"]
    project.write("prompts/greet.yaml", GREET + "  long: {parameters: {max_tokens: 900}}\n")
    commit("Another variant")
    project.write("prompts/greet.yaml", GREET + "  long: {parameters: {max_tokens: 901}}\n")
    commit("Another variant changed")
    assert subjects(log_of())[0] == "Another variant changed"
    assert subjects(log_of(variant="short"))[0] == "Another variant"


def test_tags_stand_at_the_version_they_hold_and_those_of_other_prompts_do_not(
    project: Project, commit: Commits, log_of: Log
) -> None:
    project.git("tag", "v1")
    project.write("prompts/greet.yaml", LOUD)
    commit("Louder")
    project.write("README", "x")
    commit("Unrelated")
    project.git("tag", "-a", "-m", "two", "v2")
    project.git("tag", "greet@v2.0.0")
    project.git("tag", "support/triage@v9.0.0")
    newest, oldest = log_of().versions
    assert set(newest.tags) == {"v2", "greet@v2.0.0"}
    assert oldest.tags == ("v1",)


def test_a_hostile_repository_runs_nothing_while_its_log_is_read(
    project: Project, commit: Commits, log_of: Log
) -> None:
    trap = project.write("trap.sh", "#!/bin/sh\ntouch ran\nexec cat\n")
    trap.chmod(0o755)
    project.write(".gitattributes", "*.yaml diff=trap filter=trap\n")
    for name in ("diff.trap.textconv", "diff.trap.command", "filter.trap.clean", "core.fsmonitor", "diff.external"):
        project.git("config", name, str(trap))
    project.git("config", "core.pager", str(trap))
    project.git("config", "log.showSignature", "true")
    project.git("config", "gpg.program", str(trap))
    subprocess.run(["git", "-c", "core.fsmonitor=", "add", "."], cwd=project.root, check=True)
    (project.root / "ran").unlink(missing_ok=True)
    assert len(log_of().versions) >= 1
    assert not (project.root / "ran").exists()


def test_a_fresh_look_takes_nothing_from_the_cache_and_leaves_none(project: Project) -> None:
    with open_repository(project.root) as repository, Snapshots(repository, project.settings(), fresh=True) as looked:
        looked.known(looked.now(), project.root / "prompts/greet.yaml")
    assert not (project.root / ".git/promptstudio").exists()


def test_labels_stand_at_the_version_they_point_at(
    project: Project, commit: Commits, log_of: Log, labeled: SetLabel
) -> None:
    project.write("README", "x")
    unrelated = commit("Unrelated")
    project.write("prompts/greet.yaml", LOUD)
    commit("Louder")
    labeled(project, "greet", "production", unrelated)
    labeled(project, "greet", "staging")
    labeled(project, "support/triage", "production")
    newest, oldest = log_of().versions
    assert (newest.labels, oldest.labels) == (("staging",), ("production",))
    assert log_of("ar/welcome").versions[0].labels == ()


@pytest.mark.parametrize("damage", ["<<<<<<< HEAD\n", "\x00", "prompts: [\n", "lock_version: 99\n"])
def test_a_lock_file_that_cannot_be_read_costs_only_the_labels(
    project: Project, log_of: Log, labeled: SetLabel, damage: str
) -> None:
    labeled(project, "greet", "production")
    lock = project.root / "promptstudio.lock"
    lock.write_text(damage + lock.read_text())
    log = log_of()
    assert log.versions[-1].labels == ()
    assert "labels are left out: promptstudio.lock" in log.notes[0]
