"""A prompt → the lines of its page, or one JSON object. Reads nothing, prints nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.config import Settings
from promptstudio.output.terminal import columns, indented
from promptstudio.prompts.prompt import InputSpec, MessageTemplate, OutputSpec, Prompt
from promptstudio.prompts.tokens import estimate_message_tokens, estimate_tokens
from promptstudio.types import Message, Part


def page_lines(prompt: Prompt, settings: Settings) -> Iterator[str]:
    """Yield the page: facts, inputs, output, messages."""
    yield from columns([(name, value) for name, value in _facts(prompt, settings) if value])
    if prompt.inputs:
        yield from ("", "inputs")
        rows = [_input_cells(spec) for spec in prompt.inputs.values()]
        yield from (f"  {line}" for line in columns(rows))
    if prompt.output:
        yield from ("", f"output {prompt.output.name}")
        yield from (f"  {line}" for line in columns(_output_rows(prompt.output)))
    for message in prompt.messages:
        yield from ("", message.role or f"({message.placeholder})")
        for part in message.parts:
            yield from indented(_part_text(part.kind, part.source))
    if prompt.examples:
        yield from ("", f"{len(prompt.examples)} few-shot example{'s' if len(prompt.examples) > 1 else ''}")


def message_lines(messages: tuple[Message, ...]) -> Iterator[str]:
    """Yield rendered messages, each under its role."""
    for number, message in enumerate(messages):
        if number:
            yield ""
        yield f"{message.role}:"
        for part in message.parts:
            yield from indented(_media(part) or part.text)


def prompt_object(prompt: Prompt, settings: Settings, messages: tuple[Message, ...] | None) -> dict[str, Any]:
    """Return everything a prompt means, and the rendered messages where there are some."""
    found = {
        "name": prompt.name,
        "path": prompt.shown_path,
        "variant": prompt.variant,
        "variants": list(prompt.variants),
        "description": prompt.description,
        "version": prompt.version,
        "type": prompt.type,
        "tags": list(prompt.tags),
        "metadata": dict(prompt.metadata),
        "model": prompt.model or settings.run_model,
        "parameters": dict(prompt.parameters),
        "profile": prompt.profile,
        "fallbacks": list(prompt.fallbacks),
        "retry": {"max_attempts": prompt.retry.max_attempts, "timeout": prompt.retry.timeout_s},
        "inputs": {name: _input_object(spec) for name, spec in prompt.inputs.items()},
        "output": _output_object(prompt.output) if prompt.output else None,
        "messages": [_template_object(message) for message in prompt.messages],
        "examples": [{"inputs": dict(one.inputs), "output": one.output} for one in prompt.examples],
        "tools": list(prompt.tools),
        "partials": dict(prompt.partials),
        "identity": {
            "behavior": prompt.identity.behavior,
            "interface": prompt.identity.interface,
            "text": prompt.identity.text,
        },
        "estimated_tokens": _template_tokens(prompt),
    }
    if messages is not None:
        found["rendered"] = [message_object(message) for message in messages]
        found["estimated_tokens"] = estimate_message_tokens(messages)
    return found


def _facts(prompt: Prompt, settings: Settings) -> Iterator[tuple[str, str]]:
    yield "name", prompt.name + (f":{prompt.variant}" if prompt.variant else "")
    yield "file", prompt.shown_path
    yield "about", prompt.description
    yield "version", prompt.version or ""
    yield "type", prompt.type
    yield "tags", ", ".join(prompt.tags)
    yield "model", prompt.model or f"{settings.run_model} ({settings.origin('run.model')})"
    yield "fallbacks", ", ".join(prompt.fallbacks)
    yield "parameters", ", ".join(f"{name}={_short(value)}" for name, value in prompt.parameters.items())
    yield "profile", prompt.profile or ""
    yield "retry", f"{prompt.retry.max_attempts} attempts of {prompt.retry.timeout_s:g} s"
    yield "tools", ", ".join(prompt.tools)
    yield "variants", ", ".join(prompt.variants)
    yield "tokens", f"about {_template_tokens(prompt):,} before values are filled in"
    yield "behavior", _short_hash(prompt.identity.behavior)
    yield "interface", _short_hash(prompt.identity.interface)
    yield "text", _short_hash(prompt.identity.text)


def _short_hash(identity: str) -> str:
    """`p1:` and twelve digits, as everywhere a hash is shown."""
    return identity[:15]


def _template_tokens(prompt: Prompt) -> int:
    texts = [part.source for message in prompt.messages for part in message.parts if part.kind == "text"]
    return estimate_tokens("\n".join([*texts, *prompt.partials.values()]))


def _input_cells(spec: InputSpec) -> tuple[str, str, str, str]:
    without_default = "required" if spec.required else "optional"
    need = f"default {_short(spec.default)}" if spec.has_default else without_default
    return spec.name, _kind(spec.type, spec.schema), need, spec.description


def _output_rows(output: OutputSpec) -> list[tuple[str, str, str]]:
    if output.schema is None:
        return [("model", output.model or "", "")]
    required = output.schema.get("required", ())
    return [
        (name, _kind(str(schema.get("type", "any")), schema), schema.get("description", ""))
        if name in required
        else (f"{name}?", _kind(str(schema.get("type", "any")), schema), schema.get("description", ""))
        for name, schema in output.schema.get("properties", {}).items()
        if isinstance(schema, Mapping)
    ]


def _kind(type_name: str, schema: Mapping[str, Any]) -> str:
    """A type with its limits on one line: `integer 1..5`, `string: web | ios`."""
    if "enum" in schema:
        return " | ".join(_short(value) for value in schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        return f"{type_name} {'' if low is None else low}..{'' if high is None else high}"
    if "maxLength" in schema:
        return f"{type_name}, at most {schema['maxLength']:,} letters"
    return type_name


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:39] + "…"


def _part_text(kind: str, source: str) -> str:
    return source.rstrip("\n") if kind == "text" else f"[{kind}: {source}]"


def _media(part: Part) -> str | None:
    if part.media is None:
        return None
    size = "" if part.media.data is None else f", {len(part.media.data):,} bytes"
    name = part.media.name or part.media.url or part.media.mime_type
    return f"[{part.kind}: {name}{size}]"


def _input_object(spec: InputSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"type": spec.type, **spec.schema, "required": spec.required}
    if spec.has_default:
        found["default"] = spec.default
    if spec.description:
        found["description"] = spec.description
    return found


def _output_object(output: OutputSpec) -> dict[str, Any]:
    kind = {"model": output.model} if output.model else {"schema": output.schema}
    return {"name": output.name, **kind, "max_retries": output.max_retries, "mode": output.mode}


def _template_object(message: MessageTemplate) -> dict[str, Any]:
    if message.placeholder is not None:
        return {"placeholder": message.placeholder}
    return {"role": message.role, "content": [{part.kind: part.source} for part in message.parts]}


def message_object(message: Message) -> dict[str, Any]:
    if len(message.parts) == 1 and message.parts[0].kind == "text":
        return {"role": message.role, "content": message.parts[0].text}
    return {"role": message.role, "content": [{part.kind: _media(part) or part.text} for part in message.parts]}
