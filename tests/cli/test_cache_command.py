"""`ps cache` and `ps run --cache`, in this process where that is enough."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from in_process import Command, Ended, greet

from promptstudio.cli.main import main
from tests.conftest import Project, Script


@pytest.fixture
def command(project: Project, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, in the sample project."""

    def run(*args: str) -> Ended:
        code = main(list(args), "promptstudio")
        return Ended(code, *capsys.readouterr())

    return run


def facts(command: Command) -> dict[str, object]:
    found: dict[str, object] = json.loads(command("cache", "stats", "--json").out)
    return found


def test_a_run_uses_the_cache_only_where_it_is_told_to(command: Command, project: Project) -> None:
    for _ in range(2):
        assert not json.loads(greet(command, "--json").out)["cached"]
    assert not (project.root / ".promptstudio" / "cache.db").exists()
    cached = [json.loads(greet(command, "--cache", "--json").out)["cached"] for _ in range(2)]
    assert cached == [False, True]
    assert not json.loads(greet(command, "--no-cache", "--json").out)["cached"]


def test_a_cached_run_costs_nothing_and_says_what_it_saved(command: Command) -> None:
    first, again = (json.loads(greet(command, "--cache", "--json").out) for _ in range(2))
    assert (first["saved"], first["cost_usd"]) == (None, 0)
    assert (again["saved"]["cost_usd"], again["text"]) == (0, first["text"])
    rows = json.loads(command("history", "--json").out)
    assert [row["cached"] for row in rows] == [True, False]


def test_the_numbers_are_shown(command: Command) -> None:
    assert facts(command)["entries"] == 0
    for name in ("Ada", "Ada", "Bob"):
        greet(command, "--cache", name=name)
    found = facts(command)
    assert (found["entries"], found["hits"], found["misses"], found["not_kept"]) == (2, 1, 2, 0)
    assert found["models"] == {"offline/echo": {key: found[key] for key in found["models"]["offline/echo"]}}  # type: ignore[index]
    page = command("cache", "stats").out
    assert re.search(r"answers +2\n", page)
    assert re.search(r"hits +1 \(33%\)\n", page)


def test_answers_are_listed_the_latest_used_first(command: Command) -> None:
    assert command("cache", "ls") == (0, "", "nothing is cached here\n")
    for name in ("Ada", "Bob"):
        greet(command, "--cache", name=name)
    listed = json.loads(command("cache", "ls", "--json").out)
    assert [one["prompt"] for one in listed] == ["greet", "greet"]
    assert command("cache", "ls").out.splitlines()[0].split()[:3] == ["ID", "STORED", "USED"]
    assert json.loads(command("cache", "ls", "--prompt", "other", "--json").out) == []
    assert command("cache", "ls", "--model", "other").err == "no answer fits\n"
    assert len(json.loads(command("cache", "ls", "--limit", "1", "--json").out)) == 1


def test_a_run_that_would_miss_is_explained_by_what_differs_from_the_nearest(command: Command) -> None:
    greet(command, "--cache")
    greet(command, "-p", "temperature=0.3")
    found = json.loads(command("cache", "explain", "last", "--json").out)
    assert (found["hits"], found["reasons"]) == (False, ["nothing is stored under its key"])
    assert found["differences"] == ["parameters.temperature is 0.3 here and absent there"]
    assert found["parts"]["parameters.temperature"] == 0.3
    page = command("cache", "explain", "last").out
    assert "would miss: nothing is stored under its key" in page
    assert "parameters.temperature is 0.3 here and absent there" in page


def test_a_run_that_would_hit_says_so_until_the_prompt_changes(command: Command, project: Project) -> None:
    greet(command, "--cache")
    run_id = json.loads(command("history", "--json").out)[0]["id"]
    found = json.loads(command("cache", "explain", run_id, "--json").out)
    assert (found["hits"], found["entry"]["hits"], found["run"]["cached"]) == (True, 0, False)
    path = project.root / "prompts/greet.yaml"
    path.write_text(path.read_text().replace("in a", "in such a"))
    found = json.loads(command("cache", "explain", run_id, "--json").out)
    assert (found["hits"], found["differences"]) == (False, ["messages[0] (user) differs"])


def test_an_entry_is_explained_by_its_id(command: Command) -> None:
    greet(command, "--cache")
    (one,) = json.loads(command("cache", "ls", "--json").out)
    found = json.loads(command("cache", "explain", one["id"][:10], "--json").out)
    assert (found["hits"], found["run"], found["key"]) == (True, None, one["id"])
    assert set(found["parts"]) == {"route", "endpoint", "repeat", "messages[0] (user)"}


def test_a_typed_run_is_explained_too(command: Command) -> None:
    command("run", "support/triage", "-v", "ticket=x", "--cache")
    found = json.loads(command("cache", "explain", "last", "--json").out)
    assert found["hits"]
    assert "tools" in found["parts"]


def test_what_nobody_knows_is_an_error_that_says_where_to_look(command: Command) -> None:
    done = command("cache", "explain", "ffffffff")
    assert done.code == 2
    assert "neither the cache nor the history has 'ffffffff'" in done.err
    assert "`ps cache ls`" in done.err


def test_old_answers_are_removed(command: Command) -> None:
    greet(command, "--cache")
    assert json.loads(command("cache", "prune", "--json").out) == {"removed": 0}
    assert json.loads(command("cache", "prune", "--older-than", "2100-01-01", "--dry-run", "--json").out) == {
        "would_remove": 1
    }
    assert facts(command)["entries"] == 1
    assert command("cache", "prune", "--older-than", "2100-01-01").err == "1 answer removed\n"
    assert facts(command)["entries"] == 0
    assert command("cache", "prune", "--older-than", "soon").code == 2


def test_clearing_needs_a_yes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    greet(command, "--cache")
    monkeypatch.setattr("sys.stdin", None)
    refused = command("cache", "clear")
    assert (refused.code, facts(command)["entries"]) == (2, 1)
    assert "add --yes" in refused.err
    assert json.loads(command("cache", "clear", "--yes", "--json").out) == {"removed": 1}
    assert facts(command)["misses"] == 1


def test_a_damaged_cache_is_said_and_does_not_break_a_run(command: Command, project: Project) -> None:
    project.write(".promptstudio/cache.db", "this is no database, and it is long enough to look at" * 20)
    done = greet(command, "--cache")
    assert (done.code, done.out) == (0, "Say hello to Ada in a warm way.\n")
    assert done.err.count("is damaged") == 1
    assert greet(command, "--cache").err == ""


def test_outside_a_project_the_cache_is_the_users(
    isolated: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["cache", "stats", "--json"], "promptstudio") == 0
    assert json.loads(capsys.readouterr().out)["place"].endswith("/.cache/promptstudio/cache.db")


LOOKED = """\
import sys
from promptstudio.cli.main import main
for words in ("cache stats", "cache ls", "cassette ls tapes", "cassette verify tapes"):
    assert main(words.split(), "ps") == 0
assert "promptstudio.cache" in sys.modules
print(*{"litellm", "mirascope", "openai", "instructor", "sqlmodel", "sqlalchemy"} & set(sys.modules))
"""


def test_looking_loads_no_library_of_a_provider(command: Command, ps: Script) -> None:
    greet(command, "--record", "tapes")
    greet(command, "--cache")
    done = subprocess.run(
        [sys.executable, "-c", LOOKED], capture_output=True, text=True, check=False, env=ps.environment()
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, ""), done.stderr
