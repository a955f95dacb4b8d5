"""What every command is given: where it works, its environment, and where it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptstudio.config import Settings, load_settings
from promptstudio.errors import ConfigError, UsageError
from promptstudio.output.terminal import Output


@dataclass(frozen=True, slots=True)
class Context:
    """`project` is the folder of --project, or None; `program` the name we were called by."""

    program: str
    env: Mapping[str, str]
    output: Output
    project: Path | None = None
    debug: bool = False

    def settings(self, flags: Mapping[str, Any] | None = None) -> Settings:
        """Load the settings that hold here; `flags` maps dotted keys to values given on the command line."""
        if self.project is None:
            return load_settings(Path.cwd(), env=self.env, flags=flags)
        if not self.project.is_dir():
            raise UsageError(f"--project {self.project}: there is no such folder")
        settings = load_settings(self.project, env=self.env, flags=flags)
        if settings.root is None:
            hint = f"`{self.program} init {self.project}` makes one"
            raise ConfigError(f"there is no promptstudio.toml in {self.project} or above it", hint=hint)
        return settings

    def project_settings(self) -> Settings:
        """Load the settings; being outside a project is an error."""
        settings = self.settings()
        if settings.root is None:
            raise ConfigError(
                "this is not a project: there is no promptstudio.toml here or above",
                hint=f"`{self.program} init` makes one here, `{self.program} --project DIR COMMAND` uses another",
            )
        return settings


def root_of(settings: Settings) -> Path:
    """Return the project's root; `Context.project_settings` has made sure that there is one."""
    assert settings.root is not None  # noqa: S101
    return settings.root
