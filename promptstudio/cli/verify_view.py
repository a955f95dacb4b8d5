"""A lock file compared with the repository: made, told, and turned into an exit code. No parser here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from typing import Any

from promptstudio.cli.context import Context, root_of
from promptstudio.config import Settings
from promptstudio.errors import LockFileError, NotFoundError, ToolError
from promptstudio.prompts.library import prompt_rows
from promptstudio.prompts.wording import suggestion
from promptstudio.versions.lock import Lock, read_lock
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots
from promptstudio.versions.verify import Mismatch, VerifyReport, verify_lock

LEVELS = {"error": "error", "warning": "warning", "unknown": "label not looked up"}
FAILING = frozenset({"error", "unknown"})


def verify_all(context: Context) -> int:
    """`ps verify` without an option: the whole file."""
    return print_report(context, report_on(context.project_settings(), []), FAILING, as_json=False)


def print_report(context: Context, report: VerifyReport, failing: Collection[str], *, as_json: bool) -> int:
    """Print a report; return 1 where it has something of a level that fails."""
    failed = any(mismatch.level in failing for mismatch in report.mismatches)
    if as_json:
        context.output.json(_object(report, failed=failed))
    else:
        for line in _lines(report):
            context.output.line(line)
        context.output.flush()  # in a log both streams are one
        context.output.note(_summary(report))
    return 1 if failed else 0


def report_on(settings: Settings, names: list[str], *, fresh: bool = False) -> VerifyReport:
    """Verify the lock file, or the stanzas of some prompts. A file that cannot be read is a report too."""
    try:
        lock = read_lock(settings.root)
    except LockFileError as cause:
        return VerifyReport(0, 0, tuple(Mismatch("error", "lock-file", problem) for problem in cause.problems))
    _check_names(names, lock, settings)
    with ExitStack() as opened:
        try:
            repository = opened.enter_context(open_repository(root_of(settings)))
        except ToolError:
            return verify_lock(lock, None, settings, names)
        snapshots = opened.enter_context(Snapshots(repository, settings, fresh=fresh))
        return verify_lock(lock, snapshots, settings, names)


def _check_names(names: list[str], lock: Lock, settings: Settings) -> None:
    known = {*lock.prompts, *(row.name for row in prompt_rows(settings))} if names else set()
    for name in names:
        if name not in known:
            raise NotFoundError(f"there is no prompt {name!r}", hint=suggestion(name, sorted(known)))


def _lines(report: VerifyReport) -> Iterator[str]:
    for mismatch in report.mismatches:
        problem = mismatch.problem
        yield f"{problem.place or '-'}: {mismatch.level}: {problem.message} ({mismatch.rule})"
        if problem.hint:
            yield f"    hint: {problem.hint}"


def _summary(report: VerifyReport) -> str:
    checked = f"{_counted(report.prompts, 'prompt')}, {_counted(report.labels, 'label')}"
    levels = [mismatch.level for mismatch in report.mismatches]
    if not levels:
        return f"{checked}: all as recorded"
    said = [_counted(levels.count(level), noun) for level, noun in LEVELS.items() if level in levels]
    return f"{checked}: {', '.join(said)}"


def _counted(number: int, noun: str) -> str:
    first, space, rest = noun.partition(" ")
    return f"{number} {first}{'' if number == 1 else 's'}{space}{rest}"


def _object(report: VerifyReport, *, failed: bool) -> dict[str, Any]:
    return {
        "ok": not failed,
        "prompts": report.prompts,
        "labels": report.labels,
        "mismatches": [
            {
                "level": each.level,
                "rule": each.rule,
                "prompt": each.prompt,
                "label": each.label,
                "message": each.problem.message,
                "hint": each.problem.hint,
                "file": each.problem.file,
                "line": each.problem.line,
                "recorded": each.found,
                "computed": each.computed,
            }
            for each in report.mismatches
        ],
    }
