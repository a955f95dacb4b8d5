"""Flags and settings → the wires of a run: the providers, the cache around them, a recording, or a replay.

`choose_wires` decides and touches nothing; `open_wires` opens what was chosen and closes it at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptstudio.cache.folder import CassetteFolder
from promptstudio.cache.place import cache_path, state_folder
from promptstudio.cache.recorder import RecordingWires, ReplayWires
from promptstudio.cache.schema import limits_of
from promptstudio.cache.store import CacheStore
from promptstudio.cache.used import note_used
from promptstudio.cache.wire import CachedWires
from promptstudio.config import Settings
from promptstudio.errors import ConfigError, UsageError
from promptstudio.providers.call import ProviderWires
from promptstudio.providers.schema import Wires

Section = Literal["run", "eval"]


@dataclass(frozen=True, slots=True)
class WireChoice:
    """At most one of the three is set."""

    cache: bool = False
    record: Path | None = None
    replay: Path | None = None


def choose_wires(
    settings: Settings,
    section: Section,
    *,
    cache: bool | None = None,
    record: Path | None = None,
    replay: Path | None = None,
) -> WireChoice:
    """Decide; a flag wins over the settings. Cassettes and the cache exclude each other."""
    if record is not None and replay is not None:
        raise UsageError("--record and --replay exclude each other", hint="record first, then replay")
    if record is None and replay is None:
        record, replay = cassette_folder(settings, section, "record"), cassette_folder(settings, section, "replay")
        if record is not None and replay is not None:
            fact = f"{section}.record and {section}.replay are both set"
            raise ConfigError(fact, file=str(settings.path), hint="keep one of them; --record works beside `replay`")
    if record is not None or replay is not None:
        if cache:
            word = "recording" if record is not None else "replay"
            raise UsageError(f"--cache does not go with a {word}", hint="leave --cache out")
        return WireChoice(record=record, replay=replay)
    enabled = settings.cache.get("enabled")
    by_default = enabled if isinstance(enabled, bool) else section == "eval"
    return WireChoice(cache=by_default if cache is None else cache)


def cassette_folder(settings: Settings, section: Section, name: Literal["record", "replay"]) -> Path | None:
    """Return the folder that `[run]` or `[eval]` names, which lies inside the project."""
    of_run = {"record": settings.run_record, "replay": settings.run_replay}
    written = of_run[name] if section == "run" else settings.eval.get(name)
    if not isinstance(written, str):
        return None
    root = settings.root or Path.cwd()
    if Path(written).is_absolute() or not (root / written).resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"{section}.{name}: {written!r} leaves the project folder ({settings.origin(f'{section}.{name}')})",
            file=str(settings.path) if settings.path else None,
            hint=f"name a folder inside the project; --{name} DIR may name any",
        )
    return root / written


@contextmanager
def open_wires(
    choice: WireChoice,
    settings: Settings,
    env: Mapping[str, str],
    note: Callable[[str], None],
    inner: Wires | None = None,
) -> Iterator[Wires]:
    """Open what was chosen around `inner`, the providers if none is given.

    `note` is told, once each, what a person should know of the cache or the recording.
    """
    inner = inner or ProviderWires()
    if choice.replay is not None:
        replayed = ReplayWires(CassetteFolder(choice.replay))
        try:
            yield replayed
        finally:
            note_used(state_folder(settings, env), choice.replay, replayed.files)
    elif choice.record is not None:
        with _recording(choice.record, settings, env, note, inner) as wires:
            yield wires
    elif choice.cache:
        store = CacheStore(cache_path(settings, env), limits_of(settings), note)
        cached = CachedWires(store, inner, keeps_secrets=not settings.redact)
        try:
            yield cached
        finally:
            cached.close()
    else:
        yield inner


@contextmanager
def _recording(
    path: Path, settings: Settings, env: Mapping[str, str], note: Callable[[str], None], inner: Wires
) -> Iterator[Wires]:
    wires = RecordingWires(CassetteFolder(path), inner)
    try:
        yield wires
    finally:
        note_used(state_folder(settings, env), path, wires.files)
        if wires.redacted:
            note(f"{_answers(wires.redacted)} recorded without what looked like a secret in it")


def _answers(number: int) -> str:
    return "1 answer was" if number == 1 else f"{number:,} answers were"
