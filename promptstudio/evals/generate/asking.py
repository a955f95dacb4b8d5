"""A question to the model that proposes → its typed answer, through the runner of `ps run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import UsageError
from promptstudio.evals.judge.schema import Bill
from promptstudio.evals.judge.verdicts import fence_of
from promptstudio.prompts.load import load_file
from promptstudio.runner import Runner, RunOptions

OURS = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True)
class Proposer:
    """The model that proposes, and what asking it came to."""

    runner: Runner
    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    bill: Bill = field(default_factory=Bill)

    async def ask(self, name: str, values: Mapping[str, Any], repeat: int = 0) -> Mapping[str, Any]:
        """Ask by one of our prompts. Raises ProviderError, also where the answer never fits its shape."""
        prompt = load_file(OURS / f"{name}.yaml", self.runner.settings)
        known = {key: value for key, value in values.items() if value is not None}
        options = RunOptions(
            model=self.model, parameters=dict(self.parameters), reason="proposed", tags=("generate",), repeat=repeat
        )
        outcome = await self.runner.run(prompt, {**known, "fence": fence_of(known)}, options)
        self.bill.add(outcome.result)
        if outcome.error is not None:
            raise outcome.error
        output: Mapping[str, Any] = outcome.result.output.model_dump(mode="json", by_alias=True)
        return output


def proposing_model(asked: str | None, settings: Settings) -> tuple[str, Mapping[str, Any]]:
    """Return the model that proposes: the one asked for, else the judge. Raises UsageError where there is neither."""
    judge = settings.eval.get("judge")
    first = judge[0] if isinstance(judge, list) and judge else judge
    if asked is None and isinstance(first, Mapping):
        return str(first["model"]), dict(first.get("parameters") or {})
    model = asked or (first if isinstance(first, str) else None)
    if model is None:
        hint = "-m MODEL, or [eval] judge in promptstudio.toml"
        raise UsageError("no model is named that could propose anything", hint=hint)
    if model.startswith("offline/"):
        raise UsageError(f"{model} repeats what it is told, and proposes nothing", hint="name another model with -m")
    return model, {}
