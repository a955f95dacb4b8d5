"""Settings → where the cache lies, and the folder made ready. The folder is the owner's alone and never committed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from promptstudio.config import Settings

FILE_NAME = "cache.db"


def state_folder(settings: Settings, env: Mapping[str, str]) -> Path:
    """Return the project's `.promptstudio`, outside a project the user's cache folder."""
    return settings.state_dir or user_cache_dir(env)


def cache_path(settings: Settings, env: Mapping[str, str]) -> Path:
    return state_folder(settings, env) / FILE_NAME


def user_cache_dir(env: Mapping[str, str]) -> Path:
    """Return the user's cache folder for PromptStudio."""
    chosen = env.get("XDG_CACHE_HOME", "")
    if chosen and Path(chosen).is_absolute():
        return Path(chosen) / "promptstudio"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "promptstudio"
    return Path.home() / ".cache" / "promptstudio"


def make_folder(folder: Path) -> None:
    """Make the folder; a project's never reaches a commit by accident. Raises OSError."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    ignore = folder / ".gitignore"
    if folder.name == ".promptstudio" and not ignore.exists() and os.access(folder, os.W_OK):
        ignore.write_text("*\n", encoding="utf-8")


def make_file(path: Path) -> None:
    """Make an empty file that only its owner can read at any umask, unless there is one. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    os.close(descriptor)
