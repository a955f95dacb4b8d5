"""`ps evidence`: evaluations of a behavior, kept in promptstudio.lock where CI and colleagues see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from promptstudio.cli.completers import complete_prompts
from promptstudio.cli.context import Context, root_of
from promptstudio.cli.known_evidence import evidence_in_history
from promptstudio.cli.parser import new_app
from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, NothingSelected, ToolError, UsageError, UserError
from promptstudio.prompts.address import Address, parse_address
from promptstudio.prompts.library import prompt_rows
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.secrets import redact
from promptstudio.prompts.wording import shown
from promptstudio.versions.git import git_facts
from promptstudio.versions.labels import completed, prompt_files, stanza_of, who_now, with_evidence
from promptstudio.versions.load import load_prompt
from promptstudio.versions.lock import Evidence, Lock, Stanza, change_lock, read_lock
from promptstudio.versions.repo import open_repository
from promptstudio.versions.revisions import stanza_name

app = new_app(no_args_is_help=True, help="Evaluations that promotions rest on: add, record, list.")

MAX_COUNT = 2**31 - 1
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Evaluated = Annotated[
    str,
    typer.Argument(metavar="PROMPT[:VARIANT][@REV]", help="What was evaluated.", autocompletion=complete_prompts),
]


@app.command("add")
def add(
    ctx: typer.Context,
    prompt: Evaluated,
    *,
    suite: Annotated[str, typer.Option("--suite", metavar="NAME", help="What it was evaluated with.")],
    passed: Annotated[int, typer.Option("--passed", metavar="N", min=0, max=MAX_COUNT, help="Cases that passed.")],
    failed: Annotated[int, typer.Option("--failed", metavar="N", min=0, max=MAX_COUNT, help="Cases that failed.")],
    errors: Annotated[
        int, typer.Option("--errors", metavar="N", min=0, max=MAX_COUNT, help="Cases that ended in an error.")
    ] = 0,
    gate: Annotated[
        str | None,
        typer.Option("--gate", metavar="met|missed", help="Default: met where nothing failed or ended in an error."),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="URL|ID", help="Where the evaluation can be looked at.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="The model that answered.")] = None,
    as_json: Json = False,
) -> int:
    """Record an evaluation that was made with another tool, for the prompt exactly as it is (or was at REV)."""
    context: Context = ctx.obj
    settings = context.project_settings()
    if gate not in (None, "met", "missed"):
        raise UsageError(f"--gate {shown(gate or '')}: a gate is met or missed")
    loaded = load_prompt(prompt, settings)
    name = _own_name(loaded, parse_address(prompt), settings)
    evidence = Evidence(
        suite=_plain(suite, "--suite"),
        cases=passed + failed + errors,
        passed=passed,
        failed=failed,
        gate="met" if gate == "met" or (gate is None and failed + errors == 0 and passed > 0) else "missed",
        at=who_now("").at,
        errors=errors,
        run=_plain(run, "--run") if run else None,
        model=_plain(model, "--model") if model else None,
        commit=_commit(loaded, settings),
    )
    _write(settings, {name: {loaded.identity.behavior: (evidence,)}})
    if as_json:
        context.output.json({"prompt": name, "behavior": loaded.identity.behavior, "evaluation": asdict(evidence)})
    else:
        context.output.line(f"{name}: {_words(evidence)} ({_short(loaded.identity.behavior)})")
    return 0


@app.command("record")
def record(
    ctx: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT[:VARIANT][@REV]...", autocompletion=complete_prompts, help="Which prompts."),
    ] = None,
    *,
    all_prompts: Annotated[bool, typer.Option("--all", help="Every prompt of the project.")] = False,
    as_json: Json = False,
) -> int:
    """Copy what this machine's history knows of a prompt's behavior into promptstudio.lock, so that CI can see it.

    Without a variant those of all its variants are copied too. Exit code 5 when the history knows nothing of it.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    if bool(prompts) == all_prompts:
        raise UsageError("which prompts?", hint="ps evidence record greet, or --all")
    wanted = [row.name for row in prompt_rows(settings) if row.error is None] if all_prompts else prompts or []
    behaviors = [pair for address in wanted for pair in _behaviors(address, settings)]
    known = evidence_in_history(settings, [behavior for _, behavior in behaviors])
    lock = read_lock(settings.root)
    new: dict[str, dict[str, tuple[Evidence, ...]]] = {}
    for name, behavior in behaviors:
        recorded = lock.prompts[name].evidence(behavior) if name in lock.prompts else ()
        fresh = tuple(one for one in known[behavior] if one not in recorded)
        if fresh:
            new.setdefault(name, {})[behavior] = fresh
    if not any(known.values()):
        raise NothingSelected(
            "the history knows no evaluation of this behavior",
            hint="evaluate the prompt as it is now; what another tool found: ps evidence add",
        )
    _write(settings, new)
    found = [(name, behavior, one) for name, each in new.items() for behavior, all_ in each.items() for one in all_]
    if as_json:
        rows = [{"prompt": name, "behavior": behavior, "evaluation": asdict(one)} for name, behavior, one in found]
        context.output.json({"recorded": rows})
        return 0
    for name, behavior, one in found:
        context.output.line(f"{name}: {_words(one)} ({_short(behavior)})")
    context.output.flush()  # in a log both streams are one
    context.output.note(f"{len(found)} recorded in promptstudio.lock" if found else "all of it is recorded already")
    return 0


