"""What is found to compare: two sides, and a row for each prompt with both versions of it. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from promptstudio.errors import Problem
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.versions.diff.schema import Level, Verdict
from promptstudio.versions.moments import Moment


@dataclass(frozen=True, slots=True)
class Version:
    """One side of a comparison: `commit` is an id, None for the working tree; a `label` means a commit per prompt."""

    shown: str
    commit: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One version of one prompt: its file below the repository's top, the moment it was read at, and what it holds."""

    path: str | None = None
    moment: Moment | None = None
    content: Snapshot | Problem | None = None
    variant: str | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        return self.content if not isinstance(self.content, Problem) else None

    @property
    def problem(self) -> Problem | None:
        return self.content if isinstance(self.content, Problem) else None


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt in both versions. `verdict` is None where a version cannot be read."""

    old: Found
    new: Found
    verdict: Verdict | None
    variant: str | None = None

    @property
    def level(self) -> Level | None:
        return self.verdict.level if self.verdict else None

    @property
    def name(self) -> str:
        side = self.new.snapshot or self.old.snapshot
        name = side.name if side else self.new.path or self.old.path or ""
        return f"{name}:{self.variant}" if self.variant else name

    @property
    def status(self) -> str:
        if self.verdict is None:
            return "unreadable"
        if self.old.content is None or self.new.content is None:
            return "same" if self.old.content is self.new.content else "new" if self.old.content is None else "deleted"
        if not self.verdict.level and self.old.path == self.new.path:
            return "same"
        return "changed" if self.old.path == self.new.path else "moved"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides, and the prompts: those that differ, the weightiest first, or exactly those asked for."""

    old: Version
    new: Version
    rows: tuple[PromptRow, ...]
    is_asked: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        return max((row.level for row in self.rows if row.level is not None), default=Level.NONE)

    @property
    def differs(self) -> bool:
        return any(row.level is None or row.level > Level.NONE for row in self.rows)
