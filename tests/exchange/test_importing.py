"""A folder of foreign files, hostile ones among them: what is read, what is named, that nothing is run or followed."""

from __future__ import annotations

import os
import time
import unicodedata
from pathlib import Path

import pytest

from promptstudio.config import load_settings
from promptstudio.errors import NotFoundError, PromptFileError, UserError
from promptstudio.exchange import formats
from promptstudio.exchange.importing import Limits, import_path
from promptstudio.exchange.placing import check, targets_of, write_all
from promptstudio.exchange.schema import Import, Made
from promptstudio.prompts.github_models import is_github_models
from promptstudio.prompts.yamlfile import read_yaml

GOOD = "model: openai/gpt-4o\nmodelParameters: {temperature: 0}\nmessages:\n  - {role: user, content: 'Hi {{name}}'}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("not yours")
    made = tmp_path / "foreign"
    made.mkdir()
    (made / "good.prompt.yml").write_text(GOOD)
    return made


def reasons(result: Import) -> dict[str, str]:
    return {loss.file: loss.reason for loss in result.losses if not loss.key}


def test_a_hostile_folder_costs_nothing_and_each_trap_is_named(folder: Path) -> None:
    (folder / "bomb.yaml").write_text(
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8))
    )
    (folder / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    (folder / "deep.prompt").write_text("{{#if a}}" * 200 + "{{/if}}" * 200)
    (folder / "tags.yaml").write_text("prompts: !!python/object/apply:os.system ['touch ran']\n")
    (folder / "twice.json").write_text('{"prompts": [], "prompts": []}')
    with (folder / "huge.yaml").open("wb") as stream:
        stream.truncate(100 << 20)
    (folder / "binary.json").write_bytes(b"\x00\xff\xfe" * 100)
    (folder / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    os.mkfifo(folder / "pipe.yaml")
    (folder / "out.yaml").symlink_to("../secret.txt")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "outer").symlink_to("..")
    (folder / "twin.yaml").symlink_to("good.prompt.yml")
    (folder / "hook.py").write_text("open('ran', 'w')")
    (folder / "package.json").write_text('{"name": "x", "scripts": {"postinstall": "touch ran"}}')
    (folder / ".hidden.prompt.yml").write_text(GOOD)
    (folder / "node_modules").mkdir()
    (folder / "node_modules/other.prompt.yml").write_text(GOOD)
    start = time.process_time()

    result = import_path(folder)

    assert [made.name for made in result.made] == ["good.yaml"]
    found = reasons(result)
    assert "values once aliases are unfolded" in found["bomb.yaml"]
    assert "nested" in found["deep.json"]
    assert "nested deeper" in found["deep.prompt"]
    assert "tag" in found["tags.yaml"]
    assert "twice" in found["twice.json"]
    assert "104,857,600 bytes" in found["huge.yaml"]
    assert "NUL byte" in found["binary.json"]
    assert "not UTF-8" in found["latin.yaml"]
    assert "pipe" in found["pipe.yaml"]
    assert found["out.yaml"] == found["loop.yaml"] == found["outer"]
    assert "not followed" in found["outer"]
    assert "'good.prompt.yml'" in found["twin.yaml"]
    assert set(result.unclaimed) == {"hook.py", "package.json"}
    assert next(loss.line for loss in result.losses if loss.file == "tags.yaml") == 1
    assert not list(folder.rglob("ran"))
    assert time.process_time() - start < 20


def test_what_a_prompt_names_outside_of_the_folder_is_not_read(folder: Path) -> None:
    (folder / "link.txt").symlink_to("../secret.txt")
    (folder / "promptfooconfig.yaml").write_text(
        "prompts: ['file://../secret.txt', 'file://link.txt', 'file://.hidden.txt', 'Say {{x}}']\n"
        "tests: [{vars: {x: 'file://../secret.txt'}}]\n"
    )

    result = import_path(folder)

    keys = {loss.key: loss.reason for loss in result.losses}
    assert all("outside of the imported folder" in keys[f"prompts[{index}]"] for index in (0, 1))
    assert "is not there" in keys["prompts[2]"]
    assert "outside of the imported folder" in keys["tests[0].vars.x"]
    assert not any("not yours" in made.text for made in result.made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Greet.prompt.yml", "greet.prompt.yml"),
        (unicodedata.normalize("NFC", "été.prompt.yml"), unicodedata.normalize("NFD", "été.prompt.yml")),
        ("greet.prompt.yml", "greet.prompt"),
    ],
)
def test_two_files_that_would_become_one_are_named_and_the_first_is_kept(tmp_path: Path, one: str, other: str) -> None:
    for name in (one, other):
        (tmp_path / name).write_text(GOOD if name.endswith("yml") else "Hi {{name}}")

    result = import_path(tmp_path)

    assert len(result.made) == 1
    assert ["is already made of" in loss.reason for loss in result.losses if not loss.key] == [True]


def test_limits_on_number_depth_and_size_are_said(tmp_path: Path) -> None:
    deep = tmp_path / "a/b/c"
    deep.mkdir(parents=True)
    for number in range(4):
        (tmp_path / f"{number}.prompt.yml").write_text(GOOD)

    result = import_path(tmp_path, limits=Limits(files=2, depth=1))

    assert len(result.made) == 2
    said = " ".join(reasons(result).values())
    assert "deeper than 1" in said or "the rest is not read" in said
    assert "the rest is not read" in said


