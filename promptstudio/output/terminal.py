"""Text → a terminal or a pipe. On a terminal nothing a model or a file says can move the cursor or reorder the line.

A pipe gets the exact text: what a program reads must be what the model wrote. Tables and notes are for eyes and are
made safe everywhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

# C0 without newline and tab, DEL and C1; bidi overrides and isolates; line separators that some terminals obey; marks
# without width that hide in a word (letters joiners, U+200C and U+200D, and U+200E/F are needed in real text); tags,
# which spell invisible ASCII; lone surrogates.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff"
)
# A flag such as Scotland's is spelled with tags: the one honest use of them.
_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
_UNSAFE = re.compile(f"({_FLAG})|[{_HIDDEN}]")
_UNSAFE_IN_CELL = re.compile(f"({_FLAG})|[{_HIDDEN}\t\n]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_STYLES = {"bold": "1", "dim": "2", "red": "31;1", "yellow": "33", "green": "32"}


def safe_text(text: str) -> str:
    r"""Make control characters visible: ESC as \x1b, a right-to-left override as \u202e. Letters of any script stay."""
    return _UNSAFE.sub(_visible, text.replace("\r\n", "\n"))


def safe_cell(text: str) -> str:
    """Make a text safe and one line long."""
    return _UNSAFE_IN_CELL.sub(_visible, text)


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Return JSON with readable letters whose hidden characters are escaped; a reader gets the same value back."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    # Newlines here are json's own, and control characters are already escaped inside strings.
    return _UNSAFE.sub(_json_escape, text)


def _visible(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    char = match[0]
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char)
    code = ord(char)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _json_escape(match: re.Match[str]) -> str:
    return match[1] or json.dumps(match[0])[1:-1]


def display_width(text: str) -> int:
    """Return how many cells a terminal uses: wide East Asian letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def fitted(text: str, width: int) -> str:
    """Cut a text to a display width, with an ellipsis where something is missing."""
    if display_width(text) <= width:
        return text
    used = 0
    for index, char in enumerate(text):
        used += _char_width(char)
        if used > width - 1:
            return text[:index] + "…"
    return text


