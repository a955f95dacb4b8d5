"""`ps doctor`: every fact, no secret, no contact."""

from __future__ import annotations

from typing import Any

from tests.conftest import Project, Script

SETTINGS = """\
[run]
model = "openai/gpt-4.1-mini"

[profiles.strict]
temperature = 0

[providers.lab]
api_base = "http://10.0.0.5:8000/v1"
api_key_env = "LAB_KEY"
headers = {X-Team = "search", Authorization = {env = "LAB_TOKEN"}}
"""


def facts(ps: Script, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    outcome = ps("doctor", "--json", env=env)
    return outcome.code, {f"{one['section']}/{one['name']}": one for one in outcome.json["facts"]}


def test_a_sound_project_has_nothing_broken(project: Project, ps: Script) -> None:
    outcome = ps("doctor")

    assert outcome.code == 0
    assert outcome.err == "nothing is broken\n"
    for section in ("program", "libraries", "settings", "models", "history"):
        assert f"\n{section}\n" in f"\n{outcome.out}"


def test_each_setting_says_where_it_came_from(project: Project, ps: Script) -> None:
    _, found = facts(ps, PROMPTSTUDIO_RUN_TIMEOUT="9", PROMPTSTUDIO_HISTORY_URL="postgresql://me:hunter2@db/x")

    assert found["settings/run.model"]["value"] == "offline/echo  (promptstudio.toml:5)"
    assert found["settings/run.timeout"]["value"] == "9.0  (PROMPTSTUDIO_RUN_TIMEOUT)"
    assert found["settings/history.redact"]["value"] == "true  (default)"
    assert found["settings/history.url"]["value"] == "set  (PROMPTSTUDIO_HISTORY_URL)"


def test_keys_are_present_or_missing_by_name_only(project: Project, ps: Script) -> None:
    project.write("promptstudio.toml", SETTINGS)
    project.write("prompts/lab.yaml", "model: lab/llama\nprompt: hi\n")

    code, missing = facts(ps, LAB_TOKEN="token-value-1")
    assert code == 1
    assert missing["models/openai/gpt-4.1-mini"]["level"] == "broken"
    assert "api.openai.com; key missing (OPENAI_API_KEY)" in missing["models/openai/gpt-4.1-mini"]["value"]
    assert "10.0.0.5:8000; key missing (LAB_KEY)" in missing["models/lab/llama"]["value"]
    assert missing["models/lab/llama"]["level"] == "warning"

    env = {"OPENAI_API_KEY": "sk-secret-value", "LAB_KEY": "lab-secret", "LAB_TOKEN": "token-value-1"}
    outcome = ps("doctor", env=env)
    assert outcome.code == 0
    assert "key present (OPENAI_API_KEY)" in outcome.out
    assert not any(value in outcome.out + outcome.err for value in env.values())
    assert "$LAB_TOKEN" in outcome.out


def test_broken_settings_hide_nothing_else(project: Project, ps: Script) -> None:
    project.write("promptstudio.toml", "[run]\nmodle = 'x/y'\n")

    code, found = facts(ps)

    assert code == 1
    assert found["settings/promptstudio.toml:2"]["level"] == "broken"
    assert found["settings/promptstudio.toml:2"]["hint"] == "did you mean 'model'?"
    assert "program/python" in found
    assert "history/place" in found


def test_a_history_that_is_no_database_is_broken(project: Project, ps: Script) -> None:
    project.write(".promptstudio/history.db", "this is not a database, not at all, not even a little bit\n" * 20)

    code, found = facts(ps)

    assert code == 1
    assert found["history/place"]["level"] == "broken"


def test_a_prompt_that_cannot_be_read_is_a_warning(project: Project, ps: Script) -> None:
    project.write("prompts/broken.yaml", "prompt: [\n")

    code, found = facts(ps)

    assert code == 0
    assert found["prompts/broken"]["level"] == "warning"


def test_outside_a_project_it_works_too(ps: Script) -> None:
    code, found = facts(ps)

    assert code == 0
    assert found["settings/project"]["level"] == "note"


def test_a_default_model_nobody_knows_is_broken(project: Project, ps: Script) -> None:
    code, found = facts(ps, PROMPTSTUDIO_RUN_MODEL="opnai/gpt-4.1")

    assert code == 1
    assert "openai" in found["models/opnai/gpt-4.1"]["hint"]


def test_without_git_it_says_what_is_lost(project: Project, ps: Script, tmp_path: object) -> None:
    _, found = facts(ps, PATH="/nonexistent")

    assert found["program/git"]["level"] == "warning"
    assert found["program/system ps"]["level"] == "note"


def test_hosts_of_fallbacks_variants_and_unused_connections_are_shown(project: Project, ps: Script) -> None:
    settings = project.root / "promptstudio.toml"
    settings.write_text(
        settings.read_text()
        + '\n[providers.lab]\napi_base = "http://127.0.0.1:9/v1"\napi_key_env = "LAB_KEY"\n'
        + '[providers.spare]\napi_base = "http://127.0.0.2:9/v1"\n'
    )
    project.write(
        "prompts/fb.yaml",
        "model: offline/echo\nfallbacks: [lab/x]\nprompt: hi\nvariants: {big: {model: mistral/mistral-small-latest}}\n",
    )
    shown = ps("doctor").out
    assert "127.0.0.1:9; key missing (LAB_KEY); used by fb" in shown
    assert "api.mistral.ai" in shown
    assert "127.0.0.2:9" in shown
