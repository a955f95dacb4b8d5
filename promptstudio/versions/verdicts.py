"""The versions of a log → the verdict on each against the one before: MAJOR, MINOR, PATCH or NONE. Kept once made."""

from __future__ import annotations

from promptstudio.errors import UserError
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.versions.log import Version
from promptstudio.versions.moments import NOW
from promptstudio.versions.snapshots import Snapshots

KIND = "verdicts"
RULES_VERSION = "1"
"""Raise it when the rules of versions/diff give something else for the same two snapshots."""


def verdicts_of(snapshots: Snapshots, versions: tuple[Version, ...], variant: str | None = None) -> dict[str, str]:
    """Return commit → verdict, `NOW` for what is not committed; versions that cannot be compared are left out."""
    path = versions[0].path if versions else ""
    kept = None if snapshots.fresh or variant is not None else snapshots.db.finding(KIND, path)
    known: dict[str, str] = kept[1] if kept is not None and kept[0] == RULES_VERSION else {}
    made: dict[str, str] = {}
    found: dict[str, str] = {}
    for version in versions:
        commit = version.commit.id if version.commit is not None else NOW
        verdict = known.get(f"{commit} {version.before}") or _verdict(snapshots, version, variant)
        if verdict is not None:
            found[commit] = verdict
            if commit != NOW and f"{commit} {version.before}" not in known:
                made[f"{commit} {version.before}"] = verdict
    if made and not snapshots.fresh and variant is None:
        snapshots.db.keep_finding(KIND, path, RULES_VERSION, {**known, **made})
    return found


def _verdict(snapshots: Snapshots, version: Version, variant: str | None) -> str | None:
    if version.before is None or version.behavior is None:
        return None
    old = _snapshot(snapshots, version.before, version.moved_from or version.path, variant)
    new = _snapshot(snapshots, version.commit.id if version.commit else NOW, version.path, variant)
    if old is None or new is None:
        return None
    from promptstudio.versions.diff.verdict import verdict_of  # weight: most verdicts are known

    return verdict_of(old, new).level.name


def _snapshot(snapshots: Snapshots, commit: str, name: str, variant: str | None) -> Snapshot | None:
    try:
        moment = snapshots.at(commit) if commit != NOW else snapshots.now()
    except UserError:  # settings of that commit that cannot be read
        return None
    found = snapshots.of(moment, snapshots.repository.top / name)
    if not isinstance(found, Snapshot):
        return None
    return found if variant is None else found.variants.get(variant)
