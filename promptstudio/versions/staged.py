"""What is staged → a tree of git, to be read like a commit's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from promptstudio.errors import ToolError
from promptstudio.versions.repo import READ_OPTIONS, TIMEOUT_S, Repository
from promptstudio.versions.writing import own_environment


def staged_tree(repository: Repository) -> str:
    """Return the id of the tree a commit would have now. Raises ToolError where the index has conflicts.

    In a hook of `git commit PATHS` git tells of another index than the usual one; it counts where it lies in the
    repository's own folder. Only tree objects are written, the same that the commit would.
    """
    environment = own_environment()
    index = os.environ.get("GIT_INDEX_FILE")
    if index is not None and Path(os.path.realpath(repository.top / index)).is_relative_to(
        repository.git_dir.resolve()
    ):
        environment["GIT_INDEX_FILE"] = str(repository.top / index)
    done = subprocess.run(
        ["git", *READ_OPTIONS, "write-tree"],
        cwd=repository.top, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0][:200]
        raise ToolError(f"what is staged cannot be read: {said}", hint="`git status` shows what is in conflict")
    return done.stdout.decode().strip()
