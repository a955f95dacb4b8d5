"""`python: checks.py:polite` → the function, from the working repository only; and what it returns → a verdict.

A file is loaded once for each `Functions`, which is once for a suite. Checking a suite reads the file and looks for the
function without running anything.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import math
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from promptstudio.errors import SuiteFileError
from promptstudio.evals.assertions.assertion import Assertion, Setting, Subject, Verdict, as_text, broken
from promptstudio.evals.assertions.limits import EndedProcess, TimeIsUp, await_within, call_within
from promptstudio.evals.assertions.reasons import number, quoted
from promptstudio.evals.schema import Context, Score
from promptstudio.prompts.assertion_table import plugin
from promptstudio.prompts.wording import nearest, shown

MAX_SOURCE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """A function in a file; `digest` is of the file's content: a change of code is a change of the suite."""

    path: Path
    function: str
    written: str
    digest: str


# -- finding --------------------------------------------------------------------------------------------------------


def find_target(written: str, folder: Path | None, root: Path | None) -> Target:
    """Return where a function is. Raises SuiteFileError, without a place: the caller knows it."""
    name, _, function = written.rpartition(":")
    if folder is None or root is None:
        raise SuiteFileError("a Python assertion needs a project", hint="it is loaded from the working repository")
    path, real_root = (folder / name).resolve(), root.resolve()
    if not path.is_file() and (root / name).is_file():
        path = (root / name).resolve()
    if not path.is_relative_to(real_root):
        raise SuiteFileError(f"{shown(name)} lies outside of the repository", hint="copy the file into it")
    if not path.is_file():
        raise SuiteFileError(f"there is no file {shown(name)}", hint=f"looked in {_below(folder, root)} and the root")
    if path.stat().st_size > MAX_SOURCE_BYTES:
        raise SuiteFileError(f"{shown(name)} is larger than 1 MiB", hint="it is meant to hold a few functions")
    source = path.read_bytes()
    _check_source(source, name, function)
    return Target(path, function, written, hashlib.sha256(source).hexdigest()[:16])


def _below(folder: Path, root: Path) -> str:
    below = folder.resolve()
    return (
        below.relative_to(root.resolve()).as_posix() if below.is_relative_to(root.resolve()) else "the suite's folder"
    )


