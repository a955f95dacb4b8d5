"""The formats we read and write, as two tables; a name outside of them is looked up among the installed entry points.

A format's module is imported when the format is used, and entry points are asked for only at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple, cast

from promptstudio.errors import NotFoundError, UserError
from promptstudio.exchange.schema import Exporter, Importer
from promptstudio.prompts.wording import shown, suggestion

IMPORTERS_GROUP = "promptstudio.importers"
EXPORTERS_GROUP = "promptstudio.exporters"
AUTO = "auto"


class Row(NamedTuple):
    """A format: its name, `module:object` of its importer or exporter, and what people call it."""

    name: str
    target: str
    title: str


# In the order they are asked, where two are equally sure that a file is theirs.
IMPORTERS: tuple[Row, ...] = (
    Row("promptfoo", "promptstudio.exchange.promptfoo:IMPORTER", "promptfoo configuration"),
    Row("github-models", "promptstudio.exchange.github_models:IMPORTER", "GitHub Models .prompt.yml"),
    Row("dotprompt", "promptstudio.exchange.dotprompt:IMPORTER", "dotprompt"),
    Row("prompty", "promptstudio.exchange.prompty:IMPORTER", "Prompty, version 1 and 2"),
    Row("langchain", "promptstudio.exchange.langchain:IMPORTER", "LangChain prompt, YAML or JSON"),
    Row("llm", "promptstudio.exchange.llm_templates:IMPORTER", "template of the llm program"),
    Row("langfuse", "promptstudio.exchange.langfuse:IMPORTER", "Langfuse prompt JSON"),
    Row("promptlayer", "promptstudio.exchange.promptlayer:IMPORTER", "PromptLayer template JSON"),
    Row("openai-json", "promptstudio.exchange.openai_chat:IMPORTER", "OpenAI chat JSON"),
    Row("deepeval", "promptstudio.exchange.deepeval:IMPORTER", "DeepEval goldens: CSV, JSON, JSONL"),
    Row("ragas", "promptstudio.exchange.ragas:IMPORTER", "RAGAS dataset: CSV, JSONL, JSON"),
    Row("inspect", "promptstudio.exchange.inspect_log:IMPORTER", "log of inspect_ai: .eval, .json"),
    Row("openai-evals", "promptstudio.exchange.openai_evals:IMPORTER", "samples of OpenAI Evals, JSONL"),
)
EXPORTERS: tuple[Row, ...] = (
    Row("openai-json", "promptstudio.exchange.openai_chat:EXPORTER", "OpenAI chat JSON, rendered with values"),
    Row("promptfoo", "promptstudio.exchange.promptfoo_export:EXPORTER", "promptfoo configuration"),
    Row("dotprompt", "promptstudio.exchange.dotprompt_export:EXPORTER", "dotprompt"),
    Row("langfuse", "promptstudio.exchange.langfuse:EXPORTER", "Langfuse prompt JSON"),
)


def importer_for(name: str) -> Importer:
    """Return the importer of a format. Raises NotFoundError with the nearest name."""
    return cast("Importer", _found(name, IMPORTERS, IMPORTERS_GROUP))


def exporter_for(name: str) -> Exporter:
    """Return the exporter of a format. Raises NotFoundError with the nearest name."""
    return cast("Exporter", _found(name, EXPORTERS, EXPORTERS_GROUP))


def known_importers() -> Iterator[Importer]:
    """Yield the importers of our table, in its order; those of other packages are used only when they are named."""
    for row in IMPORTERS:
        yield cast("Importer", _loaded(row.target))


def _found(name: str, table: tuple[Row, ...], group: str) -> Any:
    row = next((row for row in table if row.name == name), None)
    if row is not None:
        return _loaded(row.target)
    others = entry_points(group=group)
    if name not in others.names:
        known = [*(row.name for row in table), *sorted(others.names)]
        raise NotFoundError(
            f"there is no format {shown(name)}", hint=suggestion(name, known, otherwise="the formats are")
        )
    try:
        return others[name].load()
    except Exception as cause:  # somebody else's module may raise anything when it is imported
        raise UserError(f"the format {shown(name)} of another package does not load: {cause}") from cause


def _loaded(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
