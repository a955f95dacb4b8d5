"""A prompt → its turns in pieces of Jinja, for formats that have templates of their own: includes in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from promptstudio.errors import UserError
from promptstudio.exchange.export_turns import Turn, template_turns
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.nunjucks import our_pieces
from promptstudio.exchange.schema import ExportRequest, Foreign, Loss
from promptstudio.prompts.pieces import Piece, Tag, Text
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import EXAMPLES

MAX_DEPTH = 10
_INCLUDE = re.compile(r"include\s+(['\"])([^'\"]+)\1(?:\s+with context)?")


class UntranslatableError(UserError):
    """A template that the other format has no words for."""


@dataclass(frozen=True, slots=True)
class PartPieces:
    """A part of a message: `pieces` of a text, or for a medium `source`, an input in braces or an address."""

    kind: str
    pieces: tuple[Piece, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class TurnPieces:
    """A message, or with a `placeholder` the place of a conversation."""

    role: str
    parts: tuple[PartPieces, ...]
    placeholder: str = ""
    key: str = ""


def turns_in_pieces(request: ExportRequest, file: str, losses: list[Loss]) -> list[TurnPieces]:
    """Return the turns; with values they are rendered, and every text is literal."""
    prompt = request.prompt
    if request.values is not None:
        return [_literal(turn) for turn in template_turns(request, file, losses)]
    turns: list[TurnPieces] = []
    place_of_examples = _examples_place(prompt)
    for place, template in enumerate(prompt.messages):
        key = f"messages[{place}]"
        if place == place_of_examples:
            turns += _examples(request, file, losses)
        if template.placeholder is not None:
            turns += [] if template.placeholder == EXAMPLES else [TurnPieces("", (), template.placeholder, key)]
            continue
        parts = tuple(
            PartPieces(part.kind, pieces_of(part.source, prompt))
            if part.kind == "text"
            else PartPieces(part.kind, (), part.source.strip())
            for part in template.parts
        )
        turns.append(TurnPieces(template.role or "user", parts, "", key))
    return turns


def pieces_of(source: str, prompt: Prompt, depth: int = 0) -> tuple[Piece, ...]:
    """Take a template apart, with what it includes in its place. Raises UntranslatableError where it extends others."""
    ledger = Ledger(Foreign(Path(prompt.shown_path), prompt.shown_path, "", Path()))
    return tuple(_with_includes(our_pieces(source, ledger), prompt, depth))


def _with_includes(pieces: list[Piece], prompt: Prompt, depth: int) -> Iterator[Piece]:
    for piece in pieces:
        match = _INCLUDE.fullmatch(piece.code) if isinstance(piece, Tag) else None
        if match is not None and match[2] in prompt.partials and depth < MAX_DEPTH:
            yield from pieces_of(prompt.partials[match[2]], prompt, depth + 1)
        elif isinstance(piece, Tag) and piece.code.split(" ", 1)[0] in (
            "include",
            "import",
            "from",
            "extends",
            "block",
        ):
            raise UntranslatableError(f"the template says {{% {piece.code} %}}", file=prompt.shown_path)
        else:
            yield piece


def _literal(turn: Turn) -> TurnPieces:
    parts = tuple(
        PartPieces("text", (Text(text),)) if kind == "text" else PartPieces(kind, (), text) for kind, text in turn.parts
    )
    return TurnPieces(turn.role or "user", parts, turn.placeholder, turn.key)


def _last_user(prompt: Prompt) -> int | None:
    places = [place for place, template in enumerate(prompt.messages) if template.role == "user"]
    return places[-1] if places else None


def _examples_place(prompt: Prompt) -> int | None:
    if not prompt.examples:
        return None
    named = (place for place, template in enumerate(prompt.messages) if template.placeholder == EXAMPLES)
    return next(named, _last_user(prompt))


def _examples(request: ExportRequest, file: str, losses: list[Loss]) -> list[TurnPieces]:
    """Return the few-shot turns: those of a prompt that has nothing but its last user message."""
    last = _last_user(request.prompt)
    if last is None:
        losses.append(Loss(file, "examples", "there is no user message to render them through"))
        return []
    only = replace(request.prompt, messages=(request.prompt.messages[last],))
    turns = template_turns(replace(request, prompt=only, values=None), file, [])
    return [_literal(turn) for turn in turns[:-1]]
