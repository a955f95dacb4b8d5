"""Prompt files and suites → findings. Everything that keeps a file from loading, and habits worth a second look.

Nothing here runs code of the repository: `output.model`, Python tools and Python assertions are names to lint.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from promptstudio.config.settings import Settings
from promptstudio.errors import Problem, SuiteFileError, UserError
from promptstudio.prompts.assemble import Place, assemble
from promptstudio.prompts.github_models import as_prompt_document
from promptstudio.prompts.library import prompt_paths, prompt_rows, suite_paths_in
from promptstudio.prompts.lint_values import example_problems, test_problems
from promptstudio.prompts.load import parse_address, place_of, shown_path_of
from promptstudio.prompts.overlay import Source
from promptstudio.prompts.parameters import misspelled
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.secrets import find_secrets
from promptstudio.prompts.suite_schema import suite_problems
from promptstudio.prompts.template import free_variables
from promptstudio.prompts.wording import shown, suggestion
from promptstudio.prompts.yamlfile import YamlDocument, read_text_file, read_yaml

Level = Literal["error", "warning"]
_SEMVER = re.compile(r"v?(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_OVERRIDES = "\u202d\u202e"
_PAIRS = {"\u202a": "\u202c", "\u202b": "\u202c", "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"}
_HIDDEN = re.compile("[\u00ad\u200b\u2060-\u2064\ufeff\u115f\u3164\U000e0000-\U000e007f]")
_DIRECTING = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing lint found. `rule` is a stable name such as `unused-input`."""

    level: Level
    rule: str
    problem: Problem


def lint_project(settings: Settings) -> list[Finding]:
    """Lint every prompt, partial and suite of a project."""
    findings: list[Finding] = []
    used: set[str] = set()
    complete = True
    for path in prompt_paths(settings):
        file_findings, prompts = _lint_prompt(path, settings)
        findings += file_findings
        complete = complete and bool(prompts)
        used |= {name for prompt in prompts for name in prompt.partials}
    for path in _partial_paths(settings):
        findings += _text_findings(path, settings)
        if complete and settings.prompts_dir and path.relative_to(settings.prompts_dir).as_posix() not in used:
            problem = Problem("no prompt includes this file", file=shown_path_of(path, settings, None))
            findings.append(Finding("warning", "unused-partial", problem))
    findings += _collisions(settings)
    if settings.evals_dir is not None and settings.evals_dir.is_dir():
        for path in suite_paths_in(settings.evals_dir):
            findings += lint_suite(path, settings)
    return _ordered(findings)


def lint_file(path: Path, settings: Settings) -> list[Finding]:
    """Lint one file: a suite where it lies in the suites' folder, else a prompt."""
    if settings.evals_dir is not None and Path(path).absolute().is_relative_to(settings.evals_dir):
        return lint_suite(path, settings)
    return _ordered(_lint_prompt(path, settings)[0])


def lint_suite(path: Path, settings: Settings) -> list[Finding]:
    """Lint an evaluation suite."""
    shown_path = shown_path_of(path, settings, None)
    findings = _text_findings(path, settings)
    try:
        document = read_yaml(
            read_text_file(path, shown=shown_path, error=SuiteFileError), file=shown_path, error=SuiteFileError
        )
    except UserError as cause:
        return _ordered([*findings, *_errors("file", cause)])
    source = Source(document, document.value)
    findings += [Finding("error", "suite", problem) for problem in suite_problems(source)]
    findings += [Finding("error", "unknown-prompt", problem) for problem in _unknown_prompts(source, settings)]
    return _ordered(findings)


def _unknown_prompts(source: Source, settings: Settings) -> Iterator[Problem]:
    value = source.value if isinstance(source.value, dict) else {}
    listed: Any = value.get("prompts") if isinstance(value.get("prompts"), list) else []
    places: list[tuple[tuple[str | int, ...], Any]] = [(("prompts", index), name) for index, name in enumerate(listed)]
    places += [(("prompt",), value["prompt"])] if "prompt" in value else []
    rows = {row.name: row for row in prompt_rows(settings)} if places else {}
    for path, name in places:
        if not isinstance(name, str):
            continue
        try:
            address = parse_address(name)
        except UserError as cause:
            yield source.problem(cause.problems[0].message, path, cause.hint)
            continue
        if address.kind != "name" or address.revision is not None:
            continue
        row = rows.get(unicodedata.normalize("NFC", address.target))
        if row is None:
            yield source.problem(f"there is no prompt {shown(address.target)}", path, suggestion(address.target, rows))
        elif address.variant and address.variant not in row.variants:
            hint = suggestion(address.variant, row.variants, otherwise="the variants are")
            yield source.problem(f"{row.name} has no variant {shown(address.variant)}", path, hint)


