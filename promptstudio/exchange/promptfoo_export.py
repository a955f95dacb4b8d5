"""A prompt and its suites → one promptfoo configuration, complete in itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from promptstudio.exchange.document import plain
from promptstudio.exchange.export_sources import PartPieces, TurnPieces, UntranslatableError, turns_in_pieces
from promptstudio.exchange.export_turns import about_losses, call_of
from promptstudio.exchange.promptfoo_asserts import METRICS
from promptstudio.exchange.promptfoo_models import provider_of
from promptstudio.exchange.schema import Exported, ExportRequest, Loss, SuiteFile
from promptstudio.prompts.assertion_faults import assertion_name, value_key
from promptstudio.prompts.assertion_table import base_name
from promptstudio.prompts.pieces import Piece, Tag, Text
from promptstudio.prompts.prompt import Prompt
from promptstudio.prompts.yamlfile import dump_yaml

FILE = "promptfooconfig.yaml"
_SCHEMA = "# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json\n"
_OURS_ONLY = frozenset({"gt", "gte", "lt", "lte", "python", "gleu", "rouge-l"})
_TYPES = {"is-valid-tool-call": "is-valid-openai-tools-call", "json-schema": "is-json"}
_METRIC_TYPES = {metric: kind for kind, metric in METRICS.items()}
# Filters that Nunjucks has too, under its own name for each.
_SAME_FILTERS = (
    "abs batch capitalize default d dictsort escape e first float groupby indent int join last length list lower "
    "reject rejectattr replace reverse round select selectattr slice sort string sum title trim truncate upper "
    "urlencode wordcount"
)
_FILTERS = {name: name for name in _SAME_FILTERS.split()} | {"tojson": "dump", "count": "length"}
_FILTER = re.compile(r"\|\s*(\w+)")
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ITEMS = re.compile(r"(for\s+\w+\s*,\s*\w+\s+in\s+.*?)(?:\s*\|\s*items|\.items\(\))\s*$", re.DOTALL)
_UNKNOWN_TAGS = frozenset({"with", "endwith", "do", "namespace"})
_CASE_ONLY = ("context", "retrieval_context", "retrieved_contexts", "expected_tools", "tags", "repeats")
_TEMPLATE = re.compile(r"\{[{%#]")


class PromptfooExporter:
    """The messages in promptfoo's template language, and the cases of prompt and suites as tests."""

    name = "promptfoo"
    title = "promptfoo configuration"

    def write(self, request: ExportRequest) -> Exported:
        prompt, file = request.prompt, request.prompt.shown_path
        losses = about_losses(prompt, file, carried=("description", "tests", "evals"))
        turns = turns_in_pieces(request, file, losses)
        document: dict[str, Any] = {"description": prompt.description or prompt.name}
        document["prompts"] = [{"label": prompt.name, "raw": _raw(turns, file, losses)}]
        document["providers"] = _providers(prompt, request.suites, file, losses)
        document |= _tests(request, losses)
        return Exported({FILE: _SCHEMA + dump_yaml(plain(document))}, tuple(dict.fromkeys(losses)))


EXPORTER = PromptfooExporter()


# -- the prompt -----------------------------------------------------------------------------------------------------


def _raw(turns: list[TurnPieces], file: str, losses: list[Loss]) -> str:
    """Return plain text for a single user message, chat JSON for all else."""
    said = [turn for turn in turns if not turn.placeholder]
    losses += [
        Loss(file, turn.key, f"a prompt there has no place for the conversation {turn.placeholder!r}")
        for turn in turns
        if turn.placeholder
    ]
    if len(said) == 1 and said[0].role == "user" and len(said[0].parts) == 1 and said[0].parts[0].kind == "text":
        text = nunjucks_text(said[0].parts[0].pieces, file)
        if not text.lstrip().startswith(("[", "{", "- role:", "file://", "exec:")) and "\n---" not in f"\n{text}":
            return text
    chat = [{"role": turn.role, "content": _content(turn.parts, file, turn.key, losses)} for turn in said]
    return json.dumps(chat, ensure_ascii=False, indent=2)


