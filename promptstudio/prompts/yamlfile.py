"""Text of a YAML file → plain Python values, and where each of them stands.

YAML 1.2 core schema on the C parser: `no` is text, `012` is twelve, a date is text. The parser's events are read one by
one and nested depth, alias expansion and number length are checked on the way, so a hostile file costs no more than a
large honest one. What JSON cannot hold (tags, non-text keys, infinities) is refused with its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from promptstudio.errors import PromptFileError, UserError
from promptstudio.prompts.textfile import MAX_BYTES, decode_text, read_text_file, too_large

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "MAX_NUMBER_LENGTH",
    "QUOTE_HINT",
    "Mark",
    "Place",
    "ValuePath",
    "YamlDocument",
    "decode_text",
    "dump_yaml",
    "read_text_file",
    "read_yaml",
    "same_data",
    "yaml_marks",
]

ValuePath = tuple[str | int, ...]
Place = tuple[int, int]

MAX_NODES = 50_000
MAX_DEPTH = 50
MAX_NUMBER_LENGTH = 400

QUOTE_HINT = 'quote the value ("{{ name }}") or put the text on the lines after `|`'
SMALLEST_PROMPT = "the smallest prompt is one line:  prompt: Say hello to {{ name }}."
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some PyYAML builds come without the C parser

# The core schema of YAML 1.2.2, section 10.3.2: a plain scalar that matches none of these is text.
_NULL = re.compile(r"|~|null|Null|NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_CORE = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset({_CORE + name for name in ("str", "int", "float", "bool", "null")})
_BAD_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONFLICT = re.compile(r"^(?:<{7} |>{7} |\|{7} |={7}$)", re.MULTILINE)

# What the parser says → what to do about it.
_SYNTAX_HINTS = {
    "mapping values are not allowed": "a text with `: ` in it must be quoted; also check the indentation",
    "found undefined alias": "quote a value that starts with *",
    "unexpected end of stream": "a quote or a bracket is opened and never closed",
    "could not find expected ':'": "each line of a map is `key: value`; longer text goes after `key: |`, indented",
    "did not find expected key": "check the indentation and the quotes of this line and the one above",
    "did not find expected '-' indicator": "the items of a list start at one column, each with `- `",
    "did not find expected ',' or": "a bracket is opened and never closed, or a comma is missing",
    "unknown escape character": "in double quotes write \\\\ for a backslash, or use single quotes",
}
_START_HINTS = {
    "\t": "indent with spaces, not tabs",
    "@": "quote a value that starts with @",
    "`": "quote a value that starts with a backquote",
    "%": "quote a value that starts with %",
}


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed file, `text` as it was read. Lines and columns count from 1.

    `positions` are the places of values, `keys` those of their keys, `spans` the first and last line that hold the text
    of a string, `literals` how numbers, booleans and nulls were written.
    """

    file: str
    text: str = field(repr=False)
    value: Any
    positions: Mapping[ValuePath, Place] = field(repr=False)
    keys: Mapping[ValuePath, Place] = field(repr=False)
    spans: Mapping[ValuePath, tuple[int, int]] = field(repr=False)
    literals: Mapping[ValuePath, str] = field(repr=False)

    def place_of(self, path: ValuePath) -> Place:
        """Return the place of the value at `path`, or of the nearest value around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                return self.positions[path[:length]]
        return (1, 1)


@dataclass(slots=True)
class _Node:
    """A YAML node before aliases are unfolded; `size` and `height` count as if they were."""

    kind: str  # "scalar" | "list" | "map"
    place: Place
    value: Any = None
    items: list[_Node] = field(default_factory=list)
    entries: dict[str, tuple[Place, _Node]] = field(default_factory=dict)
    span: tuple[int, int] = (0, 0)
    literal: str | None = None
    size: int = 1
    height: int = 1
    anchor: str | None = None
    key: tuple[str, Place] | None = None  # the key that waits for its value
    flow: bool = False


def read_yaml(
    text: str | bytes,
    *,
    file: str,
    error: type[UserError] = PromptFileError,
    max_bytes: int = MAX_BYTES,
    max_nodes: int = MAX_NODES,
    empty_hint: str = SMALLEST_PROMPT,
) -> YamlDocument:
    """Parse one YAML document. Raises `error` at the first thing that is wrong, with its line and column.

    `empty_hint` says what could stand in a file that has nothing in it.
    """
    decoded = decode_text(text, file=file, error=error) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    return _Reader(decoded, file, error, max_bytes, max_nodes, empty_hint).read()


@dataclass(frozen=True, slots=True)
class Mark:
    """A node as it is written, or the end of a list or a map: offsets into the text, for those who edit it.

    `style` is `'`, `"`, `|` or `>` for a scalar, `flow` for a collection in brackets, else empty. `value` is the text
    of a scalar, the name of an alias.
    """

    kind: str  # "scalar" | "alias" | "list" | "map" | "end"
    start: int
    end: int
    style: str = ""
    value: str = ""


def yaml_marks(document: YamlDocument) -> Iterator[Mark]:
    """Yield the nodes of a document that was read, in their order; aliases stand for themselves."""
    events: Iterator[Any] = yaml.parse(document.text, Loader=_LOADER)
    for event in events:
        at = (event.start_mark.index, event.end_mark.index)
        if isinstance(event, yaml.ScalarEvent):
            yield Mark("scalar", *at, "" if _is_plain(event) else event.style or "", event.value)
        elif isinstance(event, yaml.AliasEvent):
            yield Mark("alias", *at, "", event.anchor or "")
        elif isinstance(event, yaml.CollectionStartEvent):
            kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "map"
            yield Mark(kind, *at, "flow" if event.flow_style else "")
        elif isinstance(event, yaml.CollectionEndEvent):
            yield Mark("end", *at)


class _Reader:
    """One reading of one document: a stack of open nodes, fed by the parser's events."""

    def __init__(
        self, text: str, file: str, error: type[UserError], max_bytes: int, max_nodes: int, empty_hint: str
    ) -> None:
        self.text, self.file, self.error = text, file, error
        self.empty_hint = empty_hint
        self.max_bytes, self.max_nodes = max_bytes, max_nodes
        self.stack: list[_Node] = []
        self.anchors: dict[str, _Node] = {}
        self.root: _Node | None = None

    def read(self) -> YamlDocument:
        self.check_text()
        documents = 0
        for event in self.events():
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.fail(
                        "a second document starts here", _place(event), "one file holds one document: remove `---`"
                    )
            elif isinstance(event, yaml.NodeEvent):
                self.take(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.close(self.stack.pop())
        if self.root is None or (self.root.kind == "scalar" and self.root.value is None):
            self.fail("the file is empty", (1, 1), self.empty_hint)
        return _unfold(self.root, self.file, self.text)

    def check_text(self) -> None:
        size = len(self.text.encode("utf-8", "surrogatepass"))
        if size > self.max_bytes:
            raise too_large(size, self.file, self.error)
        if found := _CONFLICT.search(self.text):
            self.fail(
                f"a git conflict marker: {found.group().strip()}",
                self.place_at(found.start()),
                "resolve the merge conflict and remove the markers",
            )
        if found := _BAD_CHARACTER.search(self.text):
            code = ord(found.group())
            hint = (
                "remove it"
                if code in (0, 0xFFFE, 0xFFFF) or code > 0xD7FF
                else f'in double quotes write "\\u{code:04X}"'
            )
            self.fail(f"a character that YAML does not allow: U+{code:04X}", self.place_at(found.start()), hint)

    def place_at(self, offset: int) -> Place:
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)

    def fail(self, message: str, place: Place, hint: str | None = None) -> NoReturn:
        raise self.error(message, file=self.file, line=place[0], column=place[1], hint=hint)

    def events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self.text, Loader=_LOADER)
        except yaml.MarkedYAMLError as cause:
            raise self.syntax_error(cause) from cause
        except yaml.YAMLError as cause:  # the reader's own, which has no mark
            raise self.error(f"not YAML: {cause}", file=self.file) from cause

    def syntax_error(self, cause: yaml.MarkedYAMLError) -> UserError:
        mark = cause.problem_mark or cause.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = cause.problem or "not YAML"
        if cause.context and cause.context_mark and cause.context_mark.line + 1 != line:
            problem = f"{problem} ({cause.context}, which starts on line {cause.context_mark.line + 1})"
        hint = next((hint for start, hint in _SYNTAX_HINTS.items() if start in problem), None)
        lines = self.text.splitlines()
        if "cannot start any token" in problem and mark and line <= len(lines):
            hint = _START_HINTS.get(lines[line - 1][column - 1 : column])
        around = "\n".join(lines[max(line - 2, 0) : line])
        if re.search(r"(?:^|:|-)\s*\{[{%#]", around):
            hint = QUOTE_HINT
        return self.error(f"not YAML: {problem}", file=self.file, line=line, column=column, hint=hint)

    def take(self, event: Any) -> None:
        parent = self.stack[-1] if self.stack else None
        if parent is not None and parent.kind == "map" and parent.key is None:
            parent.key = self.key_of(event, parent)
            return
        if isinstance(event, yaml.AliasEvent):
            self.attach(self.aliased(event))
            return
        node = self.node_of(event)
        if node.kind == "scalar":
            self.close(node)
            return
        if len(self.stack) >= MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels", node.place)
        self.stack.append(node)

    def key_of(self, event: Any, parent: _Node) -> tuple[str, Place]:
        place = _place(event)
        if isinstance(event, yaml.MappingStartEvent) and event.flow_style and parent.flow:
            self.fail("`{{` opens a map within a map here", place, QUOTE_HINT)
        if not isinstance(event, yaml.ScalarEvent):
            self.fail("a key must be plain text", place, "write `key: value`")
        key = event.value
        if _is_plain(event) and key == "<<":
            self.fail(
                "`<<` (merge) is not part of YAML 1.2", place, "write the keys out, or use a variant or a profile"
            )
        if not isinstance(self.scalar_value(event)[0], str):
            self.fail(f"the key {key or 'null'} is not text", place, f'quote it: "{key}"')
        if key in parent.entries:
            first = parent.entries[key][0]
            self.fail(f"the key {key!r} is here twice; the first is on line {first[0]}", place, "keep one of them")
        return key, place

    def aliased(self, event: Any) -> _Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            name = event.anchor[:60]
            self.fail(f"*{name} names no anchor (&{name}) above it", _place(event), "quote a text that starts with *")
        return node

    def node_of(self, event: Any) -> _Node:
        place = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            value, is_text = self.scalar_value(event)
            literal = None if is_text else event.value
            return _Node("scalar", place, value, span=_span(event), literal=literal, anchor=event.anchor)
        kind, core = ("list", "seq") if isinstance(event, yaml.SequenceStartEvent) else ("map", "map")
        if event.tag not in (None, "!", _CORE + core):
            self.refuse_tag(event.tag, place)
        return _Node(kind, place, anchor=event.anchor, flow=bool(event.flow_style))

    def refuse_tag(self, tag: str, place: Place) -> NoReturn:
        shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        self.fail(f"the tag {shown[:60]} is not allowed", place, "files hold plain data: text, numbers, lists and maps")

    def scalar_value(self, event: Any) -> tuple[Any, bool]:
        """Return the value and whether it is text."""
        tag, text = event.tag, event.value
        if tag is None or tag == "!":
            if tag == "!" or not _is_plain(event):
                return text, True
            return self.plain_value(text, _place(event))
        if tag not in _SCALAR_TAGS:
            self.refuse_tag(tag, _place(event))
        wanted = tag.removeprefix(_CORE)
        if wanted == "str":
            return text, True
        value, is_text = self.plain_value(text, _place(event))
        value = float(value) if wanted == "float" and type(value) is int else value
        if is_text or {"int": int, "float": float, "bool": bool, "null": type(None)}[wanted] is not type(value):
            self.fail(f"{text[:60]!r} has the tag !!{wanted} and is none", _place(event))
        return value, False

    def plain_value(self, text: str, place: Place) -> tuple[Any, bool]:
        if _NULL.fullmatch(text):
            return None, False
        if text in _BOOLS:
            return _BOOLS[text], False
        if text[0] not in "+-.0123456789":
            return text, True
        for pattern, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
            if pattern.fullmatch(text):
                self.check_length(text, place)
                return int(text[2:] if base != 10 else text, base), False
        if _FLOAT.fullmatch(text):
            self.check_length(text, place)
            number = float(text)
            if math.isinf(number):
                self.fail(f"the number {text[:60]} is too large", place, "quote it if it is text")
            return number, False
        if _NOT_FINITE.fullmatch(text):
            self.fail(f"{text} is not a number JSON knows", place, "quote it if it is text")
        return text, True

    def check_length(self, text: str, place: Place) -> None:
        if len(text) > MAX_NUMBER_LENGTH:
            message = f"a number of {len(text):,} digits; the limit is {MAX_NUMBER_LENGTH}"
            self.fail(message, place, "quote it if it is text")

    def close(self, node: _Node) -> None:
        """A node is complete: from here on it can be the target of an alias."""
        if node.anchor is not None:
            self.anchors[node.anchor] = node
        self.attach(node)

    def attach(self, node: _Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if parent.kind == "list":
            parent.items.append(node)
        elif parent.key is not None:
            parent.entries[parent.key[0]] = (parent.key[1], node)
            parent.key = None
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if parent.size > self.max_nodes:
            self.fail(
                f"more than {self.max_nodes:,} values once aliases are unfolded",
                parent.place,
                "move data to a file of its own",
            )
        if len(self.stack) + node.height > MAX_DEPTH + 1:
            self.fail(f"nested deeper than {MAX_DEPTH} levels", node.place)


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _is_plain(event: Any) -> bool:
    return event.style not in ("'", '"', "|", ">")


def _span(event: Any) -> tuple[int, int]:
    """Return the first and last line of a scalar's text; a block's text starts on the line after its `|`."""
    start, end = event.start_mark.line + 1, event.end_mark.line + 1
    if event.style in ("|", ">"):
        return start + 1, max(start + 1, end - 1 if event.end_mark.column == 0 else end)
    return start, end


def _unfold(root: _Node, file: str, text: str) -> YamlDocument:
    """Build the values; each alias becomes a copy with places of its own, so that nothing is shared."""
    positions: dict[ValuePath, Place] = {}
    keys: dict[ValuePath, Place] = {}
    spans: dict[ValuePath, tuple[int, int]] = {}
    literals: dict[ValuePath, str] = {}

    def build(node: _Node, path: ValuePath) -> Any:
        positions[path] = node.place
        if node.kind == "list":
            return [build(item, (*path, index)) for index, item in enumerate(node.items)]
        if node.kind == "map":
            for key, (place, _) in node.entries.items():
                keys[(*path, key)] = place
            return {key: build(child, (*path, key)) for key, (_, child) in node.entries.items()}
        if node.literal is None:
            spans[path] = node.span
        else:
            literals[path] = node.literal
        return node.value

    return YamlDocument(file, text, build(root, ()), positions, keys, spans, literals)


# -- writing ---------------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Block style, two spaces deeper for the items of a list too, no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _written_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """`|` for what has several lines, quotes for what YAML 1.2 would read as something else than text."""
    style = None
    if "\n" in text and not _BAD_CHARACTER.search(text) and "\x85" not in text:
        style = "|"
    elif _reads_as_no_text(text):
        style = "'"
    return dumper.represent_scalar(_CORE + "str", text, style=style)


def _reads_as_no_text(text: str) -> bool:
    patterns = (_NULL, _INT, _OCTAL, _HEX, _FLOAT, _NOT_FINITE)
    return text in _BOOLS or any(pattern.fullmatch(text) for pattern in patterns)


def _quoted_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_CORE + "str", text, style='"')


class _QuotingDumper(_Dumper):
    """Every text in double quotes: plain to look at for nobody, and right for every text."""


_Dumper.add_representer(str, _written_text)
_QuotingDumper.add_representer(str, _quoted_text)


def dump_yaml(value: Any) -> str:
    """Return plain data as block YAML that `read_yaml` reads back exactly: `|` for text of many lines, keys as given.

    Letters of every script stand as they are. Raises ValueError for what no file of ours can hold: infinities, keys
    that are not text, too many or too deeply nested values.
    """
    for dumper in (_Dumper, _QuotingDumper):
        try:
            text = yaml.dump(
                value, Dumper=dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=1 << 30
            )
            text = text.removesuffix("...\n")  # PyYAML ends a document so after a bare text, and after `|+`
            if same_data(read_yaml(text, file="<written>").value, value):
                return text
        except (UserError, yaml.YAMLError, RecursionError) as cause:
            reason: Exception = cause
        else:
            reason = ValueError("it reads back as something else")
    raise ValueError(f"this cannot be written as YAML: {reason}") from reason


def same_data(one: Any, other: Any) -> bool:
    """Compare plain data by value and type: true is not 1, and 1 is not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same_data(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_data, one, other))
    return bool(one == other)
