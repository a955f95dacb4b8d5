"""What a comparison of two versions of a prompt comes to. Frozen, plain, and JSON by `as_json` of json_form.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal


class Level(IntEnum):
    """What a change means to whoever uses the prompt; a greater one counts more."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which a prompt can change, and what that means."""

    name: str
    level: Level
    meaning: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One change that a rule speaks of: `where` in the prompt (`inputs.ticket`), and `text` what happened there.

    `variant` names the overlay in which it happened; None where it is the prompt itself, and so all variants with it.
    """

    rule: str
    level: Level
    where: str
    text: str
    variant: str | None = None

    @property
    def place(self) -> str:
        return f"{self.where} (in :{self.variant})" if self.variant else self.where


@dataclass(frozen=True, slots=True)
class Verdict:
    """The highest level of all reasons, and the reasons, the weightiest first."""

    level: Level
    reasons: tuple[Reason, ...] = ()


ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "ABSENT", "__slots__": ()})()
"""Stands where a version has no value at all, which is not null."""

ChangeKind = Literal["added", "removed", "changed", "moved"]
SegmentKind = Literal["same", "removed", "added"]


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs: `name` within its section; a side without the value is ABSENT."""

    kind: ChangeKind
    name: str
    old: Any = ABSENT
    new: Any = ABSENT


@dataclass(frozen=True, slots=True)
class Section:
    """The changes of one part of the prompt: model, parameters, inputs, output, examples, tools, …"""

    title: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of text that both versions have, or only one."""

    kind: SegmentKind
    text: str


@dataclass(frozen=True, slots=True)
class MessageChange:
    """One message in one or both versions; `old_index` and `new_index` count from 0.

    `kind` is `same` only where the message stands beside others that changed. `role` is that of the new version;
    `old_role` differs from it where the role changed. A message that moved may have changed as well.
    """

    kind: Literal["same", "added", "removed", "changed", "moved"]
    role: str
    old_role: str | None = None
    old_index: int | None = None
    new_index: int | None = None
    segments: tuple[Segment, ...] = ()
    old_tokens: int | None = None
    new_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """What one version is called: its name, version number, behavior hash, and the path of its file."""

    name: str
    path: str
    version: str | None
    behavior: str
    interface: str
    text: str


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that differs between two versions; a side is None where the prompt is not there."""

    old: Side | None
    new: Side | None
    verdict: Verdict
    sections: tuple[Section, ...] = ()
    messages: tuple[MessageChange, ...] = ()
    old_tokens: int | None = None
    new_tokens: int | None = None
    variants: Mapping[str, Diff] = field(default_factory=dict)

    @property
    def name(self) -> str:
        side = self.new or self.old
        return side.name if side else ""

    @property
    def is_renamed(self) -> bool:
        return bool(self.old and self.new and self.old.name != self.new.name)
