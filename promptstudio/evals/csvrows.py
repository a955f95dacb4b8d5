"""A CSV file → its rows, one after the other, each with the line it begins on. Never held whole, however it is broken.

What is wrong with a row is a SuiteFileError with its line: bytes that are not UTF-8, too few or too many cells, a quote
that is never closed, a cell or a line that is too large.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NoReturn

from promptstudio.errors import SuiteFileError
from promptstudio.prompts.wording import shown

MAX_CELL_CHARS = 16 << 20


def csv_rows(path: Path, file: str, aliases: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Return line and cells by column, without columns that have no name. `aliases` are other names of a column."""
    if csv.field_size_limit() < MAX_CELL_CHARS:
        csv.field_size_limit(MAX_CELL_CHARS)  # of the process: Python's own limit is shorter than a long document
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    header: list[str] = []
    # What is not UTF-8 is let through here as half characters, so that the line can be named.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        for line, cells in _rows(stream, file, delimiter):
            if not header:
                header = _header(cells, file, aliases)
            elif any(cell.strip() for cell in cells):
                _check_length(cells, header, file, line)
                yield line, {name: cell for name, cell in zip(header, cells, strict=True) if name}
    if not header:
        _fail(file, 1, "the file is empty", "the first line names the columns")


def _rows(stream: IO[str], file: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_lines(stream, file), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as cause:
            said, hint = _said(str(cause))
            raise SuiteFileError(f"not CSV: {said}", file=file, line=start, hint=hint) from cause
        yield start, cells


def _said(error: str) -> tuple[str, str]:
    """Return what is wrong, and what to do, for an error of Python's reader."""
    if "unexpected end" in error:
        return "a quote that is opened in this row is never closed", "close it; a quote that is text is written twice"
    if "field limit" in error:
        return f"a cell of more than {MAX_CELL_CHARS:,} characters", "shorten it"
    return error, "a quote that is text is written twice, and its cell is quoted"


def _lines(stream: IO[str], file: str) -> Iterator[str]:
    number = 0
    while line := stream.readline(MAX_CELL_CHARS + 1):
        number += 1
        if len(line) > MAX_CELL_CHARS:
            _fail(file, number, f"a line of more than {MAX_CELL_CHARS:,} characters", "shorten its cells")
        try:
            line.encode()
        except UnicodeEncodeError as cause:
            hint = "save the file as CSV in UTF-8"
            raise SuiteFileError("not CSV: not UTF-8", file=file, line=number, hint=hint) from cause
        if "\0" in line:
            _fail(file, number, "a NUL character", "save the file as CSV in UTF-8")
        yield line


def _header(cells: list[str], file: str, aliases: Mapping[str, str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and (other := next((sign for sign in ";\t" if sign in names[0]), None)):
        _fail(file, 1, f"the columns are separated by {shown(other)}", "save it with commas, or with tabs as .tsv")
    seen: dict[str, str] = {}
    for name in filter(None, names):
        own = aliases.get(name, name)
        if seen.get(own) == name:
            _fail(file, 1, f"two columns are named {shown(name)}", "rename one of them")
        if own in seen:
            _fail(file, 1, f"the columns {shown(seen[own])} and {shown(name)} are both {own}", "keep one of them")
        seen[own] = name
    if not any(names):
        _fail(file, 1, "the first line names no column")
    return names


def _check_length(cells: list[str], header: list[str], file: str, line: int) -> None:
    if len(cells) == len(header):
        return
    plural = "" if len(cells) == 1 else "s"
    hint = "quote a cell that has a comma" if len(cells) > len(header) else "leave a cell empty, but keep its comma"
    _fail(file, line, f"{len(cells)} cell{plural}, and the first line names {len(header)} columns", hint)


def _fail(file: str, line: int, message: str, hint: str | None = None) -> NoReturn:
    raise SuiteFileError(message, file=file, line=line, hint=hint)