def test_a_single_file_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "odd.yaml").write_text("hello: world\n")
    (folder / "broken.prompt.yml").write_text("messages: [\n")
    os.mkfifo(folder / "pipe.yaml")

    for name, said in (("odd.yaml", "no format we know"), ("broken.prompt.yml", "not YAML"), ("pipe.yaml", "pipe")):
        with pytest.raises(PromptFileError, match=said):
            import_path(folder / name)
    with pytest.raises(NotFoundError, match="there is no format 'promptfo'") as caught:
        import_path(folder / "odd.yaml", format="promptfo")
    assert caught.value.hint == "did you mean 'promptfoo'?"


def test_a_prompt_of_ours_is_left_alone(folder: Path) -> None:
    (folder / "ours.yaml").write_text(
        "# yaml-language-server: $schema=../.promptstudio/schemas/prompt.schema.json\nprompt: Hi {{ name }}\n"
    )

    result = import_path(folder)

    assert "ours.yaml" in result.unclaimed


def test_every_format_of_the_table_is_there_and_bears_its_name() -> None:
    for row in formats.IMPORTERS:
        assert formats.importer_for(row.name).name == row.name
    for row in formats.EXPORTERS:
        assert formats.exporter_for(row.name).name == row.name


def test_a_format_of_another_package_is_found_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "their_format-1.0.dist-info").mkdir(parents=True)
    (site / "their_format-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: their-format\nVersion: 1.0\n"
    )
    (site / "their_format-1.0.dist-info/entry_points.txt").write_text(
        "[promptstudio.importers]\ntheirs = their_format:Importer\nbroken = their_format:Missing\n"
    )
    (site / "their_format.py").write_text(
        "from promptstudio.exchange.schema import Import, Made\n"
        "class Importer:\n"
        "    name = 'theirs'\n"
        "    confidence = staticmethod(lambda foreign: 100)\n"
        "    read = staticmethod(lambda foreign: Import((Made('prompt', 'x.yaml', 'prompt: Hi', foreign.shown),)))\n"
    )
    monkeypatch.syspath_prepend(str(site))
    (tmp_path / "any.thing").write_text("x")

    assert [made.name for made in import_path(tmp_path / "any.thing", format="theirs").made] == ["x.yaml"]
    with pytest.raises(UserError, match="does not load"):
        formats.importer_for("broken")
    with pytest.raises(PromptFileError, match="no format we know"):
        import_path(tmp_path / "any.thing")


def test_every_example_of_a_format_is_claimed_by_its_importer_alone(tmp_path: Path) -> None:
    examples = {
        "github-models": ("a.prompt.yml", GOOD),
        "dotprompt": ("b.prompt", "Hi {{name}}"),
        "prompty": ("c.prompty", "---\nname: x\nmodel: {api: chat}\n---\nsystem:\nHi {{name}}\n"),
        "promptfoo": ("promptfooconfig.yaml", "prompts: ['Hi {{name}}']\nproviders: [echo]\n"),
        "langchain": ("d.json", '{"_type": "prompt", "input_variables": ["name"], "template": "Hi {name}"}'),
        "openai-json": ("e.json", '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}'),
    }
    for name, text in examples.values():
        (tmp_path / name).write_text(text)

    result = import_path(tmp_path)

    assert dict(result.sources) == {name: format_name for format_name, (name, _) in examples.items()}
    assert is_github_models(read_yaml(GOOD, file="x").value)


# -- writing --------------------------------------------------------------------------------------------------------


def made(name: str, text: str = "prompt: Hi {{ name }}\n") -> Made:
    return Made("prompt", name, text, f"their-{name}")


def test_what_does_not_load_is_an_error_that_names_the_foreign_file(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, env={})

    problems = check([made("good.yaml"), made("bad.yaml", "prompt: '{{ x | unheard }}'\n")], settings)

    assert [problem.file for problem in problems] == ["their-bad.yaml"]
    assert "does not load" in problems[0].message


def test_everything_is_written_or_nothing(tmp_path: Path) -> None:
    prompts, evals = tmp_path / "prompts", tmp_path / "evals"
    prompts.mkdir()
    (prompts / "c.yaml").mkdir()
    (prompts / "a.yaml").write_text("prompt: old\n")

    targets = targets_of([made("a.yaml"), made("new/b.yaml")], prompts, evals, force=True)
    blocked = targets_of([made("d.yaml")], prompts / "a.yaml", evals, force=True)
    with pytest.raises(UserError, match="nothing was imported"):
        write_all([*targets, *blocked])

    assert (prompts / "a.yaml").read_text() == "prompt: old\n"
    assert not (prompts / "new/b.yaml").exists()
    write_all(targets)
    assert (prompts / "a.yaml").read_text() == "prompt: Hi {{ name }}\n"
    assert (prompts / "new/b.yaml").read_text() == "prompt: Hi {{ name }}\n"


def test_a_file_that_is_there_under_a_name_of_another_case_or_form_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / unicodedata.normalize("NFD", "Été.yaml")).write_text("prompt: mine\n")
    (tmp_path / "same.yaml").write_text("prompt: Hi {{ name }}\n")

    wanted = [made(unicodedata.normalize("NFC", "été.yaml")), made("same.yaml"), made("fresh.yaml")]

    assert [target.outcome for target in targets_of(wanted, tmp_path, tmp_path, force=False)] == ["kept", "same", "new"]
