"""The one door to DeepEval: imports it without a sound, and hands on what we use of it.

DeepEval reads its settings from the environment and again whenever that changes, posts what was measured, loads `.env`
and a `.deepeval` folder of the working directory, and says goodbye at exit. So its variables are set for the import
alone, what it read there is made final, and what would speak or wait for the exit is taken out. A program that has
imported DeepEval before us keeps it as it is: only the counting of our own measurements is taken out then.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    "DEEPEVAL_DISABLE_DOTENV": "1",
    "DEEPEVAL_DISABLE_LEGACY_KEYFILE": "1",
    "DEEPEVAL_CACHE_FOLDER": f"{os.devnull}{os.sep}deepeval",  # below a file that is no folder: it cannot be made
    "DEEPEVAL_EVAL_MODE": "llm",
    "DEEPEVAL_MODE": "stable",
    "DEEPEVAL_NO_INSPECT_PROMPT": "1",
    "CONFIDENT_TRACING_ENABLED": "NO",
    "CONFIDENT_TRACE_VERBOSE": "0",
    "CONFIDENT_OPEN_BROWSER": "NO",
    "GRPC_VERBOSITY": "ERROR",
}
_THEIRS = ("DEEPEVAL_", "CONFIDENT_", "GRPC_VERBOSITY", "GRPC_TRACE")
"""Variables that would change what is measured or said; whatever is set of them is put back after the import."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Set DeepEval's variables, and afterwards what was there before. Where it is imported already, change nothing."""
    if "deepeval" in sys.modules:
        yield
        _count_nothing()
        return
    before = {name: value for name, value in os.environ.items() if name.startswith(_THEIRS)}
    for name in before:
        del os.environ[name]
    os.environ.update(_QUIET)
    try:
        yield
        _count_nothing()
        _trace_nothing()
        is_final = _keep_settings()
    except BaseException:
        is_final = True
        raise
    finally:
        for name in [name for name in os.environ if name.startswith(_THEIRS)]:
            if is_final or name not in _QUIET:
                del os.environ[name]
        os.environ.update(before if is_final else {})


def _count_nothing() -> None:
    """Telemetry that is opted out still counts, in a thread of its own that it ends at exit."""
    from deepeval.metrics import indicator

    indicator.record_metric = _nothing  # type: ignore[attr-defined]


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _trace_nothing() -> None:
    from deepeval.tracing.tracing import trace_manager

    trace_manager.tracing_enabled = False
    atexit.unregister(trace_manager._warn_on_exit)  # noqa: SLF001 - there is no public way, and a test watches it


def _keep_settings() -> bool:
    """Make the settings final, however the environment changes; False where this version cannot be told to."""
    from deepeval.config import settings

    if not hasattr(settings, "_calc_env_fingerprint"):
        return False
    settings.get_settings()
    final = settings._calc_env_fingerprint()  # noqa: SLF001 - they ask it before each use
    settings._calc_env_fingerprint = lambda: final  # noqa: SLF001
    return True


with _quiet():
    from deepeval import metrics
    from deepeval.errors import MissingTestCaseParamsError
    from deepeval.metrics.conversational_dag import nodes as turn_nodes
    from deepeval.metrics.dag import nodes
    from deepeval.metrics.g_eval import Rubric
    from deepeval.models import DeepEvalBaseLLM
    from deepeval.test_case import (
        ConversationalTestCase,
        LLMTestCase,
        MultiTurnParams,
        SingleTurnParams,
        ToolCall,
        ToolCallParams,
        Turn,
    )

__all__ = [
    "ConversationalTestCase",
    "DeepEvalBaseLLM",
    "LLMTestCase",
    "MissingTestCaseParamsError",
    "MultiTurnParams",
    "Rubric",
    "SingleTurnParams",
    "ToolCall",
    "ToolCallParams",
    "Turn",
    "metric_class",
    "metrics",
    "nodes",
    "turn_nodes",
]


def metric_class(name: str) -> Any:
    """Return one of their metrics, or of their community's; None where this version has none of the name."""
    if hasattr(metrics, name):
        return getattr(metrics, name)
    from deepeval.metrics import community  # few ask for one

    return getattr(community, name, None)
