"""The name of a metric → what is known of it, and the name of an engine → its door. Imports no engine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module, metadata
from importlib.util import find_spec

from promptstudio.errors import MissingExtraError
from promptstudio.evals.metrics.deepeval_table import DEEPEVAL_METRICS
from promptstudio.evals.metrics.ragas_table import RAGAS_METRICS
from promptstudio.evals.metrics.schema import Engine, EngineName, MetricKind

METRICS: Mapping[str, MetricKind] = {kind.name: kind for kind in (*DEEPEVAL_METRICS, *RAGAS_METRICS)}
"""By the name in a suite: deepeval/faithfulness."""
_DOORS: Mapping[EngineName, str] = {
    "deepeval": "promptstudio.evals.metrics.deepeval_engine:DeepEvalEngine",
    "ragas": "promptstudio.evals.metrics.ragas_engine:RagasEngine",
}
KNOWN_VERSIONS: Mapping[EngineName, tuple[str, ...]] = {"deepeval": ("4.3",), "ragas": ("0.4",)}
"""The versions whose scores our tests compare with; another one is tried, and said to be unknown."""


def is_less_better(name: str) -> bool:
    """Say whether a low score under this name, of an assertion or a metric, is a good one."""
    kind = METRICS.get(name)
    return kind is not None and kind.lower_is_better


def engine_version(engine: EngineName) -> str | None:
    """Return the installed version without importing it; None where it is not installed."""
    if find_spec(engine) is None:
        return None
    return metadata.version(engine)


def check_engine(engine: EngineName) -> str | None:
    """Return a warning where the installed version is not one we know. Raises MissingExtraError where there is none."""
    version = engine_version(engine)
    if version is None:
        raise MissingExtraError(
            f"metrics of {engine} need the extra `{engine}`", hint=f"pip install 'promptstudio[{engine}]'"
        )
    if not version.startswith(tuple(f"{known}." for known in KNOWN_VERSIONS[engine])):
        known = ", ".join(f"{one}.*" for one in KNOWN_VERSIONS[engine])
        return f"{engine} {version} is not a version we know ({known}): its scores are labeled with it"
    return None


@lru_cache
def engine_of(engine: EngineName) -> Engine:
    """Import an engine. The first import takes seconds."""
    check_engine(engine)
    module, _, name = _DOORS[engine].partition(":")
    made: Engine = getattr(import_module(module), name)()
    return made
