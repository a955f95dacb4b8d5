"""`ps diff --render -v …`: the messages both versions would send for the same values."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.cli.page import message_object
from promptstudio.cli.values import MAX_BYTES, parse_assignments
from promptstudio.errors import InputsError, NotFoundError, Problem, UsageError
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.load import load_file
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.render import render_messages
from promptstudio.prompts.tokens import estimate_message_tokens, estimate_tokens
from promptstudio.types import Message, Part
from promptstudio.versions.diff.collect import Ground
from promptstudio.versions.diff.json_form import message_json
from promptstudio.versions.diff.messages import plain_turn, turn_changes
from promptstudio.versions.diff.rows import Comparison, Found, PromptRow
from promptstudio.versions.diff.schema import MessageChange
from promptstudio.versions.diff.show import Look, message_section


@dataclass(frozen=True, slots=True)
class Rendered:
    """The messages of both versions, and what differs between them."""

    old: tuple[Message, ...]
    new: tuple[Message, ...]
    changes: tuple[MessageChange, ...]

    @property
    def tokens(self) -> tuple[int, int]:
        return estimate_message_tokens(self.old), estimate_message_tokens(self.new)


def print_rendered(
    context: Context, found: Comparison, items: Sequence[str], look: Look, ground: Ground, *, as_json: bool
) -> bool:
    """Print what differs in the messages, and return whether anything does."""
    row = only_row(found, "--render")
    rendered = _rendered(_prompt(row.old, ground), _prompt(row.new, ground), items)
    if as_json:
        context.output.json(_object(found, row, rendered))
    elif not rendered.changes:
        context.output.note(f"{row.name}: both versions send the same messages")
    else:
        context.output.pieces([(row.name, "bold"), (f"  {found.old.shown} → {found.new.shown}", "dim")])
        for line in message_section("rendered", rendered.changes, rendered.tokens, look):
            context.output.pieces(line)
    return bool(rendered.changes)


def only_row(found: Comparison, option: str) -> PromptRow:
    """Return the one prompt both versions of which are there; both can be read, or their problem is raised."""
    if len(found.rows) != 1 or not found.is_asked:
        raise UsageError(f"{option} is for one prompt", hint=f"`ps diff {option} A..B PROMPT`")
    row = found.rows[0]
    for side, version in ((row.old, found.old), (row.new, found.new)):
        if side.problem is not None:
            raise NotFoundError(side.problem)
        if side.snapshot is None:
            raise NotFoundError(f"{row.name} is not in {version.shown}: there is nothing to compare")
    return row


def _prompt(side: Found, ground: Ground) -> Prompt:
    if side.moment is None or side.path is None:
        raise AssertionError("a version that is there was read from somewhere")
    path = Path(ground.repository.top, side.path)
    return load_file(path, side.moment.settings, variant=side.variant, files=side.moment.files)


def _rendered(old: Prompt, new: Prompt, items: Sequence[str]) -> Rendered:
    stdin = sys.stdin.buffer.read(MAX_BYTES + 1) if any(item.endswith("=-") for item in items) else b""
    known = {*old.inputs, *new.inputs}
    problems = [
        Problem(f"neither version has an input {_name(item)!r}", hint=f"the inputs are {', '.join(sorted(known))}")
        for item in items
        if _name(item) not in known
    ]
    if problems:
        raise InputsError(problems)
    before, after = (_messages(prompt, items, stdin) for prompt in (old, new))
    turns = [[_turn(message) for message in side] for side in (before, after)]
    changes = turn_changes(turns[0], turns[1], estimate_tokens) if before != after else ()
    return Rendered(before, after, changes)


def _messages(prompt: Prompt, items: Sequence[str], stdin: bytes) -> tuple[Message, ...]:
    """Render one version with those of the values that it knows."""
    own = [item for item in items if _name(item) in prompt.inputs]
    values: dict[str, Any] = parse_assignments(own, prompt, io.BytesIO(stdin))
    try:
        return render_messages(prompt, check_inputs(prompt, values))
    except InputsError as error:
        raise InputsError([_placed(problem, prompt) for problem in error.problems]) from error


def _placed(problem: Problem, prompt: Prompt) -> Problem:
    """Say which version lacks a value: both have their own inputs."""
    hint = problem.hint
    return Problem(problem.message, file=problem.file or prompt.shown_path, line=problem.line, hint=hint)


def _name(item: str) -> str:
    return item.partition("=")[0].rstrip(":")


def _turn(message: Message) -> Any:
    return plain_turn(message.role, "\n".join(map(_part_text, message.parts)))


def _part_text(part: Part) -> str:
    if part.media is None:
        return part.text
    return f"[{part.kind}: {part.media.name or part.media.url or part.media.mime_type}]"


def _object(found: Comparison, row: PromptRow, rendered: Rendered) -> dict[str, Any]:
    old, new = rendered.tokens
    return {
        "prompt": row.name,
        "from": found.old.shown,
        "to": found.new.shown,
        "verdict": row.verdict.level.name if row.verdict else None,
        "tokens": {"old": old, "new": new, "delta": new - old},
        "changes": [message_json(change) for change in rendered.changes],
        "rendered": {
            "old": [message_object(message) for message in rendered.old],
            "new": [message_object(message) for message in rendered.new],
        },
    }
