"""The wires of an evaluation with a judge: answers go one way, verdicts another, each with its own cache and limits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from promptstudio.cache.choose import WireChoice
from promptstudio.cache.place import state_folder
from promptstudio.cache.schema import limits_of
from promptstudio.cache.store import CacheStore
from promptstudio.cache.wire import CachedWires
from promptstudio.config import Settings
from promptstudio.evals.limits import Accounts, WatchedWires
from promptstudio.providers.call import ProviderWires
from promptstudio.providers.schema import Connection, Reach, Wire, WireCall, Wires

FILE_NAME = "judge-cache.db"


def judge_cache_path(settings: Settings, env: Mapping[str, str]) -> Path:
    """Return the file that keeps what judges said; answers are kept in another."""
    return state_folder(settings, env) / FILE_NAME


@dataclass(frozen=True, slots=True)
class SplitWires:
    """Wires for answers, and others for verdicts."""

    answers: Wires
    verdicts: Wires

    @property
    def reach(self) -> Reach:
        return self.answers.reach

    def wire_for(self, connection: Connection, call: WireCall) -> Wire:
        if call.is_verdict:
            return self.verdicts.wire_for(connection, replace(call, is_verdict=False))
        return self.answers.wire_for(connection, call)


def split_wires(
    choice: WireChoice,
    settings: Settings,
    env: Mapping[str, str],
    accounts: Accounts,
    judges: Accounts,
    opened: ExitStack,
) -> SplitWires:
    """Return the providers' wires for both; what judges said is kept where answers are kept as well."""
    verdicts: Wires = WatchedWires(ProviderWires(), judges)
    if choice.cache:
        store = CacheStore(judge_cache_path(settings, env), limits_of(settings), lambda _: None)
        opened.callback(store.close)
        verdicts = CachedWires(store, verdicts, keeps_secrets=not settings.redact)
    return SplitWires(WatchedWires(ProviderWires(), accounts), verdicts)
