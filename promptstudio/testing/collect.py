"""A suite file → pytest's tests: prompt · model → one test a case, and the gate as the last one.

    evals/triage.yaml::support/triage·openai/gpt-4.1-mini::double-charge
    evals/triage.yaml::gate

What is wrong with a suite is an error of collection, with file and line. All repeats of a case are one test.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from promptstudio.config import Settings, load_settings
from promptstudio.errors import ConfigError, PromptStudioError, UsageError
from promptstudio.output.terminal import safe_cell, safe_text

MAX_TESTS = 100_000
"""pytest holds every test in memory; a suite of more cases is one for `ps eval`, which streams them."""
MAX_NAME = 200
GATE = "gate"

# Names of marks that mean something to pytest or its plugins: a tag must not skip a case by accident.
_RESERVED = frozenset(
    {
        *("skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "tryfirst", "trylast"),
        *("asyncio", "anyio", "timeout", "flaky", "xdist_group", "django_db", "order", "dependency", "promptstudio"),
    }
)
_settings = pytest.StashKey[dict[Path, Settings]]()
_marks = pytest.StashKey[set[str]]()


def settings_of(root: Path, config: pytest.Config) -> Settings:
    """Return the settings of a project, read once a session."""
    known = config.stash.setdefault(_settings, {})
    if root not in known:
        known[root] = load_settings(root, env=os.environ)
    return known[root]


def is_in_evals(path: Path, root: Path) -> bool:
    """Whether a file lies where suites do; `data/` holds datasets."""
    folder, path = _evals_dir(root).resolve(), real(path)
    return path.is_relative_to(folder) and not path.is_relative_to(folder / "data")


def real(path: Path) -> Path:
    """Return a path whose folder is no link: pytest keeps links, the project's settings do not."""
    return path.parent.resolve() / path.name


def _evals_dir(root: Path) -> Path:
    try:
        return load_settings(root, env=os.environ).evals_dir or root / "evals"
    except ConfigError:
        return root / "evals"  # what is wrong is told when the suite is collected


def is_wanted(path: Path, root: Path, config: pytest.Config) -> bool:
    """Whether the suites were asked for: a plain `pytest` of a whole project must not pay for anything."""
    wish = config.getini("promptstudio_collect")
    if wish not in ("asked", "always", "never"):
        raise pytest.UsageError(f"promptstudio_collect = {wish}: it is asked, always or never")
    if wish != "asked":
        return bool(wish == "always")
    folder = _evals_dir(root).resolve()
    base = config.invocation_params.dir
    named = [(base / argument.partition("::")[0]).resolve() for argument in config.args]
    return any(path.resolve() == one or one.is_relative_to(folder) for one in named)


def suite_file(path: Path, root: Path, parent: pytest.Collector) -> SuiteFile:
    file: SuiteFile = SuiteFile.from_parent(parent, path=path)
    file.root = root
    return file


def error_text(error: PromptStudioError) -> str:
    """Return an error as the command line shows it."""
    lines: list[str] = []
    for problem in error.problems:
        lines.append(f"error: {problem}")
        if problem.hint:
            lines.append(f"hint: {problem.hint}")
    return safe_text("\n".join(lines))


class SuiteFile(pytest.File):
    """One suite."""

    root: Path

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        from promptstudio.testing.evaluations import evaluation_for  # weight: the engine

        try:
            evaluation = evaluation_for(real(self.path), settings_of(self.root, self.config), self.session)
            targets: dict[tuple[str, str], list[Any]] = {}
            for number, planned in enumerate(evaluation.cases()):
                if number * len(evaluation.targets) > MAX_TESTS:
                    raise UsageError(
                        f"{evaluation.suite.shown}: more than {MAX_TESTS:,} cases are too many for pytest",
                        hint=f"ps eval {evaluation.suite.shown} streams them",
                    )
                for target in evaluation.targets:
                    targets.setdefault(target, []).append(planned)
        except PromptStudioError as error:
            raise self.CollectError(error_text(error)) from error
        for (prompt, model), cases in targets.items():
            node: TargetNode = TargetNode.from_parent(self, name=_node_name(f"{prompt}·{model}"))
            node.evaluation, node.target, node.cases = evaluation, (prompt, model), cases
            yield node
        gate: GateItem = GateItem.from_parent(self, name=GATE)
        gate.evaluation = evaluation
        gate.add_marker("promptstudio")
        yield gate


