"""`ps blame --at TIME --label LABEL`: what was live then, who had promoted it, and when → a table or JSON."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptstudio.cli.context import Context
from promptstudio.errors import NothingSelected
from promptstudio.prompts.address import parse_address
from promptstudio.prompts.wording import shown
from promptstudio.versions.locate import check_no_revision
from promptstudio.versions.repo import open_repository
from promptstudio.versions.when import Live, LiveSet, live_at, time_of

if TYPE_CHECKING:  # the two modules use each other
    from promptstudio.cli.blame_view import Wish

SHORT = 12
HEADER = ("PROMPT", "LABEL", "VERSION", "COMMIT", "BEHAVIOR", "PROMOTED", "BY", "REASON")


def print_live(context: Context, wish: Wish) -> int:
    """Print what the labels meant at the moment that is asked for."""
    settings = context.project_settings()
    at = time_of(wish.at, datetime.now(UTC)) if wish.at is not None else None
    prompt = _name(wish)
    with open_repository(settings.root or Path.cwd()) as repository:
        found = live_at(repository, settings, at, prompt=prompt, label=wish.label)
    if not found.live:
        raise NothingSelected(_nothing(wish, found), hint="`ps label list` shows the labels of now")
    if wish.as_json:
        context.output.json(live_object(found))
        return 0
    context.output.table([_cells(live) for live in found.live], header=HEADER)
    if found.commit is not None:
        context.output.note(f"as of {found.commit[:SHORT]}, the commit of HEAD's line at that time")
    return 0


def _name(wish: Wish) -> str | None:
    if wish.prompt is None:
        return None
    check_no_revision(wish.prompt, "--at" if wish.at is not None else "--label")
    return unicodedata.normalize("NFC", parse_address(wish.prompt).target)


def _nothing(wish: Wish, found: LiveSet) -> str:
    what = f"no label {shown(wish.label)}" if wish.label is not None else "no label"
    whose = f" of {shown(wish.prompt)}" if wish.prompt is not None else ""
    when = f"at {_time(found.at)}" if found.at is not None else "in promptstudio.lock"
    return f"there {'was' if found.at else 'is'} {what}{whose} {when}"


def _time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()


def _cells(live: Live) -> tuple[str, ...]:
    label = live.label
    commit = label.commit[:SHORT] + (" (gone)" if live.is_lost else "")
    version = label.version or "-"
    return live.prompt, live.name, version, commit, label.behavior[:15], label.promoted, label.by, label.reason or "-"


def live_object(found: LiveSet) -> dict[str, Any]:
    return {
        "at": found.at.isoformat() if found.at else None,
        "commit": found.commit,
        "labels": [
            {
                "prompt": live.prompt,
                "label": live.name,
                "version": live.label.version,
                "commit": live.label.commit,
                "commit_is_gone": live.is_lost,
                "file": live.label.file,
                "behavior": live.label.behavior,
                "interface": live.label.interface,
                "text": live.label.text,
                "variants": dict(live.label.variants),
                "promoted": live.label.promoted,
                "by": live.label.by,
                "reason": live.label.reason,
            }
            for live in found.live
        ],
    }
