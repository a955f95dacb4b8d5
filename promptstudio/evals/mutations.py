"""What can be wrong with an answer, as functions: a good answer → one that is not, or None where it does not apply.

Pure, and decided by the random numbers they are given. An equivalent mutation changes nothing that matters: an
assertion that notices it is stricter than it means to be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from promptstudio.evals.negation import negated, script_of
from promptstudio.evals.schema import Answer

Path = tuple[str | int, ...]
MAX_LEAVES = 2_000


@dataclass(frozen=True, slots=True)
class Material:
    """What a mutation may use: its random numbers, and answers that were given to other cases."""

    random: Random
    others: Sequence[Answer] = ()


@dataclass(frozen=True, slots=True)
class Mutation:
    """`title` completes "the answer is …"."""

    name: str
    title: str
    apply: Callable[[Answer, Material], Answer | None]
    is_equivalent: bool = False


def mutants_of(answer: Answer, others: Sequence[Answer], seed: str) -> Iterator[tuple[Mutation, Answer]]:
    """Yield what the mutations make of an answer, in the order of the table; those that change nothing are left out."""
    for mutation in MUTATIONS:
        try:
            found = mutation.apply(answer, Material(Random(f"{seed}:{mutation.name}"), others))  # noqa: S311 - no secret
        except RecursionError:
            continue  # data nested so deeply that nobody wrote it
        if found is not None and _content(found) != _content(answer):
            yield mutation, found


def _content(answer: Answer) -> tuple[Any, ...]:
    return answer.text, json.dumps(answer.output, sort_keys=True, default=str), answer.tool_calls


def _said(answer: Answer, text: str) -> Answer:
    """Return the answer with another text, which is no data any more."""
    return replace(answer, text=text, output=None, tool_calls=())


def _structured(answer: Answer) -> Any:
    """Return the typed output, or what the text holds as JSON; None for prose."""
    if answer.output is not None:
        return answer.output
    text = answer.text.strip()
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _with_data(answer: Answer, data: Any) -> Answer:
    text = json.dumps(data, ensure_ascii=False)
    return replace(answer, text=text, output=data if answer.output is not None else None)


# -- places in data -------------------------------------------------------------------------------------------------


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(part, (*path, index))
    else:
        yield path, value


def _some_leaves(value: Any) -> list[tuple[Path, Any]]:
    found = []
    for number, leaf in enumerate(_leaves(value)):
        if number >= MAX_LEAVES:
            break
        found.append(leaf)
    return found


def _changed(value: Any, path: Path, new: Any) -> Any:
    """Return a copy with another value at a path."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: _changed(part, rest, new) if key == step else part for key, part in value.items()}
    return [_changed(part, rest, new) if index == step else part for index, part in enumerate(value)]


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(part, change) for key, part in value.items()}
    return [_each_text(part, change) for part in value] if isinstance(value, list) else value


# -- the mutations --------------------------------------------------------------------------------------------------


def _empty(answer: Answer, _: Material) -> Answer:
    return _said(answer, "")