def _lint_prompt(path: Path, settings: Settings) -> tuple[list[Finding], list[Prompt]]:
    """Return the findings of a prompt file, and the prompt with its variants as far as they load."""
    findings = _text_findings(path, settings)
    place = place_of(path, settings)
    try:
        document = as_prompt_document(read_yaml(read_text_file(path, shown=place.shown), file=place.shown))
        base = assemble(document, place, settings, None)
    except UserError as cause:
        rule = "undeclared-variable" if "not declared under inputs" in str(cause) else "file"
        return [*findings, *_errors(rule, cause)], []
    variants, variant_findings = _variants(base, document, place, settings)
    prompts = [base, *variants]
    findings += [
        *variant_findings,
        *_head_findings(base, document),
        *_input_findings(base, prompts, document),
        *_parameter_findings(base, document),
        *_name_findings(base, document, settings),
    ]
    findings += [Finding("error", "example", problem) for problem in example_problems(base)]
    findings += [Finding("error", "test", problem) for problem in test_problems(base)]
    return findings, prompts if len(prompts) == len(base.variants) + 1 else []


def _variants(
    base: Prompt, document: YamlDocument, place: Place, settings: Settings
) -> tuple[list[Prompt], list[Finding]]:
    prompts: list[Prompt] = []
    findings: list[Finding] = []
    for name in base.variants:
        try:
            prompt = assemble(document, place, settings, name)
        except UserError as cause:
            findings += _errors("variant", cause)
            continue
        prompts.append(prompt)
        if prompt.identity.behavior == base.identity.behavior:
            line, column = document.keys[("variants", name)]
            text = f"variants.{name}: the model is sent the same as without it"
            problem = Problem(
                text, file=base.shown_path, line=line, column=column, hint="remove it, or let it change something"
            )
            findings.append(Finding("warning", "same-variant", problem))
    return prompts, findings


def _errors(rule: str, cause: UserError) -> list[Finding]:
    return [Finding("error", rule, problem) for problem in cause.problems]


def _warning(rule: str, text: str, prompt: Prompt, at: tuple[int, int], hint: str | None = None) -> Finding:
    return Finding("warning", rule, Problem(text, file=prompt.shown_path, line=at[0], column=at[1], hint=hint))


def _head_findings(prompt: Prompt, document: YamlDocument) -> Iterator[Finding]:
    if not prompt.description.strip():
        yield _warning("no-description", "the prompt has no description", prompt, (1, 1), "add `description: …`")
    if prompt.version is not None and not _SEMVER.fullmatch(prompt.version):
        text = f"version: {shown(prompt.version)} is not a semantic version"
        yield _warning("version", text, prompt, document.place_of(("version",)), "as in 1.4.0")
    models = [(("model",), document.value.get("model"))]
    models += [(("fallbacks", index), name) for index, name in enumerate(prompt.fallbacks)]  # type: ignore[misc]
    for path, model in models:
        if model is not None and "/" not in model:
            text = f"{path[0]}: {shown(model)} does not name its provider"
            yield _warning("model", text, prompt, document.place_of(path), f"as in openai/{model[:60]}")


def _input_findings(base: Prompt, prompts: list[Prompt], document: YamlDocument) -> Iterator[Finding]:
    if not base.inputs_declared:
        return
    used = {name for prompt in prompts for name in used_names(prompt)}
    for name in base.inputs:
        if name not in used:
            line, column = document.keys[("inputs", name)]
            problem = Problem(f"inputs.{name}: no message uses it", file=base.shown_path, line=line, column=column)
            problem.hint = f"write {{{{ {name} }}}} into a message, or remove it"
            yield Finding("error", "unused-input", problem)


