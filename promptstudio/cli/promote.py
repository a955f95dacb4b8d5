"""`ps promote`: move a label of prompts to what is committed, or to what another label has."""

from __future__ import annotations

from typing import Annotated

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context, root_of
from promptstudio.cli.known_evidence import evidence_text, known_evidence
from promptstudio.cli.label_moves import commit_message, make_moves, prompt_name, report_moves
from promptstudio.config import Settings
from promptstudio.errors import CheckFailed, NothingSelected, Problem, PromptFileError, UsageError
from promptstudio.prompts.library import prompt_rows
from promptstudio.versions.git import git_user
from promptstudio.versions.labels import who_now
from promptstudio.versions.lock import Evidence, is_passing, read_lock
from promptstudio.versions.promotion import HEAD, Move, check_committed, check_lint, plan_move
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots

ARROWS = ("->", "→")


def promote(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT... [FROM->]LABEL",
            help="The prompts, and the label they get. Quote the arrow, > is the shell's: 'staging->production'.",
            autocompletion=complete_prompts,
        ),
    ] = None,
    *,
    source: Annotated[
        str | None, typer.Option("--from", metavar="REV", help="A label or a revision; default HEAD.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", metavar="LABEL", help="The label, instead of the last word.")
    ] = None,
    all_prompts: Annotated[bool, typer.Option("--all", help="Every prompt of the project.")] = False,
    require_evals: Annotated[
        bool, typer.Option("--require-evals", help="Only what was evaluated, in just this form, and passed.")
    ] = False,
    commit: Annotated[bool, typer.Option("--commit", help="Commit promptstudio.lock, and nothing else.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Point a label such as production at a version of a prompt, in promptstudio.lock.

    A label points at a commit: what is not committed cannot be promoted. With --require-evals the exit code is 1 unless
    there is a passing evaluation of exactly this behavior, in the lock file or in the history.
    """
    context: Context = ctx.obj
    names, source, label = _asked(list(words or ()), source, target)
    settings = context.project_settings()
    chosen = _chosen(names, settings, all_prompts=all_prompts)
    with (
        open_repository(root_of(settings)) as repository,
        Snapshots(repository, settings) as snapshots,
    ):
        lock = read_lock(settings.root)
        who = who_now(git_user(repository.top), reason)
        moves = []
        for name in chosen:
            if source == HEAD:
                check_committed(snapshots, name)
                check_lint(settings, name)
            moves.append(plan_move(snapshots, lock, name, label, source, who))
        evidence = known_evidence(lock, settings, [move.new.behavior for move in moves])
        if require_evals:
            _check_evidence(moves, evidence)
        message = commit_message("Promote {prompt} to {label}", moves, reason) if commit else None
        made = make_moves(snapshots, moves, evidence, message=message, dry_run=dry_run)
    report_moves(context, made, as_json=as_json)
    return 0


def _asked(words: list[str], source: str | None, target: str | None) -> tuple[list[str], str, str]:
    """Return the prompts, where from, and the label."""
    if target is None:
        if not words:
            raise UsageError("which label?", hint="ps promote greet staging, or ps promote greet 'staging->production'")
        target = words.pop()
        if target.endswith("-") and len(target) > 1:
            raise UsageError(
                f"{target!r} ends in a dash: the shell took `>` as a redirection, and may have made a file",
                hint=f"quote the arrow: '{target}>production', or use --from {target[:-1]} --to production",
            )
    arrow = next((arrow for arrow in ARROWS if arrow in target), None)
    if arrow is not None:
        before, _, target = (part.strip() for part in target.partition(arrow))
        if source is not None:
            raise UsageError(f"--from {source} and {before}{arrow} both say where from", hint="choose one")
        source = before
    return words, source or HEAD, target


def _chosen(names: list[str], settings: Settings, *, all_prompts: bool) -> list[str]:
    if all_prompts and names:
        raise UsageError(f"--all and {names[0]!r} are different choices", hint="choose one")
    if not all_prompts:
        if not names:
            raise UsageError("which prompt?", hint="ps promote greet staging, or --all")
        return list(dict.fromkeys(prompt_name(name, settings) for name in names))
    rows = prompt_rows(settings)
    if not rows:
        raise NothingSelected("there is no prompt in this project", hint=f"prompts lie in {settings.prompts_dir}")
    if problems := [row.error for row in rows if row.error is not None]:
        raise PromptFileError(problems)
    return [row.name for row in rows]


def _check_evidence(moves: list[Move], evidence: dict[str, tuple[Evidence, ...]]) -> None:
    problems = [
        Problem(
            f"{move.prompt}: {evidence_text(evidence[move.new.behavior])} ({move.new.behavior[:15]}…)",
            hint=f"evaluate what {move.new.commit[:12]} has, or record what another tool found: ps evidence add",
        )
        for move in moves
        if not is_passing(evidence[move.new.behavior])
    ]
    if problems:
        raise CheckFailed(problems)
