"""The warm process: a run through it cannot be told from any other, whatever happens on the way."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptstudio.cli import warm_wire
from promptstudio.cli.warm_server import Loaded, Server
from tests.conftest import REPOSITORY, SCRIPTS, Outcome, Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is a warm process on Linux only")

NOTE_MODULES = """\
import atexit, os, sys
def note():
    with open(os.environ["NOTE_MODULES"], "w") as file:
        file.write(" ".join(sys.modules))
if "NOTE_MODULES" in os.environ:
    atexit.register(note)
"""
SLOW = "rules: [{text: late, delay_ms: 30000}]\n"
SLOW_RUN = ("run", "greet", "-v", "name=A", "-m", "offline/script")


@dataclass(frozen=True)
class Warm:
    """A home whose runs are warm. It notes what a process imports: the client of a warm run, next to nothing.

    It is shared by many tests, because a warm process takes seconds to start.
    """

    home: Path

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH": f"{SCRIPTS}{os.pathsep}/usr/local/bin{os.pathsep}/usr/bin{os.pathsep}/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONPATH": str(self.home / "site"),
            "PROMPTSTUDIO_WARM": "600",
            **(extra or {}),
        }

    def __call__(self, *args: str, stdin: str = "", env: Mapping[str, str] | None = None) -> tuple[Outcome, bool]:
        """Run the script; return how it ended, and whether it was a warm run."""
        note = self.home / "modules"
        note.unlink(missing_ok=True)
        done = subprocess.run(
            [SCRIPTS / "ps", *args],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment({"NOTE_MODULES": str(note), **(env or {})}),
            timeout=60,
            check=False,
        )
        was_warm = "promptstudio.cli.run" not in note.read_text().split()
        return Outcome(done.returncode, done.stdout, done.stderr), was_warm

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SCRIPTS / "ps", *args],
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def folder(self) -> Path:
        return self.home / ".cache/promptstudio/warm"

    def server(self) -> int:
        """Return the process that waits; its keepers and runs have the same command line, and are below it."""
        (found,) = [pid for pid in servers(self.folder) if parent(pid) not in servers(self.folder)]
        return found

    def ready(self) -> bool:
        return self.folder.is_dir() and any(path.is_socket() for path in self.folder.iterdir())


def make_home(home: Path) -> Warm:
    (home / "site").mkdir(parents=True)
    (home / "site/sitecustomize.py").write_text(NOTE_MODULES)
    (home / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.com\n")
    return Warm(home)


def servers(folder: Path) -> list[int]:
    """Return all processes that were started as the warm process of a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(folder) in words:
                found.append(int(entry.name))
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until(happens: Callable[[], object], timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def end_servers(folder: Path) -> None:
    for pid in servers(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not servers(folder))


def awaken(home: Warm) -> None:
    """Start a warm process and wait for it; again where it gave up because a file of the package was just edited."""
    while not home.ready():
        home("run", "nothing")
        wait_until(lambda: servers(home.folder))
        wait_until(lambda: home.ready() or not servers(home.folder))


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    home = make_home(tmp_path_factory.mktemp("warm") / "home")
    yield home
    end_servers(home.folder)


@pytest.fixture
def warm(shared_home: Warm, project: Project) -> Warm:
    """A warm process that is ready, and the sample project."""
    awaken(shared_home)
    return shared_home


@pytest.fixture
def fresh(tmp_path: Path, project: Project) -> Iterator[Warm]:
    """A home of this test alone, with no warm process yet."""
    home = make_home(tmp_path / "fresh")
    yield home
    end_servers(home.folder)


def statuses(root: Path) -> list[str]:
    path = root / ".promptstudio/history.db"
    if not path.exists():
        return []
    with sqlite3.connect(path) as database:
        try:
            return [row[0] for row in database.execute("select status from prompt_requests order by id")]
        except sqlite3.OperationalError:
            return []


def comparable(outcome: Outcome) -> tuple[int, str, str]:
    """Blank out what differs between any two runs."""
    texts = [re.sub(r'"(id|duration_ms|started_at)": [^\n]+', "", text) for text in (outcome.out, outcome.err)]
    return outcome.code, *texts


SAME = {
    "text": (("greet", "-v", "name=Ada"), ""),
    "right-to-left text": (("ar/welcome", "-v", "name=آدا"), ""),
    "json": (("greet:short", "-v", "name=Ada", "--json", "--tag", "t"), ""),
    "a typed answer": (("support/triage", "-v", "ticket=Help"), ""),
    "a dry run": (("support/triage", "-v", "ticket=Help", "-m", "openai/gpt-4.1-mini", "--dry-run"), ""),
    "rows from standard input": (("greet", "--vars", "-", "--json"), '[{"name": "x"}, {"name": "y"}]'),
    "an input from standard input": (("greet", "-v", "name=-"), "من stdin\n"),
    "a prompt from standard input": (("-", "-v", "who=me"), 'prompt: "Hi {{ who }}"\n'),
    "a missing input": (("greet",), ""),
    "a misspelled prompt": (("greeet",), ""),
    "an unknown option": (("greet", "--strem"), ""),
    "an error as json": (("greeet", "--json"), ""),
    "no key": (("greet", "-v", "name=A", "-m", "openai/gpt-4.1-mini"), ""),
    "help": (("--help",), ""),
}


@pytest.mark.parametrize("name", SAME)
def test_output_and_exit_code_are_those_of_any_run(warm: Warm, name: str) -> None:
    words, stdin = SAME[name]

    cold, was_warm = warm("run", *words, stdin=stdin, env={"PROMPTSTUDIO_WARM": "0"})
    assert not was_warm
    outcome, was_warm = warm("run", *words, stdin=stdin)

    assert was_warm
    assert comparable(outcome) == comparable(cold)


def test_a_warm_run_is_remembered_like_any_other(warm: Warm, project: Project) -> None:
    _, was_warm = warm("run", "greet", "-v", "name=Ada", "--why", "لأن")

    with sqlite3.connect(project.root / ".promptstudio/history.db") as database:
        row = database.execute("select user, reason, status from prompt_requests").fetchone()
    assert was_warm
    assert row == ("Ada Lovelace <ada@example.com>", "لأن", "completed")
    assert not list((project.root / ".promptstudio/history.db.locks").iterdir())


def test_folder_umask_and_open_files_are_the_clients(warm: Warm, project: Project) -> None:
    script = "umask 027; cd prompts; exec ps run greet --vars <(echo '{name: Ada}') -o ../answer.txt"

    done = subprocess.run(["bash", "-c", script], env=warm.environment(), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert (project.root / "answer.txt").read_text() == "Say hello to Ada in a warm way.\n"
    assert (project.root / "answer.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("ps run greet -v name=$(head -c 100000 /dev/zero | tr '\\0' x) | head -c 5; exit ${PIPESTATUS[0]}", 141),
        ("ps run greet -v name=A > /dev/full", 2),
        ("ps run greet -v name=A >&-", 2),
    ],
)
def test_an_output_that_cannot_be_written_is_what_it_always_is(warm: Warm, script: str, code: int) -> None:
    def run(seconds: str) -> tuple[int, str]:
        env = warm.environment({"PROMPTSTUDIO_WARM": seconds})
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert run("600") == run("0")
    assert run("600")[0] == code


def test_a_key_of_one_run_is_unknown_to_the_next_and_to_the_process_that_waits(warm: Warm, project: Project) -> None:
    project.write("promptstudio.toml", '[providers.lab]\napi_base = "http://127.0.0.1:9/v1"\napi_key_env = "LAB_KEY"\n')
    project.write("prompts/lab.yaml", "model: lab/m\nretry: {max_attempts: 1}\nprompt: hi\n")

    with_key, first = warm("run", "lab", "--json", env={"LAB_KEY": "the-key-of-one-run"})
    without, second = warm("run", "lab", "--json")

    assert first
    assert second
    assert with_key.json["error"]["kind"] in ("connection", "server")
    assert without.json["error"]["kind"] == "authentication"
    assert b"the-key-of-one-run" not in Path(f"/proc/{warm.server()}/environ").read_bytes()


def test_a_variable_that_a_library_reads_when_it_is_imported_makes_a_run_cold(warm: Warm) -> None:
    outcome, was_warm = warm("run", "greet", "-v", "name=Ada", env={"DEFAULT_MAX_RECURSE_DEPTH": "50"})

    assert not was_warm
    assert outcome == (0, "Say hello to Ada in a warm way.\n", "")


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (signal.SIGINT, 130, "cancelled"),
        (signal.SIGTERM, 130, "cancelled"),
        (signal.SIGHUP, -signal.SIGHUP, "interrupted"),
        (signal.SIGUSR1, -signal.SIGUSR1, "interrupted"),
        (signal.SIGKILL, -signal.SIGKILL, "interrupted"),
    ],
)
def test_a_signal_to_the_client_is_a_signal_to_the_run(
    warm: Warm, project: Project, number: int, code: int, status: str
) -> None:
    project.write("offline.yaml", SLOW)
    process = warm.start(*SLOW_RUN)
    wait_until(lambda: "running" in statuses(project.root))

    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    wait_until(lambda: len(servers(warm.folder)) == 1)
    subprocess.run([SCRIPTS / "ps", "history"], env=warm.environment(), capture_output=True, check=True)

    assert process.returncode == code
    assert "Traceback" not in err
    assert statuses(project.root) == [status]


