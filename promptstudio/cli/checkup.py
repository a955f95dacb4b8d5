"""The machine, the settings and the history → what works and what does not. Sends nothing; reads names of keys only."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptstudio.cli.context import Context
from promptstudio.cli.table import VERSION
from promptstudio.config import EnvValue, Settings, load_settings
from promptstudio.errors import PromptStudioError
from promptstudio.history.store import open_history
from promptstudio.prompts.library import prompt_rows
from promptstudio.providers.connect import route_for

Level = Literal["ok", "note", "warning", "broken"]
LIBRARIES = (
    "litellm",
    "mirascope",
    "instructor",
    "sqlmodel",
    "pydantic",
    "jinja2",
    "pyyaml",
    "typer",
    "rich",
    "openai",
)
EXTRAS = {"deepeval": "deepeval", "ragas": "ragas", "scipy": "evals"}
# What may hold a password is shown as set or not set.
_HIDDEN = frozenset({"history.url"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a checkup; `hint` says what to do where the level is not ok."""

    section: str
    level: Level
    name: str
    value: str
    hint: str | None = None


def facts(context: Context) -> Iterator[Fact]:
    """Yield every fact; a part that is broken does not hide the others."""
    yield from _programs(context.env)
    yield from _libraries()
    try:
        settings = context.settings()
    except PromptStudioError as error:
        for problem in error.problems:
            yield Fact("settings", "broken", problem.place or "settings", problem.message, problem.hint)
        settings = load_settings(Path("/"), env={})
    else:
        yield from _settings(settings)
    yield from _models(settings, context.env)
    yield from _history(settings)


