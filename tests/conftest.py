"""What every test gets: a home of its own, no network beyond this machine, a sample project, and the installed `ps`.

isolated   (always on)  HOME, XDG folders, git identity and the working directory lie in tmp; no keys, no settings
project    a git repository with promptstudio.toml and three prompts; it is the working directory
ps         runs the installed script in a real process: ps("list", "--json", stdin="…", env={…}) → code, out, err
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from promptstudio.config import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parent.parent
GUARD = REPOSITORY / "tests" / "guard"
SCRIPTS = Path(sys.executable).parent
_REAL_HOME = Path(os.environ.get("HOME", "/nonexistent")).resolve()
_MAY_WRITE = tuple(
    str(Path(place).resolve()) for place in (REPOSITORY, sys.prefix, sys.base_prefix, tempfile.gettempdir())
)
_LOCAL = ("127.", "::1", "localhost", "0.0.0.0", "::ffff:127.")


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook of the test process: raises where a test reaches another host or writes to the real home."""
    if event == "open":
        _refuse_home(args)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        _refuse_host(args[0])
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        _refuse_host(args[1][0])


def _refuse_host(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if isinstance(name, str) and name and not name.startswith(_LOCAL):
        raise PermissionError(f"a test may not reach {name}")


def _refuse_home(args: tuple[Any, ...]) -> None:
    path, mode, flags = args
    if not isinstance(path, str) or not path.startswith(str(_REAL_HOME) + os.sep) or path.startswith(_MAY_WRITE):
        return
    writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
    if writes:
        raise PermissionError(f"a test may not write to the real home: {path}")


sys.addaudithook(_refuse)


class Outcome(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Project:
    """A sample project on disk."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self, subject: str = "A change") -> str:
        """Commit everything and return the hash."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD").strip()

    def settings(self, *, env: Mapping[str, str] | None = None) -> Settings:
        return load_settings(self.root, env=env or {})


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home that is not yours, and return it."""
    home = tmp_path / "home"
    work = tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("PROMPTSTUDIO_", "_PS_", "_PROMPTSTUDIO_", "GIT_", "XDG_")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada Lovelace\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    for name, value in _home_variables(home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(work)
    return home


def _home_variables(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


SETTINGS = """\
[project]
name = "sample"

[run]
model = "offline/echo"

[profiles.strict]
temperature = 0
"""
GREET = """\
description: Greet someone by name.
version: 1.0.0
tags: [demo]
model: offline/echo
inputs:
  name: string, who is greeted
  mood: {type: string, enum: [warm, dry], default: warm}
prompt: "Say hello to {{ name }} in a {{ mood }} way."
variants:
  short: {parameters: {max_tokens: 20}}
"""
TRIAGE = """\
description: Classify a ticket.
tags: [support]
model: offline/echo
inputs:
  ticket: {type: string, maxLength: 20000}
output:
  name: Triage
  fields:
    category: {type: string, enum: [billing, bug]}
    urgency: {type: integer, minimum: 1, maximum: 5}
messages:
  - role: system
    content: You triage tickets.
  - role: user
    content: "<ticket>{{ ticket }}</ticket>"
"""
WELCOME = """\
description: ترحيب بالمستخدم
tags: [demo, arabic]
model: offline/echo
inputs:
  name: string, الاسم
prompt: "اكتب ترحيبًا قصيرًا بالعربية لـ {{ name }}."
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A committed project with `greet` (variant `short`), `support/triage` (typed) and the Arabic `ar/welcome`."""
    sample = Project(tmp_path / "project")
    sample.write("promptstudio.toml", SETTINGS)
    sample.write("prompts/greet.yaml", GREET)
    sample.write("prompts/support/triage.yaml", TRIAGE)
    sample.write("prompts/ar/welcome.yaml", WELCOME)
    sample.write(".gitignore", ".promptstudio/\n")
    sample.git("init", "-q")
    sample.commit("The sample project")
    monkeypatch.chdir(sample.root)
    return sample


@dataclass(frozen=True)
class Script:
    """The installed `ps`, called in a process of its own with a controlled environment."""

    notes: Path
    name: str = "ps"

    def __call__(
        self,
        *args: str,
        stdin: str | bytes = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 60,
        text: bool = True,
    ) -> Outcome:
        done = subprocess.run(
            [SCRIPTS / self.name, *args],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=cwd or Path.cwd(),
            env=self.environment(env),
            timeout=timeout_s,
            check=False,
        )
        assert not self.denied, f"the command tried to reach {self.denied}"
        errors = "strict" if text else "surrogateescape"
        return Outcome(done.returncode, done.stdout.decode(errors=errors), done.stderr.decode(errors=errors))

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment such a process gets; for tests that start it themselves."""
        home = {name: os.environ[name] for name in _home_variables(Path())}
        return {
            **home,
            "PATH": f"{SCRIPTS}{os.pathsep}/usr/local/bin{os.pathsep}/usr/bin{os.pathsep}/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONPATH": str(GUARD),
            "GUARD_HOSTS": str(self.notes / "hosts"),
            "GUARD_WRITES": str(self.notes / "writes"),
            **(extra or {}),
        }

    @property
    def denied(self) -> list[str]:
        """Hosts that a process of this test tried to reach, and was refused."""
        path = self.notes / "hosts"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def written(self) -> list[Path]:
        """Every path that a process of this test opened for writing, and every folder it made."""
        path = self.notes / "writes"
        return sorted({Path(line) for line in path.read_text().splitlines()}) if path.exists() else []


@pytest.fixture
def ps(tmp_path: Path) -> Script:
    notes = tmp_path / "notes"
    notes.mkdir()
    return Script(notes)


@pytest.fixture
def promptstudio(ps: Script) -> Script:
    """The same program under its long name."""
    return Script(ps.notes, "promptstudio")