def _truncated(answer: Answer, _: Material) -> Answer | None:
    """Keep the first half, whole words where there are several."""
    text = answer.text or ("" if answer.output is None else json.dumps(answer.output, ensure_ascii=False))
    words = re.findall(r"\s*\S+", text)
    if len(words) >= 2 and _structured(answer) is None:
        return _said(answer, "".join(words[: len(words) // 2]))
    return _said(answer, text[: len(text) // 2]) if len(text) >= 4 else None


def _negated(answer: Answer, material: Material) -> Answer | None:
    data = _structured(answer)
    if data is None or isinstance(data, str):
        text = negated(answer.text)
        return None if text is None else _said(answer, text)
    flags = [(path, value) for path, value in _some_leaves(data) if isinstance(value, bool)]
    if flags:
        path, value = material.random.choice(flags)
        return _with_data(answer, _changed(data, path, not value))
    texts = [(path, value) for path, value in _some_leaves(data) if isinstance(value, str) and " " in value.strip()]
    for place, said in material.random.sample(texts, len(texts)):
        if (opposite := negated(said)) is not None:
            return _with_data(answer, _changed(data, place, opposite))
    return None


def _missing_field(answer: Answer, material: Material) -> Answer | None:
    data = _structured(answer)
    if not isinstance(data, dict) or not data:
        return None
    gone = material.random.choice(sorted(data, key=str))
    return _with_data(answer, {key: value for key, value in data.items() if key != gone})


def _wrong_value(answer: Answer, material: Material) -> Answer | None:
    data = _structured(answer)
    leaves = _some_leaves(data) if isinstance(data, dict | list) else []
    if not leaves:
        return _wrong_number(answer, material)
    path, value = material.random.choice(leaves)
    return _with_data(answer, _changed(data, path, _other_value(value)))


def _other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if abs(value) < 1e15 else 0
    return f"{value} x" if isinstance(value, str) else "x"


def _wrong_number(answer: Answer, material: Material) -> Answer | None:
    """Count one of the numbers in a text up by one; digits of every script are numbers."""
    found = list(re.finditer(r"(?<![\w.])\d{1,15}(?![\w.]\d)", answer.text))
    if not found:
        return None
    match = material.random.choice(found)
    number = str(int(match[0]) + 1)
    zero = ord(match[0][0]) - int(match[0][0])
    written = "".join(chr(zero + int(digit)) for digit in number)
    return _said(answer, answer.text[: match.start()] + written + answer.text[match.end() :])


# What has nothing to do with any question, in a script that differs from the answer's.
_ELSEWHERE = {
    "latin": "هذا نص قصير بلغة أخرى لا علاقة له بالسؤال.",
    "arabic": "This is a short text in another language.",
    "hebrew": "This is a short text in another language.",
    "other": "This is a short text in another language.",
}
_REFUSALS = {
    "arabic": "عذرًا، لا يمكنني المساعدة في ذلك.",
    "hebrew": "מצטער, אני לא יכול לעזור בזה.",
}
_REFUSAL = "I'm sorry, but I can't help with that."


def _other_language(answer: Answer, _: Material) -> Answer | None:
    data = _structured(answer)
    if isinstance(data, dict | list):
        changed = _each_text(data, lambda text: _ELSEWHERE[script_of(text)] if " " in text.strip() else text)
        return _with_data(answer, changed) if changed != data else None
    return _said(answer, _ELSEWHERE[script_of(answer.text)]) if answer.text.strip() else None


def _refusal(answer: Answer, _: Material) -> Answer:
    return _said(answer, _REFUSALS.get(script_of(answer.text), _REFUSAL))


def _swapped(answer: Answer, material: Material) -> Answer | None:
    others = [other for other in material.others if _content(other) != _content(answer)]
    if not others:
        return None
    other = material.random.choice(others)
    return replace(answer, text=other.text, output=other.output, tool_calls=other.tool_calls)


def _no_tool_call(answer: Answer, _: Material) -> Answer | None:
    return replace(answer, tool_calls=()) if answer.tool_calls else None


def _wrong_argument(answer: Answer, material: Material) -> Answer | None:
    """Change one argument of one call."""
    calls = list(answer.tool_calls)
    for index in material.random.sample(range(len(calls)), len(calls)):
        try:
            arguments = json.loads(calls[index].arguments or "{}")
        except (ValueError, RecursionError):
            continue
        if leaves := _some_leaves(arguments) if isinstance(arguments, dict) else []:
            path, value = material.random.choice(leaves)
            changed = json.dumps(_changed(arguments, path, _other_value(value)), ensure_ascii=False)
            calls[index] = replace(calls[index], arguments=changed)
            return replace(answer, tool_calls=tuple(calls))
    return None


def _noise(answer: Answer, _: Material) -> Answer | None:
    """Other white space around and the other case of the first letter; data is written with other white space."""
    data = _structured(answer)
    if isinstance(data, dict | list):
        return replace(answer, text=json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    text = answer.text
    return replace(answer, text=f"{text[:1].swapcase()}{text[1:].rstrip()} \n") if text.strip() else None


MUTATIONS: tuple[Mutation, ...] = (
    Mutation("empty", "empty", _empty),
    Mutation("truncated", "cut off in the middle", _truncated),
    Mutation("negated", "the opposite", _negated),
    Mutation("missing-field", "data without one of its fields", _missing_field),
    Mutation("wrong-value", "with another value or number in it", _wrong_value),
    Mutation("other-language", "in another language", _other_language),
    Mutation("refusal", "a refusal", _refusal),
    Mutation("swapped", "the answer to another case", _swapped),
    Mutation("no-tool-call", "without the tools it called", _no_tool_call),
    Mutation("wrong-argument", "a tool called with another argument", _wrong_argument),
    Mutation("noise", "the same with other white space and case", _noise, is_equivalent=True),
)
