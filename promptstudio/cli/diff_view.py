"""`ps diff A..B` over all prompts, where the answer is known from before. Loads no argument parser and no prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from promptstudio.cli.context import Context
from promptstudio.output.terminal import display_width, fitted, safe_cell
from promptstudio.versions.diff.kept import kept, key_of
from promptstudio.versions.diff.summary import Cells, Summary
from promptstudio.versions.repo import open_repository
from promptstudio.versions.stanza import LOCK_NAME

_RANGE = re.compile(r"([^.\s:-][^\s:]*?)\.\.([^.\s:-][^\s:]*)")
_SWITCHES = {"--summary", "--stat", "--exit-code"}
SHOWN_IN_FULL = 5
HEADER = ("PROMPT", "VERDICT", "VERSION", "WHAT CHANGED")
_GAP = "  "
_SMALLEST = 20  # columns for the last cell; without them the version is left out


def quick(context: Context, arguments: list[str]) -> int | None:
    """Print the table of all prompts that differ between two commits; None where the long way has to find it."""
    ranges = [found for word in arguments if "..." not in word and (found := _RANGE.fullmatch(word))]
    switches = set(arguments) & _SWITCHES
    if len(ranges) != 1 or len(switches) + 1 != len(arguments):
        return None
    old, new = ranges[0].groups()
    settings = context.settings()
    known: Summary | None = None
    with open_repository(settings.root or Path.cwd()) as repository:
        if _may_be_labels(settings.root, old, new):
            return None
        ids = repository.commit_of(old), repository.commit_of(new)
        known = kept(key_of(*ids, settings, repository), repository)
    if known is None or not (switches & {"--summary", "--stat"} or len(known.rows) > SHOWN_IN_FULL):
        return None
    print_summary(context, known, old, new)
    return 1 if "--exit-code" in switches and known.differs else 0


def print_summary(context: Context, found: Summary, old: str, new: str) -> None:
    """Print the table, and the verdict over all."""
    if found.rows:
        lines = table_lines(found.rows, context.output.width)
        context.output.heading(next(lines), "bold")
        context.output.line("\n".join(lines))
        context.output.flush()  # the summary comes last, also where both streams go to one pipe
    context.output.note(found.line(old, new))


def _may_be_labels(root: Path | None, *words: str) -> bool:
    """Say whether a word may be a label: then it means another commit for each prompt."""
    if root is None:
        return False
    try:
        text = (root / LOCK_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError):
        return True
    return any(f"{word}:" in text or f"{word}'" in text or f'{word}"' in text for word in words)


def table_lines(rows: Sequence[Cells], width: int | None) -> Iterator[str]:
    """Yield a header and a line for each prompt; `width` is the terminal's, None cuts nothing."""
    cells = [HEADER, *(tuple(map(safe_cell, row)) for row in rows)]
    shown = [0, 1, 2]
    widths = [max(display_width(row[place]) for row in cells) for place in shown]
    if width is not None and sum(widths) + len(_GAP) * 3 + _SMALLEST > width:
        shown.remove(2)
    for row in cells:
        first = "".join(row[at] + " " * (widths[at] - display_width(row[at])) + _GAP for at in shown)
        line = (first + row[3]).rstrip()
        yield line if width is None else fitted(line, width)
