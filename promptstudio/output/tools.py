"""Tool names of a prompt → the Python functions promptstudio.toml registers for them, from this repository only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from promptstudio.config import Settings
from promptstudio.errors import ConfigError, PromptFileError
from promptstudio.output.imports import import_from_repository


def tool_functions(names: Sequence[str], settings: Settings, *, file: str | None) -> tuple[Callable[..., Any], ...]:
    """Import the registered functions. Raises for a name nobody registered and for one that is not a function."""
    return tuple(_function(name, settings, file) for name in names)


def _function(name: str, settings: Settings, file: str | None) -> Callable[..., Any]:
    reference = settings.tools.get(name)
    if reference is None:
        near = get_close_matches(name, list(settings.tools), n=1)
        hint = (
            f"did you mean '{near[0]}'?"
            if near
            else f'register it in promptstudio.toml: [tools] {name} = "module:function"'
        )
        raise PromptFileError(f"tools: '{name}' is not registered", file=file, hint=hint)
    found = import_from_repository(reference, settings.root, what=f"tools.{name}", file="promptstudio.toml", line=None)
    if not callable(found):
        raise ConfigError(f"tools.{name}: '{reference}' is not a function", file="promptstudio.toml")
    return found  # type: ignore[no-any-return]
