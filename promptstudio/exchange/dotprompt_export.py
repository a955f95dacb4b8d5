"""A prompt → a dotprompt file: front matter and a Handlebars body."""

from __future__ import annotations

from typing import Any

from promptstudio.exchange.document import plain
from promptstudio.exchange.export_sources import TurnPieces, turns_in_pieces
from promptstudio.exchange.export_turns import about_losses
from promptstudio.exchange.handlebars_write import HandlebarsWriter
from promptstudio.exchange.schema import Exported, ExportRequest, Loss
from promptstudio.prompts.prompt import MEDIA_TYPES, Prompt
from promptstudio.prompts.yamlfile import dump_yaml

_ROLES = {"assistant": "model", "developer": "system"}
_CONFIG = {"max_tokens": "maxOutputTokens", "top_p": "topP", "top_k": "topK", "stop": "stopSequences"}
_PROVIDERS = {"gemini": "googleai", "vertex_ai": "vertexai"}


class DotpromptExporter:
    """The file `NAME.prompt`."""

    name = "dotprompt"
    title = "dotprompt"

    def write(self, request: ExportRequest) -> Exported:
        prompt, file = request.prompt, request.prompt.shown_path
        losses = about_losses(prompt, file, carried=("description", "version"))
        body = _body(turns_in_pieces(request, file, losses), file, losses)
        front = _front_matter(prompt, request, file, losses)
        # Without front matter the whole file is the body, to its last line feed.
        text = f"---\n{dump_yaml(plain(front))}---\n{body}\n" if front else body
        stem = request.stem.rpartition("/")[2]
        return Exported({f"{stem}.prompt": text}, tuple(dict.fromkeys(losses)))


EXPORTER = DotpromptExporter()


def _front_matter(prompt: Prompt, request: ExportRequest, file: str, losses: list[Loss]) -> dict[str, Any]:
    front: dict[str, Any] = {}
    if prompt.model:
        prefix, slash, name = prompt.model.partition("/")
        front["model"] = f"{_PROVIDERS.get(prefix, prefix)}/{name}" if slash else prompt.model
    front |= {"description": prompt.description} if prompt.description else {}
    front |= {"version": prompt.version} if prompt.version else {}
    if prompt.parameters:
        front["config"] = {_CONFIG.get(name, _camel(name)): value for name, value in prompt.parameters.items()}
    given = _input(prompt, file, losses) if request.values is None else {}
    front |= {"input": given} if given else {}
    if prompt.output is not None and prompt.output.schema is not None:
        front["output"] = {"format": "json", "schema": dict(prompt.output.schema)}
    elif prompt.output is not None:
        losses.append(Loss(file, "output.model", "the type of the answer is Python code"))
    return front


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _input(prompt: Prompt, file: str, losses: list[Loss]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    default: dict[str, Any] = {}
    for name, spec in prompt.inputs.items():
        if spec.type == "messages":
            if name != "history":
                losses.append(
                    Loss(file, f"inputs.{name}", "a conversation there is called history", severity="changed")
                )
            continue
        schema = {"type": "string"} if spec.type in MEDIA_TYPES else dict(spec.schema)
        properties[name] = schema | ({"description": spec.description} if spec.description else {})
        required += [name] if spec.required else []
        if spec.has_default:
            default[name] = spec.default
    made: dict[str, Any] = {"default": default} if default else {}
    if properties:
        whole: dict[str, Any] = {"type": "object", "properties": properties}
        made["schema"] = whole | ({"required": required} if required else {})
    return made


def _body(turns: list[TurnPieces], file: str, losses: list[Loss]) -> str:
    written: list[str] = []
    for turn in turns:
        if turn.placeholder:
            written.append("{{history}}")
            continue
        role = _ROLES.get(turn.role, turn.role)
        if turn.role == "developer":
            losses.append(Loss(file, f"{turn.key}.role", "written as system", severity="changed"))
        text = _parts(turn, file, losses)
        if not text.strip():
            losses.append(Loss(file, turn.key, "a message of nothing but white space is left out there"))
            continue
        written.append(f'{{{{role "{role}"}}}}{text}')
    # One user message needs no role, and reads better without.
    if len(written) == 1 and written[0].startswith('{{role "user"}}'):
        written[0] = written[0].removeprefix('{{role "user"}}')
    body = "".join(written)
    if body != body.strip():
        losses.append(
            Loss(
                file,
                "messages",
                "white space at the begin and the end of the whole is dropped there",
                severity="changed",
            )
        )
    return body.strip()


def _parts(turn: TurnPieces, file: str, losses: list[Loss]) -> str:
    text = ""
    for part in turn.parts:
        if part.kind == "text":
            text += HandlebarsWriter(file).text(part.pieces)
        elif part.source.startswith("{{"):
            text += f"{{{{media url={part.source.strip('{} ')}}}}}"
        elif part.source.startswith("data:") or '"' in part.source:
            losses.append(Loss(file, turn.key, f"the {part.kind} is left out: it has no address of its own"))
        else:
            text += f'{{{{media url="{part.source}"}}}}'
    return text
