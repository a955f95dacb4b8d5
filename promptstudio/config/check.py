"""A parsed promptstudio.toml → everything that is wrong with it. Decides nothing about which value wins."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promptstudio.config.schema import OVERLAY_SECTIONS, Key, key_for, names_below

Path_ = tuple[str, ...]
# A fact about a key: where in the tree, what is wrong, what to do.
Complaint = tuple[Path_, str, str | None]

# The offline provider reads a file of rules where others have an address.
_SCRIPT = Key("providers.offline.api_base", "string", None, "The file with the rules of offline/script.")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOOL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_AGE = re.compile(r"[1-9]\d{0,4}[mhdw]")
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Keys of well-known services: their beginnings, and a digit, which `sk-learn-models` lacks.
_KEY_SHAPE = re.compile(
    r"\b(?:(?:sk|rk|pk)[-_](?=\S*\d)[\w-]{16,}|(?:xai-|gsk_|hf_|glpat-|gh[opsu]_|github_pat_|xox[abpr]-)[\w-]{16,}"
    r"|AIza[\w-]{30,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{10,}\.[\w-]{10,}|(?:Bearer|Basic)\s+\S{8,})"
)
# Random letters of both cases with digits, as keys without a telling beginning are.
_RANDOM = re.compile(r"(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])[A-Za-z0-9]{32,}")
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie", "x-goog-api-key"}
)
_CONNECTION_WORDS = frozenset({"api_key", "api_base", "base_url", "headers", "extra_headers", "organization"})
_IN_ENVIRONMENT = "a secret lives in an environment variable; write only the variable's name here"


def looks_secret(text: str) -> bool:
    """Say whether a text has the shape of a key of a well-known service."""
    return bool(_KEY_SHAPE.search(text))


def _looks_random(text: str) -> bool:
    return looks_secret(text) or bool(_RANDOM.search(text))


def complaints(tree: Mapping[str, Any]) -> Iterator[Complaint]:
    """Walk a whole file, overlays included."""
    plain = {name: value for name, value in tree.items() if name != "environments"}
    yield from _table(plain, (), ())
    overlays = tree.get("environments", {})
    if not isinstance(overlays, Mapping):
        yield ("environments",), f"expected a table of tables, found {described(overlays)}", "write [environments.dev]"
        return
    for name, overlay in overlays.items():
        yield from _overlay(name, overlay)


def value_complaint(key: Key, value: Any) -> tuple[str, str | None] | None:
    """Check one value against its row: (fact, hint), or None when it is good."""
    return _CHECKS[key.kind](key, value)


def described(value: Any) -> str:
    """Say what a value is, short and without repeating anything that may be a secret."""
    words = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "a list", dict: "a table"}
    word = words.get(type(value), "a date or time")
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str) and (_looks_random(value) or len(value) > 40):
        return word
    return f"the {word.split()[1]} {value!r}" if isinstance(value, str | int | float) else word


def nearest(word: str, known: Any) -> str | None:
    """Return "did you mean …?" for the nearest known word, or None."""
    import difflib  # weight: only a file with a mistake needs it

    close = difflib.get_close_matches(word, [str(name) for name in known], n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None


def _overlay(name: str, overlay: Any) -> Iterator[Complaint]:
    prefix = ("environments", name)
    if not isinstance(overlay, Mapping):
        yield prefix, f"expected a table, found {described(overlay)}", f"write [environments.{name}.run]"
        return
    for section, value in overlay.items():
        if section in OVERLAY_SECTIONS or section.startswith("x-"):
            yield from _table({section: value}, (), prefix)
        elif section == "project":
            yield (*prefix, section), "[project] cannot differ between environments", "set it once, in [project]"
        else:
            hint = nearest(section, OVERLAY_SECTIONS) or "an environment may hold: " + ", ".join(OVERLAY_SECTIONS)
            yield (*prefix, section), f"unknown key {section!r}", hint


def _table(table: Mapping[str, Any], path: Path_, prefix: Path_) -> Iterator[Complaint]:
    for name, value in table.items():
        here = (*path, name)
        key = key_for(here)
        if name.startswith("x-") and path[-1:] != ("headers",):
            continue
        if key is not None:
            if here == ("providers", "offline", "api_base"):
                key = _SCRIPT
            found = _name_complaint(key, name, value) or value_complaint(key, value)
            if found:
                yield (*prefix, *here), *found
        elif names_below(here) is None:
            yield (*prefix, *here), *_unknown(name, path)
        elif isinstance(value, Mapping):
            yield from _table(value, here, prefix)
        else:
            yield (*prefix, *here), f"expected a table, found {described(value)}", f"write [{'.'.join(here)}]"


def _unknown(name: str, path: Path_) -> tuple[str, str | None]:
    known = names_below(path) or ()
    if path[:1] == ("providers",) and name in ("api_key", "key", "token", "secret", "password"):
        return f"{name!r} is not a setting: {_IN_ENVIRONMENT}", 'use api_key_env = "NAME_OF_THE_VARIABLE"'
    known = (*known, "environments") if not path else known
    return f"unknown key {name!r}", nearest(name, known) or "known here: " + ", ".join(known)


def _name_complaint(key: Key, name: str, value: Any) -> tuple[str, str | None] | None:
    if key.kind == "header" and not _HEADER_NAME.fullmatch(name):
        return f"{name!r} is not a header name", None
    if key.kind == "header" and name.lower() in _SECRET_HEADERS and isinstance(value, str):
        return f"the value of {name} is a secret: {_IN_ENVIRONMENT}", f'write {name} = {{env = "VARIABLE"}}'
    if key.kind != "parameter":
        return None
    if name in _CONNECTION_WORDS:
        return f"{name!r} belongs to a connection, not to a profile", "put it in [providers.NAME]"
    if not _SNAKE.fullmatch(name):
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s-]+", "_", name).lower()
        return f"parameter {name!r} is not snake_case", f"write {snake!r}"
    return None


def _string(_key: Key, value: Any) -> tuple[str, str | None] | None:
    if not isinstance(value, str):
        return f"expected a string, found {described(value)}", None
    if looks_secret(value):
        return "this looks like a key", _IN_ENVIRONMENT
    if not value.strip():
        return "expected a string, found an empty one", "leave the key out to use the default"
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        return "expected one line of text, found control characters", None
    return None


def _boolean(_key: Key, value: Any) -> tuple[str, str | None] | None:
    return None if isinstance(value, bool) else (f"expected true or false, found {described(value)}", None)


def _number(key: Key, value: Any) -> tuple[str, str | None] | None:
    whole = key.kind == "integer"
    good = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value):
        return f"expected {'an integer' if whole else 'a number'}, found {described(value)}", None
    if key.minimum is not None and value < key.minimum:
        return f"expected {key.minimum:g} or more, found {value}", None
    if key.above is not None and value <= key.above:
        return f"expected more than {key.above:g}, found {value}", None
    return None


def _url(key: Key, value: Any) -> tuple[str, str | None] | None:
    from urllib.parse import urlsplit  # weight: only a file with an address needs it

    found = _string(key, value)
    if found:
        return found
    try:
        parts = urlsplit(value)
        _port = parts.port
    except ValueError:
        return "this is not an address", "write it as https://host/v1"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"expected an address, found {described(value)}", "write it with http:// or https://"
    if parts.username or parts.password:
        return "an address must not hold a user name or password", _IN_ENVIRONMENT
    return None


def _database(key: Key, value: Any) -> tuple[str, str | None] | None:
    # Only the file is refused a password: a variable is where one belongs.
    password = isinstance(value, str) and re.search(r"://[^/@]*:[^/@]+@", value)
    if password:
        return "a database URL with a password must not be in this file", "set PROMPTSTUDIO_HISTORY_URL instead"
    return _string(key, value)


def _variable(_key: Key, value: Any) -> tuple[str, str | None] | None:
    if isinstance(value, str) and _VARIABLE.fullmatch(value) and not _looks_random(value):
        return None
    if isinstance(value, str) and (_looks_random(value) or len(value) > 20):
        return "this looks like a key, not like the name of a variable", _IN_ENVIRONMENT
    return f"expected the name of an environment variable, found {described(value)}", "for example OPENAI_API_KEY"


def _header(key: Key, value: Any) -> tuple[str, str | None] | None:
    if isinstance(value, Mapping):
        if set(value) != {"env"}:
            return 'expected text or {env = "VARIABLE"}', None
        return _variable(key, value["env"])
    if isinstance(value, str) and _looks_random(value):
        return "this looks like a key", 'write {env = "VARIABLE"}'
    return _string(key, value)


def _parameter(_key: Key, value: Any) -> tuple[str, str | None] | None:
    if isinstance(value, str) and looks_secret(value):
        return "this looks like a key", _IN_ENVIRONMENT
    if not _is_plain(value):
        return "expected a string, number, boolean, list or table, without dates, nan and inf", None
    return None


def _tool(_key: Key, value: Any) -> tuple[str, str | None] | None:
    if isinstance(value, str) and _TOOL.fullmatch(value):
        return None
    return f"expected module:function, found {described(value)}", 'for example lookup = "tools.orders:lookup"'


def _judge(key: Key, value: Any) -> tuple[str, str | None] | None:
    if isinstance(value, list):
        faults = [_judge(key, one) for one in value]
        return next((fault for fault in faults if fault), None) if value else ("the list of judges is empty", None)
    if not isinstance(value, Mapping):
        return _string(key, value)
    unknown = [name for name in value if name not in ("model", "parameters")]
    if unknown:
        return f"unknown key {unknown[0]!r}", nearest(unknown[0], ("model", "parameters"))
    if not isinstance(value.get("model"), str):
        return "a judge needs a model", 'for example judge = "openai/gpt-4.1"'
    parameters = value.get("parameters", {})
    return None if isinstance(parameters, Mapping) and _is_plain(parameters) else ("parameters must be a table", None)


def _age(_key: Key, value: Any) -> tuple[str, str | None] | None:
    if isinstance(value, str) and (value == "never" or _AGE.fullmatch(value)):
        return None
    return f"expected an age, found {described(value)}", "write 12h, 30d or 4w, or never"


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


_CHECKS: dict[str, Callable[[Key, Any], tuple[str, str | None] | None]] = {
    "string": _string,
    "folder": _string,
    "boolean": _boolean,
    "integer": _number,
    "number": _number,
    "url": _url,
    "database": _database,
    "variable": _variable,
    "header": _header,
    "parameter": _parameter,
    "tool": _tool,
    "judge": _judge,
    "age": _age,
    "any": _parameter,
}
