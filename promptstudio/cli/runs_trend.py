"""`ps runs trend`: the figures of a suite over the commits of its stored runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from promptstudio.cli.context import Context
from promptstudio.config import Settings
from promptstudio.errors import MissingExtraError, NotFoundError, NothingSelected, ToolError, UserError
from promptstudio.evals.gate import share_text
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import find_suite, load_suite
from promptstudio.evals.trend import Figure, TrendPoint, point_data, sparkline, trend_of, with_changes
from promptstudio.prompts.address import parse_address
from promptstudio.prompts.wording import suggestion
from promptstudio.versions.locate import located
from promptstudio.versions.log import prompt_log
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots

_MARKS = {"improved": "▲ improved", "regressed": "▼ regressed"}
Versions = Mapping[str, str]


def trend(
    ctx: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Its name, or its file.")],
    *,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Look at this metric instead of the pass rate.")
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=1000, metavar="N", help="So many points.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show how a suite did over the commits: a line for each, and a mark where it surely changed.

    Only whole runs are points; of runs of one commit, prompts and models the newest one is. Exit code 5 without any.
    """
    context: Context = ctx.obj
    settings = context.project_settings()
    with EvalStore(store_path(settings)) as store:
        points = trend_of(store, _name(suite, settings), last=last)
        if not points:
            raise NothingSelected(
                f"no whole run of {suite} is stored", hint="a selection of cases is no point of a trend"
            )
        known = list(dict.fromkeys(name for point in points for name in point.metrics))
        if metric is not None and metric not in known:
            raise NotFoundError(f"{suite} has no metric {metric!r}", hint=suggestion(metric, known) if known else None)
        try:
            points = with_changes(store, points, metric)
        except MissingExtraError as missing:
            context.output.note(f"without marks of change: {missing.message}; {missing.hint}")
    versions = _versions(points, settings)
    if as_json:
        context.output.json(
            {
                "suite": points[-1].run.suite,
                "metric": metric,
                "points": [{**point_data(point), "versions": _version_names(point, versions)} for point in points],
            }
        )
        return 0
    _print(context, points, metric, known, versions)
    return 0


def _name(word: str, settings: Settings) -> str:
    """Return a suite's name, which may be given as its file; one that is gone is known by the name of its runs."""
    try:
        return load_suite(find_suite(word, settings, Path.cwd()), settings).name
    except UserError:  # the store has runs of suites that are gone or broken now
        return word


def _print(
    context: Context, points: Sequence[TrendPoint], metric: str | None, metrics: Sequence[str], versions: Versions
) -> None:
    output = context.output
    names = [metric] if metric is not None else list(metrics)
    header = (
        "RUN",
        "COMMIT",
        "WHEN",
        "VERSION",
        "PASS RATE",
        *(name.upper() for name in names),
        "COST",
        "P50",
        "CHANGE",
    )
    output.table([_row(point, names, versions) for point in points], header=header)
    values = [(point.figure(metric) or {}).get("estimate") for point in points]
    known = [value for value in values if value is not None]
    if len(known) > 1:
        said = [share_text(one) if metric is None else f"{one:.3g}" for one in (known[0], known[-1])]
        output.line(f"{metric or 'pass rate'} {sparkline(values)} {said[0]} → {said[1]}")
    output.flush()
    for point in points:
        if point.note is not None:
            output.note(f"{point.run.id[:18]} is not compared with the run before: {point.note}")


def _row(point: TrendPoint, names: Sequence[str], versions: Versions) -> tuple[str, ...]:
    run = point.run
    return (
        run.id[:18],
        f"{run.commit[:8]}{'+' if run.dirty else ''}" if run.commit else "-",
        run.created_at.astimezone().strftime("%m-%d %H:%M"),
        ", ".join(_version_names(point, versions).values()),
        _figure(point.pass_rate, is_share=True),
        *(_figure(point.metrics.get(name), is_share=False) for name in names),
        "not known" if point.cost_usd is None else f"${point.cost_usd:.4f}" if point.cost_usd else "$0",
        "-" if point.latency_ms is None else f"{point.latency_ms:,.0f} ms",
        _MARKS[point.change] if point.change is not None else "",
    )


def _figure(figure: Figure | None, *, is_share: bool) -> str:
    """`90.0% (78.6% to 95.7%)`."""
    if not figure or figure.get("estimate") is None:
        return "-"
    shown = [
        None if figure.get(part) is None else share_text(figure[part]) if is_share else f"{figure[part]:.3g}"
        for part in ("estimate", "lower", "upper")
    ]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if shown[1] is not None and shown[2] is not None else f"{shown[0]}"


def _version_names(point: TrendPoint, versions: Versions) -> dict[str, str]:
    """Return what each prompt was: its version's number where it bears one, else the beginning of its hash."""
    return {address: versions.get(behavior, behavior[3:11]) for address, behavior in point.run.prompts.items()}


def _versions(points: Sequence[TrendPoint], settings: Settings) -> Versions:
    """Return the `version:` of every behavior that the past of the prompts has."""
    found: dict[str, str] = {}
    try:
        with open_repository(settings.root or Path.cwd()) as repository, Snapshots(repository, settings) as snapshots:
            for address in dict.fromkeys(address for point in points for address in point.run.prompts):
                found |= _versions_of(address, snapshots)
    except ToolError:  # without git the hashes tell versions apart
        return found
    return found


def _versions_of(address: str, snapshots: Snapshots) -> Versions:
    try:
        path = located(parse_address(address).target, snapshots, Path.cwd()).path
    except UserError:  # a prompt that is gone, or whose name means something else now
        return {}
    log = prompt_log(snapshots, path)
    return {behavior: one.number for one in log.versions if one.number for behavior in one.behaviors}
