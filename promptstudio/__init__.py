"""PromptStudio: prompts as code.

    import promptstudio

    triage = promptstudio.load("support/triage")
    result = triage.run(ticket="I was charged twice")
    print(result.output.category, result.cost_usd)

Names are imported when they are first used, so `import promptstudio` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it; importing typing is a quarter of what a system `ps` pays for us
if TYPE_CHECKING:
    from typing import Any

    from promptstudio.errors import PromptStudioError
    from promptstudio.evals.selection import Selection
    from promptstudio.providers.call import close_connections
    from promptstudio.runner import RunOptions
    from promptstudio.sdk.evaluate import aevaluate, evaluate
    from promptstudio.sdk.prompt import AsyncStream, Chunk, Prompt, Stream, load
    from promptstudio.sdk.report import Report
    from promptstudio.types import Attempt, Media, Message, Result, Usage

_HOMES = {
    "load": "promptstudio.sdk.prompt",
    "Prompt": "promptstudio.sdk.prompt",
    "Chunk": "promptstudio.sdk.prompt",
    "Stream": "promptstudio.sdk.prompt",
    "AsyncStream": "promptstudio.sdk.prompt",
    "evaluate": "promptstudio.sdk.evaluate",
    "aevaluate": "promptstudio.sdk.evaluate",
    "Report": "promptstudio.sdk.report",
    "Selection": "promptstudio.evals.selection",
    "RunOptions": "promptstudio.runner",
    "close_connections": "promptstudio.providers.call",
    "Result": "promptstudio.types",
    "Usage": "promptstudio.types",
    "Attempt": "promptstudio.types",
    "Message": "promptstudio.types",
    "Media": "promptstudio.types",
    "PromptStudioError": "promptstudio.errors",
}
__all__ = [
    "AsyncStream",
    "Attempt",
    "Chunk",
    "Media",
    "Message",
    "Prompt",
    "PromptStudioError",
    "Report",
    "Result",
    "RunOptions",
    "Selection",
    "Stream",
    "Usage",
    "aevaluate",
    "close_connections",
    "evaluate",
    "load",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'promptstudio' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
