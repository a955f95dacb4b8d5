"""A parsed prompt file → `Prompt`: short forms expanded, a variant merged, includes collected, everything checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from promptstudio.config.settings import Settings
from promptstudio.errors import ConfigError, NotFoundError, Problem, PromptFileError
from promptstudio.prompts.fields import input_specs, output_schema, schema_problem
from promptstudio.prompts.github_models import as_prompt_document
from promptstudio.prompts.identity import identify
from promptstudio.prompts.includes import Folder, Mention, collect_partials, confined_path, read_examples, read_json
from promptstudio.prompts.overlay import Source, overlaid
from promptstudio.prompts.parameters import parameter_faults
from promptstudio.prompts.prompt import (
    Example,
    Identity,
    InputSpec,
    MessageTemplate,
    OutputSpec,
    PartTemplate,
    Prompt,
    Retry,
)
from promptstudio.prompts.schema import MEDIA_SOURCE, PART_KINDS, PromptFile, prompt_file
from promptstudio.prompts.template import check_syntax, free_variables
from promptstudio.prompts.wording import dotted, shown, suggestion
from promptstudio.prompts.yamlfile import ValuePath, YamlDocument, read_yaml

EXAMPLES = "examples"
DEFAULT_OUTPUT_NAME = "Output"
_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_UNHASHED = Identity("", "", "")
Checked = TypeVar("Checked")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a prompt was found: its file (None for standard input), its default name, the folder it may read from."""

    path: Path | None
    name: str
    shown: str
    folder: Folder


def assemble(document: YamlDocument, place: Place, settings: Settings, variant: str | None) -> Prompt:
    """Resolve a document. Raises PromptFileError with every problem that could be found."""
    document = as_prompt_document(document)
    variants = variant_names(document)
    source = overlaid(document, _known_variant(document, variant, variants, place))
    read, problems = prompt_file(source)
    inputs, input_problems = input_specs(source)
    file = _sound(read, problems + input_problems)
    output, output_problems = _output(file, source, place.folder)
    parameters, profile = _parameters(file, source, settings)
    messages = _messages(source)
    _sound(None, output_problems + _syntax_problems(messages, source))
    partials = collect_partials(_mentions(messages, source), place.folder)
    uses = _uses(messages, partials, source)
    if file.inputs is None:
        inputs = {
            name: InputSpec(name, "string", {"type": "string"}, required=True, line=uses[name][0]) for name in uses
        }
    _sound(None, _input_problems(messages, inputs, uses, source, file.inputs is not None))
    prompt = Prompt(
        name=file.name or place.name,
        path=place.path,
        shown_path=place.shown,
        variant=variant,
        description=file.description or "",
        version=file.version,
        type=file.type,
        tags=tuple(file.tags),
        metadata=file.metadata,
        model=file.model or _base_value(settings, "run", "model"),
        parameters={name: value for name, value in parameters.items() if value is not None},
        profile=profile,
        fallbacks=tuple(file.fallbacks),
        retry=Retry(file.retry.max_attempts, file.retry.timeout),
        inputs=inputs,
        inputs_declared=file.inputs is not None,
        output=output,
        messages=tuple(message for message, _ in messages),
        examples=_examples(source, place.folder),
        tools=tuple(file.tools),
        partials=partials,
        variants=tuple(variants),
        tests=tuple(_without_free_keys(test) for test in source.value.get("tests", [])),
        evals=tuple(file.evals),
        identity=_UNHASHED,
        positions=source.positions(),
        file_parameters={name: value for name, value in file.parameters.items() if value is not None},
    )
    return replace(prompt, identity=identify(prompt))


def _sound(value: Checked | None, problems: list[Problem]) -> Checked:
    if problems:
        raise PromptFileError(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    return value  # type: ignore[return-value]  # None only where no value is asked for


def variant_names(document: YamlDocument) -> list[str]:
    """Return the variants a document declares, whatever else is wrong with it."""
    variants = document.value.get("variants") if isinstance(document.value, dict) else None
    return [name for name in variants if not name.startswith("x-")] if isinstance(variants, dict) else []


def _known_variant(document: YamlDocument, variant: str | None, known: list[str], place: Place) -> str | None:
    if variant is None or (variant in known and not isinstance(document.value["variants"][variant], dict)):
        return None  # what is not a map is reported with the rest of the file
    if variant not in known:
        hint = suggestion(variant, known, otherwise="the variants are") if known else "the file declares no variants"
        raise NotFoundError(f"there is no variant {shown(variant)}", file=place.shown, hint=hint)
    return variant


def _without_free_keys(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if not key.startswith("x-")}


def _base_value(settings: Settings, section: str, key: str) -> str | None:
    """Return a value of promptstudio.toml itself: identity must not depend on variables, flags or the environment."""
    table = settings.base.get(section)
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) else None