def test_a_signal_that_the_shell_ignores_is_ignored(warm: Warm, project: Project) -> None:
    project.write("offline.yaml", "rules: [{text: late, delay_ms: 500}]\n")
    script = f"trap '' HUP INT; exec {SCRIPTS}/ps {' '.join(SLOW_RUN)}"
    process = subprocess.Popen(["bash", "-c", script], env=warm.environment(), stdout=subprocess.PIPE, text=True)
    wait_until(lambda: "running" in statuses(project.root))
    run = max(servers(warm.folder))

    for number in (signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
        os.kill(run, number)
    out, _ = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, "late\n")


def test_a_run_goes_on_when_the_process_that_waits_is_killed(fresh: Warm, project: Project) -> None:
    awaken(fresh)
    project.write("offline.yaml", "rules: [{text: late, delay_ms: 1500}]\n")
    process = fresh.start(*SLOW_RUN)
    wait_until(lambda: "running" in statuses(project.root))

    os.kill(fresh.server(), signal.SIGKILL)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "late\n", "")
    outcome, was_warm = fresh("run", "greet", "-v", "name=Ada")
    assert (outcome.code, was_warm) == (0, False)  # the socket of a dead process is no obstacle
    wait_until(lambda: len(servers(fresh.folder)) == 1 and fresh("run", "greet", "-v", "name=Ada")[1])


