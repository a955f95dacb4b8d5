"""A comparison of all prompts, down to a line for each: its verdict, its version, what changed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("MAJOR", "MINOR", "PATCH", "NONE")
ERROR = "ERROR"

Cells = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Summary:
    """`rows` are the name of a prompt, its verdict or ERROR, its version, and what changed."""

    rows: tuple[Cells, ...]

    @property
    def level(self) -> str:
        """The highest verdict of all; NONE where nothing differs, `unknown` where nothing could be read."""
        found = {row[1] for row in self.rows}
        return next((level for level in LEVELS if level in found), "unknown" if found else "NONE")

    @property
    def differs(self) -> bool:
        return any(row[1] != "NONE" for row in self.rows)

    def line(self, old: str, new: str) -> str:
        """Return the last line: what was compared, and how many prompts got which verdict."""
        if not self.rows:
            return f"{old} → {new}: no prompt differs"
        counts = [(name, sum(row[1] == name for row in self.rows)) for name in (*LEVELS, ERROR)]
        said = ", ".join(f"{number:,} {'unreadable' if name == ERROR else name}" for name, number in counts if number)
        total = f"{len(self.rows):,} prompt{'' if len(self.rows) == 1 else 's'}"
        return f"{old} → {new}: {self.level}; {total}: {said}"
