"""Which model embeds for an assertion: its own, else that of the settings, else the offline one. Asks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, Problem, SuiteFileError, UserError
from promptstudio.evals.assertions.assertion import Assertion
from promptstudio.providers.embed import embedding_connection
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING

EMBEDDING = frozenset({"similar", "similar:dot", "similar:euclidean"})


def default_embedder(settings: Settings) -> str:
    """Return the model that embeds where an assertion names none."""
    return settings.eval.get("embedder") or OFFLINE_EMBEDDING


def with_embedder(assertions: tuple[Assertion, ...], default: str) -> tuple[Assertion, ...]:
    """Write the model into assertions that name none, so that it is a part of what decides their scores."""
    if default == OFFLINE_EMBEDDING:
        return assertions
    return tuple(_with_embedder(assertion, default) for assertion in assertions)


def _with_embedder(assertion: Assertion, default: str) -> Assertion:
    if assertion.members:
        return replace(assertion, members=with_embedder(assertion.members, default))
    if not _embeds(assertion) or "model" in assertion.options:
        return assertion
    return replace(assertion, options={"model": default, **assertion.options})


def _embeds(assertion: Assertion) -> bool:
    if "/" not in assertion.name:
        return assertion.name in EMBEDDING
    from promptstudio.evals.metrics.table import METRICS  # for suites with metrics only

    return METRICS[assertion.name].embeds


def embedding_models(assertions: Iterable[Assertion]) -> Counter[str]:
    """Return how many comparisons each model is asked for with one answer."""
    return Counter(each.options.get("model", OFFLINE_EMBEDDING) for each in embedding_assertions(assertions))


def embedding_assertions(assertions: Iterable[Assertion]) -> Iterator[Assertion]:
    """Yield the assertions that embed, members of sets included."""
    for assertion in assertions:
        if _embeds(assertion):
            yield assertion
        yield from embedding_assertions(assertion.members)


def check_embedders(assertions: Iterable[Assertion], settings: Settings, known: set[str]) -> None:
    """Look at each model once; `known` remembers. Raises SuiteFileError, with the place, for one that cannot embed."""
    for assertion in embedding_assertions(assertions):
        model = assertion.options.get("model", OFFLINE_EMBEDDING)
        if model in known:
            continue
        try:
            embedding_connection(model, settings, _NO_ENVIRONMENT, without_secrets=True)
            _check_size(model, assertion)
        except UserError as error:
            place = {"file": assertion.file, "line": assertion.line, "column": assertion.column}
            raise SuiteFileError(Problem(error.message, hint=error.hint, **place)) from error  # type: ignore[arg-type]
        known.add(model)


def _check_size(model: str, assertion: Assertion) -> None:
    if model == OFFLINE_EMBEDDING and "dimensions" in assertion.options:
        raise NotFoundError(f"{OFFLINE_EMBEDDING} has one size", hint="leave `dimensions` out, or name a `model`")


_NO_ENVIRONMENT: Mapping[str, str] = {}
