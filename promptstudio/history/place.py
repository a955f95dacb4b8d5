"""Settings → where the history is: a SQLite file or a database URL. Touches the disk only in `prepare_folder`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from promptstudio.errors import HistoryError
from promptstudio.history.failure import without_password

FILE_NAME = "history.db"


class HistorySettings(Protocol):
    """The part of the settings that the history reads."""

    @property
    def history_url(self) -> str | None: ...
    @property
    def root(self) -> Path | None: ...
    @property
    def state_dir(self) -> Path | None: ...
    @property
    def retention_days(self) -> int | None: ...
    @property
    def redact(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Exactly one of `path` (a SQLite file) and `url`; `locks_dir` is where running processes show that they live."""

    path: Path | None
    url: str | None
    locks_dir: Path
    project_state_dir: Path | None = None

    @property
    def shown(self) -> str:
        """The place as it may be printed: a URL without its password."""
        return str(self.path) if self.path else without_password(self.url or "")


def place_of(settings: HistorySettings, env: Mapping[str, str] | None = None) -> Place:
    """Return the place the settings name, else the project's, else the user's data folder.

    A relative path counts from the project, outside a project from the current folder.
    """
    env = os.environ if env is None else env
    address = (settings.history_url or "").strip()
    if not address:
        folder = settings.state_dir or data_dir(env)
        return _file_place(folder / FILE_NAME, settings.state_dir)
    path = _sqlite_path(address)
    if path is None:
        return Place(None, address, data_dir(env) / "history.locks")
    base = settings.root or Path.cwd()
    try:
        return _file_place(base / Path(path).expanduser(), settings.state_dir)
    except RuntimeError as error:  # ~name of nobody here
        raise HistoryError(f"history.url: {address!r}: {error}", hint="write the path out") from error


def _file_place(path: Path, state_dir: Path | None) -> Place:
    path = Path("/" + str(path.absolute()).lstrip("/"))  # a SQLite URI takes what follows two slashes for a host
    return Place(path, None, path.with_name(path.name + ".locks"), state_dir)


def _sqlite_path(address: str) -> str | None:
    """Return the path in a plain path or a `sqlite:` URL; None for the URL of another database."""
    if "://" not in address:
        if address.startswith("sqlite:"):
            raise HistoryError(
                f"history.url: {address!r} lacks its slashes", hint="write sqlite:///relative.db or sqlite:////abs.db"
            )
        return _kept(address, address)
    scheme, _, rest = address.partition("://")
    if scheme.partition("+")[0] != "sqlite":
        return None
    if rest and not rest.startswith("/"):
        raise HistoryError(
            f"history.url: {address!r} has a host", hint=f"a SQLite file has three slashes: sqlite:///{rest}"
        )
    return _kept(unquote(rest[1:].partition("?")[0]), address)


def _kept(path: str, address: str) -> str:
    if path in ("", ":memory:") or path.startswith("file:") or "\0" in path:
        raise HistoryError(
            f"history.url: {address!r} names no file", hint="give a path; to keep nothing use --no-history"
        )
    return path


def data_dir(env: Mapping[str, str]) -> Path:
    """Return the user's data folder for PromptStudio."""
    chosen = env.get("XDG_DATA_HOME", "")
    if chosen and Path(chosen).is_absolute():
        return Path(chosen) / "promptstudio"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "promptstudio"
    return Path.home() / ".local" / "share" / "promptstudio"


def prepare_folder(place: Place) -> None:
    """Make the folder of a SQLite file, readable by its owner only; a project's never reaches a commit by accident."""
    assert place.path is not None, "only files have folders"  # noqa: S101
    folder = place.path.parent
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        if folder == place.project_state_dir:
            _ignore_folder(folder)
    except OSError as error:
        raise HistoryError(
            f"the history's folder cannot be made: {error.strerror}",
            file=str(folder),
            hint="set PROMPTSTUDIO_HISTORY_URL to a place you can write to, or use --no-history",
        ) from error


def _ignore_folder(folder: Path) -> None:
    ignore = folder / ".gitignore"
    if ignore.exists() or not os.access(folder, os.W_OK):
        return
    ignore.write_text("*\n", encoding="utf-8")
