"""A plan → what it will ask and cost: calls that are stored, calls that are cached, and an estimate of the others.

Nothing is sent and no code is run. Tokens are estimates; an answer is taken to be as long as `max_tokens` allows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from promptstudio.cache.answer import kept_reply
from promptstudio.cache.place import cache_path
from promptstudio.cache.request import cache_key, content_of
from promptstudio.cache.schema import limits_of
from promptstudio.cache.store import CacheStore
from promptstudio.config import Settings
from promptstudio.errors import ProviderError, UserError
from promptstudio.evals.assertions.assertion import Assertion, as_text
from promptstudio.evals.embedding_models import embedding_assertions
from promptstudio.evals.evaluate import EvalOptions
from promptstudio.evals.plan import Plan, Target, Task, flat_assertions, values_of
from promptstudio.evals.preflight import LARGE_BYTES, LOOKED_AT
from promptstudio.evals.schema import Case
from promptstudio.evals.store import EvalStore, store_path
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.render import render_messages
from promptstudio.prompts.tokens import estimate_message_tokens, estimate_tokens
from promptstudio.providers.ngrams import OFFLINE_EMBEDDING
from promptstudio.providers.prices import price_row
from promptstudio.providers.schema import Connection, Emit, Reach, Reply, Wire, WireCall
from promptstudio.runner import Runner


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one prompt and model will come to. `calls` are all of them, the others are parts of it.

    `output_tokens` and `cost_usd` are None where they are not known. `embeds` marks what assertions ask of an embedding
    model: at most as many calls, because a text that was embedded is not embedded again. `judges` marks what assertions
    and metrics ask of a judge.
    """

    prompt: str
    model: str
    calls: int = 0
    stored: int = 0
    cached: int = 0
    replayed: int = 0
    input_tokens: int = 0
    output_tokens: int | None = 0
    cost_usd: Decimal | None = Decimal(0)
    embeds: bool = False
    judges: bool = False

    @property
    def asked(self) -> int:
        return self.calls - self.stored - self.cached - self.replayed


Found = Callable[[Task], bool]
QUESTION_TOKENS, VERDICT_TOKENS, ANSWER_TOKENS = 600, 200, 300
"""What a judge is told around a case, what it says, and the length of an answer that has no limit; estimates."""
EMBEDDINGS = "(embeddings)"
"""Stands for the prompt in the rows of embedding models."""


async def forecast(plan: Plan, settings: Settings, env: Mapping[str, str], options: EvalOptions) -> list[Forecast]:
    """Go through the tasks, of a large dataset through the first ones. Cases that come from code are not looked at."""
    found = {(each.address, each.model): Forecast(each.address, each.model) for each in plan.targets}
    if plan.suite.dataset.runs_code:
        return list(found.values())
    is_large = plan.suite.dataset.size_bytes > LARGE_BYTES
    with ExitStack() as opened:
        store = opened.enter_context(EvalStore(store_path(settings)))
        peek = _peeking(settings, env, options, opened)
        for task in itertools.islice(plan.tasks(), LOOKED_AT * len(plan.targets) if is_large else None):
            key = (task.target.address, task.target.model)
            before = found[key]
            found[key] = await _with_task(before, task, plan, options, store, peek)
            is_stored = found[key].stored > before.stored and _is_judged(task, store)
            is_replayed = options.wires.replay is not None
            _add_embeddings(found, task, plan, is_stored=is_stored, is_replayed=is_replayed)
            _add_verdicts(found, task, is_stored=is_stored, is_replayed=is_replayed)
    return list(found.values())


def _is_judged(task: Task, store: EvalStore) -> bool:
    """Whether not only the answer is stored, but also what was made of it."""
    if not any(each.judging or each.name.startswith("similar") for each in flat_assertions(task.assertions)):
        return True
    kept = store.find(task.key, task.answer_key, (task.target.address, task.target.model, task.repeat))
    return kept is not None and kept.result is not None


