"""`ps ab --winner-to`: the winner's version gets a label, through the lock file, or it is said why not.

A label is for a whole prompt at a commit: a model, a profile or a variant that wins is a finding, and no version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptstudio.cli.context import root_of
from promptstudio.cli.known_evidence import evidence_of, known_evidence
from promptstudio.cli.label_moves import Made, make_moves, prompt_name
from promptstudio.config import Settings
from promptstudio.errors import PromptStudioError, UsageError
from promptstudio.evals.ab import Contest, Standing
from promptstudio.evals.evaluate import Finished
from promptstudio.evals.gate import checks_of
from promptstudio.evals.records import RunRecord
from promptstudio.evals.sides import Entrant
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite
from promptstudio.evals.totals import Totals
from promptstudio.history.schema import EvaluationRow
from promptstudio.prompts.address import parse_address
from promptstudio.versions.git import git_user
from promptstudio.versions.labels import check_label_name, who_now
from promptstudio.versions.lock import Evidence, read_lock
from promptstudio.versions.promotion import HEAD, check_committed, check_lint, plan_move
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots

OFFLINE = "offline/"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of `--winner-to`: moves that were made, or the reason why none was."""

    made: Made | None = None
    refused: str | None = None


def check_label(label: str, entrants: Sequence[Entrant]) -> None:
    """Raise UsageError before anything is asked where no side could ever get the label."""
    check_label_name(label)
    if all(_never(each) is not None for each in entrants):
        why = _never(entrants[0])
        raise UsageError(
            f"--winner-to {label}: no side can be promoted: {why}",
            hint="a label is for a version of a whole prompt: greet, greet@main",
        )


def _never(entrant: Entrant) -> str | None:
    """Say why a side can be no version that a label is put on; None where it can."""
    if entrant.kind != "prompt":
        return f"{entrant.side.name} is a {entrant.kind}, and a label is for a version of a prompt"
    address = parse_address(entrant.side.prompt)
    if address.variant is not None:
        return f"{entrant.side.name} is a variant, and a label is for a whole prompt: its variants go with it"
    return None


def promote_winner(
    settings: Settings,
    contest: Contest,
    label: str,
    run: RunRecord,
    *,
    reason: str | None = None,
    found: Sequence[EvaluationRow] = (),
) -> Promotion:
    """Put the label on the winner's version. `found` is what the run says of the sides, as evidence."""
    winner = contest.recommendation.winner
    if winner is None:
        return Promotion(refused=f"there is no winner: {contest.recommendation.sentence}")
    if (why := _never(winner.entrant)) is not None:
        return Promotion(refused=why)
    if winner.missing:
        cases = "1 of its cases has" if winner.missing == 1 else f"{winner.missing:,} of its cases have"
        return Promotion(refused=f"{winner.title} would win, but {cases} no outcome")
    why_it_won = f"{contest.recommendation.sentence} (run {run.id[:18]})"
    try:
        return Promotion(_moved(settings, winner, label, run, reason or why_it_won[:480], found))
    except PromptStudioError as error:
        return Promotion(refused=f"{winner.title} wins, and cannot be promoted: {error.message}")


def _moved(
    settings: Settings, winner: Standing, label: str, run: RunRecord, reason: str, found: Sequence[EvaluationRow]
) -> Made:
    address = parse_address(winner.entrant.side.prompt)
    name = prompt_name(address.target, settings)
    behavior = run.prompts[winner.entrant.side.name]
    with open_repository(root_of(settings)) as repository, Snapshots(repository, settings) as snapshots:
        if address.revision is None:
            check_committed(snapshots, name)
            check_lint(settings, name)
        lock = read_lock(settings.root)
        who = who_now(git_user(repository.top), reason)
        move = plan_move(snapshots, lock, name, label, address.revision or HEAD, who)
        if move.new.behavior != behavior:
            raise UsageError(f"{winner.entrant.side.name} is not what was compared any more", hint="compare it again")
        known = known_evidence(lock, settings, [behavior])
        runs = {one.run for one in known[behavior]}
        new = [evidence_of(row) for row in found if row.behavior == behavior and row.run_id not in runs]
        evidence: dict[str, tuple[Evidence, ...]] = {behavior: (*known[behavior], *new)}
        return make_moves(snapshots, [move], evidence, message=None, dry_run=False)


def evidence_of_sides(
    suite: Suite, entrants: Sequence[Entrant], finished: Finished, settings: Settings
) -> list[EvaluationRow]:
    """Return what a comparison says of each prompt by itself, held against the suite's own gate.

    As with `ps eval` only a whole suite on real models is evidence, and of a profile or another model none is kept.
    """
    run = finished.run
    if run.status != "finished" or run.options.get("selection"):
        return []
    rows = []
    totals = _totals_by_side(run, settings)
    for entrant in entrants:
        side = entrant.side
        part, parsed = totals.get(side.name), parse_address(side.prompt)
        model = next(one["model"] for one in run.options["targets"] if one["prompt"] == side.name)
        if entrant.kind != "prompt" or parsed.kind != "name" or part is None or model.startswith(OFFLINE):
            continue
        rows.append(_row(suite, parsed.target, parsed.variant, model, run, side.name, part))
    return rows


def _row(
    suite: Suite, prompt: str, variant: str | None, model: str, run: RunRecord, side: str, part: Totals
) -> EvaluationRow:
    return EvaluationRow(
        suite=suite.name,
        prompt=prompt,
        behavior=run.prompts[side],
        cases=part.judged,
        passed=part.counts["pass"],
        failed=part.counts["fail"],
        errors=part.counts["error"],
        unscored=part.counts["unscored"],
        gate="met" if all(check.is_met for check in checks_of(suite.gate, part)) else "missed",
        user=run.user,
        run_id=run.id,
        suite_hash=run.suite_digest,
        variant=variant,
        model=model,
        commit=run.commit,
    )


def _totals_by_side(run: RunRecord, settings: Settings) -> dict[str, Totals]:
    found: dict[str, Totals] = {}
    with EvalStore(store_path(settings)) as store:
        for result in store.results(run):
            found.setdefault(result.prompt, Totals()).add(result.end)
    return found
