"""Foreign files for tests of the importers: read, load and render what came of them; change them in every place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from promptstudio.config import Settings, load_settings
from promptstudio.errors import UserError
from promptstudio.exchange.importing import read_foreign
from promptstudio.exchange.schema import Import, Importer
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.lint import lint_file
from promptstudio.prompts.load import load_file
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import render_messages
from promptstudio.prompts.wording import dotted
from promptstudio.types import Message

LEFT_KEY = "zz_left"
LEFT_VALUE = "a value nobody asked for"


class Desk:
    """A folder with foreign files, and a project for what is made of them."""

    def __init__(self, folder: Path, importer: Importer, file: str) -> None:
        self.folder, self.importer, self.file = folder / "foreign", importer, file
        self.project = folder / "imported"
        self.folder.mkdir()
        (self.project / "prompts").mkdir(parents=True)
        (self.project / "promptstudio.toml").write_text('[project]\nname = "imported"\n')

    @property
    def settings(self) -> Settings:
        return load_settings(self.project, env={})

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, content: str | Any, *, file: str | None = None) -> Import:
        """Import a file with this text, or with this value as JSON."""
        name = file or self.file
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
        return self.importer.read(read_foreign(self.put(name, text), self.folder, name))

    def confidence(self, content: str | Any, *, file: str | None = None) -> int:
        name = file or self.file
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        return self.importer.confidence(read_foreign(self.put(name, text), self.folder, name))

    def prompt(self, result: Import, number: int = 0) -> Prompt:
        """Write what was made where it belongs, and load it."""
        for made in result.made:
            path = self.project / "prompts" / made.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made.text, encoding="utf-8")
        return load_file(self.project / "prompts" / result.made[number].name, self.settings)

    def rendered(self, result: Import, number: int = 0, **values: Any) -> tuple[Message, ...]:
        prompt = self.prompt(result, number)
        return render_messages(prompt, check_inputs(prompt, values))

    def samples(self, result: Import) -> dict[str, Any]:
        """The values a file gave as an example: a case of the prompt, or a note where they are not all it takes."""
        prompt = self.prompt(result)
        return dict(prompt.tests[0]["inputs"] if prompt.tests else prompt.metadata.get("samples", {}))

    def faults(self, result: Import) -> list[str]:
        """The errors lint finds in what was made; a secret that was in the foreign text is its author's."""
        for number in range(len(result.made)):
            self.prompt(result, number)
        files = [self.project / "prompts" / made.name for made in result.made]
        found = [finding for file in files for finding in lint_file(file, self.settings)]
        return [str(each.problem) for each in found if each.level == "error" and each.rule != "secret"]

    def said(self, content: Any, **values: Any) -> list[tuple[str, str]]:
        """Import, load, render: role and text of each message."""
        return [(message.role, message.text) for message in self.rendered(self.read(content), **values)]


def losses(result: Import) -> dict[str, str]:
    """Key → severity."""
    return {loss.key: loss.severity for loss in result.losses}


# -- nothing is lost in silence -------------------------------------------------------------------------------------


def unnoticed_keys(desk: Desk, value: Any, write: Callable[[Any], str] = json.dumps) -> set[str]:
    """Put an unknown key into each map in turn; return the places where nobody noticed it."""
    missed = set()
    for path in [path for path, item in walked(value) if isinstance(item, dict)]:
        changed = copy.deepcopy(value)
        at(changed, path)[LEFT_KEY] = LEFT_VALUE
        result = _read_or_none(desk, write(changed))
        if result is not None and not _is_told(result, (*path, LEFT_KEY)):
            missed.add(dotted(path))
    return missed


def unnoticed_leaves(desk: Desk, value: Any, write: Callable[[Any], str] = json.dumps) -> set[str]:
    """Change each text, number and truth in turn; return those where neither the prompt nor the losses know of it."""
    base = _read_or_none(desk, write(value))
    assert base is not None
    missed = set()
    for path, item in walked(value):
        if isinstance(item, dict | list) or item is None:
            continue
        changed = copy.deepcopy(value)
        at(changed, path[:-1])[path[-1]] = _other(item)
        result = _read_or_none(desk, write(changed))
        if (
            result is None
            or result.made != base.made
            or {(a.key, a.reason) for a in result.losses} != {(b.key, b.reason) for b in base.losses}
        ):
            continue
        if not _is_named(result, path):
            missed.add(dotted(path))
    return missed


def walked(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield path, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from walked(item, (*path, key))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _other(item: str | float | bool) -> Any:
    if isinstance(item, bool):
        return not item
    return f"{item} Q7" if isinstance(item, str) else item + 1


def _read_or_none(desk: Desk, text: str) -> Import | None:
    try:
        return desk.read(text)
    except UserError:
        return None  # told as loudly as can be


def _is_told(result: Import, path: tuple[str | int, ...]) -> bool:
    return any(LEFT_VALUE in made.text for made in result.made) or _is_named(result, path)


def _is_named(result: Import, path: tuple[str | int, ...]) -> bool:
    names = {dotted(path[:length]) for length in range(1, len(path) + 1)}
    return any(loss.key in names for loss in result.losses)


# -- hostile files --------------------------------------------------------------------------------------------------

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [10**40, -1, 1e300, "", "{", "{{", "}}", "{% if %}", "{{ x", "$", "${", "\x00", "\u202e", "مرحبا", "../x"]
    )
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """`value` with one to three places replaced by something odd, emptied or taken out."""
    changed = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = [path for path, _ in walked(changed) if path]
        if not places:
            break
        path = draw(st.sampled_from(places))
        where = at(changed, path[:-1])
        if draw(st.booleans()):
            where[path[-1]] = draw(ODD)
        else:
            del where[path[-1]]
    return changed


def survives(desk: Desk, text: str) -> None:
    """A file gives a prompt that loads, or an error for its user; never anything else."""
    foreign = read_foreign(desk.put(desk.file, text), desk.folder, desk.file)
    assert 0 <= desk.importer.confidence(foreign) <= 100
    try:
        result = desk.importer.read(foreign)
    except UserError as error:
        places = [problem.file for problem in error.problems]
    else:
        places = [made.source for made in result.made]
        assert desk.faults(result) == []
    assert all(places)
