"""A prompt's file → its commit, branch and whether it is as committed; and who the git user is.

Facts are extras: without git, outside a repository or where git refuses, they are None and `reason` says why.
A repository may be hostile. So git is only asked which objects HEAD names: that reads no index, runs no filter, hook or
monitor and fetches nothing, whatever the repository's configuration says. Files are hashed here.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 10.0
MAX_FILE_BYTES = 64_000_000

# Which repository is meant is told by the place of the file, not by a hook that happens to run us.
FOREIGN_VARIABLES = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"),
        *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES"),
    }
)
QUIET_VARIABLES = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",  # a partial clone may not fetch what is missing: its remote could be a command
}
SAFE_OPTIONS = ("--no-pager", "-c", "safe.bareRepository=explicit")

# What git says (a part of it) → the reason we give.
REASONS = (
    ("not a git repository", "not in a git repository"),
    ("dubious ownership", "git does not trust the owner of this folder (see git's safe.directory)"),
    ("work tree", "not in a git work tree"),
    ("working tree", "not in a git work tree"),
)


@dataclass(frozen=True, slots=True)
class GitFacts:
    """`commit` is the full hash of HEAD; `branch` is None on a detached HEAD; `dirty` None where it is not known."""

    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None
    reason: str | None = None


def git_facts(path: Path | None, cwd: Path, *, also: Iterable[Path] = ()) -> GitFacts:
    """Return the facts of the repository that holds `path`, or `cwd` where there is no file.

    Dirty means that the file, or one of `also` that it depends on, is not what HEAD has at its place: changed, staged,
    untracked, ignored, or outside the repository.
    """
    files = [_placed(file, cwd) for file in (path, *also) if file is not None]
    files += [_placed(file.resolve(), cwd) for file in files if file.is_symlink()]
    start = files[0].parent if path is not None else Path(os.path.realpath(cwd))
    top = top_of(start)
    if top is None:
        return GitFacts(reason="not in a git repository")
    inside = [file for file in files if file.is_relative_to(top) and "\n" not in str(file)]
    names = ["HEAD^{commit}", *(f"HEAD:./{os.path.relpath(file, start)}" for file in inside)]
    answer = _objects(names, start)
    if isinstance(answer, str):
        return GitFacts(reason=answer)
    commit, *blobs = answer
    branch = _branch_of(top)
    if commit is None:
        return GitFacts(None, True if files else None, branch, "nothing is committed yet")
    changed = len(inside) < len(files) or any(not _holds(file, blob) for file, blob in zip(inside, blobs, strict=True))
    return GitFacts(commit, changed if files else None, branch)


def git_user(cwd: Path) -> str:
    """Return `Name <email>` as git would sign a commit in this folder: by its variables, else by its configuration.

    Where git knows nobody, it is the system's user name.
    """
    done = _git(["config", "-z", "--get-regexp", r"^user\.(name|email)$"], cwd)
    pairs = (
        () if isinstance(done, str) else (entry.partition("\n") for entry in done.decode(errors="replace").split("\0"))
    )
    found = {key: _one_line(value) for key, _, value in pairs}
    name, email = (
        _one_line(os.environ.get(f"GIT_AUTHOR_{part.upper()}", "")) or found.get(f"user.{part}")
        for part in ("name", "email")
    )
    if name and email:
        return f"{name} <{email}>"
    return name or email or _system_user()


def _placed(file: Path, cwd: Path) -> Path:
    """Return the path with its folder resolved and its own name kept: git knows a link by its name."""
    folder, name = os.path.split(os.path.abspath(cwd / file))  # noqa: PTH100  Path.resolve would follow the link
    return Path(os.path.realpath(folder)) / name


def top_of(folder: Path) -> Path | None:
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)


def _objects(names: list[str], folder: Path) -> list[str | None] | str:
    """Return the object id behind each name, None where there is none; a text says why git could not be asked."""
    asked = "".join(f"{name}\n" for name in names)
    done = _git(["cat-file", "--batch-check=%(objectname) %(objecttype)"], folder, asked)
    if isinstance(done, str):
        return done
    lines = done.decode(errors="surrogateescape").splitlines()
    if len(lines) != len(names):
        return "git gave an answer that cannot be read"
    return [line.split()[0] if line.endswith((" blob", " commit")) else None for line in lines]


def _git(arguments: list[str], folder: Path, asked: str = "") -> bytes | str:
    """Return what git prints, or as text the reason why it did not."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES} | QUIET_VARIABLES
    try:
        done = subprocess.run(
            ["git", *SAFE_OPTIONS, *arguments],
            cwd=folder,
            env=environment,
            input=os.fsencode(asked),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"git did not answer within {TIMEOUT_S:.0f} s"
    except OSError as error:
        return (
            "git is not installed" if isinstance(error, FileNotFoundError) else f"git cannot be run: {error.strerror}"
        )
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode(errors="replace")
    known = next((reason for part, reason in REASONS if part in said), None)
    return known or f"git refused: {_one_line(said.partition(chr(10))[0])}"


def _holds(file: Path, blob: str | None) -> bool:
    """Whether a file is what a blob is; git may have stored its line ends as LF."""
    if blob is None:
        return False
    try:
        if file.is_symlink():
            return _blob_id(os.fsencode(file.readlink()), blob) == blob
        if not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
            return False
        content = file.read_bytes()
    except OSError:
        return False  # gone or unreadable: not what was committed
    return _blob_id(content, blob) == blob or _blob_id(content.replace(b"\r\n", b"\n"), blob) == blob


def _blob_id(content: bytes, like: str) -> str:
    """Return the id git gives a content, with the hash its repository uses: SHA-1, or SHA-256 for ids of 64 digits."""
    data = b"blob %d\0" % len(content) + content
    return (
        hashlib.sha256(data).hexdigest() if len(like) == 64 else hashlib.sha1(data, usedforsecurity=False).hexdigest()
    )


def _branch_of(top: Path) -> str | None:
    """Return the branch from the HEAD file, which saves a process; None where HEAD is detached or kept elsewhere."""
    place = top / ".git"
    try:
        if place.is_file():  # a worktree or a submodule
            place = top / _first_line(place).removeprefix("gitdir:").strip()
        head = _first_line(place / "HEAD")
    except (OSError, ValueError):
        return None
    branch = head.removeprefix("ref: refs/heads/")
    return None if branch in (head, ".invalid") else _one_line(branch)


def _first_line(file: Path) -> str:
    """Return the first line of a regular file, as far as it is short; anything else is no file of git."""
    if not file.is_file():
        raise FileNotFoundError(file)
    with file.open(encoding="utf-8") as lines:
        return lines.readline(5000).strip()


def _system_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number without a name
        return os.environ.get("USER") or f"uid {os.getuid()}"


def _one_line(text: str) -> str:
    """Return a name without control characters, not longer than a line."""
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cc").strip()[:200]