def used_names(prompt: Prompt) -> set[str]:
    """Return the inputs that the messages of a prompt read."""
    names = {message.placeholder for message in prompt.messages if message.placeholder is not None}
    for message in prompt.messages:
        for part in message.parts:
            names |= free_variables(part.source, prompt.partials)
    return names


def _parameter_findings(prompt: Prompt, document: YamlDocument) -> Iterator[Finding]:
    for name in prompt.file_parameters:
        if close := misspelled(name):
            at = document.keys.get(("parameters", name), (1, 1))
            text = f"parameters.{name}: no parameter that we know"
            yield _warning("parameter", text, prompt, at, f"did you mean {close!r}?")


def _name_findings(prompt: Prompt, document: YamlDocument, settings: Settings) -> Iterator[Finding]:
    for index, name in enumerate(prompt.tools):
        if settings.root is not None and name not in settings.tools:
            text = f"tools[{index}]: {shown(name)} is not registered"
            hint = "write it under [tools] in promptstudio.toml"
            yield _warning("tool", text, prompt, document.place_of(("tools", index)), hint)
    for index, name in enumerate(prompt.evals):
        if settings.root is not None and not (settings.root / name).is_file():
            text = f"evals[{index}]: there is no file {shown(name)}"
            yield _warning(
                "evals", text, prompt, document.place_of(("evals", index)), "the path starts at the project's root"
            )


def _partial_paths(settings: Settings) -> list[Path]:
    """Return the text files below the prompts folder that are partials: they, or a folder of theirs, start with `_`."""
    root = settings.prompts_dir
    if root is None or not root.is_dir():
        return []
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix not in (".json", ".jsonl"))
    return sorted(path for path in files if _is_partial(path.relative_to(root)))


def _is_partial(path: Path) -> bool:
    return any(part.startswith("_") for part in path.parts) and not any(part.startswith(".") for part in path.parts)


def _collisions(settings: Settings) -> list[Finding]:
    rows = [row for row in prompt_rows(settings) if row.error is not None and row.error.line is None]
    return [Finding("error", "name", row.error) for row in rows if row.error and "the name " in row.error.message]


def _text_findings(path: Path, settings: Settings) -> list[Finding]:
    """Return what is wrong with the characters of a file; a file that cannot be read is reported elsewhere."""
    shown_path = shown_path_of(path, settings, None)
    try:
        text = read_text_file(path, shown=shown_path)
    except UserError:
        return []
    findings = []
    for line, column, kind in find_secrets(text):
        hint = "revoke it, then keep it in an environment variable named by api_key_env in promptstudio.toml"
        problem = Problem(f"this looks like a secret ({kind})", file=shown_path, line=line, column=column, hint=hint)
        findings.append(Finding("error", "secret", problem))
    for line, column, character in _unseen(text):
        said = f"an invisible character, U+{ord(character):04X}: a reader sees other text than the model"
        problem = Problem(said, file=shown_path, line=line, column=column, hint="remove it")
        findings.append(Finding("warning", "invisible-character", problem))
    return findings


def _unseen(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield characters that hide or reorder text; what right-to-left writing needs is left alone."""
    if not (_HIDDEN.search(text) or _DIRECTING.search(text)):
        return
    for number, line in enumerate(text.split("\n"), start=1):
        for match in _HIDDEN.finditer(line):
            yield number, match.start() + 1, match.group()
        for match in _DIRECTING.finditer(line):
            if match.group() in _OVERRIDES or not _is_needed(line):
                yield number, match.start() + 1, match.group()


def _is_needed(line: str) -> bool:
    """True where right-to-left letters stand in the line, and every embedding in it is closed in it."""
    if not any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in line):
        return False
    open_pairs: list[str] = []
    for character in line:
        if character in _PAIRS:
            open_pairs.append(_PAIRS[character])
        elif character in _PAIRS.values() and (not open_pairs or open_pairs.pop() != character):
            return False
    return not open_pairs


def _ordered(findings: list[Finding]) -> list[Finding]:
    """Sort by place and drop what was found twice, once in the file and once in a variant of it."""
    unique = {(f.rule, f.problem.place, f.problem.message): f for f in findings}
    return sorted(unique.values(), key=lambda f: (f.problem.file or "", f.problem.line or 0, f.problem.column or 0))