def _programs(env: Mapping[str, str]) -> Iterator[Fact]:
    yield Fact("program", "ok", "promptstudio", f"{VERSION} in {Path(__file__).parents[1]}")
    yield Fact("program", "ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    git = _git_version()
    if git:
        yield Fact("program", "ok", "git", git)
    else:
        yield Fact("program", "warning", "git", "not found", "without git, rows of the history know no commit")
    yield Fact("program", "ok", "sqlite", f"{sqlite3.sqlite_version}{', full-text search' if _has_fts5() else ''}")
    if not _has_fts5():
        yield Fact("program", "warning", "sqlite", "no FTS5", "searching the history reads every row")
    system_ps = _system_ps(env.get("PATH", ""))
    yield Fact(
        "program",
        "ok" if system_ps else "note",
        "system ps",
        system_ps or "none on PATH",
        None if system_ps else "`ps` without a command of ours has nothing to hand over to",
    )


def _libraries() -> Iterator[Fact]:
    for name in LIBRARIES:
        version = _version(name)
        hint = None if version else "reinstall promptstudio: a library it needs is missing"
        yield Fact("libraries", "ok" if version else "broken", name, version or "missing", hint)
    for name, extra in EXTRAS.items():
        version = _version(name)
        hint = None if version else f"pip install 'promptstudio[{extra}]' where you need it"
        yield Fact("libraries", "ok" if version else "note", name, version or "not installed", hint)


def _settings(settings: Settings) -> Iterator[Fact]:
    if settings.path is None:
        yield Fact("settings", "note", "project", "none here; these are the defaults", "`ps init` makes one")
    else:
        yield Fact("settings", "ok", "project", str(settings.path))
    if settings.environment:
        yield Fact("settings", "ok", "environment", settings.environment)
    for key, value in _values(settings).items():
        origin = settings.origin(key)
        if value is not None or origin.kind != "default":
            shown = "set" if key in _HIDDEN and value else _plain(value)
            yield Fact("settings", "ok", key, f"{shown}  ({origin.place or origin.kind})")
    for folder in (settings.prompts_dir, settings.evals_dir):
        if folder is not None and not folder.is_dir():
            yield Fact("settings", "note", folder.name, f"there is no folder {folder}", "`ps init` makes it")


def _values(settings: Settings) -> dict[str, object]:
    found: dict[str, object] = {
        "project.name": settings.project_name,
        "project.prompts": _below(settings.prompts_dir, settings.root),
        "project.evals": _below(settings.evals_dir, settings.root),
        "project.dotenv": bool(settings.dotenv),
        "run.model": settings.run_model,
        "run.profile": settings.run_profile,
        "run.timeout": settings.run_timeout_s,
        "run.warm": settings.run_warm_s,
        "run.record": settings.run_record,
        "run.replay": settings.run_replay,
        "history.url": settings.history_url,
        "history.redact": settings.redact,
        "history.retention_days": settings.retention_days,
        **{f"eval.{name}": value for name, value in settings.eval.items()},
        **{f"cache.{name}": value for name, value in settings.cache.items()},
    }
    for name, parameters in settings.profiles.items():
        found |= {f"profiles.{name}.{parameter}": value for parameter, value in parameters.items()}
    for name, provider in settings.providers.items():
        found |= {
            f"providers.{name}.api_base": provider.api_base,
            f"providers.{name}.api_key_env": provider.api_key_env,
        }
        for header, value in provider.headers.items():
            found[f"providers.{name}.headers.{header}"] = f"${value.name}" if isinstance(value, EnvValue) else value
    return found


def _models(settings: Settings, env: Mapping[str, str]) -> Iterator[Fact]:
    """The way to each model in use: which host would be contacted, and is there a key for it."""
    used = {settings.run_model: "default model"}
    for row in prompt_rows(settings) if settings.prompts_dir and settings.prompts_dir.is_dir() else ():
        if row.error is not None:
            yield Fact("prompts", "warning", row.name, row.error.message, "`ps lint` says more")
        for model in filter(None, (row.model, *row.other_models)):
            used.setdefault(model, row.name)
    for model, user in used.items():
        yield from _model(model, user, settings, env)
    for name in settings.providers:
        if name != "offline" and not any(model.startswith(f"{name}/") for model in used):
            yield from _model(f"{name}/…", "no prompt yet", settings, env)


def _model(model: str, user: str, settings: Settings, env: Mapping[str, str]) -> Iterator[Fact]:
    try:
        connection = route_for(model, settings, env)
    except PromptStudioError as error:
        level: Level = "broken" if user == "default model" else "warning"
        yield Fact("models", level, model, error.problems[0].message, error.hint)
        return
    place = connection.host or ("no network" if connection.provider == "offline" else "a host LiteLLM computes")
    names = " or ".join(connection.key_variables)
    if not connection.key_variables:
        yield Fact("models", "ok", model, f"{place}; used by {user}")
    elif connection.api_key:
        yield Fact("models", "ok", model, f"{place}; key present ({names}); used by {user}")
    else:
        level = "broken" if user == "default model" else "warning"
        value = f"{place}; key missing ({names}); used by {user}"
        yield Fact("models", level, model, value, f"export {connection.key_variables[0]}=…")


def _history(settings: Settings) -> Iterator[Fact]:
    try:
        with open_history(settings) as history:
            health = history.health()
    except PromptStudioError as error:
        yield Fact("history", "broken", "place", error.problems[0].message, error.hint)
        return
    if not health.exists and health.problem is None:
        yield Fact("history", "ok", "place", f"{health.place} (made by the first run)")
        return
    level: Level = "broken" if health.problem else "ok"
    yield Fact("history", level, "place", health.problem or health.place, health.hint)
    details = {
        "rows": health.rows,
        "size": None if health.size_bytes is None else f"{health.size_bytes:,} bytes",
        "schema": health.schema,
        "integrity": health.integrity,
        "journal": health.journal_mode,
        "full text": None if health.full_text is None else ("yes" if health.full_text else "no"),
    }
    for name, value in details.items():
        if value is not None:
            yield Fact("history", "ok", name, str(value))


def _git_version() -> str | None:
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().removeprefix("git version ")


def _has_fts5() -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def _system_ps(path: str) -> str | None:
    own = Path(sys.argv[0]).absolute().parent
    folders = [folder for folder in path.split(os.pathsep) if Path(folder) != own]
    return shutil.which("ps", path=os.pathsep.join(folders))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _below(folder: Path | None, root: Path | None) -> str | None:
    return str(folder.relative_to(root)) if folder and root else None


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "not set" if value is None else str(value)