def _check_source(source: bytes, name: str, function: str) -> None:
    """Look for the function without running the file."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise SuiteFileError(f"{shown(name)}{line} is not valid Python: {str(error)[:120]}") from error
    names = {part.name for part in tree.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    names |= {part.id for node in tree.body for part in ast.walk(node) if _is_stored_name(part)}  # type: ignore[attr-defined]
    names |= {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    if function not in names and "*" not in names:
        close = nearest(function, sorted(names))
        hint = f"did you mean {close!r}?" if close else f"define it: def {function}(context): …"
        raise SuiteFileError(f"{shown(name)} has no function {shown(function)}", hint=hint)


def _is_stored_name(part: ast.AST) -> bool:
    return isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)


# -- loading --------------------------------------------------------------------------------------------------------

Loaded = Callable[[str, Context], Any]


class Functions:
    """The functions of a suite, each file loaded once. `root` is the repository."""

    def __init__(self, root: Path | None = None, time_limit_s: float = 30.0) -> None:
        self._root = root
        self._time_limit_s = time_limit_s
        self._modules: dict[Path, ModuleType] = {}
        self._calls: dict[tuple[Path | None, str], Loaded] = {}

    def call_for(self, assertion: Assertion) -> Loaded:
        """Return what to call with the text and the context. Raises SuiteFileError where the file does not load."""
        target = assertion.parsed if isinstance(assertion.parsed, Target) else None
        key = (target.path if target else None, target.function if target else assertion.name)
        if key not in self._calls:
            self._calls[key] = _adapted(self._load(target) if target else _load_plugin(assertion.name), assertion)
        return self._calls[key]

    def function(self, target: Target) -> Any:
        """Return a function of a file by itself, such as one that makes cases. Raises SuiteFileError."""
        found = self._load(target)
        if not callable(found):
            raise SuiteFileError(f"{shown(target.written)} is not a function")
        return found

    def _load(self, target: Target) -> Any:
        if target.path not in self._modules:
            self._modules[target.path] = self._module(target)
        return getattr(self._modules[target.path], target.function, None)

    def _module(self, target: Target) -> ModuleType:
        name = f"_promptstudio_{target.path.stem}_{hashlib.sha256(str(target.path).encode()).hexdigest()[:8]}"
        spec = importlib.util.spec_from_file_location(name, target.path)
        if spec is None or spec.loader is None:
            raise SuiteFileError(f"{shown(target.written)} cannot be loaded as Python")
        module = importlib.util.module_from_spec(spec)
        for folder in (target.path.parent, self._root):  # so that it can import its neighbors
            if folder is not None and str(folder) not in sys.path:
                sys.path.append(str(folder))
        sys.modules[name] = module  # dataclasses and pickle look modules up here
        try:
            call_within(self._time_limit_s, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
        except (Exception, TimeIsUp) as error:
            sys.modules.pop(name, None)
            raise SuiteFileError(f"loading {shown(target.written)} failed: {told(error, target.path)}") from error
        return module


def _load_plugin(name: str) -> Any:
    load = plugin(name)
    if load is None:
        raise SuiteFileError(f"there is no assertion {shown(name)}", hint="the package that brings it is not installed")
    try:
        return load()
    except Exception as error:
        raise SuiteFileError(f"loading the assertion {shown(name)} failed: {type(error).__name__}: {error}") from error


def _adapted(function: Any, assertion: Assertion) -> Loaded:
    """Return a function of text and context, whether theirs takes the context alone or both (as promptfoo's do)."""
    written = assertion.parsed.written if isinstance(assertion.parsed, Target) else assertion.name
    if not callable(function):
        raise SuiteFileError(f"{shown(written)} is not a function")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return lambda _text, context: function(context)
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return cast(Loaded, function)
    taken = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each for each in taken if each.default is each.empty]
    needed_by_name = [each for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    if needed_by_name or not taken or len(needed) > 2:
        raise SuiteFileError(f"{shown(written)} takes (context) or (text, context)")
    if len(needed) == 2 or (len(taken) >= 2 and len(needed) < 2 and taken[1].name == "context"):
        return cast(Loaded, function)
    return lambda _text, context: function(context)


# -- calling --------------------------------------------------------------------------------------------------------


def python(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict | Awaitable[Verdict]:
    """Call the function; what it awaits is awaited. Whatever goes wrong in it is an error, never a fail."""
    functions = setting.functions or Functions()
    path = assertion.parsed.path if isinstance(assertion.parsed, Target) else None
    context = _context(subject, assertion)
    try:
        call = functions.call_for(assertion)
        returned = call_within(setting.time_limit_s, lambda: call(subject.text, context))
    except SuiteFileError as error:
        return broken(error.message, actual=subject.text)
    except (Exception, TimeIsUp) as error:  # noqa: BLE001 - it is somebody else's code
        return broken(told(error, path, setting.time_limit_s), actual=subject.text)
    if inspect.isawaitable(returned):
        return _awaited(returned, subject, assertion, setting, path)
    return verdict_of(returned, assertion, subject)


async def _awaited(
    returned: Awaitable[Any], subject: Subject, assertion: Assertion, setting: Setting, path: Path | None
) -> Verdict:
    try:
        value = await await_within(setting.time_limit_s, returned)
    except (Exception, TimeIsUp) as error:  # noqa: BLE001 - it is somebody else's code
        return broken(told(error, path, setting.time_limit_s), actual=subject.text)
    return verdict_of(value, assertion, subject)


def _context(subject: Subject, assertion: Assertion) -> Context:
    output = subject.field if subject.has_field else subject.answer.output
    value = None if isinstance(assertion.parsed, Target) else assertion.value
    return Context(subject.answer, subject.case, subject.text, output, value, assertion.options, assertion.threshold)


def told(error: BaseException, path: Path | None, time_limit_s: float = 0) -> str:
    """Return what went wrong in somebody else's code, with the last line of theirs that was reached."""
    if isinstance(error, TimeIsUp):
        limit = f" after {time_limit_s:g} s" if time_limit_s else ""
        return f"it was stopped{limit}: it did not come to an end"
    what = str(error) if isinstance(error, EndedProcess) else f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if path is not None and frame.filename == str(path)]
    if isinstance(error, EndedProcess) and error.__cause__ is not None:
        own = [f for f in traceback.extract_tb(error.__cause__.__traceback__) if path and f.filename == str(path)]
    place = f"{path.name if path else ''}:{own[-1].lineno}: " if own else ""
    return place + shown(what, 240)[1:-1]


# -- what it returned -----------------------------------------------------------------------------------------------


def verdict_of(returned: Any, assertion: Assertion, subject: Subject) -> Verdict:
    """Turn a bool, a number, a map or a Score into a verdict; anything else is an error."""
    if isinstance(returned, Score):
        return _from_score(returned)
    if isinstance(returned, bool):
        return _plain(returned, 1.0 if returned else 0.0, None, assertion, subject)
    if isinstance(returned, int | float):
        return _from_number(float(returned), None, None, assertion, subject)
    if isinstance(returned, Mapping):
        return _from_map(returned, assertion, subject)
    kind = "nothing" if returned is None else f"a {type(returned).__name__}"
    return broken(f"it returned {kind}; return True or False, a number, {{'pass': …, 'score': …}}, or a Score")


def _plain(
    holds: bool,
    score: float,
    reason: str | None,
    assertion: Assertion,
    subject: Subject,
    threshold: float | None = None,
) -> Verdict:
    wanted = quoted(assertion.parsed.written) if isinstance(assertion.parsed, Target) else assertion.name
    if threshold is not None:
        wanted = f"at least {number(threshold)} from {wanted}"
    found = f"{number(score)} for {quoted(subject.text)}"
    safe = shown(reason, 400)[1:-1] if reason else None
    return Verdict(
        "pass" if holds else "fail", score, wanted, found, actual=subject.text, threshold=threshold, reason=safe
    )


def _from_number(
    score: float, passed: bool | None, reason: str | None, assertion: Assertion, subject: Subject
) -> Verdict:
    """A number alone passes when it reaches the threshold; without one, when it is above 0."""
    if not math.isfinite(score) or not (0 <= score <= 1 or assertion.compat):
        return broken(f"it returned the score {score}; a score is between 0 and 1")
    threshold = assertion.threshold
    reached = score > 0 if threshold is None else score >= threshold
    holds = reached if passed is None else passed and (threshold is None or reached)
    return _plain(holds, max(0.0, min(1.0, score)), reason, assertion, subject, threshold)


_KEYS = ("pass", "pass_", "passed", "score", "reason")
_FREE_KEYS = (
    "namedScores",
    "named_scores",
    "componentResults",
    "component_results",
    "metadata",
    "details",
    "assertion",
)


def _from_map(returned: Mapping[Any, Any], assertion: Assertion, subject: Subject) -> Verdict:
    unknown = [key for key in returned if key not in _KEYS and key not in _FREE_KEYS]
    if unknown:
        return broken(
            f"it returned a map with the unknown key {quoted(as_text(unknown[0]))}; known: pass, score, reason"
        )
    passed = next((returned[key] for key in ("pass", "pass_", "passed") if key in returned), None)
    score, reason = returned.get("score"), returned.get("reason")
    if passed is not None and not isinstance(passed, bool):
        return broken(f"it returned {quoted(as_text(passed))} as `pass`; that is True or False")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        return broken(f"it returned {quoted(as_text(score))} as `score`; that is a number")
    if passed is None and score is None:
        return broken("it returned a map without `pass` and `score`")
    text = None if reason is None else str(reason)
    number_ = (1.0 if passed else 0.0) if score is None else float(score)
    return _from_number(number_, passed, text, assertion, subject)


def _from_score(score: Score) -> Verdict:
    valid = score.score is None or (math.isfinite(score.score) and 0 <= score.score <= 1)
    if score.outcome not in ("pass", "fail", "error", "unscored", "skipped") or not valid:
        return broken(f"it returned a Score with outcome {score.outcome!r} and score {score.score}")
    number_ = score.score
    if number_ is None and score.outcome in ("pass", "fail"):
        number_ = 1.0 if score.outcome == "pass" else 0.0
    plain = replace(score, score=number_)
    return Verdict(
        plain.outcome,
        number_,
        reason=shown(plain.reason, 400)[1:-1] if plain.reason else None,
        expected=plain.expected,
        actual=plain.actual,
        threshold=plain.threshold,
        details=plain.details,
        children=plain.children,
    )