class TargetNode(pytest.Collector):
    """One prompt with one model."""

    evaluation: Any
    target: tuple[str, str]
    cases: list[Any]

    def collect(self) -> Iterator[CaseItem]:
        for planned in self.cases:
            item: CaseItem = CaseItem.from_parent(self, name=_node_name(planned.id))
            item.evaluation, item.target, item.planned = self.evaluation, self.target, planned
            _mark(item, planned.tags)
            yield item


class SuiteItem(pytest.Item):
    """What a case and a gate have in common: an answer is waited for in the set-up, and judged in the call."""

    evaluation: Any

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Keep warnings as errors out of the evaluation: an answer is judged here as it is by `ps eval`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from promptstudio.testing.show import Failure, Shown  # as above

        if isinstance(excinfo.value, Failure):
            return Shown(excinfo.value)
        return super().repr_failure(excinfo, style)


class CaseItem(SuiteItem):
    """One case of one prompt and model, with all of its repeats."""

    target: tuple[str, str]
    planned: Any
    ended: Any = None

    def setup(self) -> None:
        try:
            with self._quiet():
                self.ended = self.evaluation.ended(self.target, self.planned)
        except PromptStudioError as error:
            pytest.fail(error_text(error), pytrace=False)
        self.user_properties += self.ended.properties
        if self.ended.outcome == "error":
            pytest.fail(self.ended.text, pytrace=False)

    def runtest(self) -> None:
        from promptstudio.testing.show import Failure  # as above

        if self.ended.outcome == "skipped":
            pytest.skip(self.ended.reason)
        if self.ended.outcome != "pass":
            if self.ended.outcome == "fail" and self.evaluation.gate_decides:
                pytest.xfail(self.ended.reason)
            raise Failure(self.ended.text, self.ended.reason)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the case stands, as far as it stands in the suite itself."""
        line = self.planned.line if self.planned.file == self.evaluation.suite.shown else None
        return self.path, line - 1 if line else 0, f"{self.parent.name if self.parent else ''} {self.name}"


class GateItem(SuiteItem):
    """The gate of a suite, over the cases of it that this session runs; over all of them where it runs alone."""

    def runtest(self) -> None:
        from promptstudio.testing.show import Failure  # as above

        with self._quiet():
            verdict = self.evaluation.verdict()
        self.user_properties += [("gate", verdict.sentence)]
        if not verdict.is_met:
            raise Failure(verdict.text, verdict.sentence)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, PromptStudioError):
            return error_text(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = self.evaluation.suite.line_of("gate") or 1
        return self.path, line - 1, f"gate of {self.evaluation.suite.name}"


def _node_name(text: str) -> str:
    """Return a name that pytest can select by: short, on one line, and without its separator."""
    if len(text) > MAX_NAME:
        text = f"{text[:MAX_NAME]}…{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return safe_cell(text).replace("::", "∷") or "?"


def _mark(item: pytest.Item, tags: Iterable[str]) -> None:
    """Give an item its tags: as marks for -m, in the letters -m knows, and as they are for -k."""
    item.add_marker("promptstudio")
    for tag in tags:
        item.extra_keyword_matches.add(tag)
        name = "".join(char if char.isalnum() or char in "_-." else "_" for char in tag).strip("_-.")
        if not name:
            continue
        name = f"tag_{name}" if name in _RESERVED else name
        known = item.config.stash.setdefault(_marks, set())
        if name not in known:
            known.add(name)
            item.config.addinivalue_line("markers", f"{name}: cases with the tag {safe_cell(tag)}")
        item.add_marker(name)
