"""list, show, lint, schema and models, as a person calls them."""

from __future__ import annotations

import json
import time

import jsonschema
import pytest

from promptstudio.cli.catalog import ModelInfo, catalog, matching
from tests.conftest import Project, Script


class TestList:
    def test_it_shows_name_version_model_tags_and_description(self, project: Project, ps: Script) -> None:
        outcome = ps("list")

        assert outcome.code == 0
        header, *lines = outcome.out.splitlines()
        assert header.split() == ["PROMPT", "VERSION", "MODEL", "TAGS", "DESCRIPTION"]
        assert [line.split()[0] for line in lines] == ["ar/welcome", "greet", "support/triage"]
        assert "greet :short" in outcome.out
        assert "ترحيب بالمستخدم" in outcome.out

    def test_json_and_tags(self, project: Project, ps: Script) -> None:
        rows = ps("list", "--tag", "demo", "--tag", "arabic", "--json").json

        assert [(row["name"], row["path"], row["tags"]) for row in rows] == [
            ("ar/welcome", "prompts/ar/welcome.yaml", ["demo", "arabic"])
        ]

    def test_a_broken_file_is_listed_and_hides_no_other(self, project: Project, ps: Script) -> None:
        project.write("prompts/broken.yaml", "prompt: [\n")

        outcome = ps("list")

        assert outcome.code == 0
        assert "error: " in next(line for line in outcome.out.splitlines() if line.startswith("broken"))
        assert "greet" in outcome.out
        assert outcome.err == "warning: 1 file cannot be used; `ps lint` says why\n"

    def test_no_prompts_and_no_project_say_what_to_do(self, project: Project, ps: Script, isolated: object) -> None:
        for name in ("greet", "support/triage", "ar/welcome"):
            (project.root / "prompts" / f"{name}.yaml").unlink()

        empty = ps("list")
        outside = ps("list", cwd=project.root.parent / "work")

        assert (empty.code, empty.out) == (0, "")
        assert "`ps init`" in empty.err
        assert (outside.code, outside.out) == (2, "")
        assert outside.err.startswith("error: this is not a project")


class TestShow:
    def test_the_page_holds_what_one_needs_to_run_it(self, project: Project, ps: Script) -> None:
        page = ps("show", "greet").out

        for text in ("greet", "prompts/greet.yaml", "1.0.0", "warm | dry", "default warm", "required", "p1:", "about "):
            assert text in page

    def test_a_typed_output_is_part_of_the_page(self, project: Project, ps: Script) -> None:
        page = ps("show", "support/triage").out

        assert "output Triage" in page
        assert "billing | bug" in page
        assert "integer 1..5" in page
        assert "20,000" in page

    def test_render_prints_the_messages_that_would_be_sent(self, project: Project, ps: Script) -> None:
        outcome = ps("show", "ar/welcome", "--render", "-v", "name=ليلى")

        assert outcome.out == "user:\n  اكتب ترحيبًا قصيرًا بالعربية لـ ليلى.\n"
        assert outcome.err.startswith("about ")

    def test_rendering_needs_all_inputs(self, project: Project, ps: Script) -> None:
        outcome = ps("show", "greet", "--render")

        assert outcome.code == 2
        assert "name" in outcome.err

    def test_a_variant_and_resolved_json(self, project: Project, ps: Script) -> None:
        shown = ps("show", "greet:short", "--resolved").json

        assert shown["parameters"] == {"max_tokens": 20}
        assert shown["messages"] == [
            {"role": "user", "content": [{"text": "Say hello to {{ name }} in a {{ mood }} way."}]}
        ]
        assert shown["identity"]["behavior"].startswith("p1:")
        assert shown["retry"] == {"max_attempts": 3, "timeout": 60.0}

    def test_json_with_values_holds_the_rendered_messages(self, project: Project, ps: Script) -> None:
        shown = ps("show", "greet", "-v", "name=Ada", "--json").json

        assert shown["rendered"] == [{"role": "user", "content": "Say hello to Ada in a warm way."}]
        assert shown["estimated_tokens"] > 5

    def test_file_is_the_file_to_the_byte(self, project: Project, ps: Script) -> None:
        path = project.root / "prompts" / "ar" / "welcome.yaml"

        assert ps("show", "ar/welcome", "--file").out == path.read_text(encoding="utf-8")

    def test_a_file_by_path_works_outside_a_project(self, project: Project, ps: Script) -> None:
        path = project.root / "prompts" / "greet.yaml"

        outcome = ps("show", str(path), cwd=project.root.parent / "work")

        assert outcome.code == 0
        assert "required" in outcome.out

    def test_a_prompt_on_stdin(self, project: Project, ps: Script) -> None:
        outcome = ps("show", "-", "--render", stdin="prompt: Two and two?\n")

        assert outcome.out == "user:\n  Two and two?\n"


