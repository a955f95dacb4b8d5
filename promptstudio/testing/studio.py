"""A project for Python tests: `run(address, **inputs)` → `Result`, from the providers or from recorded answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptstudio.cache.choose import WireChoice, choose_wires, open_wires
from promptstudio.config import Settings, load_settings
from promptstudio.history import open_history
from promptstudio.portal import run_blocking
from promptstudio.providers.schema import Wires
from promptstudio.runner import Runner, RunOptions
from promptstudio.sdk.prompt import result_or_raise
from promptstudio.types import Result
from promptstudio.versions.load import load_anywhere


@dataclass(frozen=True, slots=True)
class Studio:
    """A project, and where its answers come from. `cassettes` is the folder they are recorded to or replayed from."""

    settings: Settings
    wires: Wires
    cassettes: Path | None = None
    history: bool = False
    model: str | None = None

    def __repr__(self) -> str:
        """Say little: pytest shows the values of a test that failed."""
        return f"<Studio {self.settings.root}>"

    def run(self, address: str | Path, options: RunOptions = RunOptions(), /, **inputs: Any) -> Result:  # noqa: B008
        """Run a prompt once. Raises `UserError` before a call, `ProviderError` after one that failed."""
        return run_blocking(self._run, address, options, inputs)

    async def arun(self, address: str | Path, options: RunOptions = RunOptions(), /, **inputs: Any) -> Result:  # noqa: B008
        """Like `run`, for `async` tests."""
        return await self._run(address, options, inputs)

    async def _run(self, address: str | Path, options: RunOptions, inputs: dict[str, Any]) -> Result:
        found = load_anywhere(str(address), self.settings)
        if self.model is not None and options.model is None:
            options = replace(options, model=self.model)
        history = open_history(found.settings) if self.history else None
        try:
            runner = Runner(found.settings, os.environ, history, self.wires)
            return result_or_raise(await runner.run(found.prompt, inputs, options))
        finally:
            if history is not None:
                history.close()


@contextmanager
def open_studio(
    project: str | Path | None = None,
    *,
    record: str | Path | None = None,
    replay: str | Path | None = None,
    history: bool = False,
    model: str | None = None,
) -> Iterator[Studio]:
    """Open a project, by default that of the working directory.

    `record` and `replay` are folders of cassettes. Runs are not remembered unless `history` says so.
    """
    settings = load_settings(Path(project) if project is not None else Path.cwd(), env=os.environ)
    choice = choose_wires(
        settings,
        "run",
        record=None if record is None else Path(record),
        replay=None if replay is None else Path(replay),
    )
    with opened_studio(settings, choice, history=history, model=model) as studio:
        yield studio


@contextmanager
def opened_studio(settings: Settings, choice: WireChoice, *, history: bool, model: str | None) -> Iterator[Studio]:
    """Open a project with the wires that were chosen."""
    with open_wires(choice, settings, os.environ, lambda _note: None) as wires:
        yield Studio(settings, wires, choice.record or choice.replay, history, model)
