"""`ps judge`: judges held against people: calibrate, disagreements, list, prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptstudio.cache.choose import WireChoice, choose_wires
from promptstudio.cli import eval_options as options
from promptstudio.cli import judge_view as view
from promptstudio.cli.context import Context
from promptstudio.cli.eval_signals import listening
from promptstudio.cli.parser import new_app
from promptstudio.cli.run import run_async
from promptstudio.config import Settings
from promptstudio.errors import NothingSelected, ProviderError, UsageError, UserError
from promptstudio.evals.calibrations import (
    calibratable,
    judging_rows,
    read_calibrations,
    store_calibrations,
)
from promptstudio.evals.disagree import disagreements
from promptstudio.evals.human_labels import LabelsFile, read_labels
from promptstudio.evals.judge.resolve import METRIC_PROMPT, OURS
from promptstudio.evals.label_units import Target, Unit, units_of
from promptstudio.evals.plan import Plan, plan_suite
from promptstudio.evals.records import RunRecord
from promptstudio.evals.selection import Selection
from promptstudio.evals.store import EvalStore, store_path, targets_of
from promptstudio.evals.suite import Suite, find_suite, load_suite, suite_paths
from promptstudio.prompts.filewrite import create_file, write_atomically
from promptstudio.prompts.wording import shown, suggestion

if TYPE_CHECKING:
    from promptstudio.evals.calibrate import CalibrateOptions, Verdicts

app = new_app(help="Judges held against people.")
CONFIDENCE = 0.95

Labels = Annotated[Path, typer.Argument(metavar="LABELS", help="A JSONL file: a line is a label.")]
SuiteName = Annotated[
    str | None,
    typer.Option("--suite", metavar="SUITE", help="Its file or name. Default: that of --run, or the only one."),
]
Run = Annotated[
    str | None, typer.Option("--run", metavar="ID", help="Whose answers are labeled. Default: the suite's last run.")
]
Metric = Annotated[
    str | None, typer.Option("--metric", metavar="NAME", help="What labels without a metric of their own are about.")
]
Repeats = Annotated[
    int, typer.Option("--repeats", min=1, max=100, metavar="N", help="Ask so often, to see how the judge varies.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line is about: the suite with its judges, a run, labels, and the two matched."""

    settings: Settings
    plan: Plan
    run: RunRecord | None
    file: LabelsFile
    units: tuple[Unit, ...]


