"""The text of a file: UTF-8, regular, of a bounded size. What is wrong with it is told before anything is parsed."""

from __future__ import annotations

import stat
from pathlib import Path

from promptstudio.errors import NotFoundError, PromptFileError, UserError

MAX_BYTES = 1 << 20


def read_text_file(path: Path, *, shown: str | None = None, error: type[UserError] = PromptFileError) -> str:
    """Return the text of a regular UTF-8 file of at most 1 MiB; size and kind are checked before it is opened."""
    file = shown or str(path)
    try:
        _check_kind(path, file, error)
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as cause:
        raise NotFoundError("there is no such file", file=file) from cause
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"cannot read the file: {reason}", file=file) from cause
    return decode_text(data, file=file, error=error)


def _check_kind(path: Path, file: str, error: type[UserError]) -> None:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise error("this is a directory, not a file", file=file)
    if not stat.S_ISREG(status.st_mode):
        raise error("this is a device or a pipe, not a regular file", file=file)
    if status.st_size > MAX_BYTES:
        raise too_large(status.st_size, file, error)


def too_large(size: int, file: str, error: type[UserError]) -> UserError:
    return error(
        f"the file has {size:,} bytes; the limit is {MAX_BYTES:,}",
        file=file,
        hint="data belongs in a file of its own, given with -v name=@FILE or --vars",
    )


def decode_text(data: bytes, *, file: str, error: type[UserError] = PromptFileError) -> str:
    """Decode UTF-8, with or without a byte order mark; name the first byte that is not."""
    if len(data) > MAX_BYTES:
        raise too_large(len(data), file, error)
    if b"\0" in data:
        raise error(
            f"not a text file: a NUL byte at offset {data.index(0)}", file=file, hint="the file must be UTF-8 text"
        )
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        message = f"not UTF-8: the byte 0x{data[cause.start]:02X} at offset {cause.start}"
        raise error(message, file=file, line=line, hint="save the file as UTF-8") from cause
