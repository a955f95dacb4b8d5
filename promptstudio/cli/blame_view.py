"""`ps blame`: each field with who last changed it, or what a label meant at a moment → lines or JSON.

Loads no argument parser.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from promptstudio.cli.context import Context
from promptstudio.cli.log_view import SHORT, UNCOMMITTED, commit_object, local_time
from promptstudio.cli.quick import plain_words
from promptstudio.errors import UsageError
from promptstudio.versions.blame import Blame, Line, blame
from promptstudio.versions.locate import folder_of, located
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots

HEADER = ("FIELD", "COMMIT", "DATE", "AUTHOR", "SUBJECT")


class Wish(NamedTuple):
    """What is asked: the fields of a prompt, or with `at` what was live then."""

    prompt: str | None
    at: str | None = None
    label: str | None = None
    as_json: bool = False


def quick(context: Context, arguments: Sequence[str]) -> int | None:
    """Do what a plainly written command line asks, without a parser; None where it is not plain."""
    words = plain_words(arguments, switches=("--json",), values=("--at", "--label"))
    if words is None or len(words.names) > 1:
        return None
    prompt = next(iter(words.names), None)
    if prompt is None and "--at" not in words.values and "--label" not in words.values:
        return None
    wish = Wish(prompt, words.values.get("--at"), words.values.get("--label"), "--json" in words.switches)
    return print_blame(context, wish)


def print_blame(context: Context, wish: Wish) -> int:
    """Print who last changed each field of a prompt; with --at or --label what was live."""
    if wish.at is not None or wish.label is not None:
        from promptstudio.cli.live_view import print_live  # weight: it reads the lock file

        return print_live(context, wish)
    if wish.prompt is None:
        raise UsageError("which prompt?", hint=f"{context.program} blame PROMPT, or --at TIME for what was live then")
    settings = context.settings()
    cwd = Path.cwd()
    with (
        open_repository(folder_of(wish.prompt, settings, cwd)) as repository,
        Snapshots(repository, settings) as snapshots,
    ):
        place = located(wish.prompt, snapshots, cwd)
        found = blame(snapshots, place.path, start=place.commit)
    if wish.as_json:
        context.output.json(blame_object(found))
    else:
        context.output.table([_cells(line) for line in found.lines], header=HEADER)
    for note in found.notes:
        context.output.note(f"note: {note}")
    return 0


def _cells(line: Line) -> tuple[str, ...]:
    commit = line.commit
    if commit is None:
        return line.field, UNCOMMITTED, "-", "-", "-"
    when = local_time(commit) + (" or older" if line.is_cut else "")
    return line.field, commit.id[:SHORT], when, commit.author, commit.subject


def blame_object(found: Blame) -> dict[str, Any]:
    return {
        "path": found.path,
        "fields": [
            {
                "field": line.field,
                "value": json.loads(json.dumps(line.value)),
                "file": line.file,
                "uncommitted": line.commit is None,
                "commit": commit_object(line.commit) if line.commit else None,
                "cut_off": line.is_cut,
            }
            for line in found.lines
        ],
        "notes": list(found.notes),
    }
