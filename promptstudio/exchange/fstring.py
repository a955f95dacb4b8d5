"""Python's `{name}` and `$name` templates → Jinja."""

from __future__ import annotations

import re
import string

from promptstudio.errors import PromptFileError
from promptstudio.exchange.ledger import Ledger
from promptstudio.prompts.pieces import Piece, Text, Value, jinja_source
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath

_FIELD = re.compile(r"(?P<name>[^.\[\]]*)(?P<rest>(?:\.\w+|\[[^\]]*\])*)")
_STEP = re.compile(r"\.(?P<attribute>\w+)|\[(?P<item>[^\]]*)\]")


def fstring_to_jinja(text: str, ledger: Ledger, path: ValuePath | str) -> str:
    """Convert what `str.format` reads: `{x}` is a value, `{{` a brace, `{x.y}` and `{x[0]}` reach into a value.

    A format specification or a conversion is reported and left out. Raises PromptFileError where Python would.
    """
    pieces: list[Piece] = []
    try:
        for literal, name, spec, conversion in string.Formatter().parse(text):
            pieces.append(Text(literal))
            if name is not None:
                pieces.append(_field(name, spec or "", conversion, ledger, path))
    except ValueError as cause:
        raise _unreadable(f"not a Python format string: {cause}", ledger, path) from cause
    return jinja_source(pieces)


def _field(name: str, spec: str, conversion: str | None, ledger: Ledger, path: ValuePath | str) -> Value:
    match = _FIELD.fullmatch(name.strip())
    if match is None or not match["name"] or match["name"].isdigit():
        raise _unreadable(f"{shown('{' + name + '}')} has no name that a value could be given to", ledger, path)
    if spec or conversion:
        written = "{" + name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"
        ledger.changed(path, f"the format of {shown(written)} is left out; the value is printed as it is")
    code = ledger.uses(match["name"], "any" if match["rest"] else "string", path)
    for step in _STEP.finditer(match["rest"]):
        code += f".{step['attribute']}" if step["attribute"] else _item(step["item"])
    return Value(code)


def _item(key: str) -> str:
    return f"[{key}]" if key.isdigit() else "['" + key.replace("\\", "\\\\").replace("'", "\\'") + "']"


def dollar_to_jinja(text: str, ledger: Ledger, path: ValuePath | str) -> str:
    """Convert what `string.Template` reads: `$x` and `${x}` are values, `$$` a dollar sign.

    Raises PromptFileError at a `$` that is none of them, as `Template.substitute` does.
    """
    pieces: list[Piece] = []
    end = 0
    for match in string.Template.pattern.finditer(text):
        pieces.append(Text(text[end : match.start()]))
        end = match.end()
        name = match["named"] or match["braced"]
        if name:
            pieces.append(Value(ledger.uses(name, "string", path)))
        elif match["escaped"] is not None:
            pieces.append(Text("$"))
        else:
            line = text.count("\n", 0, match.start()) + 1
            raise _unreadable(f"the $ on line {line} of the text begins no variable", ledger, path, "write $$")
    return jinja_source([*pieces, Text(text[end:])])


def _unreadable(message: str, ledger: Ledger, path: ValuePath | str, hint: str | None = None) -> PromptFileError:
    return PromptFileError(message, file=ledger.foreign.shown, line=ledger.line_of(path), hint=hint)
