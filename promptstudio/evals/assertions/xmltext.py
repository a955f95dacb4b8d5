"""Text → XML elements, with expat. A document type is refused: entities can be made to grow without bound.

Source of the danger: https://docs.python.org/3/library/xml.html#xml-security
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat

MAX_DEPTH = 500
MAX_PATH_LENGTH = 2_000
_TAG = re.compile(r"<(/?)([^\W\d][\w:.-]*)((?:\s[^<>]*)?)(/?)>")


@dataclass(frozen=True, slots=True)
class XmlFragment:
    """A well-formed element: the paths of all elements in it, from its root, as in `root.child`."""

    paths: frozenset[str]


class _RefusedXml(Exception):
    pass


def document(text: str) -> XmlFragment | str:
    """Read a text that is one XML document; the reason where it is none."""
    open_elements: list[str] = []
    paths: set[str] = set()

    def start(name: str, _attributes: dict[str, str]) -> None:
        if len(open_elements) >= MAX_DEPTH:
            raise _RefusedXml(f"nested deeper than {MAX_DEPTH} elements")
        path = f"{open_elements[-1]}.{name}" if open_elements else name
        open_elements.append(path[:MAX_PATH_LENGTH])
        paths.add(open_elements[-1])

    def end(_name: str) -> None:
        open_elements.pop()

    def refuse(*_: object) -> None:
        raise _RefusedXml("a document type is not read")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.strip(), True)  # noqa: FBT003 - expat takes no names
    except expat.ExpatError as error:
        return f"{expat.ErrorString(error.code)} at line {error.lineno}, column {error.offset + 1}"
    except (_RefusedXml, UnicodeEncodeError) as error:
        return str(error)[:80]
    return XmlFragment(frozenset(paths))


def fragments(text: str) -> tuple[list[XmlFragment], bool]:
    """Return the well-formed elements of a text that lie in no other one, and whether all of it could be searched."""
    found: list[XmlFragment] = []
    taken_to, work = 0, 8 * len(text) + 1_000
    for start, end in sorted(_elements(text), key=lambda span: (span[0], -span[1])):
        if start < taken_to:
            continue
        work -= end - start
        if work < 0:
            return found, False
        read = document(text[start:end])
        if isinstance(read, XmlFragment):
            found.append(read)
            taken_to = end
    return found, True


def _elements(text: str) -> list[tuple[int, int]]:
    """Return where a tag is opened and closed again, or closes itself; tags that are never closed are skipped."""
    spans: list[tuple[int, int]] = []
    stack: list[tuple[str, int]] = []
    open_names: dict[str, int] = {}
    for tag in _TAG.finditer(text):
        closing, name, attributes, empty = tag.groups()
        if empty or attributes.endswith("/"):
            spans.append(tag.span())
        elif not closing:
            stack.append((name, tag.start()))
            open_names[name] = open_names.get(name, 0) + 1
        elif open_names.get(name):
            opened, start = "", 0
            while opened != name:
                opened, start = stack.pop()
                open_names[opened] -= 1
            spans.append((start, tag.end()))
    return spans
