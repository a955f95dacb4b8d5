"""`ps label`: list labels, set one on any revision, take one away."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context, root_of
from promptstudio.cli.known_evidence import evidence_text, known_evidence
from promptstudio.cli.label_moves import commit_message, label_object, make_moves, prompt_name, report_moves
from promptstudio.cli.parser import new_app
from promptstudio.errors import NotFoundError
from promptstudio.prompts.wording import suggestion
from promptstudio.versions.git import git_user
from promptstudio.versions.labels import completed, label_of, prompt_files, who_now, without_label
from promptstudio.versions.lock import Lock, Stanza, change_lock, read_lock
from promptstudio.versions.lock_commit import change_and_commit
from promptstudio.versions.promotion import HEAD, check_committed, plan_move
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots

app = new_app(no_args_is_help=True, help="Labels of prompts: list, set, rm.")

Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="A prompt.", autocompletion=complete_prompts)]
LabelName = Annotated[str, typer.Argument(metavar="LABEL", help="Such as production.")]
Commit = Annotated[bool, typer.Option("--commit", help="Commit promptstudio.lock, and nothing else.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_labels(
    ctx: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT]", help="Default: all prompts.", autocompletion=complete_prompts),
    ] = None,
    *,
    as_json: Json = False,
) -> int:
    """List labels: where each points, since when, and what its version was evaluated with."""
    context: Context = ctx.obj
    settings = context.project_settings()
    lock = read_lock(settings.root)
    stanzas = _stanzas(lock, prompt)
    pairs = [(stanza, name) for stanza in stanzas for name in sorted(stanza.labels)]
    if as_json:
        context.output.json(
            [{"prompt": stanza.name, "label": name, **label_object(stanza.labels[name])} for stanza, name in pairs]
        )
        return 0
    if not pairs:
        whose = f"{prompt} has" if prompt else "there are"
        context.output.note(f"{whose} no labels yet; `{context.program} promote PROMPT staging` makes one")
        return 0
    rows = [_row(stanza, name) for stanza, name in pairs]
    context.output.table(rows, header=("PROMPT", "LABEL", "VERSION", "COMMIT", "SINCE", "BY", "EVALUATED"))
    return 0


def _stanzas(lock: Lock, prompt: str | None) -> list[Stanza]:
    if prompt is None:
        return [lock.prompts[name] for name in sorted(lock.prompts)]
    if prompt not in lock.prompts:
        raise NotFoundError(f"{lock.file} has no prompt {prompt!r}", hint=suggestion(prompt, lock.prompts))
    return [lock.prompts[prompt]]


def _row(stanza: Stanza, name: str) -> tuple[str, ...]:
    label = stanza.labels[name]
    evaluated = evidence_text(label.evaluations).removeprefix("evaluated: ")
    since = label.promoted.replace("T", " ")[:16]
    return (stanza.name, name, label.version or "-", label.commit[:12], since, label.by.partition(" <")[0], evaluated)


@app.command("set")
def set_label(
    ctx: typer.Context,
    prompt: Prompt,
    label: LabelName,
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="A revision or another label; default HEAD.")] = HEAD,
    *,
    commit: Commit = False,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    as_json: Json = False,
) -> int:
    """Point a label at a revision. `ps promote` does the same with its checks, and for several prompts."""
    context: Context = ctx.obj
    settings = context.project_settings()
    lock = read_lock(settings.root)
    name = prompt if prompt in lock.prompts else prompt_name(prompt, settings)
    with open_repository(root_of(settings)) as repository, Snapshots(repository, settings) as snapshots:
        if revision == HEAD:
            check_committed(snapshots, name)
        move = plan_move(snapshots, lock, name, label, revision, who_now(git_user(repository.top), reason))
        evidence = known_evidence(lock, settings, [move.new.behavior])
        message = commit_message("Set {label} of {prompt}", [move], reason) if commit else None
        made = make_moves(snapshots, [move], evidence, message=message, dry_run=dry_run)
    report_moves(context, made, as_json=as_json)
    return 0


@app.command("rm")
def remove_label(
    ctx: typer.Context,
    prompt: Prompt,
    label: LabelName,
    *,
    commit: Commit = False,
    as_json: Json = False,
) -> int:
    """Take a label away from a prompt; its evaluations stay. The prompt may be gone already."""
    context: Context = ctx.obj
    settings = context.project_settings()
    name = prompt if prompt in read_lock(settings.root).prompts else prompt_name(prompt, settings)
    with open_repository(root_of(settings)) as repository:
        files = prompt_files(settings, repository)

        def change(lock: Lock) -> dict[str, Stanza]:
            label_of(lock, name, label)
            return completed({**lock.prompts, name: without_label(lock.prompts[name], label)}, files)

        made = None
        if commit:
            made = change_and_commit(root_of(settings), change, repository, f"Remove {label} of {name}")
        else:
            change_lock(root_of(settings), change)
    removed: dict[str, Any] = {"prompt": name, "label": label, "commit": made}
    if as_json:
        context.output.json({"removed": removed})
    else:
        context.output.line(f"{name}: {label} is gone")
    return 0