def _parameters(file: PromptFile, source: Source, settings: Settings) -> tuple[dict[str, Any], str | None]:
    name = file.profile or _base_value(settings, "run", "profile")
    if name is None:
        return dict(file.parameters), None
    if name not in settings.profiles:
        known = settings.profiles
        hint = (
            suggestion(name, known, otherwise="the profiles are")
            if known
            else "write [profiles.NAME] in promptstudio.toml"
        )
        if file.profile is None:
            raise ConfigError(f"run.profile: there is no profile {shown(name)}", file="promptstudio.toml", hint=hint)
        raise PromptFileError(source.problem(f"there is no profile {shown(name)}", ("profile",), hint))
    profile = settings.profiles[name]
    faults = list(parameter_faults(profile))
    if faults:
        raise ConfigError(
            Problem(f"profiles.{name}.{dotted(path)}: {message}", file="promptstudio.toml", hint=hint)
            for path, message, hint in faults
        )
    return {**profile, **file.parameters}, name


def _messages(source: Source) -> list[tuple[MessageTemplate, list[ValuePath]]]:
    """Return the messages, each with the paths of its parts; `system:` and `prompt:` become one message each."""
    value = source.value
    if "messages" not in value:
        short = (("system", "system"), ("prompt", "user"))
        return [_message(role, value[key], (key,), (key,), source) for key, role in short if key in value]
    messages = []
    for index, item in enumerate(value["messages"]):
        path: ValuePath = ("messages", index)
        if "placeholder" in item:
            line = source.place((*path, "placeholder"))[0]
            messages.append((MessageTemplate(None, (), item["placeholder"], line), [(*path, "placeholder")]))
        else:
            messages.append(_message(item["role"], item["content"], path, (*path, "content"), source))
    return messages


def _message(
    role: str, content: Any, path: ValuePath, content_path: ValuePath, source: Source
) -> tuple[MessageTemplate, list[ValuePath]]:
    if isinstance(content, str):
        found = [("text", content, content_path)]
    else:
        kinds = [next(kind for kind in PART_KINDS if kind in part) for part in content]
        found = [(kind, content[i][kind], (*content_path, i, kind)) for i, kind in enumerate(kinds)]
    parts = tuple(
        PartTemplate(kind, text, source.span(at)[0], source.place(at)[1])  # type: ignore[arg-type]  # one of PART_KINDS
        for kind, text, at in found
    )
    return MessageTemplate(role, parts, None, source.place(path)[0]), [at for _, _, at in found]


def _parts(messages: list[tuple[MessageTemplate, list[ValuePath]]]) -> list[tuple[PartTemplate, ValuePath]]:
    return [pair for message, paths in messages for pair in zip(message.parts, paths, strict=False)]


def _syntax_problems(messages: list[tuple[MessageTemplate, list[ValuePath]]], source: Source) -> list[Problem]:
    problems: list[Problem] = []
    for part, path in _parts(messages):
        try:
            check_syntax(part.source, file=source.file, line=part.line, column=part.column)
        except PromptFileError as cause:
            problems += [_within(problem, source.span(path)) for problem in cause.problems]
    return problems


def _within(problem: Problem, span: tuple[int, int]) -> Problem:
    r"""Keep a template's error on the lines of its text: in `"a\nb"` the second line is still the first in the file."""
    line = min(problem.line or span[0], span[1])
    return Problem(problem.message, file=problem.file, line=line, column=problem.column, hint=problem.hint)


def _mentions(messages: list[tuple[MessageTemplate, list[ValuePath]]], source: Source) -> list[tuple[str, Mention]]:
    mentions = []
    for part, path in _parts(messages):
        first, last = source.span(path)
        line = _line_of(r"\{%[-+]?\s*(?:include|import|from|extends)\b", source, first, last)
        mentions.append((part.source, Mention(source.file, line or first)))
    return mentions


def _line_of(pattern: str, source: Source, first: int, last: int) -> int | None:
    lines = source.document.text.splitlines()[first - 1 : last]
    return next((first + index for index, line in enumerate(lines) if re.search(pattern, line)), None)


Uses = dict[str, tuple[int, int, str]]


def _uses(messages: list[tuple[MessageTemplate, list[ValuePath]]], partials: Mapping[str, str], source: Source) -> Uses:
    """Return each free variable with line and column of its first use and the path of that text, in order of use."""
    uses: Uses = {}
    for part, path in _parts(messages):
        if media := MEDIA_SOURCE.fullmatch(part.source) if part.kind != "text" else None:
            names = {media[1]}
        else:
            names = free_variables(part.source, partials, file=source.file, line=part.line)
        placed = {name: _place_of_use(name, path, source) for name in names}
        for name in sorted(names, key=lambda name: (placed[name], name)):
            uses.setdefault(name, (*placed[name], dotted(path)))
    return uses


def _place_of_use(name: str, path: ValuePath, source: Source) -> tuple[int, int]:
    """Return where a name stands in a text; the first line of the text where it comes from an include."""
    first, last = source.span(path)
    within_tag = re.compile(r"\{[{%](?:(?![%}]\}).)*?(?<![\w.])" + re.escape(name) + r"(?!\w)", re.DOTALL)
    lines = source.document.text.split("\n")[first - 1 : last]
    text = "\n".join(lines)
    start = source.place(path)[1] - 1 if first == source.place(path)[0] else 0
    match = within_tag.search(text, start)
    if match is None:
        return first, source.place(path)[1]
    at = match.end() - len(name)
    return first + text.count("\n", 0, at), at - text.rfind("\n", 0, at)


