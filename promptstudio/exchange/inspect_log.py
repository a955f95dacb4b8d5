"""A log of inspect_ai (`.eval`, `.json`) → cases, a suite, a prompt of the messages that were sent, and the answers.

A sample is a case, its epochs are the repeats of it. Scores are kept as metadata; what a scorer compared is asserted of
each case where we have a like assertion. Solvers, tools and sandboxes are code, and stay behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.exchange.cases import Dataset, ForeignCase, Notes
from promptstudio.exchange.chats import Chat, own_role, prompt_of_chats, text_of
from promptstudio.exchange.datafile import MAX_ROWS
from promptstudio.exchange.document import stem_of
from promptstudio.exchange.inspect_zip import LogArchive, lenient_json
from promptstudio.exchange.openai_evals import any_of
from promptstudio.exchange.schema import Foreign, Import, Said
from promptstudio.prompts.parameters import parameter_faults
from promptstudio.prompts.wording import found, shown
from promptstudio.types import ToolCall, Usage

# What inspect_ai calls a provider → LiteLLM's prefix; one that is not here is said.
_PROVIDERS = {
    **dict.fromkeys(("openai", "anthropic", "mistral", "groq", "ollama", "openrouter", "perplexity", "bedrock")),
    "google": "gemini", "vertex": "vertex_ai", "grok": "xai", "together": "together_ai", "azureai": "azure_ai",
    "fireworks": "fireworks_ai",
}  # fmt: skip
_PARAMETERS = ("temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty", "top_k")
# A scorer → the assertion that is most like it, and what is not the same.
_SCORERS: Mapping[str, tuple[str, str]] = {
    "includes": ("icontains", ""),
    "match": ("icontains", "match looks at one end of the answer, here it may stand anywhere"),
    "exact": ("equals", "exact leaves out articles and punctuation before it compares"),
    "f1": ("rouge-l", "f1 compares words in any order"),
    "answer": ("regex", "the whole of what stands behind ANSWER: is compared there, here its beginning"),
    "choice": ("regex", ""),
    "pattern": ("icontains", "the pattern of the task is code, here the target may stand anywhere"),
}
_OF_SAMPLES = (
    *("id", "epoch", "input", "choices", "target", "sandbox", "files", "setup", "messages", "output", "scores"),
    *("metadata", "store", "events", "model_usage", "role_usage", "started_at", "completed_at", "total_time"),
    *("working_time", "uuid", "invalidation", "error", "error_retries", "attachments", "events_data", "turn_count"),
    *("limit", "summary", "timelines"),
)


class InspectImporter:
    """Logs of inspect_ai, finished or not."""

    name = "inspect"
    title = "log of inspect_ai: .eval, .json"
    reads_data = True

    def confidence(self, foreign: Foreign) -> int:
        suffix = foreign.path.suffix.lower()
        if suffix == ".eval":
            return 95
        head = foreign.text.lstrip("\ufeff \t\r\n")[:400]
        return 95 if suffix == ".json" and foreign.is_data and head.startswith("{") and '"eval"' in foreign.text else 0

    def read(self, foreign: Foreign) -> Import:
        with foreign.path.open("rb") as stream:
            if foreign.path.suffix.lower() == ".eval":
                archive = LogArchive(foreign, stream)
                header = _header_of(archive)
                return _Log(foreign, header).result(archive.samples())
            log = lenient_json(stream.read().removeprefix(b"\xef\xbb\xbf"), foreign.shown, "")
        if not isinstance(log, dict) or not isinstance(log.get("eval"), dict):
            raise PromptFileError("expected a log of inspect_ai, with the key eval", file=foreign.shown, line=1)
        samples = log.get("samples")
        if not isinstance(samples, list):
            said = "there are no samples in the log"
            raise PromptFileError(
                said, file=foreign.shown, hint="a log of the header only has none: name the .eval file"
            )
        return _Log(foreign, log).result(iter(samples))


IMPORTER = InspectImporter()


def _header_of(archive: LogArchive) -> dict[str, Any]:
    for name in ("header.json", "_journal/start.json"):
        if archive.has(name):
            header = archive.named(name)
            if isinstance(header, dict) and isinstance(header.get("eval"), dict):
                return header
            raise archive.fail(f"{name}: expected a map with the key eval, found {found(header)}")
    raise archive.fail("there is no header.json in it", "an .eval file is written by inspect_ai")


@dataclass(slots=True)
class _Log:
    foreign: Foreign
    header: dict[str, Any]
    notes: Notes = field(init=False)
    cases: dict[str, ForeignCase] = field(default_factory=dict)
    chats: dict[str, Chat] = field(default_factory=dict)
    targets: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notes = Notes(self.foreign.shown)

    def result(self, samples: Iterator[Any]) -> Import:
        data = Dataset(self.foreign, "inspect", stem_of(self.foreign, ()), self.notes)
        for number, sample in enumerate(samples, 1):
            if number > MAX_ROWS:
                raise self._fault(f"more than {MAX_ROWS:,} samples", number)
            if not isinstance(sample, dict):
                raise self._fault(f"expected a map, found {found(sample)}", number)
            self._sample(sample, number)
        data.cases = list(self.cases.values())
        if data.cases:
            data.prompt, inputs = prompt_of_chats([self.chats[key] for key in self.cases])
            for case, given in zip(data.cases, inputs, strict=True):
                case.inputs = given
            data.prompt = {**self._call(), **data.prompt}
        self._about(data)
        self._assertions()
        return data.result()

    def _fault(self, message: str, number: int) -> PromptFileError:
        return PromptFileError(f"sample {number}: {message}", file=self.foreign.shown)

    # -- the log

    def _eval(self, key: str) -> Any:
        return self.header["eval"].get(key)

    def _call(self) -> dict[str, Any]:
        """Return the model and its parameters, as a prompt says them."""
        call: dict[str, Any] = {}
        model = self._eval("model")
        provider, slash, name = model.partition("/") if isinstance(model, str) else ("", "", "")
        if slash and provider in _PROVIDERS:
            call["model"] = f"{_PROVIDERS[provider] or provider}/{name}"
        elif model:
            self.notes.changed(
                "eval.model", f"{shown(str(model))} is no model here: the project's own is asked instead"
            )
        config = self._eval("model_generate_config")
        parameters = {}
        for key, value in (config if isinstance(config, dict) else {}).items():
            if key in _PARAMETERS and not list(parameter_faults({key: value})):
                parameters[key] = value
            elif value not in (None, [], {}):
                self.notes.dropped(f"eval.model_generate_config.{key}", "a prompt has no such parameter")
        return {**call, **({"parameters": parameters} if parameters else {})}

    def _about(self, data: Dataset) -> None:
        config = self._eval("config")
        epochs = config.get("epochs") if isinstance(config, dict) else None
        most = max((max(case.answers, default=0) + 1 for case in data.cases), default=1)
        data.repeats = min(1000, max(most, epochs if isinstance(epochs, int) else 1))
        data.about = {"metadata": {key: value for key in ("task", "created") if (value := self._eval(key))}}
        if model := self._eval("model"):
            data.about["metadata"]["model"] = model
        for step in _list(_map(self.header.get("plan")).get("steps")):
            name = step.get("solver") if isinstance(step, dict) else None
            if name not in ("generate", "system_message", None):
                self.notes.dropped(
                    f"plan.steps.{name}", "a solver is code: the messages it made are kept, not it itself"
                )
        if self.header.get("status") not in ("success", None):
            said = f"the log ended with {shown(str(self.header['status']))}: what it holds is taken"
            self.notes.changed("status", said)
        if self._eval("sandbox"):
            self.notes.dropped("eval.sandbox", "there is no sandbox here")

    def _assertions(self) -> None:
        """Assert of each case what the first scorer we know compared; the others are said."""
        named = [each.get("name") for each in _list(self._eval("scorers")) if isinstance(each, dict)]
        scorers = [str(name).rpartition("/")[2] for name in named]
        known = next((name for name in scorers if name in _SCORERS), None)
        for name in scorers:
            if name not in _SCORERS:
                said = (
                    "a scorer that asks a model or runs code is not carried over: see llm-rubric, factuality and python"
                )
                self.notes.dropped(f"eval.scorers.{name}", said)
            elif name != known:
                self.notes.dropped(f"eval.scorers.{name}", f"asserted once, as {known}")
        assertion, differs = _SCORERS.get(known or "", ("", ""))
        if differs:
            self.notes.changed(f"eval.scorers.{known}", f"asserted with {assertion}: {differs}")
        for key, case in self.cases.items():
            targets = [target for target in self.targets[key] if target]
            if targets and assertion == "rouge-l":
                case.asserts = [{"type": "rouge-l", "value": targets, "threshold": 0.5}]
            elif targets and assertion == "regex":
                case.asserts = [any_of("regex", [rf"(?i)ANSWER\s*:\s*{re.escape(target)}(?!\w)" for target in targets])]
            elif targets and assertion:
                case.asserts = [any_of(assertion, targets)]

    # -- a sample

    def _sample(self, sample: dict[str, Any], number: int) -> None:
        self.notes.unknown(sample, _OF_SAMPLES, None)
        for key in ("sandbox", "files", "setup"):
            if sample.get(key):
                self.notes.dropped(f"samples.{key}", "there is no sandbox here")
        name = str(sample.get("id", number))
        epoch = sample.get("epoch", 1)
        if not isinstance(epoch, int) or not 1 <= epoch <= 1000:
            raise self._fault(f"epoch: expected a number from 1 to 1000, found {found(epoch)}", number)
        case = self.cases.get(name)
        if case is None:
            case = self.cases[name] = self._case(sample, name, number)
        self._scores(sample, case, epoch)
        if sample.get("error"):
            self.notes.dropped("samples.error", "a sample that broke has no answer")
        elif (said := self._said(sample)) is not None:
            case.answers[epoch - 1] = (said,)

    def _case(self, sample: dict[str, Any], name: str, number: int) -> ForeignCase:
        case = ForeignCase(name, None)
        metadata = sample.get("metadata")
        case.metadata = dict(metadata) if isinstance(metadata, dict) else {}
        if sample.get("choices"):
            case.metadata["choices"] = sample["choices"]
        target = sample.get("target")
        targets = [target] if isinstance(target, str) else target if isinstance(target, list) else []
        self.targets[name] = [text for text in targets if isinstance(text, str)]
        case.expected_output = next((text for text in self.targets[name] if text), None)
        if len(self.targets[name]) > 1:
            case.metadata["targets"] = self.targets[name]
        self.chats[name] = self._chat(sample, number)
        return case

    def _chat(self, sample: dict[str, Any], number: int) -> Chat:
        """Return the messages the model was sent first; where none are kept, the input of the sample."""
        sent: list[tuple[str, str]] = []
        messages = sample.get("messages")
        for message in messages if isinstance(messages, list) else []:
            if not isinstance(message, dict) or message.get("source") == "generate":
                break
            if message.get("role") == "assistant" and message.get("model"):
                break
            self._send(message, sample, sent)
        if not any(role == "user" for role, _ in sent):
            asked = sample.get("input")
            sent = []
            for message in asked if isinstance(asked, list) else [{"role": "user", "content": asked}]:
                if isinstance(message, dict):
                    self._send(message, sample, sent)
        if not sent:
            raise self._fault("input: expected a text or messages", number)
        return tuple(sent)

    def _send(self, message: dict[str, Any], sample: dict[str, Any], sent: list[tuple[str, str]]) -> None:
        text, others = text_of(message.get("content"))
        for kind in others:
            self.notes.dropped(
                "samples.input.content", f"a part of the type {shown(kind)} has no counterpart in a case"
            )
        role = own_role(message.get("role"))
        if role is None:
            self.notes.dropped("samples.input", f"a message of the role {shown(str(message.get('role')))}")
        elif text:
            sent.append((role, _resolved(text, sample)))

    def _said(self, sample: dict[str, Any]) -> Said | None:
        output = sample.get("output")
        choices = output.get("choices") if isinstance(output, dict) else None
        if not isinstance(output, dict) or not isinstance(choices, list) or not choices:
            return None
        if len(choices) > 1:
            self.notes.dropped("samples.output.choices", "an answer has one text: the first choice is taken")
        first = choices[0] if isinstance(choices[0], dict) else {}
        message = _map(first.get("message"))
        text, _ = text_of(message.get("content"))
        usage = _map(output.get("usage"))
        took = output.get("time")
        return Said(
            _resolved(text, sample),
            _calls(message.get("tool_calls")),
            model=output["model"] if isinstance(output.get("model"), str) else None,
            usage=Usage(_count(usage.get("input_tokens")), _count(usage.get("output_tokens"))),
            latency_ms=round(took * 1000, 3) if isinstance(took, int | float) else None,
            finish_reason=first["stop_reason"] if isinstance(first.get("stop_reason"), str) else None,
        )

    def _scores(self, sample: dict[str, Any], case: ForeignCase, epoch: int) -> None:
        scores = sample.get("scores")
        for name, score in (scores if isinstance(scores, dict) else {}).items():
            value = score.get("value") if isinstance(score, dict) else score
            case.metadata.setdefault("inspect_scores", {}).setdefault(str(name), {})[str(epoch)] = value
            self.notes.changed("samples.scores", "kept in metadata.inspect_scores, by scorer and epoch")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _resolved(text: str, sample: dict[str, Any]) -> str:
    """Return the text an attachment stands for: long ones are kept apart."""
    attachments = sample.get("attachments")
    if not text.startswith("attachment://") or not isinstance(attachments, dict):
        return text
    kept = attachments.get(text.removeprefix("attachment://"))
    return kept if isinstance(kept, str) else text


def _calls(calls: Any) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(
            str(call.get("id") or f"call_{number}"),
            str(call.get("function", "")),
            json.dumps(call.get("arguments") or {}, ensure_ascii=False),
        )
        for number, call in enumerate(calls if isinstance(calls, list) else (), 1)
        if isinstance(call, dict)
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
