"""A run that ended → what it says of each behavior, for `ps promote --require-evals` and `ps check`.

Only a whole suite on real models is evidence: not a selection of cases, not a run that was stopped, and not answers of
an offline provider, which nobody would promote a prompt on.
"""

from __future__ import annotations

from promptstudio.evals.records import RunRecord
from promptstudio.evals.totals import Totals
from promptstudio.history.schema import EvaluationRow
from promptstudio.prompts.address import parse_address


def evidence_rows(run: RunRecord, totals: Totals) -> list[EvaluationRow]:
    """Return one row for each prompt of a run; none where the run is no evidence."""
    if run.status != "finished" or run.options.get("selection") or _is_offline(run):
        return []
    rows = []
    for address, behavior in run.prompts.items():
        part, parsed = totals.part("prompt", address), parse_address(address)
        if not part.judged or parsed.kind != "name":
            continue
        rows.append(
            EvaluationRow(
                suite=run.suite,
                prompt=parsed.target,
                behavior=behavior,
                cases=part.judged,
                passed=part.counts["pass"],
                failed=part.counts["fail"],
                errors=part.counts["error"],
                unscored=part.counts["unscored"],
                gate="met" if run.exit_code == 0 else "missed",
                user=run.user,
                run_id=run.id,
                suite_hash=run.suite_digest,
                variant=parsed.variant,
                model=", ".join(run.models),
                commit=run.commit,
            )
        )
    return rows


def _is_offline(run: RunRecord) -> bool:
    return any(model.startswith("offline/") for model in run.models)
