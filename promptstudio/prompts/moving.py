"""A prompt or a partial that gets another name → everything that has to be written, worked out before anything is.

What a file names relative to itself (its schema comment, example files, `$ref`) is kept pointing at the same file; what
names the prompt or the partial (suites, `{% include %}`) follows it. Applying a plan is `versions.moves`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from promptstudio.config.settings import Settings
from promptstudio.errors import NotFoundError, PromptFileError, SuiteFileError, UsageError, UserError
from promptstudio.prompts.edit import SCHEMA_COMMENT, same, with_value
from promptstudio.prompts.filewrite import BOM, FileCopy, read_copy
from promptstudio.prompts.github_models import is_github_models
from promptstudio.prompts.library import SUFFIXES, prompt_paths, row_of, suite_paths_in
from promptstudio.prompts.load import parse_address, shown_path_of
from promptstudio.prompts.naming import check_folders, free_path, prompts_root
from promptstudio.prompts.overlay import walk
from promptstudio.prompts.schema import name_fault
from promptstudio.prompts.wording import dotted, shown
from promptstudio.prompts.yamlfile import ValuePath, read_yaml

_SCHEMA_LINE = re.compile(rf"^{BOM}?{SCHEMA_COMMENT.pattern}", re.MULTILINE)
# A revision of git or a number, not a label: it still knows the prompt by its old name.
_REVISION = re.compile(r"v?\d+\.\d+.*|HEAD.*|.*[~^].*|[0-9a-f]{7,64}")
_DATA_SUFFIXES = (".json", ".jsonl", ".csv")


@dataclass(frozen=True, slots=True)
class Edit:
    """A file that is changed: what it must hold now, and what it will hold. `what` says the change to a person."""

    copy: FileCopy
    after: str = field(repr=False)
    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that is copied or moved to `new`, where it gets the text `after`; and other files that change with it.

    `old_name` and `new_name` are of prompts, None for a partial. `notes` are what a person should know.
    """

    source: FileCopy
    new: Path
    shown: str
    after: str = field(repr=False)
    is_move: bool
    old_name: str | None = None
    new_name: str | None = None
    edits: tuple[Edit, ...] = ()
    notes: tuple[str, ...] = ()


def plan_prompt(source: Path, name: str, suffix: str | None, settings: Settings, *, is_move: bool) -> Plan:
    """Plan to copy or move a prompt's file. Raises UserError where that cannot be done as a whole."""
    root = prompts_root(settings)
    is_inside = source.is_relative_to(root)
    old_name = row_of(source, settings).name if is_inside else source.stem
    own_suffix = next((one for one in SUFFIXES if source.name.endswith(one)), ".yaml")
    if is_move and not is_inside:
        raise UsageError(f"{shown(str(source))} is not in the prompts folder", hint="`ps cp` makes a copy of it")
    _check_no_link(source, is_move=is_move)
    new = free_path(name, settings, suffix or own_suffix, own=source if is_move else None)
    if is_move and new == source and old_name == name:
        raise UsageError(f"{shown(name)} has this name already")
    copy = read_copy(source, shown=shown_path_of(source, settings, Path.cwd()))
    after = moved_text(copy.text, source.parent, new.parent, root, copy.shown)
    value = read_yaml(after, file=copy.shown).value
    if "name" in value and not is_github_models(value):  # there it is a title
        after = with_value(after, ("name",), name, file=copy.shown)
    edits, notes = suite_edits(old_name, name, source, new, settings) if is_move else ([], [])
    return Plan(
        copy, new, shown_path_of(new, settings, Path.cwd()), after, is_move, old_name, name, tuple(edits), tuple(notes)
    )


def _check_no_link(source: Path, *, is_move: bool) -> None:
    if is_move and source.is_symlink():
        raise UsageError(f"{shown(str(source))} is a link", hint="move the file it points at, or use `ps cp`")


def moved_text(text: str, old: Path, new: Path, root: Path, file: str) -> str:
    """Return a prompt's text for another folder: what it names relative to itself stays the same file."""
    value = read_yaml(text, file=file).value
    if not isinstance(value, dict):
        raise PromptFileError("expected a map of keys such as `prompt:`", file=file, line=1)
    if old == new:
        return text
    text = _SCHEMA_LINE.sub(lambda found: _schema_line(found, old, new), text)
    for path, name in _file_names(value):
        moved = _moved_name(name, old, new, root, f"{file}: {dotted(path)}")
        if moved != name:
            text = with_value(text, path, moved, file=file)
    return text