def _add_embeddings(
    found: dict[tuple[str, str], Forecast], task: Task, plan: Plan, *, is_stored: bool, is_replayed: bool
) -> None:
    """Add a row for each embedding model: an answer and its references are one call. The answer's length is a guess."""
    turns = [
        plan.parsed(turn.get("assert", []), task.example, ("turns", number, "assert"))
        for number, turn in enumerate(task.example.turns)
    ]
    for assertion in embedding_assertions(itertools.chain(task.assertions, *turns)):
        model = assertion.options.get("model", OFFLINE_EMBEDDING)
        if model == OFFLINE_EMBEDDING:
            continue  # computed here: no call
        before = found.get((EMBEDDINGS, model)) or Forecast(EMBEDDINGS, model, embeds=True)
        row = replace(before, calls=before.calls + 1)
        if is_stored:
            row = replace(row, stored=row.stored + 1)
        elif is_replayed:
            row = replace(row, replayed=row.replayed + 1)
        else:
            row = _with_embedding(row, assertion, task)
        found[EMBEDDINGS, model] = row


def _add_verdicts(found: dict[tuple[str, str], Forecast], task: Task, *, is_stored: bool, is_replayed: bool) -> None:
    """Add a row for each assertion or metric and each judge of its panel: how often it asks, and what that may cost."""
    for assertion in _judged(task.assertions):
        panel = assertion.judging.panel if assertion.judging else None
        each, once = judge_calls(assertion, task.example.case)
        for member in panel.members if panel else ():
            key = (f"({assertion.metric or assertion.written})", member.model)
            before = found.get(key) or Forecast(*key, judges=True)
            calls = each if key in found else each + once
            row = replace(before, calls=before.calls + calls)
            if is_stored:
                row = replace(row, stored=row.stored + calls)
            elif is_replayed:
                row = replace(row, replayed=row.replayed + calls)
            else:
                row = _with_verdict(row, task, calls)
            found[key] = row


def _judged(assertions: Iterable[Assertion]) -> Iterator[Assertion]:
    for assertion in assertions:
        if assertion.judging is not None:
            yield assertion
        yield from _judged(assertion.members)


def judge_calls(assertion: Assertion, case: Case) -> tuple[int, int]:
    """Return how often one judge is asked for one score, as far as that can be known, and once for all cases."""
    if "/" not in assertion.name:
        return (2 if assertion.name == "pairwise" else 1), 0
    from promptstudio.evals.metrics.table import METRICS  # for suites with metrics only

    kind = METRICS[assertion.name]
    parts = case.turns if kind.is_conversational else case.retrieval_context or case.context
    return kind.calls(assertion.options, len(parts)), kind.calls_once(assertion.options)


def _with_verdict(row: Forecast, task: Task, calls: int) -> Forecast:
    """Add an estimate of the tokens: the case, an answer as long as it may be, and so much around them."""
    case = task.example.case
    texts = [as_text(dict(case.inputs)), *case.context, *case.retrieval_context]
    texts += [as_text(case.expected_output)] if case.expected_output is not None else []
    most = task.target.prompt.parameters.get("max_tokens")
    tokens = calls * (
        QUESTION_TOKENS + sum(map(estimate_tokens, texts)) + (most if isinstance(most, int) else ANSWER_TOKENS)
    )
    out = calls * VERDICT_TOKENS
    price = price_row(row.model)
    cost = None
    if price is not None and price.get("input_cost_per_token") is not None and row.cost_usd is not None:
        each = [Decimal(str(price.get(name) or 0)) for name in ("input_cost_per_token", "output_cost_per_token")]
        cost = row.cost_usd + each[0] * tokens + each[1] * out
    known_out = None if row.output_tokens is None else row.output_tokens + out
    return replace(row, input_tokens=row.input_tokens + tokens, output_tokens=known_out, cost_usd=cost)


def _with_embedding(row: Forecast, assertion: Assertion, task: Task) -> Forecast:
    """Add the tokens of the references, which are known, and of the answer, which is as long as it may be."""
    written = assertion.parsed if assertion.parsed is not None else task.example.case.expected_output
    references = written if isinstance(written, list | tuple) else [written]
    most = task.target.prompt.parameters.get("max_tokens")
    tokens = sum(estimate_tokens(as_text(one)) for one in references if one is not None)
    tokens += most if isinstance(most, int) else 0
    price = (price_row(row.model) or {}).get("input_cost_per_token")
    is_known = price is not None and isinstance(most, int) and row.cost_usd is not None
    cost = (row.cost_usd or Decimal(0)) + Decimal(str(price)) * tokens if is_known else None
    return replace(row, input_tokens=row.input_tokens + tokens, cost_usd=cost)