@app.command("list")
def list_evidence(
    ctx: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT]", help="Default: all prompts.", autocompletion=complete_prompts),
    ] = None,
    *,
    as_json: Json = False,
) -> int:
    """List the evaluations in promptstudio.lock, and which labels, or the working tree, they are about."""
    context: Context = ctx.obj
    settings = context.project_settings()
    lock = read_lock(settings.root)
    stanzas = [stanza_of(lock, prompt)] if prompt else [lock.prompts[name] for name in sorted(lock.prompts)]
    rows = [(stanza, *row) for stanza in stanzas for row in _known(stanza)]
    current = _current({stanza.name for stanza, _, _ in rows}, settings)
    if as_json:
        context.output.json([_object(*row, current) for row in rows])
        return 0
    if not rows:
        context.output.note("no evaluations are recorded; `ps evidence add` and `ps evidence record` do so")
        return 0
    cells = [
        (
            stanza.name,
            ", ".join(_about(stanza, behavior, current)) or _short(behavior),
            one.suite,
            f"{one.passed}/{one.cases}",
            one.gate,
            one.at.replace("T", " ")[:16],
        )
        for stanza, behavior, one in rows
    ]
    context.output.table(cells, header=("PROMPT", "ABOUT", "SUITE", "PASSED", "GATE", "WHEN"))
    return 0


def _known(stanza: Stanza) -> list[tuple[str, Evidence]]:
    behaviors = dict.fromkeys((*(label.behavior for label in stanza.labels.values()), *stanza.evaluations))
    return [(behavior, one) for behavior in behaviors for one in stanza.evidence(behavior)]


