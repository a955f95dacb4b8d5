"""What somebody wants to call a prompt → a name and a path that are free, safe everywhere, and mean one thing only."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from promptstudio.config.settings import Settings
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.prompts.library import SUFFIXES, default_name, prompt_rows
from promptstudio.prompts.load import shown_path_of
from promptstudio.prompts.schema import name_fault
from promptstudio.prompts.wording import shown

MAX_PART_BYTES = 200  # file systems take 255, a suffix included
HINT = "as in support/triage"
# Names of devices on Windows.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{digit}" for digit in range(1, 10)), *(f"lpt{digit}" for digit in range(1, 10))}
)


def prompts_root(settings: Settings) -> Path:
    """Return the prompts folder of a project."""
    if settings.prompts_dir is None:
        raise NotFoundError("this folder is in no project", hint="make one here: ps init")
    return settings.prompts_dir


def checked_name(name: str) -> str:
    """Return a name in Unicode's composed form. Raises UsageError for one that no prompt should bear."""
    text = unicodedata.normalize("NFC", name)
    said = _fault(text)
    if said is not None:
        raise UsageError(f"{shown(name)} cannot be the name of a prompt: {said}", hint=HINT)
    return text


def _fault(name: str) -> str | None:
    if said := name_fault(name):
        return said
    if name.endswith((*SUFFIXES, ".prompt")):
        return "the suffix of the file is not part of it"
    for part in name.split("/"):
        if part.endswith("."):
            return "its parts do not end with a dot"
        if len(part.encode("utf-8", "surrogatepass")) > MAX_PART_BYTES:
            return f"a part of it is longer than {MAX_PART_BYTES} bytes"
        if is_device(part):
            return f"{shown(part)} is the name of a device on Windows"
    return None


def is_device(part: str) -> bool:
    """Whether no file on Windows can bear a name: that of a device, with whatever suffix."""
    return part.partition(".")[0].casefold() in _DEVICES


def free_path(name: str, settings: Settings, suffix: str = ".yaml", *, own: Path | None = None) -> Path:
    """Return where a prompt of this name belongs. Raises UsageError where the name is taken.

    Taken is also what differs in case or composition only: it is one file on some computers. `own` is the file that is
    being renamed, whose name does not count.
    """
    root = prompts_root(settings)
    for row in prompt_rows(settings):
        if row.path == own:
            continue
        for other in (row.name, default_name(row.path, root)):
            if folded(other) == folded(name):
                raise _taken(name, other, row.shown_path)
    path = root / (name + suffix)
    check_folders(path, settings)
    if os.path.lexists(path) and not (own is not None and _is_same_file(path, own)):
        raise _taken(name, name, shown_path_of(path, settings, None))
    return path


def folded(name: str) -> str:
    """Return what is equal for names that only differ in case or in how letters are composed."""
    return unicodedata.normalize("NFKC", name).casefold()


def _taken(name: str, other: str, file: str) -> UsageError:
    if name == other:
        return UsageError(f"there is a prompt {shown(name)} already: {file}", hint="choose another name")
    said = f"{shown(name)} differs from {shown(other)} ({file}) in case or composition only"
    return UsageError(said, hint="on some computers this is one file: choose another name")


def _is_same_file(path: Path, own: Path) -> bool:
    try:
        return path.samefile(own)  # a change of case where the file system does not care for it
    except OSError:
        return False


def check_folders(path: Path, settings: Settings) -> None:
    """Refuse a path whose folders lead out of the prompts folder, are files, or exist in another spelling."""
    root = prompts_root(settings)
    folder = root
    for part in path.parent.relative_to(root).parts:
        siblings = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        twin = next((name for name in siblings if name != part and folded(name) == folded(part)), None)
        if twin is not None and part not in siblings:
            said = f"there is a folder {shown(twin)} already, which differs from {shown(part)} in case or composition"
            raise UsageError(said, hint=f"write {twin}")
        folder = folder / part
        if os.path.lexists(folder) and not folder.is_dir():
            raise UsageError(f"{shown_path_of(folder, settings, None)} is a file, not a folder")
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{shown_path_of(path, settings, None)} leaves the prompts folder through a symlink")


def wanted_target(word: str, settings: Settings, cwd: Path) -> tuple[str, str | None]:
    """Return the name, and the suffix if one is given, of what was written as a target: a name, or a path to a file."""
    suffix = next((suffix for suffix in SUFFIXES if word.endswith(suffix)), None)
    if suffix is None:
        return checked_name(word), None
    root = prompts_root(settings)
    path = Path(os.path.normpath(cwd / Path(word).expanduser()))
    if not path.is_relative_to(root):
        raise UsageError(f"{shown(word)} is not in the prompts folder", hint=f"give a name {HINT}")
    return checked_name(path.relative_to(root).as_posix().removesuffix(suffix)), suffix
