"""`ps generate`: cases and assertions that a model proposes, looked at by a person before they are written."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cache.choose import choose_wires, open_wires
from promptstudio.cli import eval_options as options
from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context
from promptstudio.cli.parser import new_app
from promptstudio.cli.run import run_async
from promptstudio.config import Settings
from promptstudio.errors import NothingSelected, UsageError
from promptstudio.evals.datasets import file_cases
from promptstudio.evals.generate.asking import Proposer, proposing_model
from promptstudio.evals.generate.assertions import Proposed, proposal_data, propose_assertions
from promptstudio.evals.generate.cases import propose_cases
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import find_suite, load_suite
from promptstudio.history import open_history
from promptstudio.history.ids import utc_now
from promptstudio.output.terminal import safe_cell
from promptstudio.prompts.edit import with_items
from promptstudio.prompts.filewrite import create_file, rewrite, write_atomically
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.textfile import read_text_file
from promptstudio.runner import Runner
from promptstudio.versions.load import Loaded, load_anywhere

app = new_app(help="Let a model propose cases or assertions; you decide which are written.")

Model = Annotated[
    str | None,
    typer.Option("-m", "--model", metavar="MODEL", help="The model that proposes. Default: the judge in the settings."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Write all proposals without asking.")]


@app.command("cases")
def generate_cases(
    ctx: typer.Context,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", autocompletion=complete_prompts)],
    *,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, metavar="N", help="How many.")] = 20,
    like: Annotated[
        Path | None, typer.Option("--like", metavar="FILE", help="A dataset that shows what real cases look like.")
    ] = None,
    focus: Annotated[str | None, typer.Option("--focus", metavar="TEXT", help="What the cases should look at.")] = None,
    model: Model = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="JSONL to add to. Default: a file in evals/data."),
    ] = None,
    yes: Yes = False,
    as_json: options.Json = False,
) -> int:
    """Propose cases for a prompt. They fit its inputs, none is nearly another, and each says who proposed it and why.

    Each is shown, and written when you say so. Without a terminal nothing is written unless --yes is given.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    loaded = load_anywhere(prompt, settings, cwd=Path.cwd())
    path = output or _default_file(settings, loaded.prompt)
    known = _cases_of(path, settings) if path.exists() else []
    examples = _cases_of(like, settings) if like is not None else []
    asked, parameters = proposing_model(model, settings)

    async def propose(runner: Runner) -> tuple[Any, Proposer]:
        proposer = Proposer(runner, asked, parameters)
        found = await propose_cases(
            loaded.prompt, _source(loaded), count, proposer, like=examples, known=known, focus=focus
        )
        return found, proposer

    found, proposer = _ask(context, settings, propose)
    _tell(context, found.dropped, proposer)
    if not found.cases:
        raise NothingSelected("the model proposed no case that could be used", hint="another model may do better")
    chosen = _reviewed(context, found.cases, _case_text, yes=yes)
    if chosen:
        _append(path, chosen)
        context.output.note(f"{_many(len(chosen), 'case')} written to {_shown(path, settings)}")
    if as_json or not (chosen or yes or sys.stdin.isatty()):
        _print_lines(context, found.cases, as_json=as_json)
    return 0


