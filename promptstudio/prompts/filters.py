"""The filters and methods a template may use on plain data, each of which pays from the budget before it works.

Only what is in the tables below exists in a template. Left out on purpose: `format`, `center`, `ljust`, `zfill` and
`expandtabs` (a width makes memory out of nothing), `attr` (walks into Python), `random` (the same prompt must give the
same text), `pprint`, `xmlattr`, `urlize`, `striptags`, `wordwrap` and `safe` (HTML, or slow on hostile text).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from promptstudio.prompts.budget import ELEMENT_PRICE, INT_BITS_LIMIT, budget

RANGE_LIMIT = 10_000
NUMBER_TEXT_LIMIT = 400
STRIPPED_LIMIT = 100
_SPLIT_PRICE = 5


class RefusedError(Exception):
    """The template asks for something templates may not do."""


def text_of(value: object) -> str:
    """How a value is printed: text as it is, null as nothing, everything else as JSON.

    >>> text_of("سلام"), text_of(None), text_of(True), text_of(["é", 1])
    ('سلام', '', 'true', '["é", 1]')
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, (bool, int, float, list, tuple, dict)):
        budget().spend_on(value)
        return json_text(value)
    if isinstance(value, range):
        return json_text(list(value))
    raise RefusedError(f"{noun(value)} cannot be printed")


def json_text(value: object, indent: int | None = None) -> str:
    """JSON with every script left readable: no `\\u` escapes for letters."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_not_json)


def _not_json(value: object) -> object:
    raise RefusedError(f"{noun(value)} cannot be written as JSON")


def noun(value: object) -> str:
    """What kind of value it is, in the words of a prompt file."""
    if isinstance(value, bool):
        return "true or false"
    words = ((str, "text"), ((int, float), "a number"), ((list, tuple, range), "a list"), (dict, "a mapping"))
    name = next((word for kind, word in words if isinstance(value, kind)), None)
    return name or ("null" if value is None else f"what {type(value).__name__.lower()!r} stands for")


def escaped(value: object) -> str:
    """Markup characters as entities, for text that stands between tags in a prompt."""
    text = text_of(value)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        if character in text:
            text = replaced(text, character, entity)
    return text


def tojson(value: object, indent: int | None = None) -> str:
    if indent is not None:
        _bounded("indent", indent, 8)
        budget().spend_on(value)
    return json_text(value, indent)


def replaced(value: object, old: object, new: object, count: int | None = None) -> str:
    text, old_text, new_text = text_of(value), text_of(old), text_of(new)
    times = text.count(old_text) if count is None or count < 0 else min(count, text.count(old_text))
    budget().spend(len(text) + times * max(0, len(new_text) - len(old_text)))
    return text.replace(old_text, new_text, times)


def indented(value: object, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = text_of(value)
    margin = width if isinstance(width, str) else " " * _bounded("indent", width, 200)
    lines = text.split("\n")
    budget().spend(len(text) + len(lines) * (len(margin) + ELEMENT_PRICE))
    return "\n".join(
        margin + line if (line or blank) and (first or number) else line for number, line in enumerate(lines)
    )


def joined(values: Iterable[object], separator: object = "") -> str:
    texts = [text_of(value) for value in values]
    between = text_of(separator)
    budget().spend(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def concatenated(values: Sequence[object]) -> str:
    return joined(values)


def truncated(value: object, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:
    """At most `length` characters, `end` included, cut between words unless `killwords`."""
    text, tail = text_of(value), text_of(end)
    if length < len(tail):
        raise RefusedError(f"truncate: the length {length} is less than that of the ending ({len(tail)})")
    if len(text) <= length + leeway:
        return text
    head = text[: length - len(tail)]
    return (head if killwords else head.rsplit(" ", 1)[0]) + tail


def listed(value: object) -> list[Any]:
    """A list of a list's elements, a mapping's keys or a text's characters; of null, an empty one."""
    if value is None:
        return []
    if not isinstance(value, (str, list, tuple, dict, range)):
        raise RefusedError(f"{noun(value)} has no elements")
    budget().spend(ELEMENT_PRICE * len(value))
    return list(value)


