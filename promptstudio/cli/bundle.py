"""`ps bundle`: prompts as one checked file, for images without git; and what such a file holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, NothingSelected, PromptFileError, ToolError, UsageError
from promptstudio.prompts.files import DISK
from promptstudio.prompts.filewrite import create_file, write_atomically
from promptstudio.prompts.library import prompt_paths
from promptstudio.prompts.load import parse_address, path_of
from promptstudio.prompts.wording import shown
from promptstudio.versions.bundle import Bundle, Source, load_from, make_bundle, read_bundle
from promptstudio.versions.load import Moment, moment_at
from promptstudio.versions.lock import Label, Lock, read_lock
from promptstudio.versions.repo import Repository, open_repository


def bundle(
    ctx: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT]...", help="Which prompts; default: all.", autocompletion=complete_prompts),
    ] = None,
    *,
    output_file: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The bundle to write; - for stdout.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="LABEL", help="Each prompt as this label has it, as in production.")
    ] = None,
    rev: Annotated[
        str | None, typer.Option("--rev", metavar="REV", help="All prompts as of this revision. Default: HEAD.")
    ] = None,
    working_tree: Annotated[
        bool, typer.Option("--working-tree", help="The files as they lie there now, committed or not.")
    ] = False,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Check a bundle's hashes and list what it holds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the bundle holds as JSON.")] = False,
) -> int:
    """Write one self-contained, hash-checked file with the prompts and everything they include.

    `promptstudio.load(NAME, bundle=FILE)` and `ps run NAME --bundle FILE` read it where there is no git.
    """
    context: Context = ctx.obj
    if check is not None:
        return _report(context, _checked(check, context.settings()), as_json=as_json)
    if output_file is None:
        raise UsageError("where should the bundle go?", hint=f"{context.program} bundle -o prompts.bundle.json")
    if sum([label is not None, rev is not None, working_tree]) > 1:
        raise UsageError("--label, --rev and --working-tree are different sources", hint="choose one")
    settings = context.project_settings()
    names = [_name(prompt) for prompt in prompts or ()]
    with ExitStack() as opened:
        sources = _sources(names, settings, label, rev, opened, working_tree=working_tree)
        data = make_bundle(sources, project=settings.project_name, label=label)
    if str(output_file) == "-":
        context.output.write(data.decode("utf-8"))
        return 0
    write = write_atomically if output_file.exists() else create_file
    write(output_file, data.decode("utf-8"), shown=str(output_file))
    return _report(context, read_bundle(output_file), as_json=as_json)


def _name(address: str) -> str:
    parsed = parse_address(address)
    if parsed.kind != "name" or parsed.revision is not None or parsed.variant is not None:
        raise UsageError(f"{shown(address)}: give the names of prompts", hint="variants come along; --rev is for all")
    return parsed.target


def _sources(
    names: list[str], settings: Settings, label: str | None, rev: str | None, opened: ExitStack, *, working_tree: bool
) -> list[Source]:
    if working_tree:
        paths = [path_of(name, settings) for name in names] or prompt_paths(settings)
        return _some([Source(path, DISK, settings) for path in paths], "the prompts folder is empty")
    try:
        repository = opened.enter_context(open_repository(settings.root or Path.cwd()))
    except ToolError as cause:
        raise ToolError(cause.message, hint="--working-tree bundles the files as they lie there") from cause
    if label is not None:
        return _labeled(names, settings, label, repository)
    moment = moment_at(repository, repository.commit_of(rev or "HEAD"), settings)
    paths = [path_of(name, moment.settings, moment.files) for name in names]
    return _some(
        [_of_moment(path, moment) for path in paths or prompt_paths(moment.settings, moment.files)],
        f"there is no prompt in {rev or 'HEAD'}",
    )


def _labeled(names: list[str], settings: Settings, label: str, repository: Repository) -> list[Source]:
    lock = read_lock(settings.root)
    sources = []
    for name, held in _holders(lock, names, label):
        if repository.ids([f"{held.commit}^{{commit}}"])[0] is None:
            said = f"the label {label} of {name} points at {held.commit[:12]}, which is not in this repository"
            line = lock.line_of(name, "labels", label, "commit")
            raise NotFoundError(said, file=lock.file, line=line, hint=repository.lost_hint())
        moment = moment_at(repository, held.commit, settings)
        path = (settings.root or Path.cwd()) / held.file  # the prompt may have moved since
        sources.append(replace(_of_moment(path, moment), name=name, behavior=held.behavior))
    return _some(sources, f"no prompt carries the label {label!r}")


def _holders(lock: Lock, names: list[str], label: str) -> Iterator[tuple[str, Label]]:
    for name in names or lock.prompts:
        stanza = lock.prompts.get(name)
        held = stanza.labels.get(label) if stanza is not None else None
        if held is not None:
            yield name, held
        elif names:
            raise PromptFileError(f"{shown(name)} does not carry the label {label!r}", hint="ps label list shows all")


def _some(sources: list[Source], otherwise: str) -> list[Source]:
    if not sources:
        raise NothingSelected(otherwise)
    return sources


def _of_moment(path: Path, moment: Moment) -> Source:
    return Source(path, moment.files, moment.settings, moment.commit)


def _checked(path: Path, settings: Settings) -> Bundle:
    """Read a bundle and load every prompt in it, variants too, which compares its hashes."""
    packed = read_bundle(path)
    for name, entry in packed.prompts.items():
        for address in (name, *(f"{name}:{variant}" for variant in entry.variants)):
            load_from(packed, parse_address(address), settings)
    return packed


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _report(context: Context, packed: Bundle, *, as_json: bool) -> int:
    if as_json:
        context.output.json(_object(packed))
        return 0
    rows = [
        (
            entry.name,
            entry.version or "",
            (entry.commit or "")[:8],
            entry.behavior[:15],
            _count(len(entry.files), "file"),
        )
        for entry in packed.prompts.values()
    ]
    context.output.table(rows, header=("PROMPT", "VERSION", "COMMIT", "BEHAVIOR", "HOLDS"))
    said = f", label {packed.label}" if packed.label else ""
    context.output.note(f"{packed.shown}: {_count(len(rows), 'prompt')}{said}, all hashes fit")
    return 0


def _object(packed: Bundle) -> dict[str, Any]:
    return {
        "file": packed.shown,
        "project": packed.project,
        "label": packed.label,
        "prompts": {
            entry.name: {
                "file": entry.file,
                "version": entry.version,
                "commit": entry.commit,
                "behavior": entry.behavior,
                "interface": entry.interface,
                "text": entry.text,
                "variants": dict(entry.variants),
                "files": dict(entry.files),
            }
            for entry in packed.prompts.values()
        },
    }
