"""Pieces of our Jinja → Handlebars with dotprompt's helpers; what those cannot say raises."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from promptstudio.exchange.export_sources import UntranslatableError
from promptstudio.prompts.pieces import Piece, Tag, Text

_PATH = r"[^\W\d]\w*(?:\.[^\W\d]\w*|\[\d+\])*"
_PRINTED = re.compile(rf"({_PATH})\s*(?:\|\s*(?:default\(\s*(?:''|\"\")\s*\)|(tojson)(?:\((\d+)\))?))?")
_IF = re.compile(rf"(if|elif)\s+(not\s+)?({_PATH})")
_EQUALS = re.compile(rf"if\s+({_PATH})\s*(==|!=)\s*('[^'\\]*'|\"[^\"\\]*\"|\d+|true|false)")
_FOR = re.compile(rf"for\s+([^\W\d]\w*)(?:\s*,\s*([^\W\d]\w*))?\s+in\s+({_PATH})(\s*\|\s*items|\.items\(\))?")
_OR_NULL = re.compile(rf"\(({_PATH})\s*\|\s*default\(none\)\)")
_LOOP = {"loop.index0": "@index", "loop.first": "@first", "loop.last": "@last"}
_HINT = "give values with -v: the rendered text is written then"


@dataclass(slots=True)
class _Block:
    """An open block: the word that closes it, and the names it gives."""

    word: str
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class HandlebarsWriter:
    """Writes one text; `file` is named where something cannot be said."""

    file: str
    open: list[_Block] = field(default_factory=list)

    def text(self, pieces: Iterable[Piece]) -> str:
        """Return the source. Raises UntranslatableError."""
        written = ""
        for piece in pieces:
            if isinstance(piece, Text):
                # After a block tag alone on its line Handlebars drops the line feed: an empty comment keeps it.
                if piece.text.startswith("\n") and _ends_alone(written):
                    written += "{{! }}"
                written += piece.text.replace("{{", "\\{{")
                continue
            if written.endswith("\\"):
                written += "\\"
            tag = self.tag(piece.code) if isinstance(piece, Tag) else self.value(piece.code)
            if not isinstance(piece, Tag) and written.endswith("{"):
                raise self.cannot("a brace before a value")
            written += tag
        return written + ("{{! }}" if _ends_alone(written) and written.rpartition("\n")[0] else "")

    def value(self, code: str) -> str:
        match = _PRINTED.fullmatch(code)
        if match is None:
            if code in ("'{{'", '"{{"'):
                return "\\{{"
            raise self.cannot(code)
        if match[2]:
            return f"{{{{json {self.path(match[1])}{f' indent={match[3]}' if match[3] else ''}}}}}"
        return f"{{{{{self.path(match[1])}}}}}"

    def path(self, code: str) -> str:
        if code in _LOOP and any(block.word == "each" for block in self.open):
            return _LOOP[code]
        first = re.split(r"[.\[]", code, maxsplit=1)[0]
        if first == "loop":
            raise self.cannot(code)
        path = re.sub(r"\[(\d+)\]", r".[\1]", code)
        if any(first in block.names for block in self.open):
            return path
        return f"@root.{path}" if any(block.word == "each" for block in self.open) else path

    def tag(self, code: str) -> str:
        code = _OR_NULL.sub(r"\1", code)
        if code == "else":
            return "{{else}}"
        if code in ("endif", "endfor") and self.open:
            return f"{{{{/{self.open.pop().word}}}}}"
        if (match := _EQUALS.fullmatch(code)) is not None:
            word = "ifEquals" if match[2] == "==" else "unlessEquals"
            path = self.path(match[1])
            self.open.append(_Block(word))
            return f"{{{{#{word} {path} {match[3]}}}}}"
        if (match := _IF.fullmatch(code)) is not None:
            path = self.path(match[3])
            if match[1] == "elif":
                return f"{{{{else {'unless' if match[2] else 'if'} {path}}}}}"
            word = "unless" if match[2] else "if"
            self.open.append(_Block(word))
            return f"{{{{#{word} {path}}}}}"
        if (match := _FOR.fullmatch(code)) is not None:
            return self.loop(match)
        raise self.cannot(code)

    def loop(self, match: re.Match[str]) -> str:
        one, two, over, of_map = match.groups()
        if bool(two) != bool(of_map):
            raise self.cannot(match[0])
        path = self.path(over)
        self.open.append(_Block("each", (two, one) if two else (one,)))
        return f"{{{{#each {path} as |{f'{two} {one}' if two else one}|}}}}"

    def cannot(self, code: str) -> UntranslatableError:
        return UntranslatableError(f"dotprompt's templates cannot say: {code}", file=self.file, hint=_HINT)


def _ends_alone(written: str) -> bool:
    """Say whether the text ends with a block tag that has had its line to itself so far."""
    line = written.rpartition("\n")[2]
    return re.fullmatch(r"[ \t]*\{\{(?:[#/]|else)[^{}]*\}\}", line) is not None