def columns(
    rows: Iterable[Sequence[str]], *, header: Sequence[str] | None = None, width: int | None = None, gap: int = 2
) -> list[str]:
    """Return aligned lines. `width` is the terminal's; None (a pipe) cuts nothing.

    The first column is what people copy: it is never cut. Where not even eight cells are left for each of the others,
    columns in the middle are left out, the last one stays. Of the rest the widest gives way first.
    """
    cells = [[safe_cell(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    if not cells:
        return []
    widths = [max(display_width(row[index]) for row in cells) for index in range(len(cells[0]))]
    if width is None:
        return [_row(row, widths, " " * gap) for row in cells]
    kept = _kept(widths, width, gap)
    cells = [[row[index] for index in kept] for row in cells]
    widths = [widths[index] for index in kept]
    first, others = widths[0], _narrowed(widths[1:], width - widths[0] - gap * (len(widths) - 1))
    return [fitted(_row(row, [first, *others], " " * gap), width) for row in cells]


def _kept(widths: list[int], width: int, gap: int, smallest: int = 8) -> list[int]:
    """Return the columns for which there is room at all."""
    kept = list(range(len(widths)))
    while len(kept) > 2:
        least = widths[0] + sum(min(widths[index], smallest) + gap for index in kept[1:])
        if least <= width:
            break
        kept.pop(-2)
    return kept


def _narrowed(widths: list[int], room: int, smallest: int = 8) -> list[int]:
    """Take from the widest, step by step, until all fit or none can give more."""
    while sum(widths) > room and max(widths, default=0) > smallest:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _row(row: Sequence[str], widths: Sequence[int], gap: str) -> str:
    cut = [fitted(cell, width) for cell, width in zip(row, widths, strict=True)]
    return gap.join(
        cell + " " * (width - display_width(cell)) for cell, width in zip(cut, widths, strict=True)
    ).rstrip()


def indented(text: str) -> list[str]:
    """Return the lines of a text, moved in by two; empty ones stay empty."""
    return [f"  {line}" if line else "" for line in text.split("\n")]


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command writes. `out` is None when the caller closed standard output; writing to it is an error then.

    `width` is the terminal's number of columns, None when standard output is not a terminal.
    """

    out: TextIO | None
    err: TextIO | None
    is_tty: bool
    err_is_tty: bool
    width: int | None
    color: bool

    def write(self, text: str) -> None:
        """Write an answer as it is: exact to a pipe, made safe on a terminal. No newline is added."""
        self._stdout().write(safe_text(text) if self.is_tty else text)

    def line(self, text: str = "") -> None:
        """Write a line of ours, made safe wherever it goes."""
        self._stdout().write(safe_text(text) + "\n")

    def heading(self, text: str, style: str) -> None:
        """Write a line, made safe, in a style where standard output shows color."""
        self._stdout().write(self.styled(safe_text(text), style) + "\n")

    def pieces(self, pieces: Iterable[tuple[str, str]]) -> None:
        """Write a line of pieces, each made safe, in its style; "" is none.

        On a terminal a styled piece with right-to-left letters is isolated, so that it stays where it belongs.
        """
        self._stdout().write("".join(self._piece(text, style) for text, style in pieces).rstrip() + "\n")

    def _piece(self, text: str, style: str) -> str:
        safe = safe_text(text)
        if self.is_tty and style and _RIGHT_TO_LEFT.search(safe):
            safe = f"\u2068{safe}\u2069"
        return self.styled(safe, style) if style else safe

    def json(self, value: Any, *, indent: int | None = 2) -> None:
        self._stdout().write(json_text(value, indent=indent) + "\n")

    def table(self, rows: Iterable[Sequence[str]], *, header: Sequence[str] | None = None) -> None:
        """Write aligned columns, fitted to the terminal; a pipe gets whole cells."""
        lines = columns(rows, header=header, width=self.width)
        if header and lines:
            self.heading(lines.pop(0), "bold")
        for text in lines:
            self._stdout().write(text + "\n")

    def note(self, text: str) -> None:
        """Write a line to standard error, made safe; nothing happens when that is closed."""
        if self.err is not None:
            self.err.write(safe_text(text) + "\n")

    def labeled(self, label: str, text: str, style: str) -> None:
        """Write `label: text` to standard error."""
        if self.err is not None:
            shown = f"\x1b[{_STYLES[style]}m{label}:\x1b[0m" if self.color and self.err_is_tty else f"{label}:"
            self.err.write(f"{shown} {safe_text(text)}\n")

    def styled(self, text: str, style: str) -> str:
        """Return a text of ours in a style where standard output shows color."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.color and self.is_tty else text

    def flush(self) -> None:
        for stream in (self.out, self.err):
            if stream is not None:
                stream.flush()

    def _stdout(self) -> TextIO:
        if self.out is None:
            raise OSError(9, "standard output is closed")
        return self.out


def open_output(env: Mapping[str, str], *, no_color: bool = False) -> Output:
    """Look at the streams of this process once."""
    out, err = sys.stdout, sys.stderr
    for stream in (out, err):
        # A letter that the terminal's encoding lacks, or a lone surrogate, is shown escaped; it must not end the run.
        if hasattr(stream, "reconfigure"):
            # It flushes first; a disk that is full is reported when the command's own text is flushed.
            with contextlib.suppress(OSError):
                stream.reconfigure(errors="backslashreplace")
    is_tty, err_is_tty = (stream is not None and stream.isatty() for stream in (out, err))
    forced = env.get("FORCE_COLOR", "0") not in ("", "0")
    plain = no_color or bool(env.get("NO_COLOR")) or (env.get("TERM") == "dumb" and not forced)
    return Output(out, err, is_tty, err_is_tty, _width(env) if is_tty else None, color=not plain)


def _width(env: Mapping[str, str]) -> int:
    try:
        return max(20, int(env["COLUMNS"]))
    except (KeyError, ValueError):
        pass  # not set, or not a number: ask the terminal
    try:
        return max(20, os.get_terminal_size(sys.stdout.fileno()).columns)
    except OSError:
        return 80