def counted(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, (str, list, tuple, dict, range)):
        raise RefusedError(f"{noun(value)} has no length")
    return len(value)


def items_of(value: object) -> list[tuple[Any, Any]]:
    if value is None:
        return []
    if not isinstance(value, dict):
        raise RefusedError(f"{noun(value)} has no items: only a mapping has")
    return list(value.items())


def reversed_value(value: object) -> str | list[Any]:
    return value[::-1] if isinstance(value, str) else listed(value)[::-1]


def summed(values: Iterable[object], start: float = 0) -> float:
    total = start
    for value in values:
        if not isinstance(value, (int, float)) or not isinstance(start, (int, float)):
            raise RefusedError(f"sum: {noun(value)} is not a number")
        total += value
    return total


def whole_number(value: object, default: object = 0, base: int = 10) -> object:
    try:
        if isinstance(value, str):
            text = value.strip()
            if len(text) > NUMBER_TEXT_LIMIT:
                return default
            return int(text, base) if base != 10 or re.fullmatch(r"[+-]?\d+", text) else int(float(text))
        return int(value)  # type: ignore[call-overload]  # a type it cannot take is a TypeError, answered below
    except (ValueError, TypeError, OverflowError):
        return default


def fraction(value: object, default: object = 0.0) -> object:
    try:
        if isinstance(value, str) and len(value) > NUMBER_TEXT_LIMIT:
            return default
        return float(value)  # type: ignore[arg-type]  # as above
    except (ValueError, TypeError, OverflowError):
        return default


