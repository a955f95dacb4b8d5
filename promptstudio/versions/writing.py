"""Git commands that write: they run as the user would run them, with their identity, hooks and signing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from promptstudio.errors import ToolError
from promptstudio.versions.git import FOREIGN_VARIABLES


def own_environment() -> dict[str, str]:
    """Return the environment without what would make git work in another repository, and with English messages."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    return kept | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true"}


def git(folder: Path, *arguments: str, what: str, stdin: str = "") -> bytes:
    """Run a git command and return what it prints. Raises ToolError: `what` could not be done, and what git said."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=own_environment(),
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
    except OSError as cause:
        raise ToolError(f"{what}: git cannot be run: {cause.strerror}") from cause
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ").partition("\n")[0][:200]
        raise ToolError(f"{what}: {said or 'git did not say why'}")
    return done.stdout
