"""Prompts of a project → one file that holds everything they need, checked by hashes; and back.

A bundle is JSON: for each prompt its files by path and digest, the settings it is resolved with, and its identity; the
contents stand once each, under their digest. Nothing in it is code, and reading it runs nothing. It has no clock, so
the same prompts always give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from promptstudio.config import Settings
from promptstudio.config.load import settings_from_tables
from promptstudio.errors import CheckFailed, NotFoundError, PromptFileError, UsageError
from promptstudio.prompts.files import Files, HeldFiles, RecordingFiles
from promptstudio.prompts.identity import canonical_json
from promptstudio.prompts.includes import read_json
from promptstudio.prompts.load import Address, load_file
from promptstudio.prompts.prompt import Prompt, Revision
from promptstudio.prompts.snapshot import Snapshot, take_snapshot
from promptstudio.prompts.wording import shown, suggestion

BUNDLE_VERSION = 1
MAX_BUNDLE_BYTES = 256 << 20
_TABLES = ("project", "run", "profiles")


@dataclass(frozen=True, slots=True)
class Source:
    """A prompt to put into a bundle: its file, read through `files`, with the settings that hold there.

    `name` is what it is called now, where its file had another name then; `behavior` is what its hash has to be.
    """

    path: Path
    files: Files
    settings: Settings
    commit: str | None = None
    name: str | None = None
    behavior: str | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """One prompt of a bundle: `files` maps paths below the project to digests, `settings` is a digest too."""

    name: str
    file: str
    version: str | None
    commit: str | None
    behavior: str
    interface: str
    text: str
    variants: Mapping[str, str]
    files: Mapping[str, str]
    settings: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, read and checked. `shown` is how messages name it."""

    shown: str
    project: str | None
    label: str | None
    prompts: Mapping[str, Packed]
    contents: Mapping[str, str]