def test_a_run_whose_keeper_is_killed_ends_and_says_so(warm: Warm, project: Project) -> None:
    project.write("offline.yaml", SLOW)
    process = warm.start(*SLOW_RUN)
    wait_until(lambda: "running" in statuses(project.root))
    waiting = warm.server()
    (keeper,) = [pid for pid in servers(warm.folder) if parent(pid) == waiting]

    os.kill(keeper, signal.SIGKILL)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 137
    assert "PROMPTSTUDIO_WARM=0" in err
    wait_until(lambda: servers(warm.folder) == [waiting])


def in_terminal(warm: Warm, command: list[str], act: Callable[[int, int], None]) -> tuple[int, str]:
    """Run in a terminal of 100 columns, do something with it, and return the exit code and all that was shown."""
    child, terminal = pty.fork()
    if child == 0:
        subprocess.run(["stty", "cols", "100"], check=False)
        os.execve(SCRIPTS / "ps", ["ps", *command], warm.environment())
    act(child, terminal)
    shown = b""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def test_the_terminal_is_the_runs_terminal(warm: Warm, project: Project) -> None:
    code, shown = in_terminal(warm, ["run", "greet"], lambda _, terminal: os.write(terminal, b"Ada\n") and None)

    assert code == 0
    assert "who is greeted" in shown
    assert "Say hello to Ada in a warm way." in shown
    assert "ps history show" in shown