def _current(names: set[str], settings: Settings) -> Mapping[str, Mapping[str, str]]:
    """Return what prompts are now: behavior → `now` or `now:VARIANT`, by prompt; nothing for those that do not load."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        try:
            loaded = load_prompt(name, settings)
            variants = {each: load_prompt(f"{name}:{each}", settings) for each in loaded.variants}
        except UserError:  # lint says why; the evaluations can be listed all the same
            continue
        found[name] = {one.identity.behavior: f"now:{each}" for each, one in variants.items()}
        found[name][loaded.identity.behavior] = "now"
    return found


def _about(stanza: Stanza, behavior: str, current: Mapping[str, Mapping[str, str]]) -> list[str]:
    labels = [name for name, label in sorted(stanza.labels.items()) if label.behavior == behavior]
    for name, label in sorted(stanza.labels.items()):
        labels += [f"{name}:{variant}" for variant, one in sorted(label.variants.items()) if one == behavior]
    now = current.get(stanza.name, {}).get(behavior)
    return [*labels, now] if now else labels


def _object(stanza: Stanza, behavior: str, one: Evidence, current: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    return {"prompt": stanza.name, "behavior": behavior, "about": _about(stanza, behavior, current), **asdict(one)}


def _behaviors(address: str, settings: Settings) -> list[tuple[str, str]]:
    """Return the prompt's name with its behavior, and those of its variants where none is named."""
    loaded = load_prompt(address, settings)
    parsed = parse_address(address)
    name = _own_name(loaded, parsed, settings)
    addresses = [address]
    if parsed.variant is None:
        suffix = f"@{parsed.revision}" if parsed.revision else ""
        addresses += [f"{parsed.target}:{variant}{suffix}" for variant in loaded.variants]
    return [(name, load_prompt(each, settings).identity.behavior) for each in addresses]


def _own_name(prompt: Prompt, address: Address, settings: Settings) -> str:
    """Return the name the lock file knows a prompt by: that of now, where a label's file had another name then."""
    if prompt.path is None or not prompt.path.resolve().is_relative_to(root_of(settings).resolve()):
        raise UsageError(f"{shown(prompt.name)} is no prompt of this project", hint="evaluations are kept by prompt")
    if prompt.revision is None:
        return prompt.name
    lock = read_lock(settings.root)
    name = stanza_name(address, settings, Path.cwd(), lock)
    if name not in lock.prompts and name not in prompt_files(settings, None):
        raise NotFoundError(f"there is no prompt {shown(name)} in the project now", hint="evaluations go with a prompt")
    return name


def _write(settings: Settings, new: Mapping[str, Mapping[str, tuple[Evidence, ...]]]) -> None:
    """Add evaluations to the lock file, by prompt and behavior."""
    root = root_of(settings)
    files = _files(settings)

    def change(lock: Lock) -> dict[str, Stanza]:
        prompts = completed(lock.prompts, files)
        for name, found in new.items():
            stanza = prompts.get(name) or Stanza(name, prompt_files(settings, None).get(name, ""))
            for behavior, evidence in found.items():
                stanza = with_evidence(stanza, behavior, evidence)
            prompts[name] = stanza
        return prompts

    if new:
        change_lock(root, change)


def _files(settings: Settings) -> dict[str, str]:
    try:
        with open_repository(root_of(settings)) as repository:
            return prompt_files(settings, repository)
    except ToolError:  # without git every prompt counts
        return prompt_files(settings, None)


def _commit(prompt: Prompt, settings: Settings) -> str | None:
    """Return the commit that holds what was evaluated; None where it is not committed as it is."""
    if prompt.revision is not None:
        return prompt.revision.commit
    facts = git_facts(prompt.path, root_of(settings), also=_read_files(prompt, settings))
    return facts.commit if facts.dirty is False else None


def _read_files(prompt: Prompt, settings: Settings) -> list[Path]:
    return [settings.prompts_dir / name for name in prompt.partials] if settings.prompts_dir else []


def _plain(text: str, option: str) -> str:
    """Return a text for the lock file: one line, not endless, without what looks like a key."""
    cleaned = " ".join(text.split())
    if not cleaned:
        raise UsageError(f"{option} is empty")
    if len(cleaned) > 500:
        raise UsageError(f"{option} has {len(cleaned)} characters; the limit is 500")
    return redact(cleaned)


def _words(one: Evidence) -> str:
    errors = f", {one.errors} errors" if one.errors else ""
    return f"{one.suite}: {one.passed} of {one.cases} passed{errors}, gate {one.gate}"


def _short(behavior: str) -> str:
    return f"{behavior[:15]}…"
