"""A plan of `prompts.moving` → done, all of it or nothing: on any error what was done is taken back, in git too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from promptstudio.config import Settings
from promptstudio.errors import Problem, ToolError, UserError
from promptstudio.prompts.edit import with_value
from promptstudio.prompts.filewrite import create_file, read_copy, write_atomically
from promptstudio.prompts.moving import Edit, Plan
from promptstudio.versions.git import top_of
from promptstudio.versions.labels import renamed
from promptstudio.versions.lock import LOCK_NAME, change_lock, read_lock
from promptstudio.versions.notes import read_notes
from promptstudio.versions.writing import git

# A name is no pattern, and no hook or monitor of the repository runs.
_QUIET = ("--literal-pathspecs", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")


def lock_changes(plan: Plan, settings: Settings) -> bool:
    """Whether the lock file has a stanza that goes with the prompt. Raises where the file cannot be read."""
    return plan.is_move and plan.old_name != plan.new_name and plan.old_name in read_lock(settings.root).prompts


def with_notes(plan: Plan, settings: Settings) -> Plan:
    """Return the plan with the notes on the prompt in it: they go where it goes."""
    if not plan.is_move or plan.old_name in (None, plan.new_name) or settings.root is None:
        return plan
    edits: list[Edit] = []
    notes, _ = read_notes(settings.root, plan.old_name)
    for note in notes:
        copy = read_copy(settings.root / note.file, shown=note.file)
        after = with_value(copy.text, ("prompt",), plan.new_name, file=note.file)
        edits.append(Edit(copy, after, (f"prompt: {plan.old_name} → {plan.new_name}",)))
    return replace(plan, edits=(*plan.edits, *edits))


def apply_plan(plan: Plan, settings: Settings) -> None:
    """Copy or move the file and change what goes with it. Raises UserError, and then everything is as it was."""
    undo: list[Callable[[], None]] = []
    try:
        _make_folders(plan.new.parent, undo)
        if plan.is_move:
            _move(plan, undo)
        else:
            create_file(plan.new, plan.after, shown=plan.shown)
            undo.append(lambda: _remove(plan.new))
        for edit in plan.edits:
            write_atomically(edit.copy.path, edit.after, was=edit.copy.data, shown=edit.copy.shown)
            undo.append(_restoring(edit.copy.path, edit.copy.data))
        if lock_changes(plan, settings):
            _rename_in_lock(plan, settings, undo)
    except BaseException as cause:
        _take_back(undo, cause)
        raise


def _take_back(undo: list[Callable[[], None]], cause: BaseException) -> None:
    """Undo the steps, the last one first, and all of them, also where one cannot be undone."""
    left: list[Problem] = []
    for step in reversed(undo):
        try:
            step()
        except UserError as error:
            left += error.problems
    if left:
        first = [] if not isinstance(cause, UserError) else list(cause.problems)
        said = Problem("what was done already could not be taken back", hint="look at `git status`")
        raise UserError([*first, said, *left]) from cause


def _make_folders(folder: Path, undo: list[Callable[[], None]]) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        try:
            place.mkdir()
        except OSError as cause:
            raise UserError(f"cannot make the folder: {cause.strerror}", file=str(place)) from cause
        undo.append(lambda place=place: _drop_folder(place))  # type: ignore[misc]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as cause:
        raise UserError(f"cannot remove the file: {cause.strerror}", file=str(path)) from cause


def _drop_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # somebody has put something into it
        folder.rmdir()


def _move(plan: Plan, undo: list[Callable[[], None]]) -> None:
    old, new = plan.source.path, plan.new
    if plan.after != plan.source.text:
        write_atomically(old, plan.after, was=plan.source.data, shown=plan.source.shown)
        undo.append(_restoring(old, plan.source.data))
    if is_tracked(old):
        _git_move(old, new)
        undo.append(lambda: _git_move(new, old))
    else:
        _rename(old, new)
        undo.append(lambda: _rename(new, old))


def is_tracked(path: Path) -> bool:
    """Whether git knows a file; without git, or outside a repository, it does not."""
    if top_of(path.parent.resolve()) is None:
        return False
    try:
        listed = git(path.parent, *_QUIET, "ls-files", "-z", "--", path.name, what="git cannot be asked")
    except ToolError:
        return False
    return bool(listed)


def _git_move(old: Path, new: Path) -> None:
    """Absolute paths behind `--`: no name can be taken for an option or a pattern."""
    try:
        git(old.parent, *_QUIET, "mv", "--", str(old), str(new), what="git mv")
    except ToolError:
        # git moves the file first and writes its index then: on a full disk the one is done and the other is not.
        if os.path.lexists(new) and not os.path.lexists(old):
            _rename(new, old)
        raise


def _rename(old: Path, new: Path) -> None:
    try:
        if os.path.lexists(new) and not new.samefile(old):
            raise UserError("there is a file already", file=str(new), hint="choose another name")
        old.rename(new)
    except OSError as cause:
        raise UserError(f"cannot move the file: {cause.strerror}", file=str(old)) from cause


def _restoring(path: Path, data: bytes) -> Callable[[], None]:
    return lambda: write_atomically(path, data.decode("utf-8"))


def _rename_in_lock(plan: Plan, settings: Settings, undo: list[Callable[[], None]]) -> None:
    root, old, new = settings.root, plan.old_name, plan.new_name
    if root is None or old is None or new is None:
        return
    path = root / LOCK_NAME
    undo.append(_restoring(path, path.read_bytes()))
    file = plan.new.relative_to(root).as_posix()
    change_lock(root, lambda lock: renamed(lock.prompts, old, new, file))
