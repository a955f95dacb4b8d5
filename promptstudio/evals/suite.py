"""A suite file → `Suite`: what is asked, of which cases, and what must hold. All that is wrong with it at once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, SuiteFileError, UsageError
from promptstudio.evals.assertions.assertion import Assertion, Origin
from promptstudio.evals.assertions.functions import Functions, Target, find_target, told
from promptstudio.evals.assertions.parse import origin_in, parse_assertions
from promptstudio.evals.datasets import Dataset, file_cases, fingerprint, function_cases, inline_cases
from promptstudio.evals.gate import Gate, gate_of
from promptstudio.prompts.assertion_faults import PYTHON_TARGET
from promptstudio.prompts.library import default_name, suite_paths_in
from promptstudio.prompts.overlay import Source, overlaid
from promptstudio.prompts.suite_schema import suite_problems
from promptstudio.prompts.wording import found, nearest, shown
from promptstudio.prompts.yamlfile import YamlDocument, read_text_file, read_yaml

EMPTY_HINT = "a suite names a `prompt:`, its `cases:` and what to `assert:`; `ps schema suite` has the rest"


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite file, checked. `prompts` and `models` are as written; no models means each prompt's own.

    `metrics` and `judge` are plain data, as written. `source` knows the places of everything.
    """

    name: str
    path: Path
    shown: str
    prompts: tuple[str, ...]
    models: tuple[str, ...]
    repeats: int
    dataset: Dataset
    assertions: tuple[Assertion, ...]
    metrics: tuple[Any, ...]
    threshold: float | None
    judge: Mapping[str, Any] | None
    gate: Gate
    compat: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    source: Source | None = field(default=None, repr=False)

    @property
    def settings_digest(self) -> str:
        """A hash of everything that decides the outcome of a case, apart from prompts, models and cases."""
        return fingerprint(
            {
                "assertions": [assertion.settings for assertion in self.assertions],
                "metrics": list(self.metrics),
                "threshold": self.threshold,
                "judge": self.judge,
                "compat": self.compat,
            }
        )

    def line_of(self, *path: str | int) -> int | None:
        return self.source.place(path)[0] if self.source else None


def suite_paths(settings: Settings) -> list[Path]:
    """Return the suite files below the evals folder, in order; names with `_` or `.` in front are left out."""
    folder = settings.evals_dir
    if folder is None or not folder.is_dir():
        return []
    data = folder / "data"
    return [path for path in suite_paths_in(folder) if not path.is_relative_to(data) and _is_suite(path)]


def _is_suite(path: Path) -> bool:
    """Whether a YAML file below evals/ is a suite, and no dataset: those are lists."""
    head = path.read_text(encoding="utf-8", errors="replace")[:20_000]
    return any(line.startswith(("cases:", "prompt:", "prompts:", "assert:", "gate:")) for line in head.splitlines())


def find_suite(asked: str, settings: Settings, cwd: Path) -> Path:
    """Return the file of a suite named by its path, or by its name. Raises NotFoundError with the nearest name."""
    if "\0" in asked or not asked.strip():
        raise UsageError(f"{shown(asked)} is not a suite")
    path = cwd / Path(asked).expanduser()
    if path.is_file():
        return path
    known = {_name_of(path, settings): path for path in suite_paths(settings)}
    if asked in known:
        return known[asked]
    for path in known.values():
        if load_suite(path, settings).name == asked:
            return path
    close = nearest(asked, [*known, *(_shown(path, settings) for path in known.values())])
    hint = f"did you mean {close!r}?" if close else f"the suites are {', '.join(known)}" if known else "evals/ is empty"
    raise NotFoundError(f"there is no suite {shown(asked)}", hint=hint)


def _name_of(path: Path, settings: Settings) -> str:
    root = settings.evals_dir
    return default_name(path, root) if root is not None and path.is_relative_to(root) else path.stem


def _shown(path: Path, settings: Settings) -> str:
    root = settings.root
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else path.as_posix()


def load_suite(path: Path, settings: Settings, functions: Functions | None = None) -> Suite:
    """Load a suite. Raises SuiteFileError with every problem; no Python function is run."""
    where = _shown(path, settings)
    text = read_text_file(path, shown=where, error=SuiteFileError)
    document = read_yaml(text, file=where, error=SuiteFileError, empty_hint=EMPTY_HINT)
    return suite_of(document, path, settings, functions)


