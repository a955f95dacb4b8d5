"""promptstudio.toml, the environment and flags → settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promptstudio.config import EnvValue, ProviderSettings, load_settings
from promptstudio.errors import ConfigError

FULL = """\
[project]
name = "shop"
prompts = "texts"

[run]
model = "openai/gpt-4.1-mini"
timeout = 20

[profiles.strict]
temperature = 0
stop = ["END"]

[profiles.empty]

[providers.lab]
api_base = "http://127.0.0.1:8000/v1"
api_key_env = "LAB_KEY"
headers = {X-Team = "search", Authorization = {env = "LAB_TOKEN"}}

[history]
redact = false
retention_days = 30

[tools]
lookup = "tools.orders:lookup"

[environments.prod.run]
model = "openai/gpt-4.1"

[environments.prod.profiles.strict]
seed = 7
"""


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "promptstudio.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder: Path, text: str, **env: str) -> list[tuple[int | None, str, str | None]]:
    write(folder, text)
    with pytest.raises(ConfigError) as raised:
        load_settings(folder, env=env)
    return [(problem.line, problem.message, problem.hint) for problem in raised.value.problems]


def test_outside_a_project_everything_is_a_default(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, env={})

    assert settings.root is None
    assert settings.prompts_dir is None
    assert settings.run_model == "offline/echo"
    assert settings.redact is True
    assert str(settings.origin("run.model")) == "default"


def test_the_nearest_file_upwards_makes_the_project(tmp_path: Path) -> None:
    write(tmp_path, '[project]\nname = "outer"\n')
    write(tmp_path / "inner", '[project]\nname = "inner"\n')
    deep = tmp_path / "inner" / "a" / "b"
    deep.mkdir(parents=True)

    settings = load_settings(deep, env={})

    assert settings.project_name == "inner"
    assert settings.root == tmp_path / "inner"
    assert settings.state_dir == tmp_path / "inner" / ".promptstudio"


def test_every_section_arrives(tmp_path: Path) -> None:
    write(tmp_path, FULL)

    settings = load_settings(tmp_path, env={})

    assert settings.prompts_dir == tmp_path / "texts"
    assert settings.evals_dir == tmp_path / "evals"
    assert settings.run_timeout_s == 20
    assert settings.profiles == {"strict": {"temperature": 0, "stop": ["END"]}, "empty": {}}
    assert settings.providers["lab"] == ProviderSettings(
        "http://127.0.0.1:8000/v1", "LAB_KEY", {"X-Team": "search", "Authorization": EnvValue("LAB_TOKEN")}
    )
    assert (settings.redact, settings.retention_days) == (False, 30)
    assert settings.tools == {"lookup": "tools.orders:lookup"}
    assert settings.base["run"]["model"] == "openai/gpt-4.1-mini"


def test_each_layer_wins_over_the_one_below_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, FULL)
    layers = [
        ({}, {}, "openai/gpt-4.1-mini", "file (promptstudio.toml:6)"),
        ({"PROMPTSTUDIO_ENV": "prod"}, {}, "openai/gpt-4.1", "environment (promptstudio.toml:28)"),
        ({"PROMPTSTUDIO_ENV": "prod", "PROMPTSTUDIO_RUN_MODEL": "x/v"}, {}, "x/v", "variable (PROMPTSTUDIO_RUN_MODEL)"),
        ({"PROMPTSTUDIO_RUN_MODEL": "x/v"}, {"run.model": "x/f"}, "x/f", "flag (command line)"),
    ]
    for env, flags, model, origin in layers:
        settings = load_settings(tmp_path, env=env, flags=flags)
        assert (settings.run_model, str(settings.origin("run.model"))) == (model, origin)


def test_an_overlay_adds_to_a_profile_and_leaves_base_alone(tmp_path: Path) -> None:
    write(tmp_path, FULL)

    settings = load_settings(tmp_path, env={"PROMPTSTUDIO_ENV": "prod"})

    assert settings.environment == "prod"
    assert settings.profiles["strict"] == {"temperature": 0, "stop": ["END"], "seed": 7}
    assert settings.base["profiles"]["strict"] == {"temperature": 0, "stop": ["END"]}
    assert settings.origin("profiles.strict.seed").kind == "environment"
    assert settings.origin("profiles.strict.temperature").kind == "file"


def test_an_environment_that_the_file_lacks_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    ((line, message, hint),) = problems_of(tmp_path, FULL, PROMPTSTUDIO_ENV="prd")

    assert "no [environments.prd]" in message
    assert (line, hint) == (None, "did you mean 'prod'?")


def test_variables_are_read_as_the_type_of_their_key(tmp_path: Path) -> None:
    env = {
        "PROMPTSTUDIO_RUN_TIMEOUT": "2.5",
        "PROMPTSTUDIO_HISTORY_REDACT": "false",
        "PROMPTSTUDIO_HISTORY_RETENTION_DAYS": "9",
        "PROMPTSTUDIO_HISTORY_URL": "postgresql://me:secret@db/history",
        "PROMPTSTUDIO_RUN_PROFILE": "",
    }
    settings = load_settings(tmp_path, env=env)

    assert settings.run_timeout_s == 2.5
    assert settings.redact is False
    assert settings.retention_days == 9
    assert settings.history_url == "postgresql://me:secret@db/history"
    assert settings.run_profile is None
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PROMPTSTUDIO_RUN_TIMEOUT", "soon", "PROMPTSTUDIO_RUN_TIMEOUT: expected a number, found the string 'soon'"),
        ("PROMPTSTUDIO_RUN_TIMEOUT", "0", "PROMPTSTUDIO_RUN_TIMEOUT: expected more than 0, found 0.0"),
        ("PROMPTSTUDIO_RUN_TIMEOUT", "nan", "PROMPTSTUDIO_RUN_TIMEOUT: expected a number, found the number nan"),
        (
            "PROMPTSTUDIO_HISTORY_REDACT",
            "no",
            "PROMPTSTUDIO_HISTORY_REDACT: expected true or false, found the string 'no'",
        ),
        ("PROMPTSTUDIO_HISTROY_URL", "x.db", "unknown variable PROMPTSTUDIO_HISTROY_URL"),
    ],
)
def test_a_bad_variable_is_named(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(tmp_path, env={name: value})
    assert raised.value.message == message


def test_a_variable_of_another_program_with_our_prefix_is_left_alone(tmp_path: Path) -> None:
    assert load_settings(tmp_path, env={"PROMPTSTUDIO_TEAM_TOKEN": "x"}).root is None


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("[run]\nmodle = 'a/b'\n", 2, "run.modle: unknown key 'modle'", "did you mean 'model'?"),
        ("[rum]\nmodel = 'a/b'\n", 1, "rum: unknown key 'rum'", "did you mean 'run'?"),
        ("model = 'a/b'\n", 1, "model: unknown key 'model'", None),
        ("run = 3\n", 1, "run: expected a table, found the integer 3", "write [run]"),
        ("[run]\n\nmodel = 3\n", 3, "run.model: expected a string, found the integer 3", None),
        ("[run]\nmodel = ''\n", 2, "run.model: expected a string, found an empty one", None),
        ("[run]\ntimeout = true\n", 2, "run.timeout: expected a number, found the boolean true", None),
        ("[run]\ntimeout = inf\n", 2, "run.timeout: expected a number, found the number inf", None),
        ("[history]\nretention_days = 0\n", 2, "history.retention_days: expected 1 or more, found 0", None),
        ("[profiles.a]\ntopP = 1\n", 2, "profiles.a.topP: parameter 'topP' is not snake_case", "write 'top_p'"),
        ("[profiles.a]\napi_base = 'x'\n", 2, "profiles.a.api_base: 'api_base' belongs to a connection", None),
        ("[profiles.a]\nwhen = 2026-01-01\n", 2, "profiles.a.when: expected a string, number, boolean", None),
        ("[profiles]\nstrict = 1\n", 2, "profiles.strict: expected a table, found the integer 1", None),
        ("[providers.a]\napi_base = 'host/v1'\n", 2, "providers.a.api_base: expected an address", None),
        ("[providers.a]\napi_base = 'http://me:pw@h'\n", 2, "providers.a.api_base: an address must not hold", None),
        ("[providers.a]\napi_base = 'http://h:99999'\n", 2, "providers.a.api_base: this is not an address", None),
        ("[providers.a]\nheaders = {X = {var = 'A'}}\n", 2, 'providers.a.headers.X: expected text or {env = "', None),
        ("[providers.a]\nheaders = {'a b' = 'c'}\n", 2, "providers.a.headers.a b: 'a b' is not a header name", None),
        ("[tools]\nt = 'os.system'\n", 2, "tools.t: expected module:function", None),
        ("[eval]\njudge = {modle = 'x'}\n", 2, "eval.judge: unknown key 'modle'", "did you mean 'model'?"),
        ("[environments.dev.run]\nmodle = 'a'\n", 2, "environments.dev.run.modle: unknown key 'modle'", None),
        ("[environments.dev.project]\nname = 'a'\n", 1, "environments.dev.project: [project] cannot differ", None),
        ("[environments.dev.rum]\nname = 'a'\n", 1, "environments.dev.rum: unknown key 'rum'", "did you mean 'run'?"),
        ("[project]\nprompts = '../elsewhere'\n", 2, "project.prompts: '../elsewhere' leaves the project folder", None),
        ("[project]\nevals = '/tmp'\n", 2, "project.evals: '/tmp' leaves the project folder", None),
    ],
)
def test_a_mistake_has_its_line_and_a_way_out(
    tmp_path: Path, text: str, line: int, message: str, hint: str | None
) -> None:
    ((found_line, found, found_hint),) = problems_of(tmp_path, text)

    assert (found_line, found[: len(message)]) == (line, message)
    if hint:
        assert found_hint == hint


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "[run]\nmodle = 'a'\ntimeout = -1\n[histroy]\nurl = 'x'\n"

    found = problems_of(tmp_path, text, PROMPTSTUDIO_HISTORY_REDACT="maybe")

    assert [line for line, _, _ in found] == [2, 3, 4, None]


def test_free_keys_are_free_at_every_level(tmp_path: Path) -> None:
    write(tmp_path, "x-team = 1\n[run]\nx-note = 'y'\n[profiles.a]\nx-why = 'z'\nseed = 1\n")

    assert load_settings(tmp_path, env={}).profiles == {"a": {"seed": 1}}


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ('api_key_env = "sk-proj-abcdefghij0123456789"', "abcdefghij0123456789"),
        ('api_key_env = "dGhpc2lzYXZlcnlsb25nc2VjcmV0S2V5MDEyMzQ1"', "dGhpc2lz"),
        ('api_key = "anything"', "anything"),
        ('headers = {X-Key = "ghp_abcdefghijklmnopqrstuvwxyz0123"}', "ghp_"),
        ('headers = {Authorization = "open sesame"}', "sesame"),
        ('api_base = "https://user:hunter2hunter2@host/v1"', "hunter2"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, line: str, secret: str) -> None:
    ((number, message, hint),) = problems_of(tmp_path, f"[providers.openai]\n{line}\n")

    assert number == 2
    assert "variable" in f"{message} {hint}".lower()
    assert secret not in f"{message} {hint}"


def test_a_database_password_belongs_in_the_variable(tmp_path: Path) -> None:
    ((_, message, hint),) = problems_of(tmp_path, '[history]\nurl = "postgresql://me:hunter2@db/h"\n')

    assert "hunter2" not in f"{message}{hint}"
    assert "PROMPTSTUDIO_HISTORY_URL" in str(hint)


@pytest.mark.parametrize(
    "name", ["together_ai/meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo", "x/risk-model-2026-large"]
)
def test_a_long_model_name_is_no_secret(tmp_path: Path, name: str) -> None:
    write(tmp_path, f'[run]\nmodel = "{name}"\n')

    assert load_settings(tmp_path, env={}).run_model == name


@pytest.mark.parametrize(
    ("text", "place", "fact"),
    [
        ("[run\nmodel = 1\n", (1, 5), "not valid TOML"),
        ("[run]\nmodel = openai\n", (2, 9), "not valid TOML"),
        ("[run]\nmodel: 'x'\n", (2, 6), "not valid TOML"),
        ("[run]\nmodel = 'a'\nmodel = 'b'\n", (3, 12), "not valid TOML: cannot overwrite a value"),
        ("<<<<<<< HEAD\n[run]\n", (1, 1), "not valid TOML"),
        (
            "a = " + "[" * 5000 + "]" * 5000,
            (None, None),
            "not valid TOML: a number is too long or the nesting too deep",
        ),
        ("a = " + "9" * 5000, (None, None), "not valid TOML: a number is too long or the nesting too deep"),
    ],
)
def test_broken_toml_has_a_line_and_a_column(
    tmp_path: Path, text: str, place: tuple[int | None, int | None], fact: str
) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_settings(tmp_path, env={})

    (problem,) = raised.value.problems
    assert problem.message.startswith(fact)
    assert (problem.line, problem.column) == place


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (b"[run]\nmodel = '\xff'\n", "byte 15 is not UTF-8 text"),
        (b"#" * (1024 * 1024 + 1), "the file has 1,048,577 bytes; settings may have 1 MiB"),
    ],
)
def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path, data: bytes, fact: str) -> None:
    (tmp_path / "promptstudio.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=fact):
        load_settings(tmp_path, env={})


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "promptstudio.toml").write_bytes(b"\xef\xbb\xbf[project]\nname = 'x'\n")

    assert load_settings(tmp_path, env={}).project_name == "x"


def test_a_folder_or_a_fifo_of_that_name_is_refused(tmp_path: Path) -> None:
    for name, make in (("folder", Path.mkdir), ("pipe", os.mkfifo)):
        (tmp_path / name).mkdir()
        make(tmp_path / name / "promptstudio.toml")
        with pytest.raises(ConfigError, match="not a regular file"):
            load_settings(tmp_path / name, env={})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_settings_that_another_user_left_above_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    os.chown(path, 12345, 12345)
    below = tmp_path / "mine"
    below.mkdir()

    with pytest.raises(ConfigError, match="belongs to another user"):
        load_settings(below, env={})
    assert load_settings(tmp_path, env={}).root == tmp_path


def test_a_link_may_not_lead_the_prompts_out_of_the_project(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(tmp_path / "project", "")
    (tmp_path / "project" / "prompts").symlink_to(elsewhere)

    with pytest.raises(ConfigError, match="leaves the project folder"):
        load_settings(tmp_path / "project", env={})


def test_arabic_names_survive(tmp_path: Path) -> None:
    write(tmp_path / "مشروع", '[project]\nname = "متجر"\n[profiles."دقيق"]\ntemperature = 0\n')

    settings = load_settings(tmp_path / "مشروع", env={})

    assert settings.project_name == "متجر"
    assert settings.profiles == {"دقيق": {"temperature": 0}}


class TestDotenv:
    def test_it_is_read_only_when_the_settings_say_so(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("LAB_KEY=from-file\n")
        write(tmp_path, "")
        assert load_settings(tmp_path, env={}).dotenv == {}

        write(tmp_path, "[project]\ndotenv = true\n")
        settings = load_settings(tmp_path, env={})
        assert settings.variable("LAB_KEY", {}) == "from-file"

    def test_it_never_overrides_the_environment_and_is_never_exported(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("LAB_KEY=from-file\nPROMPTSTUDIO_RUN_MODEL=evil/model\n")
        write(tmp_path, "[project]\ndotenv = true\n")

        settings = load_settings(tmp_path, env={})

        assert settings.variable("LAB_KEY", {"LAB_KEY": "real"}) == "real"
        assert settings.run_model == "offline/echo"
        assert "LAB_KEY" not in os.environ
        assert "from-file" not in repr(settings)

    def test_lines_may_be_quoted_exported_and_commented(self, tmp_path: Path) -> None:
        lines = "# keys\n\nexport A=1\nB = 'two # words'\nC=\"x\" # why\nD=plain # why\nE=\nF=a=b\n"
        (tmp_path / ".env").write_text(lines)
        write(tmp_path, "[project]\ndotenv = true\n")

        dotenv = load_settings(tmp_path, env={}).dotenv

        assert dotenv == {"A": "1", "B": "two # words", "C": "x", "D": "plain", "E": "", "F": "a=b"}

    def test_a_bad_line_is_told_without_its_text(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("A=1\nhunter2\nB='open\n")
        write(tmp_path, "[project]\ndotenv = true\n")

        with pytest.raises(ConfigError) as raised:
            load_settings(tmp_path, env={})

        assert [problem.line for problem in raised.value.problems] == [2, 3]
        assert "hunter2" not in raised.value.message