def _content(parts: tuple[PartPieces, ...], file: str, key: str, losses: list[Loss]) -> Any:
    if len(parts) == 1 and parts[0].kind == "text":
        return nunjucks_text(parts[0].pieces, file)
    content: list[dict[str, Any]] = []
    for part in parts:
        if part.kind == "text":
            content.append({"type": "text", "text": nunjucks_text(part.pieces, file)})
        elif part.kind == "image":
            content.append({"type": "image_url", "image_url": {"url": part.source}})
        else:
            losses.append(Loss(file, key, f"a part of kind {part.kind} has no form that all its providers read"))
    return content


def nunjucks_text(pieces: Iterable[Piece], file: str) -> str:
    """Return Nunjucks source. Raises UntranslatableError for a filter or a tag it does not have."""
    written = []
    for piece in pieces:
        if isinstance(piece, Text):
            written.append(f"{{% raw %}}{piece.text}{{% endraw %}}" if _TEMPLATE.search(piece.text) else piece.text)
        elif isinstance(piece, Tag):
            written.append(f"{{% {_code(piece.code, file)} %}}")
        else:
            written.append(f"{{{{ {_code(piece.code, file)} }}}}")
    return "".join(written)


def _code(code: str, file: str) -> str:
    hint = "give values with -v: the rendered text is written then"
    code = _ITEMS.sub(r"\1", code)
    bare = _STRING.sub("''", code)
    unknown = [name for name in _FILTER.findall(bare) if name not in _FILTERS]
    if unknown or bare.split(" ", 1)[0] in _UNKNOWN_TAGS or re.search(r"\.\w+\(", bare):
        raise UntranslatableError(f"promptfoo's templates cannot say: {code}", file=file, hint=hint)
    return _FILTER.sub(lambda found: found[0].replace(found[1], _FILTERS.get(found[1], found[1])), code)


# -- providers ------------------------------------------------------------------------------------------------------


def _providers(prompt: Prompt, suites: Iterable[SuiteFile], file: str, losses: list[Loss]) -> list[Any]:
    call, more = call_of(prompt, file)
    losses += more
    named = [model for suite in suites for model in suite.value.get("models") or () if isinstance(model, str)]
    models = list(dict.fromkeys(named or [model for model in (prompt.model,) if model]))
    if not models:
        losses.append(Loss(file, "model", "the prompt names no model, and a configuration needs a provider"))
    config = {"config": call} if call else {}
    return [{"id": provider_of(model), **config} if config else provider_of(model) for model in models]


# -- tests ----------------------------------------------------------------------------------------------------------


def _tests(request: ExportRequest, losses: list[Loss]) -> dict[str, Any]:
    prompt = request.prompt
    tests = [_test(case, f"tests[{i}]", prompt.shown_path, None, losses) for i, case in enumerate(prompt.tests)]
    made: dict[str, Any] = {}
    repeats = 1
    default: list[Any] = []
    for suite in request.suites:
        shared = _asserts(suite.value.get("assert"), "assert", suite.file, losses)
        shared += _metrics(suite.value.get("metrics"), "metrics", suite.file, losses)
        alone = len(request.suites) == 1 and not prompt.tests
        cases = suite.value.get("cases")
        if not isinstance(cases, list):
            losses.append(Loss(suite.file, "cases", "cases of a file are not written out"))
            cases = []
        own = [] if alone else shared
        tests += [_test(case, f"cases[{i}]", suite.file, own, losses) for i, case in enumerate(cases)]
        default = shared if alone else []
        repeats = max(repeats, suite.value.get("repeats", 1))
        losses += _not_said(suite.value, ("gate", "judge", "tags", "metadata"), "", suite.file)
    made |= {"defaultTest": {"assert": default}} if default else {}
    made |= {"tests": tests} if tests else {}
    return made | ({"evaluateOptions": {"repeat": repeats}} if repeats > 1 else {})


