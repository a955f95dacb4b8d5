"""`ps import` and `ps export`: what they write, what they say, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Project, Script

CONFIG = """\
prompts:
  - 'Say hello to {{name}}.'
  - file://gen.py:make
providers: [echo]
tests:
  - vars: {name: أحمد}
    assert: [{type: contains, value: '{{name}}'}, {type: javascript, value: 'output.length > 1'}]
"""


@pytest.fixture
def foreign(project: Project) -> Path:
    """A promptfoo configuration in a folder with a blank and Arabic letters in its name."""
    return project.write("من غيرنا x/promptfooconfig.yaml", CONFIG).parent


def test_an_import_writes_prompts_that_run_and_suites_that_lint(project: Project, foreign: Path, ps: Script) -> None:
    done = ps("import", str(foreign), "--json")

    assert done.code == 0, done.err
    files = {entry["kind"]: Path(entry["path"]) for entry in done.json["files"]}
    assert files["prompt"].parent == Path("prompts")
    assert files["suite"].parent == Path("evals")
    assert {(loss["key"], loss["line"]) for loss in done.json["losses"]} == {
        ("prompts[1]", 3), ("tests[0].assert[1]", 7),
    }  # fmt: skip
    name = files["prompt"].stem
    assert "Say hello to أحمد." in ps("run", name, "-v", "name=أحمد").out
    assert ps("lint").code == 0


def test_a_folder_within_prompts_is_part_of_the_names(project: Project, foreign: Path, ps: Script) -> None:
    done = ps("import", str(foreign), "--out", "prompts/theirs", "--json")

    assert done.code == 0, done.err
    assert ps("lint").code == 0
    suite = next(Path(entry["path"]) for entry in done.json["files"] if entry["kind"] == "suite")
    assert "prompt: theirs/" in (project.root / suite).read_text()


def test_a_dry_run_writes_nothing_and_says_the_same(project: Project, foreign: Path, ps: Script) -> None:
    done = ps("import", str(foreign), "--dry-run")

    assert done.code == 0
    assert done.out.count("new ") == 2
    assert "promptfooconfig.yaml:3: prompts[1]: 'file://gen.py:make' is code" in done.err
    assert "2 files would be written, 2 things were lost or changed" in done.err
    assert sorted(path.name for path in (project.root / "prompts").glob("*.yaml")) == ["greet.yaml"]
    assert not (project.root / "evals").exists()


def test_strict_makes_losses_fail(project: Project, foreign: Path, ps: Script) -> None:
    assert ps("import", str(foreign), "--dry-run", "--strict").code == 1


def test_a_file_of_yours_is_never_overwritten_without_force(project: Project, ps: Script) -> None:
    before = (project.root / "prompts/greet.yaml").read_text()
    project.write("in/greet.prompt", "Hi {{name}}")
    project.write("in/other.prompt", "Hi {{name}}")

    refused = ps("import", "in")

    assert refused.code == 2
    assert "prompts/greet.yaml: there is a file already" in refused.err
    assert "--force" in refused.err
    assert (project.root / "prompts/greet.yaml").read_text() == before
    assert not (project.root / "prompts/other.yaml").exists()
    assert ps("import", "in", "--force").code == 0
    assert "Hi {{ name }}" in (project.root / "prompts/greet.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "text", "code", "said"),
    [
        ("bad.prompt.yml", "messages: [\n", 2, "bad.prompt.yml:2"),
        ("odd.json", "{}", 2, "no format we know"),
        ("missing.prompt", None, 2, "there is no file or folder"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_user(
    project: Project, ps: Script, name: str, text: str | None, code: int, said: str
) -> None:
    if text is not None:
        project.write(name, text)

    done = ps("import", name)

    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_folder_without_anything_to_import_is_nothing_selected(project: Project, ps: Script) -> None:
    project.write("in/notes.md", "# Notes")

    assert ps("import", "in").code == 5


def test_an_export_goes_to_standard_output_and_its_losses_to_standard_error(project: Project, ps: Script) -> None:
    done = ps("export", "greet", "--format", "openai-json", "-v", "name=Ada")

    assert done.code == 0
    assert json.loads(done.out)["messages"] == [{"role": "user", "content": "Say hello to Ada in a warm way."}]
    assert "prompts/greet.yaml" in done.err or "greet" in done.err
    assert "not carried over" in done.err


def test_an_export_to_a_file_does_not_overwrite_and_reads_back(project: Project, ps: Script) -> None:
    project.write("evals/greet.yaml", "prompt: greet\ncases: [{inputs: {name: Z}}]\nassert: [{contains: Z}]\n")

    first = ps("export", "greet", "--format", "promptfoo", "-o", "out/")
    second = ps("export", "greet", "--format", "promptfoo", "-o", "out/")
    back = ps("import", "out", "--out", "back", "--evals", "back-evals", "--json")

    assert (first.code, second.code) == (0, 2)
    assert first.out.strip() == "out/promptfooconfig.yaml"
    assert "there is a file already" in second.err
    assert back.code == 0, back.err
    assert {entry["kind"] for entry in back.json["files"]} == {"prompt", "suite"}
    assert (project.root / "back/out.yaml").exists()


def test_json_holds_the_files_and_the_losses(project: Project, ps: Script) -> None:
    done = ps("export", "greet:short", "--format", "dotprompt", "--json", "--strict")

    assert done.code == 1
    assert list(done.json["files"]) == ["greet.short.prompt"]
    assert {loss["key"] for loss in done.json["losses"]} >= {"tags"}
    assert "maxOutputTokens: 20" in done.json["files"]["greet.short.prompt"]


def test_an_unknown_format_is_named_with_the_nearest_one(project: Project, ps: Script) -> None:
    done = ps("export", "greet", "--format", "dotpromt")

    assert done.code == 2
    assert "did you mean 'dotprompt'?" in done.err


def test_neither_command_loads_a_model_library(project: Project, foreign: Path, ps: Script) -> None:
    program = (
        "import sys; from promptstudio.cli.main import main; code = main(sys.argv[1:], 'ps'); "
        "heavy = {'litellm', 'mirascope', 'openai', 'instructor', 'sqlmodel', 'deepeval', 'ragas'} & set(sys.modules); "
        "assert not heavy, heavy; sys.exit(code)"
    )
    import subprocess
    import sys

    for args in (["import", str(foreign), "--dry-run"], ["export", "greet", "--format", "promptfoo"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *args], env=ps.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
