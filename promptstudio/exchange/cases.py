"""Cases of another tool's dataset → a suite, its cases as JSONL, a prompt, and the answers that came along.

A dataset holds no prompt: then one is made that sends the input as it is, which is said. Things that are lost are
counted by column, not once for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from promptstudio.errors import PromptFileError
from promptstudio.exchange.datafile import MAX_DATA_BYTES, json_line
from promptstudio.exchange.document import plain, prompt_text, suite_text
from promptstudio.exchange.schema import AnswerSet, Foreign, ForeignAnswer, Import, Loss, Made, Said

LIKENESS = {"type": "rouge-l", "threshold": 0.5, "metric": "likeness"}
"""What a text is compared with its reference by, where the source says nothing of it."""


@dataclass(slots=True)
class ForeignCase:
    """One case as an importer read it; empty values are left out of the file.

    `answers` are what models said to it: for each repeat one answer, or one for each turn.
    """

    name: str | None
    line: int | None
    inputs: dict[str, Any] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)
    expected_output: Any = None
    context: list[str] = field(default_factory=list)
    retrieval_context: list[str] = field(default_factory=list)
    expected_tools: list[Any] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    asserts: list[Any] = field(default_factory=list)
    answers: dict[int, tuple[Said, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Notes:
    """What is lost or changed, counted: one loss for a key and reason, with the first line and how often."""

    file: str
    _found: dict[tuple[str, str, str], tuple[int | None, int]] = field(default_factory=dict)

    def dropped(self, key: str, reason: str, line: int | None = None) -> None:
        self._note(key, reason, line, "dropped")

    def changed(self, key: str, reason: str, line: int | None = None) -> None:
        self._note(key, reason, line, "changed")

    def unknown(self, columns: Mapping[str, Any], known: Sequence[str], line: int | None) -> None:
        """Note every column that nobody asked for and that holds something."""
        for name, value in columns.items():
            if name not in known and value not in (None, "", [], {}):
                self.dropped(str(name), "a case has nothing like it", line)

    def _note(self, key: str, reason: str, line: int | None, severity: str) -> None:
        first, count = self._found.get((key, reason, severity), (line, 0))
        self._found[(key, reason, severity)] = (first, count + 1)

    def losses(self) -> tuple[Loss, ...]:
        return tuple(self._loss(*found) for found in self._found.items())

    def _loss(self, found: tuple[str, str, str], seen: tuple[int | None, int]) -> Loss:
        key, reason, severity = found
        line, count = seen
        said = f"{reason}; {count:,} times" if count > 1 and line is not None else reason
        how: Literal["dropped", "changed"] = "changed" if severity == "changed" else "dropped"
        return Loss(self.file, key, said, line, how)


@dataclass(slots=True)
class Dataset:
    """Everything read of one file. `prompt` is the prompt's file as plain data, None to send `{{ input }}` as it is."""

    foreign: Foreign
    format: str
    stem: str
    notes: Notes
    cases: list[ForeignCase] = field(default_factory=list)
    prompt: dict[str, Any] | None = None
    input_name: str = "input"
    repeats: int = 1
    about: dict[str, Any] = field(default_factory=dict)
    asserts: list[Any] = field(default_factory=list)

    def result(self) -> Import:
        """Return the files, and the answers. Raises PromptFileError where there is no case."""
        if not self.cases:
            raise PromptFileError("there is no case in it", file=self.foreign.shown)
        self._name_cases()
        self._assert_something()
        name = f"{self.stem}.yaml"
        source = self.foreign.shown
        made = (
            Made("prompt", name, prompt_text(self._prompt(), name), source),
            Made("suite", name, suite_text(self._suite(), name), source),
            Made("data", f"{self.stem}.cases.jsonl", self._rows(), source),
        )
        answers = tuple(
            ForeignAnswer(case.name or "", said, repeat) for case in self.cases for repeat, said in case.answers.items()
        )
        sets = (AnswerSet(name, source, self.format, answers),) if answers else ()
        return Import(made, self.notes.losses(), answers=sets)

    def _name_cases(self) -> None:
        """Give every case an id of its own: answers and later runs find it by that."""
        taken: set[str] = set()
        for number, case in enumerate(self.cases, 1):
            wanted = (case.name or f"case-{number}").strip() or f"case-{number}"
            name, again = wanted, 2
            while name in taken:
                name, again = f"{wanted}-{again}", again + 1
            if name != wanted:
                self.notes.changed("id", "two cases had one name: a number tells them apart", case.line)
            taken.add(name)
            case.name = name

    def _assert_something(self) -> None:
        """A reference text is compared loosely: no model repeats one to the letter. Without one, refusals are found."""
        texts = [case for case in self.cases if not case.asserts and isinstance(case.expected_output, str)]
        if len(texts) == len(self.cases):
            self.asserts = [dict(LIKENESS)]
        elif texts:
            for case in texts:
                case.asserts = [dict(LIKENESS)]
        if texts:
            said = "references are compared by rouge-l with a threshold of 0.5"
            self.notes.changed("assert", f"the data says nothing of how answers are judged: {said}")
        bare = [case for case in self.cases if not case.asserts and case.expected_output is None]
        for case in bare:
            case.asserts = ["not-is-refusal"]
        if bare:
            count = "one case has" if len(bare) == 1 else f"{len(bare):,} cases have"
            said = f"{count} no reference: it is only asserted that the answer is no refusal"
            self.notes.changed("assert", said)

    def _prompt(self) -> dict[str, Any]:
        if self.prompt is not None:
            return self.prompt
        said = "there is no prompt in the data: the one made here sends the input as it is; write yours in its place"
        self.notes.changed("prompt", said)
        content = f"{{{{ {self.input_name} }}}}"
        if any(case.turns for case in self.cases):
            return chat_prompt(self.input_name)
        return {"prompt": content}

    def _suite(self) -> dict[str, Any]:
        suite: dict[str, Any] = {"name": self.stem, **self.about, "prompt": self.stem}
        suite["cases"] = f"{PurePosixPath(self.stem).name}.cases.jsonl"
        if self.asserts:
            suite["assert"] = self.asserts
        if self.repeats > 1:
            suite["repeats"] = self.repeats
        return suite

    def _rows(self) -> str:
        rows: list[str] = []
        size = 0
        for case in self.cases:
            row = json_line(plain(_data(case)))
            size += len(row)
            if size > MAX_DATA_BYTES:
                said = f"its cases have more than {MAX_DATA_BYTES:,} bytes"
                raise PromptFileError(said, file=self.foreign.shown, line=case.line)
            rows.append(row)
        return "".join(rows)


def chat_prompt(message: str) -> dict[str, Any]:
    """Return a prompt that is asked turn by turn."""
    return {
        "inputs": {message: "string", "history": {"type": "messages", "required": False}},
        "messages": [{"placeholder": "history"}, {"role": "user", "content": f"{{{{ {message} }}}}"}],
    }


def _data(case: ForeignCase) -> dict[str, Any]:
    metadata = dict(case.metadata)
    if case.answers:
        said = [[one.text for one in answers] for _, answers in sorted(case.answers.items())]
        flat = [texts[0] if len(texts) == 1 else texts for texts in said]
        metadata["answers"] = flat
    row = {
        "id": case.name,
        "inputs": case.inputs,
        "turns": case.turns,
        "expected_output": case.expected_output,
        "context": case.context,
        "retrieval_context": case.retrieval_context,
        "expected_tools": case.expected_tools,
        "tags": case.tags,
        "metadata": metadata,
        "assert": case.asserts,
    }
    return {key: value for key, value in row.items() if value not in (None, "", [], {})}
