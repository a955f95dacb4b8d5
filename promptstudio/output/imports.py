"""`module:name` → the object, imported from the working repository and from nowhere else."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

from promptstudio.errors import PromptFileError


def import_from_repository(reference: str, root: Path | None, *, what: str, file: str | None, line: int | None) -> Any:
    """Import an object; None where the module has no such name. `what` names the setting in errors.

    The module's file must lie below `root`, so a name in a prompt can never run an installed package by accident.
    """
    if root is None:
        raise PromptFileError(
            f"{what} needs a project: it is imported from the working repository",
            file=file,
            line=line,
            hint="run `ps init` beside the prompt",
        )
    module_name, colon, name = reference.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module_name.split("."), name]):
        raise PromptFileError(f"{what}: '{reference}' is not of the form module:name", file=file, line=line)
    base = root / Path(*module_name.split("."))
    if not (base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()):
        raise PromptFileError(f"{what}: there is no module '{module_name}' in this repository", file=file, line=line)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output holds the answer only
            return getattr(importlib.import_module(module_name), name, None)
    except (Exception, SystemExit) as error:  # importing is running: whatever it raised is theirs
        raise PromptFileError(
            f"{what}: importing '{module_name}' failed: {type(error).__name__}: {error}", file=file, line=line
        ) from error
