"""The fixture `promptstudio`: the project a test lies in, with recorded answers of its own for each test if wanted.

off    providers are asked, as the project's settings say (the default)
none   recorded answers only: what was not recorded is an error
once   recorded answers where the test has a folder; else the providers are asked, and recorded
all    the providers are asked, and recorded anew
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast, get_args

import pytest

from promptstudio.cache.choose import WireChoice, choose_wires
from promptstudio.config import Settings, load_settings
from promptstudio.errors import NotFoundError, UsageError
from promptstudio.testing.options import folder_option, text_option
from promptstudio.testing.studio import Studio, opened_studio

RecordMode = Literal["off", "none", "once", "all"]


@contextmanager
def studio_of(request: pytest.FixtureRequest) -> Iterator[Studio]:
    """Open the project a test lies in, with the answers it is to have."""
    config = request.config
    settings = load_settings(request.path.parent, env=os.environ)
    if settings.root is None:
        settings = load_settings(Path.cwd(), env=os.environ)
    model = text_option(config, "promptstudio_model")
    with opened_studio(settings, _choice(request, settings), history=False, model=model) as studio:
        yield studio


def _choice(request: pytest.FixtureRequest, settings: Settings) -> WireChoice:
    config = request.config
    mode = _mode(request)
    if mode == "off":
        record, replay = folder_option(config, "promptstudio_record"), folder_option(config, "promptstudio_replay")
        return choose_wires(settings, "run", record=record, replay=replay)
    folder = _folder(request)
    is_there = folder.is_dir()
    if mode == "none" and not is_there:
        hint = "record them: --promptstudio-record-mode once"
        raise NotFoundError("this test has no recorded answers", file=str(folder), hint=hint)
    if mode == "none" or (mode == "once" and is_there):
        return choose_wires(settings, "run", replay=folder)
    if is_there:
        _clear(folder)
    return choose_wires(settings, "run", record=folder)


def _mode(request: pytest.FixtureRequest) -> RecordMode:
    """Return the mode: of the command line, else of the test's mark, else of the ini file."""
    given = request.config.getoption("promptstudio_record_mode")
    marker = request.node.get_closest_marker("promptstudio")
    marked = marker.kwargs.get("record_mode") if marker is not None else None
    mode = given or marked or request.config.getini("promptstudio_record_mode") or "off"
    if mode not in get_args(RecordMode):
        raise UsageError(f"there is no record_mode {mode!r}", hint=f"it is one of {', '.join(get_args(RecordMode))}")
    return cast("RecordMode", mode)


def _folder(request: pytest.FixtureRequest) -> Path:
    """Return the folder of one test: beside its file, or below the one the ini file names."""
    written = str(request.config.getini("promptstudio_cassettes"))
    base = request.config.rootpath / written if written else request.path.parent / "cassettes"
    name = request.node.nodeid.partition("::")[2] or request.node.name
    return base / request.path.stem / re.sub(r"[^\w.-]+", "-", name).strip("-.")[:120]


def _clear(folder: Path) -> None:
    """Remove what was recorded before, and nothing but that."""
    if any(path.is_dir() or path.suffix != ".yaml" for path in folder.iterdir()):
        raise UsageError(f"{folder} holds more than cassettes", hint="move the other files away")
    shutil.rmtree(folder)
