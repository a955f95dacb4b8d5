"""What an import made → files in prompts/ and evals/: all of them, or none where one cannot be written or loaded.

Everything is written to a folder of its own first and read back with our own loader; only then does it move to where it
belongs. A file that is there already stays, unless it is to be replaced.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from promptstudio.config.settings import Settings
from promptstudio.errors import Problem, PromptStudioError, UserError
from promptstudio.exchange.document import suite_text
from promptstudio.exchange.importing import folded
from promptstudio.exchange.schema import Made
from promptstudio.prompts.filewrite import create_file, write_atomically
from promptstudio.prompts.load import load_file
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.suite_schema import suite_problems
from promptstudio.prompts.yamlfile import read_yaml

Outcome = Literal["new", "replaced", "same", "kept"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where one result goes, and what happens there. `kept` is a file that is there with another text."""

    made: Made
    path: Path
    outcome: Outcome


def targets_of(made: Iterable[Made], prompts: Path, evals: Path, *, force: bool) -> list[Target]:
    """Decide what each result becomes. Nothing is written."""
    return [_target(one, (evals if one.kind in ("suite", "data") else prompts), force) for one in made]


def _target(made: Made, folder: Path, force: bool) -> Target:
    path = folder / made.name
    there = _file_there(folder, made.name)
    if there is None:
        return Target(made, path, "new")
    try:
        same = there.read_text(encoding="utf-8") == made.text
    except (OSError, ValueError):
        same = False
    return Target(made, there, "same" if same else "replaced" if force else "kept")


def _file_there(folder: Path, name: str) -> Path | None:
    """Return the file that a name would meet, also where only case or Unicode form differ."""
    path = folder
    for part in Path(name).parts:
        if (path / part).exists() or (path / part).is_symlink():
            path = path / part
            continue
        siblings = sorted(path.iterdir()) if path.is_dir() else []
        match = next((sibling for sibling in siblings if folded(sibling.name) == folded(part)), None)
        if match is None:
            return None
        path = match
    return path


def below(made: Sequence[Made], folder: str) -> list[Made]:
    """Return the results as they are when the prompts lie in a folder within prompts/: suites name them by it."""
    if not folder or folder == ".":
        return list(made)
    return [_renamed(one, folder) if one.kind == "suite" else one for one in made]


def _renamed(made: Made, folder: str) -> Made:
    suite = read_yaml(made.text, file=made.name).value
    if isinstance(suite.get("prompt"), str):
        suite["prompt"] = f"{folder}/{suite['prompt']}"
    if isinstance(suite.get("prompts"), list):
        suite["prompts"] = [f"{folder}/{name}" for name in suite["prompts"]]
    return replace(made, text=suite_text(suite, made.name))


def check(made: Sequence[Made], settings: Settings) -> list[Problem]:
    """Load every prompt and read every suite as they will lie there: what is wrong names the foreign file."""
    problems: list[Problem] = []
    with tempfile.TemporaryDirectory(prefix="promptstudio-") as name:
        root = Path(name).resolve()
        folder = root / "prompts"
        for one in made:
            if one.kind not in ("suite", "data"):
                create_file(folder / one.name, one.text)
        staged = replace(settings, root=root, prompts_dir=folder)
        for one in made:
            problems += _problems_of(one, folder, staged)
        shutil.rmtree(folder, ignore_errors=True)
    return problems


def _problems_of(made: Made, folder: Path, settings: Settings) -> list[Problem]:
    try:
        if made.kind == "suite":
            document = read_yaml(made.text, file=made.name)
            found = suite_problems(Source(document, document.value))
        elif made.kind == "prompt":
            prompt = load_file(folder / made.name, settings)
            for variant in prompt.variants:
                load_file(folder / made.name, settings, variant=variant)
            found = []
        else:
            found = []
    except PromptStudioError as cause:
        found = list(cause.problems)
    said = "what was made of it does not load"
    return [Problem(f"{said}: {each.message} (line {each.line} of {made.name})", file=made.source) for each in found]


def write_all(targets: Sequence[Target]) -> None:
    """Write what is new or replaced. Raises UserError, and then nothing is new and what was there is as it was."""
    done: list[Path] = []
    before: list[tuple[Path, str]] = []
    try:
        for target in targets:
            if target.outcome == "new":
                create_file(target.path, target.made.text)
                done.append(target.path)
            elif target.outcome == "replaced":
                before.append((target.path, target.path.read_text(encoding="utf-8")))
                write_atomically(target.path, target.made.text)
    except (UserError, OSError, ValueError) as cause:
        for path in done:
            path.unlink(missing_ok=True)
        for path, text in before:
            write_atomically(path, text)
        said = cause.problems[0].message if isinstance(cause, UserError) else str(cause)
        where = cause.problems[0].file if isinstance(cause, UserError) else None
        raise UserError(f"{said}; nothing was imported", file=where) from cause
