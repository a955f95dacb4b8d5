"""A dataset → its cases, one after the other: inline, CSV, JSON, JSONL, YAML, Parquet, or a Python function.

Cases stream: a file of lines is never held whole, so a dataset may be larger than the memory. Each case knows the file
and line it stands on. What is wrong with one is a SuiteFileError with that place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NoReturn

from promptstudio.errors import InputsError, MissingExtraError, PromptFileError, SuiteFileError
from promptstudio.evals.csvrows import csv_rows
from promptstudio.evals.schema import Case
from promptstudio.prompts.includes import read_json
from promptstudio.prompts.plain import plain_value
from promptstudio.prompts.wording import found, nearest, shown
from promptstudio.prompts.yamlfile import read_yaml

MAX_LINE_BYTES = 16 << 20
MAX_JSON_BYTES = 256 << 20
MAX_YAML_BYTES = 32 << 20
MAX_YAML_NODES = 2_000_000
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".parquet")

# The keys of a case, and the other names by which they are also read.
ALIASES = {
    "vars": "inputs",
    "expected": "expected_output",
    "reference": "expected_output",
    "retrieved_contexts": "retrieval_context",
}
KEYS = frozenset(
    {
        *("id", "description", "inputs", "expected_output", "context", "retrieval_context", "expected_tools", "tags"),
        *("metadata", "assert", "metrics", "threshold", "repeats", "turns", "cluster"),
    }
)


@dataclass(frozen=True, slots=True)
class Example:
    """A case, and what the engine needs beside it.

    `raw` is the case as it was written, `assertions` and `metrics` its own ones, not yet parsed; `turns` the turns of a
    conversation. `path` is where it stands within its file, for the places of its parts.
    """

    case: Case
    assertions: tuple[Any, ...] = ()
    metrics: tuple[Any, ...] = ()
    threshold: float | None = None
    repeats: int | None = None
    turns: tuple[Mapping[str, Any], ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)
    path: tuple[str | int, ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """The keys this case has a value for, those of its inputs among them as `inputs.NAME`."""
        return frozenset([*self.raw, *(f"inputs.{name}" for name in self.case.inputs)])


@dataclass(frozen=True, slots=True)
class Dataset:
    """Where cases come from. `open` starts from the first one each time; `runs_code` where that runs a function."""

    shown: str
    open: Callable[[], Iterator[Example]]
    runs_code: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    file: str
    line: int | None = None

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        raise SuiteFileError(message, file=self.file, line=self.line, hint=hint)


def inline_cases(items: Sequence[Any], file: str, line_of: Callable[[int], int]) -> Dataset:
    """Return the dataset of a suite that holds its cases itself."""

    def opened() -> Iterator[Example]:
        for index, item in enumerate(items):
            yield example_of(item, _Place(file, line_of(index)), ("cases", index))

    return Dataset(file, opened)


def file_cases(path: Path, shown_path: str) -> Dataset:
    """Return the dataset of a file, by its suffix. Raises SuiteFileError where it cannot be read."""
    here = _Place(shown_path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        close = nearest(path.suffix, SUFFIXES)
        hint = f"did you mean {close!r}?" if close else f"a dataset ends in {', '.join(SUFFIXES)}"
        here.fail(f"{shown(path.suffix or path.name)} is no kind of dataset", hint)
    if path.exists() and not path.is_file():
        here.fail("not a regular file", "a dataset is read more than once: write its cases to a file")
    if not path.is_file():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, siblings)
        here.fail("there is no such file", close and f"did you mean {close!r}?")
    return Dataset(shown_path, lambda: reader(path, shown_path), size_bytes=path.stat().st_size)


def function_cases(call: Callable[[], Iterable[Any]], shown_path: str) -> Dataset:
    """Return the dataset that a Python function makes: it returns or yields maps."""

    def opened() -> Iterator[Example]:
        for index, item in enumerate(call()):
            place = f"{shown_path}[{index}]"
            yield example_of(_plain(item, (), place), _Place(place), (index,))

    return Dataset(shown_path, opened, runs_code=True)


def _plain(value: Any, path: tuple[str | int, ...], file: str) -> Any:
    try:
        return plain_value(value, path)
    except InputsError as cause:
        hint = "a case holds text, numbers, true or false, lists and maps"
        raise SuiteFileError(cause.message.removeprefix("inputs."), file=file, hint=hint) from cause


def example_of(item: Any, at: _Place, path: tuple[str | int, ...] = ()) -> Example:
    """Return a case from a map as people write it. Raises SuiteFileError for a key or value that no case has."""
    if not isinstance(item, dict):
        at.fail(f"a case is a map, found {found(item)}", "as in {inputs: {ticket: …}, expected_output: …}")
    raw = _with_own_names(item, at)
    turns = tuple(_turns(raw, at))
    case = Case(
        id=_text_or_none(raw, "id", at) or "",
        inputs=_map(raw, "inputs", at),
        expected_output=raw.get("expected_output"),
        context=_texts(raw, "context", at),
        retrieval_context=_texts(raw, "retrieval_context", at),
        expected_tools=tuple(_list(raw, "expected_tools", at)),
        tags=_texts(raw, "tags", at),
        metadata=_map(raw, "metadata", at),
        file=at.file,
        line=at.line,
        turns=tuple({key: value for key, value in turn.items() if key not in ("assert", "metrics")} for turn in turns),
        cluster=_cluster(raw, at),
    )
    return Example(
        case if case.id else _named(case, raw),
        tuple(_list(raw, "assert", at)),
        tuple(_list(raw, "metrics", at)),
        _fraction(raw, at),
        _count(raw, at),
        turns,
        raw,
        path,
    )


def _cluster(raw: Mapping[str, Any], at: _Place) -> str | None:
    value = raw.get("cluster")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text_or_none(raw, "cluster", at)


def _named(case: Case, raw: Mapping[str, Any]) -> Case:
    """Give a case without an id one that its content makes: the same case has the same id wherever it stands."""
    content = {key: value for key, value in raw.items() if key not in ("description", "metadata", "tags", "cluster")}
    return replace(case, id=fingerprint(content)[:12])


def _with_own_names(item: Mapping[str, Any], at: _Place) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for key, value in item.items():
        name = ALIASES.get(key, key)
        if key.startswith("x-"):
            continue
        if name not in KEYS:
            close = nearest(key, [*KEYS, *ALIASES])
            hint = f"did you mean {close!r}?" if close else "values for the prompt go below `inputs:`"
            at.fail(f"unknown key {shown(key)} in a case", hint)
        if name in raw:
            at.fail(f"{shown(key)} and another name of {name} are both given", f"keep {name}")
        if value is not None or name == "expected_output":
            raw[name] = value
    return raw


def _text_or_none(raw: Mapping[str, Any], key: str, at: _Place) -> str | None:
    value = raw.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        at.fail(f"{key}: expected text, found {found(value)}")
    return value


def _map(raw: Mapping[str, Any], key: str, at: _Place) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        at.fail(f"{key}: expected a map, found {found(value)}")
    return value


def _list(raw: Mapping[str, Any], key: str, at: _Place) -> list[Any]:
    value = raw.get(key, [])
    if not isinstance(value, list):
        at.fail(f"{key}: expected a list, found {found(value)}")
    return value


def _texts(raw: Mapping[str, Any], key: str, at: _Place) -> tuple[str, ...]:
    value = raw.get(key, [])
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        at.fail(f"{key}: expected text or a list of texts, found {found(value)}")
    return tuple(items)


def _fraction(raw: Mapping[str, Any], at: _Place) -> float | None:
    value = raw.get("threshold")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        at.fail(f"threshold: expected a number from 0 to 1, found {found(value)}")
    return float(value)


def _count(raw: Mapping[str, Any], at: _Place) -> int | None:
    value = raw.get("repeats")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        at.fail(f"repeats: expected a whole number from 1 to 1000, found {found(value)}")
    return value


_TURN_KEYS = frozenset({"inputs", "expected_output", "expected_tools", "retrieval_context", "assert"})


def _turns(raw: Mapping[str, Any], at: _Place) -> Iterator[Mapping[str, Any]]:
    for number, turn in enumerate(_list(raw, "turns", at), 1):
        if not isinstance(turn, dict):
            at.fail(f"turns: turn {number} is a map, found {found(turn)}", "as in {inputs: {…}, assert: […]}")
        own = {ALIASES.get(str(key), str(key)): value for key, value in turn.items() if not str(key).startswith("x-")}
        if unknown := sorted(set(own) - _TURN_KEYS):
            hint = "metrics judge the whole conversation: they belong to the case" if unknown[0] == "metrics" else None
            hint = hint or f"a turn has {', '.join(sorted(_TURN_KEYS))}"
            at.fail(f"turns: unknown key {shown(unknown[0])} in turn {number}", hint)
        _texts(own, "retrieval_context", at)
        yield own


# Readers: a path → examples


def _jsonl(path: Path, file: str) -> Iterator[Example]:
    with path.open("rb") as stream:
        for number, line in enumerate(_lines(stream, file), 1):
            at = _Place(file, number)
            text = _decoded(line, at)
            if number == 1:
                text = text.removeprefix("\ufeff")
            if text.strip():
                yield example_of(_json(text.rstrip("\r\n"), at), at)


def _lines(stream: IO[bytes], file: str) -> Iterator[bytes]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            _Place(file, number).fail(f"a line of more than {MAX_LINE_BYTES:,} bytes", "one line is one case")
        yield line


def _decoded(data: bytes, at: _Place) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise SuiteFileError("not UTF-8", file=at.file, line=at.line, hint="save the file as UTF-8") from cause


def _json(text: str, at: _Place) -> Any:
    try:
        return read_json(text, file=at.file, line=at.line or 1)
    except PromptFileError as cause:
        raise SuiteFileError(cause.problems) from cause


def _whole(path: Path, file: str, limit: int) -> str:
    size = path.stat().st_size
    if size > limit:
        _Place(file).fail(
            f"the file has {size:,} bytes; the limit for this format is {limit:,}", "use .jsonl: it streams"
        )
    return _decoded(path.read_bytes(), _Place(file)).removeprefix("\ufeff")


def _json_array(path: Path, file: str) -> Iterator[Example]:
    value = _json(_whole(path, file, MAX_JSON_BYTES), _Place(file, 1))
    for index, item in enumerate(_items(value, file)):
        yield example_of(item, _Place(f"{file}[{index}]"), (index,))


def _yaml(path: Path, file: str) -> Iterator[Example]:
    text = _whole(path, file, MAX_YAML_BYTES)
    document = read_yaml(
        text,
        file=file,
        error=SuiteFileError,
        max_bytes=MAX_YAML_BYTES,
        max_nodes=MAX_YAML_NODES,
        empty_hint="a dataset is a list of cases, as in  - {inputs: {name: Ada}}",
    )
    base: tuple[str | int, ...] = ("cases",) if isinstance(document.value, dict) else ()
    for index, item in enumerate(_items(document.value, file)):
        yield example_of(item, _Place(file, document.place_of((*base, index))[0]), (*base, index))


def _items(value: Any, file: str) -> list[Any]:
    items = value.get("cases") if isinstance(value, dict) else value
    if not isinstance(items, list):
        _Place(file, 1).fail(
            f"a dataset is a list of cases, found {found(value)}", "or a map with the list below `cases:`"
        )
    return items


# CSV columns that hold more than text → how their text is read.
_LISTS = frozenset({"context", "retrieval_context", "tags"})
_JSON_COLUMNS = frozenset({"expected_tools", "metadata", "assert", "metrics", "turns", "inputs"})


def _csv(path: Path, file: str) -> Iterator[Example]:
    for line, cells in csv_rows(path, file, ALIASES):
        at = _Place(file, line)
        yield example_of(_from_cells(cells, at), at)


def _from_cells(cells: Mapping[str, str], at: _Place) -> dict[str, Any]:
    item: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for name, cell in cells.items():
        own = ALIASES.get(name, name)
        if own not in KEYS:
            inputs[name] = cell
        elif cell.strip():
            item[own] = _cell(own, cell, at)
    if inputs:
        item["inputs"] = {**item.get("inputs", {}), **inputs}
    return item


def _cell(name: str, cell: str, at: _Place) -> Any:
    if name in _JSON_COLUMNS or (name in _LISTS and cell.lstrip().startswith("[")):
        return _json(cell, at)
    if name == "tags":
        return [tag.strip() for tag in cell.split(",") if tag.strip()]
    if name in ("threshold", "repeats"):
        try:
            return float(cell) if name == "threshold" else int(cell)
        except ValueError as cause:
            raise SuiteFileError(f"{name}: {shown(cell)} is not a number", file=at.file, line=at.line) from cause
    return cell


def _parquet(path: Path, file: str) -> Iterator[Example]:
    try:
        import pyarrow
        import pyarrow.parquet  # an extra
    except ImportError as cause:
        hint = 'pip install "promptstudio[parquet]"'
        raise MissingExtraError("reading .parquet needs the extra `parquet`", file=file, hint=hint) from cause
    try:
        table = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in table.iter_batches(batch_size=512):
            for record in batch.to_pylist():
                number += 1
                at = _Place(f"{file}[{number - 1}]")
                yield example_of(_from_record(record, at), at, (number - 1,))
    except (pyarrow.ArrowException, OSError) as cause:
        raise SuiteFileError(f"not Parquet: {str(cause)[:200]}", file=file) from cause


def _from_record(record: Mapping[str, Any], at: _Place) -> dict[str, Any]:
    """Sort the columns of a record as those of CSV; an empty cell is no value."""
    item: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for name, value in record.items():
        if value is None:
            continue
        plain = _plain(value, (name,), at.file)
        if ALIASES.get(name, name) in KEYS:
            item[name] = plain
        else:
            inputs[name] = plain
    if inputs:
        item["inputs"] = {**item.get("inputs", {}), **inputs}
    return item


_READERS: dict[str, Callable[[Path, str], Iterator[Example]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json_array,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".parquet": _parquet,
}


def fingerprint(value: Any) -> str:
    """Return 32 hex digits for plain data: what stored results are found again by."""
    data = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:32]
