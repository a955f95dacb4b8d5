"""What `promptstudio.lock` holds, as values, and the one text for them.

A stanza begins with the prompt's name and ends with its file: two lines that promotions leave alone. So git merges two
branches that promoted neighbors without help.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

LOCK_NAME = "promptstudio.lock"
LOCK_VERSION = 1
HEAD = """\
# Written by ps: the labels of prompts, and the evaluations they were promoted on.
# Change it with `ps promote`, `ps label`, `ps rollback` and `ps evidence`; `ps verify` finds other changes.
lock_version: 1

prompts:
"""
EMPTY = HEAD.replace("prompts:\n", "prompts: {}\n")

LockPath = tuple[str | int, ...]
Gate = Literal["met", "missed"]

# What may stand without quotes, in a list too; a colon within a word is no key for YAML.
_PLAIN = re.compile(r"[^\W_](?:[\w./@+()<>=-]|:(?=\w)| (?=[\w(<]))*")
_NO_TEXT = re.compile(
    r"[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|0[ox][0-9a-fA-F]+|(?i:true|false|null|yes|no|on|off|y|n)|[0-9]+(?::[0-9]+)+"
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One evaluation of one behavior. `at` is UTC, `2026-11-21T10:00:00Z`; `run` an id or an address."""

    suite: str
    cases: int
    passed: int
    failed: int
    gate: Gate
    at: str
    errors: int = 0
    unscored: int = 0
    run: str | None = None
    model: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """Where a label points, and what the prompt was there.

    `file` is the prompt's path in that commit and `includes` has those of the other files it read, each with its
    `sha256:…`; paths start at the project's root. `evaluations` are those of `behavior`.
    """

    commit: str
    file: str
    behavior: str
    interface: str
    text: str
    promoted: str
    by: str
    version: str | None = None
    reason: str | None = None
    variants: Mapping[str, str] = field(default_factory=dict)
    includes: Mapping[str, str] = field(default_factory=dict)
    evaluations: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Stanza:
    """One prompt. `evaluations` are those of behaviors that no label has, by behavior hash."""

    name: str
    file: str
    labels: Mapping[str, Label] = field(default_factory=dict)
    evaluations: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)

    def evidence(self, behavior: str) -> tuple[Evidence, ...]:
        """Return what is known of a behavior, each evaluation once, oldest first."""
        found = dict.fromkeys(self.evaluations.get(behavior, ()))
        for label in self.labels.values():
            if label.behavior == behavior:
                found |= dict.fromkeys(label.evaluations)
        return tuple(sorted(found, key=evidence_order))


@dataclass(frozen=True)
class Lock:
    """The whole file. `source` is its text as it was read, empty where there is none."""

    prompts: Mapping[str, Stanza] = field(default_factory=dict)
    file: str = LOCK_NAME
    source: str = field(default="", repr=False)
    places: Mapping[LockPath, int] | None = field(default=None, repr=False)  # of a text that ps did not write

    @property
    def is_canonical(self) -> bool:
        """Whether the text is exactly what ps would write."""
        return self.places is None or self.source == lock_text(self.prompts.values())

    def label(self, prompt: str, label: str) -> Label | None:
        stanza = self.prompts.get(prompt)
        return stanza.labels.get(label) if stanza else None

    def line_of(self, *path: str | int) -> int | None:
        """Return the line of `(prompt, "labels", label, "commit")`, or of the nearest thing around it."""
        found = (self._line_numbers.get(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in found if line is not None), None)

    @functools.cached_property
    def _line_numbers(self) -> Mapping[LockPath, int]:
        if self.places is not None:
            return self.places
        return {place: number for number, (place, _) in enumerate(_lines(self.prompts.values()), 1) if place}


def evidence_order(evidence: Evidence) -> tuple[str, str, str, int]:
    return evidence.at, evidence.suite, evidence.run or "", evidence.passed


def is_passing(evidence: Iterable[Evidence]) -> bool:
    """Whether the newest evaluation of every suite met its gate, and there is one at all."""
    newest = {one.suite: one for one in sorted(evidence, key=evidence_order)}
    return bool(newest) and all(one.gate == "met" and one.cases > 0 for one in newest.values())


