"""`ps diff`: what changed in prompts between two versions, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.diff_view import SHOWN_IN_FULL, print_summary
from promptstudio.cli.parser import new_app
from promptstudio.errors import UsageError
from promptstudio.versions.diff.ask import Meanings, Question, question_of, question_with_dashes
from promptstudio.versions.diff.collect import INDEX, Ground, collect, is_prompt, is_revision
from promptstudio.versions.diff.kept import keep, key_of
from promptstudio.versions.diff.rows import Comparison, PromptRow
from promptstudio.versions.diff.show import Look
from promptstudio.versions.diff.summary import ERROR, Summary
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptstudio.versions.diff.schema import Diff

_BEHIND_DASHES = "promptstudio.behind_dashes"


class DiffCommand(TyperCommand):
    """A command that remembers what stood behind `--`: the parser forgets it, and for us it tells prompts apart."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta[_BEHIND_DASHES] = args[place + 1 :]
            args = args[:place]
        return super().parse_args(ctx, args)


app = new_app()


@app.command("diff", cls=DiffCommand)
def diff(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A[..B]] [PROMPT]...",
            help="Revisions, labels and prompts; default: HEAD against the working tree. -- stands before prompts.",
            autocompletion=complete_prompts,
        ),
    ] = None,
    *,
    staged: Annotated[bool, typer.Option("--staged", help="Compare with what is staged.")] = False,
    summary: Annotated[bool, typer.Option("--summary", "--stat", help="Only one line for each prompt.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The details of all prompts, however many.")] = False,
    unified: Annotated[
        int | None, typer.Option("-U", "--unified", metavar="N", min=0, help="Unchanged lines around a change.")
    ] = None,
    render: Annotated[bool, typer.Option("--render", help="Compare the messages that would be sent.")] = False,
    values: Annotated[
        list[str] | None,
        typer.Option("-v", "--var", metavar="NAME=VALUE", help="An input for --render; as for `show`."),
    ] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="Show past answers of both versions to the same inputs.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where anything differs above NONE.")
    ] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say what changed in prompts, and what it means: MAJOR, MINOR, PATCH or NONE.

    Without a prompt all that changed are listed; of up to five the details are shown as well.
    """
    context: Context = ctx.obj
    _check(summary=summary, full=full, markdown=as_markdown, json=as_json, render=render or bool(values), runs=runs)
    look = Look(marked=not (context.output.color and context.output.is_tty), context=2 if unified is None else unified)
    with _ground(context) as ground:
        question = _question(words or [], ctx.meta.get(_BEHIND_DASHES), ground)
        _check_staged(question, staged=staged)
        found = collect(question, ground, staged=staged)
        if render or values:
            from promptstudio.cli.diff_render import print_rendered  # weight: templates

            differs = print_rendered(context, found, values or [], look, ground, as_json=as_json)
            return 1 if exit_code and differs else 0
        if runs:
            from promptstudio.cli.diff_runs import print_runs  # weight: the history

            return print_runs(context, found, look, as_json=as_json)
        detailed = not summary and (
            full or as_json or as_markdown or found.is_asked or len(found.rows) <= SHOWN_IN_FULL
        )
        diffs = _diffs(found.rows) if detailed else None
        _remember(found, ground)
    _print(context, found, diffs, look, as_json=as_json, as_markdown=as_markdown)
    return 1 if exit_code and found.differs else 0


def _check(**given: bool) -> None:
    for group in (
        ("summary", "full"),
        ("markdown", "json"),
        ("render", "runs"),
        ("markdown", "render"),
        ("markdown", "runs"),
    ):
        chosen = [f"--{name}" for name in group if given[name]]
        if len(chosen) > 1:
            raise UsageError(f"{' and '.join(chosen)} are different views", hint="choose one")


def _check_staged(question: Question, *, staged: bool) -> None:
    if staged and (question.new is not None or question.pair is not None):
        raise UsageError("--staged is the second version, and another one is named", hint="`ps diff --staged A PROMPT`")


@contextmanager
def _ground(context: Context) -> Iterator[Ground]:
    settings = context.settings()
    with (
        open_repository(settings.root or Path.cwd()) as repository,
        Snapshots(repository, settings) as snapshots,
    ):
        yield Ground(snapshots, Path.cwd())


def _question(words: list[str], behind: list[str] | None, ground: Ground) -> Question:
    meanings = Meanings(lambda word: is_revision(word, ground), lambda word: is_prompt(word, ground))
    if behind is not None:
        return question_with_dashes(words, behind, meanings)
    return question_of(words, (), meanings)


def _remember(found: Comparison, ground: Ground) -> None:
    """Keep what all prompts of two commits came to, for the next time; see diff_view.py."""
    old, new = found.old.commit, found.new.commit
    if old and new and not found.is_asked and found.new.shown != INDEX:
        key = key_of(old, new, ground.snapshots.settings, ground.repository)
        keep(key, _summary(found), ground.repository)


def _diffs(rows: Sequence[PromptRow]) -> list[Diff | None]:
    from promptstudio.prompts.tokens import estimate_tokens  # weight: only details count tokens
    from promptstudio.versions.diff.compare import compare

    return [
        compare(row.old.snapshot, row.new.snapshot, count=estimate_tokens) if row.verdict is not None else None
        for row in rows
    ]


def _print(
    context: Context,
    found: Comparison,
    diffs: Sequence[Diff | None] | None,
    look: Look,
    *,
    as_json: bool,
    as_markdown: bool,
) -> None:
    if as_json:
        from promptstudio.versions.diff.json_form import comparison_json

        context.output.json(comparison_json(found, diffs or [None] * len(found.rows)))
    elif as_markdown:
        from promptstudio.versions.diff.markdown import markdown

        context.output.write(markdown(found, diffs or [None] * len(found.rows)))
    else:
        _print_text(context, found, diffs, look)


def _print_text(context: Context, found: Comparison, diffs: Sequence[Diff | None] | None, look: Look) -> None:
    if diffs:
        _print_pages(context, found, diffs, look)
        context.output.flush()  # the summary comes last, also where both streams go to one pipe
        context.output.note(_summary(found).line(found.old.shown, found.new.shown))
    else:
        print_summary(context, _summary(found), found.old.shown, found.new.shown)
    if found.left_out:
        named = " or ".join(side.label for side in (found.old, found.new) if side.label)
        context.output.note(f"{len(found.left_out)} without the label {named}: {', '.join(found.left_out[:5])}")


def _print_pages(context: Context, found: Comparison, diffs: Sequence[Diff | None], look: Look) -> None:
    from promptstudio.versions.diff.show import page

    pairs = [f"{found.old.shown} → {found.new.shown}"] if _is_pair(found) else []
    for number, (row, one) in enumerate(zip(found.rows, diffs, strict=True)):
        if number:
            context.output.line()
        if one is None:
            _print_unreadable(context, row)
            continue
        for line in page(one, look, title=pairs[0] if pairs else _title(row)):
            context.output.pieces(line)


def _is_pair(found: Comparison) -> bool:
    return found.is_asked and found.old.commit is None and found.old.label is None


def _title(row: PromptRow) -> str:
    before, after = row.old.snapshot, row.new.snapshot
    if before and after and before.name != after.name:
        return f"{before.name} → {row.name}"
    moved = f" ({row.old.path} → {row.new.path})" if row.status == "moved" else ""
    return row.name + ({"deleted": " (deleted)", "new": " (new)"}.get(row.status, moved))


def _print_unreadable(context: Context, row: PromptRow) -> None:
    context.output.pieces([("ERROR ", "red"), (row.name, "bold")])
    for side, found in (("before", row.old), ("now", row.new)):
        if found.problem is not None:
            context.output.pieces([(f"  unreadable {side}: ", ""), (str(found.problem), "")])


def _summary(found: Comparison) -> Summary:
    return Summary(tuple((row.name, _verdict(row), _change(row), _what(row)) for row in found.rows))


def _verdict(row: PromptRow) -> str:
    return row.level.name if row.level is not None else ERROR


def _change(row: PromptRow) -> str:
    before, after = (side.snapshot.version if side.snapshot else None for side in (row.old, row.new))
    return (after or before or "-") if before == after or not (before and after) else f"{before} → {after}"


def _what(row: PromptRow) -> str:
    problem = row.new.problem or row.old.problem
    if problem is not None:
        return str(problem)
    said = [f"moved from {row.old.path}"] if row.status == "moved" else []
    reasons = row.verdict.reasons if row.verdict else ()
    said += [f"{one.place}: {one.text}" for one in reasons]
    return "; ".join(said)
