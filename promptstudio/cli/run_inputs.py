"""The words of `ps run` → values for each run: -v, --vars, --attach, and questions to a person for what is missing."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.cli.values import json_value, parse_assignments
from promptstudio.errors import InputsError, Interrupted, Problem, UsageError
from promptstudio.prompts.inputs import check_inputs, parse_value
from promptstudio.prompts.media import kind_of, media_from_path, mime_type_of
from promptstudio.prompts.prompt import MEDIA_TYPES, InputSpec, MessageTemplate, PartTemplate, Prompt
from promptstudio.prompts.yamlfile import read_yaml
from promptstudio.types import Media

MAX_VARS_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says of inputs, not yet read."""

    assignments: tuple[str, ...]
    vars_file: str | None
    attachments: tuple[Path, ...]
    reads_prompt: bool

    def check_stdin(self) -> None:
        """Raise where two things would read standard input."""
        from_stdin = [item for item in self.assignments if item.endswith("=-") and not item.endswith(":=-")]
        readers = len(from_stdin) + (self.vars_file == "-") + self.reads_prompt
        if readers > 1:
            raise UsageError(
                "standard input can be read once", hint="give the others as files: name=@file, --vars FILE"
            )


@dataclass(frozen=True, slots=True)
class Rows:
    """Values for each run; `is_batch` says that a list was given, even of one row."""

    values: list[dict[str, Any]]
    is_batch: bool

    def completed(self, values: dict[str, Any]) -> Rows:
        return Rows([values], is_batch=False)


def rows_of(given: Given, prompt: Prompt, attached: Mapping[str, Any]) -> Rows:
    """Read all values. -v and --attach hold for every row of --vars and win over it."""
    fixed = {**parse_assignments(given.assignments, prompt, sys.stdin.buffer if sys.stdin else None), **attached}
    if given.vars_file is None:
        return Rows([fixed], is_batch=False)
    text, file = _vars_text(given.vars_file)
    data = _vars_data(text, file)
    folder = Path(file).parent if given.vars_file != "-" else Path()
    if isinstance(data, dict):
        return Rows([{**_with_media(data, prompt, folder), **fixed}], is_batch=False)
    rows = [{**_with_media(_row(row, number, file), prompt, folder), **fixed} for number, row in enumerate(data, 1)]
    if not rows:
        raise InputsError(f"{file}: there are no rows")
    _check_rows(prompt, rows, file)
    return Rows(rows, is_batch=True)


def _vars_text(name: str) -> tuple[str, str]:
    file = "standard input" if name == "-" else name
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_VARS_BYTES + 1)
        else:
            with Path(name).open("rb") as opened:
                data = opened.read(MAX_VARS_BYTES + 1)
    except FileNotFoundError as error:
        raise InputsError(f"--vars: there is no file '{name}'") from error
    except OSError as error:
        raise InputsError(f"--vars: cannot read '{name}': {error.strerror}") from error
    if len(data) > MAX_VARS_BYTES:
        raise InputsError(f"--vars: {file} has more than 200 MB", hint="split it")
    try:
        return data.decode("utf-8-sig"), file
    except UnicodeDecodeError as error:
        raise InputsError(f"--vars: {file} is not UTF-8 text (byte {error.start})") from error


def _vars_data(text: str, file: str) -> dict[str, Any] | list[Any]:
    """JSON, JSONL or YAML: by the name where it says so, else by what reads."""
    suffix = Path(file).suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(text, file)
    if suffix in (".yaml", ".yml"):
        return _collection(read_yaml(text, file=file, error=InputsError).value, file)
    try:
        return _collection(json_value(text), file)
    except ValueError as error:
        if suffix == ".json":
            line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
            raise InputsError(f"not valid JSON: {error}", file=file, line=line, column=column) from error
    if text.lstrip().startswith("{") and "\n" in text.strip():
        return _json_lines(text, file)
    return _collection(read_yaml(text, file=file, error=InputsError).value, file)


