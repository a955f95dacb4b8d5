"""A file that was read, and a new text → the file replaced as a whole, or left as it was.

The new text goes to a file beside the old one, reaches the disk, and takes the old one's place in one step. Whoever
reads meanwhile sees one of the two. A full disk, a folder that may not be written to, or a file that somebody else
changed since it was read is an error, and the old file is whole.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from promptstudio.errors import PromptFileError, UserError
from promptstudio.prompts.textfile import decode_text, read_text_file

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class FileCopy:
    """What a file held when it was read; `text` keeps a byte order mark, which those who only read never see."""

    path: Path
    shown: str
    data: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.data.decode("utf-8")


def read_copy(path: Path, *, shown: str | None = None, error: type[UserError] = PromptFileError) -> FileCopy:
    """Read a file that is to be changed; it is UTF-8 text of a size we read, or `error` says why it is not."""
    file = shown or str(path)
    read_text_file(path, shown=file, error=error)  # kind, size and encoding
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise error(f"cannot read the file: {cause.strerror}", file=file) from cause
    decode_text(data, file=file, error=error)
    return FileCopy(path, file, data)


def rewrite(path: Path, change: Callable[[str], str], *, shown: str | None = None) -> bool:
    """Replace a file's text by what `change` makes of it; False where that is the same."""
    before = read_copy(path, shown=shown)
    text = change(before.text)
    if text == before.text:
        return False
    write_atomically(path, text, was=before.data, shown=shown)
    return True


def write_atomically(path: Path, text: str, *, was: bytes | None = None, shown: str | None = None) -> None:
    """Replace a file, keeping its mode; of a link the target is replaced.

    `was` is what the file must still hold. Raises UserError, and then the file is as it was.
    """
    file = shown or str(path)
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError("this is not a regular file", file=file)
        if not os.access(target, os.W_OK):
            raise UserError("cannot write: the file is read-only", file=file, hint="make it writable: chmod u+w")
        _check_unchanged(target, was, file)
        _replace(target, text.encode("utf-8"), stat.S_IMODE(status.st_mode), was, file)
    except (OSError, ValueError, RuntimeError) as cause:
        raise _not_written(cause, file) from cause


def create_file(path: Path, text: str, *, shown: str | None = None) -> None:
    """Make a new file; one that is there, under this name, is an error and stays."""
    file = shown or str(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:  # a part of the way is a file, or may not be written to
        raise _not_written(cause, file) from cause
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError as cause:
        raise UserError("there is a file already", file=file, hint="choose another name") from cause
    except (OSError, ValueError) as cause:
        raise _not_written(cause, file) from cause
    try:
        _fill(descriptor, text.encode("utf-8"))
    except OSError as cause:
        path.unlink(missing_ok=True)
        raise _not_written(cause, file) from cause


def _check_unchanged(target: Path, was: bytes | None, file: str) -> None:
    if was is not None and target.read_bytes() != was:
        raise UserError("the file was changed by somebody else just now", file=file, hint="run the command again")


def _replace(target: Path, data: bytes, mode: int, was: bytes | None, file: str) -> None:
    temporary = target.with_name(f".ps-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _fill(descriptor, data)
        temporary.chmod(mode)
        _check_unchanged(target, was, file)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _fill(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a loss of power, where the system lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _not_written(cause: Exception, file: str) -> UserError:
    reason = getattr(cause, "strerror", None) or str(cause)
    return UserError(f"cannot write: {reason}", file=file, hint="the file is as it was")