@app.command("calibrate")
def calibrate(
    ctx: typer.Context,
    labels: Labels,
    *,
    suite: SuiteName = None,
    run: Run = None,
    metric: Metric = None,
    repeats: Repeats = 1,
    concurrency: options.Concurrency = None,
    fresh: options.Fresh = False,
    cache: options.Cache = None,
    record: options.Record = None,
    replay: options.Replay = None,
    max_cost: options.MaxCost = None,
    no_history: options.NoHistory = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write the figures to a Markdown file too.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Measure how far the judges of a suite agree with people, and keep it in evals/calibrations.yaml.

    Verdicts that the run has already are not asked for again. Exit code 0 when it is kept, 1 when --max-cost was
    reached, 2 for a mistake in a file or an option, 3 when the judge failed, 5 if nothing is judged, 130 when stopped.
    """
    from promptstudio.evals import judge_figures  # scipy: without it nothing is asked, and nothing paid for

    context: Context = ctx.obj
    options.check_texts({"--suite": _one(suite), "--run": _one(run), "--metric": _one(metric)})
    asked = _asked(context, labels, suite, run, metric)
    kept = options.cache_of(cache, fresh=fresh)
    wires = choose_wires(asked.settings, "eval", cache=kept, record=record, replay=replay)
    chosen = replace(_options(asked.settings, repeats, concurrency, max_cost, wires), history=not no_history)
    verdicts = _verdicts(context, asked, chosen, fresh=fresh, as_json=as_json)
    _check_any(verdicts)
    found = judge_figures.calibrations_of(verdicts.judged, CONFIDENCE)
    day = datetime.now(UTC).date()
    known = [judge_figures.known_of(one, asked.file, day) for one in found if one.kappa.n]
    path = store_calibrations(known, asked.settings)
    outcome = view.Outcome(asked.plan.suite.name, asked.run, asked.file, found, verdicts, _shown(path, asked.settings))
    if report is not None:
        _write(report, view.markdown(outcome))
        context.output.note(f"wrote {report}")
    if as_json:
        context.output.json(view.calibrate_object(outcome))
    else:
        view.print_calibrations(context, outcome)
    return 0


@app.command("disagreements")
def list_disagreements(
    ctx: typer.Context,
    labels: Annotated[
        Path | None, typer.Argument(metavar="[LABELS]", help="People's labels; what was not judged yet is judged.")
    ] = None,
    *,
    suite: SuiteName = None,
    run: Run = None,
    metric: Metric = None,
    repeats: Repeats = 1,
    concurrency: options.Concurrency = None,
    max_cost: options.MaxCost = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=10_000, help="How many to list.")] = 20,
    as_json: options.Json = False,
) -> int:
    """List what to look at: where judges differ from people, from each other, and from themselves.

    Without labels only the stored verdicts of a run are looked at, and nobody is asked. With labels the largest
    differences between judge and people come first.
    """
    context: Context = ctx.obj
    options.check_texts({"--suite": _one(suite), "--run": _one(run), "--metric": _one(metric)})
    settings = context.project_settings()
    record: RunRecord | None
    if labels is None:
        if metric is not None or repeats > 1:
            raise UsageError("--metric and --repeats go with labels", hint="ps judge disagreements LABELS.jsonl")
        judged, record = None, _run_to_look_at(suite, run, settings)
    else:
        asked = _asked(context, labels, suite, run, metric)
        chosen = _options(settings, repeats, concurrency, max_cost, choose_wires(settings, "eval"))
        judged, record = _verdicts(context, asked, chosen, fresh=False, as_json=as_json), asked.run
    with EvalStore(store_path(settings)) as store:
        stored = store.results(record) if record is not None else ()
        found = disagreements(judged.judged if judged is not None else (), stored)
    if as_json:
        context.output.json(view.disagreements_object(found, limit, record, judged))
    else:
        view.print_disagreements(context, found, limit, record, judged)
    return 0


@app.command("list")
def list_judges(
    ctx: typer.Context,
    suites: Annotated[
        list[str] | None, typer.Argument(metavar="[SUITE]...", help="Files or names. Default: all in evals/.")
    ] = None,
    *,
    as_json: options.Json = False,
) -> int:
    """List what is judged in suites: by whom, under which hash, and how far that judge agrees with people."""
    context: Context = ctx.obj
    settings = context.project_settings()
    paths = [find_suite(name, settings, Path.cwd()) for name in suites] if suites else suite_paths(settings)
    known = read_calibrations(settings)
    rows: list[dict[str, Any]] = []
    for path in paths:
        loaded = load_suite(path, settings)
        judged = list(calibratable(plan_suite(loaded, settings, Selection()).suite.assertions))
        for assertion, row in zip(judged, judging_rows(judged, known), strict=True):
            place = f"{assertion.file}:{assertion.line}"
            rows.append({"suite": loaded.name, **row, "assertion": assertion.written, "place": place})
    if as_json:
        context.output.json(rows)
        return 0
    if not rows:
        where = ", ".join(suites) if suites else "the suites of this project"
        raise NothingSelected(f"nothing in {where} is judged by a model", hint="as llm-rubric is: see docs/judge.md")
    view.print_judges(context, rows)
    return 0


@app.command("prompt")
def print_prompt(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="An assertion, such as llm-rubric.")]
) -> int:
    """Print the prompt file that asks a judge, to change it in prompts/judge/NAME.yaml."""
    context: Context = ctx.obj
    names = sorted(path.stem for path in OURS.glob("*.yaml") if path.stem != METRIC_PROMPT)
    wanted = name.removeprefix("judge/").removeprefix("not-")
    if wanted not in names:
        raise UsageError(f"{shown(name)} is no assertion with a prompt", hint=suggestion(wanted, names))
    lines = (OURS / f"{wanted}.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    context.output.write("".join(line for line in lines if not line.startswith("# yaml-language-server")))
    return 0


# -- what is asked for ----------------------------------------------------------------------------------------------


def _one(value: str | None) -> list[str] | None:
    return [value] if value is not None else None


def _asked(context: Context, labels: Path, suite: str | None, run: str | None, metric: str | None) -> Asked:
    """Read the labels, and match them with the suite and its run. Raises what is wrong, before any call."""
    settings = context.project_settings()
    file = read_labels(labels.expanduser(), _shown(Path.cwd() / labels.expanduser(), settings))
    file = file.about(metric)
    with EvalStore(store_path(settings)) as store:
        loaded = _suite(store, suite, run, settings)
        record = _record(store, loaded, run)
        plan = plan_suite(loaded, settings, Selection())
        results = store.results(record) if record is not None else ()
        units = units_of(file.labels, plan.suite.assertions, loaded.shown, record, results)
    return Asked(settings, plan, record, file, units)


def _suite(store: EvalStore, asked: str | None, run: str | None, settings: Settings) -> Suite:
    if asked is not None:
        return load_suite(find_suite(asked, settings, Path.cwd()), settings)
    if run is not None:
        return load_suite(find_suite(store.run(run).suite, settings, Path.cwd()), settings)
    paths = suite_paths(settings)
    if not paths:
        raise NothingSelected("there is no suite in evals/", hint="a suite is a YAML file: ps schema suite")
    if len(paths) > 1:
        names = ", ".join(load_suite(path, settings).name for path in paths[:8])
        raise UsageError("which suite are the labels about?", hint=f"--suite, one of {names}")
    return load_suite(paths[0], settings)


def _record(store: EvalStore, suite: Suite, run: str | None) -> RunRecord | None:
    if run is not None:
        record = store.run(run)
        if record.suite != suite.name:
            raise UsageError(f"the run {record.id[:18]} is of {shown(record.suite)}, not of {shown(suite.name)}")
        return record
    return next(iter(store.runs(suite=suite.name, limit=1)), None)


def _run_to_look_at(suite: str | None, run: str | None, settings: Settings) -> RunRecord:
    """Return the run that is named, else the newest one, of the suite where one is named."""
    with EvalStore(store_path(settings)) as store:
        if suite is None and run is not None:
            return store.run(run)
        if suite is None:
            found, what, hint = next(iter(store.runs(limit=1)), None), "there is no run", "ps eval makes one"
        else:
            loaded = load_suite(find_suite(suite, settings, Path.cwd()), settings)
            found = _record(store, loaded, run)
            what, hint = f"there is no run of {loaded.name}", f"ps eval {loaded.shown}"
    if found is None:
        raise NothingSelected(what, hint=hint)
    return found


def _options(
    settings: Settings, repeats: int, concurrency: int | None, max_cost: str | None, wires: WireChoice
) -> CalibrateOptions:
    from promptstudio.evals.calibrate import CalibrateOptions  # the way to a provider: only where somebody is asked

    return CalibrateOptions(
        repeats, concurrency or settings.eval.get("concurrency"), options.dollars(max_cost), wires=wires
    )


def _verdicts(context: Context, asked: Asked, chosen: CalibrateOptions, *, fresh: bool, as_json: bool) -> Verdicts:
    """Judge what people labeled. Ctrl-C once lets end what is under way."""
    from promptstudio.evals.calibrate import opened_judging  # as above

    units = tuple(unit.asked_anew() for unit in asked.units) if fresh or chosen.wires.record else asked.units
    targets: tuple[Target, ...] = tuple((one[0], one[1]) for one in targets_of(asked.run)) if asked.run else ()
    note = context.output.note

    async def judge() -> Verdicts:
        with (
            opened_judging(asked.plan, asked.settings, context.env, chosen, targets, note) as judging,
            listening(note) as stopper,
        ):
            stopper.interrupt = judging.interrupt
            if not as_json:
                judging.watch = view.Progress(context, len(units) * chosen.repeats)
            return await judging.verdicts(units)

    found: Verdicts = run_async(judge)
    return found


def _check_any(verdicts: Verdicts) -> None:
    """Without one usable verdict there is nothing to tell, and nothing to keep."""
    if any(one.has_verdict for one in verdicts.judged):
        return
    first = verdicts.judged[0].score
    if any(one.score.outcome == "error" for one in verdicts.judged):
        raise ProviderError(f"the judge gave no usable verdict on any answer: {first.reason}")
    raise NothingSelected(f"nothing could be judged: {first.reason}")


def _shown(path: Path, settings: Settings) -> str:
    root = settings.root
    real = path.resolve()
    return real.relative_to(root.resolve()).as_posix() if root and real.is_relative_to(root.resolve()) else str(path)


def _write(path: Path, text: str) -> None:
    if path.is_dir():
        raise UserError("this is a folder", file=str(path), hint="name a file, as in calibration.md")
    if path.exists():
        write_atomically(path, text)
    else:
        create_file(path, text)
