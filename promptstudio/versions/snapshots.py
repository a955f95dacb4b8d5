"""A moment and a prompt's file → its snapshot, or what is wrong with it; read at most once for each content.

What a file means depends on its content, on the files it names, and on a little of the settings. An entry of the cache
says which paths were asked for when it was made and what lay there, and holds wherever the same lies there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from promptstudio.config import Settings
from promptstudio.errors import Problem, UserError
from promptstudio.prompts.files import RecordingFiles
from promptstudio.prompts.hashes import Identity
from promptstudio.prompts.library import prompt_paths
from promptstudio.prompts.snapshot import SNAPSHOT_VERSION, Snapshot, snapshot_from, snapshot_json, take_snapshot
from promptstudio.versions.gitfiles import GitFiles
from promptstudio.versions.moments import (
    NOW,
    SETTINGS_FILE,
    Moment,
    WorkFiles,
    below_top,
    settings_in,
    working_tree,
)
from promptstudio.versions.repo import Repository
from promptstudio.versions.snapshotdb import Key, SnapshotDb, Stored

LOADING_VERSION = 1
"""Raise it when loading gives something else for the same files: hashes, names, problems."""


class Known(NamedTuple):
    """What lists need of a prompt at a moment.

    `asked` is every path that was looked at (below the repository's top) with the content found there, None for
    nothing; `variants` their behavior hashes. Of `identity` and `problem` exactly one is None.
    """

    name: str
    version: str | None
    identity: Identity | None
    variants: Mapping[str, str]
    asked: Mapping[str, str | None]
    problem: Problem | None = None


class Change(NamedTuple):
    """A prompt at two moments: `old` is None where it is new, `new` where it is gone. Paths are below the top.

    The paths differ for a prompt that was moved.
    """

    old_path: str | None
    new_path: str | None
    old: Snapshot | Problem | None
    new: Snapshot | Problem | None


class Snapshots:
    """The prompts of a repository's commits and of its working tree. Close it, or use it in a `with`.

    `settings` are those of now. With `fresh`, everything is read again and nothing is taken from the cache.
    """

    def __init__(self, repository: Repository, settings: Settings, *, fresh: bool = False) -> None:
        self.repository = repository
        self.settings = settings
        self.fresh = fresh
        self.db = SnapshotDb(repository.common_dir, SNAPSHOT_VERSION * 1000 + LOADING_VERSION)
        self._moments: dict[str, Moment] = {}
        self._contexts: dict[int, tuple[Settings, str]] = {}
        self._settings: dict[str | None, Settings] = {}  # by content
        self._documents: dict[str, Any] = {}
        self._taken: dict[Key, list[tuple[Known, dict[str, Any] | None]]] = {}

    def __enter__(self) -> Snapshots:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what was found out. The repository stays open."""
        self.db.close()

    # Moments

    def now(self) -> Moment:
        """Return the working tree."""
        if NOW not in self._moments:
            self._moments[NOW] = working_tree(self.repository, self.settings)
        return self._moments[NOW]

    def at(self, commit: str, oids: Mapping[str, str | None] | None = None) -> Moment:
        """Return the project as a commit (a full id) has it. Raises ConfigError for settings that cannot be read.

        `oids` are contents that are known already. Raises NotFoundError for a commit that is gone.
        """
        if commit not in self._moments:
            files = GitFiles(self.repository, commit, oids)
            self._moments[commit] = Moment(commit, files, self._settings_in(files))
        return self._moments[commit]

    @cached_property
    def settings_name(self) -> str | None:
        """The path of promptstudio.toml below the repository's top."""
        root = self.settings.root or self.repository.top
        return below_top(root / SETTINGS_FILE, self.repository)

    def below_root(self, name: str) -> str:
        """Return a path below the repository's top as it is from the project's root, where it lies in it."""
        root = below_top(self.settings.root, self.repository) if self.settings.root else None
        return name.removeprefix(f"{root}/") if root else name

    def _settings_in(self, files: GitFiles) -> Settings:
        name = self.settings_name
        oid = files.oid_at(name) if name is not None else None
        if oid not in self._settings:
            self._settings[oid] = settings_in(files, self.repository, self.settings)
        return self._settings[oid]

    # Prompts

    def of(self, moment: Moment, path: Path) -> Snapshot | Problem:
        """Return the prompt a file holds at a moment, with its variants; a file that does not load is its problem."""
        known, body = self._found(moment, path, with_body=True)
        if known.problem is not None:
            return known.problem
        return _with_prefix(snapshot_from(body or {}), moment.files.prefix)

    def known(self, moment: Moment, path: Path) -> Known:
        """Return what lists need of a prompt, which is quicker."""
        return self._found(moment, path, with_body=False)[0]

    def identity(self, moment: Moment, path: Path) -> Identity | Problem:
        """Return the hashes of a prompt at a moment, or what is wrong with it."""
        known = self.known(moment, path)
        return known.identity or known.problem or Problem("the prompt cannot be read")

    def all_at(self, moment: Moment) -> dict[str, Snapshot | Problem]:
        """Return every prompt of a moment by its path below the repository's top."""
        return {name: self.of(moment, path) for name, path in prompts_at(moment, self.repository).items()}

    def changes(self, old: Moment, new: Moment) -> Iterator[Change]:
        """Yield each prompt that may differ between two moments: its file, a file it names, or the settings changed.

        A prompt whose file moved is one change with two paths. All others are the same and are not loaded.
        """
        from promptstudio.versions.compare import paired_paths  # weight: only comparisons of all prompts need it

        for old_path, new_path in paired_paths(self, old, new):
            yield Change(old_path, new_path, self._named(old, old_path), self._named(new, new_path))

    def _named(self, moment: Moment, name: str | None) -> Snapshot | Problem | None:
        return self.of(moment, self.repository.top / name) if name is not None else None

    def document(self, oid: str) -> Any:
        """Return the plain data a committed YAML file holds, None where it cannot be read."""
        if oid in self._documents:
            return self._documents[oid]
        kept = None if self.fresh else self.db.document(oid)
        self._documents[oid] = kept[0] if kept is not None else self._read_document(oid)
        return self._documents[oid]

    def kept_document(self, oid: str) -> Any:
        """Return the data of a content if it was read before, None where it was not."""
        kept = None if self.fresh else self.db.document(oid)
        return kept[0] if kept is not None else None

    def _read_document(self, oid: str) -> Any:
        found = self.repository.object(oid)
        value = parsed(found.content) if found is not None else None
        if found is not None and not self.fresh:
            self.db.keep_document(oid, value)
        return value

    # Finding

    def context(self, settings: Settings) -> str:
        """Return a digest of what counts of the settings, and of where the project lies in the repository."""
        known = self._contexts.get(id(settings))
        if known is None:
            known = self._contexts[id(settings)] = (settings, _context(settings, self.repository))
        return known[1]

    def stored(self, moment: Moment, path: Path) -> Known | None:
        """Return what the cache knows of a prompt at a moment, without reading the prompt."""
        found = self._looked_up(moment, self._key(moment, path), with_body=False)
        return found[0] if found else None

    def _found(self, moment: Moment, path: Path, *, with_body: bool) -> tuple[Known, dict[str, Any] | None]:
        key = self._key(moment, path)
        return self._looked_up(moment, key, with_body=with_body) or self._taken_now(moment, path, key)

    def _key(self, moment: Moment, path: Path) -> Key | None:
        name = below_top(path, self.repository)
        blob = moment.files.oid_at(name) if name is not None else None
        return Key(name, self.context(moment.settings), blob) if name is not None and blob is not None else None

    def _looked_up(
        self, moment: Moment, key: Key | None, *, with_body: bool
    ) -> tuple[Known, dict[str, Any] | None] | None:
        if key is None:
            return None
        for known, body in self._taken.get(key, ()):
            if _holds(known.asked, moment) and (body is not None or not with_body or known.problem):
                return _shown_at(known, moment), body
        for entry in () if self.fresh else self.db.find(key):
            known = _known(entry)
            if not _holds(known.asked, moment):
                continue
            body = self.db.body(entry) if with_body and known.problem is None else None
            if with_body and known.problem is None and not isinstance(body, dict):
                continue
            self._taken.setdefault(key, []).append((known, body))
            return _shown_at(known, moment), body
        return None

    def _taken_now(self, moment: Moment, path: Path, key: Key | None) -> tuple[Known, dict[str, Any] | None]:
        # What was told of contents beforehand may be wrong where links are; what is stored is looked up.
        source = GitFiles(self.repository, moment.commit) if moment.commit != NOW else moment.files
        files = RecordingFiles(source)
        body: dict[str, Any] | None = None
        problem: Problem | None = None
        try:
            # Read back at once, so that a snapshot is the same value whether it was stored or not.
            body = json.loads(json.dumps(snapshot_json(take_snapshot(path, moment.settings, files))))
        except UserError as error:
            problem = error.problems[0]
        names = {below_top(asked, self.repository): None for asked in files.asked}
        asked = {name: source.oid_at(name) for name in names if name is not None}
        known, body = _stripped(body, problem, asked, files.prefix)
        if key is not None and None not in names:
            self._taken.setdefault(key, []).append((known, body))
            if not self.fresh and (moment.commit != NOW or self._is_still(asked)):
                self.db.add(key, _facts(known), body)
        return _shown_at(known, moment), body

    def _is_still(self, asked: Mapping[str, str | None]) -> bool:
        """Whether the working tree was left alone while a prompt was read: what was read is what was hashed."""
        files = WorkFiles(self.repository)
        return all(files.oid_at(name) == oid for name, oid in asked.items())


def parsed(content: bytes) -> Any:
    """Return the plain data of a YAML text, None where it is none."""
    from promptstudio.prompts.yamlfile import read_yaml  # weight: what is known already is not parsed

    try:
        return read_yaml(content, file="").value
    except UserError:
        return None


def prompts_at(moment: Moment, repository: Repository) -> dict[str, Path]:
    """Return the prompt files of a moment by their path below the repository's top."""
    paths = prompt_paths(moment.settings, moment.files)
    return {name: path for path in paths if (name := below_top(path, repository)) is not None}


def _context(settings: Settings, repository: Repository) -> str:
    run = settings.base.get("run")
    run = run if isinstance(run, Mapping) else {}
    root = settings.root
    facts = [
        os.path.relpath(root, repository.top) if root else str(repository.top),
        os.path.relpath(settings.prompts_dir, root) if root and settings.prompts_dir else None,
        run.get("model"),
        run.get("profile"),
        settings.profiles,
    ]
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _holds(asked: Mapping[str, str | None], moment: Moment) -> bool:
    return all(moment.files.oid_at(name) == oid for name, oid in asked.items())


def _stripped(
    body: dict[str, Any] | None, problem: Problem | None, asked: Mapping[str, str | None], prefix: str
) -> tuple[Known, dict[str, Any] | None]:
    """Return facts and body as they are stored: without the commit they happened to be read from."""
    if body is None:
        problem = problem and _moved(problem, problem.file and problem.file.removeprefix(prefix))
        return Known("", None, None, {}, asked, problem), None
    body["path"] = body["path"].removeprefix(prefix)
    for variant in body["variants"].values():
        variant["path"] = variant["path"].removeprefix(prefix)
    variants = {name: variant["identity"][0] for name, variant in body["variants"].items()}
    return Known(body["name"], body["version"], Identity(*body["identity"]), variants, asked), body


def _shown_at(known: Known, moment: Moment) -> Known:
    problem = known.problem
    if problem is None or not moment.files.prefix:
        return known
    return known._replace(problem=_moved(problem, problem.file and moment.files.prefix + problem.file))


def _moved(problem: Problem, file: str | None) -> Problem:
    return Problem(problem.message, file=file, line=problem.line, column=problem.column, hint=problem.hint)


def _with_prefix(snapshot: Snapshot, prefix: str) -> Snapshot:
    variants = {name: _with_prefix(variant, prefix) for name, variant in snapshot.variants.items()}
    return replace(snapshot, path=prefix + snapshot.path, variants=variants)


def _facts(known: Known) -> dict[str, Any]:
    problem = known.problem
    identity = known.identity
    return {
        "name": known.name,
        "version": known.version,
        "identity": [identity.behavior, identity.interface, identity.text] if identity else None,
        "variants": dict(known.variants),
        "asked": dict(known.asked),
        "problem": [problem.message, problem.file, problem.line, problem.column, problem.hint] if problem else None,
    }


def _known(entry: Stored) -> Known:
    facts = entry.facts
    problem, identity = facts["problem"], facts["identity"]
    return Known(
        facts["name"],
        facts["version"],
        Identity(*identity) if identity else None,
        facts["variants"],
        facts["asked"],
        Problem(problem[0], file=problem[1], line=problem[2], column=problem[3], hint=problem[4]) if problem else None,
    )