class TestLint:
    def test_a_clean_project_passes(self, project: Project, ps: Script) -> None:
        outcome = ps("lint")

        assert (outcome.code, outcome.out) == (0, "")
        assert outcome.err == "3 files, nothing to complain about\n"

    def test_an_error_has_its_place_and_exit_code_1(self, project: Project, ps: Script) -> None:
        project.write("prompts/bad.yaml", "description: x\ninputs:\n  a: string\n  b: string\nprompt: '{{ a }}'\n")

        outcome = ps("lint")

        assert outcome.code == 1
        assert outcome.out.startswith("prompts/bad.yaml:4")
        assert ": error: " in outcome.out
        assert "4 files: 1 error" in outcome.err

    def test_json_carries_every_finding(self, project: Project, ps: Script) -> None:
        project.write("prompts/bad.yaml", "promt: hi\n")

        found = ps("lint", "--json").json

        assert found["errors"] >= 1
        assert {"level", "rule", "message", "hint", "file", "line", "column"} == set(found["findings"][0])

    def test_strict_turns_warnings_into_failure(self, project: Project, ps: Script) -> None:
        project.write("prompts/terse.yaml", "model: offline/echo\nprompt: hi\n")

        assert ps("lint").code == 0
        assert ps("lint", "--strict").code == 1

    def test_only_the_named_paths_are_checked(self, project: Project, ps: Script) -> None:
        project.write("prompts/bad.yaml", "promt: hi\n")

        assert ps("lint", "prompts/greet.yaml").code == 0
        assert ps("lint", "prompts/support").code == 0
        assert ps("lint", "prompts").code == 1

    def test_nothing_to_check_is_not_green(self, project: Project, ps: Script) -> None:
        (project.root / "empty").mkdir()
        assert ps("lint", "empty").code == 5
        assert ps("lint", "nowhere").code == 2
        for path in (project.root / "prompts").rglob("*.yaml"):
            path.unlink()
        assert ps("lint").code == 5

    def test_a_secret_in_a_prompt_fails_and_is_not_repeated(self, project: Project, ps: Script) -> None:
        secret = "sk-proj-" + "abcdefghij0123456789" * 2
        project.write("prompts/leak.yaml", f"description: x\nprompt: use {secret}\n")

        outcome = ps("lint")

        assert outcome.code == 1
        assert secret not in outcome.out + outcome.err


class TestSchema:
    @pytest.mark.parametrize("kind", ["prompt", "suite", "config"])
    def test_each_is_draft_7(self, ps: Script, kind: str) -> None:
        jsonschema.Draft7Validator.check_schema(ps("schema", kind).json)


class TestModels:
    def test_words_narrow_and_exact_names_come_first(self, ps: Script) -> None:
        rows = ps("models", "gpt-4.1-mini", "--json").json

        assert rows[0]["id"].endswith("/gpt-4.1-mini")
        assert all("gpt-4.1-mini" in row["id"] for row in rows)
        own = next(row for row in rows if row["id"] == "openai/gpt-4.1-mini")
        assert own["context_tokens"] > 100_000
        assert 0 < own["input_usd_per_million"] < own["output_usd_per_million"]
        assert "tools" in own["capabilities"]

    def test_a_name_counts_more_than_a_part_of_one(self) -> None:
        models = [
            ModelInfo(name, name.partition("/")[0], None, None, None, None, ())
            for name in ("a/big-x", "b/eu/x", "c/x", "d/x-mini")
        ]

        assert [info.id for info in matching(models, ["X"], None)] == ["c/x", "b/eu/x", "a/big-x", "d/x-mini"]

    def test_capabilities_and_providers_are_words_too(self, ps: Script) -> None:
        rows = ps("models", "vision", "--provider", "anthropic", "--limit", "3", "--json").json

        assert len(rows) == 3
        assert all(row["provider"] == "anthropic" and "vision" in row["capabilities"] for row in rows)

    def test_every_model_has_an_id_with_its_provider_once(self) -> None:
        models = catalog()

        assert len(models) == len({info.id for info in models}) > 1000
        assert all("/" in info.id for info in models if info.provider)
        assert [info.id for info in models[:2]] == ["offline/echo", "offline/script"]
        assert matching(models, ["offline", "echo"], None)[0].input_usd == 0

    def test_an_unknown_price_is_not_zero(self, ps: Script) -> None:
        unknown = [info for info in catalog() if info.input_usd is None]

        row = ps("models", unknown[0].id).out.splitlines()[1]

        assert " ? " in row


def test_reading_commands_write_nothing_outside_the_project(project: Project, ps: Script) -> None:
    before = time.time()
    for args in (
        ["list"],
        ["show", "greet"],
        ["lint"],
        ["models", "gpt"],
        ["doctor"],
        ["history"],
        ["schema", "suite"],
    ):
        assert ps(*args).code == 0

    home = project.root.parent / "home"
    written = [path for path in home.rglob("*") if path.stat().st_mtime >= before and path.name != ".gitconfig"]
    assert written == []
    outside = [path for path in ps.written if not path.is_relative_to(project.root) and path.suffix != ".pyc"]
    assert [path for path in outside if "__pycache__" not in path.parts and str(path) != "/dev/null"] == []


def test_errors_of_settings_reach_every_command(project: Project, ps: Script) -> None:
    project.write("promptstudio.toml", "[run\n")

    for args in (["list"], ["show", "greet"], ["lint"], ["history"]):
        outcome = ps(*args, "--json") if args != ["history"] else ps("history", "list", "--json")
        assert outcome.code == 2
        assert json.loads(outcome.out)["error"]["line"] == 1
