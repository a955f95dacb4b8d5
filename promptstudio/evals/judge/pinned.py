"""Assertions as written → assertions that know who judges them: judge, prompt and engine, pinned by a hash.

The judge is that of the assertion, else of the suite, else `[eval] judge`. A suite that needs none loads none of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from promptstudio.config import Settings
from promptstudio.errors import SuiteFileError, UserError
from promptstudio.evals.assertions.assertion import Assertion, Judging
from promptstudio.evals.datasets import fingerprint
from promptstudio.evals.judge.spec import panel_of
from promptstudio.prompts.judge_faults import judge_faults
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.wording import dotted

if TYPE_CHECKING:
    from promptstudio.evals.judge.resolve import JudgePrompts
    from promptstudio.evals.judge.schema import Panel

SCORING = "1"
"""How answers of a judge are made into scores; a change of it makes scores incomparable. Prompts have their hashes."""


def is_judged(assertion: Assertion) -> bool:
    """Whether a judge or an engine has a part in an assertion, or in a member of it."""
    return assertion.needs_judge or "/" in assertion.name or any(is_judged(each) for each in assertion.members)


def resolved(assertions: Sequence[Assertion], resolver: Resolver | None) -> tuple[Assertion, ...]:
    """Return the assertions, those that are judged with their judge. Raises SuiteFileError where there is none."""
    if resolver is None or not any(is_judged(each) for each in assertions):
        return tuple(assertions)
    return resolver.resolved(assertions)


@dataclass(slots=True)
class Resolver:
    """What is needed to say who judges an assertion. `written` is the suite's `judge:`."""

    settings: Settings
    written: Any = None
    _prompts: JudgePrompts | None = field(default=None, repr=False)

    @property
    def prompts(self) -> JudgePrompts:
        if self._prompts is None:
            from promptstudio.evals.judge.resolve import JudgePrompts  # loads prompts: for judged suites only

            self._prompts = JudgePrompts(self.settings)
        return self._prompts

    def resolved(self, assertions: Iterable[Assertion]) -> tuple[Assertion, ...]:
        """Return the assertions, those that are judged with their judge. Raises SuiteFileError where there is none."""
        return tuple(self._resolved(each) for each in assertions)

    def _resolved(self, assertion: Assertion) -> Assertion:
        if assertion.members:
            return replace(assertion, members=self.resolved(assertion.members))
        if "/" in assertion.name:
            return replace(assertion, judging=self._of_metric(assertion))
        return replace(assertion, judging=self._of_assertion(assertion)) if assertion.needs_judge else assertion

    def _of_assertion(self, assertion: Assertion) -> Judging:
        panel = self.panel_for(assertion)
        try:
            prompt = self.prompts.prompt(assertion.name, panel)
        except UserError as error:
            raise _at(assertion, f"{assertion.written}: {error.message}", error.hint) from error
        return _judging(panel, prompt, "promptstudio", SCORING, {"assertion": assertion.settings})

    def _of_metric(self, assertion: Assertion) -> Judging:
        from promptstudio.evals.judge.resolve import METRIC_PROMPT
        from promptstudio.evals.metrics.table import METRICS, engine_version  # for suites with metrics only

        kind = METRICS[assertion.name]
        panel = self.panel_for(assertion) if assertion.needs_judge else None
        prompt = self.prompts.prompt(METRIC_PROMPT, panel) if panel is not None else None
        version = engine_version(kind.engine) or "not installed"
        return _judging(panel, prompt, kind.engine, version, {"metric": kind.name, "options": dict(assertion.options)})

    def panel_for(self, assertion: Assertion) -> Panel:
        """Return who judges an assertion. Raises SuiteFileError with its place where nobody does."""
        written = assertion.judge or self.written or self.settings.eval.get("judge")
        for path, message, hint in judge_faults(written, ("judge",)):
            raise _at(assertion, f"{dotted(path)}: {message}", hint)
        panel = panel_of(written)
        if panel is None:
            raise _at(
                assertion,
                f"{assertion.written} needs a judge, and none is named",
                "write judge: {model: …} in the suite, or [eval] judge in promptstudio.toml",
            )
        return panel


def _judging(
    panel: Panel | None, prompt: Prompt | None, engine: str, version: str, settings: Mapping[str, Any]
) -> Judging:
    pinned = {
        "panel": panel.settings if panel else None,
        "prompt": prompt.identity.behavior if prompt else None,
        "engine": engine,
        "version": version,
        **settings,
    }
    return Judging(panel, prompt, engine, version, fingerprint(pinned))


def _at(assertion: Assertion, message: str, hint: str | None) -> SuiteFileError:
    return SuiteFileError(message, file=assertion.file, line=assertion.line, column=assertion.column, hint=hint)
