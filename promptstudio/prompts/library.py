"""The prompts folder → one row per prompt, quickly: YAML is parsed only for files that changed since the last look.

What a row says is remembered in `.promptstudio/index.json`, keyed by path, size and modification time. The index is a
cache and nothing else: it is written only where the state folder exists, and ignored when it is not to be trusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from promptstudio.config.settings import Settings
from promptstudio.errors import Problem, UserError
from promptstudio.prompts.files import DISK, Files

SUFFIXES = (".prompt.yaml", ".prompt.yml", ".yaml", ".yml")
CALIBRATIONS = "calibrations.yaml"
"""In the evals folder: how far judges agree with people."""
INDEX_NAME = "index.json"
INDEX_VERSION = 3
MAX_INDEX_BYTES = 64 << 20
# A file changed this recently may change again without a new time stamp, so it is not remembered yet.
_SETTLED_NS = 2_000_000_000


class PromptRow(NamedTuple):
    """What a list shows of a prompt. `model` is the file's or promptstudio.toml's; `error` the first thing wrong.

    `other_models` are its fallbacks and what its variants use instead.
    """

    name: str
    path: Path
    shown_path: str
    description: str = ""
    version: str | None = None
    type: str = "text"
    tags: tuple[str, ...] = ()
    model: str | None = None
    variants: tuple[str, ...] = ()
    other_models: tuple[str, ...] = ()
    error: Problem | None = None


def prompt_paths(settings: Settings, files: Files = DISK) -> list[Path]:
    """Return the prompt files below the prompts folder, in order; partials and links out of the folder are left out."""
    if settings.prompts_dir is None or not files.is_dir(settings.prompts_dir):
        return []
    return sorted(yaml_paths(settings.prompts_dir, files), key=_parts)


def _parts(path: Path) -> list[str]:
    """Return what paths are ordered by; Path's own comparison takes ten times as long."""
    return str(path).split(os.sep)  # noqa: PTH206


def yaml_paths(root: Path, files: Files = DISK) -> Iterator[Path]:
    """Yield the YAML files below a folder; names with `_` or `.` in front and links out of the folder are left out."""
    real_root = files.real(root)
    for folder, names in files.walk(root):
        for name in names:
            if name.endswith((".yaml", ".yml")) and _stays(folder / name, real_root, files):
                yield folder / name


def suite_paths_in(folder: Path) -> list[Path]:
    """Return the YAML files of a folder of suites, in order: all but calibrations, and recorded answers below it."""
    return [path for path in sorted(yaml_paths(folder)) if not is_record(path)]


def is_record(path: Path) -> bool:
    """Whether a file was written by a command, and is neither a prompt nor a suite."""
    return is_cassette(path) or (path.name == CALIBRATIONS and _has_key(path, b"calibrations:"))


def is_cassette(path: Path) -> bool:
    """Whether a file is a recorded answer, which names its prompt as a suite does."""
    return _has_key(path, b"cassette:")


def _has_key(path: Path, key: bytes) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(1000)
    except OSError:
        return False  # whoever reads it says why it cannot be read
    return any(line.startswith(key) for line in head.splitlines())


def _stays(path: Path, real_root: Path, files: Files) -> bool:
    """Whether a file is no link out of the folder; only links are followed, which takes time."""
    is_plain = files is DISK and not os.path.islink(path)  # noqa: PTH114  it is asked for every file of a list
    return is_plain or files.real(path).is_relative_to(real_root)


def default_name(path: Path, root: Path) -> str:
    """Return the path below `root` without its suffix, in Unicode's composed form."""
    relative = _below(path, root) or path.relative_to(root).as_posix()
    suffix = next((suffix for suffix in SUFFIXES if relative.endswith(suffix)), "")
    return unicodedata.normalize("NFC", relative.removesuffix(suffix))


def prompt_names(settings: Settings) -> list[str]:
    """Return the names the paths give, for completion: nothing is read."""
    root = settings.prompts_dir
    return sorted({default_name(path, root) for path in prompt_paths(settings)}) if root is not None else []


