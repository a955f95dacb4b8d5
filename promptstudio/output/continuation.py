"""Streamed text across restarts → text to show, each character once.

When a stream breaks, the model is asked again from the start. The second answer is followed silently as long as it
repeats what was shown already, and shown from there on; where it differs, the caller must decide.
"""

from __future__ import annotations


class Continuation:
    """`add` takes a delta and returns what is new; `diverged` turns true when a restart told another story."""

    def __init__(self) -> None:
        self.shown = ""
        self.diverged = False
        self._current = ""

    def restart(self) -> None:
        """Say that the answer starts again."""
        self._current = ""

    def add(self, delta: str) -> str:
        """Take in text; return the part of it that was not shown yet, nothing once the answers differ."""
        self._current += delta
        if self.diverged or len(self._current) <= len(self.shown):
            self.diverged = self.diverged or not self.shown.startswith(self._current)
            return ""
        if not self._current.startswith(self.shown):
            self.diverged = True
            return ""
        new = self._current[len(self.shown) :]
        self.shown = self._current
        return new

    def accept(self) -> str:
        """Show the new story after all: return it as far as it has come, and go on from there."""
        self.diverged = False
        self.shown = self._current
        return self.shown

    def end(self) -> None:
        """Say that the answer is complete; a shorter one than was shown differs too."""
        self.diverged = self.diverged or self._current != self.shown
