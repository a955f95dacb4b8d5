"""Options and settings of pytest → their values: an option wins over the ini file."""

from __future__ import annotations

from pathlib import Path

import pytest


def text_option(config: pytest.Config, name: str) -> str | None:
    """Return what was asked for on the command line, else in the ini file; None where in neither."""
    given = config.getoption(name)
    return str(given) if given else str(config.getini(name)) or None


def folder_option(config: pytest.Config, name: str) -> Path | None:
    """Return a folder: of the command line below the working directory, of the ini file below pytest's root.

    `record` and `replay` exclude each other: where one is given on the command line, the ini file's are left out.
    """
    if given := config.getoption(name):
        return config.invocation_params.dir / Path(str(given)).expanduser()
    if config.getoption("promptstudio_record") or config.getoption("promptstudio_replay"):
        return None
    written = str(config.getini(name))
    return config.rootpath / written if written else None
