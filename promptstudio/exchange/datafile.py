"""A foreign data file (CSV, JSON, JSONL) → its rows, each with its line; read one after the other, within limits.

Text is UTF-8 and data stays data: a cell that a spreadsheet would compute is a text like any other. NaN, keys given
twice, bombs of brackets and lines without an end are errors with file and line.
"""

from __future__ import annotations

import csv
import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from promptstudio.errors import NotFoundError, PromptFileError
from promptstudio.exchange.literal import literal
from promptstudio.exchange.schema import Foreign
from promptstudio.prompts.includes import read_json
from promptstudio.prompts.textfile import MAX_BYTES
from promptstudio.prompts.wording import found, shown

DATA_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".eval")
MAX_DATA_BYTES = 64 << 20
MAX_LINE_BYTES = 8 << 20
MAX_ROWS = 200_000
HEAD_BYTES = 1 << 16
# How a log of inspect_ai begins: it holds NaN, so it is no JSON to those who read documents as a whole.
_LOG = re.compile(r'\s*\{\s*"version"\s*:\s*\d+\s*,\s*"status"\s*:\s*"')
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a data file: its columns, and the line it begins on. `is_text` where all of its cells are texts."""

    value: dict[str, Any]
    line: int
    file: str
    is_text: bool = False

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        raise PromptFileError(message, file=self.file, line=self.line, hint=hint)

    def has(self, name: str) -> bool:
        return self.value.get(name) not in (None, "", [], {})

    def text(self, name: str) -> str | None:
        """Return a text, numbers as they are written; None where there is nothing."""
        value = self.value.get(name)
        if value is None or (self.is_text and value == ""):
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(f"{name}: expected text, found {found(value)}")
        return value if isinstance(value, str) else json.dumps(value)

    def data(self, name: str) -> Any:
        """Return a value; in a cell it is JSON, or a list or map as Python prints it."""
        value = self.value.get(name)
        if not self.is_text or not isinstance(value, str):
            return value
        text = value.strip()
        if not text:
            return None
        if text[0] not in "[{":
            return value
        try:
            return read_json(text, file=self.file, line=self.line)
        except PromptFileError:
            try:
                return literal(text)
            except ValueError as cause:
                said = f"{name}: {shown(text)} is neither JSON nor a list as Python prints it: {cause}"
                raise PromptFileError(said, file=self.file, line=self.line) from cause

    def texts(self, name: str, separator: str | None = None) -> list[str]:
        """Return a list of texts; a cell holds it as JSON, as Python prints it, or with a separator."""
        value = self.data(name) if separator is None else self.value.get(name)
        if value is None or value == "":
            return []
        if isinstance(value, str):
            return value.split(separator) if separator is not None else [value]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(f"{name}: expected a list of texts, found {_kinds(value)}")
        return list(value)

    def map(self, name: str) -> dict[str, Any]:
        value = self.data(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fail(f"{name}: expected a map, found {found(value)}")
        return value

    def list(self, name: str) -> list[Any]:
        value = self.data(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fail(f"{name}: expected a list, found {found(value)}")
        return value


def _kinds(value: Any) -> str:
    if not isinstance(value, list):
        return found(value)
    other = next(item for item in value if not isinstance(item, str))
    return f"{found(other)} in it"


def head_of(path: Path, label: str) -> str | None:
    """Return the beginning of a data file; None for what is read as a whole. Raises what keeps it from being read."""
    suffix = path.suffix.lower()
    try:
        status = path.stat()
        if suffix not in (".json", *DATA_SUFFIXES):
            return None
        if not stat.S_ISREG(status.st_mode):
            kind = (
                "a directory, not a file" if stat.S_ISDIR(status.st_mode) else "a device or a pipe, not a regular file"
            )
            raise PromptFileError(f"this is {kind}", file=label)
        if status.st_size > MAX_DATA_BYTES:
            said = f"the file has {status.st_size:,} bytes; the limit is {MAX_DATA_BYTES:,}"
            raise PromptFileError(said, file=label, hint="split it, and import the parts")
        with path.open("rb") as stream:
            data = stream.read(HEAD_BYTES)
    except FileNotFoundError as cause:
        raise NotFoundError("there is no such file", file=label) from cause
    except (OSError, ValueError) as cause:
        raise PromptFileError(f"cannot be read: {cause}", file=label) from cause
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise PromptFileError("this is UTF-16, not UTF-8", file=label, line=1, hint="save the file as UTF-8")
    head = data.decode("utf-8", "replace").removeprefix("\ufeff")
    is_document = suffix == ".json" and status.st_size <= MAX_BYTES and not _LOG.match(head)
    return None if is_document else head


def columns_of(foreign: Foreign) -> frozenset[str]:
    """Return the columns of the first row, as far as the beginning of a file shows them; nothing for other files."""
    suffix = foreign.path.suffix.lower()
    text = foreign.text.lstrip("\ufeff \t\r\n")
    try:
        if suffix in (".csv", ".tsv"):
            return frozenset(
                name.strip() for name in next(csv.reader([text.partition("\n")[0]], **_dialect(suffix)), [])
            )
        if suffix in (".jsonl", ".ndjson", ".json"):
            first = _first_object(text)
            return frozenset(first) if isinstance(first, dict) else frozenset()
    except (csv.Error, ValueError, RecursionError):
        return frozenset()
    return frozenset()


def _first_object(text: str) -> Any:
    """Return the first map of a file of maps, or of its list of them."""
    if text.startswith("["):
        text = text[1:].lstrip()
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        # The beginning may end within a long first row: its first keys say enough.
        return dict.fromkeys(re.findall(r'[{,]\s*"(\w{1,40})"\s*:', text[:HEAD_BYTES])) if text[:1] == "{" else None


def _dialect(suffix: str) -> dict[str, Any]:
    return {"delimiter": "\t" if suffix == ".tsv" else ",", "strict": True}


def rows_of(foreign: Foreign) -> Iterator[Row]:
    """Yield the rows of a file. Raises PromptFileError at the first that is wrong."""
    suffix = foreign.path.suffix.lower()
    reader = _table if suffix in (".csv", ".tsv") else _array if suffix == ".json" else _lines_of_json
    for number, row in enumerate(reader(foreign), 1):
        if number > MAX_ROWS:
            row.fail(f"more than {MAX_ROWS:,} rows", "split the file, and import the parts")
        if row.value:
            yield row


def _checked_lines(foreign: Foreign) -> Iterator[str]:
    """Yield the lines of a file as text."""
    with foreign.path.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            at = {"file": foreign.shown, "line": number}
            if len(line) > MAX_LINE_BYTES:
                raise PromptFileError(f"a line of more than {MAX_LINE_BYTES:,} bytes", **at)  # type: ignore[arg-type]
            if b"\0" in line:
                raise PromptFileError("a NUL character", hint="the file must be UTF-8 text", **at)  # type: ignore[arg-type]
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as cause:
                said = f"not UTF-8: the byte 0x{line[cause.start]:02X}"
                raise PromptFileError(said, hint="save the file as UTF-8", **at) from cause  # type: ignore[arg-type]
            yield text.removeprefix("\ufeff") if number == 1 else text


def _table(foreign: Foreign) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)  # passages of a retriever are longer than the 128 KiB of the module
    reader = csv.reader(_checked_lines(foreign), **_dialect(foreign.path.suffix.lower()))
    header: list[str] | None = None
    start = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as cause:
            raise PromptFileError(f"not CSV: {cause}", file=foreign.shown, line=start) from cause
        line, start = start, reader.line_num + 1
        if cells is None:
            break
        if header is None:
            header = _header(cells, foreign, line)
            continue
        if len(cells) > len(header):
            said = f"{len(cells)} cells, and the first line names {len(header)} columns"
            raise PromptFileError(said, file=foreign.shown, line=line, hint="quote a cell that has a comma")
        if any(cell.strip() for cell in cells):
            named = {name: cell for name, cell in zip(header, cells, strict=False) if name}
            yield Row(named, line, foreign.shown, is_text=True)
    if header is None:
        raise PromptFileError("the file is empty", file=foreign.shown, line=1, hint="the first line names the columns")


def _header(cells: list[str], foreign: Foreign, line: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    if double := next((name for name in names if name and names.count(name) > 1), None):
        raise PromptFileError(f"two columns are named {shown(double)}", file=foreign.shown, line=line)
    return names


def _lines_of_json(foreign: Foreign) -> Iterator[Row]:
    for number, text in enumerate(_checked_lines(foreign), 1):
        if text.strip():
            yield _json_row(read_json(text.strip(), file=foreign.shown, line=number), foreign, number)


def _array(foreign: Foreign) -> Iterator[Row]:
    """Yield the items of a JSON list; each is parsed by itself, so only one is held."""
    text = "".join(_checked_lines(foreign))
    at = len(text) - len(text.lstrip())
    if text[at : at + 1] != "[":
        raise PromptFileError("expected a list of cases", file=foreign.shown, line=1)
    line, looked, at = 1, 0, at + 1
    while True:
        at = _skipped(text, at)
        line, looked = line + text.count("\n", looked, at), at
        if text[at : at + 1] == "]":
            if text[at + 1 :].strip():
                raise PromptFileError("something follows the list", file=foreign.shown, line=line)
            return
        end = _end_of(text, at, foreign, line)
        yield _json_row(read_json(text[at:end], file=foreign.shown, line=line), foreign, line)
        at = _skipped(text, end)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            line += text.count("\n", looked, at)
            raise PromptFileError("not JSON: expected a comma or the end of the list", file=foreign.shown, line=line)


def _skipped(text: str, at: int) -> int:
    match = re.compile(r"[ \t\r\n]*").match(text, at)
    return match.end() if match else at


def _end_of(text: str, at: int, foreign: Foreign, line: int) -> int:
    """Return where the value at `at` ends."""
    try:
        return json.JSONDecoder().raw_decode(text, at)[1]
    except json.JSONDecodeError as cause:
        where = line + text.count("\n", at, cause.pos)
        raise PromptFileError(f"not JSON: {cause.msg}", file=foreign.shown, line=where) from cause
    except (ValueError, RecursionError) as cause:
        said = "nested too deeply" if isinstance(cause, RecursionError) else "a number with thousands of digits"
        raise PromptFileError(f"not usable JSON: {said}", file=foreign.shown, line=line) from cause


def _json_row(value: Any, foreign: Foreign, line: int) -> Row:
    if not isinstance(value, dict):
        raise PromptFileError(f"expected a map, found {found(value)}", file=foreign.shown, line=line)
    return Row(value, line, foreign.shown)


def json_line(value: Any) -> str:
    """Return data as a line of a JSONL file; halves of characters, which no file can hold, are escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return f"{json.dumps(value, allow_nan=False) if _SURROGATE.search(text) else text}\n"
