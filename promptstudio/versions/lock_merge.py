"""Three texts of `promptstudio.lock` → one: label by label, evaluation by evaluation. For git's merge driver.

Only one thing is a conflict: the two sides moved one label to different contents, or one took away what the other
changed. Then both stand in the file between git's markers, around just that label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from promptstudio.errors import LockFileError
from promptstudio.versions.labels import is_same_content, settled
from promptstudio.versions.lock_reading import parse_lock
from promptstudio.versions.stanza import EMPTY, HEAD, Evidence, Label, Stanza, label_text, scalar, stanza_text

Pool = dict[str, list[Evidence]]


@dataclass(frozen=True, slots=True)
class _Conflict:
    """Two texts that claim one place; `standing` is what stands there for now."""

    standing: str
    ours: str
    theirs: str

    def marked(self, sides: tuple[str, str]) -> str:
        return f"<<<<<<< {sides[0]}\n{self.ours}=======\n{self.theirs}>>>>>>> {sides[1]}\n"


def merge_lock_files(
    base: str, ours: str, theirs: str, *, sides: tuple[str, str] = ("ours", "theirs")
) -> tuple[str, bool]:
    """Return the merged text and whether it has conflicts. `base` is empty where both sides made the file.

    A text that cannot be read is a conflict as a whole, so that nothing is lost.
    """
    try:
        old, one, other = (parse_lock(text).prompts for text in (base, ours, theirs))
    except LockFileError:
        whole = _Conflict("", *(text if not text or text.endswith("\n") else text + "\n" for text in (ours, theirs)))
        return whole.marked(sides), True
    texts, has_conflicts = [], False
    for name in sorted({*one, *other}):
        text, conflicts = _merged(name, old.get(name), one.get(name), other.get(name))
        for conflict in conflicts:
            text = text.replace(conflict.standing, conflict.marked(sides), 1)
        texts += [f"\n{text}"] if text else []
        has_conflicts = has_conflicts or bool(conflicts)
    return HEAD + "".join(texts) if texts else EMPTY, has_conflicts


def _merged(name: str, old: Stanza | None, one: Stanza | None, other: Stanza | None) -> tuple[str, list[_Conflict]]:
    """Return the text of a stanza, empty where it is gone, and what in it is claimed by both sides."""
    if one is None or other is None:
        kept = one or other
        if kept is None or (old is not None and kept.labels == old.labels):
            return "", []
        text = stanza_text(kept)
        return text, [_Conflict(text, text if one else "", text if other else "")] if old is not None else []
    old = old or Stanza(name, "")
    pool = _pool(old, one, other)
    labels: dict[str, Label] = {}
    conflicts: list[_Conflict] = []
    for label in sorted({*one.labels, *other.labels}):
        sides = [_bare(stanza.labels.get(label)) for stanza in (old, one, other)]
        chosen, is_settled = _chosen(*sides)
        if chosen is not None:
            labels[label] = chosen
        if not is_settled:
            mine, yours = ("" if each is None else _text(name, label, each, pool) for each in sides[1:])
            conflicts.append(_Conflict(mine or yours, mine, yours))
    file, is_settled = _three_ways(old.file, one.file, other.file)
    if not is_settled:
        lines = [f"    file: {scalar(stanza.file)}\n" for stanza in (one, other)]
        conflicts.append(_Conflict(lines[0], *lines))
    return stanza_text(settled(name, file, labels, pool)), conflicts


def _three_ways(old: str, one: str, other: str) -> tuple[str, bool]:
    if other in (one, old):
        return one, True
    return (other, True) if one == old else (one, False)


def _chosen(old: Label | None, one: Label | None, other: Label | None) -> tuple[Label | None, bool]:
    """Return the label to keep, and whether that is beyond doubt."""
    if other in (one, old):
        return one, True
    if one == old:
        return other, True
    if one is not None and other is not None and one.commit == other.commit and is_same_content(one, other):
        return max(one, other, key=lambda label: (label.promoted, label.by)), True
    return one or other, False


def _bare(label: Label | None) -> Label | None:
    """Return a label without its evaluations: those are merged one by one."""
    return replace(label, evaluations=()) if label is not None else None


def _text(name: str, label: str, value: Label, pool: Pool) -> str:
    placed = settled(name, "", {label: value}, pool).labels[label]
    return label_text(name, label, placed)


def _pool(old: Stanza, one: Stanza, other: Stanza) -> Pool:
    """Return the evaluations both sides have or one side added, by behavior."""
    return {behavior: list(_kept(behavior, old, one, other)) for behavior in {*_behaviors(one), *_behaviors(other)}}


def _kept(behavior: str, old: Stanza, one: Stanza, other: Stanza) -> Iterator[Evidence]:
    before, mine, yours = (stanza.evidence(behavior) for stanza in (old, one, other))
    for evidence in dict.fromkeys((*mine, *yours)):
        if evidence not in before or (evidence in mine and evidence in yours):
            yield evidence


def _behaviors(stanza: Stanza) -> set[str]:
    return {*stanza.evaluations, *(label.behavior for label in stanza.labels.values())}
