"""`ps new`, `ps cp`, `ps mv`: names that are allowed, what follows a prompt, and that nothing is done by halves."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from promptstudio.cli.dispatch import dispatch
from promptstudio.errors import NotFoundError, PromptFileError, UserError
from promptstudio.prompts.lint import lint_project
from promptstudio.prompts.load import load_prompt
from promptstudio.prompts.moving import plan_partial, plan_prompt
from promptstudio.prompts.yamlfile import read_yaml
from promptstudio.versions.lock import Label, Stanza, lock_text, read_lock
from promptstudio.versions.moves import apply_plan
from promptstudio.versions.notes import new_note, read_notes, write_note
from tests.conftest import Project

SUITE = """\
# A suite.
prompts: [greet, "greet:short", support/triage]  # ours
cases:
  - inputs: {name: Ada}
    tags: [greet]
"""
LOCAL = """\
# yaml-language-server: $schema=../../.promptstudio/schemas/prompt.schema.json
name: support/local   # kept in step
description: Uses files beside it.
output:
  schema: {$ref: ./answer.json}
prompt: |
  {% include "_partials/tone.md" %}
  {{ x }}
examples:
  - file: rows.jsonl  # few
variants:
  other:
    examples: [{file: ./rows.jsonl}]
"""


@pytest.fixture
def whole(project: Project) -> Project:
    """The sample project with a suite, a partial, and a prompt that names files beside it; committed."""
    project.write("evals/greet.yaml", SUITE)
    project.write("prompts/support/local.yaml", LOCAL)
    project.write("prompts/support/rows.jsonl", '{"inputs": {"x": "1"}, "output": {"a": "2"}}\n')
    project.write("prompts/support/answer.json", '{"type": "object", "properties": {"a": {"type": "string"}}}')
    project.write("prompts/_partials/tone.md", "Be kind.\n")
    project.write("prompts/_partials/outer.md", '{%- include "_partials/tone.md" -%}\n')
    project.commit()
    return project


def state(project: Project) -> dict[str, bytes]:
    files = {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file() and not {".git", ".promptstudio"} & set(path.relative_to(project.root).parts)
    }
    return files | {"git status": project.git("status", "--porcelain").encode()}


# -- names -----------------------------------------------------------------------------------------------------------

BAD_NAMES = [
    *("../x", "/x", "a/", "/", "", ".", "..", "-x", "--help-me", "_x", ".x", "a/../b", "a//b", "a/-b", "a/_b", "a/.b"),
    *("a b", "a:b", "a@b", "a\\b", "a*", 'a"b', "a'b", "a<b", "a|b", "a\nb", "a\tb", "a\x1bb", "a\x7fb", "a\0b"),
    *("a\u202eb", "\u2066a", "a\u200fb", "a\u200bb", "\ufeffa", "nul", "CON", "a/com1.x", "a.", "a.yaml", "a.prompt"),
    *("x" * 300, "GREET", "Greet", "greet", "ｇreet", "support", "Support/new", "ar/welcome/x", "support/triage/x.yml"),
]
BAD_NAMES.remove("support")  # a prompt beside a folder of this name is fine
BAD_NAMES.remove("ar/welcome/x")  # and so is a folder beside a prompt


@pytest.mark.parametrize("words", [["new", "--"], ["cp", "--", "support/triage"], ["mv", "--", "support/triage"]])
def test_a_name_that_is_taken_or_hostile_is_refused_and_nothing_is_written(
    project: Project, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(project)
    allowed = [name for name in BAD_NAMES if dispatch([*words, name], "ps") != 2]
    assert allowed == []
    assert capsys.readouterr().err.count("error: ") == len(BAD_NAMES)
    assert state(project) == before


@pytest.mark.parametrize("name", ["مرحبا/ترحيب", "café", "a.b", "a-b_c", "support", "می\u200cخواهم", "日本"])
def test_names_of_every_script_are_welcome(project: Project, name: str) -> None:
    assert dispatch(["new", name], "ps") == 0
    assert load_prompt(name, project.settings()).name == name


def test_a_name_is_written_in_composed_form(project: Project) -> None:
    assert dispatch(["new", "cafe\u0301"], "ps") == 0
    assert (project.root / "prompts/café.yaml").is_file()
    assert dispatch(["new", "café"], "ps") == 2


def test_a_name_that_another_file_claims_is_taken(project: Project) -> None:
    project.write("prompts/file.yaml", "name: claimed\nprompt: x\n")
    assert dispatch(["new", "claimed"], "ps") == 2
    assert dispatch(["new", "file"], "ps") == 2


def test_a_folder_that_leads_out_through_a_link_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (project.root / "prompts/link").symlink_to(tmp_path / "out")
    assert dispatch(["new", "link/x"], "ps") == 2
    assert not list((tmp_path / "out").iterdir())


# -- new -------------------------------------------------------------------------------------------------------------


def test_a_new_prompt_is_ready_to_run(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["new", "deep/down/first", "-m", "offline/echo"], "ps") == 0
    assert capsys.readouterr().out == "created prompts/deep/down/first.yaml\n"
    text = (project.root / "prompts/deep/down/first.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../../../.promptstudio/schemas/prompt.schema.json\n")
    assert load_prompt("deep/down/first", project.settings()).model == "offline/echo"
    assert (project.root / "prompts/deep/down/../../../.promptstudio/schemas/prompt.schema.json").is_file()
    assert project.git("status", "--porcelain") == "?? prompts/deep/\n"
    assert [f for f in lint_project(project.settings()) if f.problem.file and "first" in f.problem.file] == []


def test_a_new_prompt_may_start_from_another(whole: Project) -> None:
    assert dispatch(["new", "elsewhere/mine", "--from", "support/local", "--model", "a/b"], "ps") == 0
    prompt = load_prompt("elsewhere/mine", whole.settings())
    old = load_prompt("support/local", whole.settings())
    assert prompt.name == "elsewhere/mine"
    assert prompt.model == "a/b"
    assert (prompt.identity.text, prompt.identity.interface) == (old.identity.text, old.identity.interface)
    assert "name: elsewhere/mine   # kept in step\n" in (whole.root / "prompts/elsewhere/mine.yaml").read_text()


@pytest.mark.parametrize("template", ["basic", "typed", "arabic"])
def test_a_new_prompt_may_start_from_a_template(
    project: Project, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["new", "a/mine", "--from", template, "--json"], "ps") == 0
    assert json.loads(capsys.readouterr().out)["path"] == "prompts/a/mine.yaml"
    text = (project.root / "prompts/a/mine.yaml").read_text()
    assert text.count("$schema=../../.promptstudio/schemas/") == 1


def test_what_a_new_prompt_cannot_start_from_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["new", "x", "--from", "gret"], "ps") == 2
    assert "did you mean 'greet'?" in capsys.readouterr().err
    assert dispatch(["new", "x", "--from", "greet:short"], "ps") == 2
    assert dispatch(["new", "x", "--model", "a b"], "ps") == 2
    assert not (project.root / "prompts/x.yaml").exists()


# -- cp and mv -------------------------------------------------------------------------------------------------------


def test_a_copy_names_the_same_files(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["cp", "support/local", "other/copy"], "ps") == 0
    assert capsys.readouterr().out == (
        "copied prompts/support/local.yaml → prompts/other/copy.yaml\n"
        "changed prompts/other/copy.yaml: what it says of its own name and place\n"
    )
    one, other = (load_prompt(name, whole.settings()) for name in ("support/local", "other/copy"))
    assert one.identity == other.identity
    text = (whole.root / "prompts/other/copy.yaml").read_text()
    assert "$ref: support/answer.json" in text
    assert "- file: support/rows.jsonl  # few\n" in text
    assert "[{file: support/rows.jsonl}]" in text
    assert "greet" in (whole.root / "evals/greet.yaml").read_text()


def test_a_file_with_a_byte_order_mark_keeps_it(whole: Project) -> None:
    path = whole.write("prompts/support/local.yaml", "\ufeff" + LOCAL.replace("\n", "\r\n"))
    assert dispatch(["mv", "support/local", "local"], "ps") == 0
    text = (whole.root / "prompts/local.yaml").read_bytes().decode()
    assert text.startswith("\ufeff# yaml-language-server: $schema=../.promptstudio/")
    assert text.count("\r\n") == text.count("\n") == LOCAL.count("\n")
    assert not path.exists()


def test_a_copy_in_the_same_folder_keeps_its_relative_names(whole: Project) -> None:
    assert dispatch(["cp", "prompts/support/local.yaml", "prompts/support/copy.yml"], "ps") == 0
    assert (whole.root / "prompts/support/copy.yml").read_text() == LOCAL.replace("support/local", "support/copy")


def test_a_move_into_a_folder_above_the_files_keeps_them_relative(whole: Project) -> None:
    assert dispatch(["mv", "support/local", "local"], "ps") == 0
    text = (whole.root / "prompts/local.yaml").read_text()
    assert "{$ref: ./support/answer.json}" in text
    assert "$schema=../.promptstudio/schemas/" in text
    assert "- file: support/rows.jsonl  # few\n" in text


def test_suites_follow_a_move_and_git_sees_a_rename(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = load_prompt("greet", whole.settings()).identity
    assert dispatch(["mv", "greet", "hello/world"], "ps") == 0
    assert capsys.readouterr().out == (
        "moved prompts/greet.yaml → prompts/hello/world.yaml\n"
        "changed evals/greet.yaml: prompts[0]: greet → hello/world\n"
        "changed evals/greet.yaml: prompts[1]: greet:short → hello/world:short\n"
    )
    assert (whole.root / "evals/greet.yaml").read_text() == SUITE.replace(
        'greet, "greet:short"', 'hello/world, "hello/world:short"'
    )
    assert "R  prompts/greet.yaml -> prompts/hello/world.yaml" in whole.git("status", "--porcelain")
    assert load_prompt("hello/world", whole.settings()).identity == before


def test_an_address_with_a_revision_stays_and_is_told(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    whole.write("evals/greet.yaml", "prompts: [greet@v1.0.0, greet@production, prompts/greet.yaml]\ncases: a.jsonl\n")
    assert dispatch(["mv", "greet", "hello"], "ps") == 0
    assert "evals/greet.yaml: prompts[0]: left as it is" in capsys.readouterr().err
    suite = read_yaml((whole.root / "evals/greet.yaml").read_text(), file="x").value
    assert suite["prompts"] == ["greet@v1.0.0", "hello@production", "prompts/hello.yaml"]


def test_a_file_that_git_does_not_know_is_moved_too(whole: Project) -> None:
    whole.write("prompts/fresh.yaml", "prompt: x\n")
    assert dispatch(["mv", "fresh", "fresher"], "ps") == 0
    assert (whole.root / "prompts/fresher.yaml").read_text() == "prompt: x\n"
    assert not (whole.root / "prompts/fresh.yaml").exists()


def test_a_change_of_case_alone_is_a_move(whole: Project) -> None:
    assert dispatch(["mv", "greet", "Greet"], "ps") == 0
    assert (whole.root / "prompts/Greet.yaml").is_file()


def test_the_prompt_of_a_path_with_odd_letters_is_moved_by_git(whole: Project) -> None:
    path = whole.write("prompts/[a]!.yaml", "prompt: x\n")
    whole.commit()
    plan = plan_prompt(path, "b", None, whole.settings(), is_move=True)
    apply_plan(plan, whole.settings())
    assert "R  prompts/[a]!.yaml -> prompts/b.yaml" in whole.git("status", "--porcelain")


def test_prompts_and_partials_follow_a_partial(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    whole.write(
        "prompts/quoted.yaml",
        'prompt: "{% include \\"_partials/tone.md\\" %}\\n{%- include \'_partials/tone.md\' %}"\n',
    )
    whole.write("prompts/single.yaml", "prompt: '{% include ''_partials/tone.md'' %} _partials/tone.md'\n")
    identities = {name: load_prompt(name, whole.settings()).identity for name in ("support/local", "quoted", "single")}
    assert dispatch(["mv", "_partials/tone.md", "_voice/kind.md"], "ps") == 0
    out = capsys.readouterr().out
    assert "moved prompts/_partials/tone.md → prompts/_voice/kind.md\n" in out
    assert "changed prompts/quoted.yaml: include _partials/tone.md → _voice/kind.md (2 times)\n" in out
    assert "changed prompts/_partials/outer.md: include _partials/tone.md → _voice/kind.md\n" in out
    for name, identity in identities.items():
        assert load_prompt(name, whole.settings()).identity == identity
    assert (whole.root / "prompts/single.yaml").read_text() == (
        "prompt: '{% include ''_voice/kind.md'' %} _partials/tone.md'\n"
    )
    assert "_partials/tone.md" not in (whole.root / "prompts/support/local.yaml").read_text()


def test_a_partial_can_be_copied(whole: Project) -> None:
    assert dispatch(["cp", "_partials/tone.md", "prompts/_partials/other.md"], "ps") == 0
    assert (whole.root / "prompts/_partials/other.md").read_text() == "Be kind.\n"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("_partials/tone.md", "tone.md"),
        ("_partials/tone.md", "_partials/outer.md"),
        ("_partials/tone.md", "../_partials/x.md"),
        ("_partials/tone.md", "_partials/../../_x.md"),
        ("_partials/tone.md", '_partials/a".md'),
        ("_partials/tone.md", "_partials/.x"),
        ("_partials/tone.md", "_Partials/x.md"),
        ("_partials/none.md", "_partials/x.md"),
        ("_partials/../../_secret.md", "_partials/x.md"),
    ],
)
def test_a_partial_that_cannot_be_moved_stays(whole: Project, source: str, target: str) -> None:
    before = state(whole)
    assert dispatch(["mv", source, target], "ps") == 2
    assert state(whole) == before


def test_an_include_that_cannot_be_renamed_stops_everything(whole: Project) -> None:
    whole.write("prompts/hidden.yaml", 'prompt: "{% include \\x22_partials/tone.md\\x22 %}"\n')
    before = state(whole)
    with pytest.raises(PromptFileError, match="an include cannot be renamed"):
        plan_partial("_partials/tone.md", "_partials/kind.md", whole.settings(), is_move=True)
    assert state(whole) == before


def test_dry_run_says_all_and_does_nothing(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(whole)
    assert dispatch(["mv", "greet", "hello", "--dry-run"], "ps") == 0
    assert capsys.readouterr().out.startswith("would move prompts/greet.yaml → prompts/hello.yaml\nwould change evals/")
    assert dispatch(["mv", "greet", "hello", "--dry-run", "--json"], "ps") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dry_run"], found["new_name"], len(found["changes"])) == (True, "hello", 2)
    assert state(whole) == before


@pytest.mark.parametrize("tracked", [True, False])
def test_an_error_in_the_middle_puts_everything_back(whole: Project, *, tracked: bool) -> None:
    if not tracked:
        whole.git("rm", "-q", "--cached", "prompts/support/local.yaml")
    whole.write("evals/a.yaml", "prompt: support/local\ncases: a.jsonl\n")
    path = whole.write("evals/b.yaml", "prompt: support/local\ncases: a.jsonl\n")
    plan = plan_prompt(whole.root / "prompts/support/local.yaml", "far/away", None, whole.settings(), is_move=True)
    assert len(plan.edits) == 2
    path.write_text("prompt: support/local\ncases: b.jsonl\n")
    before = state(whole)
    with pytest.raises(UserError, match="changed by somebody else"):
        apply_plan(plan, whole.settings())
    assert state(whole) == before
    assert not (whole.root / "prompts/far").exists()


def test_a_git_that_moved_the_file_and_not_its_index_puts_the_file_back(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = tmp_path / "bin" / "git"  # what git does on a full disk
    half.parent.mkdir()
    git = shutil.which("git")
    half.write_text(
        "#!/bin/sh\n"
        'for word; do last2="$last"; last="$word"; done\n'
        f'case " $* " in *" mv "*) mv "$last2" "$last"; exit 128;; esac\nexec {git} "$@"\n'
    )
    half.chmod(0o755)
    monkeypatch.setenv("PATH", str(half.parent), prepend=os.pathsep)
    before = (project.root / "prompts/greet.yaml").read_bytes()
    assert dispatch(["mv", "greet", "hello"], "ps") == 2
    assert (project.root / "prompts/greet.yaml").read_bytes() == before
    assert not (project.root / "prompts/hello.yaml").exists()
    assert project.git("status", "--short") == ""


def test_nothing_of_the_repository_runs_while_a_prompt_is_moved(project: Project, tmp_path: Path) -> None:
    trap, hooks = tmp_path / "trap", tmp_path / "hooks"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    trap.chmod(0o755)
    hooks.mkdir()
    (hooks / "post-index-change").symlink_to(trap)
    project.git("config", "core.fsmonitor", str(trap))
    project.git("config", "core.hooksPath", str(hooks))
    assert dispatch(["mv", "greet", "hello"], "ps") == 0
    assert not (tmp_path / "ran").exists()


def test_the_labels_of_a_prompt_go_with_it(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    commit, digest = whole.git("rev-parse", "HEAD").strip(), "p1:" + "0" * 64
    label = Label(commit, "prompts/greet.yaml", digest, digest, digest, "2026-11-21T10:00:00Z", "Ada <ada@example.com>")
    whole.write("promptstudio.lock", lock_text([Stanza("greet", "prompts/greet.yaml", {"production": label})]))
    assert dispatch(["mv", "greet", "hello"], "ps") == 0
    assert "changed promptstudio.lock: greet → hello\n" in capsys.readouterr().out
    stanzas = read_lock(whole.root).prompts
    assert list(stanzas) == ["hello"]
    assert stanzas["hello"].file == "prompts/hello.yaml"
    assert stanzas["hello"].labels == {"production": label}


def test_the_notes_on_a_prompt_go_with_it(whole: Project) -> None:
    note = new_note(load_prompt("greet", whole.settings()), "Customers liked it.", author="Ada", commit=None)
    write_note(note, whole.root)
    assert dispatch(["mv", "greet", "hello"], "ps") == 0
    assert [(found.prompt, found.text) for found in read_notes(whole.root)[0]] == [("hello", "Customers liked it.")]


def test_a_lock_file_that_cannot_be_read_stops_a_move(whole: Project) -> None:
    whole.write("promptstudio.lock", "<<<<<<< ours\n")
    before = state(whole)
    assert dispatch(["mv", "greet", "hello"], "ps") == 2
    assert state(whole) == before


def test_a_broken_prompt_or_none_is_refused_with_its_place(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    whole.write("prompts/broken.yaml", "prompt: a\nprompt: b\n")
    assert dispatch(["mv", "broken", "whole"], "ps") == 2
    assert "prompts/broken.yaml:2:1" in capsys.readouterr().err
    assert dispatch(["mv", "nobody", "x"], "ps") == 2
    assert dispatch(["cp", "greet@HEAD", "x"], "ps") == 2
    assert dispatch(["cp", "-", "x"], "ps") == 2


def test_a_file_that_would_mean_another_one_is_refused(whole: Project, capsys: pytest.CaptureFixture[str]) -> None:
    whole.write("prompts/support/support/rows.jsonl", "{}")
    whole.write("prompts/sub/support/rows.jsonl", "{}")
    assert dispatch(["mv", "support/local", "sub/local"], "ps") == 2
    assert "would be another file there" in capsys.readouterr().err


def test_a_link_is_not_moved(whole: Project) -> None:
    (whole.root / "prompts/link.yaml").symlink_to("greet.yaml")
    assert dispatch(["mv", "link", "other"], "ps") == 2
    assert (whole.root / "prompts/link.yaml").is_symlink()


def test_a_partial_is_looked_for_in_the_prompts_folder_only(whole: Project) -> None:
    with pytest.raises(NotFoundError):
        plan_partial("_none/x.md", "_none/y.md", whole.settings(), is_move=True)


@pytest.mark.parametrize("command", ["mv", "cp"])
def test_the_title_of_a_github_models_file_is_no_name(project: Project, command: str) -> None:
    text = "name: A Title\nmodel: openai/gpt-4o\nmodelParameters: {}\nmessages: [{role: user, content: hi}]\n"
    project.write("prompts/title.prompt.yml", text)
    assert dispatch([command, "title", "other"], "ps") == 0
    assert (project.root / "prompts/other.prompt.yml").read_text() == text