def test_ctrl_c_at_a_terminal_stops_the_run(warm: Warm, project: Project) -> None:
    project.write("offline.yaml", SLOW)

    def interrupt(_: int, terminal: int) -> None:
        wait_until(lambda: "running" in statuses(project.root))
        os.write(terminal, b"\x03")

    code, _ = in_terminal(warm, list(SLOW_RUN), interrupt)

    assert code == 130
    assert statuses(project.root) == ["cancelled"]


def test_ctrl_z_stops_both_and_fg_lets_both_go_on(warm: Warm, project: Project) -> None:
    project.write("offline.yaml", "rules: [{text: late, delay_ms: 700}]\n")
    states: list[str] = []

    def suspend(client: int, terminal: int) -> None:
        wait_until(lambda: "running" in statuses(project.root))
        run = max(servers(warm.folder))
        os.write(terminal, b"\x1a")
        os.waitpid(client, os.WUNTRACED)
        wait_until(lambda: state(run) == "T")
        states.append(state(client))
        os.kill(client, signal.SIGCONT)

    code, shown = in_terminal(warm, list(SLOW_RUN), suspend)

    assert states == ["T"]
    assert code == 0
    assert "late" in shown


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_many_first_runs_start_one_process(fresh: Warm, project: Project) -> None:
    runs = [fresh.start("run", "nothing") for _ in range(8)]
    for process in runs:
        process.communicate(timeout=60)

    assert [process.returncode for process in runs] == [2] * 8
    wait_until(fresh.ready)
    assert len(servers(fresh.folder)) == 1
    assert fresh("run", "greet", "-v", "name=Ada")[1]


def test_settings_turn_it_on_and_the_variable_off(warm: Warm, project: Project, tmp_path: Path) -> None:
    project.write("promptstudio.toml", "[run]\nwarm = 600\n")
    command = ("--project", str(project.root), "run", "greet", "-v", "name=Ada")

    _, with_settings = warm(*command, env={"PROMPTSTUDIO_WARM": ""})
    _, with_zero = warm(*command, env={"PROMPTSTUDIO_WARM": "0"})
    bad, with_nonsense = warm(*command, env={"PROMPTSTUDIO_WARM": "soon"})

    assert (with_settings, with_zero, with_nonsense) == (True, False, False)
    assert (bad.code, bad.out) == (2, "")
    assert "PROMPTSTUDIO_WARM" in bad.err


def test_nothing_is_started_where_nobody_asked(fresh: Warm, project: Project) -> None:
    fresh("run", "nothing", env={"PROMPTSTUDIO_WARM": ""})
    fresh("list")

    assert not fresh.folder.exists()


def test_a_folder_that_others_can_enter_is_not_used(fresh: Warm, project: Project) -> None:
    fresh.folder.mkdir(parents=True)
    fresh.folder.chmod(0o755)

    outcome, was_warm = fresh("run", "nothing")

    assert (outcome.code, was_warm) == (2, False)
    assert list(fresh.folder.iterdir()) == []


def test_socket_and_folder_are_the_users_alone(warm: Warm) -> None:
    (path,) = [path for path in warm.folder.iterdir() if path.is_socket()]

    assert warm.folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


