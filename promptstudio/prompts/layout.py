"""The text of a YAML file → the same file in canonical layout. `ps fmt` is this and nothing else.

Keys in the order of the documentation, two blanks of indentation, short flow maps on one line and long ones as blocks,
long and multi-line texts as `|` blocks, at most one blank line, one line break at the end. Numbers, quotes and names
stay as they are written.

Comments go where the thing goes that they belong to: a comment on a line of its own to what follows it, unless it is
indented deeper than that; one behind a value to that value; the head of the file stays the head. (ruamel.yaml was
tried: it hands such a comment to the key *above*, drops comments within brackets and refuses a tab before a `#`.)

Nothing is trusted: the result is read again, and its value, its comments and its own layout must be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import PromptFileError, UserError
from promptstudio.prompts.comments import Comment, Comments, comment_texts
from promptstudio.prompts.edit import SCHEMA_COMMENT, block_texts, chomping, literal, newline_of, same
from promptstudio.prompts.filewrite import BOM
from promptstudio.prompts.keyorder import NESTED_KEYS, PROMPT_KEYS, SUITE_KEYS
from promptstudio.prompts.nodes import BLOCK_HEADER, Node, indent_of, line_start, node_tree
from promptstudio.prompts.yamlfile import ValuePath, read_yaml

WIDTH = 120
_ANYWHERE = 1 << 30  # a column no comment reaches: within brackets indentation says nothing


def has_layout(text: str, *, file: str = "<text>") -> bool:
    """Whether a file is a prompt or a suite. Raises PromptFileError for one that cannot be read."""
    return bool(_order(read_yaml(_plain_lines(text), file=file).value))


def laid_out(text: str, *, file: str = "<text>") -> str:
    """Return a file's text in canonical layout. Raises PromptFileError for one that cannot be read or kept."""
    once = _laid_out(text, file)
    try:
        kept = _kept(text, once, file) and _laid_out(once, file) == once
    except UserError as cause:
        raise _not_kept(file) from cause
    if not kept:
        raise _not_kept(file)
    return once


def _not_kept(file: str) -> PromptFileError:
    hint = "the file is as it was; rewrite the part with unusual YAML (anchors, tags, `? ` keys)"
    return PromptFileError("this file cannot be laid out without changing what it says", file=file, hint=hint)


def _kept(before: str, after: str, file: str) -> bool:
    """Whether two texts have the same value and the same comments."""
    old, new = (read_yaml(_plain_lines(text), file=file) for text in (before, after))
    comments = [comment_texts(document.text, node_tree(document)) for document in (old, new)]
    return same(old.value, new.value) and comments[0] == comments[1]


def _plain_lines(text: str) -> str:
    return text.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")


def _laid_out(text: str, file: str) -> str:
    document = read_yaml(_plain_lines(text), file=file)
    root = node_tree(document)
    lines = _Printer(document.text, root, _order(document.value)).whole(root)
    return newline_of(text).join([*lines, ""])


def _order(value: Any) -> Sequence[str]:
    """Return the order of the keys of the root: a suite has cases, a prompt a text; another file keeps its own."""
    keys = value if isinstance(value, dict) else {}
    return SUITE_KEYS if "cases" in keys else PROMPT_KEYS if "prompt" in keys or "messages" in keys else ()


@dataclass(slots=True)
class _Chunk:
    """An entry of a map or an item of a list as lines; `leading` are the comments above it, "" is a blank line.

    `keeps`: it ends in a text that keeps the blank lines after it, so none may be added.
    """

    name: str
    leading: list[str]
    lines: list[str] = field(default_factory=list)
    keeps: bool = False

    def append(self, lines: list[str]) -> None:
        self.lines += _trimmed(lines) if self.keeps else lines
        self.keeps = self.keeps and not lines


