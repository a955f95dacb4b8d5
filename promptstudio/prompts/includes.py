"""Files that a prompt file names: partials, few-shot rows, schemas → their text, from within one folder only.

A name is a path below the prompts folder (`./x` is relative to the file that names it, where that is allowed). `..`,
absolute paths, hidden files and symlinks that leave the folder are refused before anything is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from promptstudio.errors import PromptFileError
from promptstudio.prompts.files import DISK, Files
from promptstudio.prompts.template import check_syntax, literal_includes
from promptstudio.prompts.wording import found, nearest, shown
from promptstudio.prompts.yamlfile import MAX_DEPTH

MAX_INCLUDE_DEPTH = 10
MAX_PARTIALS = 100
MAX_INCLUSIONS = 1_000
MAX_UNFOLDED_SIZE = 1 << 20
MAX_EXAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Folder:
    """Where named files may lie: `root` is the outer limit, `shown` how its path is written in messages."""

    root: Path | None
    own: Path | None
    shown: Callable[[Path], str]
    files: Files = DISK


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a name is written."""

    file: str
    line: int | None = None
    column: int | None = None

    def fail(self, message: str, hint: str | None = None) -> NoReturn:
        raise PromptFileError(message, file=self.file, line=self.line, column=self.column, hint=hint)


def confined_path(name: str, folder: Folder, at: Mention, *, relative: bool = False) -> Path:
    """Return the path of a named file, or raise because it is missing or lies outside the folder.

    A `relative` name (examples, schemas) means the file beside the prompt, and else the one below the prompts folder;
    with a leading `./` only the former.
    """
    if folder.root is None:
        at.fail(f"{shown(name)}: a prompt from standard input cannot name other files", "save it as a file")
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name or "\\" in name or name.startswith(("/", "~")) or Path(name).is_absolute():
        at.fail(f"{shown(name)} is not a path below the prompts folder", "write it like _partials/tone.md")
    if ".." in parts:
        at.fail(f"{shown(name)} leaves the prompts folder", "write the path below the prompts folder, without `..`")
    if any(part.startswith(".") for part in parts):
        at.fail(f"{shown(name)} is a hidden file", "rename it without the leading dot")
    path = folder.root / PurePosixPath(name)
    if relative and folder.own is not None and (name.startswith("./") or folder.files.is_file(folder.own / name)):
        path = folder.own / PurePosixPath(name)
    try:
        real, root = folder.files.real(path), folder.files.real(folder.root)
    except OSError as cause:  # a symlink that points at itself
        raise PromptFileError(
            f"{shown(name)} cannot be followed", file=at.file, line=at.line, column=at.column
        ) from cause
    if not real.is_relative_to(root):
        at.fail(f"{shown(name)} leaves the prompts folder through a symlink", "copy the file into the prompts folder")
    if not folder.files.is_file(real):
        _missing(name, path, folder, at)
    return path


def _missing(name: str, path: Path, folder: Folder, at: Mention) -> NoReturn:
    if folder.files.is_dir(path):
        at.fail(f"{shown(name)} is a folder, not a file")
    siblings = folder.files.entries(path.parent) if folder.files.is_dir(path.parent) else []
    close = nearest(path.name, siblings)
    hint = f"did you mean {close!r}?" if close else f"it is looked for at {folder.shown(path)}"
    at.fail(f"there is no file {shown(name)}", hint)


@dataclass(frozen=True, slots=True)
class _Unfolded:
    """What an include comes to with everything below it: levels, files put in, characters."""

    height: int = 0
    files: int = 0
    size: int = 0


@dataclass(slots=True)
class _Collection:
    """What was read so far, and what each finished file unfolds to."""

    folder: Folder
    texts: dict[str, str] = field(default_factory=dict)
    done: dict[str, _Unfolded] = field(default_factory=dict)


def collect_partials(sources: list[tuple[str, Mention]], folder: Folder) -> dict[str, str]:
    """Read everything the templates include, import or extend, and what that includes in turn."""
    collection = _Collection(folder)
    whole = _Unfolded()
    for source, at in sources:
        for name in _mentioned(source, at):
            part = _collect(name, at, (), collection)
            whole = _Unfolded(0, whole.files + part.files, whole.size + part.size)
            _check_size(name, at, whole)
    return collection.texts


