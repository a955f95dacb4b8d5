"""The text of a YAML file + one change → the text with that change and no other: comments, layout and quotes stay.

Every edit is checked: the new text is read again and must differ from the old one in that value alone. Nothing here
writes a file; see filewrite.py.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from typing import Any

from promptstudio.errors import PromptFileError, UserError
from promptstudio.prompts.filewrite import BOM, write_atomically
from promptstudio.prompts.keyorder import PROMPT_KEYS
from promptstudio.prompts.nodes import BLOCK_HEADER, Node, indent_of, line_end, line_start, node_at, node_tree
from promptstudio.prompts.wording import dotted
from promptstudio.prompts.yamlfile import ValuePath, YamlDocument, dump_yaml, read_yaml

__all__ = ["same", "with_value", "with_version", "write_atomically"]
SCHEMA_COMMENT = re.compile(r"#[ \t]*yaml-language-server:[ \t]*\$schema=(?P<target>\S+)")
# Texts that readers of YAML 1.1 take for something else, so they are quoted: no, on, 12:30, 2026-11-21, 1_000, 0b1.
_TAKEN_FOR_ANOTHER = re.compile(
    r"(?i)y|n|yes|no|on|off|[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?|\d+-\d+-\d+.*|\d[\d_]*|0b.*"
)
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def with_version(text: str, version: str, *, file: str = "<text>") -> str:
    """Return a prompt file's text with another `version:`; the key is added where it was missing."""
    return with_value(text, ("version",), version, file=file)


def with_value(
    text: str, path: ValuePath, value: Any, *, file: str = "<text>", order: Sequence[str] = PROMPT_KEYS
) -> str:
    """Return a file's text with the value at `path` replaced, or added as a key of the map around it.

    `order` is where a new key of the root belongs. Raises PromptFileError where the file cannot be read, where `path`
    leads to a list or a map, and where the change cannot be made without touching something else.
    """
    mark = BOM if text.startswith(BOM) else ""
    body = text.removeprefix(BOM)
    document = read_yaml(body, file=file)
    root = node_tree(document)
    parent = node_at(root, path[:-1])
    if not path or parent is None or parent.kind not in ("list", "map"):
        raise _refused(document, path, "there is no place for it in the file", "write it by hand")
    node = node_at(root, path)
    candidates = (
        _replacements(body, node, value, _indent(body, root, path), parent)
        if node is not None
        else _insertions(body, parent, path, value, order if len(path) == 1 else ())
    )
    wanted = _changed(document.value, path, value)
    for edited in candidates:
        if _says(edited, wanted, file):
            return mark + edited
    if node is not None and node.kind in ("list", "map"):
        raise _refused(document, path, f"it is a {node.kind}", "change it by hand")
    hint = "a value shared through an anchor (&) is written out first" if "&" in body else "change it by hand"
    raise _refused(document, path, "it cannot be changed without changing something else", hint)


def with_items(text: str, key: str, items: Sequence[Any], *, file: str = "<text>") -> str:
    """Return a file's text with items added at the end of a list of the root, which is made where there is none.

    Raises PromptFileError where the list is written in brackets, or the change cannot be made without another.
    """
    document = read_yaml(text, file=file)
    wanted = copy.deepcopy(document.value)
    wanted[key] = [*(wanted.get(key) or []), *items]
    node = node_at(node_tree(document), (key,))
    line_break = newline_of(text)
    if node is None:
        head = text if text.endswith(("\n", "\r")) else text + line_break
        candidate = head + f"{key}:{line_break}" + _item_lines(items, "  ", line_break)
    elif node.kind == "list" and not node.is_flow and node.items:
        first = node.items[0].start
        indent = re.match(r"[ \t]*", text[line_start(text, first) :])
        place = line_end(text, node.items[-1].end - 1)
        lines = _item_lines(items, indent.group() if indent else "", line_break)
        ends = text[:place].endswith(("\n", "\r"))
        candidate = text[:place] + ("" if ends else line_break) + lines + text[place:].removeprefix(line_break)
    else:
        raise _refused(document, (key,), "it is not a list with one item a line", "write it so, or add them by hand")
    if not _says(candidate, wanted, file):
        raise _refused(document, (key,), "items cannot be added without touching something else", "add them by hand")
    return candidate


