"""What an evaluation came to: its verdict, and its results, read from the store as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from promptstudio.errors import CheckFailed, MissingExtraError
from promptstudio.evals.evaluate import Finished
from promptstudio.evals.gate import Check
from promptstudio.evals.records import CaseResult, RunRecord
from promptstudio.evals.report import report_of, report_requests, write_reports
from promptstudio.evals.report.data import result_object
from promptstudio.evals.store import EvalStore
from promptstudio.evals.totals import Totals
from promptstudio.output.terminal import safe_text


class Report:
    """One evaluation that ended. Iterating it reads the results one after the other, however many there are."""

    def __init__(self, finished: Finished, store: Path) -> None:
        self._finished = finished
        self._store = store

    @property
    def passed(self) -> bool:
        """Whether the run reached its end and its gate is met."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """What `ps eval` would have returned."""
        return self._finished.exit_code

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return self._finished.sentence

    @property
    def checks(self) -> tuple[Check, ...]:
        """Each limit of the gate: what was wanted, what was found, whether it is met."""
        return self._finished.checks

    @property
    def totals(self) -> Totals:
        return self._finished.totals

    @property
    def counts(self) -> Mapping[str, int]:
        """How many cases ended in each of pass, fail, error, unscored and skipped."""
        return {str(outcome): count for outcome, count in self.totals.counts.items()}

    @property
    def pass_rate(self) -> float | None:
        return self.totals.figure("pass_rate")

    @property
    def figures(self) -> Mapping[str, Any]:
        """The pass rate and each metric with estimate, lower, upper, confidence and n; of repeats flakes and pass@k.

        Empty where nothing was judged.
        """
        return self.run.totals.get("figures") or {}

    @property
    def against(self) -> Mapping[str, Any] | None:
        """What came out against the baseline; None where there was none.

        `named` and `run` say what it was, `targets` have `figures` with verdict, difference, interval and flips.
        """
        found: Mapping[str, Any] | None = self.run.totals.get("against")
        return found

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost; None where a price is not known."""
        return None if self.totals.unpriced else self.totals.cost_usd

    @property
    def run(self) -> RunRecord:
        """The record of the run, as `ps runs show` has it."""
        return self._finished.run

    def __len__(self) -> int:
        return sum(self.totals.counts.values())

    def __bool__(self) -> bool:
        """A report is there even where no case is: `passed` is the verdict."""
        return True

    def __iter__(self) -> Iterator[CaseResult]:
        with EvalStore(self._store) as store:
            yield from store.results(self.run)

    def failures(self) -> Iterator[CaseResult]:
        """Yield the results that are not good: failed, ended in an error, or not to be judged."""
        with EvalStore(self._store) as store:
            yield from store.results(self.run, outcomes=("fail", "error", "unscored"))

    def raise_if_missed(self) -> Report:
        """Return the report; raise CheckFailed where the gate is missed."""
        if not self.passed:
            raise CheckFailed(f"{self.run.suite}: {self.sentence}", hint=f"ps runs show {self.run.id}")
        return self

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the results as plain data, with the keys of the `jsonl` report."""
        return [result_object(result) for result in self]

    def to_dataframe(self) -> Any:
        """Return the results as a pandas DataFrame, nested values with dots in the column's name."""
        try:
            pandas = import_module("pandas")  # not a dependency of ours; whoever asks for a DataFrame has it
        except ImportError as cause:
            raise MissingExtraError("to_dataframe needs pandas", hint="pip install pandas") from cause
        return pandas.json_normalize(self.to_dicts())

    def save(self, *files: str | Path) -> None:
        """Write reports; the suffix says the format: .html, .md, .xml (JUnit), .json, .jsonl, .csv."""
        requests = report_requests([str(file) for file in files], {})
        with EvalStore(self._store) as store:
            write_reports(requests, store, self.run, shown=lambda _line: None)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count) or "no case"
        return safe_text(f"<Report {self.run.suite}: {self.sentence}{'' if self.passed else f' ({counts})'}>")

    def _repr_html_(self) -> str:
        from promptstudio.sdk.notebook import report_html  # only where somebody looks

        with EvalStore(self._store) as store:
            return report_html(report_of(store, self.run), self.sentence, is_met=self.passed)
