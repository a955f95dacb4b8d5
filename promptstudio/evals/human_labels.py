"""A file of people's labels, one JSON map a line → `HumanLabel`s that know their line. All that is wrong at once.

A label is about a stored result of a run (`case`), or about an answer that it brings along (`answer`).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptstudio.errors import NothingSelected, Problem, PromptStudioError, UserError
from promptstudio.evals.datasets import fingerprint
from promptstudio.evals.schema import Answer, Case
from promptstudio.prompts.includes import read_json
from promptstudio.prompts.wording import found, nearest, shown

MAX_BYTES = 64 << 20
MAX_PROBLEMS = 100
_WORDS = {"pass": 1.0, "fail": 0.0, "true": 1.0, "false": 0.0}
_ALIASES = {"case": "id", "vars": "inputs", "expected": "expected_output", "reference": "expected_output"}
_KEYS = ("id", "prompt", "model", "repeat", "inputs", "answer", "expected_output", "context", "retrieval_context",
         "label", "metric", "rater", "language", "comment")  # fmt: skip
_ONLY_WITH_ANSWER = ("inputs", "expected_output", "context", "retrieval_context")
_ONLY_OF_RUN = ("prompt", "model", "repeat")
# The first word of a letter's name in Unicode → the script it is written in, where that is another word.
_SCRIPTS = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana", "FULLWIDTH": "Latin"}
_LOOKED_AT = 4_000  # letters of a text are enough to know its script


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """An answer that a label brings along, and the case it is of."""

    case: Case
    answer: Answer


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """What one person said of one answer: 1 good, 0 bad, or in between. `repeat` counts from 0, as in reports.

    `case` names a stored result; None where the answer comes along as `own`. No `rater` is a rater as well.
    """

    value: float
    file: str
    line: int
    case: str | None = None
    prompt: str | None = None
    model: str | None = None
    repeat: int | None = None
    own: OwnAnswer | None = None
    metric: str | None = None
    rater: str | None = None
    language: str | None = None

    def problem(self, message: str, hint: str | None = None) -> Problem:
        return Problem(message, file=self.file, line=self.line, hint=hint)


@dataclass(frozen=True, slots=True)
class LabelsFile:
    """The labels of a file. `digest` is a hash of its bytes."""

    shown: str
    digest: str
    labels: tuple[HumanLabel, ...] = ()

    def about(self, metric: str | None) -> LabelsFile:
        """Return the file with a metric for the labels that have none of their own."""
        if metric is None:
            return self
        return replace(self, labels=tuple(replace(one, metric=one.metric or metric) for one in self.labels))


def read_labels(path: Path, shown_path: str) -> LabelsFile:
    """Read a file of labels. Raises UserError with every problem, NothingSelected for a file without a label."""
    data = _bytes_of(path, shown_path)
    labels: list[HumanLabel] = []
    problems: list[Problem] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            text = line.decode("utf-8").removeprefix("\ufeff" if number == 1 else "")
            if text.strip():
                labels.append(_label(read_json(text, file=shown_path, line=number), _Row(shown_path, number)))
        except UnicodeDecodeError:
            problems.append(Problem("not UTF-8", file=shown_path, line=number, hint="save the file as UTF-8"))
        except PromptStudioError as error:
            problems += error.problems
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise UserError(problems)
    if not labels:
        raise NothingSelected(
            f"{shown_path}: there is no label in the file", hint='a line is a label: {"case": "ada", "label": "pass"}'
        )
    return LabelsFile(shown_path, hashlib.sha256(data).hexdigest()[:32], tuple(labels))


def _bytes_of(path: Path, file: str) -> bytes:
    if not path.is_file():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, siblings)
        said = "not a regular file" if path.exists() else "there is no such file"
        raise UserError(said, file=file, hint=close and f"did you mean {close!r}?")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"the file has {size:,} bytes; the limit is {MAX_BYTES:,}", file=file)
        return path.read_bytes()
    except OSError as cause:
        raise UserError(f"cannot read the file: {cause.strerror}", file=file) from cause


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    line: int

    def fault(self, message: str, hint: str | None = None) -> UserError:
        return UserError(message, file=self.file, line=self.line, hint=hint)


def _label(item: Any, at: _Row) -> HumanLabel:
    if not isinstance(item, dict):
        raise at.fault(f"a label is a map, found {found(item)}", 'as in {"case": "ada", "label": "pass"}')
    raw = _with_own_names(item, at)
    own = _own(raw, at)
    case = _name(raw, "id", at)
    if own is None and case is None:
        raise at.fault(
            "the label says neither which case it is about, nor which answer",
            'write "case" for a stored result, or "answer" with its "inputs"',
        )
    return HumanLabel(
        _value(raw, at),
        at.file,
        at.line,
        None if own else case,
        _name(raw, "prompt", at),
        _name(raw, "model", at),
        _repeat(raw, at),
        own,
        _name(raw, "metric", at),
        _name(raw, "rater", at),
        _name(raw, "language", at),
    )


def _with_own_names(item: Mapping[str, Any], at: _Row) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for key, value in item.items():
        name = _ALIASES.get(key, key)
        if key.startswith("x-"):
            continue
        if name not in _KEYS:
            close = nearest(key, [*_KEYS, *_ALIASES])
            hint = f"did you mean {close!r}?" if close else f"a label has {', '.join(_KEYS)}, or x-… of your own"
            raise at.fault(f"unknown key {shown(key)} in a label", hint)
        if name in raw:
            raise at.fault(f"{shown(key)} and another name of {name} are both given", f"keep {name}")
        if value is not None:
            raw[name] = value
    wrong = _ONLY_OF_RUN if "answer" in raw else _ONLY_WITH_ANSWER
    if misplaced := next((name for name in wrong if name in raw), None):
        what = "is of a stored result, and this label brings its own answer" if "answer" in raw else "needs an `answer`"
        raise at.fault(f"{misplaced} {what}", "a label is about a stored result, or about an answer it brings along")
    return raw


def _value(raw: Mapping[str, Any], at: _Row) -> float:
    hint = "true or false, pass or fail, or a number from 0 to 1"
    value = raw.get("label")
    if value is None:
        raise at.fault("there is no label", hint)
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        if (read := _WORDS.get(value.strip().casefold())) is not None:
            return read
        raise at.fault(f"label: {shown(value)} is no label", hint)
    if not isinstance(value, int | float):
        raise at.fault(f"label: found {found(value)}", hint)
    if not 0 <= value <= 1:
        raise at.fault(f"label: {str(value)[:40]} is out of range", hint)
    return float(value)


def _name(raw: Mapping[str, Any], key: str, at: _Row) -> str | None:
    value = raw.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and key in ("id", "rater"):
        return str(value)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise at.fault(f"{'case' if key == 'id' else key}: expected a name, found {found(value)}")
    return value


def _repeat(raw: Mapping[str, Any], at: _Row) -> int | None:
    value = raw.get("repeat")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise at.fault(f"repeat: expected a whole number from 0, found {found(value)}", "the first answer is repeat 0")
    return value


def _own(raw: Mapping[str, Any], at: _Row) -> OwnAnswer | None:
    if "answer" not in raw:
        return None
    given = raw["answer"]
    inputs = raw.get("inputs", {})
    if not isinstance(inputs, dict):
        raise at.fault(f"inputs: expected a map, found {found(inputs)}")
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    content = {
        "inputs": inputs,
        "answer": given,
        "expected_output": raw.get("expected_output"),
        "context": _texts(raw, "context", at),
        "retrieval_context": _texts(raw, "retrieval_context", at),
    }
    case = Case(
        id=_name(raw, "id", at) or fingerprint(content)[:12],
        inputs=inputs,
        expected_output=raw.get("expected_output"),
        context=tuple(content["context"]),
        retrieval_context=tuple(content["retrieval_context"]),
        metadata={"content": fingerprint(content)},
        file=at.file,
        line=at.line,
    )
    return OwnAnswer(case, Answer(text, output=None if isinstance(given, str) else given))


def _texts(raw: Mapping[str, Any], key: str, at: _Row) -> list[str]:
    value = raw.get(key, [])
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise at.fault(f"{key}: expected text or a list of texts, found {found(value)}")
    return items


def double_labels(labels: Mapping[Any, list[HumanLabel]]) -> Iterator[Problem]:
    """Yield a problem for each second label of one rater for one answer. The keys are what was labeled."""
    for of_one in labels.values():
        counted: Counter[str | None] = Counter()
        first: dict[str | None, HumanLabel] = {}
        for label in of_one:
            counted[label.rater] += 1
            if counted[label.rater] == 1:
                first[label.rater] = label
                continue
            name = f"case {shown(label.case)}" if label.case is not None else "this answer"
            who = f"{shown(label.rater)} labeled" if label.rater is not None else "there is a label for"
            yield label.problem(
                f"{who} {name} already, in line {first[label.rater].line}",
                "remove one of them" if label.rater is not None else 'say who labeled: "rater": "ada"',
            )


def script_of(text: str) -> str:
    """Return the script most letters of a text are in: Latin, Arabic, Hebrew, Cyrillic, Han …; `none` without any."""
    counted: Counter[str] = Counter()
    for letter in text[:_LOOKED_AT]:
        if letter.isalpha():
            word = unicodedata.name(letter, "OTHER").split()[0].split("-")[0]
            counted[_SCRIPTS.get(word, word.capitalize())] += 1
    return counted.most_common(1)[0][0] if counted else "none"
