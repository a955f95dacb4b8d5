"""The content hashes of a prompt, as a value: docs/identity.md says what they are taken of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Content hashes, `p1:` + 64 hex digits each. See docs/identity.md for the algorithm."""

    behavior: str
    interface: str
    text: str
