"""What two commits came to the last time they were compared: a file in the git folder for each pair.

Commits never change, so neither does the answer; its key holds all else that it depends on. It is a cache: no commit
can bring one, each file bears a checksum, and without it the answer is found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.prompts.snapshot import SNAPSHOT_VERSION
from promptstudio.versions.diff.summary import Summary
from promptstudio.versions.repo import Repository
from promptstudio.versions.snapshots import LOADING_VERSION

VERDICT_VERSION = 1
"""Raise it when a rule, or what a summary says, changes."""

FOLDER = "promptstudio/diffs"
MAX_FILES = 100
MAX_BYTES = 4 << 20


def key_of(old: str, new: str, settings: Settings, repository: Repository) -> str:
    """Return the name of an answer: both commits, the settings of now, and the versions of what computes it."""
    places = [str(place) if place else "" for place in (repository.top, settings.root, settings.prompts_dir)]
    facts = [old, new, places, settings.base, SNAPSHOT_VERSION, LOADING_VERSION, VERDICT_VERSION]
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def kept(key: str, repository: Repository) -> Summary | None:
    """Return the answer that is known, None where there is none, or none that can be trusted."""
    path = repository.common_dir / FOLDER / key
    try:
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            data = stream.read(MAX_BYTES + 1)
    except OSError:
        return None
    digest, _, body = data.partition(b"\n")
    is_ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid() and len(data) <= MAX_BYTES
    if not is_ours or digest.decode("ascii", "replace") != _digest(key, body):
        return None
    return Summary(tuple((row[0], row[1], row[2], row[3]) for row in json.loads(body)))


def keep(key: str, summary: Summary, repository: Repository) -> None:
    """Remember an answer; the oldest give way. A folder that cannot be written costs only the time to find it again."""
    folder = repository.common_dir / FOLDER
    body = json.dumps(summary.rows, separators=(",", ":")).encode("ascii")
    if len(body) > MAX_BYTES - 100:
        return
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.parent.is_symlink():
            return
        _write(folder / key, _digest(key, body).encode("ascii") + b"\n" + body)
        _prune(folder)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as stream:  # noqa: PTH123
            stream.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime)
    for path in files[:-MAX_FILES]:
        path.unlink(missing_ok=True)


def _digest(key: str, body: bytes) -> str:
    return hashlib.blake2b(key.encode() + body, digest_size=16).hexdigest()