def _item_lines(items: Sequence[Any], indent: str, line_break: str) -> str:
    lines = dump_yaml(list(items)).splitlines()
    return "".join(f"{indent}{line}{line_break}" if line else line_break for line in lines)


def _refused(document: YamlDocument, path: ValuePath, why: str, hint: str) -> PromptFileError:
    line, column = document.place_of(path)
    said = f"{dotted(path)} cannot be edited: {why}"
    return PromptFileError(said, file=document.file, line=line, column=column, hint=hint)


def _changed(value: Any, path: ValuePath, new: Any) -> Any:
    changed = copy.deepcopy(value)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if isinstance(place, dict) or (isinstance(path[-1], int) and path[-1] < len(place)):
        place[path[-1]] = new
    return changed


def _says(text: str, wanted: Any, file: str) -> bool:
    try:
        return same(read_yaml(text, file=file).value, wanted)
    except UserError:
        return False  # the candidate is not YAML: the next one may be


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in type too: 1 is not 1.0 and not true."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def newline_of(text: str) -> str:
    """Return the line break a text uses, by its first one."""
    found = re.search(r"\r\n|\n|\r", text)
    return found.group() if found else "\n"


def _indent(text: str, root: Node, path: ValuePath) -> int:
    """Return the column from which the text of a block value is indented: that of its key, or of its list item."""
    parent = node_at(root, path[:-1])
    if parent is None or not (parent.entries or parent.items):
        return 0
    if parent.kind == "map":
        return indent_of(text, next((key.start for key, _ in parent.entries if key.value == path[-1]), parent.start))
    return indent_of(text, parent.start)


def _replacements(text: str, node: Node, value: Any, indent: int, parent: Node) -> list[str]:
    """Return texts with the value replaced, the one nearest to how it was written first."""
    if node.kind in ("list", "map"):
        return []
    literals = [literal(value, node.style)]
    if isinstance(value, str) and "\n" in value and not parent.is_flow:
        style = node.style if node.is_block_text else "|"
        literals = [*block_texts(value, indent + 2, newline_of(text), indicator=2, style=style), *literals]
    literals += [literal(value, '"')] if isinstance(value, str) else []
    return [_replaced(text, node, new) for new in literals]


def _replaced(text: str, node: Node, new: str) -> str:
    before, after = text[: node.start], text[node.end :]
    if node.is_block_text and (header := BLOCK_HEADER.match(text, node.start)):
        comment = (header["space"] or " ") + header["comment"] if header["comment"] else ""
        first, line_break, rest = new.partition(newline_of(text))
        new = first + comment + line_break + rest
    elif BLOCK_HEADER.match(new) and (trailing := re.match(r"[ \t]*#[^\r\n]*", after)):
        first, line_break, rest = new.partition(newline_of(text))
        new, after = first + trailing.group() + line_break + rest, after[trailing.end() :]
    if node.start == node.end and before[-1:] not in (" ", "\t"):
        new = " " + new
    if node.start == node.end and after[:1] not in ("", " ", "\t", "\n", "\r", ",", "]", "}"):
        new += " "
    return before + new + after


def _insertions(text: str, parent: Node, path: ValuePath, value: Any, order: Sequence[str]) -> list[str]:
    key = path[-1]
    if parent.kind != "map" or not isinstance(key, str):
        return []
    name = literal(key, "")
    before = _predecessor(parent, key, order)
    if parent.is_flow:
        return [_put_in_flow(text, parent, before, f"{name}: {literal(value, '')}")]
    if not parent.entries:
        return []
    indent = indent_of(text, parent.entries[0][0].start)
    line_break = newline_of(text)
    values = [literal(value, "")]
    if isinstance(value, str) and "\n" in value:
        values = [*block_texts(value, indent + 2, line_break, indicator=2), *values]
    at = _after(text, before[1], indent) if before else _head_end(text, parent.entries[0][0].start)
    return [_put_line(text, at, " " * indent + f"{name}: {new}", line_break, is_first=before is None) for new in values]


