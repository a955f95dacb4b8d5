"""The Markdown body of a `.prompty` file → messages: role markers, images, conversation threads.

The original renders the whole body first and looks for roles in the result. Here roles are read from the file, each
message is a template of its own, and so no value can open a role. Blank lines around a message are dropped, as
version 2 does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from promptstudio.errors import PromptFileError
from promptstudio.exchange.drafts import Draft, only_input
from promptstudio.exchange.writing import jinja_to_jinja, literal_to_jinja, mustache_to_jinja
from promptstudio.prompts.prompt import MEDIA_TYPES
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import Place, ValuePath

_PRINTED_AS_JSON = frozenset({"boolean", "array", "object"})
MAX_DEFINITIONS = 1_000
ROLES = "system|developer|user|assistant|function|tools?"
# Both are matched against a line without blanks around it; `*+` keeps a long line of blanks from taking forever.
_MARKER = re.compile(rf"#?\s*+(?P<role>{ROLES})\s*+(?P<attributes>\[[^\]]*\])?\s*+:", re.IGNORECASE)
_THREAD = re.compile(r"!\[thread(?::(?P<name>\w+))?\]")
_IMAGE = re.compile(r"!\[[^\[\]]*\]\((?P<target>\{\{[^{}()]*\}\}|[^\s\"()]+)(?:[ \t]+\"[^\"()]*\")?[ \t]*\)")
_SET = re.compile(r"\{%[-+]?\s*set\s+(?P<name>\w+)\s*=.*?%\}", re.DOTALL)
_DEFINES = re.compile(r"\{%[-+]?\s*macro\s+(\w+)")
# The usual way to write out a conversation by hand: the loop names the role and the content of each turn.
_HISTORY = re.compile(
    r"^[ \t]*\{%[-+]?\s*for\s+(?P<item>\w+)\s+in\s+(?P<list>\w+)\s*[-+]?%\}\s*"
    r"\{\{-?\s*(?P=item)(?:\.role|\[['\"]role['\"]\])\s*-?\}\}\s*:\s*"
    r"\{\{-?\s*(?P=item)(?:\.content|\[['\"]content['\"]\])\s*-?\}\}\s*"
    r"\{%[-+]?\s*endfor\s*[-+]?%\}[ \t]*$",
    re.MULTILINE,
)
_HISTORY_MARK = "![thread:{}]"


@dataclass(frozen=True, slots=True)
class Body:
    """`line` is where the text begins in the file; `rich` the inputs that are threads or media; `images`: Markdown
    images are pictures, as in version 1."""

    text: str
    line: int
    language: str
    rich: Mapping[str, str]
    kinds: Mapping[str, str]
    images: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands between two role markers. `role` is None for a place where a thread goes."""

    role: str | None
    text: str
    line: int
    thread: str = ""


def add_messages(draft: Draft, body: Body, positions: dict[ValuePath, Place]) -> None:
    """Add the messages of a body to the draft; `positions` gets the line of each."""
    text = _HISTORY.sub(_history_mark(draft), body.text) if body.language == "jinja2" else body.text
    defined = ""
    for number, chunk in enumerate(_chunks(text, body.line, draft)):
        path: ValuePath = ("body", number)
        positions[path] = (chunk.line, 1)
        if chunk.role is None:
            draft.place(chunk.thread, path, required=False)
        elif chunk.role in ("function", "tool", "tools"):
            draft.ledger.dropped(path, f"a message of the role {chunk.role} belongs to tools, which are code")
        else:
            _add_chunk(draft, body, chunk, path, defined)
            defined += _definitions(chunk.text) if body.language == "jinja2" else ""
            if len(defined) > MAX_DEFINITIONS:
                said = "the {% set %} tags are too long to be repeated in each message"
                raise PromptFileError(said, file=draft.ledger.foreign.shown, line=chunk.line)
    _add_threads_at_the_end(draft, body)


def _history_mark(draft: Draft) -> Callable[[re.Match[str]], str]:
    def mark(match: re.Match[str]) -> str:
        said = f"the loop over {match['list']} is a place for messages here: give a list of role and content"
        draft.ledger.changed("body", said)
        return _HISTORY_MARK.format(match["list"]) + "\n" * match[0].count("\n")

    return mark


def _chunks(text: str, first_line: int, draft: Draft) -> Iterator[Chunk]:
    role: str | None = "system"
    lines: list[str] = []
    start, marked = first_line, False
    for number, line in enumerate([*text.split("\n"), None], start=first_line):
        thread = _THREAD.fullmatch(line.strip()) if line is not None else None
        marker = _MARKER.fullmatch(line.strip()) if line is not None else None
        if line is not None and thread is None and marker is None:
            lines.append(line)
            continue
        if marked or any(each.strip() for each in lines):
            yield Chunk(role, "\n".join(lines).strip("\n"), start)
        lines, start, marked = [], number + 1, marker is not None
        if thread is not None:
            yield Chunk(None, "", number, thread["name"] or "thread")
        elif marker is not None:
            role = marker["role"].lower()
            if marker["attributes"]:
                draft.ledger.dropped(
                    "body", f"the attributes of the role marker {role} are not taken over", line=number
                )


