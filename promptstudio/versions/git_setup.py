"""A repository → git shows its prompts by meaning, merges the lock file label by label, and checks prompts at a commit.

Three things are added, and only those are taken away again: settings in the repository's own configuration, a marked
block in .gitattributes, and a pre-commit hook that calls the hook that was there before. Whatever somebody else wrote
stays as it is, byte by byte.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptstudio.config import Settings
from promptstudio.errors import ToolError
from promptstudio.versions.moments import SETTINGS_FILE
from promptstudio.versions.repo import Repository
from promptstudio.versions.stanza import LOCK_NAME
from promptstudio.versions.writing import git

State = Literal["installed", "missing", "other", "shared"]
_OURS = "-m promptstudio git "
_BEGIN = "# promptstudio: begin. `ps git uninstall` takes these lines away"
_END = "# promptstudio: end"
_NO_NEWLINE = ", and the line end before them"
_NO_FILE = ", and this file"
_HOOK_MARK = "# promptstudio: pre-commit. Made by `ps git install`, taken away by `ps git uninstall`."
HOOK, BEFORE = "pre-commit", "pre-commit.before-promptstudio"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is installed or not: `where` it lies, and what to know about it.

    `other` means that somebody else's stands there, `shared` that the place belongs to more than this repository.
    """

    name: str
    state: State
    where: str
    note: str = ""


def install(repository: Repository, settings: Settings, *, strict: bool = False) -> list[Part]:
    """Add what is missing and return what there is now; twice is the same as once."""
    for name, value in _wanted_settings():
        found = _setting(repository, name)
        if found is None or (_OURS in found and found != value):
            git(repository.top, "config", "--local", name, value, what=f"cannot set {name}")
    _add_block(_attributes_file(repository, settings), _block_lines(settings))
    _add_hook(repository, _hook_text(repository, settings, strict=strict).encode())
    return status(repository, settings)


def uninstall(repository: Repository, settings: Settings) -> list[Part]:
    """Take away what `install` added, and return what there is now."""
    for section in ("diff.promptstudio", "merge.promptstudio-lock"):
        _unset(repository, section)
    _remove_block(_attributes_file(repository, settings))
    _remove_hook(repository)
    return status(repository, settings)


def status(repository: Repository, settings: Settings) -> list[Part]:
    """Return what there is of each part."""
    return [*_setting_parts(repository), _attributes_part(repository, settings), _hook_part(repository, settings)]


def program(*words: str, project: str = "") -> str:
    """Return a shell command that runs this installation from any folder, which is not searched for code."""
    options = ["--project", project] if project else []
    return shlex.join([sys.executable, "-P", "-m", "promptstudio", *options, "git", *words])


# -- settings ---------------------------------------------------------------------------------------------------------


def _wanted_settings() -> list[tuple[str, str]]:
    merge = program("merge-lock").replace("%", "%%")
    return [
        ("diff.promptstudio.textconv", program("textconv")),
        ("merge.promptstudio-lock.name", "promptstudio.lock, label by label"),
        ("merge.promptstudio-lock.driver", f"{merge} %O %A %B %P"),
    ]


def _setting(repository: Repository, name: str) -> str | None:
    listed = git(repository.top, "config", "--local", "--null", "--list", what="cannot read git's settings")
    values = [entry.partition("\n")[2] for entry in listed.decode(errors="replace").split("\0") if _named(entry, name)]
    return values[-1] if values else None


def _named(entry: str, name: str) -> bool:
    return entry.partition("\n")[0] == name


def _unset(repository: Repository, section: str) -> None:
    """Remove our settings; the section goes with them where nobody else wrote into it."""
    wanted = dict(_wanted_settings())
    listed = git(repository.top, "config", "--local", "--null", "--list", what="cannot read git's settings")
    entries = [entry for entry in listed.decode(errors="replace").split("\0") if entry.startswith(f"{section}.")]
    ours = [name for name, value in map(_split, entries) if _OURS in value or wanted.get(name) == value]
    if entries and len(ours) == len(entries):
        git(repository.top, "config", "--local", "--remove-section", section, what=f"cannot remove {section}")
        return
    for name in ours:
        git(repository.top, "config", "--local", "--unset-all", name, what=f"cannot remove {name}")