def _check_size(name: str, at: Mention, unfolded: _Unfolded) -> None:
    if unfolded.files > MAX_INCLUSIONS or unfolded.size > MAX_UNFOLDED_SIZE:
        limits = f"{MAX_INCLUSIONS:,} files or {MAX_UNFOLDED_SIZE:,} characters"
        at.fail(f"with {shown(name)} the includes unfold to more than {limits}")


def _mentioned(source: str, at: Mention) -> list[str]:
    return literal_includes(source, file=at.file, line=at.line) if "{%" in source else []


def _collect(name: str, at: Mention, chain: tuple[str, ...], collection: _Collection) -> _Unfolded:
    """Read a file and what it includes: each file once, but counted as often as it is named."""
    if name in chain:
        circle = " → ".join((*chain[chain.index(name) :], name))
        at.fail(f"the include goes round in a circle: {circle}", "take one of them out")
    if name not in collection.done:
        text, shown_path = _read_partial(name, at, collection)
        inner = [
            _collect(each, Mention(shown_path, text[: text.find(each)].count("\n") + 1), (*chain, name), collection)
            for each in _mentioned(text, Mention(shown_path, 1))
        ]
        collection.done[name] = _Unfolded(
            1 + max((part.height for part in inner), default=0),
            1 + sum(part.files for part in inner),
            len(text) + sum(part.size for part in inner),
        )
    unfolded = collection.done[name]
    if len(chain) + unfolded.height > MAX_INCLUDE_DEPTH:
        at.fail(f"includes are nested deeper than {MAX_INCLUDE_DEPTH} levels")
    _check_size(name, at, unfolded)
    return unfolded


def _read_partial(name: str, at: Mention, collection: _Collection) -> tuple[str, str]:
    path = confined_path(name, collection.folder, at)
    shown_path = collection.folder.shown(path)
    text = collection.folder.files.text(path, shown=shown_path)
    collection.texts[name] = text
    if len(collection.texts) > MAX_PARTIALS:
        at.fail(f"more than {MAX_PARTIALS} files are included")
    check_syntax(text, file=shown_path, line=1)
    return text, shown_path


def read_json(text: str, *, file: str, line: int = 1) -> Any:
    """Parse JSON as strictly as YAML: no key twice, no NaN, not too deep."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as cause:
        hint = "JSON wants double quotes and no trailing comma"
        at = {"file": file, "line": line + cause.lineno - 1, "column": cause.colno}
        raise PromptFileError(f"not JSON: {cause.msg}", hint=hint, **at) from cause  # type: ignore[arg-type]
    except (ValueError, RecursionError) as cause:
        said = "nested too deeply" if isinstance(cause, RecursionError) else str(cause)[:120]
        said = "a number with thousands of digits" if said.startswith("Exceeds the limit") else said  # Python's words
        raise PromptFileError(f"not usable JSON: {said}", file=file, line=line) from cause
    if _depth_exceeds(value, MAX_DEPTH):
        raise PromptFileError(f"nested deeper than {MAX_DEPTH} levels", file=file, line=line)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise ValueError(f"the key {shown(key)} is there twice")
        read[key] = value
    return read


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a few-shot file."""

    inputs: Mapping[str, Any]
    output: Any
    line: int


def read_examples(path: Path, *, shown_path: str, files: Files = DISK) -> list[Row]:
    """Read few-shot turns, one {"inputs": …, "output": …} a line; blank lines are skipped."""
    rows = []
    for number, line in enumerate(files.text(path, shown=shown_path).split("\n"), start=1):
        if not line.strip():
            continue
        row = read_json(line, file=shown_path, line=number)
        rows.append(Row(*_example(row, Mention(shown_path, number)), number))
        if len(rows) > MAX_EXAMPLES:
            Mention(shown_path, number).fail(f"more than {MAX_EXAMPLES:,} examples")
    if not rows:
        Mention(shown_path, 1).fail("the file holds no example", 'one line is {"inputs": {…}, "output": …}')
    return rows


def _example(row: Any, at: Mention) -> tuple[dict[str, Any], Any]:
    hint = 'one line is {"inputs": {…}, "output": …}'
    if not isinstance(row, dict):
        at.fail(f"expected a map, found {found(row)}", hint)
    if unknown := sorted(key for key in set(row) - {"inputs", "output"} if not key.startswith("x-")):
        at.fail(f"unknown key {shown(unknown[0])}", hint)
    if "output" not in row:
        at.fail("missing key 'output'", hint)
    inputs = row.get("inputs", {})
    if not isinstance(inputs, dict):
        at.fail(f"inputs: expected a map, found {found(inputs)}", hint)
    return inputs, row["output"]