def _definitions(text: str) -> str:
    """The `{% set %}` tags of a message: those after it see their names too."""
    return "".join(match[0].removesuffix("%}").rstrip("-+") + "+%}" for match in _SET.finditer(text))


def _add_chunk(draft: Draft, body: Body, chunk: Chunk, path: ValuePath, defined: str) -> None:
    for kind, text in _pieces(body, chunk.text):
        if kind in MEDIA_TYPES:
            _add_media(draft, kind, text, path)
        elif kind == "messages":
            draft.place(text, path, required=False)
        elif kind == "markdown":
            draft.say(chunk.role or "user", *_markdown_parts(draft, body, text, path, defined))
        else:
            draft.say(chunk.role or "user", {"text": converted(draft, body, text, path, defined)})


def _pieces(body: Body, text: str) -> Iterator[tuple[str, str]]:
    """Split a message where a thread or media is put in, as version 2 does; the texts around lose their blank ends."""
    if body.images and _IMAGE.search(text):
        yield "markdown", text
        return
    names = "|".join(map(re.escape, body.rich))
    values = list(re.finditer(rf"\{{\{{[-{{&]?\s*({names})\s*[-}}]?\}}\}}", text)) if names else []
    end = 0
    for value in values:
        if before := text[end : value.start()].strip():
            yield "text", before
        yield body.rich[value[1]], value[1]
        end = value.end()
    rest = text[end:].strip() if values else text
    if rest or not values:
        yield "text", rest


def _add_media(draft: Draft, kind: str, name: str, path: ValuePath) -> None:
    """Media go to the user's message before them, or into one of their own."""
    part = {kind: f"{{{{ {draft.media_input(name, kind, path, required=False)} }}}}"}
    last = draft.messages[-1] if draft.messages else {}
    if last.get("role") == "user":
        content = last["content"]
        last["content"] = [*([{"text": content}] if isinstance(content, str) else content), part]
    else:
        draft.say("user", part)


def _markdown_parts(draft: Draft, body: Body, text: str, path: ValuePath, defined: str) -> list[dict[str, str]]:
    """The parts of a message of version 1 with pictures: the texts between them lose their blank ends."""
    parts: list[dict[str, str]] = []
    end = 0
    for image in _IMAGE.finditer(text):
        if before := text[end : image.start()].strip():
            parts.append({"text": converted(draft, body, before, path, defined)})
        parts.append(_image_part(draft, image["target"], path))
        end = image.end()
    if rest := text[end:].strip():
        parts.append({"text": converted(draft, body, rest, path, defined)})
    return parts


def _image_part(draft: Draft, target: str, path: ValuePath) -> dict[str, str]:
    if name := only_input(target):
        return {"image": f"{{{{ {draft.media_input(name, 'image', path)} }}}}"}
    return draft.fixed_media("image", target, path)


def converted(draft: Draft, body: Body, text: str, path: ValuePath | str, defined: str) -> str:
    """Convert one text of a body; `defined` are the `{% set %}` tags of those before it."""
    ledger = draft.ledger
    for name, kind in body.kinds.items():
        if kind in _PRINTED_AS_JSON and re.search(rf"\{{\{{-?\s*{re.escape(name)}\s*-?\}}\}}", text):
            ledger.changed(
                path, f"{shown(name)} is printed as JSON, as in true or [\"a\"]; Python wrote True and ['a']"
            )
    if body.language == "mustache":
        return mustache_to_jinja(text, ledger, path, kinds=body.kinds, escape=True)
    if body.language != "jinja2":
        return literal_to_jinja(text)
    used = [match for match in _SET.finditer(defined) if re.search(rf"(?<!\w){match['name']}(?!\w)", text)]
    before = defined if used else ""
    try:
        source = jinja_to_jinja(before + text, ledger, path)
    except PromptFileError as cause:
        raise _explained(cause, draft, body, path) from cause
    return f"{{% filter trim('\\n') %}}{source}{{% endfilter %}}" if _may_have_blank_ends(text) else source


def _may_have_blank_ends(text: str) -> bool:
    """A tag at either end may leave line feeds there, which the original drops after rendering."""
    return text.startswith(("{%", "{#")) or text.rstrip(" \t").endswith(("%}", "#}"))


def _explained(cause: PromptFileError, draft: Draft, body: Body, path: ValuePath | str) -> PromptFileError:
    """Where the body as a whole is fine, a role marker stands inside of a loop or a condition."""
    macros = _DEFINES.findall(body.text)
    try:
        jinja_to_jinja(body.text, type(draft.ledger)(draft.ledger.foreign, draft.ledger.document), path)
    except PromptFileError:
        return cause
    line = draft.ledger.line_of(path)
    said = "a role opens within a {% … %} block: a message cannot come and go, or be repeated"
    if macros:
        said = f"the macro {macros[0]} is defined in another message"
    return PromptFileError(said, file=draft.ledger.foreign.shown, line=line, hint="put the block inside of one message")


def _add_threads_at_the_end(draft: Draft, body: Body) -> None:
    """A thread that is placed nowhere follows the other messages."""
    if any(kind == "messages" for kind in map(draft.ledger.inputs.get, body.rich)):
        return
    for name, kind in body.rich.items():
        if kind == "messages":
            draft.place(name, ("inputs", name), required=False)
