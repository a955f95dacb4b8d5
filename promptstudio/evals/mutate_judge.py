"""A plan → the setting in which its wrong answers are judged with judges and embedding models: `ps mutate --judge`.

They are asked as in an evaluation: through the judge's own cache and limits, or out of recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from promptstudio.cache.choose import choose_wires, open_wires
from promptstudio.config import Settings
from promptstudio.evals.assertions.assertion import Setting
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.embedder import RunEmbedder
from promptstudio.evals.judge.caller import JudgeCaller
from promptstudio.evals.judge.judged import RunJudge
from promptstudio.evals.judge.resolve import JudgePrompts
from promptstudio.evals.judge.schema import Bill
from promptstudio.evals.judge.wires import split_wires
from promptstudio.evals.limits import Accounts
from promptstudio.evals.plan import Plan
from promptstudio.runner import Runner


@dataclass(frozen=True, slots=True)
class Judging:
    """The setting, and what asking the judges comes to while it is used."""

    setting: Setting
    bill: Bill


@contextmanager
def judging(
    plan: Plan, settings: Settings, env: Mapping[str, str], functions: Functions, note: Callable[[str], None]
) -> Iterator[Judging]:
    """Open the ways to the judges of a plan. What they say is kept where an evaluation finds it."""
    choice = choose_wires(settings, "eval")
    with ExitStack() as opened:
        accounts, judges = Accounts(None), Accounts(None)
        inner = split_wires(choice, settings, env, accounts, judges, opened)
        wires = opened.enter_context(open_wires(choice, settings, env, note, inner))
        caller = JudgeCaller(Runner(settings, env, None, wires), judges)
        prompts = plan.resolver.prompts if plan.resolver is not None else JudgePrompts(settings)
        setting = Setting(
            embedder=RunEmbedder(settings, env, wires, accounts, plan.embedder),
            functions=functions,
            judge=RunJudge(caller, prompts),
        )
        yield Judging(setting, caller.total)