def _input_problems(
    messages: list[tuple[MessageTemplate, list[ValuePath]]],
    inputs: Mapping[str, InputSpec],
    uses: Uses,
    source: Source,
    declared: bool,
) -> list[Problem]:
    problems = []
    for name, (line, column, where) in uses.items():
        if name not in inputs:
            hint = (
                suggestion(name, inputs, otherwise="declare it under inputs; declared are") if inputs else "declare it"
            )
            text = f"{where}: {shown(name)} is used and not declared under inputs"
            problems.append(Problem(text, file=source.file, line=line, column=column, hint=hint))
    for message, paths in messages:
        if message.placeholder is not None:
            problems += _placeholder_problems(message.placeholder, paths[0], inputs, source)
    for part, path in _parts(messages):
        media = MEDIA_SOURCE.fullmatch(part.source) if part.kind != "text" else None
        if media and (not declared or (media[1] in inputs and inputs[media[1]].type != part.kind)):
            text = f"{shown(media[1])} is not declared as {_article(part.kind)} input"
            problems.append(source.problem(text, path, f"write inputs: {{{media[1]}: {{type: {part.kind}}}}}"))
    return problems


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _placeholder_problems(name: str, path: ValuePath, inputs: Mapping[str, InputSpec], source: Source) -> list[Problem]:
    if name == EXAMPLES or (name in inputs and inputs[name].type == "messages"):
        return []
    known = [EXAMPLES, *(spec.name for spec in inputs.values() if spec.type == "messages")]
    if name in inputs:
        hint = f"write inputs: {{{name}: {{type: messages}}}}"
    else:
        hint = suggestion(name, known, otherwise="a placeholder is `examples` or an input of type messages; there are")
    return [source.problem(f"{shown(name)} is not an input of type messages", path, hint)]


def _output(file: PromptFile, source: Source, folder: Folder) -> tuple[OutputSpec | None, list[Problem]]:
    if file.output is None:
        return None, []
    line = source.key_place(("output",))[0]
    schema: dict[str, Any] | None = None
    problems: list[Problem] = []
    name = file.output.name
    if file.output.fields is not None:
        schema, problems = output_schema(source)
    elif file.output.json_schema_ is not None:
        schema, problems = _schema_output(source, folder)
        title = (schema or {}).get("title")
        name = name or (title if isinstance(title, str) and _TYPE_NAME.fullmatch(title) else None)
    elif file.output.model is not None:
        name = name or file.output.model.rpartition(":")[2].rpartition(".")[2]
    name = name or DEFAULT_OUTPUT_NAME
    return OutputSpec(name, schema, file.output.model, file.output.max_retries, file.output.mode, line), problems


def _schema_output(source: Source, folder: Folder) -> tuple[dict[str, Any] | None, list[Problem]]:
    # Here for weight: only files with a whole schema need the library.
    from promptstudio.prompts.jsonschemas import object_root_problem, schema_problems, without_notes

    path: ValuePath = ("output", "schema")
    schema: Any = _without_free_keys(source.value["output"]["schema"])
    reference = schema.get("$ref")
    from_file = isinstance(reference, str) and not reference.startswith("#")
    where = ""
    if from_file:
        if len(schema) > 1:
            return None, [
                source.problem("beside a $ref to a file nothing else can stand", path, "put it into the file")
            ]
        schema, where = _schema_file(reference, source, folder)
    faults = schema_problems(schema, strict_keywords=not from_file)
    if not faults and (said := object_root_problem(schema)):
        faults = [((), said)]
    if faults and from_file:
        at = (*path, "$ref")
        return None, [source.problem(f"{where}: {dotted(inner)}: {said}", at) for inner, said in faults]
    if faults:
        return None, [schema_problem(source, path, inner, said) for inner, said in faults]
    schema = without_notes(schema, drop=("$schema", "$id", "$comment"))
    return {**schema, "type": "object"} if "$ref" not in schema else schema, []


def _schema_file(reference: str, source: Source, folder: Folder) -> tuple[Any, str]:
    at = ("output", "schema", "$ref")
    mention = Mention(source.file, *source.place(at))
    path = confined_path(reference, folder, mention, relative=True)
    where = folder.shown(path)
    text = folder.files.text(path, shown=where)
    value = read_yaml(text, file=where).value if path.suffix in (".yaml", ".yml") else read_json(text, file=where)
    return value, where


def _examples(source: Source, folder: Folder) -> tuple[Example, ...]:
    examples: list[Example] = []
    for index, item in enumerate(source.value.get("examples", [])):
        path: ValuePath = ("examples", index)
        line = source.place(path)[0]
        if "file" in item:
            mention = Mention(source.file, *source.place((*path, "file")))
            found = confined_path(item["file"], folder, mention, relative=True)
            where = folder.shown(found)
            rows = read_examples(found, shown_path=where, files=folder.files)
            examples += [Example(row.inputs, row.output, where, row.line) for row in rows]
        else:
            examples.append(Example(item.get("inputs", {}), item["output"], source.file, line))
    return tuple(examples)
