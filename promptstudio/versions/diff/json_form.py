"""A comparison → plain data for `--json`. The keys are always there; what was not computed is null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptstudio.errors import Problem
from promptstudio.versions.diff.rows import Comparison, Found, PromptRow, Version
from promptstudio.versions.diff.schema import ABSENT, Change, Diff, Level, MessageChange, Reason, Side


def comparison_json(found: Comparison, diffs: Sequence[Diff | None]) -> dict[str, Any]:
    """Return the whole answer; `diffs` has an entry for each row, None where no details are wanted or none can be."""
    return {
        "from": _version_json(found.old),
        "to": _version_json(found.new),
        "verdict": found.level.name,
        "counts": {level.name: sum(row.level is level for row in found.rows) for level in sorted(Level, reverse=True)},
        "unreadable": sum(row.level is None for row in found.rows),
        "prompts": [_row_json(row, diff) for row, diff in zip(found.rows, diffs, strict=True)],
        "without_label": list(found.left_out),
    }


def _version_json(version: Version) -> dict[str, Any]:
    return {"revision": version.shown, "commit": version.commit, "label": version.label}


def _row_json(row: PromptRow, diff: Diff | None) -> dict[str, Any]:
    reasons = row.verdict.reasons if row.verdict else ()
    return {
        "name": row.name,
        "status": row.status,
        "verdict": row.verdict.level.name if row.verdict else None,
        "reasons": [reason_json(one) for one in reasons],
        "old": _found_json(row.old),
        "new": _found_json(row.new),
        **details_json(diff),
    }


def reason_json(one: Reason) -> dict[str, Any]:
    return {"level": one.level.name, "rule": one.rule, "where": one.where, "text": one.text, "variant": one.variant}


def _found_json(found: Found) -> dict[str, Any] | None:
    snapshot, problem = found.snapshot, found.problem
    if snapshot is None and problem is None:
        return None
    identity = snapshot.identity if snapshot else None
    return {
        "name": snapshot.name if snapshot else None,
        "path": found.path,
        "commit": found.moment.commit or None if found.moment else None,
        "version": snapshot.version if snapshot else None,
        "behavior": identity.behavior if identity else None,
        "interface": identity.interface if identity else None,
        "text": identity.text if identity else None,
        "error": _problem_json(problem) if problem else None,
    }


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {"message": problem.message, "file": problem.file, "line": problem.line, "hint": problem.hint}


def details_json(diff: Diff | None) -> dict[str, Any]:
    """Return the parts of a diff below its verdict."""
    if diff is None:
        return {"tokens": None, "sections": None, "messages": None, "variants": None}
    return {
        "tokens": _tokens_json(diff),
        "sections": {section.title: [change_json(one) for one in section.changes] for section in diff.sections},
        "messages": [message_json(one) for one in diff.messages],
        "variants": {name: _variant_json(one) for name, one in diff.variants.items()},
    }


def _tokens_json(diff: Diff) -> dict[str, int | None] | None:
    if diff.old_tokens is None and diff.new_tokens is None:
        return None
    delta = (diff.new_tokens or 0) - (diff.old_tokens or 0)
    return {"old": diff.old_tokens, "new": diff.new_tokens, "delta": delta}


def _variant_json(diff: Diff) -> dict[str, Any]:
    return {
        "verdict": diff.verdict.level.name,
        "old": _side_json(diff.old),
        "new": _side_json(diff.new),
        **details_json(diff),
    }


def _side_json(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {"behavior": side.behavior, "interface": side.interface, "text": side.text}


def change_json(change: Change) -> dict[str, Any]:
    sides = {"old": change.old, "new": change.new}
    values = {name: value for name, value in sides.items() if value is not ABSENT}
    return {"kind": change.kind, "name": change.name, **values}


def message_json(change: MessageChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "role": change.role,
        "old_role": change.old_role,
        "old_index": change.old_index,
        "new_index": change.new_index,
        "tokens": {"old": change.old_tokens, "new": change.new_tokens},
        "segments": [{"kind": one.kind, "text": one.text} for one in change.segments],
    }
