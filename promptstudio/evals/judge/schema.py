"""The values of judging: who judges, and what asking cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from promptstudio.types import Result, Usage

Vote = Literal["majority", "mean"]


@dataclass(frozen=True, slots=True)
class JudgeModel:
    """One model that judges, and the parameters it is asked with."""

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything of it that decides a verdict, as plain data."""
        return {"model": self.model, **({"parameters": dict(self.parameters)} if self.parameters else {})}


@dataclass(frozen=True, slots=True)
class Panel:
    """One judge or several. `vote` puts the verdicts of several together: most of them, or their mean.

    `prompts` are the addresses of prompts that take the place of ours, by assertion: {llm-rubric: judge/strict}.
    """

    members: tuple[JudgeModel, ...]
    vote: Vote = "majority"
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The models, as reports name the judge."""
        return " + ".join(member.model for member in self.members)

    @property
    def settings(self) -> dict[str, Any]:
        members = [member.settings for member in self.members]
        return {
            "members": members,
            **({"vote": self.vote} if len(members) > 1 else {}),
            **({"prompts": dict(self.prompts)} if self.prompts else {}),
        }


@dataclass(slots=True)
class Bill:
    """What the calls for one score came to. An answer out of a cache costs nothing; `unpriced` had no known price."""

    calls: int = 0
    cached: int = 0
    unpriced: int = 0
    cost_usd: Decimal = Decimal(0)
    usage: Usage = field(default_factory=Usage)

    def add(self, result: Result) -> None:
        self.calls += 1
        if result.cached:
            self.cached += 1
            return
        self.usage = self.usage.plus(result.usage)
        if result.cost_usd is not None:
            self.cost_usd += result.cost_usd
        elif result.status == "completed":
            self.unpriced += 1

    @property
    def known_cost_usd(self) -> Decimal | None:
        """The sum; None where the price of a call is not known."""
        return None if self.unpriced else self.cost_usd


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a score comes from: scores that differ in any of this but the bill are not compared.

    `settings_hash` is a hash of all that decides the score: settings, the judge's parameters, and its prompt.
    `judge` names its model, or the models of a panel; None where no model judged.
    """

    engine: str
    engine_version: str
    settings_hash: str
    judge: str | None = None
    bill: Bill = field(default_factory=Bill)