@app.command("assertions")
def generate_assertions(
    ctx: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Its file or name.")],
    *,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=100, metavar="N", help="How many at most.")] = 10,
    model: Model = None,
    yes: Yes = False,
    as_json: options.Json = False,
) -> int:
    """Propose assertions for a suite, each tried out on the answers of its last run, and on those answers made wrong.

    Each is shown with how it did, and added to the suite when you say so. Code is never proposed.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    loaded = load_suite(find_suite(suite, settings, Path.cwd()), settings)
    prompt = load_anywhere(loaded.prompts[0], settings, cwd=settings.root)
    with EvalStore(store_path(settings)) as store:
        runs = store.runs(suite=loaded.name, limit=1)
        results = list(store.results(runs[0], outcomes=("pass",))) if runs else []
    asked, parameters = proposing_model(model, settings)

    async def propose(runner: Runner) -> tuple[Any, Proposer]:
        proposer = Proposer(runner, asked, parameters)
        return await propose_assertions(loaded, prompt.prompt, _source(prompt), results, proposer, count), proposer

    found, proposer = _ask(context, settings, propose)
    _tell(context, found.dropped, proposer)
    if not results:
        context.output.note(f"no answer of a run is stored that they could be tried on: ps eval {loaded.shown}")
    if not found.found:
        raise NothingSelected("the model proposed no assertion that could be used", hint="another model may do better")
    chosen = _reviewed(context, found.found, _assertion_text, yes=yes)
    if chosen:
        _add_to_suite(loaded.path, [one.written for one in chosen], asked)
        context.output.note(f"{_many(len(chosen), 'assertion')} added to {loaded.shown}")
    if as_json or not (chosen or yes or sys.stdin.isatty()):
        _print_lines(context, [proposal_data(one) for one in found.found], as_json=as_json)
    return 0


def _source(loaded: Loaded) -> str:
    """Return a prompt as its author wrote it."""
    if loaded.text is not None:
        return loaded.text
    path = loaded.prompt.path
    return read_text_file(path, shown=loaded.prompt.shown_path) if path is not None else ""


def _ask(context: Context, settings: Settings, propose: Callable[[Runner], Any]) -> Any:
    """Ask through the wires of `ps run`; the calls stand in the history."""
    with ExitStack() as opened:
        choice = choose_wires(settings, "run")
        wires = opened.enter_context(open_wires(choice, settings, context.env, context.output.note))
        history = opened.enter_context(open_history(settings))
        return run_async(lambda: propose(Runner(settings, context.env, history, wires)))


def _tell(context: Context, dropped: Counter[str], proposer: Proposer) -> None:
    for reason, count in dropped.most_common():
        context.output.note(f"{_many(count, 'proposal')} left out: {reason}")
    bill = proposer.bill
    cost = "unknown price" if bill.unpriced else f"${bill.cost_usd:.4f}"
    context.output.note(f"{proposer.model}: {_many(bill.calls, 'call')}, {cost}")


def _reviewed(context: Context, proposals: Sequence[Any], text_of: Callable[[Any], str], *, yes: bool) -> list[Any]:
    """Show each proposal and ask; return those that were taken. Nobody there to be asked takes none."""
    if yes:
        return list(proposals)
    if not sys.stdin.isatty():
        context.output.note("nothing is written without a review: run it in a terminal, or say --yes")
        return []
    taken: list[Any] = []
    for number, one in enumerate(proposals, 1):
        context.output.note(f"\n{number} of {len(proposals)}")
        context.output.note(text_of(one))
        answer = typer.prompt("write it? yes, no, all, quit", default="y", err=True).strip().casefold()[:1]
        if answer == "q":
            break
        if answer == "a":
            return [*taken, *proposals[number - 1 :]]
        if answer == "y":
            taken.append(one)
    return taken


def _case_text(case: Mapping[str, Any]) -> str:
    inputs = "\n".join(f"  {safe_cell(name)}: {safe_cell(str(value))}" for name, value in case["inputs"].items())
    return f"{safe_cell(case['id'])}: {safe_cell(case['metadata']['why'])}\n{inputs}"


def _assertion_text(one: Proposed) -> str:
    tried = f"held for {one.held} of {one.held + one.not_held} answers" if one.held + one.not_held else "not tried"
    noticed = f", noticed {one.noticed:.0%} of the wrong ones" if one.noticed is not None else ""
    return f"{safe_cell(json.dumps(one.written, ensure_ascii=False))}\n  {safe_cell(one.why)}\n  {tried}{noticed}"


def _print_lines(context: Context, rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        context.output.json(list(rows))
        return
    for row in rows:
        context.output.line(json.dumps(row, ensure_ascii=False))


def _cases_of(path: Path, settings: Settings) -> list[Mapping[str, Any]]:
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint="--like takes a dataset: csv, json, jsonl, yaml or parquet")
    return [example.case.inputs for example in file_cases(path, _shown(path, settings)).open()]


def _default_file(settings: Settings, prompt: Prompt) -> Path:
    folder = settings.evals_dir or Path("evals")
    return folder / "data" / f"{prompt.name.replace('/', '-')}-generated.jsonl"


def _append(path: Path, cases: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to a dataset in one write, or make it; a last line without an end gets one first."""
    lines = "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        create_file(path, lines)
        return
    before = path.read_bytes()
    text = before.decode("utf-8")
    write_atomically(path, (text if text.endswith("\n") or not text else f"{text}\n") + lines, was=before)


def _add_to_suite(path: Path, assertions: Sequence[Any], model: str) -> None:
    """Add assertions to a suite's file; each says who proposed it, and when."""
    said = f"proposed by {model} on {utc_now():%Y-%m-%d}"
    items = [
        {"type": one, "description": said} if isinstance(one, str) else {**one, "description": said}
        for one in assertions
    ]
    rewrite(path, lambda text: with_items(text, "assert", items, file=str(path)))


def _shown(path: Path, settings: Settings) -> str:
    root = settings.root
    whole = path.resolve()
    return whole.relative_to(root.resolve()).as_posix() if root and whole.is_relative_to(root.resolve()) else str(path)


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