def prompt_rows(settings: Settings, files: Files = DISK) -> list[PromptRow]:
    """Return one row per prompt, sorted by name; a file that cannot be read is a row with an error."""
    root = settings.prompts_dir
    if root is None or not files.is_dir(root):
        return []
    paths = yaml_paths(root, files)
    if files is not DISK:
        return _with_collisions(sorted((row_of(path, settings, files) for path in paths), key=_by_name))
    index = _Index(settings)
    rows = [_row(path, index.facts(path), settings) for path in paths]
    index.save()
    return _with_collisions(sorted(rows, key=_by_name))


def _by_name(row: PromptRow) -> tuple[str, str]:
    return row.name, row.shown_path


def row_of(path: Path, settings: Settings, files: Files = DISK) -> PromptRow:
    """Return the row of one file, read afresh."""
    return _row(path, _read_facts(path, files.prefix + _shown(path, settings), files), settings)


def _shown(path: Path, settings: Settings) -> str:
    return (_below(path, settings.root) if settings.root else None) or path.as_posix()


def _below(path: Path, root: Path) -> str | None:
    """Return a path below a folder with `/`, None outside: by letters, since a list asks it for every file."""
    text, prefix = str(path), str(root).rstrip(os.sep) + os.sep
    return text[len(prefix) :].replace(os.sep, "/") if text.startswith(prefix) else None


def _row(path: Path, facts: Mapping[str, Any], settings: Settings) -> PromptRow:
    shown_path = _shown(path, settings)
    default = default_name(path, settings.prompts_dir) if settings.prompts_dir else path.stem
    run = settings.base.get("run")
    base_model = run.get("model") if isinstance(run, Mapping) else None
    error = facts.get("error")
    return PromptRow(
        name=unicodedata.normalize("NFC", facts.get("name") or default),
        path=path,
        shown_path=shown_path,
        description=facts.get("description") or "",
        version=facts.get("version"),
        type=facts.get("type") or "text",
        tags=tuple(facts.get("tags") or ()),
        model=facts.get("model") or (base_model if isinstance(base_model, str) else None),
        variants=tuple(facts.get("variants") or ()),
        other_models=tuple(facts.get("other_models") or ()),
        error=Problem(error[0], file=shown_path, line=error[1], column=error[2], hint=error[3]) if error else None,
    )


def _read_facts(path: Path, shown_path: str, files: Files = DISK) -> dict[str, Any]:
    # Here for weight: with a fresh index the list needs no YAML parser.
    from promptstudio.prompts.github_models import as_prompt_document
    from promptstudio.prompts.yamlfile import read_yaml

    try:
        document = as_prompt_document(read_yaml(files.text(path, shown=shown_path), file=shown_path))
    except UserError as cause:
        problem = cause.problems[0]
        return {"error": [problem.message, problem.line, problem.column, problem.hint]}
    value = document.value
    if not isinstance(value, dict):
        return {"error": ["expected a map of keys such as `prompt:`", 1, 1, None]}
    facts: dict[str, Any] = {}
    for key in ("name", "description", "version", "type", "model"):
        if isinstance(value.get(key), str):
            facts[key] = value[key]
        elif key in value:
            line, column = document.place_of((key,))
            facts["error"] = [f"{key}: expected text", line, column, "ps lint says more"]
    if isinstance(value.get("tags"), list):
        facts["tags"] = [tag for tag in value["tags"] if isinstance(tag, str)]
    if isinstance(value.get("variants"), dict):
        facts["variants"] = [name for name in value["variants"] if not name.startswith("x-")]
    if others := _other_models(value):
        facts["other_models"] = others
    if "prompt" not in value and "messages" not in value:
        facts.setdefault("error", ["there is nothing to send: missing key 'prompt'", 1, 1, "ps lint says more"])
    return facts


def _other_models(value: Mapping[str, Any]) -> list[str]:
    """Return the models of fallbacks and variants, each once."""
    variants = value.get("variants")
    layers = [value, *(variants.values() if isinstance(variants, dict) else ())]
    found: list[Any] = []
    for layer in layers:
        if not isinstance(layer, dict):
            continue
        fallbacks = layer.get("fallbacks")
        found += fallbacks if isinstance(fallbacks, list) else []
        found += [layer.get("model")] if layer is not value else []
    return list(dict.fromkeys(model for model in found if isinstance(model, str)))


