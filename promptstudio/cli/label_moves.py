"""What promote, rollback and label share: the prompts that are meant, moves made and told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promptstudio.cli.context import Context, root_of
from promptstudio.cli.known_evidence import evidence_text
from promptstudio.config import Settings
from promptstudio.errors import UsageError
from promptstudio.prompts.address import find_file, parse_address
from promptstudio.prompts.library import row_of
from promptstudio.prompts.wording import shown
from promptstudio.versions.lock import change_lock
from promptstudio.versions.lock_commit import change_and_commit
from promptstudio.versions.promotion import Move, moved
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.stanza import Evidence, Label

MAX_REASONS = 5


@dataclass(frozen=True, slots=True)
class Made:
    """What came of moves: the commit that holds them, if there is one."""

    moves: tuple[Move, ...]
    evidence: dict[str, tuple[Evidence, ...]]
    commit: str | None
    dry_run: bool


def prompt_name(word: str, settings: Settings) -> str:
    """Return the name of a prompt that is given by its name or the path of its file."""
    address = parse_address(word)
    if address.kind == "stdin" or address.variant or address.revision:
        raise UsageError(
            f"{shown(word)}: a label is for a whole prompt", hint="give its name alone; its variants go with it"
        )
    path = find_file(address, settings, Path.cwd())
    if settings.prompts_dir is None or not path.is_relative_to(settings.prompts_dir):
        raise UsageError(f"{shown(word)} is no prompt of this project", hint=f"prompts lie in {settings.prompts_dir}")
    return row_of(path, settings).name


def make_moves(
    snapshots: Snapshots,
    moves: Sequence[Move],
    evidence: dict[str, tuple[Evidence, ...]],
    *,
    message: str | None,
    dry_run: bool,
) -> Made:
    """Write the lock file, and commit it where there is a message."""
    root = root_of(snapshots.settings)
    commit = None
    if not dry_run:
        if message is not None:
            commit = change_and_commit(
                root, lambda lock: moved(lock, moves, evidence, snapshots), snapshots.repository, message
            )
        else:
            change_lock(root, lambda lock: moved(lock, moves, evidence, snapshots))
    return Made(tuple(moves), evidence, commit, dry_run)


def commit_message(subject: str, moves: Sequence[Move], reason: str | None) -> str:
    """Return the message of a commit: `subject` with `{prompt}` and `{label}` filled in, and a body to say more."""
    prompt = moves[0].prompt if len(moves) == 1 else f"{len(moves)} prompts"
    body = [f"- {move.prompt} {move.new.version or ''}".rstrip() for move in moves] if len(moves) > 1 else []
    head = subject.replace("{prompt}", prompt, 1).replace("{label}", moves[0].label, 1)
    return "\n\n".join(part for part in (head, "\n".join(body), reason or "") if part)


def report_moves(context: Context, made: Made, *, as_json: bool) -> None:
    if as_json:
        found = [_object(move, made) for move in made.moves]
        context.output.json({"dry_run": made.dry_run, "commit": made.commit, "moves": found})
        return
    for move in made.moves:
        for line in _lines(move, made):
            context.output.line(line)
    context.output.flush()  # in a log both streams are one
    if made.dry_run:
        context.output.note("a dry run: nothing was written")
    elif made.commit is not None:
        context.output.note(f"committed as {made.commit[:12]}")
    elif any(move.is_needed for move in made.moves):
        context.output.note("written to promptstudio.lock; commit it to make it so for everybody")


def _lines(move: Move, made: Made) -> Iterator[str]:
    if not move.is_needed:
        yield f"{move.prompt}: {move.label} has this content already ({_version(move.new)})"
        return
    change = f"{_version(move.old)} → {_version(move.new)}" if move.old else _version(move.new)
    level = f", {move.verdict.level.name}" if move.verdict else ""
    yield f"{move.prompt}: {move.label}: {change}{level}"
    reasons = move.verdict.reasons if move.verdict else ()
    for reason in reasons[:MAX_REASONS]:
        yield f"  {reason.place}: {reason.text}"
    if len(reasons) > MAX_REASONS:
        yield f"  and {len(reasons) - MAX_REASONS} more: ps diff shows them"
    if move.note:
        yield f"  {move.note}"
    yield f"  {evidence_text(made.evidence.get(move.new.behavior, ()))}"


def _version(label: Label) -> str:
    return f"{label.version} ({label.commit[:12]})" if label.version else label.commit[:12]


def _object(move: Move, made: Made) -> dict[str, Any]:
    verdict = move.verdict
    return {
        "prompt": move.prompt,
        "label": move.label,
        "from": move.asked,
        "changed": move.is_needed,
        "old": label_object(move.old) if move.old else None,
        "new": label_object(move.new),
        "verdict": verdict.level.name if verdict else None,
        "reasons": [
            {"rule": each.rule, "level": each.level.name, "where": each.place, "text": each.text}
            for each in (verdict.reasons if verdict else ())
        ],
        "note": move.note,
        "evaluations": [asdict(each) for each in made.evidence.get(move.new.behavior, ())],
    }


def label_object(label: Label) -> dict[str, Any]:
    return {**asdict(label), "variants": dict(label.variants), "includes": dict(label.includes)}