def _schema_line(found: re.Match[str], old: Path, new: Path) -> str:
    target = found["target"]
    if ":" in target or target.startswith("/"):
        return found.group()
    relative = PurePosixPath(os.path.relpath(os.path.normpath(old / target), new)).as_posix()
    return found.group()[: found.start("target") - found.start()] + relative


def _file_names(value: dict[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    """Yield the file names in a prompt that count from its own folder: examples, and the schema of the output."""
    for path, name in walk(value):
        inner = path[2:] if path[:1] == ("variants",) else path
        is_example = len(inner) == 3 and inner[0] == "examples" and inner[2] == "file"
        if isinstance(name, str) and (is_example or (inner == ("output", "schema", "$ref") and name[:1] != "#")):
            yield path, name


def _moved_name(name: str, old: Path, new: Path, root: Path, place: str) -> str:
    beside = old / PurePosixPath(name)
    is_beside = name.startswith("./") or beside.is_file()
    target = Path(os.path.normpath(beside if is_beside else root / PurePosixPath(name)))
    if is_beside and target.is_relative_to(new):
        return ("./" if name.startswith("./") else "") + target.relative_to(new).as_posix()
    if not target.is_relative_to(root):
        raise UsageError(f"{place}: {shown(name)} is not in the prompts folder", hint="copy that file there first")
    moved = target.relative_to(root).as_posix()
    if (new / moved).is_file() and new / moved != target:
        raise UsageError(f"{place}: {shown(moved)} would be another file there", hint="rename one of the two files")
    return moved if is_beside else name


def suite_edits(old: str, new: str, old_path: Path, new_path: Path, settings: Settings) -> tuple[list[Edit], list[str]]:
    """Return the suites that name a prompt, with the new name; and what could not be looked at or was left as it is."""
    edits: list[Edit] = []
    notes: list[str] = []
    folder = settings.evals_dir
    for path in suite_paths_in(folder) if folder is not None and folder.is_dir() else ():
        file = shown_path_of(path, settings, Path.cwd())
        try:
            copy = read_copy(path, shown=file, error=SuiteFileError)
            value = read_yaml(copy.text, file=file, error=SuiteFileError).value
        except UserError as cause:
            notes.append(f"not looked at: {cause.problems[0]}")
            continue
        text, changes = copy.text, []
        for at, address in _mentioned_prompts(value):
            renamed = _renamed(address, old, new, old_path, new_path, settings)
            if renamed is None:
                notes.append(f"{file}: {dotted(at)}: left as it is, because {shown(address)} names a revision")
            elif renamed != address:
                text = with_value(text, at, renamed, file=file)
                changes.append(f"{dotted(at)}: {address} → {renamed}")
        if changes:
            edits.append(Edit(copy, text, tuple(changes)))
    return edits, notes


def _mentioned_prompts(value: Any) -> Iterator[tuple[ValuePath, str]]:
    if not isinstance(value, dict):
        return
    listed = value.get("prompts")
    places: list[tuple[ValuePath, Any]] = [(("prompt",), value.get("prompt"))]
    places += [(("prompts", index), item) for index, item in enumerate(listed if isinstance(listed, list) else ())]
    yield from ((path, item) for path, item in places if isinstance(item, str))


def _renamed(address: str, old: str, new: str, old_path: Path, new_path: Path, settings: Settings) -> str | None:
    """Return an address with the new name in it, itself where it means another prompt, None where it must stay."""
    try:
        parsed = parse_address(address)
    except UserError:
        return address
    rest = address[len(parsed.target) :]
    target = parsed.target
    if parsed.kind == "name" and target == old:
        target = new
    elif parsed.kind == "path" and settings.root is not None and _real(settings.root / target) == _real(old_path):
        target = new_path.relative_to(settings.root).as_posix()
    if target != parsed.target and parsed.revision is not None and _REVISION.fullmatch(parsed.revision):
        return None
    return target + rest


def partial_name(word: str, settings: Settings, cwd: Path) -> str | None:
    """Return the name of a partial, below the prompts folder; None for a word that names none."""
    root = prompts_root(settings)
    if not any(part.startswith("_") for part in PurePosixPath(word).parts):
        return None
    path = Path(os.path.normpath(cwd / word))
    if path.is_relative_to(root) and (path.is_file() or not (root / word).is_file()):
        return path.relative_to(root).as_posix()
    return word


def plan_partial(old: str, new: str, settings: Settings, *, is_move: bool) -> Plan:
    """Plan to copy or move a partial; every `include` of it follows a move."""
    root = prompts_root(settings)
    _check_partial(old)
    _check_partial(new)
    source, target = root / old, root / new
    if not source.is_file() or not _real(source).is_relative_to(_real(root)):
        raise NotFoundError(f"there is no partial {shown(old)}", hint="a partial's name counts from the prompts folder")
    if said := name_fault("/".join(part.lstrip("_") or "_" for part in PurePosixPath(new).parts)):
        raise UsageError(f"{shown(new)} cannot be the name of a partial: {said}", hint="as in _partials/tone.md")
    check_folders(target, settings)
    if os.path.lexists(target):
        raise UsageError(f"there is a file {shown(new)} already", hint="choose another name")
    _check_no_link(source, is_move=is_move)
    copy = read_copy(source, shown=shown_path_of(source, settings, Path.cwd()))
    edits = tuple(_include_edits(old, new, source, settings)) if is_move else ()
    return Plan(copy, target, shown_path_of(target, settings, Path.cwd()), copy.text, is_move, edits=edits)


def _check_partial(name: str) -> None:
    parts = PurePosixPath(name).parts
    if name.startswith(("/", "~")) or any(part == ".." or part[0] in ".-" for part in parts) or name.endswith("/"):
        raise UsageError(f"{shown(name)} is not the name of a partial", hint="as in _partials/tone.md")
    if not any(part.startswith("_") for part in parts):
        raise UsageError(f"{shown(name)} is no partial: no part of it starts with `_`", hint="as in _partials/tone.md")


def _include_edits(old: str, new: str, moved: Path, settings: Settings) -> Iterator[Edit]:
    wanted = re.compile(r"(\{%[-+]?\s*(?:include|import|from|extends)\s+)(\\?\"|''|\\?')" + re.escape(old) + r"\2")
    prompts = prompt_paths(settings)
    for path in [*prompts, *_partials(settings)]:
        if path == moved:
            continue
        file = shown_path_of(path, settings, Path.cwd())
        try:
            copy = read_copy(path, shown=file)
        except UserError:
            continue  # what cannot be read includes nothing; lint names it
        after, count = wanted.subn(lambda found: f"{found[1]}{found[2]}{new}{found[2]}", copy.text)
        if path in prompts and old in copy.text:
            _check_includes(copy, after, wanted, new)
        if count:
            yield Edit(copy, after, (f"include {old} → {new}" + (f" ({count} times)" if count > 1 else ""),))


def _check_includes(copy: FileCopy, after: str, wanted: re.Pattern[str], new: str) -> None:
    """Read both texts: the new one must say what the old one said but for the name in every include."""
    try:
        before = read_yaml(copy.text, file=copy.shown).value
    except UserError:
        return  # a broken prompt is changed as text
    expected = _with_includes(before, wanted, new)
    if not same(read_yaml(after, file=copy.shown).value, expected):
        hint = "change the include to a plain one, in a block (|), and try again"
        raise PromptFileError(
            "an include cannot be renamed without changing something else", file=copy.shown, hint=hint
        )


def _with_includes(value: Any, wanted: re.Pattern[str], new: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_includes(item, wanted, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_includes(item, wanted, new) for item in value]
    return wanted.sub(lambda found: f"{found[1]}{found[2]}{new}{found[2]}", value) if isinstance(value, str) else value


def _partials(settings: Settings) -> list[Path]:
    """Return the text files below the prompts folder that are partials, hidden ones and data left out."""
    root = prompts_root(settings)
    found = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        is_partial = any(part.startswith("_") for part in parts) and not any(part.startswith(".") for part in parts)
        if is_partial and path.is_file() and not path.is_symlink() and path.suffix not in _DATA_SUFFIXES:
            found.append(path)
    return found


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
