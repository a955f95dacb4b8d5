"""A folder, the environment and flags → `Settings`, each value with its origin.

The nearest promptstudio.toml upwards makes the folder it lies in the project. Later layers win, key by key:
default < file < environment overlay < PROMPTSTUDIO_* variable < flag.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from promptstudio.config.check import complaints, nearest, value_complaint
from promptstudio.config.dotenv import read_dotenv
from promptstudio.config.places import key_lines, line_of
from promptstudio.config.schema import ENV_VARIABLE, KEYS, Key, key_for, names_below, variables
from promptstudio.config.settings import EnvValue, Origin, ProviderSettings, Settings
from promptstudio.errors import ConfigError, Problem

FILE_NAME = "promptstudio.toml"
STATE_FOLDER = ".promptstudio"
MAX_BYTES = 1024 * 1024
Path_ = tuple[str, ...]
Layer = dict[Path_, tuple[Any, Origin]]


class Source(NamedTuple):
    """A promptstudio.toml as read: its path (None outside a project), the name to show, values, and lines of keys."""

    path: Path | None
    shown: str
    tree: Mapping[str, Any]
    lines: Mapping[Path_, int]

    @property
    def root(self) -> Path | None:
        return self.path.parent if self.path else None

    def place(self, key: Path_) -> str:
        line = line_of(self.lines, key)
        return f"{self.shown}:{line}" if line else self.shown

    def problem(self, key: Path_, fact: str, hint: str | None) -> Problem:
        return Problem(f"{'.'.join(key)}: {fact}", file=self.shown, line=line_of(self.lines, key), hint=hint)


_WORDS = {"true": True, "1": True, "false": False, "0": False}


def load_settings(start: Path, *, env: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings that hold in `start`. `flags` maps dotted keys to values that win over everything.

    Raises ConfigError with all problems at once, each with its line.
    """
    source = _read_source(find_project_file(start))
    environment = env.get(ENV_VARIABLE) or None
    from_variables, problems = _variable_layer(env)
    problems = [*_file_problems(source), *_environment_problems(environment, source), *problems]
    if problems:
        raise ConfigError(problems)
    layers = (_default_layer(), _file_layer(source), _overlay_layer(source, environment))
    merged: Layer = {}
    for layer in (*layers, from_variables, _flag_layer(flags or {})):
        merged.update(layer)
    return _settings(source, merged, environment)


def settings_as_of(text: str, *, shown: str, root: Path, now: Settings) -> Settings:
    """Return the settings with what another promptstudio.toml says of prompts: its `project`, `run` and `profiles`.

    Connections, history and tools stay those of now: an old file cannot send anything to a host the user does not name
    today. A variable, a flag or an environment overlay still wins over the file's `run`.
    """
    return settings_from_tables(_parse(text, shown), shown=shown, root=root, now=now)


def settings_from_tables(tree: Mapping[str, Any], *, shown: str, root: Path, now: Settings) -> Settings:
    """Like `settings_as_of`, from tables that are parsed already."""
    source = Source(root / FILE_NAME, shown, tree, {})
    if problems := _file_problems(source):
        raise ConfigError(problems)
    old = {name: source.tree.get(name, {}) for name in ("project", "run", "profiles")}
    run, project = old["run"], old["project"]
    return replace(
        now,
        root=root,
        prompts_dir=root / project.get("prompts", "prompts"),
        evals_dir=root / project.get("evals", "evals"),
        run_model=_as_written("run.model", run.get("model"), now, now.run_model),
        run_profile=_as_written("run.profile", run.get("profile"), now, now.run_profile),
        run_timeout_s=_as_written("run.timeout", run.get("timeout"), now, now.run_timeout_s),
        profiles=old["profiles"],
        base={**now.base, **old},
    )


def _as_written(name: str, written: Any, now: Settings, current: Any) -> Any:
    if now.origin(name).kind in ("variable", "flag", "environment"):
        return current
    return written if written is not None else next(key.default for key in KEYS if key.name == name)


def find_project_file(start: Path) -> Path | None:
    """Return the nearest promptstudio.toml in `start` or above it.

    Settings name the hosts that keys are sent to, so a file that another user left in a folder above is refused.
    """
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        path = candidate / FILE_NAME
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"cannot read it: {error.strerror}", file=str(path)) from error
        if candidate != folder and not _is_trusted(facts, folder):
            raise ConfigError(
                "the file belongs to another user, so its settings are not used",
                file=str(path),
                hint=f"work below a {FILE_NAME} of your own, or name this project with --project {candidate}",
            )
        return path
    return None


