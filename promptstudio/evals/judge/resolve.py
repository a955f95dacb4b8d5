"""The prompts that ask judges: prompt files of this package, in `promptstudio/evals/judge/prompts`.

A prompt of the project named `judge/NAME` takes the place of ours, and so does one that
`judge: {prompts: {NAME: address}}` names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import SuiteFileError
from promptstudio.evals.judge.schema import Panel
from promptstudio.prompts.load import load_file, load_prompt
from promptstudio.prompts.prompt import Prompt

OURS = Path(__file__).parent / "prompts"
METRIC_PROMPT = "metric"
"""The prompt that hands on what an engine wants to ask: its only input is `text`."""


@dataclass(slots=True)
class JudgePrompts:
    """The prompts that ask judges, each loaded once. `settings` are of the project whose prompts may replace ours."""

    settings: Settings
    _loaded: dict[tuple[str, str | None], Prompt] = field(default_factory=dict)

    def prompt(self, name: str, panel: Panel) -> Prompt:
        """Return the prompt for an assertion. Raises UserError where it is not there, or does not fit ours."""
        address = panel.prompts.get(name)
        key = (name, address)
        if key not in self._loaded:
            self._loaded[key] = self._load(name, address)
        return self._loaded[key]

    def _load(self, name: str, address: str | None) -> Prompt:
        ours = load_file(OURS / f"{name}.yaml", self.settings)
        if name == METRIC_PROMPT:
            return ours
        if address is None:
            folder = self.settings.prompts_dir
            if folder is None or not (folder / "judge" / f"{name}.yaml").is_file():
                return ours
            address = f"judge/{name}"
        theirs = load_prompt(address, self.settings, cwd=self.settings.root)
        _check_fits(theirs, ours)
        return theirs


def _check_fits(theirs: Prompt, ours: Prompt) -> None:
    """A prompt in the place of ours takes no more than ours does, and answers in the same shape."""
    unknown = [name for name, spec in theirs.inputs.items() if name not in ours.inputs and spec.required]
    if unknown:
        raise SuiteFileError(
            f"a judge is given {', '.join(ours.inputs)}, and no {unknown[0]!r}",
            file=theirs.shown_path,
            line=theirs.inputs[unknown[0]].line,
            hint="remove the input, or give it a default",
        )
    wanted = ours.output.schema if ours.output else None
    given = theirs.output.schema if theirs.output else None
    fields = set((wanted or {}).get("properties", {})) - set((given or {}).get("properties", {}))
    if fields:
        raise SuiteFileError(
            f"a verdict needs {', '.join(sorted(fields))} in the output",
            file=theirs.shown_path,
            line=theirs.output.line if theirs.output else None,
            hint="copy `output` from our prompt: ps judge prompt shows it",
        )
