"""One file with prompts and all they include: made from a commit, checked by hashes, read without git."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import promptstudio
from promptstudio.config import load_settings
from promptstudio.errors import CheckFailed, NotFoundError, PromptFileError, UsageError
from promptstudio.prompts.files import DISK
from promptstudio.prompts.library import prompt_paths
from promptstudio.prompts.load import parse_address
from promptstudio.versions.bundle import Source, load_from, make_bundle, read_bundle

if TYPE_CHECKING:
    from tests.conftest import Project

TONED = """\
prompt: |
  {% include "_partials/tone.md" %}

  Hello {{ name }}.
examples:
  - file: ./rows.jsonl
profile: strict
"""


def bundled(project: Project, **changes: Any) -> bytes:
    project.write("prompts/_partials/tone.md", "كن لطيفًا.\n")
    project.write("prompts/toned.yaml", TONED)
    project.write("prompts/rows.jsonl", '{"inputs": {"name": "Bo"}, "output": "hi"}\n')
    settings = project.settings()
    sources = [Source(path, DISK, settings) for path in prompt_paths(settings)]
    return make_bundle(sources, project="sample", label=changes.get("label"))


@pytest.fixture
def elsewhere(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle in a folder with no project and no git."""
    place = tmp_path / "image"
    place.mkdir()
    (place / "prompts.json").write_bytes(bundled(project))
    monkeypatch.chdir(place)
    return place / "prompts.json"


def test_a_bundle_renders_and_runs_what_the_project_does(elsewhere: Path, project: Project) -> None:
    packed = promptstudio.load("toned", bundle=elsewhere, history=False)
    here = promptstudio.load("toned", project=project.root, history=False)
    assert packed.messages(name="Ada") == here.messages(name="Ada")
    assert packed.behavior == here.behavior
    assert packed.file.parameters == {"temperature": 0}  # the profile came along
    assert packed.run(name="Ada").text == "كن لطيفًا.\nHello Ada."


def test_a_variant_comes_along_and_a_path_or_another_version_does_not(elsewhere: Path) -> None:
    assert promptstudio.load("greet:short", bundle=elsewhere, history=False).file.parameters == {"max_tokens": 20}
    with pytest.raises(UsageError, match="names, not paths"):
        promptstudio.load("prompts/greet.yaml", bundle=elsewhere)
    with pytest.raises(UsageError, match="holds one version"):
        promptstudio.load("greet@HEAD~1", bundle=elsewhere)
    with pytest.raises(NotFoundError, match="there is no prompt 'gret'"):
        promptstudio.load("gret", bundle=elsewhere)


def test_the_label_it_was_made_for_may_be_named(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(bundled(project, label="production"))
    prompt, _ = load_from(read_bundle(path), parse_address("greet@production"), project.settings())
    assert prompt.name == "greet"


def test_the_same_prompts_give_the_same_bytes(project: Project) -> None:
    assert bundled(project) == bundled(project)


def changed(path: Path, change: Any) -> Path:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def redigest(value: dict[str, Any]) -> None:
    """Give a forged bundle digests that fit its content."""
    from promptstudio.versions.bundle import _digest, canonical_json

    body = {name: part for name, part in value.items() if name != "digest"}
    value["digest"] = _digest(canonical_json(body))


def swap_content(value: dict[str, Any]) -> None:
    digest = next(digest for digest, text in value["contents"].items() if "Hello {{ name }}" in text)
    value["contents"][digest] = "prompt: evil\n"


def swap_and_redigest(value: dict[str, Any]) -> None:
    swap_content(value)
    redigest(value)


def other_file(value: dict[str, Any]) -> None:
    greet = value["prompts"]["greet"]
    greet["files"][greet["file"]] = value["prompts"]["ar/welcome"]["files"]["prompts/ar/welcome.yaml"]
    redigest(value)


@pytest.mark.parametrize("change", [swap_content, swap_and_redigest, other_file])
def test_a_changed_bundle_is_refused(elsewhere: Path, change: Any) -> None:
    changed(elsewhere, change)
    with pytest.raises(CheckFailed, match="changed or damaged"):
        promptstudio.load("greet", bundle=elsewhere, history=False)


def leaving(value: dict[str, Any]) -> None:
    greet = value["prompts"]["greet"]
    greet["files"]["../../etc/passwd"] = greet["settings"]
    redigest(value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (leaving, "is no path below a project"),
        (lambda value: value.update(promptstudio_bundle=99), "version"),
        (lambda value: value.pop("promptstudio_bundle"), "this is not a bundle"),
        (lambda value: (value.update(prompts=[1]), redigest(value)), "out of place"),
        (lambda value: (value["prompts"]["greet"].pop("files"), redigest(value)), "out of place"),
        (lambda value: (value["prompts"]["greet"].update(files=7), redigest(value)), "out of place"),
    ],
)
def test_a_file_that_is_no_bundle_says_what_is_wrong(elsewhere: Path, change: Any, says: str) -> None:
    changed(elsewhere, change)
    with pytest.raises(PromptFileError, match=says):
        read_bundle(elsewhere)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{", b'{"a": 1, "a": 2}', b"[" * 100_000])
def test_any_other_file_is_no_bundle(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(PromptFileError):
        read_bundle(tmp_path / "x")


def test_the_connections_of_a_bundle_are_those_of_where_it_runs(elsewhere: Path) -> None:
    (elsewhere.parent / "promptstudio.toml").write_text('[providers.openai]\napi_base = "http://127.0.0.1:9/v1"\n')
    settings = load_settings(elsewhere.parent, env={})
    _, resolved = load_from(read_bundle(elsewhere), parse_address("greet"), settings)
    assert resolved.providers["openai"].api_base == "http://127.0.0.1:9/v1"
