"""Prompts that were just made → their stanzas in promptstudio.lock, where there is one.

A stanza that is there before anybody promotes keeps merges local: two branches that promote two new prompts then change
two stanzas, instead of both adding one at the same place.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import LockFileError
from promptstudio.prompts.library import row_of
from promptstudio.versions.lock import LOCK_NAME, change_lock
from promptstudio.versions.stanza import Stanza


def add_stanzas(paths: Iterable[Path], settings: Settings) -> str | None:
    """Give each prompt file a stanza; a project without a lock file stays without. Return why it could not be done."""
    root = settings.root
    if root is None or not (root / LOCK_NAME).is_file():
        return None
    folder = settings.prompts_dir or root
    rows = [row_of(path, settings) for path in map(Path.absolute, paths) if path.is_relative_to(folder)]
    new = {row.name: Stanza(row.name, row.shown_path) for row in rows if row.error is None}
    try:
        change_lock(root, lambda lock: {**new, **lock.prompts})
    except LockFileError as cause:  # the prompt is made all the same; `ps verify` names what is wrong with the lock
        return cause.message
    return None
