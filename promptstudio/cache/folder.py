"""A folder of cassettes: find the one of a request, add an answer, name the nearest, check them all.

A file is named after its prompt and the beginning of its id; which prompt asked does not matter for finding it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from promptstudio.cache.cassette import AGAIN, Answer, Cassette, cassette_text, read_cassette, without_vectors
from promptstudio.cache.difference import differences, nearest
from promptstudio.cache.locks import folder_lock
from promptstudio.cache.request import Content
from promptstudio.errors import NotFoundError, Problem, UserError
from promptstudio.prompts.secrets import find_secrets
from promptstudio.prompts.yamlfile import read_text_file

ID_DIGITS = 12
MAX_FILES = 100_000
MAX_COMPARED = 1_000
"""How many cassettes are read to find a renamed one, or to name the nearest; those of the same prompt come first."""
_NAME = re.compile(rf".*-([0-9a-f]{{{ID_DIGITS}}})\.yaml", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checked:
    """A file of the folder: the cassette, or what is wrong with it."""

    path: Path
    cassette: Cassette | None
    problems: tuple[Problem, ...] = ()


class CassetteFolder:
    """`path` is the folder, `shown` its name in messages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = _shown(path)
        self._by_digits: dict[str, Path] | None = None
        self._by_id: dict[str, Path] | None = None
        self._seen: dict[Path, Cassette | None] = {}

    def must_exist(self) -> None:
        """Raise where there is nothing to replay from."""
        if not self.path.is_dir():
            what = "is a file, not a folder" if self.path.exists() else "there is no such folder of cassettes"
            raise NotFoundError(what, file=self.shown, hint="record them first: the same command with --record DIR")

    def make(self) -> None:
        """Make the folder to record to; raise where it cannot be written to, before anything is paid for."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
        except OSError as error:
            reason = "is a file, not a folder" if isinstance(error, FileExistsError) else error.strerror
            raise UserError(f"cannot record here: {reason}", file=self.shown) from error

    def files(self) -> list[Path]:
        """Return the cassettes by name. Raises where there are more than anybody records."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.path) if entry.name.endswith(".yaml"))
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", file=self.shown) from error
        if len(names) > MAX_FILES:
            raise UserError(f"more than {MAX_FILES:,} cassettes", file=self.shown, hint="use several folders")
        return [self.path / name for name in names if not name.startswith(".")]

    def read(self, path: Path) -> Cassette:
        """Read a file and hold its request against its id. Raises UserError with the place."""
        shown = self.name_of(path)
        if path.is_symlink() and not path.resolve().is_relative_to(self.path.resolve()):
            raise UserError("the link leads out of the folder of cassettes", file=shown, hint="copy the file instead")
        cassette = read_cassette(read_text_file(path, shown=shown, error=UserError), shown)
        if not cassette.is_genuine:
            raise UserError("the request was changed after it was recorded: it no longer fits its id",
                            file=shown, line=2, hint=AGAIN)  # fmt: skip
        return cassette

    def find(self, cassette_id: str) -> Cassette | None:
        """Return the cassette of a request: by its name, else among all of them, for files that were renamed."""
        path = self._digits().get(cassette_id[:ID_DIGITS])
        if path is not None:
            cassette = self.read(path)
            if cassette.id == cassette_id:
                return cassette
        other = self._ids().get(cassette_id)
        return self.read(other) if other is not None else None

    def record(self, cassette_id: str, prompt: str, request: Content, answer: Answer) -> Path:
        """Add an answer, or replace the one of its number. A file that would not change is not touched."""
        with folder_lock(self.path):
            path = self._digits().get(cassette_id[:ID_DIGITS]) or self.path / file_name(prompt, cassette_id)
            new = Cassette(self.name_of(path), cassette_id, prompt, request, ())
            old = self._readable(path)
            if old is not None and old.id == cassette_id:
                new = replace(new, prompt=old.prompt, answers=old.answers)
            new = new.with_answer(answer)
            if new != old:
                _replace(path, cassette_text(new))
            self._digits()[cassette_id[:ID_DIGITS]] = path
        return path

    def missing(self, request: Content, prompt: str) -> NotFoundError:
        """Say that a request was never recorded, which one is most like it, and in what they differ."""
        own = f"{slug(prompt)}-"
        read = self._seen_among(sorted(self.files(), key=lambda path: not path.name.startswith(own)))
        near = nearest(request, ((one, one.request) for _, one in read if one is not None))
        fact = "a request was never recorded"
        if near is not None:
            fact += f"; the nearest is {Path(near.file).name}, where {'; '.join(differences(request, near.request))}"
        unusable = [path.name for path, one in read if one is None]
        if unusable:
            fact += f"; {unusable[0]} cannot be used, `ps cassette verify` says why"
        hint = f"record it: the same command with --record {self.shown} instead of --replay"
        return NotFoundError(f"prompt {prompt!r}: {fact}", file=self.shown, hint=hint)

    def check(self) -> Iterator[Checked]:
        """Read every file, and say all that is wrong with each."""
        seen: dict[str, str] = {}
        for path in self.files():
            try:
                cassette = self.read(path)
            except UserError as error:
                yield Checked(path, None, error.problems)
                continue
            problems = []
            shown = self.name_of(path)
            if cassette.id in seen:
                fact = f"the same request is recorded in {Path(seen[cassette.id]).name} too"
                problems.append(Problem(fact, file=shown, line=2, hint="remove one of the two"))
            seen.setdefault(cassette.id, shown)
            for line, column, kind in find_secrets(without_vectors(path.read_text(encoding="utf-8"))):
                fact = f"this looks like a secret ({kind})"
                problems.append(Problem(fact, file=shown, line=line, column=column, hint="revoke it, and record again"))
            yield Checked(path, cassette, tuple(problems))

    def name_of(self, path: Path) -> str:
        return f"{self.shown}/{path.name}"

    def _digits(self) -> dict[str, Path]:
        if self._by_digits is None:
            matches = ((_NAME.fullmatch(path.name), path) for path in self.files())
            self._by_digits = {match[1]: path for match, path in matches if match}
        return self._by_digits

    def _ids(self) -> dict[str, Path]:
        if self._by_id is None:
            read = self._seen_among(self.files())
            self._by_id = {cassette.id: path for path, cassette in read if cassette is not None}
        return self._by_id

    def _seen_among(self, files: list[Path]) -> list[tuple[Path, Cassette | None]]:
        """Read the first of them, each once: a replay may miss many requests."""
        if len(self._seen) > 5 * MAX_COMPARED:
            self._seen.clear()
        for path in files[:MAX_COMPARED]:
            if path not in self._seen:
                self._seen[path] = self._readable(path)
        return [(path, self._seen[path]) for path in files[:MAX_COMPARED]]

    def _readable(self, path: Path) -> Cassette | None:
        with suppress(UserError):  # absent, or what `verify` has to say; here it is as good as not there
            return self.read(path)
        return None


def file_name(prompt: str, cassette_id: str) -> str:
    """Return `support-triage-3f9a1c20b7de.yaml`."""
    return f"{slug(prompt)}-{cassette_id[:ID_DIGITS]}.yaml"


def slug(prompt: str) -> str:
    """Return a prompt's name as part of a file name: letters of any script, at most 120 bytes."""
    word = re.sub(r"[^\w.]+", "-", prompt).strip("-.") or "prompt"
    return word.encode("utf-8")[:120].decode("utf-8", "ignore")


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _replace(path: Path, text: str) -> None:
    """Write all of it or nothing, with the mode of other files of the repository."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".cassette.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", file=_shown(path)) from error
