"""The text of a `promptstudio.lock` → `Lock`.

What ps wrote is read by its exact layout, quickly: the result counts only where writing it again gives the same text.
Everything else is read as YAML, strictly, and each thing that is wrong is named with its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import LockFileError, Problem
from promptstudio.prompts.wording import found, shown, suggestion
from promptstudio.versions.stanza import EMPTY, HEAD, LOCK_NAME, LOCK_VERSION, Evidence, Label, Lock, Stanza, lock_text

MAX_BYTES = 32 << 20
MAX_NODES = 2_000_000

HASH = re.compile(r"p[1-9][0-9]*:[0-9a-f]{64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LABEL = re.compile(r"[^\W_](?:[\w.-]{0,58}\w)?")
# What `@` would take for something else: git's own names, versions, commits.
_NO_LABEL = re.compile(r"(?:.*_)?HEAD|v?\d+(?:\.[\w.+-]*)?|[0-9a-f]{7,64}|label|refs")
_TEXT = re.compile(r"\S.*", re.DOTALL)
_FIXED = re.compile(" ".join(each.pattern for each in (COMMIT, HASH, HASH, HASH, MOMENT)))

# Key → what its text looks like, what to say where it does not, and whether it may be missing.
_LABEL_KEYS = {
    "version": (_TEXT, "a version", True),
    "commit": (COMMIT, "a commit's 40 hex digits", False),
    "file": (_TEXT, "a path", False),
    "behavior": (HASH, "`p1:` and 64 hex digits", False),
    "interface": (HASH, "`p1:` and 64 hex digits", False),
    "text": (HASH, "`p1:` and 64 hex digits", False),
    "promoted": (MOMENT, "a moment such as 2026-11-21T10:00:00Z", False),
    "by": (_TEXT, "a name", False),
    "reason": (_TEXT, "a text", True),
}
_EVIDENCE_TEXTS = {
    "suite": (_TEXT, "a name", False),
    "run": (_TEXT, "a text", True),
    "model": (_TEXT, "a text", True),
    "commit": (COMMIT, "a commit's 40 hex digits", True),
    "gate": (re.compile("met|missed"), "met or missed", False),
    "at": (MOMENT, "a moment such as 2026-11-21T10:00:00Z", False),
}
_EVIDENCE_COUNTS = {"cases": False, "passed": False, "failed": False, "errors": True, "unscored": True}

# -- as ps wrote it

_KEY = r'("(?:[^"\\\n]|\\.)*"|[^\s"#][^\n]*?)'
_STANZA = re.compile(rf"\n  {_KEY}:\n((?:    [^\n]*\n)+)")
_PART = re.compile(r"    (evaluations|labels):\n((?:      [^\n]*\n)+)|    file: ([^\n]+)\n")
_LABEL_PART = re.compile(rf"      {_KEY}:\n((?:        [^\n]*\n)+)")
_VALUE = re.compile(r"        (\w+): ([^\n]+)\n|        (variants|includes|evaluations):\n((?:          [^\n]*\n)+)")
_PAIR = re.compile(rf"          {_KEY}: ([^\n]+)\n")
_BEHAVIOR_PART = re.compile(r"      (p[^\s]+):\n((?:        - [^\n]*\n)+)")
_EVIDENCE = re.compile(r" +- \{([^\n]*)\}\n")
_FLOW = re.compile(r'(\w+): ("(?:[^"\\\n]|\\.)*"|[^,"]+)(?:, |$)')


def is_label_name(name: str) -> bool:
    """Whether a word can be a label, and after `@` means nothing else by its form."""
    return LABEL.fullmatch(name) is not None and _NO_LABEL.fullmatch(name) is None


def parse_lock(text: str, *, file: str = LOCK_NAME) -> Lock:
    """Read the text of a lock file. Raises LockFileError with every problem and its line."""
    if not text or text == EMPTY:
        return Lock({}, file, text)
    return _quick(text, file) or _strict(text, file)


def _quick(text: str, file: str) -> Lock | None:
    if not text.startswith(HEAD):
        return None
    try:
        prompts = {name: _quick_stanza(name, body) for name, body in _blocks(_STANZA, text, len(HEAD))}
    except (ValueError, LookupError, TypeError):
        return None
    return Lock(prompts, file, text) if _is_sound(prompts) and lock_text(prompts.values()) == text else None


def _blocks(pattern: re.Pattern[str], text: str, start: int = 0) -> Iterator[tuple[str, str]]:
    return ((_plain(match[1]), match[2]) for match in pattern.finditer(text, start))


def _plain(text: str) -> str:
    if text[0] != '"':
        return text
    value = json.loads(text)
    if not isinstance(value, str):
        raise TypeError(text)
    return value


def _quick_stanza(name: str, body: str) -> Stanza:
    parts = {match[1] or "file": match[2] or match[3] for match in _PART.finditer(body)}
    labels = {label: _quick_label(lines) for label, lines in _blocks(_LABEL_PART, parts.get("labels", ""))}
    evaluations = {
        behavior: _quick_evidence(lines) for behavior, lines in _blocks(_BEHAVIOR_PART, parts.get("evaluations", ""))
    }
    return Stanza(name, _plain(parts["file"]), labels, evaluations)


def _quick_label(body: str) -> Label:
    values: dict[str, Any] = {}
    for match in _VALUE.finditer(body):
        if match[1]:
            values[match[1]] = _plain(match[2])
        elif match[3] == "evaluations":
            values["evaluations"] = _quick_evidence(match[4])
        else:
            values[match[3]] = {_plain(key): _plain(value) for key, value in _PAIR.findall(match[4])}
    return Label(**values)


def _quick_evidence(body: str) -> tuple[Evidence, ...]:
    return tuple(_quick_one(match[1]) for match in _EVIDENCE.finditer(body))


def _quick_one(text: str) -> Evidence:
    values: dict[str, Any] = {key: _plain(value) for key, value in _FLOW.findall(text)}
    for count in _EVIDENCE_COUNTS:
        if count in values:
            values[count] = int(values[count])
    return Evidence(**values)


def _is_sound(prompts: Mapping[str, Stanza]) -> bool:
    """Whether every value looks as it must; the layout alone does not say so."""
    return all(
        all(LABEL.fullmatch(name) and _is_sound_label(label) for name, label in stanza.labels.items())
        and all(HASH.fullmatch(behavior) for behavior in stanza.evaluations)
        and all(_is_sound_evidence(one) for each in stanza.evaluations.values() for one in each)
        for stanza in prompts.values()
    )


def _is_sound_label(label: Label) -> bool:
    """The same rules as `_LABEL_KEYS`, in one go."""
    fixed = f"{label.commit} {label.behavior} {label.interface} {label.text} {label.promoted}"
    return (
        _FIXED.fullmatch(fixed) is not None
        and all(text is None or text[:1].strip() for text in (label.version, label.file, label.by, label.reason))
        and all(map(HASH.fullmatch, label.variants.values()))
        and all(map(DIGEST.fullmatch, label.includes.values()))
        and all(map(_is_sound_evidence, label.evaluations))
    )


def _is_sound_evidence(evidence: Evidence) -> bool:
    return all(_fits(getattr(evidence, key), *rule) for key, rule in _EVIDENCE_TEXTS.items())


def _fits(value: str | None, pattern: re.Pattern[str], _said: str, optional: bool) -> bool:
    return optional if value is None else pattern.fullmatch(value) is not None


# -- as somebody else wrote it


def _strict(text: str, file: str) -> Lock:
    # weight: a lock file that ps wrote is read without a YAML parser
    from promptstudio.prompts.yamlfile import read_yaml

    document = read_yaml(text, file=file, error=LockFileError, max_bytes=MAX_BYTES, max_nodes=MAX_NODES)
    reading = _Reading(file, lambda path: (document.keys.get(path) or document.place_of(path))[0])
    prompts = reading.lock(document.value)
    if reading.problems:
        raise LockFileError(reading.problems)
    places = {path[1:]: place[0] for path, place in document.keys.items() if path[0] == "prompts" and len(path) > 1}
    items = ((path, place) for path, place in document.positions.items() if path and isinstance(path[-1], int))
    places |= {path[1:]: place[0] for path, place in items}
    return Lock(prompts, file, text, places)


@dataclass(slots=True)
class _Reading:
    """The checks of one file; all problems are collected."""

    file: str
    line_of: Callable[[tuple[str | int, ...]], int]
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, path: tuple[str | int, ...], message: str, hint: str | None = None) -> None:
        where = " › ".join(str(part) for part in path[1:])
        text = f"{where}: {message}" if where else message
        self.problems.append(Problem(text, file=self.file, line=self.line_of(path), hint=hint))

    def lock(self, value: Any) -> dict[str, Stanza]:
        top = self.map((), value, ("lock_version", "prompts"))
        version = top.get("lock_version")
        if version != LOCK_VERSION or isinstance(version, bool):
            hint = "a newer ps may have written it: update this one" if isinstance(version, int) else None
            self.wrong(("lock_version",), f"lock_version: expected {LOCK_VERSION}, found {found(version)}", hint)
            return {}
        prompts = self.map(("prompts",), top.get("prompts", {}), None)
        return {name: self.stanza(("prompts", name), name, body) for name, body in prompts.items()}

    def map(self, path: tuple[str | int, ...], value: Any, keys: tuple[str, ...] | None) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.wrong(path, f"expected a map, found {found(value)}")
            return {}
        for key in value if keys is not None else ():
            if key not in (keys or ()):
                self.wrong((*path, key), f"unknown key {shown(key)}", suggestion(key, keys or ()))
        return value

    def stanza(self, path: tuple[str | int, ...], name: str, value: Any) -> Stanza:
        body = self.map(path, value, ("evaluations", "labels", "file"))
        labels = self.map((*path, "labels"), body.get("labels", {}), None)
        evaluations = self.map((*path, "evaluations"), body.get("evaluations", {}), None)
        for label in labels:
            if not LABEL.fullmatch(label):
                self.wrong((*path, "labels", label), "not a name of a label", "letters, digits, `.`, `-` and `_`")
        for behavior in evaluations:
            if not HASH.fullmatch(behavior):
                self.wrong(
                    (*path, "evaluations", behavior), f"expected `p1:` and 64 hex digits, found {shown(behavior)}"
                )
        return Stanza(
            name,
            self.text(path, body, "file", _TEXT, "a path") or "",
            {label: self.label((*path, "labels", label), each) for label, each in labels.items()},
            {
                behavior: self.evaluations((*path, "evaluations", behavior), each)
                for behavior, each in evaluations.items()
            },
        )

    def label(self, path: tuple[str | int, ...], value: Any) -> Label:
        body = self.map(path, value, (*_LABEL_KEYS, "variants", "includes", "evaluations"))
        texts: dict[str, Any] = {key: self.text(path, body, key, *rule) for key, rule in _LABEL_KEYS.items()}
        return Label(
            **texts,
            variants=self.texts((*path, "variants"), body.get("variants", {}), HASH, "`p1:` and 64 hex digits"),
            includes=self.texts((*path, "includes"), body.get("includes", {}), DIGEST, "`sha256:` and 64 hex digits"),
            evaluations=self.evaluations((*path, "evaluations"), body.get("evaluations", [])),
        )

    def texts(self, path: tuple[str | int, ...], value: Any, pattern: re.Pattern[str], said: str) -> dict[str, str]:
        body = self.map(path, value, None)
        return {key: self.text(path, body, key, pattern, said) or "" for key in body}

    def text(
        self,
        path: tuple[str | int, ...],
        body: Mapping[str, Any],
        key: str,
        pattern: re.Pattern[str],
        said: str,
        optional: bool = False,
    ) -> str | None:
        if key not in body:
            if not optional:
                self.wrong(path, f"missing key {key!r}")
            return None
        value = body[key]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            hint = "quote it" if isinstance(value, int | float) else None
            self.wrong((*path, key), f"expected {said}, found {found(value)}", hint)
            return None
        return value

    def evaluations(self, path: tuple[str | int, ...], value: Any) -> tuple[Evidence, ...]:
        if not isinstance(value, list):
            self.wrong(path, f"expected a list, found {found(value)}")
            return ()
        read = [self.evidence((*path, index), each) for index, each in enumerate(value)]
        return tuple(one for one in read if one is not None)

    def evidence(self, path: tuple[str | int, ...], value: Any) -> Evidence | None:
        before = len(self.problems)
        body = self.map(path, value, (*_EVIDENCE_TEXTS, *_EVIDENCE_COUNTS))
        values: dict[str, Any] = {key: self.text(path, body, key, *rule) for key, rule in _EVIDENCE_TEXTS.items()}
        for key, optional in _EVIDENCE_COUNTS.items():
            values[key] = self.count(path, body, key, optional=optional)
        return Evidence(**values) if len(self.problems) == before else None

    def count(self, path: tuple[str | int, ...], body: Mapping[str, Any], key: str, *, optional: bool) -> int:
        value = body.get(key, 0 if optional else None)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.wrong((*path, key), f"expected a count, found {found(value)}")
            return 0
        return value