def make_bundle(sources: Iterable[Source], *, project: str | None, label: str | None) -> bytes:
    """Return the bytes of a bundle. Raises UserError for a prompt that cannot be loaded, or that needs code."""
    prompts: dict[str, Any] = {}
    contents: dict[str, str] = {}
    for source in sources:
        packed = _packed(source, contents)
        if packed["name"] in prompts:
            raise PromptFileError(f"two files are named {shown(packed['name'])}", hint="rename one of them")
        prompts[packed.pop("name")] = packed
    body = {
        "promptstudio_bundle": BUNDLE_VERSION,
        "project": project,
        "label": label,
        "prompts": dict(sorted(prompts.items())),
        "contents": dict(sorted(contents.items())),
    }
    whole = {**body, "digest": _digest(canonical_json(body))}
    return (json.dumps(whole, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def _packed(source: Source, contents: dict[str, str]) -> dict[str, Any]:
    recording = RecordingFiles(source.files)
    snapshot = take_snapshot(source.path, source.settings, recording)
    if source.behavior not in (None, snapshot.identity.behavior):
        said = f"{source.name or snapshot.name} is not what was promoted: its behavior hash is another than recorded"
        raise CheckFailed(said, file=snapshot.path, hint="`ps verify` says what was changed by hand in the lock file")
    root = source.settings.root or source.path.parent
    files: dict[str, str] = {}
    for path in recording.asked:
        if source.files.is_file(path):
            text = source.files.text(path, shown=str(path))
            files[_below(path, root)] = _keep(text, contents)
    tables = {name: source.settings.base.get(name, {}) for name in _TABLES}
    return {
        "name": source.name or snapshot.name,
        "file": _below(source.path, root),
        "version": snapshot.version,
        "commit": source.commit,
        **_hashes(snapshot),
        "files": dict(sorted(files.items())),
        "settings": _keep(canonical_json(tables), contents),
    }


def _hashes(snapshot: Snapshot) -> dict[str, Any]:
    identity = snapshot.identity
    return {
        "behavior": identity.behavior,
        "interface": identity.interface,
        "text": identity.text,
        "variants": {name: variant.identity.behavior for name, variant in sorted(snapshot.variants.items())},
    }


def _below(path: Path, root: Path) -> str:
    if not path.is_relative_to(root):
        raise PromptFileError("the file lies outside the project", file=str(path), hint="bundle prompts of one project")
    return path.relative_to(root).as_posix()


def _keep(text: str, contents: dict[str, str]) -> str:
    digest = _digest(text)
    contents[digest] = text
    return digest


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check all of its digests. Raises UserError; a digest that does not fit is CheckFailed."""
    where = str(path)
    data = _read_bytes(path, where)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise PromptFileError(
            "not a bundle: it is not UTF-8", file=where, hint="`ps bundle -o FILE` makes one"
        ) from cause
    value = read_json(text, file=where)
    if not isinstance(value, dict) or "promptstudio_bundle" not in value:
        raise PromptFileError("this is not a bundle", file=where, hint="`ps bundle -o FILE` makes one")
    if value["promptstudio_bundle"] != BUNDLE_VERSION:
        fact = f"a bundle of version {shown(str(value['promptstudio_bundle']))}; this program reads {BUNDLE_VERSION}"
        raise PromptFileError(fact, file=where, hint="upgrade promptstudio, or make the bundle again")
    body = {name: part for name, part in value.items() if name != "digest"}
    try:
        if _digest(canonical_json(body)) != value.get("digest"):
            _damaged("its digest does not fit its content", where)
        for digest, content in value["contents"].items():
            if _digest(content) != digest:
                _damaged(f"the content {digest[:19]} does not fit its digest", where)
        prompts = {name: _unpacked(name, part, value["contents"]) for name, part in value["prompts"].items()}
        return Bundle(where, value["project"], value["label"], prompts, value["contents"])
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise PromptFileError(f"a bundle with something missing or out of place: {cause}", file=where) from cause


def _read_bytes(path: Path, where: str) -> bytes:
    try:
        if not path.is_file():
            raise NotFoundError("there is no such bundle", file=where)
        size = path.stat().st_size
        if size > MAX_BUNDLE_BYTES:
            raise PromptFileError(f"the bundle has {size:,} bytes; the limit is {MAX_BUNDLE_BYTES:,}", file=where)
        return path.read_bytes()
    except OSError as cause:
        raise PromptFileError(f"cannot read the bundle: {cause.strerror}", file=where) from cause


def _damaged(fact: str, where: str) -> NoReturn:
    raise CheckFailed(f"the bundle was changed or damaged: {fact}", file=where, hint="make it again with `ps bundle`")


def _unpacked(name: str, part: Mapping[str, Any], contents: Mapping[str, str]) -> Packed:
    packed = Packed(name=name, **part)
    for path in packed.files:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            raise ValueError(f"{path[:60]!r} is no path below a project")
    if missing := [digest for digest in (*packed.files.values(), packed.settings) if digest not in contents]:
        raise ValueError(f"no content {missing[0][:19]}")
    if packed.file not in packed.files:
        raise ValueError(f"{packed.file[:60]!r} is not among the files")
    return packed


def load_from(bundle: Bundle, address: Address, settings: Settings) -> tuple[Prompt, Settings]:
    """Return a prompt of a bundle, and the settings to run it with. Raises CheckFailed if its hashes do not fit."""
    if address.kind != "name":
        raise UsageError(f"{shown(address.target)}: in a bundle prompts have names, not paths")
    if address.revision is not None and address.revision not in (bundle.label, f"label:{bundle.label}"):
        hint = f"the bundle holds what {bundle.label!r} was" if bundle.label else "leave the @ part away"
        raise UsageError(f"@{address.revision}: a bundle holds one version of a prompt", hint=hint)
    packed = bundle.prompts.get(address.target)
    if packed is None:
        hint = suggestion(address.target, list(bundle.prompts), otherwise="it holds")
        raise NotFoundError(f"there is no prompt {shown(address.target)} in {bundle.shown}", hint=hint)
    root = settings.root or Path(os.path.abspath(bundle.shown)).parent  # noqa: PTH100  it need not exist
    held = HeldFiles(
        {root / path: bundle.contents[digest].encode("utf-8") for path, digest in packed.files.items()},
        f"{bundle.shown}:",
    )
    tables = json.loads(bundle.contents[packed.settings])
    resolved = settings_from_tables(tables, shown=f"{bundle.shown}: settings", root=root, now=settings)
    prompt = load_file(root / packed.file, resolved, variant=address.variant, files=held)
    wanted = packed.variants[address.variant] if address.variant is not None else packed.behavior
    if prompt.identity.behavior != wanted:
        _damaged(f"{address.target} does not have the behavior hash it was packed with", bundle.shown)
    return replace(prompt, name=packed.name), resolved


def revision_in(bundle: Bundle, address: Address) -> Revision:
    """Return what the history remembers of where a bundled prompt came from."""
    packed = bundle.prompts[address.target]
    return Revision(address.revision or bundle.shown, packed.commit, bundle.label, bundle.shown)
