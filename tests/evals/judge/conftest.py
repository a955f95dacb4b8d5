"""A project whose judge is a server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from judge_server import JudgeServer, Question, Said

from promptstudio.evals.evaluate import EvalOptions, Finished, evaluate
from promptstudio.evals.records import CaseResult
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.evals.suite import load_suite

if TYPE_CHECKING:
    from tests.conftest import Project


class Judged:
    """A project with the suite `evals/judged.yaml`, judged by `judge/…`; `say` answers for the judge."""

    def __init__(self, project: Project, say: Callable[[Question], Said]) -> None:
        self.project = project
        self.server = JudgeServer(say)
        settings = project.root / "promptstudio.toml"
        settings.write_text(settings.read_text(encoding="utf-8") + self.server.settings(), encoding="utf-8")

    @property
    def asked(self) -> list[Question]:
        return self.server.asked

    async def run(self, suite: str, **options: Any) -> Finished:
        path = self.project.write("evals/judged.yaml", suite)
        settings = self.project.settings()
        return await evaluate(load_suite(path, settings), settings, {}, EvalOptions(**options))

    def results(self, run: str = "last") -> list[CaseResult]:
        with EvalStore(store_path(self.project.settings())) as store:
            return list(store.results(store.run(run)))


@pytest.fixture
def judged(project: Project) -> Iterator[Callable[[Callable[[Question], Said]], Judged]]:
    """Return what makes a judged project; its server ends with the test."""
    made: list[Judged] = []

    def make(say: Callable[[Question], Said]) -> Judged:
        made.append(Judged(project, say))
        made[-1].server.__enter__()
        return made[-1]

    yield make
    for one in made:
        one.server.__exit__()