def lock_text(stanzas: Iterable[Stanza]) -> str:
    """Return the text of a lock file: sorted, always the same for the same content."""
    return "".join(f"{line}\n" for _, line in _lines(stanzas))


def stanza_text(stanza: Stanza) -> str:
    return "".join(f"{line}\n" for _, line in _stanza_lines(stanza))


def label_text(stanza: str, name: str, label: Label) -> str:
    return "".join(f"{line}\n" for _, line in _label_lines((stanza, "labels", name), name, label))


def _lines(stanzas: Iterable[Stanza]) -> Iterator[tuple[LockPath, str]]:
    """Yield each line with the path of what stands on it."""
    ordered = sorted(stanzas, key=lambda stanza: stanza.name)
    for line in (HEAD if ordered else EMPTY).splitlines():
        yield (), line
    for stanza in ordered:
        yield (), ""
        yield from _stanza_lines(stanza)


def _stanza_lines(stanza: Stanza) -> Iterator[tuple[LockPath, str]]:
    at: LockPath = (stanza.name,)
    yield at, f"  {scalar(stanza.name)}:"
    if stanza.evaluations:
        yield (*at, "evaluations"), "    evaluations:"
        for behavior in sorted(stanza.evaluations):
            yield (*at, "evaluations", behavior), f"      {behavior}:"
            yield from _evidence_lines((*at, "evaluations", behavior), stanza.evaluations[behavior], "        ")
    if stanza.labels:
        yield (*at, "labels"), "    labels:"
        for name in sorted(stanza.labels):
            yield from _label_lines((*at, "labels", name), name, stanza.labels[name])
    yield (*at, "file"), f"    file: {scalar(stanza.file)}"


def _label_lines(at: LockPath, name: str, label: Label) -> Iterator[tuple[LockPath, str]]:
    yield at, f"      {scalar(name)}:"
    for key in ("version", "commit", "file"):
        value: str | None = getattr(label, key)
        if value is not None:
            yield (*at, key), f"        {key}: {scalar(value)}"
    for key in ("behavior", "interface", "text"):
        yield (*at, key), f"        {key}: {getattr(label, key)}"
    for key, values in (("variants", label.variants), ("includes", label.includes)):
        if values:
            yield (*at, key), f"        {key}:"
            for each in sorted(values):
                yield (*at, key, each), f"          {scalar(each)}: {values[each]}"
    yield (*at, "by"), f"        by: {scalar(label.by)}"
    if label.reason is not None:
        yield (*at, "reason"), f"        reason: {scalar(label.reason)}"
    # The moment is another in every promotion. Below `by`, it takes the reason along into one side of a conflict.
    yield (*at, "promoted"), f"        promoted: {label.promoted}"
    if label.evaluations:
        yield (*at, "evaluations"), "        evaluations:"
        yield from _evidence_lines((*at, "evaluations"), label.evaluations, "          ")


def _evidence_lines(at: LockPath, evaluations: Iterable[Evidence], indent: str) -> Iterator[tuple[LockPath, str]]:
    for index, one in enumerate(sorted(evaluations, key=evidence_order)):
        yield (*at, index), f"{indent}- {{{', '.join(f'{key}: {value}' for key, value in _pairs(one))}}}"


def _pairs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield "suite", scalar(evidence.suite)
    for key in ("run", "model", "commit"):
        value: str | None = getattr(evidence, key)
        if value is not None:
            yield key, scalar(value)
    for key in ("cases", "passed", "failed", "errors"):
        yield key, str(getattr(evidence, key))
    if evidence.unscored:
        yield "unscored", str(evidence.unscored)
    yield "gate", evidence.gate
    yield "at", scalar(evidence.at)


@functools.lru_cache(maxsize=8192)
def scalar(text: str) -> str:
    """Return a text on one line as YAML reads it back: plain where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(text) and not _NO_TEXT.fullmatch(text):
        return text
    return _not_yaml().sub(_escaped, json.dumps(text, ensure_ascii=False))


@functools.cache
def _not_yaml() -> re.Pattern[str]:
    """What JSON lets stand in a text and YAML does not, or what would change the direction of what is read."""
    # Here for weight: hardly a lock file needs it.
    return re.compile(
        "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
    )


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]