def _with_collisions(rows: list[PromptRow]) -> list[PromptRow]:
    """Mark names that are one name on some computers: equal but for case, or for how letters are composed."""
    groups: dict[str, list[PromptRow]] = defaultdict(list)
    keys = [_collision_key(row.name) for row in rows]
    for key, row in zip(keys, rows, strict=True):
        groups[key].append(row)
    if len(groups) == len(rows):
        return rows
    return [_marked(row, groups[key]) for key, row in zip(keys, rows, strict=True)]


def _collision_key(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFKC", name).casefold()


def _marked(row: PromptRow, group: list[PromptRow]) -> PromptRow:
    if len(group) == 1 or row.error is not None:
        return row
    other = next(item for item in group if item is not row)
    text = f"the name {row.name!r} is also that of {other.shown_path}"
    if other.name != row.name:
        text = f"the name {row.name!r} differs from {other.name!r} ({other.shown_path}) in case or composition only"
    return row._replace(error=Problem(text, file=row.shown_path, hint="rename one of them"))


class _Index:
    """What was known of the files at the last look."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        state = settings.state_dir
        usable = state is not None and state.is_dir() and not state.is_symlink()
        self.path = state / INDEX_NAME if usable and state is not None else None
        self.old = _read_index(self.path) if self.path else {}
        self.new: dict[str, list[Any]] = {}
        self.now_ns = time.time_ns()
        self.changed = False

    def facts(self, path: Path) -> Mapping[str, Any]:
        shown_path = _shown(path, self.settings)
        try:
            status = os.stat(path)  # noqa: PTH116  as above
        except OSError as cause:
            return {"error": [f"cannot read the file: {cause.strerror}", None, None, None]}
        entry = self.old.get(shown_path)
        if entry is not None and entry[:2] == [status.st_size, status.st_mtime_ns]:
            self.new[shown_path] = entry
            return _facts_of(entry)
        facts = _read_facts(path, shown_path)
        if self.now_ns - status.st_mtime_ns > _SETTLED_NS:
            self.new[shown_path] = [status.st_size, status.st_mtime_ns, facts]
            self.changed = True
        return facts

    def save(self) -> None:
        if self.path is None or (not self.changed and len(self.new) == len(self.old)):
            return
        temporary = self.path.with_name(f"{INDEX_NAME}.{os.getpid()}.tmp")
        text = json.dumps({"version": INDEX_VERSION, "files": self.new}, ensure_ascii=False, separators=(",", ":"))
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.path)
        except OSError:  # a read-only folder or a full disk only costs the speed of the next list
            with contextlib.suppress(OSError):  # a read-only file system refuses this too, whether it is there or not
                temporary.unlink()


def _facts_of(entry: list[Any]) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = entry[2]
    return facts


_FACT_TYPES = {
    **dict.fromkeys(("name", "description", "version", "type", "model"), str),
    **dict.fromkeys(("tags", "variants", "other_models", "error"), list),
}


def _read_index(path: Path) -> dict[str, list[Any]]:
    """Read the index; anything unexpected in it counts as no index at all."""
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            return {}
        stored = json.loads(path.read_bytes())
        files = stored["files"] if stored["version"] == INDEX_VERSION else {}
        return {name: entry for name, entry in files.items() if _is_entry(entry)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _is_entry(entry: Any) -> bool:
    if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], dict)):
        return False
    for key, value in entry[2].items():
        kind = _FACT_TYPES.get(key)
        if kind is not None and not isinstance(value, kind):
            return False
        if kind is list and not (_is_error(value) if key == "error" else _are_texts(value)):
            return False
    return True


def _is_error(error: list[Any]) -> bool:
    return (
        len(error) == 4
        and isinstance(error[0], str)
        and all(part is None or isinstance(part, int) for part in error[1:3])
        and (error[3] is None or isinstance(error[3], str))
    )


def _are_texts(value: list[Any]) -> bool:
    return not [item for item in value if not isinstance(item, str)]
