"""A change of `promptstudio.lock` → the file written, and, where asked, a commit of that file alone.

Git runs as the user would run it: with their identity, hooks and signing. What else is staged stays so, out of
the commit. Where that fails, the file and the index are as they were.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from promptstudio.errors import ToolError
from promptstudio.prompts.filewrite import create_file, write_atomically
from promptstudio.versions.lock import alone, relative_path, rewrite_lock
from promptstudio.versions.repo import Repository
from promptstudio.versions.stanza import LOCK_NAME, Lock, Stanza
from promptstudio.versions.writing import own_environment

MAX_SAID = 2000

Change = Callable[[Lock], Mapping[str, Stanza]]


def change_and_commit(root: Path, change: Change, repository: Repository, message: str) -> str | None:
    """Write the lock file and commit it; return the commit, None where there was nothing to commit.

    Raises ToolError with what git, or a hook, said.
    """
    with alone(root):
        return _changed_and_committed(root, change, repository, message)


def _changed_and_committed(root: Path, change: Change, repository: Repository, message: str) -> str | None:
    path = root / LOCK_NAME
    before = path.read_bytes() if path.is_file() else None
    after = rewrite_lock(root, change)
    if not after.source or _is_committed(repository, root, after.source.encode()):
        return None
    was_known = bool(_git(root, "ls-files", "--", LOCK_NAME, what="the index cannot be read").strip())
    try:
        if not was_known:
            _git(root, "add", "--intent-to-add", "--", LOCK_NAME, what=f"{LOCK_NAME} cannot be added")
        _git(root, "commit", "--quiet", "--only", "-m", message, "--", LOCK_NAME, what="nothing was committed")
    except BaseException:
        _put_back(path, before)
        if not was_known:
            with contextlib.suppress(ToolError):  # what failed first is what to tell
                _git(root, "update-index", "--force-remove", "--", LOCK_NAME, what="the index cannot be put back")
        raise
    return repository.head()


def _is_committed(repository: Repository, root: Path, content: bytes) -> bool:
    below = relative_path(repository, root, LOCK_NAME)
    found = repository.object(f"HEAD:{below}") if repository.head() else None
    return found is not None and found.content == content


def _put_back(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif path.is_file():
        write_atomically(path, content.decode(), shown=LOCK_NAME)
    else:
        create_file(path, content.decode(), shown=LOCK_NAME)


def _git(root: Path, *arguments: str, what: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as cause:
        raise ToolError(f"{what}: git cannot be run: {cause.strerror}") from cause
    if done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise ToolError(f"{what}: {said[:MAX_SAID] or 'git did not say why'}", hint=f"{LOCK_NAME} is as it was")
    return done.stdout
