"""`ps schema`: the JSON Schema of one of the three file formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptstudio import config, prompts
from promptstudio.cli.context import Context
from promptstudio.errors import UsageError
from promptstudio.prompts.wording import suggestion

_PROMPTS = Path(prompts.__file__).parent / "schemas"
# Word on the command line → the file that ships with the package.
KINDS = {
    "prompt": _PROMPTS / "prompt.schema.json",
    "suite": _PROMPTS / "suite.schema.json",
    "config": Path(config.__file__).parent / "config.schema.json",
}


def schema(
    ctx: typer.Context,
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="prompt, suite or config.", autocompletion=lambda: list(KINDS))
    ],
) -> int:
    """Print the JSON Schema (Draft 7) of a prompt file, an evaluation suite, or promptstudio.toml."""
    if kind not in KINDS:
        raise UsageError(f"there is no schema {kind!r}", hint=suggestion(kind, KINDS, otherwise="there are"))
    context: Context = ctx.obj
    context.output.write(schema_text(kind))
    return 0


def schema_text(kind: str) -> str:
    return KINDS[kind].read_text(encoding="utf-8")
