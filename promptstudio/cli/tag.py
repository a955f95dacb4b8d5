"""`ps tag` and `ps release`: annotated git tags for a version of a prompt, and for the whole project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import UsageError
from promptstudio.prompts.library import prompt_paths
from promptstudio.prompts.load import find_file, parse_address
from promptstudio.prompts.snapshot import Snapshot, take_snapshot
from promptstudio.prompts.wording import shown
from promptstudio.versions.changelog import Changelog, changelog_between, changelog_lines
from promptstudio.versions.load import Moment, moment_at
from promptstudio.versions.repo import Repository, open_repository
from promptstudio.versions.revisions import path_of_label, revision_of
from promptstudio.versions.tags import (
    check_tag_name,
    existing_tag,
    make_tag,
    newest_tag,
    release_message,
    tag_message,
    tag_name,
)

_DRY_RUN = typer.Option("--dry-run", help="Print the tag and its message; make nothing.")
_SIGN = typer.Option("-s", "--sign", help="Sign the tag, as git is configured to.")


def tag(
    ctx: typer.Context,
    prompts: Annotated[
        list[str],
        typer.Argument(metavar="PROMPT[@REV]...", help="Default revision: HEAD.", autocompletion=complete_prompts),
    ],
    *,
    sign: Annotated[bool, _SIGN] = False,
    dry_run: Annotated[bool, _DRY_RUN] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Make an annotated tag such as support/triage@v2.1.0 on the commit, with the prompt's hashes in its message."""
    context: Context = ctx.obj
    settings = context.project_settings()
    with open_repository(settings.root or Path.cwd()) as repository:
        tags = [_tag_of(prompt, settings, repository) for prompt in prompts]
        for name, commit, message in tags:
            if not dry_run:
                make_tag(repository, name, commit, message, sign=sign)
    _report(context, tags, dry_run=dry_run, as_json=as_json)
    return 0


def _tag_of(prompt: str, settings: Settings, repository: Repository) -> tuple[str, str, str]:
    address = parse_address(prompt)
    if address.kind == "stdin" or address.variant:
        raise UsageError(f"{shown(prompt)}: a tag is for a whole prompt file", hint="give its name alone")
    cwd = Path.cwd()
    revision = revision_of(address, settings, cwd, repository)
    commit = revision.commit or ""
    moment = moment_at(repository, commit, settings)
    path = path_of_label(revision, address, settings, cwd)
    path = path or find_file(address, moment.settings, cwd, moment.files)
    snapshot = take_snapshot(path, moment.settings, moment.files)
    if snapshot.version is None:
        raise UsageError(f"{snapshot.name} has no version in {commit[:8]}", hint="`ps bump` gives it one; then commit")
    name = tag_name(snapshot.name, snapshot.version)
    _check_new(repository, name, commit)
    previous = newest_tag(repository, tag_name(snapshot.name, "*"), commit)
    changed = _changes(repository, previous, moment, settings, only=snapshot.name) if previous else None
    changes = list(changelog_lines(changed)) if changed else []
    return name, commit, tag_message(snapshot, changes)


def release(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="TAG", help="The name of the release, such as v1.4.0.")],
    *,
    rev: Annotated[str, typer.Option("--rev", metavar="REV", help="The commit to release.")] = "HEAD",
    since: Annotated[
        str | None, typer.Option("--since", metavar="REV", help="What it is compared with. Default: the tag before it.")
    ] = None,
    sign: Annotated[bool, _SIGN] = False,
    dry_run: Annotated[bool, _DRY_RUN] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Make an annotated tag on the whole project: what changed since the last one, and each prompt with its version."""
    context: Context = ctx.obj
    settings = context.project_settings()
    check_tag_name(name)
    with open_repository(settings.root or Path.cwd()) as repository:
        commit = repository.commit_of(rev)
        _check_new(repository, name, commit)
        moment = moment_at(repository, commit, settings)
        previous = since or newest_tag(repository, "*", commit, without="@v")
        changes = list(changelog_lines(_changes(repository, previous, moment, settings))) if previous else []
        message = release_message(name, previous, changes, _snapshots(moment))
        if not dry_run:
            make_tag(repository, name, commit, message, sign=sign)
    _report(context, [(name, commit, message)], dry_run=dry_run, as_json=as_json)
    return 0


def _snapshots(moment: Moment) -> list[Snapshot]:
    return [take_snapshot(path, moment.settings, moment.files) for path in prompt_paths(moment.settings, moment.files)]


def _changes(
    repository: Repository, previous: str, moment: Moment, settings: Settings, only: str | None = None
) -> Changelog:
    return changelog_between(repository, repository.commit_of(previous), moment.commit, settings, only=only)


def _check_new(repository: Repository, name: str, commit: str) -> None:
    there = existing_tag(repository, name)
    if there is not None:
        same = "on this commit already" if there == commit else f"there, on {there[:8]}"
        raise UsageError(f"the tag {shown(name)} is {same}", hint="raise the version first: `ps bump`")


def _report(context: Context, tags: list[tuple[str, str, str]], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        context.output.json([{"tag": name, "commit": commit, "message": message} for name, commit, message in tags])
        return
    for name, commit, message in tags:
        context.output.line(f"{name}  {commit[:8]}{'  (dry run)' if dry_run else ''}")
        if dry_run:
            for line in message.splitlines():
                context.output.line(f"  {line}".rstrip())
    if not dry_run:
        context.output.note(f"`git push origin {tags[0][0]}` shares it")
