"""A folder → its git repository: commits by name, and the files of any commit, read through one `git cat-file`.

Nothing here trusts the repository: no hook, filter, pager, signature check or fetch runs, whatever its configuration
says, and a name is handed to git on standard input, never as an argument it could take for an option.
"""

from __future__ import annotations

import os
import re
import subprocess
import weakref
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from promptstudio.errors import NotFoundError, ToolError, UsageError
from promptstudio.prompts.wording import nearest, shown
from promptstudio.versions.git import FOREIGN_VARIABLES, QUIET_VARIABLES, REASONS, SAFE_OPTIONS, top_of

TIMEOUT_S = 300.0
MAX_OBJECT_BYTES = 64_000_000
_BATCH = 100  # names asked at once: their answers must not wait for ours to be read

# What a repository could otherwise make git run, or leave out, while it only reads.
READ_OPTIONS = (
    *SAFE_OPTIONS,
    *("-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-c", "core.quotePath=false"),
    *(
        "-c",
        "log.follow=false",
        "-c",
        "log.showRoot=true",
        "-c",
        "diff.renameLimit=4000",
        "-c",
        "core.commitGraph=true",
    ),
)

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BRANCH = re.compile(r"refs/heads/[\w./@+=-]+")
LINK, FOLDER, SUBMODULE = 0o120000, 0o040000, 0o160000


class Entry(NamedTuple):
    """One name in a folder of a commit: `mode` as git writes it (0o120000 is a link), the object's id."""

    mode: int
    oid: str


class Object(NamedTuple):
    """An object of git: `kind` is blob, tree, commit or tag."""

    oid: str
    kind: str
    content: bytes


def open_repository(start: Path) -> Repository:
    """Return the repository that holds a folder. Raises ToolError where there is none, or git cannot be used."""
    folder = Path(os.path.realpath(start))
    top = top_of(folder)
    if top is None:
        raise ToolError(
            "this is not in a git repository",
            hint="`git init` makes one; from a bundle, prompts load without git: see `ps bundle --help`",
        )
    return Repository(top)


