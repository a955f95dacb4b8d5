"""An `.eval` log of inspect_ai (a zip of JSON) → its entries, one after the other, within limits. Nothing is unpacked.

Names in it are only compared, never used as paths. Sizes that the file states are not believed: what comes out is
counted. inspect_ai compresses with Zstandard, which Python has from 3.14 on; before that the extra `inspect` brings it.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from promptstudio.errors import MissingExtraError, PromptFileError
from promptstudio.exchange.schema import Foreign
from promptstudio.prompts.wording import shown

MAX_ENTRIES = 100_000
MAX_ENTRY_BYTES = 64 << 20
MAX_TOTAL_BYTES = 512 << 20
_ZSTANDARD = 93
_MAX_WINDOW = 128 << 20


class LogArchive:
    """The log, opened. Counts what it gives out."""

    def __init__(self, foreign: Foreign, stream: IO[bytes]) -> None:
        self.foreign, self._stream, self._left = foreign, stream, MAX_TOTAL_BYTES
        if _entries_in(stream) > MAX_ENTRIES:
            raise self.fail(f"more than {MAX_ENTRIES:,} entries")
        try:
            self._zip = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as cause:
            hint = "an .eval file is written by inspect_ai; a log that is still written has no directory yet"
            raise PromptFileError(f"not a zip file: {cause}", file=foreign.shown, hint=hint) from cause
        self.entries = self._zip.infolist()

    def fail(self, message: str, hint: str | None = None) -> PromptFileError:
        return PromptFileError(message, file=self.foreign.shown, hint=hint)

    def has(self, name: str) -> bool:
        return any(entry.filename == name for entry in self.entries)

    def samples(self) -> Iterator[Any]:
        """Yield the samples in the order in which they were written."""
        for entry in self.entries:
            if entry.filename.startswith("samples/") and entry.filename.endswith(".json"):
                yield self.json(entry)

    def named(self, name: str) -> Any:
        return self.json(next(entry for entry in self.entries if entry.filename == name))

    def json(self, entry: zipfile.ZipInfo) -> Any:
        data = self._bytes(entry)
        self._left -= len(data)
        if self._left < 0:
            raise self.fail(f"it unpacks to more than {MAX_TOTAL_BYTES:,} bytes")
        return lenient_json(data, self.foreign.shown, shown(entry.filename))

    def _bytes(self, entry: zipfile.ZipInfo) -> bytes:
        name = shown(entry.filename)
        if entry.flag_bits & 0x1:
            raise self.fail(f"{name} is encrypted")
        try:
            if entry.compress_type == _ZSTANDARD:
                data = self._zstandard(entry)
            else:
                with self._zip.open(entry) as stream:
                    data = stream.read(MAX_ENTRY_BYTES + 1)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, struct.error, zlib.error) as cause:
            raise self.fail(f"{name} is damaged: {cause}") from cause
        except (NotImplementedError, RuntimeError) as cause:
            raise self.fail(f"{name} is compressed in a way we do not read: {cause}") from cause
        if len(data) > MAX_ENTRY_BYTES:
            raise self.fail(f"{name} unpacks to more than {MAX_ENTRY_BYTES:,} bytes")
        return data

    def _zstandard(self, entry: zipfile.ZipInfo) -> bytes:
        self._stream.seek(entry.header_offset)
        header = self._stream.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise ValueError("its local header is not there")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        self._stream.seek(name_length + extra_length, io.SEEK_CUR)
        data = unpacked(self._stream.read(entry.compress_size), MAX_ENTRY_BYTES + 1, self.foreign)
        if len(data) <= MAX_ENTRY_BYTES and zlib.crc32(data) != entry.CRC:
            raise ValueError("its checksum does not fit")
        return data


def _entries_in(stream: IO[bytes]) -> int:
    """Count what may be entries of the directory, before it is read: each takes ten times its bytes in memory."""
    count = 0
    stream.seek(0)
    while chunk := stream.read(1 << 20):
        count += chunk.count(b"PK\x01\x02")
    stream.seek(0)
    return count


def unpacked(data: bytes, limit: int, foreign: Foreign) -> bytes:
    """Return at most `limit` bytes of what Zstandard packed. Raises ValueError where it is not that."""
    try:
        import zstandard  # an extra
    except ImportError as cause:
        hint = 'pip install "promptstudio[inspect]", or write it as JSON: inspect log convert --to json'
        said = "inspect_ai compresses its logs with Zstandard: reading them needs the extra `inspect`"
        raise MissingExtraError(said, file=foreign.shown, hint=hint) from cause
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(data) as reader:
            return reader.read(limit)
    except zstandard.ZstdError as cause:
        raise ValueError(str(cause)) from cause


def lenient_json(data: bytes, file: str, name: str) -> Any:
    """Parse JSON as inspect_ai writes it: NaN and infinity stand for figures that are not known, and are None here."""
    where = f"{name}: " if name else ""
    try:
        return json.loads(data, parse_constant=lambda _: None)
    except json.JSONDecodeError as cause:
        line = None if name else cause.lineno
        raise PromptFileError(f"{where}not JSON: {cause.msg}", file=file, line=line) from cause
    except UnicodeDecodeError as cause:
        raise PromptFileError(f"{where}not UTF-8", file=file) from cause
    except (ValueError, RecursionError) as cause:
        raise PromptFileError(f"{where}not usable JSON: nested too deeply, or a number too long", file=file) from cause
