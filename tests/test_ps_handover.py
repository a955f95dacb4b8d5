"""`ps` in a virtual environment is still the system's `ps`, to the byte, unless the first word is ours."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from promptstudio import entry
from promptstudio.cli.table import COMMANDS, GLOBAL_OPTIONS
from tests.conftest import SCRIPTS, Script

SYSTEM_PS = next((path for path in ("/bin/ps", "/usr/bin/ps") if os.access(path, os.X_OK)), None)
needs_ps = pytest.mark.skipif(SYSTEM_PS is None, reason="this machine has no ps")


def run(command: list[str | Path], env: dict[str, str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@needs_ps
@pytest.mark.parametrize(
    "args",
    [
        ["-p", "1", "-o", "pid="],
        ["-p", "1", "-o", "pid=,comm=,args="],
        ["-p", "999999"],
        ["-p", "999999", "-o", "pid="],
        ["--no-such-option"],
        ["-Z9!"],
        ["--pid", "1", "--no-headers", "-o", "comm"],
        ["L"],
    ],
    ids=" ".join,
)
def test_output_and_exit_code_are_those_of_the_system(ps: Script, args: list[str]) -> None:
    env = ps.environment()

    assert run([SCRIPTS / "ps", *args], env) == run([str(SYSTEM_PS), *args], env)


@needs_ps
@pytest.mark.parametrize("args", [[], ["aux"], ["-ef"], ["--sort=-pcpu", "aux"], ["u"]], ids=" ".join)
def test_lists_of_processes_have_the_systems_shape(ps: Script, args: list[str]) -> None:
    env = ps.environment()

    code, out, err = run([SCRIPTS / "ps", *args], env)
    system_code, system_out, _ = run([str(SYSTEM_PS), *args], env)

    assert (code, err) == (system_code, "")
    assert out.splitlines()[0].split() == system_out.splitlines()[0].split()
    assert bool(out.splitlines()[1:]) == bool(system_out.splitlines()[1:])


@needs_ps
def test_the_process_is_called_ps_and_not_python(ps: Script) -> None:
    started = subprocess.run(
        ["sh", "-c", f"{SCRIPTS}/ps -o pid=,args= -p $$,$PPID; {SCRIPTS}/ps -o args="],
        capture_output=True,
        text=True,
        env=ps.environment(),
        check=True,
    )
    lines = [line for line in started.stdout.splitlines() if line.endswith("ps -o args=")]
    assert "ps -o args=" in lines
    assert not [line for line in lines if "python" in line and not line.startswith("sh -c")]


@needs_ps
def test_a_closed_pipe_ends_it_as_silently_as_the_systems(ps: Script) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{SCRIPTS}/ps -eo pid,args,comm,user,stat,time | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=ps.environment(),
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", str(128 + signal.SIGPIPE))


@needs_ps
def test_nothing_of_ours_is_imported_for_it(ps: Script) -> None:
    env = ps.environment({"PYTHONPROFILEIMPORTTIME": "1"})

    _, _, err = run([SCRIPTS / "ps", "-p", "1"], env)

    ours = {line.rpartition("|")[2].strip() for line in err.splitlines() if "promptstudio" in line}
    assert ours == {"promptstudio", "promptstudio.entry"}


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_our_commands_stay_ours(ps: Script, row: object) -> None:
    name = row.name  # type: ignore[attr-defined]
    outcome = ps(name, "--help")

    assert outcome.code == 0
    assert f"ps {name}" in outcome.out


def test_the_names_are_the_tables() -> None:
    assert sorted(entry.COMMANDS) == sorted(row.name for row in COMMANDS)
    assert set(entry.LONG_OPTIONS) == {option.split()[0] for option, _ in GLOBAL_OPTIONS}


@pytest.mark.parametrize("word", ["-h", "-v", "-p", "aux", "", "e", "listing", "Run", "--no-headers", "--json"])
def test_other_first_words_are_the_systems(word: str) -> None:
    assert not entry.is_ours([word])


def test_a_ps_that_is_half_typed_can_still_be_completed(ps: Script) -> None:
    env = {"_PS_COMPLETE": "complete_bash", "COMP_WORDS": "ps\nhist", "COMP_CWORD": "1"}

    assert ps("hist", env=env).out == "history\n"


class TestTheNextOne:
    """Fake environments: folders with copies of our script and shell scripts, on a PATH of our own."""

    @pytest.fixture
    def folders(self, tmp_path: Path) -> tuple[Path, Path, Path]:
        made = tmp_path / "one", tmp_path / "two", tmp_path / "sys"
        for folder in made:
            folder.mkdir()
        for folder in made[:2]:
            shutil.copy(SCRIPTS / "ps", folder / "ps")
        script(made[2] / "ps", 'echo "system $0 $*"; exit 7')
        return made

    def call(self, ps: Script, program: Path, *path: Path, args: tuple[str, ...] = ("aux",)) -> tuple[int, str, str]:
        return run([program, *args], ps.environment({"PATH": os.pathsep.join(str(folder) for folder in path)}))

    def test_two_environments_do_not_hand_it_back_and_forth(self, ps: Script, folders: tuple[Path, Path, Path]) -> None:
        one, two, system = folders
        for path in ((one, two, system), (two, one, system), (one, two, one, system), (one, one, two, two, system)):
            code, out, err = self.call(ps, path[0] / "ps", *path)
            assert (code, out.split()[-1], err) == (7, "aux", "")

    def test_a_folder_that_is_not_on_path_begins_at_the_front(
        self, ps: Script, folders: tuple[Path, Path, Path]
    ) -> None:
        one, two, system = folders

        assert self.call(ps, one / "ps", two, system)[0] == 7
        assert self.call(ps, one / "ps", system)[0] == 7

    def test_the_search_begins_behind_the_last_mention_of_our_folder(self, folders: tuple[Path, Path, Path]) -> None:
        one, two, system = folders
        path = os.pathsep.join(str(folder) for folder in (one, two, one, system))

        assert entry._candidates(str(one / "ps"), path) == [str(system / "ps")]

    def test_a_link_to_itself_is_skipped(self, ps: Script, folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
        one, _, system = folders
        links = tmp_path / "links"
        links.mkdir()
        (links / "ps").symlink_to(one / "ps")

        assert self.call(ps, one / "ps", one, links, system)[0] == 7

    def test_a_shim_that_leads_back_to_us_is_passed_over(
        self, ps: Script, folders: tuple[Path, Path, Path], tmp_path: Path
    ) -> None:
        one, _, _ = folders
        shims, other = tmp_path / "shims", tmp_path / "other"
        shims.mkdir()
        other.mkdir()
        script(shims / "ps", f'exec {one}/ps "$@"')
        script(other / "ps", 'echo "$@"')

        code, out, err = self.call(ps, one / "ps", shims, other)

        assert (code, out, err) == (0, "aux\n", "")

    def test_what_cannot_be_run_is_passed_over(
        self, ps: Script, folders: tuple[Path, Path, Path], tmp_path: Path
    ) -> None:
        one, _, system = folders
        bad = tmp_path / "bad"
        (bad / "ps").mkdir(parents=True)
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "ps").write_bytes(b"\x7fELFnot really")
        (broken / "ps").chmod(0o755)

        assert self.call(ps, one / "ps", one, bad, broken, system)[0] == 7

    def test_no_system_ps_is_said_with_127(self, ps: Script, folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
        one, two, _ = folders
        python = tmp_path / "python"
        python.mkdir()

        code, out, err = self.call(ps, one / "ps", one, two, python)

        assert (code, out) == (127, "")
        assert "no system `ps` on PATH" in err

    def test_arguments_arrive_as_they_are(self, ps: Script, folders: tuple[Path, Path, Path]) -> None:
        one, _, system = folders
        script(system / "ps", "printf '%s|' \"$@\"")

        _, out, _ = self.call(ps, one / "ps", system, args=("-o", "a b", "", "العربية", "--", "*"))

        assert out == "-o|a b||العربية|--|*|"


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
