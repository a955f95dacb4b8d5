"""A foreign value, read key by key through `Spot`s; what nobody asked for is written down as a loss by itself.

An importer walks down with `get` and `items`, and settles each value: `text()`, `plain()` and their like say that it is
carried over, `drop()` and `change()` why it is not. `Reading.finish` then names every key that was left alone, so that
a key nobody thought of can never be lost in silence. Nulls and empty lists and maps hold nothing that could be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from promptstudio.errors import PromptFileError
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.nearby import near_file
from promptstudio.exchange.schema import Foreign, Import, Made
from promptstudio.prompts.wording import dotted, found, suggestion
from promptstudio.prompts.yamlfile import ValuePath, YamlDocument

NOTHING_LIKE_IT = "there is nothing like it in a prompt file"


@dataclass(slots=True)
class Reading:
    """One foreign document on its way through an importer; `settled` are the paths that are accounted for.

    `used` are the other files that were read with it.
    """

    document: YamlDocument
    ledger: Ledger
    settled: set[ValuePath] = field(default_factory=set)
    used: list[Path] = field(default_factory=list)

    def spot(self, path: ValuePath = ()) -> Spot:
        value = self.document.value
        for step in path:
            value = value[step]
        return Spot(self, path, value)

    def graft(self, path: ValuePath, value: Any) -> Spot:
        """Put what a named file holds in the place of its name."""
        self.spot(path[:-1]).value[path[-1]] = value
        return self.spot(path)

    def finish(self, root: ValuePath = ()) -> None:
        """Write down everything below `root` that was not settled; the largest piece of it at a time."""
        touched = {path[:length] for path in self.settled for length in range(len(path) + 1)}
        self._finish(root, self.spot(root).value, touched)

    def result(self, *made: Made) -> Import:
        """Account for what is left, and return what came of the file."""
        self.finish()
        return Import(made, tuple(self.ledger.losses), tuple(self.used))

    def _finish(self, path: ValuePath, value: Any, touched: set[ValuePath]) -> None:
        if path in self.settled or value is None or value in ({}, []):
            return
        if path not in touched:
            self.ledger.dropped(path, NOTHING_LIKE_IT)
            self.settled.add(path)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._finish((*path, key), item, touched)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._finish((*path, index), item, touched)


@dataclass(frozen=True, slots=True)
class Spot:
    """A value and where it stands."""

    reading: Reading
    path: ValuePath
    value: Any

    # -- going down

    def get(self, key: str) -> Spot | None:
        """Return the value of a key of this map, or None where it is not there or null."""
        value = self.as_map().get(key)
        return None if value is None else Spot(self.reading, (*self.path, key), value)

    def need(self, key: str) -> Spot:
        """Return the value of a key that must be there."""
        there = self.get(key)
        if there is None:
            self.fail(f"missing key {key!r}")
        return there

    def entries(self) -> Iterator[tuple[str, Spot]]:
        """Yield the keys of this map with their values; nulls too."""
        for key, value in self.as_map().items():
            yield key, Spot(self.reading, (*self.path, key), value)

    def items(self) -> list[Spot]:
        """Return the items of this list."""
        if not isinstance(self.value, list):
            self.expected("a list")
        return [Spot(self.reading, (*self.path, index), item) for index, item in enumerate(self.value)]

    def as_map(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            self.expected("a map")
        return self.value

    def is_map(self) -> bool:
        return isinstance(self.value, dict)

    def is_list(self) -> bool:
        return isinstance(self.value, list)

    def is_text(self) -> bool:
        return isinstance(self.value, str)

    # -- carried over

    def settle(self) -> Spot:
        """Say that this value, with all that is in it, is accounted for."""
        self.reading.settled.add(self.path)
        return self

    def plain(self) -> Any:
        """Carry the whole value."""
        return self.settle().value

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.expected("text")
        return self.settle().value  # type: ignore[no-any-return]  # looked at above

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            self.expected("true or false")
        return self.settle().value  # type: ignore[no-any-return]

    def texts(self) -> list[str]:
        """Carry a list of texts; one text counts as a list of itself."""
        return [self.text()] if self.is_text() else [item.text() for item in self.items()]

    def one_of(self, *known: str) -> str:
        said = self.text()
        if said not in known:
            self.fail(f"found {found(said)}", suggestion(said, known, otherwise="known are"))
        return said

    # -- not carried over

    def drop(self, reason: str = NOTHING_LIKE_IT) -> None:
        if self.value is not None and self.value not in ({}, []):
            self.reading.ledger.dropped(self.path, reason)
        self.settle()

    def change(self, reason: str) -> None:
        self.reading.ledger.changed(self.path, reason)
        self.settle()

    # -- other files

    def near(self, name: str) -> Foreign:
        """Read the file that is named here, from within the imported folder. Raises PromptFileError with this place."""
        ledger = self.reading.ledger
        found_file = near_file(name, ledger.foreign, ledger.line_of(self.path))
        self.reading.used.append(found_file.path)
        return found_file

    # -- wrong

    def expected(self, wanted: str) -> NoReturn:
        self.fail(f"expected {wanted}, found {found(self.value)}")

    def fail(self, said: str, hint: str | None = None) -> NoReturn:
        document = self.reading.document
        line, column = document.place_of(self.path)
        where = f"{dotted(self.path)}: " if self.path else ""
        raise PromptFileError(f"{where}{said}", file=document.file, line=line, column=column, hint=hint)


def text_of(spot: Spot | None) -> str | None:
    """Carry an optional text."""
    return None if spot is None else spot.text()


def leave(spot: Spot, keys: tuple[str, ...], reason: str) -> None:
    """Drop those of the keys that are there, for one reason."""
    for key in keys:
        if (there := spot.get(key)) is not None:
            there.drop(reason)