def _predecessor(parent: Node, key: str, order: Sequence[str]) -> tuple[Node, Node] | None:
    """Return the entry after which a key belongs: of those that come before it in the order the last in the file."""
    if key not in order:
        return parent.entries[-1] if parent.entries else None
    earlier = set(order[: list(order).index(key)])
    return next((entry for entry in reversed(parent.entries) if entry[0].value in earlier), None)


def _put_in_flow(text: str, parent: Node, before: tuple[Node, Node] | None, entry: str) -> str:
    if before is None:
        more = ", " if parent.entries else ""
        return text[: parent.start + 1] + entry + more + text[parent.start + 1 :]
    return text[: before[1].end] + ", " + entry + text[before[1].end :]


def _after(text: str, value: Node, indent: int) -> int:
    """Return where the lines of an entry end, with the comments that are indented like what is in it."""
    end = line_end(text, value.end)
    for found in re.compile(r"(?:\r\n|\n|\r)([ \t]*)#[^\r\n]*").finditer(text, end):
        if found.start() != end or len(found.group(1)) <= indent:
            break
        end = found.end()
    return end


def _head_end(text: str, first_key: int) -> int:
    """Return where the first key's line begins, or the comment that belongs to it: what follows the head's blank line.

    Comments that nothing separates from the key are the head of the file.
    """
    start = line_start(text, first_key)
    head = text[:start]
    blank = [found.end() for found in re.finditer(r"(?:^|\n|\r)[ \t]*(?:\r\n|\n|\r)", head)]
    return blank[-1] if blank and "#" in head[: blank[-1]] and text[start:first_key].strip() == "" else start


def _put_line(text: str, at: int, line: str, line_break: str, *, is_first: bool) -> str:
    if is_first:
        return text[:at] + line + line_break + text[at:]
    return text[:at] + line_break + line + text[at:]


def literal(value: Any, style: str = "") -> str:
    """Return a value as YAML on one line; text plain where it may be, else in the quotes of `style` where they do."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    if style == "'" and not re.search(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", value):
        return "'" + value.replace("'", "''") + "'"
    if style not in ("'", '"') and may_be_plain(value):
        return value
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04X}", json.dumps(value, ensure_ascii=False))


def may_be_plain(text: str) -> bool:
    """Whether a text reads as itself without quotes, in a flow map too, and for readers of older YAML."""
    if not text or len(text) > 200 or "\n" in text or _TAKEN_FOR_ANOTHER.fullmatch(text):
        return False
    if re.match(r"[-?:](?:\s|$)", text):
        return False  # outside of brackets these begin an item or a key
    if re.fullmatch(r"[A-Za-z_][\w ./+-]*[\w./+-]|[A-Za-z]", text, re.ASCII) and text.lower() not in (
        "true",
        "false",
        "null",
    ):
        return True
    return _says(f"[{text}, x]", [text, "x"], "<text>") and _says(f"{{{text}: {text}}}", {text: text}, "<text>")


def block_texts(text: str, width: int, line_break: str, *, indicator: int, style: str = "|") -> list[str]:
    """Return a text as a block whose lines are indented by `width`; nothing where no block can hold it.

    `indicator` is the depth to write down where the first line begins with a blank: columns below the parent's.
    """
    body = text.rstrip("\n")
    if not body or "\r" in text:
        return []
    style = "|" if "\n" in body else style  # folding lines that are there already would need blank ones between them
    chomp = chomping(text)
    depth = str(indicator) if body[0] in " \t\n" else ""
    lines = (text if chomp == "+" else body).split("\n")[: -1 if chomp == "+" else None]
    indented = [" " * width + line if line else "" for line in lines]
    return [line_break.join([f"{style}{depth}{chomp}", *indented])]


def chomping(text: str) -> str:
    """Return what the header of a block says of the line breaks at the end of its text."""
    return {0: "-", 1: ""}.get(len(text) - len(text.rstrip("\n")), "+")