class _Printer:
    def __init__(self, text: str, root: Node, order: Sequence[str]) -> None:
        self.text = text
        self.comments = Comments(text, root)
        # With aliases in the file the order stays: an anchor must come before what uses it.
        self.order = () if _has_alias(root) else order

    def whole(self, root: Node) -> list[str]:
        if not (root.items or root.entries):
            return [comment.text for comment in self.comments.take(len(self.text))] + [self.flow(root)]
        first = root.entries[0][0].start if root.entries else root.items[0].start
        head, leading = self.split_head(self.comments.take(first), first)
        chunks = self.chunks(root, 0, -1, len(self.text), (), above=leading)
        tail = _above(self.comments.take(len(self.text)), 0)
        tail = _trimmed(tail) if chunks[-1].keeps else tail
        body = _trimmed(_joined(chunks)) if head[-1:] == [""] else _joined(chunks)
        schema = [line for line in [*head, *body, *tail] if line.startswith("#") and SCHEMA_COMMENT.match(line)]
        rest = [line for chunk in ([*head], body, tail) for line in chunk if line not in schema]
        return _trimmed([*schema, *rest])

    def split_head(self, comments: list[Comment], first: int) -> tuple[list[str], list[str]]:
        """Return the comments that open the file, and those of its first key: the last blank line parts them."""
        if self.comments.blank_above(first):
            return [*_above(comments, 0), ""], []
        parting = [index for index, comment in enumerate(comments) if index and comment.blank_above]
        if not parting:
            return _above(comments, 0), []
        return [*_above(comments[: parting[-1]], 0), ""], _trimmed(_above(comments[parting[-1] :], 0))

    def chunks(
        self, node: Node, indent: int, outer: int, limit: int, path: ValuePath, *, above: Sequence[str] = ()
    ) -> list[_Chunk]:
        """Print a collection as a block at `indent`; `outer` is the column of what it belongs to, `limit` its end."""
        is_map = node.kind == "map"
        starts = [key.start for key, _ in node.entries] if is_map else [item.start for item in node.items]
        ends = [*starts[1:], node.end if node.is_flow else limit]
        column = indent_of(self.text, node.start) if not is_map else 0
        chunks: list[_Chunk] = []
        for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
            leading = _above(self.comments.take(start), indent)
            leading += [""] if self.is_line_below_blank(start) else []
            chunk = _Chunk(
                node.entries[index][0].value if is_map else "", leading if index else [*above, *_trimmed(leading)]
            )
            if is_map:
                key, value = node.entries[index]
                at = _ANYWHERE if node.is_flow else indent_of(self.text, key.start)
                self.entry(chunk, " " * indent + self.key_text(key) + ":", value, indent, at, end, (*path, key.value))
            else:
                at = _ANYWHERE if node.is_flow else column
                self.item(chunk, node.items[index], indent, at, end, (*path, index))
            chunks.append(chunk)
        tail = self.comments.take(node.end) if node.is_flow else self.comments.take_deeper(outer, limit)
        if chunks and outer >= 0:
            chunks[-1].append(_above(tail, indent))
        elif chunks:
            self.comments.next -= len(tail)  # the end of the file is printed by `whole`
        return self.ordered(chunks, path) if is_map else chunks

    def is_line_below_blank(self, start: int) -> bool:
        return not self.text[line_start(self.text, start) : start].strip(" -") and self.comments.blank_above(start)

    def ordered(self, chunks: list[_Chunk], path: ValuePath) -> list[_Chunk]:
        if not self.order:
            return chunks
        order = (
            self.order
            if not path
            else NESTED_KEYS.get(tuple("*" if isinstance(step, int) else step for step in path), ())
        )
        places = {name: place for place, name in enumerate(order)}
        in_order = sorted(chunks, key=lambda chunk: places.get(chunk.name, len(places)))
        if path and in_order and in_order[0] is not chunks[0]:
            in_order[0].leading = _trimmed(in_order[0].leading)
        return in_order

    def key_text(self, key: Node) -> str:
        source = self.text[key.start : key.end]
        written = source if "\n" not in source and not key.is_block_text else literal(key.value, '"')
        return " ".join(filter(None, [key.properties, written]))

    def item(self, chunk: _Chunk, node: Node, indent: int, column: int, limit: int, path: ValuePath) -> None:
        dash = " " * indent + "-"
        if node.properties or not self.is_block(node, dash):
            self.entry(chunk, dash, node, indent, column, limit, path)
            return
        inner = self.chunks(node, indent + 2, column, limit, path)
        behind = self.comments.take_behind(node.end) if node.is_flow else None
        chunk.leading += [" " * indent + line.strip() for line in inner[0].leading if line]
        chunk.leading += [" " * indent + behind.text] if behind else []
        inner[0].leading = []
        chunk.lines, chunk.keeps = _joined(inner), inner[-1].keeps
        chunk.lines[0] = dash + " " + chunk.lines[0].lstrip(" ")

    def entry(
        self, chunk: _Chunk, prefix: str, node: Node, indent: int, column: int, limit: int, path: ValuePath
    ) -> None:
        """Print what follows `key:` or `-`."""
        prefix += f" {node.properties}" if node.properties else ""
        if self.is_block(node, prefix):
            between = self.comments.take(node.start) if node.is_flow else []
            first = node.entries[0][0].start if node.entries else node.items[0].start
            following = self.comments.peek(first)
            if following is not None and not following.own_line:
                between += self.comments.take(following.end)
            inner = self.chunks(node, indent + 2, column, limit, path)
            behind = self.comments.take_behind(node.end) if node.is_flow else None
            chunk.lines, chunk.keeps = [prefix, *_joined(inner)], inner[-1].keeps
        else:
            between = self.comments.take(node.start)
            chunk.lines, behind_at = self.leaf(prefix, node, indent)
            chunk.keeps = len(chunk.lines) > 1 and chunk.lines[0].endswith("+")
            between += self.comments.take(node.end) if node.kind in ("list", "map") else []
            behind = self.comments.take_behind(behind_at)
        self.place_comments(chunk, between, behind, indent)
        if len(chunk.lines) == 1 and column < _ANYWHERE:
            chunk.lines += _above(self.comments.take_deeper(column, limit), indent + 2)

    def place_comments(self, chunk: _Chunk, between: list[Comment], behind: Comment | None, indent: int) -> None:
        """Put one comment behind the first line, and what does not fit there above it."""
        if behind is None and between and not between[0].own_line:
            behind = between.pop(0)
        chunk.leading += [" " * indent + comment.text for comment in between]
        if behind is not None:
            chunk.lines[0] += " " * max(behind.gap, 1) + behind.text  # so that comments in a column stay in one

    def is_block(self, node: Node, prefix: str) -> bool:
        """Whether a collection is printed as a block: it was one, is too long for a line, or has comments in it."""
        if not (node.items or node.entries):
            return False
        return (
            not node.is_flow
            or self.comments.any_within(node.start, node.end)
            or len(prefix) + 1 + len(self.flow(node)) > WIDTH
        )

    def leaf(self, prefix: str, node: Node, indent: int) -> tuple[list[str], int]:
        """Return a scalar, an alias or a short flow collection as lines, and where a comment behind it would begin."""
        if node.is_block_text:
            header = BLOCK_HEADER.match(self.text, node.start)
            end = header.end("head") if header else node.end
            return self.block(prefix, node, indent), end
        if self.is_long_text(node, prefix):
            block = block_texts(node.value, indent + 2, "\n", indicator=2)
            if block:
                first, *rest = block[0].split("\n")
                return [f"{prefix} {first}", *rest], node.end
        written = self.flow(node) if node.start < node.end else ""
        return [f"{prefix} {written}".rstrip(" ") if not written else f"{prefix} {written}"], node.end

    def is_long_text(self, node: Node, prefix: str) -> bool:
        """Whether a text has several lines, or is too long for one and has blanks in it."""
        if node.kind != "scalar" or node.start == node.end:
            return False
        length = len(prefix) + 1 + len(self.scalar(node))
        return "\n" in node.value.strip("\n") or (length > WIDTH and " " in node.value.strip())

    def block(self, prefix: str, node: Node, indent: int) -> list[str]:
        header, *body = self.text[node.start : node.end].split("\n")
        head = BLOCK_HEADER.match(header)
        lines: list[str] = []
        if (
            node.style == ">"
            and head
            and not any(digit in head["head"] for digit in "123456789")
            and node.value.strip()
        ):
            depth = next(len(line) - len(line.lstrip(" ")) for line in body if line.strip())
            lines = [
                ">" + chomping(node.value),
                *(" " * (indent + 2) + line[depth:] if line[depth:] else "" for line in body),
            ]
        elif block := block_texts(node.value, indent + 2, "\n", indicator=2):
            lines = block[0].split("\n")
        first, *rest = lines or [literal(node.value, '"')]
        return [f"{prefix} {first}", *rest]

    def flow(self, node: Node) -> str:
        """Return a node on one line."""
        if node.kind == "map":
            entries = [f"{self.key_text(key)}: {self.with_properties(value)}" for key, value in node.entries]
            return "{" + ", ".join(entries) + "}"
        if node.kind == "list":
            return "[" + ", ".join(self.with_properties(item) for item in node.items) + "]"
        return self.scalar(node)

    def with_properties(self, node: Node) -> str:
        return " ".join(filter(None, [node.properties, self.flow(node)]))

    def scalar(self, node: Node) -> str:
        if node.kind == "alias":
            return f"*{node.value}"
        source = self.text[node.start : node.end]
        if "\n" in source or node.is_block_text:
            return literal(node.value, node.style)
        return source or "null"


def _has_alias(node: Node) -> bool:
    children = [*node.items, *(child for entry in node.entries for child in entry)]
    return node.kind == "alias" or any(_has_alias(child) for child in children)


def _above(comments: list[Comment], indent: int) -> list[str]:
    lines = []
    for comment in comments:
        lines += [""] if comment.blank_above else []
        lines.append(" " * indent + comment.text)
    return lines


def _joined(chunks: list[_Chunk]) -> list[str]:
    lines: list[str] = []
    keeps = False
    for chunk in chunks:
        lines += [*(_trimmed(chunk.leading) if keeps else chunk.leading), *chunk.lines]
        keeps = chunk.keeps
    return lines


def _trimmed(lines: list[str]) -> list[str]:
    """Drop blank lines at the beginning."""
    start = next((index for index, line in enumerate(lines) if line), len(lines))
    return lines[start:]
