"""`-v name=value` words → the values of a prompt's inputs.

name=value    text, read as the input's declared type
name=@file    the content of a file; the file itself for an image, audio or file input
name=-        standard input, once
name:=json    JSON, for lists, maps and everything that must be exact
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from promptstudio.errors import InputsError, Problem, UsageError
from promptstudio.prompts.inputs import parse_value, unknown_names
from promptstudio.prompts.media import media_from_bytes, media_from_path
from promptstudio.prompts.prompt import MEDIA_TYPES, InputSpec, Prompt
from promptstudio.prompts.yamlfile import decode_text

MAX_BYTES = 10 * 1024 * 1024
MAX_PROMPT_BYTES = 2 * 1024 * 1024  # more than a prompt file may have, so that a longer one is refused as such
_ASSIGNMENT = re.compile(r"([^\W\d]\w*)(:=|=)(.*)", re.DOTALL)


def stdin_prompt() -> str:
    """Return the prompt file that standard input holds, for the address `-`."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("the prompt file is to come from standard input, but nothing is piped in", hint="- < FILE")
    return decode_text(sys.stdin.buffer.read(MAX_PROMPT_BYTES), file="<stdin>")


def parse_assignments(items: Iterable[str], prompt: Prompt, stdin: BinaryIO | None = None) -> dict[str, Any]:
    """Return input name → value. Raises UsageError for a word that is no assignment, InputsError for bad values.

    Names are checked here only beside other problems, so that all of them are told at once; otherwise `check_inputs`
    does it, for values from everywhere.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    from_stdin: str | None = None
    for item in items:
        name, operator, text = _split(item)
        if name in values:
            raise UsageError(f"input {name!r} is given twice", hint="keep one -v for each input")
        if operator == "=" and text == "-":
            if from_stdin is not None:
                fact = f"inputs {from_stdin!r} and {name!r} both read standard input"
                raise UsageError(fact, hint="give one of them as name=@file")
            from_stdin = name
        values[name] = None
        try:
            values[name] = _value(prompt.inputs.get(name), name, operator, text, stdin)
        except InputsError as error:
            problems += [_placed(problem, name) for problem in error.problems]
    if problems:
        raise InputsError([*unknown_names(prompt, values), *problems])
    return values


def _placed(problem: Problem, name: str) -> Problem:
    """Say which input a problem belongs to, where it does not say so itself."""
    if problem.message.startswith("inputs."):
        return problem
    return Problem(f"inputs.{name}: {problem.message}", file=problem.file, line=problem.line, hint=problem.hint)


def _split(item: str) -> tuple[str, str, str]:
    match = _ASSIGNMENT.fullmatch(item)
    if match is None:
        hint = "write -v name=value, name=@file, name=- for standard input, or name:=json"
        raise UsageError(f"-v {item[:60]!r} is not name=value", hint=hint)
    return match[1], match[2], match[3]


def _value(spec: InputSpec | None, name: str, operator: str, text: str, stdin: BinaryIO | None) -> Any:
    if operator == ":=":
        return _json_value(name, text)
    is_media = spec is not None and spec.type in MEDIA_TYPES
    if text.startswith("@"):
        path = Path(text[1:]).expanduser()
        if is_media and spec is not None:
            return media_from_path(path, spec.type)  # type: ignore[arg-type]  # one of MEDIA_TYPES
        return parse_value(spec, _file_text(name, path))
    if text == "-":
        data = _read_stdin(name, stdin)
        if is_media and spec is not None:
            return media_from_bytes(data, spec.type)  # type: ignore[arg-type]  # one of MEDIA_TYPES
        return parse_value(spec, _decoded(name, data, "standard input"))
    return parse_value(spec, text)


def json_value(text: str) -> Any:
    """Parse JSON; a key given twice and what our parser cannot hold are a ValueError in plain words."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        if "int_max_str_digits" in str(error):
            raise ValueError("a number has too many digits") from error
        raise


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} is there twice")
    return read


def _json_value(name: str, text: str) -> Any:
    try:
        return json_value(text)
    except ValueError as error:
        fact = f"inputs.{name}: not valid JSON: {error}"
        raise InputsError(fact, hint=f"{name}=value takes the text as it is") from error


def _file_text(name: str, path: Path) -> str:
    try:
        if not path.exists():
            raise InputsError(f"inputs.{name}: there is no file {str(path)!r}")
        if not path.is_file() and not path.is_fifo():
            raise InputsError(f"inputs.{name}: {str(path)!r} is not a file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputsError(f"inputs.{name}: cannot read {str(path)!r}: {error.strerror}") from error
    return _decoded(name, data, repr(str(path)))


def _read_stdin(name: str, stdin: BinaryIO | None) -> bytes:
    source = stdin if stdin is not None else getattr(sys.stdin, "buffer", None)
    if source is None:
        raise InputsError(f"inputs.{name}: standard input is closed")
    return bytes(source.read(MAX_BYTES + 1))


def _decoded(name: str, data: bytes, source: str) -> str:
    """Return the text without its last newline, which editors and `echo` add and nobody means."""
    if len(data) > MAX_BYTES:
        raise InputsError(f"inputs.{name}: {source} has more than 10 MiB", hint="give a shorter text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "declare the input as type: file, image or audio to send the file itself"
        raise InputsError(f"inputs.{name}: {source} is not UTF-8 text (byte {error.start})", hint=hint) from error
    if "\0" in text:
        raise InputsError(f"inputs.{name}: {source} holds NUL bytes; it is not text")
    return text.removesuffix("\n").removesuffix("\r")
