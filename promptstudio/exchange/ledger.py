"""What is known while one foreign prompt is read: losses with their lines, its inputs, names made safe."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.exchange.schema import Foreign, Loss
from promptstudio.prompts.fields import RESERVED_INPUT_NAMES
from promptstudio.prompts.wording import dotted, shown
from promptstudio.prompts.yamlfile import ValuePath, YamlDocument

MAX_INPUTS = 1_000
_ONLY_KINDS = {"string": 0, "any": 1}


@dataclass(slots=True)
class Ledger:
    """A notebook for one foreign file (or one prompt in it).

    `inputs` maps our name of each input to a type as far as the text shows it, `optional` are those that may be absent;
    `document` gives lines to paths.
    `base_line` is where a text that is no value of `document` begins, such as the body below a front matter.
    """

    foreign: Foreign
    document: YamlDocument | None = None
    base_line: int = 1
    losses: list[Loss] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)
    _seen: set[Loss] = field(default_factory=set)

    def dropped(self, path: ValuePath | str, reason: str, *, line: int | None = None) -> None:
        """Write down that something is not carried over."""
        self._lose(path, reason, line, changed=False)

    def changed(self, path: ValuePath | str, reason: str, *, line: int | None = None) -> None:
        """Write down that something is carried over in another form."""
        self._lose(path, reason, line, changed=True)

    def rest(self, value: Any, known: Iterable[str], path: ValuePath = (), reason: str | None = None) -> None:
        """Write down every key of a map that is not among the known ones."""
        names = set(known)
        for key in value if isinstance(value, Mapping) else ():
            if key not in names:
                self.dropped((*path, str(key)), reason or "there is nothing like it in a prompt file")

    def line_of(self, path: ValuePath | str) -> int | None:
        """Return the line a key or value stands on, as far as that is known."""
        if self.document is None or isinstance(path, str):
            return None
        if path in self.document.keys:
            return self.document.keys[path][0]
        return self.document.place_of(path)[0]

    def uses(self, name: str, kind: str = "any", path: ValuePath | str = "") -> str:
        """Return our name for an input that a text uses, and remember its type; a renamed one is a loss."""
        safe = self.own_name(name, path)
        known = self.inputs.get(safe)
        if known is None or _ONLY_KINDS.get(known, 2) < _ONLY_KINDS.get(kind, 2):
            self.inputs[safe] = kind
        return safe

    def names(self) -> dict[str, str]:
        """Return the foreign name of each input with ours."""
        return dict(self._names)

    def input_fields(self) -> dict[str, Any]:
        """Return what belongs below `inputs:`; nothing where all are required texts, which need no declaration."""
        if not self.optional and all(kind == "string" for kind in self.inputs.values()):
            return {}
        return {
            name: {"type": kind, **({"required": False} if name in self.optional else {})}
            for name, kind in self.inputs.items()
        }

    def own_name(self, name: str, path: ValuePath | str = "") -> str:
        """Return our name for an input that is declared, whether a text uses it or not; a renamed one is a loss."""
        return self._names.get(name) or self._new_name(name, path)

    def _new_name(self, name: str, path: ValuePath | str) -> str:
        if len(self._names) >= MAX_INPUTS:
            raise PromptFileError(f"more than {MAX_INPUTS:,} inputs", file=self.foreign.shown, line=self.line_of(path))
        safe = input_name(name)
        taken = set(self._names.values())
        number = 2
        while safe in taken:
            safe, number = f"{input_name(name)}_{number}", number + 1
        self._names[name] = safe
        if safe != unicodedata.normalize("NFC", name):
            self.changed(path, f"the input {shown(name)} is called {shown(safe)} here")
        return safe

    def _lose(self, path: ValuePath | str, reason: str, line: int | None, *, changed: bool) -> None:
        key = path if isinstance(path, str) else dotted(path)
        where = line or self.line_of(path)
        loss = Loss(self.foreign.shown, key, reason, where, "changed" if changed else "dropped")
        if loss not in self._seen:
            self._seen.add(loss)
            self.losses.append(loss)


def input_name(name: str) -> str:
    """Return a name that a template can use: letters of every script, digits and `_`."""
    # Jinja knows no marks beyond the basic plane as parts of a name.
    letters = (
        each if f"a{each}".isidentifier() and (each.isalnum() or ord(each) < 0x10000) else "_"
        for each in unicodedata.normalize("NFKC", name)
    )
    text = "".join(letters).lstrip("_") or "value"
    if not text.isidentifier():
        text = f"v{text}"
    return f"{text}_" if text in RESERVED_INPUT_NAMES or not text.isidentifier() else text