def _is_trusted(facts: os.stat_result, start: Path) -> bool:
    try:
        owner = start.stat().st_uid
    except OSError:
        owner = os.geteuid()
    return facts.st_uid in (0, os.geteuid(), owner)


def _shown(path: Path) -> str:
    """The path as messages show it: relative where that is shorter to read."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../../..") else relative


def _read_source(path: Path | None) -> Source:
    if path is None:
        return Source(None, FILE_NAME, {}, {})
    shown = _shown(path)
    text = _read_text(path)
    return Source(path, shown, _parse(text, shown), key_lines(text))


def _read_text(path: Path) -> str:
    shown = _shown(path)
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigError("not a regular file", file=shown)
        if facts.st_size > MAX_BYTES:
            raise ConfigError(f"the file has {facts.st_size:,} bytes; settings may have 1 MiB", file=shown)
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", file=shown) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fact = f"byte {error.start} is not UTF-8 text"
        raise ConfigError(fact, file=shown, line=line, hint="save the file as UTF-8") from error


def _parse(text: str, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = re.search(r"\(at line (\d+), column (\d+)\)", message)
        line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, None)
        fact = re.sub(r"\s*\(at [^)]*\)$", "", message)
        fact = f"not valid TOML: {fact[:1].lower()}{fact[1:]}"
        raise ConfigError(fact, file=shown, line=line, column=column, hint=_toml_hint(text, line)) from error
    except (ValueError, RecursionError) as error:
        # An integer of thousands of digits, or brackets nested thousands deep.
        raise ConfigError("not valid TOML: a number is too long or the nesting too deep", file=shown) from error


def _toml_hint(text: str, line: int) -> str | None:
    lines = text.splitlines()
    source = lines[line - 1] if 0 < line <= len(lines) else ""
    if re.match(r"(<{7}|={7}|>{7})", source):
        return "the file has merge conflict marks; resolve them"
    if re.match(r"\s*[\w.-]+\s*:", source):
        return "TOML writes key = value, not key: value"
    if re.match(r"\s*[\w.-]+\s*=\s*[A-Za-z/]", source):
        return 'put "quotes" around text'
    return None


def _file_problems(source: Source) -> list[Problem]:
    found = [source.problem(key, fact, hint) for key, fact, hint in complaints(source.tree)]
    project = source.tree.get("project", {})
    if source.root is None or found or not isinstance(project, Mapping):
        return found
    for name in ("prompts", "evals"):
        if not _is_inside(source.root, project.get(name, name)):
            fact = f"{project.get(name, name)!r} leaves the project folder"
            hint = "name a folder inside the project, and no link that leads out of it"
            found.append(source.problem(("project", name), fact, hint))
    return found


def _is_inside(root: Path, name: str) -> bool:
    return not Path(name).is_absolute() and (root / name).resolve().is_relative_to(root.resolve())


def _environment_problems(environment: str | None, source: Source) -> list[Problem]:
    known = source.tree.get("environments", {})
    if environment is None or source.path is None or not isinstance(known, Mapping) or environment in known:
        return []
    fact = f"{ENV_VARIABLE} is {environment!r}, and {source.shown} has no [environments.{environment}]"
    return [Problem(fact, hint=nearest(environment, known) or f"environments here: {', '.join(known) or 'none'}")]


def _default_layer() -> Layer:
    return {key.path: (key.default, Origin("default")) for key in KEYS if "*" not in key.name}


def _file_layer(source: Source) -> Layer:
    plain = {name: value for name, value in source.tree.items() if name != "environments"}
    return {path: (value, Origin("file", source.place(path))) for path, value in _leaves(plain, ())}


def _overlay_layer(source: Source, environment: str | None) -> Layer:
    where = ("environments", environment or "")
    return {
        path: (value, Origin("environment", source.place(where + path)))
        for path, value in _leaves(_overlay(source, environment), ())
    }


def _overlay(source: Source, environment: str | None) -> Mapping[str, Any]:
    overlay = source.tree.get("environments", {}).get(environment, {})
    return overlay if isinstance(overlay, Mapping) else {}


def _variable_layer(env: Mapping[str, str]) -> tuple[Layer, list[Problem]]:
    known = variables()
    layer: Layer = {}
    problems: list[Problem] = []
    for name, text in env.items():
        if not name.startswith("PROMPTSTUDIO_") or name == ENV_VARIABLE or not text:
            continue
        key = known.get(name)
        if key is None:
            problems += _misspelled(name, (*known, ENV_VARIABLE))
            continue
        value = _from_text(key, text)
        # A database URL may hold its password here; nothing else in the check differs.
        found = None if key.kind == "database" else value_complaint(key, value)
        if found:
            problems.append(Problem(f"{name}: {found[0]}", hint=found[1]))
        layer[key.path] = (value, Origin("variable", name))
    return layer, problems


def _misspelled(name: str, known: tuple[str, ...]) -> list[Problem]:
    """Other programs may use the prefix, so only a name very near to one of ours is an error."""
    import difflib  # weight: only for a variable we do not know

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.92)
    return [Problem(f"unknown variable {name}", hint=f"did you mean {close[0]}?")] if close else []


def _from_text(key: Key, text: str) -> Any:
    """Read a variable as its key's type; text that does not fit stays text, and the check names it."""
    try:
        if key.kind == "boolean":
            return _WORDS.get(text.lower(), text)
        if key.kind == "integer":
            return int(text)
        if key.kind == "number":
            return float(text)
    except ValueError:
        return text
    return text


