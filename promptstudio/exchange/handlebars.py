"""Handlebars as dotprompt uses it → Jinja; what opens a role within the text begins a message of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from promptstudio.errors import PromptFileError
from promptstudio.exchange.curly import TagError
from promptstudio.exchange.handlebars_code import Scope, Writer
from promptstudio.exchange.handlebars_tree import Block, Call, CallNode, Node, Scoped, TextNode, parsed
from promptstudio.exchange.ledger import Ledger
from promptstudio.prompts.pieces import jinja_source
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath

ROLES = {"user": "user", "model": "assistant", "assistant": "assistant", "system": "system", "developer": "developer"}
_MARKERS = frozenset({"role", "history", "media", "section"})


@dataclass(frozen=True, slots=True)
class PartSource:
    """A part of a message: Jinja text, or for a medium `{{ name }}`."""

    kind: str
    source: str


@dataclass(slots=True)
class MessageSource:
    """A message with the text nodes of its current part; a `placeholder` has nothing else."""

    role: str
    parts: list[PartSource] = field(default_factory=list)
    placeholder: str | None = None
    pending: list[tuple[Node, Scope]] = field(default_factory=list)


def handlebars_to_jinja(
    text: str,
    ledger: Ledger,
    path: ValuePath | str,
    *,
    kinds: Mapping[str, str] | None = None,
    partials: Mapping[str, str] | None = None,
) -> str:
    """Convert a text without roles. Raises PromptFileError for what cannot be said in Jinja."""
    writer = Writer(ledger, path, kinds or {})
    with _reported(ledger, path):
        nodes, used = parsed(text, partials or {})
        _note_partials(used, ledger, path)
        return jinja_source(writer.pieces(nodes, Scope()))


def handlebars_to_messages(
    text: str,
    ledger: Ledger,
    path: ValuePath | str,
    *,
    kinds: Mapping[str, str] | None = None,
    partials: Mapping[str, str] | None = None,
) -> list[dict[str, object]]:
    """Convert a dotprompt body into the `messages:` of a prompt file.

    `{{role}}`, `{{history}}` and `{{media}}` begin messages and parts where they stand at the top of the text; within a
    condition or a loop they cannot, which raises PromptFileError. `kinds` maps inputs to the types a schema gives them.
    """
    reader = _Messages(Writer(ledger, path, kinds or {}))
    with _reported(ledger, path):
        nodes, used = parsed(text, partials or {})
        _note_partials(used, ledger, path)
        for node, scope in _flat(nodes, Scope(), reader.writer):
            reader.take(node, scope)
        reader.finish_part()
        return [_written(message) for message in reader.messages if message.parts or message.placeholder]


def _note_partials(used: Iterable[str], ledger: Ledger, path: ValuePath | str) -> None:
    for name in used:
        ledger.changed(path, f"the partial {shown(name)} is written into the text")


class _reported:  # noqa: N801 — reads as a phrase: `with _reported(…)`
    """Turns a TagError into ours, with the file and the line."""

    def __init__(self, ledger: Ledger, path: ValuePath | str) -> None:
        self.ledger, self.path = ledger, path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, TagError):
            at = self.ledger.line_of(self.path) or self.ledger.base_line
            raise PromptFileError(str(error), file=self.ledger.foreign.shown, line=at + error.line - 1) from error


def _flat(nodes: Iterable[Node], scope: Scope, writer: Writer) -> Iterator[tuple[Node, Scope]]:
    """Yield the nodes with partials opened, so that a role in a partial is seen."""
    for node in nodes:
        if isinstance(node, Scoped):
            yield from _flat(node.body, writer.scope_of(node, scope), writer)
        else:
            yield node, scope


@dataclass(slots=True)
class _Messages:
    """Nodes one by one → messages. As in dotprompt, text before the first role is the user's."""

    writer: Writer
    messages: list[MessageSource] = field(default_factory=lambda: [MessageSource("user")])

    def take(self, node: Node, scope: Scope) -> None:
        if not isinstance(node, CallNode) or node.call.name.word not in _MARKERS:
            self.messages[-1].pending.append((node, scope))
            return
        call = node.call
        self.finish_part()
        if call.name.word == "role":
            self.role(call)
        elif call.name.word == "history":
            self.writer.ledger.inputs.setdefault("history", "messages")
            self.writer.ledger.optional.add("history")
            self.messages += [MessageSource("", placeholder="history"), MessageSource("assistant")]
        elif call.name.word == "media":
            self.media(call, scope)
        else:
            name = call.args[0].text if call.args else ""
            self.writer.ledger.dropped(f"section {name}", "a section is filled by the calling program", line=call.line)

    def role(self, call: Call) -> None:
        name = call.args[0].text if call.args and call.args[0].text is not None else None
        if name not in ROLES:
            said = shown(name) if name is not None else "one that is not written out"
            raise TagError(f"the role {said} is not one of {', '.join(ROLES)}", call.line)
        for key in call.named:
            self.writer.ledger.dropped(f"role.{key}", "messages have no metadata", line=self.line(call))
        self.messages.append(MessageSource(ROLES[name]))

    def line(self, call: Call) -> int:
        return self.writer.ledger.base_line + call.line - 1

    def media(self, call: Call, scope: Scope) -> None:
        url, kind = call.named.get("url"), call.named.get("contentType")
        if url is None or url.text is not None or "." in url.word.replace("this.", "") or scope.this:
            said = (
                "a medium is given as an input here; one with an address of its own, or a field of a value, is left out"
            )
            self.writer.ledger.dropped("media", said, line=self.line(call))
            return
        mime = kind.text if kind is not None and kind.text is not None else "image/"
        if kind is not None and kind.text is None:
            self.writer.ledger.changed("media.contentType", "read as an image", line=self.line(call))
        medium = next((name for name in ("image", "audio") if mime.startswith(name + "/")), "file")
        name = self.writer.ledger.uses(url.word, medium, "media")
        self.writer.ledger.inputs[name] = medium
        self.messages[-1].parts.append(PartSource(medium, f"{{{{ {name} }}}}"))

    def finish_part(self) -> None:
        """Close the part that is being collected; white space alone is none."""
        message = self.messages[-1]
        pending, message.pending = message.pending, []
        if all(isinstance(node, TextNode) and not node.text.strip() for node, _ in pending):
            return
        if all(
            isinstance(node, Block) or (isinstance(node, TextNode) and not node.text.strip()) for node, _ in pending
        ):
            said = "a message that is empty when its conditions do not hold is sent as an empty one, not left out"
            self.writer.ledger.changed(self.writer.path, said, line=self.writer.ledger.base_line)
        pieces = [piece for node, scope in pending for piece in self.writer.pieces((node,), scope)]
        message.parts.append(PartSource("text", jinja_source(pieces)))


def _written(message: MessageSource) -> dict[str, object]:
    if message.placeholder is not None:
        return {"placeholder": message.placeholder}
    if len(message.parts) == 1 and message.parts[0].kind == "text":
        return {"role": message.role, "content": message.parts[0].source}
    return {"role": message.role, "content": [{part.kind: part.source} for part in message.parts]}
