"""`ps log`: the versions of a prompt joined with the runs of each → lines or JSON. Loads no argument parser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from promptstudio.cli.context import Context
from promptstudio.cli.quick import plain_words
from promptstudio.config import Settings
from promptstudio.errors import HistoryError, UsageError
from promptstudio.output.terminal import columns, safe_text
from promptstudio.versions.locate import folder_of, located
from promptstudio.versions.log import Member, PromptLog, Version, prompt_log
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.verdicts import verdicts_of
from promptstudio.versions.walk import Commit

if TYPE_CHECKING:  # weight: a project without runs needs no history
    from promptstudio.history.usage import Usage

SHORT = 12
HISTORY_FILE = "history.db"
UNCOMMITTED = "(uncommitted)"
NOTHING_SEEN, NOTHING_SEEN_BY_ONE = "that change nothing the model sees", "that changes nothing the model sees"


class Wish(NamedTuple):
    """What is asked of a log. `since` and `until` are as written."""

    prompt: str
    since: str | None = None
    until: str | None = None
    number: int | None = None
    unfolded: bool = False
    as_json: bool = False


def quick(context: Context, arguments: Sequence[str]) -> int | None:
    """Do what a plainly written command line asks, without a parser; None where it is not plain."""
    words = plain_words(arguments, switches=("--all", "--json"), values=("--since", "--until", "-n"))
    if words is None or len(words.names) != 1:
        return None
    number = words.values.get("-n")
    if number is not None and not (number.isascii() and number.isdigit() and 0 < int(number) < 10**6):
        return None
    return print_log(
        context,
        Wish(
            words.names[0],
            words.values.get("--since"),
            words.values.get("--until"),
            int(number) if number is not None else None,
            "--all" in words.switches,
            "--json" in words.switches,
        ),
    )


def print_log(context: Context, wish: Wish) -> int:
    """Print the versions of a prompt, newest first."""
    settings = context.settings()
    cwd = Path.cwd()
    with (
        open_repository(folder_of(wish.prompt, settings, cwd)) as repository,
        Snapshots(repository, settings) as snapshots,
    ):
        place = located(wish.prompt, snapshots, cwd)
        log = prompt_log(snapshots, place.path, variant=place.variant, start=place.commit)
        shown = log._replace(versions=tuple(_wanted(log.versions, wish)))
        verdicts = verdicts_of(snapshots, shown.versions, place.variant)
    usage = _usage(context, settings, shown, place.variant)
    if wish.as_json:
        context.output.json(log_object(shown, usage, verdicts))
    else:
        _print_lines(context, shown, usage, verdicts, unfolded=wish.unfolded)
    for note in shown.notes:
        context.output.note(f"note: {note}")
    return 0


def _wanted(versions: Sequence[Version], wish: Wish) -> Iterator[Version]:
    """Yield the versions between two moments; of what is not committed only where no end is named."""
    since, until = (_seconds(text, option) for text, option in ((wish.since, "--since"), (wish.until, "--until")))
    left = wish.number
    for version in versions:
        when = version.commit.committed_s if version.commit else None
        if (until is not None and (when is None or when > until)) or (
            since is not None and when is not None and when < since
        ):
            continue
        if left is not None:
            if left == 0:
                return
            left -= 1
        yield version


def _seconds(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    from promptstudio.versions.when import time_of  # weight: only a filter needs it

    return time_of(text, datetime.now(UTC), option).timestamp()


def _usage(context: Context, settings: Settings, log: PromptLog, variant: str | None) -> dict[str, Usage]:
    """Return the runs of each behavior; a history that cannot be read costs only these columns."""
    behaviors = [behavior for version in log.versions for behavior in _behaviors(version, variant)]
    if not behaviors or not _has_history(settings):
        return {}
    from promptstudio.history.store import open_history  # weight, as above

    names = dict.fromkeys(version.known.name for version in log.versions if version.known.name)
    try:
        with open_history(settings) as history:
            return history.usage_by_behavior(list(names), list(dict.fromkeys(behaviors)))
    except HistoryError as error:
        context.output.labeled("warning", f"runs are left out: {error.message}", "yellow")
        return {}


def _has_history(settings: Settings) -> bool:
    if settings.history_url or settings.state_dir is None:
        return True
    return (settings.state_dir / HISTORY_FILE).exists()


def _behaviors(version: Version, variant: str | None) -> tuple[str, ...]:
    if variant is not None:
        return (version.known.variants[variant],) if variant in version.known.variants else ()
    return version.behaviors


# -- lines ------------------------------------------------------------------------------------------------------------


def _print_lines(
    context: Context, log: PromptLog, usage: Mapping[str, Usage], verdicts: Mapping[str, str], *, unfolded: bool
) -> None:
    if not log.versions:
        context.output.note("no version fits")
        return
    rows: list[tuple[dict[str, str], list[str]]] = []
    for version in log.versions:
        if unfolded:
            rows += [(_member_cells(member), _member_lines(member)) for member in version.kept]
        rows.append((_cells(version, usage, verdicts), list(_below(version, unfolded=unfolded))))
    names = [name for name in _COLUMNS if name in _ALWAYS or any(cells.get(name) for cells, _ in rows)]
    table = [[cells.get(name) or "-" for name in names] for cells, _ in rows]
    lines = columns(table, header=names, width=context.output.width)
    context.output.heading(lines[0], "bold")
    for line, (_, more) in zip(lines[1:], rows, strict=True):
        context.output.line(line)
        for text in more:
            context.output.heading(f"    {safe_text(text)}", "dim")


_COLUMNS = (
    *("COMMIT", "DATE", "VERSION", "CHANGE", "LABELS", "AUTHOR"),
    *("RUNS", "COST", "LATENCY", "FAILED", "BEHAVIOR", "SUBJECT"),
)
_ALWAYS = frozenset({"COMMIT", "DATE", "VERSION", "AUTHOR", "SUBJECT"})


def _cells(version: Version, usage: Mapping[str, Usage], verdicts: Mapping[str, str]) -> dict[str, str]:
    commit = version.commit
    labels = [*version.labels, *(f"tag {tag}" for tag in version.tags)]
    return {
        "COMMIT": commit.id[:SHORT] if commit else UNCOMMITTED,
        "DATE": local_time(commit),
        "VERSION": version.number or "-",
        "CHANGE": verdicts.get(commit.id if commit else "", ""),
        "LABELS": ", ".join(labels),
        "AUTHOR": commit.author if commit else "-",
        "BEHAVIOR": version.behavior[:15] if version.behavior else "",
        "SUBJECT": commit.subject if commit else "-",
        **_usage_cells(version, usage),
    }


def _usage_cells(version: Version, usage: Mapping[str, Usage]) -> dict[str, str]:
    found = _usage_of(version, usage)
    if found is None:
        return {}
    from promptstudio.cli.history_view import cost_text  # weight: only where there are runs

    runs = str(found.runs) if not found.offline else f"{found.runs} ({found.offline} offline)"
    latency = f"{found.duration_ms:,.0f} ms" if found.duration_ms is not None else "?"
    return {
        "RUNS": runs,
        "COST": cost_text(found.cost_usd),
        "LATENCY": latency,
        "FAILED": f"{found.failure_rate:.0%}" if found.failed else "0%",
    }


def _usage_of(version: Version, usage: Mapping[str, Usage]) -> Usage | None:
    parts = [usage[behavior] for behavior in dict.fromkeys(version.behaviors) if behavior in usage]
    if not parts:
        return None
    from promptstudio.history.usage import summed  # weight, as above

    return summed(parts)


def _member_cells(member: Member) -> dict[str, str]:
    commit = member.commit
    return {
        "COMMIT": commit.id[:SHORT],
        "DATE": local_time(commit),
        "VERSION": member.version or "-",
        "CHANGE": "",
        "AUTHOR": commit.author,
        "SUBJECT": commit.subject,
    }


def _member_lines(member: Member) -> list[str]:
    moved = [f"moved from {member.moved_from}"] if member.moved_from else []
    return [*moved, "changes nothing the model sees"]


def _below(version: Version, *, unfolded: bool) -> Iterator[str]:
    """Yield what stands below a version's line."""
    if version.is_gone:
        yield "the file was removed" if version.commit else "the file is removed"
    elif version.known.problem is not None:
        yield f"cannot be used: {version.known.problem}"
    if version.is_same:
        yield f"{_listed(version.causes)}: changes nothing the model sees"
    elif others := [cause for cause in version.causes if not version.path.endswith(cause)]:
        yield f"changed by {_listed(others)}" + (", and its own file" if len(others) < len(version.causes) else "")
    if version.moved_from:
        yield f"moved from {version.moved_from}"
    if version.is_cut:
        yield "older commits are not in this clone"
    if version.kept and not unfolded:
        count = len(version.kept)
        yield f"+{count} commits {NOTHING_SEEN}" if count > 1 else f"+1 commit {NOTHING_SEEN_BY_ONE}"
        yield from (f"moved from {member.moved_from}" for member in version.kept if member.moved_from)