def suite_of(
    document: YamlDocument,
    path: Path,
    settings: Settings,
    functions: Functions | None = None,
    dataset: Dataset | None = None,
) -> Suite:
    """Return the suite a document says, whose files lie beside `path`. `dataset` stands in for `cases`."""
    where = document.file
    source = overlaid(document, None)
    if not isinstance(document.value, dict):
        raise SuiteFileError("a suite is a map of keys such as `cases:`", file=where, line=1)
    if problems := suite_problems(source):
        raise SuiteFileError(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    value = document.value
    compat = value.get("compat")
    origin = origin_in(source, ("assert",), folder=path.parent, root=settings.root, compat=compat)
    assertions = (*parse_assertions(value.get("assert"), origin), *_metrics(value.get("metrics"), origin))
    return Suite(
        name=value.get("name") or _name_of(path, settings),
        path=path,
        shown=where,
        prompts=tuple(value.get("prompts") or [value["prompt"]]),
        models=tuple(value.get("models") or ()),
        repeats=value.get("repeats", 1),
        dataset=dataset or _dataset(value["cases"], source, path, settings, functions),
        assertions=assertions,
        metrics=tuple(value.get("metrics") or ()),
        threshold=value.get("threshold"),
        judge=value.get("judge"),
        gate=replace(gate_of(value.get("gate") or {}), lower=_lower(assertions)),
        compat=compat,
        description=value.get("description") or "",
        tags=tuple(value.get("tags") or ()),
        source=source,
    )


def _lower(assertions: tuple[Assertion, ...]) -> frozenset[str]:
    """Return the names of metrics of which less is better."""
    metrics = [each for each in assertions if "/" in each.name]
    if not metrics:
        return frozenset()
    from promptstudio.evals.metrics.table import is_less_better  # for suites that have metrics

    return frozenset(each.metric or each.name for each in metrics if is_less_better(each.name))


def _metrics(written: Any, origin: Origin) -> tuple[Assertion, ...]:
    if not written:
        return ()
    from promptstudio.evals.metrics.parse import parse_metrics  # for suites that have metrics

    return parse_metrics(written, replace(origin, path=("metrics",)))


def _dataset(written: Any, source: Source, path: Path, settings: Settings, functions: Functions | None) -> Dataset:
    if isinstance(written, list):
        return inline_cases(written, source.file, lambda index: source.place(("cases", index))[0])
    try:
        if PYTHON_TARGET.fullmatch(written):
            target = find_target(written, path.parent, settings.root)
            loader = functions or Functions(settings.root)
            return function_cases(partial(_made_by, loader, target), written)
        file = _file_of(written, path, settings)
        return file_cases(file, _shown(file, settings))
    except SuiteFileError as cause:
        if cause.problems[0].file not in (None, written):
            raise
        line, column = source.place(("cases",))
        raise SuiteFileError(
            f"cases: {cause.message}", file=source.file, line=line, column=column, hint=cause.hint
        ) from cause


def _made_by(loader: Functions, target: Target) -> Iterator[Any]:
    """Return what a function of theirs makes; where it breaks, that is a mistake of the suite, with its line."""
    function = loader.function(target)
    with _their_code(target):
        made = function()
    if not isinstance(made, Iterable):
        what = f"a function returns a list of cases, or yields them; found {found(made)}"
        raise SuiteFileError(what, file=target.written)
    steps = iter(made)
    while True:
        with _their_code(target):
            item = next(steps, _END)
        if item is _END:
            return
        yield item


_END = object()


@contextlib.contextmanager
def _their_code(target: Target) -> Iterator[None]:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output holds the report only
            yield
    except (Exception, SystemExit) as error:
        what = f"making the cases failed: {told(error, target.path)}"
        raise SuiteFileError(what, file=target.written) from error


def _file_of(written: str, path: Path, settings: Settings) -> Path:
    """Return a dataset's file: beside the suite, else below the project; never outside of it."""
    beside = path.parent / written
    root = settings.root or path.parent
    file = beside if beside.exists() or not (root / written).is_file() else root / written
    if not file.resolve().is_relative_to(root.resolve()):
        raise SuiteFileError(f"{shown(written)} lies outside of the project", hint="copy the file into it")
    return file
