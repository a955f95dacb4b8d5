"""Bytes, a file or a `data:` URI → `Media`, if it is what the input asks for. Nothing is ever fetched.

What a file is, its first bytes say; the name decides only between kinds of text. So a PDF called `scan.png` is told
from an image here, and not by a provider after the upload.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from pathlib import Path, PurePath
from typing import Literal
from urllib.parse import unquote, urlsplit

from promptstudio.errors import InputsError
from promptstudio.prompts.wording import shown
from promptstudio.types import Media

MediaKind = Literal["image", "audio", "file"]
SIZE_LIMIT = 20 * 1024 * 1024
URL_LIMIT = 8192
UNKNOWN_TYPE = "application/octet-stream"
"""The type of a URL whose path does not tell it."""

# (offset, bytes there, type); the first that fits wins. Types not in `SUPPORTED` are only known to be named in errors.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\xd0\xcf\x11\xe0", "application/msword"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"MZ", "application/x-executable"),
)
_TEXT_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".htm": "text/html",
    ".xml": "application/xml",
}
SUPPORTED: dict[MediaKind, tuple[str, ...]] = {
    "image": ("image/png", "image/jpeg", "image/gif", "image/webp"),
    "audio": ("audio/wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/mp4"),
    "file": ("application/pdf", "text/plain", *dict.fromkeys(_TEXT_TYPES.values())),
}
_SUFFIX_TYPES = {
    **_TEXT_TYPES,
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
}
_ACCEPTED = {
    "image": "PNG, JPEG, GIF or WebP",
    "audio": "WAV, MP3, Ogg, FLAC or M4A",
    "file": "PDF or UTF-8 text",
}


def media_from_path(path: Path, expect: MediaKind) -> Media:
    """Read a regular file of at most 20 MiB. Errors are InputsError and name the path."""
    place = shown(str(path), 200)
    try:
        data = _read_regular(path, place)
    except OSError as error:
        raise InputsError(f"{place}: {error.strerror or error}") from error
    return _media(data, expect, path.name, place)


def media_from_bytes(data: bytes, expect: MediaKind, *, name: str | None = None) -> Media:
    """`name` (a file name) tells Markdown from CSV from plain text; it is not needed for anything else."""
    return _media(data, expect, name, "the bytes")


def media_from_data_uri(uri: str, expect: MediaKind) -> Media:
    """`data:image/png;base64,…`. The bytes decide what it is; the type written in the URI only tells texts apart."""
    if len(uri) > SIZE_LIMIT * 4 // 3 + 1000:
        raise InputsError(f"the data: URI holds more than {_mib(SIZE_LIMIT)}")
    head, comma, body = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise InputsError(f"{shown(uri)} is not a base64 data: URI", hint="write data:image/png;base64,…")
    try:
        data = base64.b64decode(body.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InputsError(f"the data: URI {shown(uri)} is not valid base64") from error
    declared = head[len("data:") :].split(";")[0].lower()
    suffix = next((suffix for suffix, kind in _TEXT_TYPES.items() if kind == declared), "")
    media = _media(data, expect, f"data{suffix}", "the data: URI")
    return Media(media.mime_type, data=data)


def media_from_url(url: str, expect: MediaKind) -> Media:
    """An http(s) address handed on to the provider as it is. It is not looked at, so its kind is taken on trust."""
    try:
        parts = urlsplit(url)
        credentials = parts.username is not None or parts.password is not None
        complete = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        complete = credentials = False
    if not complete or len(url) > URL_LIMIT or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise InputsError(f"{shown(url)} is not a complete http(s) address")
    if credentials:
        raise InputsError("the address holds a user name or password", hint="remove what stands before the @")
    name = PurePath(unquote(parts.path)).name
    mime_type = _SUFFIX_TYPES.get(PurePath(name).suffix.lower(), UNKNOWN_TYPE)
    if mime_type != UNKNOWN_TYPE and mime_type not in SUPPORTED[expect]:
        raise _mismatch(shown(url), mime_type, expect)
    return Media(mime_type, url=url, name=_shown_name(name))


def kind_of(mime_type: str) -> MediaKind:
    """The input type that takes this MIME type."""
    return next((kind for kind, types in SUPPORTED.items() if mime_type in types), "file")


def mime_type_of(data: bytes, name: str | None = None) -> str | None:
    """What the bytes are, or None where they are neither a known format nor UTF-8 text."""
    for offset, magic, mime_type in _SIGNATURES:
        if data[offset : offset + len(magic)] == magic and _is_riff(data, offset) and _long_enough(data, magic):
            return mime_type
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:
        return "audio/mpeg"  # a frame header (layer III) without an ID3 tag before it
    if not _is_text(data):
        return None
    return _TEXT_TYPES.get(PurePath(name or "").suffix.lower(), "text/plain")


def _is_riff(data: bytes, offset: int) -> bool:
    """WebP and WAV are told at byte 8 of a RIFF container."""
    return offset != 8 or data[:4] == b"RIFF"


def _long_enough(data: bytes, magic: bytes) -> bool:
    """Two letters are no signature where the rest reads as text: `BM` and `MZ` begin words too."""
    return len(magic) > 2 or not _is_text(data)


def _is_text(data: bytes) -> bool:
    if b"\x00" in data:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_regular(path: Path, place: str) -> bytes:
    # Not blocking, so that a named pipe is refused below instead of waited for.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise InputsError(f"{place} is not a regular file")
        if status.st_size > SIZE_LIMIT:
            raise _too_large(place, status.st_size)
        return stream.read(SIZE_LIMIT + 1)


def _media(data: bytes, expect: MediaKind, name: str | None, place: str) -> Media:
    if not data:
        raise InputsError(f"{place}: empty", hint=f"an input of type {expect} is {_ACCEPTED[expect]}")
    if len(data) > SIZE_LIMIT:
        raise _too_large(place, len(data))
    mime_type = mime_type_of(data, name)
    if mime_type not in SUPPORTED[expect]:
        raise _mismatch(place, mime_type, expect)
    return Media(mime_type, data=data, name=_shown_name(name or ""))


def _too_large(place: str, size: int) -> InputsError:
    return InputsError(f"{place}: {_mib(size)}, the limit is {_mib(SIZE_LIMIT)}", hint="shrink it or give its URL")


def _mib(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"


def _mismatch(place: str, mime_type: str | None, expect: MediaKind) -> InputsError:
    wanted = f"this input is of type {expect}: {_ACCEPTED[expect]}"
    fitting = next((kind for kind, types in SUPPORTED.items() if mime_type in types), None)
    hint = f"convert it, or declare the input as `type: {fitting}`" if fitting else f"convert it to {_ACCEPTED[expect]}"
    return InputsError(f"{place}: found {mime_type or 'an unknown binary format'}, but {wanted}", hint=hint)


def _shown_name(name: str) -> str | None:
    """A file name without control and direction characters, or None; the joiners Persian and Hindi need stay."""
    cleaned = "".join(letter if letter.isprintable() or letter in "\u200c\u200d" else "_" for letter in name)
    return cleaned[:255] or None
