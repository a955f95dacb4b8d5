"""An address → `Prompt`: from the working tree, wholly from one commit (`greet@HEAD~3`), or from a bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.prompts import load as disk
from promptstudio.prompts.load import Address, find_file, load_file, parse_address
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.wording import shown
from promptstudio.versions.lock import read_lock
from promptstudio.versions.moments import Moment, moment_at
from promptstudio.versions.repo import Repository, open_repository

__all__ = ["Loaded", "Moment", "load_anywhere", "load_at", "load_prompt", "moment_at"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A prompt, the settings it is to be run with, and the text of its file where that is not what lies on the disk."""

    prompt: Prompt
    settings: Settings
    text: str | None = None


def load_prompt(address: str, settings: Settings, *, stdin: str | None = None, cwd: Path | None = None) -> Prompt:
    """Load the prompt an address names, `support/triage@production` and `greet@HEAD~3` too."""
    return load_anywhere(address, settings, stdin=stdin, cwd=cwd).prompt


def load_anywhere(
    address: str,
    settings: Settings,
    *,
    stdin: str | None = None,
    cwd: Path | None = None,
    bundle: Path | None = None,
) -> Loaded:
    """Load a prompt with the settings it belongs to. Connections are always those of now."""
    parsed = parse_address(address)
    if bundle is not None:
        return _from_bundle(parsed, settings, bundle)
    if parsed.revision is None:
        return Loaded(disk.load_prompt(address, settings, stdin=stdin, cwd=cwd), settings, stdin)
    if parsed.kind == "stdin":
        raise UsageError(f"{shown(address)}: standard input has no revisions", hint="leave the @ part away")
    here = cwd or Path.cwd()
    with open_repository(_start(parsed, settings, here)) as repository:
        return load_at(parsed, settings, here, repository)


def load_at(address: Address, settings: Settings, cwd: Path, repository: Repository) -> Loaded:
    """Load a prompt from the commit its address names."""
    # Here for weight: most addresses have no revision.
    from promptstudio.versions.revisions import check_label, path_of_label, revision_of, stanza_name

    revision = revision_of(address, settings, cwd, repository)
    moment = moment_at(repository, revision.commit or "", settings)
    try:
        path = path_of_label(revision, address, settings, cwd)
        path = path or find_file(address, moment.settings, cwd, moment.files)
        prompt = load_file(path, moment.settings, variant=address.variant, cwd=cwd, files=moment.files)
    except NotFoundError as cause:
        raise NotFoundError(f"{cause.message} in {shown(revision.asked)}", hint=cause.hint) from cause
    if revision.label is not None:
        check_label(prompt, revision, address, settings, cwd)
        # Its file may have had another name then; the label, the runs and the notes are kept under that of now.
        prompt = replace(prompt, name=stanza_name(address, settings, cwd, read_lock(settings.root)))
    text = moment.files.text(path, shown=prompt.shown_path)
    return Loaded(replace(prompt, revision=revision), moment.settings, text)


def _from_bundle(address: Address, settings: Settings, bundle: Path) -> Loaded:
    from promptstudio.versions.bundle import load_from, read_bundle, revision_in  # weight: only with --bundle

    packed = read_bundle(bundle)
    prompt, resolved = load_from(packed, address, settings)
    entry = packed.prompts[address.target]
    text = packed.contents[entry.files[entry.file]]
    return Loaded(replace(prompt, revision=revision_in(packed, address)), resolved, text)


def _start(address: Address, settings: Settings, cwd: Path) -> Path:
    """Return the folder whose repository is meant: the project's, or that of a file named by its path."""
    if address.kind == "path":
        folder = (cwd / Path(address.target).expanduser()).parent
        return next((place for place in (folder, *folder.parents) if place.is_dir()), cwd)
    return settings.root or cwd
