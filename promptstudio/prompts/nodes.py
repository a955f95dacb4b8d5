"""A parsed YAML file → its nodes as they are written: where each begins and ends in the text, and in which style.

For those who change a file and keep the rest of it. Offsets count characters of `YamlDocument.text`; `end` is where the
last character that belongs to a node stands, comments and the line break after it left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from promptstudio.prompts.yamlfile import Mark, ValuePath, YamlDocument, yaml_marks

_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*[ \t]*)+")
BLOCK_HEADER = re.compile(r"(?P<head>[|>][-+0-9]*)(?P<space>[ \t]*)(?P<comment>#[^\r\n]*)?")


@dataclass(slots=True)
class Node:
    """A scalar, an alias, a list or a map. `style` is as in `Mark`.

    `start` is behind the node's anchor and tag, which are `properties`; for an empty value start and end are equal.
    """

    kind: str
    start: int
    end: int
    style: str = ""
    value: str = ""
    properties: str = ""
    items: list[Node] = field(default_factory=list)
    entries: list[tuple[Node, Node]] = field(default_factory=list)

    @property
    def is_flow(self) -> bool:
        return self.style == "flow"

    @property
    def is_block_text(self) -> bool:
        return self.style in ("|", ">")


def node_tree(document: YamlDocument) -> Node:
    """Return the root node of a document."""
    marks = yaml_marks(document)
    return _node(next(marks), marks, document.text)


def node_at(root: Node, path: ValuePath) -> Node | None:
    """Return the node at a path; None where there is none, or where the way to it goes through an alias."""
    node = root
    for step in path:
        if node.kind == "map":
            child = next((value for key, value in node.entries if key.value == step), None)
        else:
            inside = node.kind == "list" and isinstance(step, int) and step < len(node.items)
            child = node.items[step] if inside and isinstance(step, int) else None
        if child is None:
            return None
        node = child
    return node


def _node(mark: Mark, marks: Iterator[Mark], text: str) -> Node:
    node = Node(mark.kind, mark.start, mark.end, mark.style, mark.value)
    if found := _PROPERTIES.match(text, mark.start, max(mark.end, mark.start)) if mark.kind != "alias" else None:
        node.properties = found.group().strip()
        node.start = min(found.end(), mark.end)
    if mark.kind in ("list", "map"):
        # The mark ends behind `[` or `{`; of a block it ends before the first key or `-`, at times behind the `-`.
        node.start = mark.end - 1 if node.is_flow or text[mark.start : mark.end].endswith("-") else mark.end
    if mark.kind == "scalar":
        if mark.style in ("|", ">"):
            node.start = _header_start(text, node.start, mark.end)
            node.end = _block_end(text, node.start, mark.end)
        elif node.start < mark.end:
            node.start = _content_start(text, node.start, mark.end)
        return node
    if mark.kind != "alias":
        _fill(node, marks, text)
    return node


def _fill(node: Node, marks: Iterator[Mark], text: str) -> None:
    for mark in marks:
        if mark.kind == "end":
            if node.is_flow:
                node.end = mark.end
            return
        child = _node(mark, marks, text)
        if node.kind == "list":
            node.items.append(child)
        else:
            value = _node(next(marks), marks, text)
            node.entries.append((child, value))
            child = value
        node.end = max(node.end, child.end)


def _header_start(text: str, start: int, end: int) -> int:
    """An anchor may stand on the line before the `|`."""
    found = re.compile(r"[|>]").search(text, start, end)
    return found.start() if found else start


def _content_start(text: str, start: int, end: int) -> int:
    """Skip the blank space that may stand between an anchor and its scalar."""
    found = re.compile(r"\S").search(text, start, end)
    return found.start() if found else end


def _block_end(text: str, start: int, end: int) -> int:
    """Return where a block's text ends; blank lines after it are not part of it, unless `+` keeps them."""
    header = BLOCK_HEADER.match(text, start)
    lines = text[start:end].splitlines(keepends=True)
    if header is None or "+" not in header["head"]:
        indent = next((len(line) - len(line.lstrip(" ")) for line in lines[1:] if line.strip()), 0)
        while len(lines) > 1 and not lines[-1].strip(" \r\n") and len(lines[-1].rstrip("\r\n")) <= indent:
            lines.pop()
    whole = "".join(lines)
    return start + len(whole) - len(lines[-1]) + len(lines[-1].rstrip("\r\n"))


def indent_of(text: str, offset: int) -> int:
    """Return the column, from 0, of a place in the text."""
    return offset - line_start(text, offset)


def line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def line_end(text: str, offset: int) -> int:
    """Return where the line of a place ends, its line break left out."""
    found = re.compile(r"\r|\n").search(text, offset)
    return found.start() if found else len(text)