def _test(case: Mapping[str, Any], key: str, file: str, shared: list[Any] | None, losses: list[Loss]) -> dict[str, Any]:
    """`shared` are assertions to put into the case; None says that what it expects is compared, as `ps test` does."""
    values = case.get("inputs") or case.get("vars") or {}
    test: dict[str, Any] = {"description": case.get("description") or case.get("id"), "vars": values}
    if any(isinstance(value, list) for value in values.values()):
        test["options"] = {"disableVarExpansion": True}
    if _TEMPLATE.search(json.dumps(values, ensure_ascii=False)):
        losses.append(Loss(file, f"{key}.inputs", "braces in values are read as templates there", severity="changed"))
    expected = next((case[name] for name in ("expected_output", "expected", "reference") if name in case), None)
    checks = list(shared or ())
    if isinstance(expected, str) and shared is None:
        checks.append({"type": "equals", "value": expected})
    elif expected is not None:
        losses.append(Loss(file, f"{key}.expected_output", "a test there expects nothing beside its assertions"))
    checks += _asserts(case.get("assert"), f"{key}.assert", file, losses)
    checks += _metrics(case.get("metrics"), f"{key}.metrics", file, losses)
    test["assert"] = checks
    test["metadata"] = case.get("metadata")
    test["threshold"] = case.get("threshold")
    losses += _not_said(case, _CASE_ONLY, f"{key}.", file)
    return {name: value for name, value in test.items() if value not in (None, [], {})}


def _asserts(items: Any, key: str, file: str, losses: list[Loss]) -> list[Any]:
    made = []
    for index, item in enumerate(items if isinstance(items, list) else []):
        found = _assert(item if isinstance(item, dict) else {"type": item}, f"{key}[{index}]", file, losses)
        made += [found] if found is not None else []
    return made


def _assert(item: dict[str, Any], key: str, file: str, losses: list[Loss]) -> dict[str, Any] | None:
    name = assertion_name(item) or ""
    inverse = "not-" if name.startswith("not-") else ""
    base = base_name(name)
    if base in _OURS_ONLY or "path" in item:
        what = "on a field of the answer" if "path" in item else f"{name}"
        losses.append(Loss(file, key, f"there is no assertion {what} there"))
        return None
    made: dict[str, Any] = {"type": f"{inverse}{_TYPES.get(base, base)}"}
    holder = value_key(item, name)
    if base == "assert-set":
        members = item[holder] if holder else []
        made["assert"] = _asserts(members, f"{key}.assert", file, losses)
    elif holder is not None:
        made["threshold" if base in ("cost", "latency") else "value"] = item[holder]
    made |= {name: item[name] for name in ("weight", "threshold", "metric") if name in item}
    judge = item.get("judge")
    if isinstance(judge, dict) and isinstance(judge.get("model"), str):
        made["provider"] = provider_of(judge["model"])
    losses += _not_said(item, ("options", "description"), f"{key}.", file)
    return made


def _not_said(value: Mapping[str, Any], keys: Iterable[str], before: str, file: str) -> list[Loss]:
    return [Loss(file, before + key, "there is no such key there") for key in keys if value.get(key)]


def _metrics(items: Any, key: str, file: str, losses: list[Loss]) -> list[Any]:
    made: list[Any] = []
    for index, item in enumerate(items if isinstance(items, list) else []):
        name, settings = next(iter(item.items())) if isinstance(item, dict) and item else (item, None)
        settings = settings if isinstance(settings, dict) else {}
        kind = _METRIC_TYPES.get(str(name))
        if kind is None:
            losses.append(Loss(file, f"{key}[{index}]", f"there is no metric {name} there"))
            continue
        losses.append(
            Loss(file, f"{key}[{index}]", f"written as {kind}, whose judge is asked in other words", severity="changed")
        )
        made.append(
            {"type": kind}
            | ({"value": settings["criteria"]} if "criteria" in settings else {})
            | ({"threshold": settings["threshold"]} if "threshold" in settings else {})
        )
    return made