def _json_lines(text: str, file: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                rows.append(json_value(line))
            except ValueError as error:
                raise InputsError(f"not valid JSON: {error}", file=file, line=number) from error
    return rows


def _collection(value: Any, file: str) -> dict[str, Any] | list[Any]:
    if isinstance(value, dict | list):
        return value
    raise InputsError(
        f"{file}: expected a map of inputs, or a list of such maps, found {type(value).__name__}",
        hint="write inputs as `name: value`",
    )


def _row(row: Any, number: int, file: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise InputsError(f"{file}: row {number}: expected a map of inputs, found {type(row).__name__}")
    return row


def _with_media(row: dict[str, Any], prompt: Prompt, folder: Path) -> dict[str, Any]:
    """A text `@path` for a media input means a file beside the --vars file."""
    found = dict(row)
    for name, value in row.items():
        spec = prompt.inputs.get(name)
        if spec is not None and spec.type in MEDIA_TYPES and isinstance(value, str) and value.startswith("@"):
            found[name] = media_from_path(folder / value[1:], spec.type)  # type: ignore[arg-type]  # one of MEDIA_TYPES
    return found


def _check_rows(prompt: Prompt, rows: Sequence[Mapping[str, Any]], file: str) -> None:
    """Check every row before the first one is sent: a typo in row 900 should not cost 899 calls."""
    problems: list[Problem] = []
    for number, row in enumerate(rows, 1):
        try:
            check_inputs(prompt, row)
        except InputsError as error:
            problems += [Problem(f"{file}: row {number}: {one.message}", hint=one.hint) for one in error.problems]
    if problems:
        raise InputsError(problems)


def parse_parameters(items: Iterable[str]) -> dict[str, Any]:
    """Read `-p name=value`: JSON where it reads as JSON (0.2, true, [1]), else text."""
    parameters: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        name = name.removesuffix(":")
        if not equals or not name.isidentifier():
            raise UsageError(f"-p '{item[:60]}' is not name=value", hint="for example -p temperature=0.2")
        try:
            parameters[name] = json.loads(text, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):
            parameters[name] = text
    return parameters


def _finite(text: str) -> float:
    """No provider can be sent NaN or Infinity; such a word stays text and is refused for its type."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def with_attachments(prompt: Prompt, files: Sequence[Path]) -> tuple[Prompt, dict[str, Media]]:
    """Give each file to the first free input of its kind; where there is none, add it to the last user message."""
    attached: dict[str, Media] = {}
    for number, file in enumerate(files, 1):
        kind = _kind_of(file)
        try:
            media = media_from_path(file, kind)
        except InputsError as error:
            raise InputsError([Problem(f"--attach: {one.message}", hint=one.hint) for one in error.problems]) from error
        free = [one for one in prompt.inputs.values() if one.type == kind and one.name not in attached]
        if free:
            name = min(free, key=lambda one: not one.required).name
        else:
            name = f"attachment_{number}"
            prompt = _with_media_input(prompt, name, kind)
        attached[name] = media
    return prompt, attached


def _kind_of(file: Path) -> Any:
    """What a file is, by its first bytes; `media_from_path` then says what is wrong with one that cannot be read."""
    try:
        with file.open("rb") as opened:
            mime_type = mime_type_of(opened.read(4096), file.name)
    except OSError:
        mime_type = None
    return kind_of(mime_type) if mime_type else "file"


def _with_media_input(prompt: Prompt, name: str, kind: Any) -> Prompt:
    users = [index for index, message in enumerate(prompt.messages) if message.role == "user"]
    if not users:
        raise UsageError("--attach: the prompt has no user message to attach a file to")
    spec = InputSpec(name=name, type=kind, schema={}, required=True)
    index = users[-1]
    message = prompt.messages[index]
    part = PartTemplate(kind=kind, source=f"{{{{ {name} }}}}", line=message.line)
    changed: MessageTemplate = replace(message, parts=(*message.parts, part))
    messages = (*prompt.messages[:index], changed, *prompt.messages[index + 1 :])
    return replace(prompt, messages=messages, inputs={**prompt.inputs, name: spec})


def ask_missing(prompt: Prompt, values: dict[str, Any], context: Context) -> dict[str, Any]:
    """Ask a person at a terminal for each required input that is missing; elsewhere leave it to `check_inputs`."""
    missing = [spec for spec in prompt.inputs.values() if spec.required and spec.name not in values]
    if not missing or not (sys.stdin and sys.stdin.isatty() and context.output.err_is_tty):
        return values
    return {**values, **{spec.name: _ask(spec, context) for spec in missing}}


def _ask(spec: InputSpec, context: Context) -> Any:
    choices = spec.schema.get("enum")
    detail = f"one of {', '.join(map(str, choices))}" if choices else spec.type
    context.output.note(f"{spec.name} ({detail}){': ' + spec.description if spec.description else ''}")
    while True:
        if context.output.err is not None:
            context.output.err.write("> ")
            context.output.err.flush()
        line = sys.stdin.readline()
        if not line:
            raise Interrupted("nothing was answered; stopped")
        text = line.rstrip("\n")
        try:
            if spec.type in MEDIA_TYPES:
                return media_from_path(Path(text.removeprefix("@")).expanduser(), spec.type)  # type: ignore[arg-type]
            return parse_value(spec, text)
        except InputsError as error:
            context.output.labeled("error", error.message, "red")
