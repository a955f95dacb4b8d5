"""When each cassette was last used, in a file of the state folder: the evidence `ps cassette prune` goes by.

It is a note of this machine and is never committed. A damaged one is begun anew: then nothing counts as used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from promptstudio.cache.locks import folder_lock
from promptstudio.cache.place import make_folder

FILE_NAME = "cassettes-used.json"
MAX_BYTES = 64 << 20


def note_used(state: Path, folder: Path, files: Iterable[Path], now: datetime | None = None) -> None:
    """Write down that these cassettes were used now. Where that is impossible, `prune` will know of no use."""
    names = sorted({path.name for path in files})
    if not names:
        return
    moment = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    with suppress(OSError):
        make_folder(state)
        with folder_lock(state):
            known = _read(state)
            uses = {name: at for name, at in known.get(_key(folder), {}).items() if (folder / name).exists()}
            known[_key(folder)] = {**uses, **dict.fromkeys(names, moment)}
            temporary = state / f".{FILE_NAME}.new"
            temporary.write_text(json.dumps(known, indent=1, ensure_ascii=False), encoding="utf-8")
            temporary.replace(state / FILE_NAME)


def last_uses(state: Path, folder: Path) -> Mapping[str, datetime]:
    """Return when each file of a folder was last recorded or replayed here; absent ones never were."""
    found = {}
    for name, at in _read(state).get(_key(folder), {}).items():
        with suppress(ValueError):
            found[name] = datetime.fromisoformat(at).astimezone(UTC)
    return found


def _read(state: Path) -> dict[str, dict[str, str]]:
    path = state / FILE_NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {
        folder: {name: at for name, at in uses.items() if isinstance(at, str)}
        for folder, uses in value.items()
        if isinstance(uses, dict)
    }


def _key(folder: Path) -> str:
    return str(folder.resolve())
