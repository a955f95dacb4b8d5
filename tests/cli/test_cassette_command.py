"""`ps run --record`, `ps run --replay` and `ps cassette`, in this process where that is enough."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from in_process import Command, Ended, greet

from promptstudio.cache.used import note_used
from promptstudio.cli.main import main
from tests.conftest import Project, Script


@pytest.fixture
def command(project: Project, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, in the sample project."""

    def run(*args: str) -> Ended:
        code = main(list(args), "promptstudio")
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def tapes(project: Project) -> Path:
    return project.root / "tapes"


def test_what_was_recorded_is_replayed(command: Command, tapes: Path) -> None:
    first = greet(command, "--record", "tapes")
    again = greet(command, "--replay", "tapes", "--json")
    assert (first.code, again.code, first.err) == (0, 0, "")
    found = json.loads(again.out)
    assert found["text"] + "\n" == first.out
    assert (found["cached"], found["cost_usd"]) == (True, 0)
    assert [path.name.startswith("greet-") for path in tapes.iterdir()] == [True]


def test_recording_again_changes_nothing_in_git(command: Command, project: Project) -> None:
    greet(command, "--record", "tapes")
    project.commit("Recordings")
    greet(command, "--record", "tapes")
    assert project.git("status", "--porcelain") == ""


def test_a_request_that_was_not_recorded_is_exit_2_with_the_nearest(command: Command) -> None:
    greet(command, "--record", "tapes")
    done = greet(command, "--replay", "tapes", name="Bob")
    assert (done.code, done.out) == (2, "")
    assert "messages[0].content is 'Say hello to Bob in a warm way.' and was 'Say hello to Ada" in done.err
    assert "with --record tapes instead of --replay" in done.err


def test_a_folder_in_the_settings_is_used_without_a_flag(command: Command, project: Project) -> None:
    greet(command, "--record", "tapes")
    settings = (project.root / "promptstudio.toml").read_text()
    project.write("promptstudio.toml", settings.replace("[run]\n", '[run]\nreplay = "tapes"\n'))
    assert json.loads(greet(command, "--json").out)["cached"]
    assert command("cassette", "verify").code == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--record", "tapes", "--replay", "tapes"), "exclude each other"),
        (("--replay", "nowhere"), "nowhere: there is no such folder of cassettes"),
        (("--record", "promptstudio.toml"), "is a file, not a folder"),
        (("--record", "tapes", "--cache"), "--cache does not go with a recording"),
    ],
)
def test_flags_that_cannot_work_are_exit_2(command: Command, flags: tuple[str, ...], message: str) -> None:
    done = greet(command, *flags)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_the_cassettes_of_a_folder_are_listed(command: Command) -> None:
    greet(command, "--record", "tapes")
    (one,) = json.loads(command("cassette", "ls", "tapes", "--json").out)
    assert (one["prompt"], one["model"], one["answers"], one["problems"]) == ("greet", "offline/echo", 1, [])
    assert one["last_used_at"].startswith(datetime.now(UTC).strftime("%Y-%m"))
    header, line = command("cassette", "ls", "tapes").out.splitlines()
    assert header.split() == ["FILE", "PROMPT", "MODEL", "ANSWERS", "LAST", "USED"]
    assert line.split()[1:4] == ["greet", "offline/echo", "1"]


def test_a_cassette_whose_request_was_edited_fails_the_check(command: Command, tapes: Path) -> None:
    greet(command, "--record", "tapes")
    assert command("cassette", "verify", "tapes") == (0, "", "1 cassette: all genuine\n")
    (path,) = tapes.iterdir()
    path.write_text(path.read_text().replace("content: Say", "content: Sing"))
    done = command("cassette", "verify", "tapes")
    assert done.code == 1
    assert f"tapes/{path.name}:2: error: the request was changed after it was recorded" in done.out
    (problem,) = json.loads(command("cassette", "verify", "tapes", "--json").out)["problems"]
    assert (problem["file"], problem["line"]) == (f"tapes/{path.name}", 2)
    assert greet(command, "--replay", "tapes").code == 2


def test_there_must_be_something_to_check(command: Command, tapes: Path) -> None:
    assert command("cassette", "verify").code == 2
    assert command("cassette", "verify", "tapes").code == 2
    tapes.mkdir()
    assert command("cassette", "verify", "tapes").code == 5


def test_only_what_nothing_used_of_late_is_pruned(command: Command, project: Project, tapes: Path) -> None:
    greet(command, "--record", "tapes")
    greet(command, "--record", "tapes", name="Bob")
    old, new = sorted(tapes.iterdir(), key=lambda path: "Bob" in path.read_text())
    note_used(project.root / ".promptstudio", tapes, [old], datetime.now(UTC) - timedelta(days=3))
    planned = json.loads(command("cassette", "prune", "tapes", "--dry-run", "--json").out)
    assert planned == {"would_remove": [f"tapes/{old.name}"]}
    assert json.loads(command("cassette", "prune", "tapes", "--since", "7d", "--dry-run", "--json").out) == {
        "would_remove": []
    }
    assert command("cassette", "prune", "tapes", "--yes").code == 0
    assert list(tapes.iterdir()) == [new]


def test_without_a_replay_on_this_machine_nothing_is_pruned(
    command: Command,
    project: Project,
    tapes: Path,
) -> None:
    greet(command, "--record", "tapes")
    (project.root / ".promptstudio/cassettes-used.json").write_text("{ broken")
    done = command("cassette", "prune", "tapes", "--yes")
    assert done.code == 2
    assert "nothing tells which ones are still needed" in done.err
    assert len(list(tapes.iterdir())) == 1
    greet(command, "--replay", "tapes")
    assert json.loads(command("cassette", "prune", "tapes", "--yes", "--json").out) == {"removed": []}


REPLAYED = """\
import sys
from promptstudio.cli.main import main
assert main(["run", "greet", "-v", "name=Ada", "-m", "openai/gpt-4.1-mini", "--replay", "tapes"], "ps") == 0
assert not {"litellm", "aiohttp"} & set(sys.modules)
"""


def test_a_replay_loads_no_library_of_a_provider_and_needs_no_key(
    command: Command,
    project: Project,
    ps: Script,
    tapes: Path,
) -> None:
    greet(command, "--record", "tapes")
    (path,) = tapes.iterdir()
    text = path.read_text().replace("model: offline/echo", "model: openai/gpt-4.1-mini", 1)
    path.write_text(with_new_id(text))
    done = subprocess.run(
        [sys.executable, "-c", REPLAYED], capture_output=True, text=True, check=False, env=ps.environment()
    )
    assert (done.returncode, done.stdout) == (0, "Say hello to Ada in a warm way.\n"), done.stderr
    assert ps.denied == []


def with_new_id(text: str) -> str:
    """Make the id of a changed request fit again, as recording it would have."""
    from promptstudio.cache.cassette import read_cassette
    from promptstudio.cache.request import content_id

    cassette = read_cassette(text, "x")
    return text.replace(cassette.id, content_id(cassette.request))
