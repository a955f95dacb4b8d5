"""What a run is held against: another run, or the same suite with the prompts of another revision.

A git ref or a label becomes a run of the suite as it is now with those prompts. What is stored of it is reused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, SuiteFileError, UsageError, UserError
from promptstudio.evals.gate import Gate
from promptstudio.evals.paired import Paired, compare_series, comparison_data
from promptstudio.evals.records import RunRecord
from promptstudio.evals.series import Series, Target, series_of
from promptstudio.evals.statistics.schema import Comparison
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import Suite
from promptstudio.prompts.address import parse_address
from promptstudio.versions.load import load_anywhere

_RUN_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f-]{0,28}")


@dataclass(frozen=True, slots=True)
class Against:
    """A baseline as it was named: a run that is there, or the suite to run at another revision."""

    named: str
    run: RunRecord | None = None
    suite: Suite | None = None
    renamed: Mapping[str, str] | None = None  # address now → address at the baseline
    new: tuple[str, ...] = ()  # prompts that were not there yet


def find_baseline(named: str, suite: Suite, settings: Settings) -> Against:
    """Return what a baseline means. Raises UserError where it means nothing, with the place of `gate.baseline`
    where that is who named it.
    """
    if _RUN_ID.fullmatch(named):
        with EvalStore(store_path(settings)) as store:
            try:
                return Against(named, run=store.run(named))
            except NotFoundError:
                pass  # a commit may look like that too
    renamed: dict[str, str] = {}
    new: list[str] = []
    failure: UserError | None = None
    for address in suite.prompts:
        if parse_address(address).revision is not None:
            continue  # it names its own version, and is its own baseline
        at = f"{address}@{named}"
        try:
            load_anywhere(at, settings, cwd=settings.root)
        except NotFoundError as error:
            failure = error
            new.append(address)
        except UserError as error:
            failure = error
            break
        else:
            renamed[address] = at
    if not renamed:
        raise _nothing(named, suite, failure)
    then = replace(suite, prompts=tuple(dict.fromkeys(renamed.values())), gate=Gate())
    return Against(named, suite=then, renamed=renamed, new=tuple(new))


def _nothing(named: str, suite: Suite, failure: UserError | None) -> UserError:
    said = f"{named!r} is no run, and no revision that has a prompt of this suite"
    said += f": {failure.message}" if failure else ""
    hint = (failure.hint if failure else None) or "name a git ref, a label, or a run id of `ps runs list`"
    if named != suite.gate.baseline:
        return UsageError(f"--baseline: {said}", hint=hint)
    line, column = suite.source.place(("gate", "baseline")) if suite.source else (None, None)
    return SuiteFileError(f"gate.baseline: {said}", file=suite.shown, line=line, column=column, hint=hint)


def pairs_of(
    against: Against, old: Mapping[Target, Series], new: Mapping[Target, Series]
) -> list[tuple[Series, Series]]:
    """Pair the targets of two runs: by prompt and model; where both asked one model each, whichever it was."""
    ignores_model = len({model for _, model in old}) == len({model for _, model in new}) == 1
    found: list[tuple[Series, Series]] = []
    for (prompt, model), series in new.items():
        then = (against.renamed or {}).get(prompt, prompt)
        for (other, its_model), earlier in old.items():
            if other == then and (model == its_model or ignores_model):
                found.append((earlier, series))
    if not found and len(old) == len(new) == 1:
        found = [(next(iter(old.values())), next(iter(new.values())))]
    return found


def held_against(
    against: Against,
    baseline: RunRecord,
    run: RunRecord,
    suite: Suite,
    settings: Settings,
    *,
    across_engines: bool = False,
) -> list[Paired]:
    """Compare a run with its baseline, target by target."""
    gate = suite.gate
    with EvalStore(store_path(settings)) as store:
        old, new = series_of(store.results(baseline)), series_of(store.results(run))
    found = []
    for earlier, now in pairs_of(against, old, new):
        paired = compare_series(
            earlier,
            now,
            margin=gate.max_regression,
            metrics=[name for name in gate.metrics if name in now.metrics] or None,
            across_engines=across_engines,
            confidence=gate.confidence,
        )
        behaviors = baseline.prompts.get(earlier.prompt), run.prompts.get(now.prompt)
        is_same = behaviors[0] is not None and behaviors[0] == behaviors[1] and earlier.model == now.model
        found.append(replace(paired, is_same=is_same))
    return found


def paired_data(against: Against, baseline: RunRecord, paired: list[Paired]) -> dict[str, Any]:
    """Return what was found as plain data, as the record of a run keeps it."""
    return {
        "named": against.named,
        "run": baseline.id,
        "commit": baseline.commit,
        "new_prompts": list(against.new),
        "targets": [
            {
                "baseline": one.baseline,
                "candidate": one.candidate,
                "same": one.is_same,
                "figures": {name: _with_sentence(name, found) for name, found in one.comparisons.items()},
                "refused": dict(one.refused),
            }
            for one in paired
        ],
    }


def _with_sentence(name: str, comparison: Comparison) -> dict[str, Any]:
    from promptstudio.evals.statistics.sentence import conclusion

    return {**comparison_data(comparison), "sentence": conclusion(comparison, name)}