def _listed(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def local_time(commit: Commit | None) -> str:
    """When a change was written, as the person at this machine reads it."""
    if commit is None:
        return "-"
    return datetime.fromtimestamp(commit.authored_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


# -- JSON -------------------------------------------------------------------------------------------------------------


def log_object(log: PromptLog, usage: Mapping[str, Usage], verdicts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "prompt": log.name,
        "versions": [_version_object(version, usage, verdicts) for version in log.versions],
        "notes": list(log.notes),
    }


def _version_object(version: Version, usage: Mapping[str, Usage], verdicts: Mapping[str, str]) -> dict[str, Any]:
    known, problem, identity = version.known, version.known.problem, version.known.identity
    found = _usage_of(version, usage)
    return {
        "commit": commit_object(version.commit) if version.commit else None,
        "uncommitted": version.commit is None,
        "path": version.path,
        "moved_from": version.moved_from,
        "name": known.name or None,
        "version": version.number,
        "behavior": identity.behavior if identity else None,
        "interface": identity.interface if identity else None,
        "text": identity.text if identity else None,
        "variants": dict(known.variants),
        "change": verdicts.get(version.commit.id if version.commit else ""),
        "changed_by": list(version.causes),
        "changes_behavior": not version.is_same,
        "removed": version.is_gone,
        "error": problem and {"message": problem.message, "file": problem.file, "line": problem.line},
        "labels": list(version.labels),
        "tags": list(version.tags),
        "cut_off": version.is_cut,
        "kept_by": [
            {**commit_object(member.commit), "version": member.version, "moved_from": member.moved_from}
            for member in version.kept
        ],
        "usage": found
        and {
            "runs": found.runs,
            "failed": found.failed,
            "offline": found.offline,
            "failure_rate": round(found.failure_rate, 6),
            "mean_cost_usd": float(found.cost_usd) if found.cost_usd is not None else None,
            "mean_duration_ms": round(found.duration_ms, 3) if found.duration_ms is not None else None,
        },
    }


def commit_object(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.id,
        "author": commit.author,
        "email": commit.email,
        "authored_at": datetime.fromtimestamp(commit.authored_s, UTC).isoformat(),
        "committed_at": datetime.fromtimestamp(commit.committed_s, UTC).isoformat(),
        "subject": commit.subject,
    }


def checked_number(number: int | None) -> int | None:
    """Return how many versions are asked for. Raises UsageError for none."""
    if number is not None and number < 1:
        raise UsageError(f"-n: {number} versions are none", hint="write 1 or more")
    return number
