"""What the rest of the program knows of promptstudio.toml: one frozen value, each part with its origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

OriginKind = Literal["default", "file", "environment", "variable", "flag"]
EMPTY: Mapping[str, Any] = MappingProxyType({})


class Origin(NamedTuple):
    """Where a value came from.

    `place` is `promptstudio.toml:12` for a file or an environment overlay, the variable's name, or the flag; empty for
    a default.
    """

    kind: OriginKind
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.place})" if self.place else self.kind


@dataclass(frozen=True, slots=True)
class EnvValue:
    """A value that is read from the environment variable `name` when it is needed, and stored nowhere."""

    name: str


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A connection. `headers` values are literal text, or `EnvValue` for the secret ones."""

    api_base: str | None = None
    api_key_env: str | None = None
    headers: Mapping[str, str | EnvValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a project; outside one the folders are None and the rest are defaults.

    `base` is promptstudio.toml as it is written, without overlays and variables. `dotenv` holds the variables of the
    `.env` beside it where the settings ask for that: it never overrides the real environment and is never exported.
    """

    root: Path | None
    path: Path | None
    prompts_dir: Path | None
    evals_dir: Path | None
    state_dir: Path | None
    project_name: str | None
    environment: str | None
    run_model: str
    run_profile: str | None
    run_timeout_s: float | None
    profiles: Mapping[str, Mapping[str, Any]]
    providers: Mapping[str, ProviderSettings]
    history_url: str | None = field(repr=False)  # may hold a password when it came from the variable
    redact: bool
    retention_days: int | None
    tools: Mapping[str, str]
    eval: Mapping[str, Any]
    cache: Mapping[str, Any]
    budget: Mapping[str, Any]
    base: Mapping[str, Any] = field(repr=False, default_factory=dict)
    origins: Mapping[str, Origin] = field(repr=False, default_factory=dict)
    dotenv: Mapping[str, str] = field(repr=False, default_factory=dict)
    run_warm_s: float | None = None
    run_record: str | None = None
    run_replay: str | None = None

    def origin(self, key: str) -> Origin:
        """Return where the value of a dotted key (`run.model`, `profiles.strict.seed`) came from."""
        return self.origins.get(key, Origin("default"))

    def variable(self, name: str, env: Mapping[str, str]) -> str | None:
        """Return an environment variable, or the `.env` one where the environment has none; empty counts as none."""
        return env.get(name) or self.dotenv.get(name) or None
