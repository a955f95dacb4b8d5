"""A prompt of ours in the making, as importers of chat formats fill it: messages, inputs, parameters, output → a file.

Everything here settles what it takes over, and writes a loss for what it cannot: a parameter nobody knows by that
shape, a role we do not have, an answer schema that is no object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptstudio.errors import InputsError, PromptFileError
from promptstudio.exchange.document import prompt_text, safe_name
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.schema import Made
from promptstudio.exchange.spots import Spot
from promptstudio.prompts.jsonschemas import object_root_problem, schema_problems, value_problems
from promptstudio.prompts.media import media_from_data_uri, media_from_url
from promptstudio.prompts.parameters import parameter_faults
from promptstudio.prompts.prompt import MEDIA_TYPES
from promptstudio.prompts.schema import MEDIA_SOURCE
from promptstudio.prompts.template import check_syntax, free_variables
from promptstudio.prompts.wording import dotted, shown
from promptstudio.prompts.yamlfile import ValuePath

ROLES = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
}
CONNECTION = "connections live in promptstudio.toml, [providers.NAME]; a key only in the environment"
TOOLS = "a tool is a function registered in promptstudio.toml, [tools]; its definition was not taken over"

MAX_ADDRESS_LENGTH = 100_000
MAX_PARTS = 2_000

# What other formats call a provider → LiteLLM's prefix.
PROVIDERS = {
    "openai": "openai",
    "azure": "azure",
    "azure_openai": "azure",
    "openai.azure": "azure",
    "anthropic": "anthropic",
    "google": "gemini",
    "gemini": "gemini",
    "vertexai": "vertex_ai",
    "vertex_ai": "vertex_ai",
    "mistral": "mistral",
    "cohere": "cohere",
    "groq": "groq",
    "deepseek": "deepseek",
    "xai": "xai",
    "ollama": "ollama",
    "amazon.bedrock": "bedrock",
    "bedrock": "bedrock",
    "anthropic.bedrock": "bedrock",
    "foundry": "azure_ai",
    "serverless": "azure_ai",
    "huggingface": "huggingface",
    "openrouter": "openrouter",
}
# How the names of well-known models begin → their provider.
_FAMILIES = (
    (re.compile(r"(?:gpt-|chatgpt-|o[1-9](?:-|$))"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "gemini"),
)
# What other formats call a parameter → our name; names in camelCase come here as snake_case.
_PARAMETERS = {
    "max_output_tokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "stop_sequences": "stop",
    "allow_multiple_tool_calls": "parallel_tool_calls",
}
_OF_TOOLS = frozenset({"tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"})


@dataclass(slots=True)
class Draft:
    """`fields` are the plain keys of a prompt file; `declared` what the foreign file says of its inputs.

    `samples` are values the file gives as an example; they become a case of the prompt's `tests` if they are all it
    takes, else a note. Both bear our names.
    """

    ledger: Ledger
    fields: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, ValuePath] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)
    parts: int = 0
    media: int = 0

    # -- messages

    def say(self, role: str, *parts: dict[str, str], at: ValuePath | str = "messages") -> None:
        """Add a message, in the short form where it is one text. `at` is where it stands in the foreign file."""
        self._check_number(len(parts))
        if not parts:
            self.ledger.dropped(at, "there is nothing in the message")
            return
        whole = parts[0]["text"] if len(parts) == 1 and "text" in parts[0] else ""
        self.messages.append({"role": role, "content": whole or [dict(part) for part in parts]})

    def place(self, name: str, path: ValuePath | str, *, required: bool = True) -> None:
        """Add a place where the turns of a `messages` input go."""
        self._check_number(1)
        own = self.media_input(name, "messages", path, required=required)
        self.messages.append({"placeholder": own})

    def _check_number(self, parts: int) -> None:
        self.parts += parts
        if self.parts > MAX_PARTS:
            raise PromptFileError(f"more than {MAX_PARTS:,} messages or parts", file=self.ledger.foreign.shown)

    def media_input(
        self, name: str, kind: str, path: ValuePath | str, *, required: bool = True, note: str | None = None
    ) -> str:
        """Return our name of an input that holds messages or media, declared as such."""
        own = self.ledger.uses(name, kind, path)
        known = self.declared.get(own, {})
        note = note or known.get("description")
        about: dict[str, Any] = {"type": kind, **({"description": note} if note else {})}
        self.declared[own] = about if required else {**about, "required": False}
        return own

    def declare(self, name: str, about: dict[str, Any], path: ValuePath) -> str:
        """Note what the foreign file says of an input."""
        own = self.ledger.own_name(name, path)
        self.declared[own] = about
        self.places[own] = path
        return own

    def fixed_media(self, kind: str, address: str, path: ValuePath | str) -> dict[str, str]:
        """Return a part for media that the foreign file names outright.

        Here it is an input, to be given each time; the address is kept as a sample.
        """
        self.media += 1
        own = self.media_input(f"{kind}_{self.media}", kind, path)
        if len(address) <= MAX_ADDRESS_LENGTH:
            self.samples[own] = address
        self.ledger.changed(path, f"the {kind} is the input {own} here: give it with -v {own}=ADDRESS or {own}=@FILE")
        return {kind: f"{{{{ {own} }}}}"}

    # -- the call

    def model(self, name: str, provider: str | None, path: ValuePath | str) -> None:
        """Set the model, as LiteLLM calls it."""
        found = model_id(name, provider)
        if re.search(r"\s", found) or not found:
            self.ledger.dropped(path, f"{shown(name)} is no model id")
            return
        if "/" not in found:
            self.ledger.changed(path, f"{shown(name)} names no provider: write it as provider/model")
        self.fields["model"] = found

    def parameter(self, name: str, spot: Spot) -> None:
        """Carry one parameter of the call, or say why not."""
        if spot.value is None:
            spot.settle()
            return
        own = snake_case(name)
        own = _PARAMETERS.get(own, own)
        if own in _OF_TOOLS:
            spot.drop("it is about the tools, which were not taken over")
            return
        faults = list(parameter_faults({own: spot.value}))
        if not faults and own in self.parameters:
            faults = [((own,), f"the parameter {own} is given twice", None)]
        if faults:
            _, said, hint = faults[0]
            spot.drop(f"{said}: {hint}" if hint else said)
        else:
            self.parameters[own] = spot.plain()

    def response_format(self, spot: Spot) -> None:
        """Carry what OpenAI calls `response_format`: a JSON Schema becomes the output."""
        kind = spot.get("type") if spot.is_map() else None
        wrapped = spot.get("json_schema") if spot.is_map() else None
        if kind is not None and kind.value == "text":
            spot.settle()
        elif kind is not None and kind.value == "json_schema" and wrapped is not None and wrapped.is_map():
            kind.settle()
            schema, name = wrapped.get("schema"), wrapped.get("name")
            if schema is None:
                spot.drop("it holds no schema")
                return
            for key in ("strict", "description"):
                if (there := wrapped.get(key)) is not None:
                    there.drop("a prompt file says this nowhere; the answer is always validated")
            self.output(schema, name)
        else:
            spot.drop("an answer of free JSON has no type here: declare its fields below output:")

    def output(self, schema: Spot, name: Spot | None) -> None:
        """Carry a JSON Schema as the typed answer."""
        if not schema.is_map():
            schema.drop("a schema is a map")
        elif fault := _schema_fault(schema.value):
            schema.drop(f"not a schema that an output can have: {fault}")
        else:
            output: dict[str, Any] = {}
            if name is not None and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", str(name.value)):
                output["name"] = name.text()
            self.fields["output"] = {**output, "schema": schema.plain()}
        if name is not None and name.path not in name.reading.settled:
            name.drop("the name of an output has Latin letters, digits and _ (64 at most)")

    # -- about the prompt

    def version(self, spot: Spot | None) -> None:
        """Keep a version: as ours where it reads as one, else as a note."""
        if spot is not None:
            version = str(spot.plain())
            if re.fullmatch(r"\d+\.\d+\.\d+(?:[-+].+)?", version):
                self.fields["version"] = version
            elif version:
                self.metadata["version"] = spot.value

    def text_field(self, key: str, spot: Spot | None) -> None:
        if spot is not None:
            self.fields[key] = spot.text() or None

    def tags(self, spot: Spot | None) -> None:
        if spot is not None:
            self.fields["tags"] = [tag for tag in spot.texts() if tag]

    def note(self, key: str, spot: Spot | None) -> None:
        """Keep a value in the prompt's metadata."""
        if spot is not None:
            self.metadata[key] = spot.plain()

    # -- the file

    def made(self, name: str) -> Made:
        """Return the prompt as the file `name`.yaml."""
        file = f"{name}.yaml"
        inputs = self._inputs()
        samples = {name: value for name, value in self.samples.items() if name in inputs}
        document = {**self.fields, "parameters": self.parameters, "inputs": inputs, "messages": self.messages}
        if samples and _is_a_case(samples, inputs):
            document["tests"] = [{"inputs": samples}]
        elif samples:
            self.metadata["samples"] = samples
        document["metadata"] = self.metadata
        document |= self._short_form()
        self._check()
        try:
            text = prompt_text(document, file)
        except ValueError as cause:
            raise PromptFileError(
                f"what it holds cannot be written: {cause}", file=self.ledger.foreign.shown
            ) from cause
        return Made("prompt", file, text, self.ledger.foreign.shown)

    def _short_form(self) -> dict[str, Any]:
        """`system:` and `prompt:`, where that is all there is to say."""
        texts = [(message.get("role"), message.get("content")) for message in self.messages]
        roles = [role for role, content in texts if isinstance(content, str)]
        if len(roles) < len(texts) or roles not in (["user"], ["system", "user"]):
            return {}
        return {"messages": None, "prompt": texts[-1][1], **({"system": texts[0][1]} if len(texts) > 1 else {})}

    def _inputs(self) -> dict[str, Any]:
        """What is declared and used; an input that no message uses would be an error, so it is a loss."""
        used = self.ledger.inputs
        for name in [name for name in self.declared if name not in used]:
            self.ledger.dropped(
                self.places.get(name, f"inputs.{name}"), "an input that no message uses is an error here"
            )
        declared: dict[str, Any] = {}
        for name, kind in used.items():
            about = dict(self.declared.get(name, {}))
            if name in self.ledger.optional and not about:
                about["required"] = False
            declared[name] = {"type": about.pop("type", kind), **about}
        return declared

    def _check(self) -> None:
        """Raise PromptFileError where there is nothing to send, or a template cannot be used as it is."""
        file = self.ledger.foreign.shown
        if not self.messages:
            raise PromptFileError("there is no message in it", file=file, line=self.ledger.base_line)
        for message in self.messages:
            content = message.get("content", "")
            for source in [content] if isinstance(content, str) else [part.get("text", "") for part in content]:
                check_syntax(source, file=file, line=None)
                for name in free_variables(source, {}, file=file, line=None) - self.ledger.inputs.keys():
                    raise PromptFileError(f"{shown(name)} cannot be the name of an input", file=file, hint="rename it")