def _split(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("\n")
    return name, value


def _setting_parts(repository: Repository) -> Iterator[Part]:
    for name, wanted in _wanted_settings():
        if name.endswith(".name"):
            continue
        found = _setting(repository, name)
        if found == wanted:
            yield Part(name, "installed", "git config --local", found)
        elif found is None:
            yield Part(name, "missing", "git config --local")
        elif _OURS in found:
            yield Part(name, "other", "git config --local", f"another installation: {found}")
        else:
            yield Part(name, "other", "git config --local", found)


# -- attributes -------------------------------------------------------------------------------------------------------


def _attributes_file(repository: Repository, settings: Settings) -> Path:
    return (settings.root or repository.top) / ".gitattributes"


def _block_lines(settings: Settings) -> list[str]:
    root = settings.root or settings.prompts_dir
    folder = ""
    if settings.prompts_dir is not None and root is not None and settings.prompts_dir.is_relative_to(root):
        folder = settings.prompts_dir.relative_to(root).as_posix()
    below = f"{_literal(folder)}/**/" if folder not in ("", ".") else ""
    patterns = [f"{below}*.yaml", f"{below}*.yml", "*.prompt.yaml", "*.prompt.yml"]
    lines = [f"{_pattern(each)} diff=promptstudio" for each in dict.fromkeys(patterns)]
    return [*lines, f"/{LOCK_NAME} merge=promptstudio-lock"]


def _literal(folder: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", folder)


def _pattern(pattern: str) -> str:
    """Return a pattern as .gitattributes reads it: quoted where it has blanks, or begins like something else."""
    if re.search(r"[\s\"]", pattern) or pattern.startswith(("#", "!", "[attr]")):
        return '"' + pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n") + '"'
    return pattern


def _add_block(path: Path, lines: list[str]) -> None:
    before = _content(path)
    found = _BLOCK.search(before or b"")
    if before is not None and found is not None:  # it stays where it is
        text = before[: found.start()] + _block(_begin_of(found), lines) + before[found.end() :]
    elif before is None:
        text = _block(_BEGIN + _NO_FILE, lines)
    elif before and not before.endswith(b"\n"):
        text = before + b"\n" + _block(_BEGIN + _NO_NEWLINE, lines)
    else:
        text = before + _block(_BEGIN, lines)
    if text != before:
        _write(path, text)


def _block(begin: str, lines: list[str]) -> bytes:
    return ("\n".join([begin, *lines, _END]) + "\n").encode()


def _remove_block(path: Path) -> None:
    before = _content(path)
    if before is None:
        return
    kept, begin = _without_block(before)
    if begin is None:
        return
    if not kept and begin.endswith(_NO_FILE):
        path.unlink()
    else:
        _write(path, kept)


def _without_block(data: bytes) -> tuple[bytes, str | None]:
    """Return a file without our block, and the block's first line, None where there is none."""
    found = _BLOCK.search(data)
    if found is None:
        return data, None
    begin = _begin_of(found)
    above, below = data[: found.start()], data[found.end() :]
    if begin.endswith(_NO_NEWLINE) and not below:
        above = above.removesuffix(b"\n")
    return above + below, begin


_BLOCK = re.compile(
    rb"^(" + re.escape(_BEGIN.encode()) + rb"[^\n]*)\n.*?^" + re.escape(_END.encode()) + rb"\r?\n?",
    re.MULTILINE | re.DOTALL,
)


def _begin_of(found: re.Match[bytes]) -> str:
    return found[1].decode(errors="replace").rstrip("\r")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise ToolError(f"cannot read the file: {cause.strerror}", file=str(path)) from cause


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as cause:
        raise ToolError(f"cannot write the file: {cause.strerror}", file=str(path)) from cause


def _attributes_part(repository: Repository, settings: Settings) -> Part:
    path = _attributes_file(repository, settings)
    block = "\n".join([*_block_lines(settings), _END]).encode()
    data = _content(path) or b""
    kept, begin = _without_block(data)
    if begin is None:
        return Part("attributes", "missing", str(path))
    if block not in data:
        return Part("attributes", "other", str(path), "the lines are not those of this version or prompts folder")
    return Part("attributes", "installed", str(path), "" if kept else "the file has nothing else")


# -- hook -------------------------------------------------------------------------------------------------------------


def hooks_folder(repository: Repository) -> Path:
    """Return where git looks for hooks here: core.hooksPath counts, and worktrees share one folder."""
    said = git(repository.top, "rev-parse", "--git-path", "hooks", what="cannot find the hooks")
    return Path(os.path.normpath(repository.top / os.fsdecode(said.removesuffix(b"\n"))))


def _is_shared(repository: Repository, folder: Path) -> bool:
    """Say whether hooks serve other repositories too: they lie neither in this one nor in its git folder."""
    real = Path(os.path.realpath(folder))
    homes = (repository.top, Path(os.path.realpath(repository.common_dir)))
    return not any(real.is_relative_to(home) for home in homes)


def _hook_text(repository: Repository, settings: Settings, *, strict: bool) -> str:
    words = ("pre-commit", "--strict") if strict else ("pre-commit",)
    python = shlex.quote(sys.executable)
    project = _project(repository, settings)
    file = shlex.quote(f"{project}/{SETTINGS_FILE}" if project else SETTINGS_FILE)
    return f"""#!/bin/sh
{_HOOK_MARK}
before="$(dirname "$0")/{BEFORE}"
if [ -x "$before" ]; then
    "$before" "$@" || exit $?
fi
if [ ! -f {file} ]; then
    exit 0  # a commit without this project
fi
if [ ! -x {python} ]; then
    echo "error: prompts cannot be checked: {python.replace('"', "")} is gone" >&2
    echo "hint: install PromptStudio and run 'promptstudio git install' again, or 'git commit --no-verify'" >&2
    exit 1
fi
exec {program(*words, project=project)}
"""


def _project(repository: Repository, settings: Settings) -> str:
    """Return where the project lies below the top of the repository; hooks run there. Empty for the top itself."""
    root = Path(os.path.realpath(settings.root or repository.top))
    below = root.relative_to(repository.top).as_posix() if root.is_relative_to(repository.top) else "."
    return "" if below == "." else below


def _add_hook(repository: Repository, wanted: bytes) -> None:
    folder = hooks_folder(repository)
    hook, before = folder / HOOK, folder / BEFORE
    if _is_shared(repository, folder):
        return
    there = _content(hook) if os.path.lexists(hook) else None
    if there == wanted:
        return
    if there is not None and _HOOK_MARK.encode() not in there:
        if os.path.lexists(before):
            raise ToolError(
                f"there are two hooks that are not ours: {HOOK} and {BEFORE}",
                file=str(folder),
                hint="remove one of them, then run `ps git install` again",
            )
        hook.rename(before)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hook.write_bytes(wanted)
        hook.chmod(0o755)
    except OSError as cause:
        raise ToolError(f"cannot write the hook: {cause.strerror}", file=str(hook)) from cause


def _remove_hook(repository: Repository) -> None:
    folder = hooks_folder(repository)
    hook, before = folder / HOOK, folder / BEFORE
    if not hook.is_file() or _HOOK_MARK.encode() not in (_content(hook) or b""):
        return
    hook.unlink()
    if os.path.lexists(before):
        before.rename(hook)


def _hook_part(repository: Repository, settings: Settings) -> Part:
    folder = hooks_folder(repository)
    hook = folder / HOOK
    if _is_shared(repository, folder):
        note = f"core.hooksPath serves other repositories too; call `{program('pre-commit')}` in your hook"
        return Part("hook", "shared", str(hook), note)
    if not os.path.lexists(hook):
        return Part("hook", "missing", str(hook))
    text = _content(hook) or b""
    if _HOOK_MARK.encode() not in text:
        return Part("hook", "missing", str(hook), "another hook is there; `ps git install` would call it first")
    if not hook.stat().st_mode & stat.S_IXUSR:
        return Part("hook", "other", str(hook), "git ignores it: it is not executable")
    chained = f"calls {BEFORE} first" if (folder / BEFORE).exists() else ""
    ours = {_hook_text(repository, settings, strict=strict) for strict in (False, True)}
    if text.decode(errors="replace") not in ours:
        return Part("hook", "other", str(hook), "made by another installation, or for another project")
    return Part("hook", "installed", str(hook), chained)
