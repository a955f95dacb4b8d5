"""The comments of a YAML file, in order, each with its place and whether a blank line stands above it."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from promptstudio.prompts.nodes import BLOCK_HEADER, Node, line_start

_COMMENT = re.compile(r"#[^\n]*")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class Comment:
    """`column` counts from 0, `gap` the blanks before it; an `own_line` comment has nothing else before it."""

    start: int
    end: int
    column: int
    gap: int
    own_line: bool
    blank_above: bool
    text: str


class Comments:
    """Comments to be taken one by one, in the order of the text. Line breaks of the text are `\\n` alone."""

    def __init__(self, text: str, root: Node) -> None:
        self.text = text
        spans = list(_spans(root, text))
        places = [
            found.span() for start, end in _gaps(spans, len(text)) for found in _COMMENT.finditer(text, start, end)
        ]
        # Where something ends that may stand above a line: a blank line is one only behind the last of them.
        self.ends = sorted([end for _, end in spans] + [start + len(text[start:end].rstrip()) for start, end in places])
        self.all = [self._comment(start, end) for start, end in places]
        self.next = 0

    def _comment(self, start: int, end: int) -> Comment:
        before = self.text[line_start(self.text, start) : start]
        own_line, gap = not before.strip(), len(before) - len(before.rstrip())
        blank_above = own_line and self.blank_above(start)
        return Comment(start, end, len(before), gap, own_line, blank_above, self.text[start:end].rstrip())

    def blank_above(self, offset: int) -> bool:
        """Whether a blank line stands between a place and whatever is written before it."""
        index = bisect.bisect_right(self.ends, offset) - 1
        before = self.text[self.ends[index] if index >= 0 else 0 : offset]
        return bool(_BLANK_LINE.search(before))

    def peek(self, limit: int) -> Comment | None:
        """Return the next comment where it begins before a place."""
        found = self.all[self.next] if self.next < len(self.all) else None
        return found if found is not None and found.start < limit else None

    def take(self, limit: int) -> list[Comment]:
        """Take the comments that begin before a place."""
        taken = []
        while (comment := self.peek(limit)) is not None:
            taken.append(comment)
            self.next += 1
        return taken

    def take_behind(self, end: int) -> Comment | None:
        """Take the comment that stands on the same line behind a value, at most a comma between them."""
        comment = self.peek(len(self.text))
        if comment is None or comment.own_line or not re.fullmatch(r"[ \t]*,?[ \t]*", self.text[end : comment.start]):
            return None
        self.next += 1
        return comment

    def take_deeper(self, column: int, limit: int) -> list[Comment]:
        """Take the comments on lines of their own that are indented deeper than a column."""
        taken = []
        while (comment := self.peek(limit)) is not None and comment.own_line and comment.column > column:
            taken.append(comment)
            self.next += 1
        return taken

    def any_within(self, start: int, end: int) -> bool:
        return any(start < comment.start < end for comment in self.all[self.next :][:1])


def comment_texts(text: str, root: Node) -> list[str]:
    """Return what the comments of a file say, sorted."""
    return sorted(comment.text for comment in Comments(text, root).all)


def _spans(node: Node, text: str) -> Iterator[tuple[int, int]]:
    """Yield where scalars and aliases are written: a `#` outside of them begins a comment."""
    if node.is_block_text:
        header = BLOCK_HEADER.match(text, node.start)
        body = text.find("\n", node.start, node.end)
        yield node.start, header.end("head") if header else node.start
        if body >= 0:
            yield body, node.end
    elif node.kind in ("scalar", "alias"):
        yield node.start, node.end
    for item in node.items:
        yield from _spans(item, text)
    for key, value in node.entries:
        yield from _spans(key, text)
        yield from _spans(value, text)


def _gaps(spans: list[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    at = 0
    for start, end in spans:
        yield at, start
        at = end
    yield at, length