def _is_a_case(samples: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]) -> bool:
    """Say whether the samples are enough for a run, and fit."""
    required = (name for name, about in inputs.items() if about.get("required") is not False and "default" not in about)
    return all(name in samples for name in required) and all(
        _fits(value, inputs[name]) for name, value in samples.items()
    )


def _fits(value: Any, about: Mapping[str, Any]) -> bool:
    kind = about["type"]
    if kind == "messages":
        return isinstance(value, list) and all(
            isinstance(turn, dict) and set(turn) == {"role", "content"} for turn in value
        )
    if kind in MEDIA_TYPES:
        try:
            (media_from_data_uri if str(value).startswith("data:") else media_from_url)(str(value), kind)
        except InputsError:
            return False
        return isinstance(value, str) and value.startswith(("data:", "http://", "https://"))
    schema = {key: item for key, item in about.items() if key in ("type", "enum") and item != "any"}
    return not value_problems(schema, value)


def model_id(name: str, provider: str | None = None) -> str:
    """Return LiteLLM's id of a model; a bare name stays bare unless its family is known.

    >>> model_id("gpt-4o"), model_id("my-deployment", "azure_openai"), model_id("llama3"), model_id("groq/llama")
    ('openai/gpt-4o', 'azure/my-deployment', 'llama3', 'groq/llama')
    """
    prefix = PROVIDERS.get((provider or "").lower())
    if prefix and not name.startswith(f"{prefix}/"):
        return f"{prefix}/{name}"
    if "/" in name or provider:
        return name
    found = next((family for pattern, family in _FAMILIES if pattern.match(name)), None)
    return f"{found}/{name}" if found else name


def snake_case(name: str) -> str:
    """Return a camelCase name as snake_case.

    >>> snake_case("topP"), snake_case("maxOutputTokens"), snake_case("top_p")
    ('top_p', 'max_output_tokens', 'top_p')
    """
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _schema_fault(schema: Mapping[str, Any]) -> str | None:
    problems = schema_problems(schema)
    if problems:
        path, said = problems[0]
        return f"{dotted(path)}: {said}" if path else said
    return object_root_problem(schema)


def only_input(source: str) -> str | None:
    """Return the name where a Jinja source is one value and nothing else."""
    match = MEDIA_SOURCE.fullmatch(source)
    return match[1] if match else None


def title_of(draft: Draft, spot: Spot | None, stem: str) -> None:
    """Keep a foreign name that the file's own name does not say already."""
    if spot is None:
        return
    title = spot.text()
    if title and safe_name(title) != stem.rpartition("/")[2]:
        draft.metadata["title"] = title
