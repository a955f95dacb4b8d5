"""`ps git textconv FILE`, without an argument parser: git calls it twice for each file of a diff."""

from __future__ import annotations

from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.output.terminal import safe_text

_MAX_BYTES = 8 << 20


def quick(context: Context, arguments: list[str]) -> int | None:
    if len(arguments) == 2 and arguments[0] == "textconv" and not arguments[1].startswith("-"):
        return print_readable(context, Path(arguments[1]))
    return None


def print_readable(context: Context, file: Path) -> int:
    """Print the canonical form of a prompt file, and any other file as it is. Never fails on what a file holds."""
    from promptstudio.versions.diff.readable import readable  # weight: the YAML parser, which only this needs

    data = file.read_bytes()
    try:
        text = data.decode("utf-8") if len(data) <= _MAX_BYTES else None
    except UnicodeDecodeError:
        text = None
    out = context.output.out
    if text is None and out is not None:
        out.flush()
        out.buffer.write(data)
        out.buffer.flush()
    else:
        # A pager shows it: what a quoted `\e` in the file stands for must not reach the terminal.
        context.output.write(safe_text(readable(text or "")))
    return 0
