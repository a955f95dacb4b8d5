"""`ps generate cases`: a prompt → proposed cases that fit its inputs and are not nearly what is there already."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import UserError
from promptstudio.evals.assertions.assertion import as_text
from promptstudio.evals.generate.asking import Proposer
from promptstudio.evals.generate.duplicates import NEARLY, Seen
from promptstudio.history.ids import utc_now
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.prompt import MEDIA_TYPES, InputSpec, Prompt

BATCH = 10
MAX_SHOWN = 30
"""So many cases at most are shown to the model as known or as examples: the newest."""
MAX_ROUNDS_MORE = 3
_ID = re.compile(r"[^\w-]+")


@dataclass(slots=True)
class Proposals:
    """What was proposed and is worth a look, and how many were let go for what reason."""

    cases: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


async def propose_cases(
    prompt: Prompt,
    source: str,
    count: int,
    proposer: Proposer,
    *,
    like: Sequence[Mapping[str, Any]] = (),
    known: Sequence[Mapping[str, Any]] = (),
    focus: str | None = None,
) -> Proposals:
    """Ask for cases, ten at a time, until there are enough or the model has nothing new. Raises ProviderError."""
    seen = Seen([_text(inputs) for inputs in (*like, *known)])
    found = Proposals()
    rounds = -(-count // BATCH) + MAX_ROUNDS_MORE
    for number in range(rounds):
        missing = count - len(found.cases)
        if missing <= 0:
            break
        said = await proposer.ask(
            "cases",
            {
                "prompt": source,
                "inputs_schema": json.dumps(inputs_schema(prompt), ensure_ascii=False),
                "count": min(BATCH, missing),
                "like": [_text(one) for one in like[-MAX_SHOWN:]],
                "known": [_text(one) for one in [*known, *(case["inputs"] for case in found.cases)][-MAX_SHOWN:]],
                "focus": focus,
            },
            repeat=number,
        )
        before = len(found.cases)
        _take(said["cases"], prompt, proposer.model, seen, found, count)
        if len(found.cases) == before and number >= MAX_ROUNDS_MORE:
            break
    return found


def _take(
    said: Iterable[Mapping[str, Any]], prompt: Prompt, model: str, seen: Seen, found: Proposals, count: int
) -> None:
    for one in said:
        if len(found.cases) >= count:
            return
        inputs = _inputs(one["inputs_json"], prompt)
        if isinstance(inputs, str):
            found.dropped[inputs] += 1
        elif seen.nearest(_text(inputs)) >= NEARLY:
            found.dropped["nearly the same as another case"] += 1
        else:
            seen.add(_text(inputs))
            found.cases.append(_case(one, inputs, prompt, model, {case["id"] for case in found.cases}))


def _inputs(text: str, prompt: Prompt) -> dict[str, Any] | str:
    """Return inputs that fit the prompt, or why they do not."""
    try:
        value = json.loads(text)
    except ValueError:
        return "the inputs are not JSON"
    if not isinstance(value, dict):
        return "the inputs are no map"
    try:
        check_inputs(prompt, value)
    except UserError:
        return "the inputs do not fit the prompt"
    return value


def _case(
    said: Mapping[str, Any], inputs: Mapping[str, Any], prompt: Prompt, model: str, taken: set[str]
) -> dict[str, Any]:
    """Return a case as a dataset has it, with where it comes from."""
    base = _ID.sub("-", str(said["id"]).strip().casefold()).strip("-")[:60] or "case"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    tags = sorted({str(tag).strip() for tag in said["tags"] if str(tag).strip()})
    made = {"by": model, "for": f"{prompt.name} {prompt.identity.behavior[:15]}", "on": f"{utc_now():%Y-%m-%d}"}
    return {
        "id": name,
        "inputs": dict(inputs),
        "tags": ["generated", *tags],
        "metadata": {"generated": made, "why": str(said["why"])},
    }


def inputs_schema(prompt: Prompt) -> dict[str, Any]:
    """Return the JSON Schema of what a case may give a prompt; pictures and sounds are left out."""
    specs = {name: spec for name, spec in prompt.inputs.items() if spec.type not in MEDIA_TYPES}
    return {
        "type": "object",
        "properties": {name: _schema(spec) for name, spec in specs.items()},
        "required": [name for name, spec in specs.items() if spec.required],
        "additionalProperties": False,
    }


def _schema(spec: InputSpec) -> dict[str, Any]:
    return {**spec.schema, **({"description": spec.description} if spec.description else {})}


def _text(inputs: Mapping[str, Any]) -> str:
    return as_text(dict(inputs))