def _flag_layer(flags: Mapping[str, Any]) -> Layer:
    return {
        tuple(name.split(".")): (value, Origin("flag", "command line"))
        for name, value in flags.items()
        if value is not None
    }


def _leaves(tree: Mapping[str, Any], path: Path_) -> Iterator[tuple[Path_, Any]]:
    for name, value in tree.items():
        here = (*path, name)
        if name.startswith("x-") and path[-1:] != ("headers",):
            continue
        if key_for(here) is not None:
            yield here, value
        elif isinstance(value, Mapping) and names_below(here) is not None:
            yield from _leaves(value, here)


def _settings(source: Source, merged: Layer, environment: str | None) -> Settings:
    def value(name: str) -> Any:
        return merged[tuple(name.split("."))][0]

    root = source.root
    groups = {name: _grouped(name, source, merged, environment) for name in ("profiles", "providers")}
    return Settings(
        root=root,
        path=source.path,
        prompts_dir=root / value("project.prompts") if root else None,
        evals_dir=root / value("project.evals") if root else None,
        state_dir=root / STATE_FOLDER if root else None,
        project_name=value("project.name") or (root.name if root else None),
        environment=environment,
        run_model=value("run.model"),
        run_profile=value("run.profile"),
        run_timeout_s=value("run.timeout"),
        profiles=groups["profiles"],
        providers={name: _provider(values) for name, values in groups["providers"].items()},
        history_url=value("history.url"),
        redact=value("history.redact"),
        retention_days=value("history.retention_days"),
        tools=_section("tools", merged),
        eval=_section("eval", merged),
        cache=_section("cache", merged),
        budget=_section("budget", merged),
        base=source.tree,
        origins={".".join(key): origin for key, (_, origin) in merged.items()},
        dotenv=_dotenv(root) if root and value("project.dotenv") else {},
        run_warm_s=value("run.warm"),
        run_record=value("run.record"),
        run_replay=value("run.replay"),
    )


def _section(name: str, merged: Layer) -> dict[str, Any]:
    return {path[1]: value for path, (value, _) in merged.items() if path[0] == name and len(path) == 2}


def _grouped(name: str, source: Source, merged: Layer, environment: str | None) -> dict[str, dict[str, Any]]:
    """Collect the `[name.GROUP]` tables, empty ones too; a nested key is written with dots."""
    written = {**source.tree.get(name, {}), **_overlay(source, environment).get(name, {})}
    groups: dict[str, dict[str, Any]] = {group: {} for group in written if not group.startswith("x-")}
    for path, (value, _) in merged.items():
        if path[0] == name:
            groups.setdefault(path[1], {})[".".join(path[2:])] = value
    return groups


def _provider(values: Mapping[str, Any]) -> ProviderSettings:
    headers = {
        key.removeprefix("headers."): EnvValue(value["env"]) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if key.startswith("headers.")
    }
    return ProviderSettings(values.get("api_base"), values.get("api_key_env"), headers)


def _dotenv(root: Path) -> dict[str, str]:
    path = root / ".env"
    return read_dotenv(_read_text(path), file=_shown(path)) if path.exists() else {}