SOMEBODY_ELSE = """\
import os, socket, sys
os.setresuid(65534, 65534, 65534)
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(float(sys.argv[2]))
connection.connect(sys.argv[1])
print(connection.recv(1))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_another_user_is_turned_away_even_where_the_folder_lets_him_in(warm: Warm) -> None:
    (path,) = [path for path in warm.folder.iterdir() if path.is_socket()]
    path.chmod(0o666)
    warm.folder.chmod(0o711)
    try:
        done = subprocess.run(
            [sys.executable, "-c", SOMEBODY_ELSE, path.name, str(warm_wire.HANDSHAKE_S - 1)],
            cwd=warm.folder,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        warm.folder.chmod(0o700)
        path.chmod(0o600)

    assert (done.stdout, done.stderr) == ("b''\n", "")
    assert len(servers(warm.folder)) == 1


def test_a_changed_installation_has_another_name(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "promptstudio", tmp_path / "copy/promptstudio")
    code = "import sys; from promptstudio.cli.warm_wire import name_of; print(name_of(60.0, {}, sys.path))"

    def name() -> str:
        env = {"PYTHONPATH": str(tmp_path / "copy")}
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout

    first, again = name(), name()
    os.utime(tmp_path / "copy/promptstudio/runner.py")

    assert first == again
    assert name() != first


def name(environment: Mapping[str, str]) -> str:
    return warm_wire.name_of(60.0, environment, sys.path)


def test_variables_that_matter_to_imports_are_part_of_the_name_and_secrets_are_not() -> None:
    assert name({"SSL_CERT_FILE": "/a"}) != name({"SSL_CERT_FILE": "/b"})
    assert name({"OPENAI_API_KEY": "a", "LITELLM_API_KEY": "a"}) == name({})
    assert warm_wire.start_environment({"LITELLM_MASTER_KEY": "a", "PWD": "/", "HOME": "/h"}) == {"HOME": "/h"}


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as opened:
        folder = warm_wire.open_folder(str(tmp_path / "sockets"))
        opened.bind(warm_wire.address_in(folder, "s"))
        opened.listen()
        yield opened
        os.close(folder)


def test_it_ends_when_it_is_no_longer_wanted(listener: socket.socket) -> None:
    answers = iter([True, False])

    Server(listener, (), Loaded(frozenset(), {}), 0.0001).wait(lambda: next(answers, False))


def test_it_waits_no_longer_than_it_was_told_and_leaves_nothing_behind(fresh: Warm, project: Project) -> None:
    fresh("run", "nothing", env={"PROMPTSTUDIO_WARM": "0.5"})
    wait_until(lambda: servers(fresh.folder))

    wait_until(lambda: not servers(fresh.folder))

    assert list(fresh.folder.iterdir()) == []


def test_it_ends_when_its_socket_is_taken_away(fresh: Warm, project: Project) -> None:
    awaken(fresh)

    shutil.rmtree(fresh.folder)

    wait_until(lambda: not servers(fresh.folder))


@pytest.mark.parametrize("data", [b"", b"x", b"0\x000", b"0\x00-5\x000"])
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, StopIteration)):
        warm_wire.decoded(data)


def test_a_request_arrives_as_it_was_sent() -> None:
    request = warm_wire.Request(
        program="ps",
        umask=0o22,
        ignored=(1, 17),
        files=(0, 1, 2, 63),
        streams=("utf-8", "strict", "0", "0") * 3,
        argv=("ps", "run", "", "مرحبا", os.fsdecode(b"\xff")),
        path=("", "/a b"),
        environment=(b"A=1", b"EMPTY=", b"\xff=\xfe=x"),
    )
    assert warm_wire.decoded(warm_wire.encoded(request)) == request


def test_the_json_of_a_warm_run_is_one_object(warm: Warm) -> None:
    outcome, was_warm = warm("run", "greet", "-v", "name=Ada", "--json")

    assert was_warm
    assert json.loads(outcome.out)["status"] == "completed"
