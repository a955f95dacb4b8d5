"""An address → the file whose history is meant, which may be gone from the working tree; and the commit to begin at."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

from promptstudio.config.settings import Settings
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.prompts.address import Address, absolute_path, files_named, find_file, parse_address
from promptstudio.prompts.files import DISK
from promptstudio.prompts.library import SUFFIXES
from promptstudio.prompts.wording import shown
from promptstudio.versions.moments import below_top
from promptstudio.versions.snapshots import Snapshots


class Located(NamedTuple):
    """`commit` is None where the working tree is meant, else the commit the address names."""

    path: Path
    variant: str | None
    commit: str | None = None


def folder_of(address: str | None, settings: Settings, cwd: Path) -> Path:
    """Return the folder whose repository is meant: the project's, or that of a file outside it named by its path."""
    parsed = parse_address(address) if address is not None else None
    if parsed is not None and parsed.kind == "path":
        path = absolute_path(Path(parsed.target).expanduser(), cwd)
        if settings.root is None or not path.is_relative_to(settings.root):
            return next((place for place in path.parents if place.is_dir()), cwd)
    return settings.root or cwd


def located(address: str, snapshots: Snapshots, cwd: Path) -> Located:
    """Find the file of an address. Raises UsageError or NotFoundError."""
    parsed = parse_address(address)
    if parsed.kind == "stdin":
        raise UsageError("standard input has no history", hint="give a prompt's name or its file")
    if parsed.revision is not None:
        return _at_revision(parsed, snapshots, cwd)
    return Located(_known_path(parsed, snapshots) or _found_path(parsed, snapshots, cwd), parsed.variant)


def _at_revision(address: Address, snapshots: Snapshots, cwd: Path) -> Located:
    from promptstudio.versions.revisions import path_of_label, revision_of  # weight: it loads what loads prompts

    revision = revision_of(address, snapshots.settings, cwd, snapshots.repository)
    moment = snapshots.at(revision.commit or "")
    path = path_of_label(revision, address, snapshots.settings, cwd)
    path = path or find_file(address, moment.settings, cwd, moment.files)
    return Located(path, address.variant, revision.commit)


def _known_path(address: Address, snapshots: Snapshots) -> Path | None:
    """Return the file where the name says, if the cache knows that it bears this name: then nothing is parsed."""
    root = snapshots.settings.prompts_dir
    if address.kind != "name" or root is None:
        return None
    paths = files_named(address.target, root, DISK)
    known = snapshots.stored(snapshots.now(), paths[0]) if len(paths) == 1 else None
    return paths[0] if known is not None and known.name == unicodedata.normalize("NFC", address.target) else None


def _found_path(address: Address, snapshots: Snapshots, cwd: Path) -> Path:
    try:
        return find_file(address, snapshots.settings, cwd)
    except NotFoundError:
        removed = _removed_path(address, snapshots)
        if removed is None:
            raise
        return removed


def _removed_path(address: Address, snapshots: Snapshots) -> Path | None:
    """Return where a prompt lay that is gone: HEAD may still have it, or an older commit had it under that name."""
    repository, root = snapshots.repository, snapshots.settings.prompts_dir
    head = repository.head()
    if head is None or root is None or address.kind != "name":
        return None
    names = [below_top(root / (address.target + suffix), repository) for suffix in SUFFIXES]
    wanted = [name for name in names if name is not None]
    said = repository.read(
        *("--literal-pathspecs", "log", "-z", "-1", "--format=", "--name-only", "--no-renames", "-m", head, "--"),
        *wanted,
    )
    touched = said.decode("utf-8", "surrogateescape").split("\0")
    return next((repository.top / name for name in wanted if name in touched), None)


def check_no_revision(address: str, option: str) -> None:
    """Raise UsageError where an address names a revision and an option does too."""
    if parse_address(address).revision is not None:
        raise UsageError(f"{shown(address)}: {option} says which moment is meant", hint="leave the @ part away")
