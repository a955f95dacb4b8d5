"""Samples of OpenAI Evals (JSONL of `input` and `ideal`) → cases, a suite, and a prompt of the messages.

How an eval compares stands in its registry, which is another file: `ideal` is asserted as its `Match` does, by the
beginning of the answer, and any of several will do.
"""

from __future__ import annotations

from typing import Any

from promptstudio.exchange.cases import Dataset, ForeignCase, Notes
from promptstudio.exchange.chats import Chat, own_role, prompt_of_chats, text_of
from promptstudio.exchange.datafile import Row, columns_of, rows_of
from promptstudio.exchange.document import stem_of
from promptstudio.exchange.schema import Foreign, Import
from promptstudio.prompts.wording import found, shown


class OpenAIEvalsImporter:
    """The samples that a registered eval names as `samples_jsonl`."""

    name = "openai-evals"
    title = "samples of OpenAI Evals, JSONL"
    reads_data = True

    def confidence(self, foreign: Foreign) -> int:
        if foreign.path.suffix.lower() not in (".jsonl", ".ndjson"):
            return 0
        return 90 if {"input", "ideal"} <= columns_of(foreign) else 0

    def read(self, foreign: Foreign) -> Import:
        notes = Notes(foreign.shown)
        data = Dataset(foreign, self.name, stem_of(foreign, ()), notes)
        chats: list[Chat] = []
        for row in rows_of(foreign):
            chats.append(_chat(row, notes))
            data.cases.append(_case(row, notes))
        if chats:
            data.prompt, inputs = prompt_of_chats(chats)
            for case, given in zip(data.cases, inputs, strict=True):
                case.inputs = given
        return data.result()


IMPORTER = OpenAIEvalsImporter()


def _chat(row: Row, notes: Notes) -> Chat:
    asked = row.value.get("input")
    if isinstance(asked, str):
        return (("user", asked),)
    if not isinstance(asked, list) or not asked:
        row.fail(f"input: expected messages or a text, found {found(asked)}")
    messages: list[tuple[str, str]] = []
    for index, message in enumerate(asked):
        place = f"input[{index}]"
        if not isinstance(message, dict):
            row.fail(f"{place}: expected a message with role and content, found {found(message)}")
        role = own_role(message.get("role"))
        if role is None:
            row.fail(f"{place}.role: {shown(str(message.get('role')))} is no role of a prompt")
        text, others = text_of(message.get("content"))
        for kind in others:
            notes.dropped("input.content", f"a part of the type {shown(kind)} has no counterpart in a case", row.line)
        if not text:
            row.fail(f"{place}.content: there is no text in it")
        if message.get("name"):
            notes.dropped("input.name", "a message has a role and a text", row.line)
        messages.append((role, text))
    return tuple(messages)


def _case(row: Row, notes: Notes) -> ForeignCase:
    if "ideal" not in row.value:
        row.fail("ideal: it is missing", "a sample has input and ideal")
    ideal = row.value["ideal"]
    case = ForeignCase(_name(row), row.line)
    case.metadata = {key: value for key, value in row.value.items() if key not in ("input", "ideal", "id")}
    texts = [ideal] if isinstance(ideal, str) else ideal
    if isinstance(texts, list) and texts and all(isinstance(text, str) and text for text in texts):
        case.expected_output = texts[0]
        case.asserts = [any_of("starts-with", texts)]
        said = "asserted by the beginning of the answer, as Match does: how an eval compares is not in its samples"
        notes.changed("ideal", said, row.line)
    elif ideal not in (None, "", []):
        case.expected_output = ideal
    return case


def any_of(name: str, texts: list[str]) -> dict[str, Any]:
    """Return an assertion that one of several texts satisfies."""
    unique = list(dict.fromkeys(texts))
    if len(unique) == 1:
        return {"type": name, "value": unique[0]}
    if name in ("contains", "icontains"):
        return {"type": f"{name}-any", "value": unique}
    members = [{"type": name, "value": text} for text in unique]
    return {"type": "assert-set", "threshold": round(1 / len(unique), 6) - 1e-6, "assert": members}


def _name(row: Row) -> str | None:
    name = row.value.get("id")
    return str(name) if isinstance(name, str | int) and not isinstance(name, bool) else None
