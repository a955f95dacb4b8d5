"""`check_changes`: what must not be merged as it is, and what only deserves a word."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from promptstudio.errors import NotFoundError, UsageError
from promptstudio.versions.check import CheckFinding, CheckReport, check_changes, merge_base
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.stanza import Evidence
from tests.conftest import GREET, TRIAGE, Project

MET = Evidence("suite", 10, 10, 0, "met", "2026-11-21T10:00:00Z")
MISSED = Evidence("suite", 10, 8, 2, "missed", "2026-11-22T10:00:00Z")
ALL = {"*": (MET,)}
NONE: Mapping[str, tuple[Evidence, ...]] = {}


def checked(
    project: Project,
    known: Mapping[str, tuple[Evidence, ...]] = NONE,
    *,
    strict: bool = False,
    base: str | None = "HEAD",
) -> CheckReport:
    """Compare the working tree with a commit; `known` maps behavior hashes, or `*`, to evidence."""
    settings = project.settings()
    with open_repository(project.root) as repository, Snapshots(repository, settings) as snapshots:
        old = snapshots.at(repository.commit_of(base)) if base else None
        lookup = lambda _, behavior: known.get(behavior, known.get("*", ()))  # noqa: E731
        return check_changes(snapshots, old, snapshots.now(), lookup, strict=strict)


def rules(report: CheckReport) -> list[tuple[str, str, str]]:
    return [(finding.level, finding.rule, finding.prompt) for finding in report.findings]


def only(report: CheckReport) -> CheckFinding:
    (finding,) = report.findings
    return finding


def test_nothing_changed_is_nothing_to_say(project: Project) -> None:
    report = checked(project)

    assert (report.changed, report.findings) == ((), ())


def test_what_changes_no_meaning_is_no_change(project: Project) -> None:
    project.write("prompts/greet.yaml", "# a comment\n" + GREET)
    project.write("README.md", "words\n")

    assert checked(project).changed == ()


def test_changed_behavior_without_an_evaluation_is_an_error_at_its_line(project: Project) -> None:
    project.write("prompts/greet.yaml", GREET.replace("hello", "good day").replace("1.0.0", "1.1.0"))

    finding = only(checked(project))

    assert (finding.level, finding.rule) == ("error", "not-evaluated")
    assert (finding.problem.file, finding.problem.line) == ("prompts/greet.yaml", 8)
    assert "ps evidence" in (finding.problem.hint or "")
    assert checked(project, ALL).findings == ()


def test_only_an_evaluation_of_that_very_hash_counts(project: Project) -> None:
    project.write("prompts/greet.yaml", GREET.replace("hello", "good day").replace("1.0.0", "1.1.0"))
    with open_repository(project.root) as repository, Snapshots(repository, project.settings()) as snapshots:
        path = project.root / "prompts/greet.yaml"
        old = snapshots.known(snapshots.at(repository.commit_of("HEAD")), path).identity
        new = snapshots.known(snapshots.now(), path).identity
    assert old is not None
    assert new is not None

    assert only(checked(project, {old.behavior: (MET,)})).rule == "not-evaluated"
    assert checked(project, {new.behavior: (MET,)}).findings == ()
    assert only(checked(project, {new.behavior: (MET, MISSED)})).rule == "gate-missed"


def test_a_partial_that_changed_changes_every_prompt_that_includes_it(project: Project) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.\n")
    project.write("prompts/greet.yaml", "version: 1.0.0\nprompt: \"Hi. {% include '_partials/tone.md' %}\"\n")
    project.commit()
    project.write("prompts/_partials/tone.md", "Be quick.\n")

    report = checked(project)

    assert report.changed == ("greet",)
    assert rules(report) == [("error", "not-evaluated", "greet"), ("warning", "minor-not-raised", "greet")]


@pytest.mark.parametrize(
    ("new_version", "text", "expected"),
    [
        ("1.0.0", ("name: string", "who: string"), [("error", "major-not-raised")]),
        ("1.9.0", ("name: string", "who: string"), [("error", "major-not-raised")]),
        ("2.0.0", ("name: string", "who: string"), []),
        ("1.0.0", ("hello", "good day"), [("warning", "minor-not-raised")]),
        ("1.0.1", ("hello", "good day"), [("warning", "minor-not-raised")]),
        ("1.1.0", ("hello", "good day"), []),
        ("2.0.0", ("hello", "good day"), []),
        ("1.0.0", ("Greet someone", "Welcome someone"), [("warning", "patch-not-raised")]),
        ("1.0.1", ("Greet someone", "Welcome someone"), []),
        ("0.9.0", ("", ""), [("warning", "version-lowered")]),
        ("0.9.0", ("name: string", "who: string"), [("error", "major-not-raised")]),
        ("next", ("hello", "good day"), []),
    ],
)
def test_the_version_must_be_raised_by_as_much_as_the_change_asks_for(
    project: Project, new_version: str, text: tuple[str, str], expected: list[tuple[str, str]]
) -> None:
    changed = GREET.replace(*text).replace(
        "{{ name }}", "{{ who }}" if "who" in text[1] and ":" in text[1] else "{{ name }}"
    )
    project.write("prompts/greet.yaml", changed.replace("version: 1.0.0", f"version: {new_version}"))

    report = checked(project, ALL)

    assert [(finding.level, finding.rule) for finding in report.findings] == expected
    assert all(finding.problem.line == 2 for finding in report.findings)
    assert [finding.level for finding in checked(project, ALL, strict=True).findings] == ["error"] * len(expected)


def test_a_broken_contract_of_a_prompt_without_a_version_is_an_error_too(project: Project) -> None:
    project.write("prompts/support/triage.yaml", TRIAGE.replace("category:", "kind:"))

    assert rules(checked(project, ALL)) == [("error", "major-not-raised", "support/triage")]

    project.write("prompts/support/triage.yaml", "version: 1.0.0\n" + TRIAGE.replace("category:", "kind:"))
    assert checked(project, ALL).findings == ()
    project.write("prompts/support/triage.yaml", TRIAGE.replace("You triage", "You sort"))
    assert checked(project, ALL).findings == ()


def test_a_prompt_that_does_not_load_is_an_error_at_its_line(project: Project) -> None:
    project.write("prompts/greet.yaml", GREET.replace("{{ name }}", "{{ name"))

    finding = only(checked(project))

    assert (finding.level, finding.rule) == ("error", "does-not-load")
    assert (finding.problem.file, finding.problem.line) == ("prompts/greet.yaml", 8)


def test_a_new_prompt_that_was_not_evaluated_is_a_warning(project: Project) -> None:
    project.write("prompts/new.yaml", "prompt: new\n")

    assert rules(checked(project)) == [("warning", "new-not-evaluated", "new")]
    assert rules(checked(project, strict=True)) == [("error", "new-not-evaluated", "new")]
    assert checked(project, ALL).changed == ("new",)


def test_a_prompt_that_is_gone_has_no_version_to_raise(project: Project) -> None:
    (project.root / "prompts/greet.yaml").unlink()

    report = checked(project)

    assert (report.changed, report.findings) == (("greet",), ())


def test_a_prompt_that_could_not_be_read_before_counts_as_new(project: Project) -> None:
    project.write("prompts/greet.yaml", "prompt: [\n")
    project.commit()
    project.write("prompts/greet.yaml", GREET)

    assert rules(checked(project)) == [("warning", "new-not-evaluated", "greet")]


def test_a_variant_needs_an_evaluation_of_its_own_where_its_overlay_changed(project: Project) -> None:
    project.write("prompts/greet.yaml", GREET.replace("max_tokens: 20", "max_tokens: 30").replace("1.0.0", "1.1.0"))

    finding = only(checked(project))

    assert finding.rule == "not-evaluated"
    assert finding.problem.message.startswith("greet:short changed: ")


def test_what_a_variant_inherits_needs_one_evaluation_only(project: Project) -> None:
    project.write("prompts/greet.yaml", GREET.replace("hello", "good day").replace("1.0.0", "1.1.0"))

    assert only(checked(project)).problem.message.startswith("greet changed: ")


def test_before_the_first_commit_every_prompt_is_new(project: Project) -> None:
    project.write("prompts/greet.yaml", "prompt: [\n")

    report = checked(project, base=None)

    assert sorted(report.changed) == ["ar/welcome", "prompts/greet.yaml", "support/triage"]
    assert ("error", "does-not-load", "prompts/greet.yaml") in rules(report)


def test_the_base_is_where_the_branch_began(project: Project) -> None:
    began = project.commit("base")
    project.git("checkout", "-q", "-b", "side")
    project.commit("mine")
    project.git("checkout", "-q", "main")
    project.commit("theirs")
    project.git("checkout", "-q", "side")

    with open_repository(project.root) as repository:
        assert merge_base(repository, "main") == began
        with pytest.raises(NotFoundError):
            merge_base(repository, "nowhere")
        with pytest.raises(UsageError, match="is not a revision"):
            merge_base(repository, "--output=x")


def test_branches_without_a_common_commit_are_a_clear_error(project: Project) -> None:
    project.git("checkout", "-q", "--orphan", "other")
    project.commit("alone")

    with open_repository(project.root) as repository, pytest.raises(UsageError, match="have in common"):
        merge_base(repository, "main")


def test_a_shallow_clone_says_that_it_does_not_know_where_the_branch_began(project: Project, tmp_path: Path) -> None:
    project.git("checkout", "-q", "-b", "side")
    project.commit("mine")
    project.git("checkout", "-q", "main")
    project.commit("theirs")
    clone = tmp_path / "clone"
    source = project.root.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth", "1", "--no-single-branch", source, clone], check=True)
    subprocess.run(["git", "checkout", "-q", "side"], cwd=clone, check=True)

    with (
        open_repository(clone) as repository,
        pytest.raises(UsageError, match="this shallow clone does not know") as caught,
    ):
        merge_base(repository, "origin/main")

    assert "--unshallow" in (caught.value.hint or "")