async def _with_task(
    so_far: Forecast, task: Task, plan: Plan, options: EvalOptions, store: EvalStore, peek: Runner | None
) -> Forecast:
    calls = max(1, len(task.example.turns))
    so_far = replace(so_far, calls=so_far.calls + calls)
    if options.wires.replay is not None:
        return replace(so_far, replayed=so_far.replayed + calls)
    target = (task.target.address, task.target.model, task.repeat)
    asks_all = options.fresh or options.wires.record is not None
    if not asks_all and store.find(task.key, task.answer_key, target) is not None:
        return replace(so_far, stored=so_far.stored + calls)
    if peek is not None and await _is_cached(task, plan, peek):
        return replace(so_far, cached=so_far.cached + calls)
    return _estimated(so_far, task, plan, calls)


def _estimated(so_far: Forecast, task: Task, plan: Plan, calls: int) -> Forecast:
    tokens = estimate_message_tokens(render_messages(task.target.prompt, _values(task, plan))) * calls
    most = task.target.prompt.parameters.get("max_tokens")
    out = most * calls if isinstance(most, int) else None
    cost = _cost(task.target, tokens, out)
    return replace(
        so_far,
        input_tokens=so_far.input_tokens + tokens,
        output_tokens=None if out is None or so_far.output_tokens is None else so_far.output_tokens + out,
        cost_usd=None if cost is None or so_far.cost_usd is None else so_far.cost_usd + cost,
    )


def _values(task: Task, plan: Plan) -> Mapping[str, Any]:
    first = task.example.turns[0].get("inputs", {}) if task.example.turns else {}
    inputs = {**task.example.case.inputs, **first}
    prompt = task.target.prompt
    return check_inputs(prompt, values_of(task.example, prompt, inputs, plan.suite.path.parent))


def _cost(target: Target, input_tokens: int, output_tokens: int | None) -> Decimal | None:
    """Return what tokens cost in US dollars; None where the price, or how long the answer may be, is not known."""
    if target.model.startswith("offline/"):
        return Decimal(0)
    row = price_row(target.model)
    if row is None or output_tokens is None or row.get("input_cost_per_token") is None:
        return None
    price = [Decimal(str(row.get(name) or 0)) for name in ("input_cost_per_token", "output_cost_per_token")]
    return price[0] * input_tokens + price[1] * output_tokens


# What the cache has: the requests are made as they would be, and go no further than to the cache.


def _peeking(settings: Settings, env: Mapping[str, str], options: EvalOptions, opened: ExitStack) -> Runner | None:
    path = cache_path(settings, env)
    if not options.wires.cache or not path.is_file():
        return None
    store = CacheStore(path, limits_of(settings), lambda _: None)
    opened.callback(store.close)
    return Runner(settings, env, None, _Peek(store))


async def _is_cached(task: Task, plan: Plan, peek: Runner) -> bool:
    runner = replace(peek, settings=task.target.settings)
    try:
        outcome = await runner.run(task.target.prompt, _values(task, plan), task.options)
    except (UserError, _NotKept):
        return False
    return outcome.error is None


class _NotKept(ProviderError):
    """The cache has no such answer."""


@dataclass(frozen=True, slots=True)
class _Peek:
    """Wires that lead to the cache and no further, and leave its counts alone."""

    store: CacheStore

    @property
    def reach(self) -> Reach:
        return "never"

    def wire_for(self, _connection: Connection, call: WireCall) -> Wire:
        return _PeekWire(self.store, call)


@dataclass(frozen=True, slots=True)
class _PeekWire:
    store: CacheStore
    call: WireCall

    async def send(
        self,
        connection: Connection,
        arguments: Mapping[str, Any],
        *,
        timeout_s: float,  # noqa: ARG002  the shape of a wire
        emit: Emit | None,  # noqa: ARG002
    ) -> Reply:
        kept = self.store.find(cache_key(content_of(arguments, connection.model), connection, self.call.repeat))
        if kept is None:
            raise _NotKept("not in the cache")
        return kept_reply(kept.raw, kept.saved)