def rounded(value: float, precision: int = 0, method: str = "common") -> float:
    _bounded("round", abs(precision), 100)
    if method == "common":
        return round(value, precision)
    if method not in ("ceil", "floor"):
        raise RefusedError("round: the method is 'common', 'ceil' or 'floor'")
    scale = 10.0**precision
    return float(-(-value * scale // 1) if method == "ceil" else value * scale // 1) / scale


def number_range(*bounds: int) -> range:
    """`range(…)` of at most 10,000 numbers."""
    numbers = range(*bounds)
    try:
        size = len(numbers)
    except OverflowError:
        size = RANGE_LIMIT + 1
    if size > RANGE_LIMIT:
        raise RefusedError(f"range: more than {RANGE_LIMIT:,} numbers")
    return numbers


def words_of(value: object) -> int:
    text = text_of(value)
    budget().spend(len(text) * _SPLIT_PRICE)
    return len(re.findall(r"\w+", text))


def titled(value: object) -> str:
    return re.sub(r"[^-\s({\[<]+", lambda word: word[0][:1].upper() + word[0][1:].lower(), text_of(value))


def percent_encoded(value: object) -> str:
    text = text_of(value)
    budget().spend(len(text) * 12)
    return quote(text)


def _few(characters: str | None) -> str | None:
    """Stripping looks through these once for each character of the text."""
    if characters is not None and len(characters) > STRIPPED_LIMIT:
        raise RefusedError(f"at most {STRIPPED_LIMIT} different characters can be stripped")
    return characters


def _bounded(name: str, number: int, limit: int) -> int:
    if not isinstance(number, int) or not 0 <= number <= limit:
        raise RefusedError(f"{name}: {number!r:.40} is not between 0 and {limit}")
    return number


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "capitalize": lambda value: text_of(value).capitalize(),
    "count": counted,
    "e": escaped,
    "escape": escaped,
    "float": fraction,
    "indent": indented,
    "int": whole_number,
    "items": items_of,
    "length": counted,
    "list": listed,
    "lower": lambda value: text_of(value).lower(),
    "replace": replaced,
    "reverse": reversed_value,
    "round": rounded,
    "string": text_of,
    "title": titled,
    "tojson": tojson,
    "trim": lambda value, chars=None: text_of(value).strip(_few(chars)),
    "truncate": truncated,
    "upper": lambda value: text_of(value).upper(),
    "urlencode": percent_encoded,
    "wordcount": words_of,
}
"""Filters that need nothing of the engine; those that do (`map`, `sort`, …) stand in `template.py`."""

_TEXT_METHODS = (
    "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric isspace "
    "istitle isupper lower removeprefix removesuffix rfind rindex startswith swapcase title upper"
)
_SPLITTING_METHODS = "partition rpartition rsplit split splitlines"

METHODS: dict[type, dict[str, Callable[..., Any]]] = {
    str: {
        **{name: getattr(str, name) for name in (*_TEXT_METHODS.split(), *_SPLITTING_METHODS.split())},
        "strip": lambda text, chars=None: text.strip(_few(chars)),
        "lstrip": lambda text, chars=None: text.lstrip(_few(chars)),
        "rstrip": lambda text, chars=None: text.rstrip(_few(chars)),
        "join": lambda text, values: joined(listed(values), text),
        "replace": replaced,
    },
    dict: {name: getattr(dict, name) for name in ("get", "items", "keys", "values")},
    list: {name: getattr(list, name) for name in ("count", "index")},
    tuple: {name: getattr(tuple, name) for name in ("count", "index")},
}


class Method:
    """A method bound to plain data: it pays for what it reads and for what it returns."""

    __slots__ = ("_function", "_name", "_value")

    def __init__(self, value: object, name: str) -> None:
        self._value = value
        self._name = name
        self._function = METHODS[type(value)][name]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        purse = budget()
        price = _SPLIT_PRICE if self._name in _SPLITTING_METHODS.split() else 1
        if isinstance(self._value, str):
            purse.spend(len(self._value) * price)
        elif self._name != "get":
            purse.spend_on(self._value)
        result = self._function(self._value, *args, **kwargs)
        if isinstance(self._value, dict) and self._name != "get":
            result = list(result)
        purse.spend_on(result)
        return result


def method_of(value: object, name: str) -> Method | None:
    """The method `name` of a text, list or mapping, if templates may call it."""
    return Method(value, name) if name in METHODS.get(type(value), {}) else None


def calculated(operator: str, left: Any, right: Any) -> Any:
    """One arithmetic step on plain data, refused before it would make a huge number or text."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        _check_size(operator, left, right)
        return _checked_number(_ARITHMETIC[operator](left, right))
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        budget().spend(len(left) + len(right))
        return left + right
    if operator == "+" and isinstance(left, (list, tuple)) and type(left) is type(right):
        budget().spend_on(left)
        budget().spend_on(right)
        return type(left)([*left, *right])
    if operator == "*":
        return _repeated(left, right)
    raise RefusedError(f"{noun(left)} {operator} {noun(right)} has no meaning in a template{_advice(operator)}")


def _advice(operator: str) -> str:
    return "; join text with ~" if operator in "+%" else ""


def _repeated(left: Any, right: Any) -> Any:
    """`"-" * 3`, either way around."""
    value, times = (right, left) if isinstance(left, int) else (left, right)
    if not isinstance(value, (str, list, tuple)) or not isinstance(times, int):
        raise RefusedError(f"{noun(left)} * {noun(right)} has no meaning in a template")
    budget().spend(len(value) * max(0, times) * (1 if isinstance(value, str) else ELEMENT_PRICE))
    result = value * times
    budget().spend_on(result)
    return result


def _check_size(operator: str, left: float, right: float) -> None:
    if not isinstance(left, int) or not isinstance(right, int):
        return
    bits = left.bit_length() + right.bit_length()
    if operator == "**" and abs(left) > 1:
        bits = left.bit_length() * abs(right)
    if bits > INT_BITS_LIMIT * 2:
        raise RefusedError("the number is too large")


def _checked_number(value: Any) -> Any:
    if isinstance(value, complex) or (isinstance(value, int) and value.bit_length() > INT_BITS_LIMIT):
        raise RefusedError("the number is too large or not real")
    return value


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
    "**": lambda left, right: left**right,
}