class Repository:
    """A git repository with a working tree. Close it, or use it in a `with`."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.prefix = str(top).rstrip(os.sep) + os.sep  # of the paths inside
        self._objects: subprocess.Popen[bytes] | None = None
        self._trees: dict[str, dict[str, Entry]] = {}
        self._closing: weakref.finalize[[subprocess.Popen[bytes]], Repository] | None = None

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._closing is not None:
            self._closing()
        self._objects = self._closing = None

    @cached_property
    def git_dir(self) -> Path:
        """The folder of this working tree's own state: `.git`, or what the `.git` file of a worktree names."""
        place = self.top / ".git"
        if place.is_file():
            return (self.top / place.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        return place

    @cached_property
    def common_dir(self) -> Path:
        """The folder all worktrees of the repository share."""
        named = self.git_dir / "commondir"
        return (self.git_dir / named.read_text(encoding="utf-8").strip()).resolve() if named.is_file() else self.git_dir

    @cached_property
    def is_shallow(self) -> bool:
        """Whether the history was cut off when this was cloned, so that older commits are not known."""
        return (self.common_dir / "shallow").is_file()

    @cached_property
    def is_sha256(self) -> bool:
        """Whether objects are named by SHA-256, as `git init --object-format=sha256` asks for."""
        head = self.head()
        if head is not None:
            return len(head) == 64
        return self.read("rev-parse", "--show-object-format").strip() == b"sha256"

    @cached_property
    def is_detached(self) -> bool:
        return not (self.git_dir / "HEAD").read_text(encoding="utf-8").startswith("ref:")

    # Commits

    def head(self) -> str | None:
        """Return the id of the commit that is checked out; None before the first one."""
        named = self._head_in_files()
        if named is not None:
            return named
        found = self.object("HEAD^{commit}")
        return found.oid if found is not None else None

    def _head_in_files(self) -> str | None:
        """Read HEAD and its branch as files, which saves a process; None where they are kept in another way."""
        try:
            head = (self.git_dir / "HEAD").read_text(encoding="ascii").strip()
            name = head.removeprefix("ref: ")
            if name != head and _BRANCH.fullmatch(name) and ".." not in name:
                head = (self.common_dir / name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None  # packed, in another script, or of another kind: git knows
        return head if _OID.fullmatch(head) else None

    @cached_property
    def has_tags(self) -> bool:
        """Whether there may be tags, as far as files tell."""
        if (self.common_dir / "reftable").exists():
            return True
        try:
            packed = self.common_dir / "packed-refs"
            loose = os.listdir(self.common_dir / "refs/tags")  # noqa: PTH208  only whether there is one
            return bool(loose) or (packed.exists() and b" refs/tags/" in packed.read_bytes())
        except OSError:
            return True

    def commit_of(self, revision: str) -> str:
        """Return the id of the commit a revision names. Raises UsageError or NotFoundError."""
        check_revision(revision)
        found, said = self._check([f"{revision}^{{commit}}"])
        name, _, rest = found[0].rpartition(" ")
        if rest == "ambiguous" or (rest == "missing" and "short object ID" in said):
            raise UsageError(f"{shown(revision)} is the beginning of several commits", hint="write more of its digits")
        if rest == "missing" or not name.endswith(" commit"):
            self._unknown(revision)
        if "is ambiguous" in said:
            hint = f"write refs/tags/{revision} or refs/heads/{revision}"
            raise UsageError(f"{shown(revision)} names a tag and a branch", hint=hint)
        return name.split()[0]

    def _unknown(self, revision: str) -> NoReturn:
        if self.head() is None:
            raise NotFoundError(f"there is no revision {shown(revision)}: nothing is committed yet")
        close = nearest(revision, self.ref_names())
        hint = f"did you mean {close!r}?" if close else "a branch, a tag, HEAD~3 or a commit's first digits name one"
        if self.is_shallow:
            hint = "this clone is shallow and may lack it: `git fetch --unshallow` brings the rest"
        raise NotFoundError(f"there is no revision {shown(revision)}", hint=hint)

    def ref_names(self) -> list[str]:
        """Return the short names of branches and tags."""
        listed = self.read("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", "refs/remotes")
        names = listed.decode(errors="replace").splitlines()
        return [re.sub(r"^refs/(?:heads|tags|remotes)/", "", name) for name in names]

    def ids(self, names: Iterable[str]) -> list[str | None]:
        """Return the id of the object behind each name (`HEAD^{commit}`, `a1b2c3:prompts/x.yaml`), None without one."""
        lines, _ = self._check(list(names))
        return [None if line.endswith((" missing", " ambiguous")) else line.split(" ", 1)[0] for line in lines]

    def _check(self, names: list[str]) -> tuple[list[str], str]:
        """Return one line for each name (`ID KIND .`, or what is wrong), and what git said beside."""
        asked = "".join(f"{name}\n" for name in names)
        done = self._run(["cat-file", "--batch-check=%(objectname) %(objecttype) ."], os.fsencode(asked))
        lines = done.stdout.decode(errors="surrogateescape").splitlines()
        if done.returncode or len(lines) != len(names):
            self._fail(done.stderr)
        return lines, done.stderr.decode(errors="replace")

    # Files of commits

    def object(self, name: str) -> Object | None:
        """Return the object behind a name, None where there is none. Raises ToolError for one that is too large."""
        [found] = self.objects([name])  # to its end: a generator left halfway ends the process it reads from
        return found

    def objects(self, names: Iterable[str]) -> Iterator[Object | None]:
        """Yield the object behind each name, in order."""
        waiting = list(names)
        for start in range(0, len(waiting), _BATCH):
            part = waiting[start : start + _BATCH]
            stdin, stdout = self._pipes()
            try:
                stdin.write(b"".join(os.fsencode(name) + b"\n" for name in part))
                stdin.flush()
                for name in part:
                    yield self._answer(stdout, name)
            except BaseException:
                self.close()  # the rest of the answers is still in the pipe
                raise

    def _answer(self, stdout: IO[bytes], name: str) -> Object | None:
        header = stdout.readline()
        words = header.split()
        if header.endswith((b" missing\n", b" ambiguous\n")):
            return None
        if len(words) != 3:
            raise ToolError(
                f"git gave no answer for {shown(name)}", hint="`git fsck` says whether the repository is whole"
            )
        oid, kind, size = words[0].decode(), words[1].decode(), int(words[2])
        if size > MAX_OBJECT_BYTES:
            raise ToolError(f"{shown(name)} has {size:,} bytes; the limit is {MAX_OBJECT_BYTES:,}")
        content = stdout.read(size + 1)[:-1]
        return Object(oid, kind, content)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._objects is None or self._objects.poll() is not None:
            self._objects = self._start(["cat-file", "--batch"])
            self._closing = weakref.finalize(self, _end, self._objects)
        process = self._objects
        if process.stdin is None or process.stdout is None:
            raise AssertionError("the pipes were asked for")
        return process.stdin, process.stdout

    def tree(self, oid: str) -> dict[str, Entry]:
        """Return the entries of a tree object, by name."""
        if oid not in self._trees:
            found = self.object(oid)
            if found is None or found.kind != "tree":
                raise ToolError(
                    f"the tree {oid[:12]} is missing in the repository",
                    hint="`git fsck` says what else is; a partial clone lacks files that were never fetched",
                )
            self._trees[oid] = _entries(found.content, len(oid) // 2)
        return self._trees[oid]

    def root_tree(self, commit: str) -> str:
        """Return the id of the root tree of a commit. Raises NotFoundError where the commit is gone."""
        found = self.object(f"{commit}^{{tree}}")
        if found is None:
            raise NotFoundError(f"the commit {commit[:12]} is not in this repository", hint=self.lost_hint())
        self._trees.setdefault(found.oid, _entries(found.content, len(found.oid) // 2))
        return found.oid

    def lost_hint(self) -> str:
        """Return what may help where a commit is gone."""
        if self.is_shallow:
            return "this clone is shallow: `git fetch --unshallow` brings the rest"
        return "it may be in another clone, or was removed when a branch was rewritten"

    # Running git

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what a reading git command prints. Raises ToolError with what git said."""
        done = self._run(list(arguments), stdin)
        if done.returncode:
            self._fail(done.stderr)
        return done.stdout

    def _run(self, arguments: list[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", *READ_OPTIONS, *arguments],
                cwd=self.top,
                env=_environment(),
                input=stdin,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as cause:
            raise ToolError(f"git did not answer within {TIMEOUT_S:.0f} s") from cause
        except OSError as cause:
            raise _not_started(cause) from cause

    def _start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["git", *READ_OPTIONS, *arguments],
                cwd=self.top,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as cause:
            raise _not_started(cause) from cause

    def _fail(self, stderr: bytes) -> NoReturn:
        said = stderr.decode(errors="replace").strip()
        known = next((reason for part, reason in REASONS if part in said), None)
        first = said.removeprefix("fatal: ").partition("\n")[0][:200]
        raise ToolError(known or f"git refused: {first or 'it did not say why'}")


def check_revision(revision: str) -> None:
    """Raise UsageError for what no revision can be, above all what git would take for an option."""
    if revision.startswith("-"):
        raise UsageError(f"{shown(revision)} is not a revision: it begins with `-`", hint="git refs never do")
    if not revision.strip() or any(ord(letter) < 32 or letter == "\x7f" for letter in revision):
        raise UsageError(f"{shown(revision)} is not a revision", hint="write a branch, a tag, HEAD~3 or a commit")


def _entries(content: bytes, width: int) -> dict[str, Entry]:
    """Read a tree object: `mode SP name NUL id` each, the id `width` bytes wide."""
    found: dict[str, Entry] = {}
    place = 0
    while place < len(content):
        space = content.index(b" ", place)
        end = content.index(b"\0", space)
        oid = content[end + 1 : end + 1 + width].hex()
        found[os.fsdecode(content[space + 1 : end])] = Entry(int(content[place:space], 8), oid)
        place = end + 1 + width
    return found


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES} | QUIET_VARIABLES


def _not_started(cause: OSError) -> ToolError:
    if isinstance(cause, FileNotFoundError):
        return ToolError("git is not installed", hint="versions are git's: install it, or use a bundle")
    return ToolError(f"git cannot be run: {cause.strerror}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what was not yet sent to a process that is gone
                continue
    process.terminate()
    process.wait()
