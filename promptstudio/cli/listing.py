"""The prompts of a project → a table or JSON. Loads no argument parser: `ps list` is typed often."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.prompts.library import PromptRow, prompt_rows

HEADER = ("PROMPT", "VERSION", "MODEL", "TAGS", "DESCRIPTION")


def print_prompts(context: Context, *, tags: Sequence[str] = (), as_json: bool = False) -> int:
    """Print the prompts that bear all the tags. A file that cannot be read is listed with what is wrong."""
    settings = context.project_settings()
    rows = [row for row in prompt_rows(settings) if set(tags) <= set(row.tags)]
    if as_json:
        context.output.json([_object(row, settings.root) for row in rows])
        return 0
    context.output.table([_cells(row, settings.run_model) for row in rows], header=HEADER if rows else None)
    broken = sum(row.error is not None for row in rows)
    if broken:
        files = "file cannot" if broken == 1 else "files cannot"
        context.output.labeled("warning", f"{broken} {files} be used; `{context.program} lint` says why", "yellow")
    if not rows:
        context.output.note(_nothing(context, tags))
    return 0


def _nothing(context: Context, tags: Sequence[str]) -> str:
    if tags:
        return f"no prompt has the tag {' and '.join(repr(tag) for tag in tags)}"
    return f"no prompts yet; `{context.program} init` adds one to begin with"


def _cells(row: PromptRow, default_model: str) -> tuple[str, ...]:
    name = row.name if not row.variants else f"{row.name} :{' :'.join(row.variants)}"
    if row.error is not None:
        return name, "", "", "", f"error: {row.error.message}"
    return name, row.version or "-", row.model or default_model, ", ".join(row.tags) or "-", row.description


def _object(row: PromptRow, root: Path | None) -> dict[str, Any]:
    error = row.error
    return {
        "name": row.name,
        "path": str(row.path.relative_to(root) if root else row.path),
        "description": row.description,
        "version": row.version,
        "type": row.type,
        "tags": list(row.tags),
        "model": row.model,
        "variants": list(row.variants),
        "error": error and {"message": error.message, "file": error.file, "line": error.line, "hint": error.hint},
    }
