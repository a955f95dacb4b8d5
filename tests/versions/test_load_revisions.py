"""`NAME@REV`: a prompt wholly from one commit, with its includes and the settings of that moment."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promptstudio.errors import NotFoundError, PromptFileError, ToolError, UsageError
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import render_messages
from promptstudio.versions.load import load_anywhere, load_prompt

if TYPE_CHECKING:
    from tests.conftest import Project


def text_of(prompt: Prompt, **values: str) -> str:
    return render_messages(prompt, check_inputs(prompt, values))[-1].text


def with_tone(project: Project, tone: str) -> str:
    project.write("prompts/_partials/tone.md", f"{tone}\n")
    project.write("prompts/toned.yaml", 'prompt: |\n  {% include "_partials/tone.md" %}\n  Hello {{ name }}.\n')
    return project.commit(tone)


def test_a_revision_is_rendered_with_the_includes_of_that_revision(project: Project) -> None:
    first = with_tone(project, "Be kind.")
    with_tone(project, "Be strict.")

    assert text_of(load_prompt("toned", project.settings()), name="Ada") == "Be strict.Hello Ada."
    old = load_prompt(f"toned@{first[:10]}", project.settings())
    assert text_of(old, name="Ada") == "Be kind.Hello Ada."
    assert old.revision is not None
    assert old.revision.commit == first
    assert old.shown_path == f"{first[:8]}:prompts/toned.yaml"


def test_what_is_not_committed_does_not_leak_into_a_revision(project: Project) -> None:
    with_tone(project, "Be kind.")
    project.write("prompts/_partials/tone.md", "Be rude.\n")
    project.write("promptstudio.toml", '[run]\nmodel = "offline/script"\n')
    found = load_anywhere("toned@HEAD", project.settings())
    assert text_of(found.prompt, name="Ada").startswith("Be kind.")
    assert found.prompt.model == "offline/echo"
    assert found.settings.run_model == "offline/echo"


def test_the_default_model_and_profiles_are_those_of_the_revision(project: Project) -> None:
    project.write("prompts/plain.yaml", "profile: strict\nprompt: Hi\n")
    old = project.commit()
    toml = '[run]\nmodel = "openai/new"\n[profiles.strict]\ntemperature = 1\n[providers.openai]\napi_base = "http://127.0.0.1:9"\n'
    project.write("promptstudio.toml", toml)
    project.commit()
    found = load_anywhere(f"plain@{old}", project.settings())
    assert (found.prompt.model, found.prompt.parameters) == ("offline/echo", {"temperature": 0})
    assert found.settings.providers["openai"].api_base == "http://127.0.0.1:9"  # connections are those of now
    assert found.prompt.identity == load_prompt("plain@HEAD~1", project.settings()).identity
    assert found.prompt.identity != load_prompt("plain", project.settings()).identity


def test_a_model_given_by_a_variable_wins_over_the_revision(project: Project) -> None:
    settings = project.settings(env={"PROMPTSTUDIO_RUN_MODEL": "offline/script"})
    assert load_anywhere("greet@HEAD", settings).settings.run_model == "offline/script"


def test_a_deleted_prompt_can_still_be_loaded_from_before(project: Project) -> None:
    (project.root / "prompts/greet.yaml").unlink()
    project.commit()
    assert load_prompt("greet@HEAD~1", project.settings()).name == "greet"
    with pytest.raises(NotFoundError, match="there is no prompt 'greet' in 'HEAD'"):
        load_prompt("greet@HEAD", project.settings())


def test_a_variant_and_a_path_can_be_of_a_revision(project: Project) -> None:
    settings = project.settings()
    assert load_prompt("greet:short@HEAD", settings).parameters == {"max_tokens": 20}
    assert load_prompt("prompts/greet.yaml@HEAD", settings).name == "greet"


def test_a_file_that_was_broken_then_is_named_with_its_commit_and_line(project: Project) -> None:
    project.write("prompts/greet.yaml", "prompt: hi\nmodle: x\n")
    commit = project.commit()
    with pytest.raises(PromptFileError) as caught:
        load_prompt("greet@HEAD", project.settings())
    assert caught.value.message.startswith(f"{commit[:8]}:prompts/greet.yaml:2:1: unknown key 'modle'")


@pytest.mark.parametrize(
    ("revision", "error", "says"),
    [
        ("--upload-pack=x", UsageError, "begins with `-`"),
        ("-1", UsageError, "begins with `-`"),
        ("nowhere", NotFoundError, "there is no revision 'nowhere'"),
        ("HEAD~99", NotFoundError, "there is no revision 'HEAD~99'"),
        ("HEAD:prompts", NotFoundError, "there is no revision"),
        ("a\nb", UsageError, "is not a revision"),
        ("both", UsageError, "both"),
    ],
)
def test_a_revision_that_means_no_commit_is_refused(
    project: Project, revision: str, error: type[Exception], says: str
) -> None:
    project.git("branch", "both")
    project.commit()
    project.git("tag", "both")
    with pytest.raises(error, match=says):
        load_prompt(f"greet@{revision}", project.settings())


def test_a_link_in_a_commit_is_followed_inside_and_refused_outside(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    project.write("prompts/_partials/real.md", "Linked text.")
    (project.root / "prompts/_partials/in.md").symlink_to("real.md")
    (project.root / "prompts/_partials/out.md").symlink_to(tmp_path / "secret.md")
    (project.root / "prompts/_partials/loop.md").symlink_to("loop.md")
    for name in ("in", "out", "loop"):
        project.write(f"prompts/{name}.yaml", f"prompt: '{{% include \"_partials/{name}.md\" %}}'\n")
    project.commit()
    assert text_of(load_prompt("in@HEAD", project.settings())) == "Linked text."
    for name in ("out", "loop"):
        with pytest.raises(PromptFileError):
            load_prompt(f"{name}@HEAD", project.settings())


def test_before_the_first_commit_and_outside_git_the_error_says_so(project: Project, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    (fresh / "prompts").mkdir(parents=True)
    (fresh / "promptstudio.toml").write_text("")
    (fresh / "prompts/a.yaml").write_text("prompt: hi\n")
    settings = type(project)(fresh).settings()
    with pytest.raises(ToolError, match="not in a git repository"):
        load_prompt("a@HEAD", settings, cwd=fresh)
    subprocess.run(["git", "init", "-q"], cwd=fresh, check=True)
    with pytest.raises(NotFoundError, match="nothing is committed yet"):
        load_prompt("a@HEAD", settings, cwd=fresh)


def test_a_worktree_on_a_path_with_spaces_and_arabic_letters_loads_its_own_head(
    project: Project, tmp_path: Path
) -> None:
    place = tmp_path / "فرع العمل"
    project.git("worktree", "add", "-q", "--detach", str(place))
    project.write("prompts/greet.yaml", "prompt: later\n")
    project.commit()
    settings = type(project)(place).settings()
    assert text_of(load_prompt("greet@HEAD", settings, cwd=place), name="Ada").startswith("Say hello")
    assert text_of(load_prompt("greet@main", settings, cwd=place)) == "later"
