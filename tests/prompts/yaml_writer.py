"""YAML as people and other programs may write it, for properties: any indentation, any style, comments anywhere."""

from __future__ import annotations

import re

from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        "a",
        "bc",
        "مرحبا",
        "שלום",
        "x y",
        "1",
        "0.5",
        "true",
        "null",
        "it's",
        "no",
        "{{ x }}",
        "e # f",
        "g: h",
        "- i",
        "👋",
    ]
)
KEYS = ["name", "prompt", "model", "x-a", "description", "inputs", "metadata", "k", "مفتاح", "cases"]


class Writer:
    """Writes YAML as people and other programs may write it: any indentation, any style, comments anywhere."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.noted = 0

    def whether(self) -> bool:
        return self.draw(st.sampled_from([True, False, False]))

    def note(self) -> str:
        self.noted += 1
        gap = self.draw(st.sampled_from([" ", "", "\t", " # "]))
        return f"#{gap}note {self.noted} {self.draw(WORDS)}"

    def behind(self) -> str:
        return self.draw(st.sampled_from([" ", "   ", "\t"])) + self.note() if self.whether() else ""

    def above(self, indent: int) -> None:
        for _ in range(self.draw(st.sampled_from([0, 0, 0, 1, 2]))):
            deeper = self.draw(st.sampled_from([0, 0, 1, 3]))
            self.lines.append(self.draw(st.sampled_from(["", " " * indent + " " * deeper + self.note()])))

    def quoted(self) -> str:
        text = self.draw(WORDS)
        return self.draw(
            st.sampled_from(["'" + text.replace("'", "''") + "'", '"' + text + '"', '"' + text + '\\n\\n b"'])
        )

    def plain(self) -> str:
        return self.draw(
            st.sampled_from(["a", "b c", "مرحبا", "1", "0.50", "true", "~", "word " * 30 + "end", "x:y", "a#b"])
        )

    def flow(self, depth: int, indent: int) -> str:
        kind = self.draw(st.sampled_from(["plain", "quoted", "map", "list"])) if depth else "plain"
        if kind == "plain":
            return self.draw(st.sampled_from(["a", "b c", "مرحبا", "1", "null", "w" * 70]))
        if kind == "quoted":
            return self.quoted()
        opened, closed = "{}" if kind == "map" else "[]"
        parts = []
        for index in range(self.draw(st.integers(0, 3))):
            value = self.flow(depth - 1, indent)
            parts.append((f"k{index}: " if kind == "map" else "") + value)
        if self.whether():
            breaks = [self.behind() + "\n" + " " * (indent + 1) for _ in range(len(parts) + 1)]
            inner = breaks[0] + "".join(part + "," + gap for part, gap in zip(parts, breaks[1:], strict=True))
            return opened + inner + closed
        return opened + self.draw(st.sampled_from(["", " "])) + ", ".join(parts) + closed

    def value(self, prefix: str, indent: int, depth: int) -> None:
        kind = self.draw(st.sampled_from(["plain", "quoted", "folds", "block", "flow", "map", "list", "none"]))
        if kind == "plain":
            self.lines.append(f"{prefix} {self.plain()}{self.behind()}")
        elif kind == "quoted":
            self.lines.append(f"{prefix} {self.quoted()}{self.behind()}")
        elif kind == "folds":
            self.lines += [
                f"{prefix} 'one",
                "",
                " " * (indent + 1) + "two",
                " " * (indent + 2) + "three'" + self.behind(),
            ]
        elif kind == "block":
            self.block(prefix, indent)
        elif kind == "flow":
            self.lines += f"{prefix} {self.flow(2, indent)}{self.behind()}".split("\n")
        elif kind == "none" or depth == 0:
            self.lines.append(prefix + self.behind())
        elif kind == "map":
            self.lines.append(prefix + self.behind())
            self.map(indent + self.draw(st.integers(1, 4)), depth - 1)
        else:
            self.lines.append(prefix + self.behind())
            self.list(indent + self.draw(st.integers(0 if prefix.strip() != "-" else 1, 3)), depth - 1)

    def block(self, prefix: str, indent: int) -> None:
        style, chomp = self.draw(st.sampled_from("|>")), self.draw(st.sampled_from(["", "-", "+"]))
        width = indent + self.draw(st.integers(1, 4))
        self.lines.append(f"{prefix} {style}{chomp}{self.behind()}")
        for text in self.draw(
            st.lists(st.sampled_from(["a", "  b", "", "# no comment", "c: d", "مرحبا", "e  "]), max_size=4)
        ):
            self.lines.append(" " * width + text if text else "")

    def map(self, indent: int, depth: int) -> None:
        for key in self.draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)):
            self.above(indent)
            self.value(" " * indent + key + ":", indent, depth)

    def list(self, indent: int, depth: int) -> None:
        for _ in range(self.draw(st.integers(1, 3))):
            self.above(indent)
            if depth and self.whether():
                start = len(self.lines)
                self.map(indent + 2, depth - 1)
                keys = [n for n in range(start, len(self.lines)) if self.lines[n].startswith(" " * (indent + 2) + "")]
                first = next((n for n in keys if re.match(r" *[^\s#]", self.lines[n])), start)
                self.lines[first] = " " * indent + "- " + self.lines[first].lstrip(" ")
            else:
                self.value(" " * indent + "-", indent, depth)


@st.composite
def yaml_texts(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    writer.map(draw(st.sampled_from([0, 0, 0, 2])), 3)
    writer.above(0)
    line_break = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return line_break.join(writer.lines) + draw(st.sampled_from(["", line_break, line_break * 3]))


def notes(text: str) -> list[str]:
    """Return the comments of such a text."""
    return sorted(re.findall(r"note \d+", text))
