"""The table of keys and what is made from it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from promptstudio import config
from promptstudio.config import load_settings
from promptstudio.config.places import key_lines, line_of
from promptstudio.config.schema import KEYS, key_for, names_below, variables
from promptstudio.config.schema_json import config_schema
from promptstudio.errors import ConfigError

SHIPPED = Path(config.__file__).parent / "config.schema.json"


def test_the_shipped_schema_is_the_generated_one() -> None:
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == config_schema()


def test_the_schema_is_draft_7() -> None:
    jsonschema.Draft7Validator.check_schema(config_schema())


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("", True),
        ('[run]\nmodel = "a/b"\n[environments.dev.run]\nmodel = "c/d"\n', True),
        ('[providers.a]\nheaders = {X = "y", Z = {env = "V"}}\n', True),
        ('[eval]\njudge = {model = "a/b", parameters = {temperature = 0}}\n', True),
        ("x-mine = 1\n[profiles.a]\ntemperature = 0.5\n", True),
        ('[tools]\nfind = "a.b:c"\n', True),
        ("[run]\nmodle = 'a/b'\n", False),
        ("[run]\ntimeout = 0\n", False),
        ("[history]\nretention_days = 0\n", False),
        ("[providers.a]\napi_key = 'x'\n", False),
        ("[environments.dev.project]\nname = 'x'\n", False),
        ("[environments.dev.run]\nmodle = 'x'\n", False),
        ("[tools]\nfind = 'nothing'\n", False),
    ],
)
def test_the_schema_and_the_program_agree(tmp_path: Path, text: str, is_good: bool) -> None:
    (tmp_path / "promptstudio.toml").write_text(text)

    by_schema = jsonschema.Draft7Validator(config_schema()).is_valid(tomllib.loads(text))
    try:
        load_settings(tmp_path, env={})
        by_program = True
    except ConfigError:
        by_program = False

    assert (by_schema, by_program) == (is_good, is_good)


def test_every_key_has_a_check_and_a_line_of_help() -> None:
    from promptstudio.config.check import value_complaint

    for key in KEYS:
        value_complaint(key, 1)
        assert key.help.endswith(".") or key.help.endswith("…"), key.name


def test_variables_are_named_after_their_keys() -> None:
    names = variables()

    assert names["PROMPTSTUDIO_HISTORY_URL"].name == "history.url"
    assert names["PROMPTSTUDIO_RUN_MODEL"].name == "run.model"
    assert not any("*" in key.name for key in names.values())
    assert not any(key.name.startswith("project.") for key in names.values())


def test_paths_find_their_row() -> None:
    assert key_for(("profiles", "strict", "seed")) is not None
    assert key_for(("profiles", "strict")) is None
    assert names_below(("providers", "anything")) == ("api_base", "api_key_env", "headers")
    assert names_below(("nowhere",)) is None


def test_lines_are_found_through_quotes_strings_arrays_and_dots() -> None:
    text = '''\
# model = "no"
[run]
"model" = "x" # [history]
[profiles."a.b"]
stop = [
  "model = 1",  # [run]
  "]",
]
note = """
[history]
url = 1
"""
seed.x = 3
[providers.p]
headers = { A = "b" }
'''
    lines = key_lines(text)

    assert lines[("run", "model")] == 3
    assert lines[("profiles", "a.b", "stop")] == 5
    assert lines[("profiles", "a.b", "seed", "x")] == 13
    assert ("history",) not in lines
    assert line_of(lines, ("providers", "p", "headers", "A")) == 15
    assert line_of(lines, ("providers",)) == 14
    assert line_of(lines, ("nowhere",)) is None
