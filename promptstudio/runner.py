"""One run of a prompt, from its file to a remembered answer. Reads top to bottom.

    prompt + inputs → plan (checked, rendered) → row begun → model, or its fallbacks → Result → row finished

Nothing here prints. A run whose provider fails still ends in a `Result`, with `status` failed and the error kept.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from promptstudio.config import Settings
from promptstudio.errors import (
    BadRequestError,
    ContentPolicyError,
    NotFoundError,
    Problem,
    PromptFileError,
    PromptStudioError,
    ProviderError,
    UsageError,
)
from promptstudio.history import RequestRow, ResponseRow, preload
from promptstudio.history.ids import new_id
from promptstudio.prompts.inputs import check_inputs
from promptstudio.prompts.parameters import parameter_faults
from promptstudio.prompts.prompt import Prompt, Retry
from promptstudio.prompts.render import render_messages
from promptstudio.providers.call import (
    CallState,
    ProviderWires,
    check_parameters,
    complete,
    exact_request,
    load_libraries,
    total_cost,
    total_saved,
    total_usage,
)
from promptstudio.providers.connect import connection_for, route_for
from promptstudio.providers.schema import Completion, Emit, Request, Restarted, WireCall, Wires
from promptstudio.types import Attempt, ErrorInfo, Message, Result, Status
from promptstudio.versions.git import GitFacts, git_facts, git_user

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What one run changes or adds. `None` leaves the prompt's own value in place.

    `repeat` (from 0) tells identical runs of a suite apart for the cache and cassettes; a verdict is never cached.
    """

    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    profile: str | None = None
    reason: str | None = None
    tags: tuple[str, ...] = ()
    label: str | None = None
    repeat: int | None = None
    is_verdict: bool = False
    eval_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a run that is decided before anything is sent."""

    prompt: Prompt
    values: Mapping[str, Any]
    messages: tuple[Message, ...]
    models: tuple[str, ...]
    parameters: Mapping[str, Any]
    profile: str | None
    retry: Retry
    output_model: type[BaseModel] | None
    tools: tuple[Callable[..., Any], ...]
    overrides: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run. `error` is the exception behind `result.error`, for callers that would rather raise."""

    result: Result
    error: PromptStudioError | None = None
    unrecorded: PromptStudioError | None = None


class Recorder(Protocol):
    """Where runs are remembered; the history is one."""

    def begin(self, row: RequestRow) -> str: ...

    def finish(
        self, row_id: str, response: ResponseRow, attempts: Iterable[Attempt] = (), status: Status = "completed"
    ) -> bool: ...


@dataclass(frozen=True, slots=True)
class Runner:
    """What several runs share. `history` is None when nothing is to be remembered.

    `wires` are the way to the models: the providers, or a cache or cassettes around or instead of them.
    """

    settings: Settings
    env: Mapping[str, str]
    history: Recorder | None = None
    wires: Wires = field(default_factory=ProviderWires)
    _seen: dict[str, tuple[GitFacts, str]] = field(default_factory=dict, repr=False)
    _loaded: set[tuple[str, bool]] = field(default_factory=set, repr=False)

    async def run(
        self,
        prompt: Prompt,
        values: Mapping[str, Any],
        options: RunOptions = RunOptions(),
        emit: Emit | None = None,
    ) -> Outcome:
        """Run a prompt once. Raises `UserError` before anything is sent; what fails afterwards is in the outcome."""
        plan = plan_run(prompt, values, self.settings, self.env, options, without_secrets=self.wires.reach == "never")
        return await self.run_plan(plan, options, emit)

    async def run_plan(self, plan: Plan, options: RunOptions, emit: Emit | None = None) -> Outcome:
        """Run what was decided. What fails is in the outcome."""
        facts, user = await self._who_and_where(plan.prompt)
        row = _request_row(plan, options, facts, user)
        if self.history is not None:
            self.history.begin(row)
            if not self._loaded:
                asyncio.get_running_loop().run_in_executor(None, preload)  # while the network is waited for
        started = time.monotonic()
        states: list[CallState] = []
        try:
            await self._load(plan)
            started = time.monotonic()  # the time of a run is the model's, not that of our imports
            completion, error = await self._first_answer(plan, options, states, emit)
        except BaseException as stop:
            self._finish_stopped(row, states, started, stop)
            raise
        result = _result(row, plan, completion, error, states, started)
        return Outcome(result, error, self._finish(result))

    async def _load(self, plan: Plan) -> None:
        """Import what the call needs, in a thread, once for each kind of call."""
        kind = (plan.models[0].partition("/")[0], plan.output_model is not None)
        if kind not in self._loaded:
            is_sent = self.wires.reach == "always"
            await asyncio.to_thread(load_libraries, plan.models[0], typed=kind[1], provider=is_sent)
            self._loaded.add(kind)

    async def exact_request(
        self,
        prompt: Prompt,
        values: Mapping[str, Any],
        options: RunOptions = RunOptions(),
    ) -> dict[str, Any]:
        """Return the request a run would send, without sending it or needing a key."""
        plan = plan_run(prompt, values, self.settings, self.env, options)
        return await exact_request(_request(plan, route_for(plan.models[0], self.settings, self.env), None))

    async def _who_and_where(self, prompt: Prompt) -> tuple[GitFacts, str]:
        """Git is asked once for a prompt, not once for each of its rows."""
        key = f"{prompt.path}:{prompt.revision}:{prompt.identity.behavior}"
        if key not in self._seen:
            self._seen[key] = await asyncio.to_thread(_who_and_where, prompt, self.settings)
        return self._seen[key]

    async def _first_answer(
        self, plan: Plan, options: RunOptions, states: list[CallState], emit: Emit | None
    ) -> tuple[Completion | None, ProviderError | None]:
        """Ask the model, then each fallback, until one answers."""
        failure: ProviderError | None = None
        call = WireCall(plan.prompt.name, options.repeat, options.is_verdict)
        for model in plan.models:
            state = CallState()
            states.append(state)
            if failure is not None and emit is not None:
                emit(Restarted(f"{failure}; asking {model}"))
            try:
                if self.wires.reach == "never":
                    connection = route_for(model, self.settings, self.env, without_secrets=True)
                else:
                    connection = connection_for(model, self.settings, self.env)
                wire = self.wires.wire_for(connection, call)
                return await complete(_request(plan, connection, emit), state, wire), None
            except ProviderError as error:
                failure = failure or error
                if isinstance(error, NO_FALLBACK):
                    break
        return None, failure

    def _finish(self, result: Result) -> PromptStudioError | None:
        """Record the end. An answer that is there but cannot be recorded is returned with the reason, not lost."""
        if self.history is None:
            return None
        try:
            self.history.finish(result.id, _response_row(result), result.attempts, result.status)
        except PromptStudioError as error:
            return error
        return None

    def _finish_stopped(
        self, row: RequestRow, states: Sequence[CallState], started: float, stop: BaseException
    ) -> None:
        if self.history is None:
            return
        attempts = _attempts(states)
        kind, message = _why_stopped(stop)
        response = ResponseRow(
            usage=total_usage(attempts),
            cost_usd=total_cost(attempts),
            duration_ms=_since_ms(started),
            error_kind=kind,
            error_message=message,
        )
        with suppress(PromptStudioError):  # what stopped the run is the news; the row will say interrupted
            self.history.finish(row.id, response, attempts, "cancelled" if kind == "cancelled" else "failed")


NO_FALLBACK = (ContentPolicyError, BadRequestError)
"""Another model is no answer to a refusal for content, or to a request that is wrong in itself."""


def plan_run(
    prompt: Prompt,
    values: Mapping[str, Any],
    settings: Settings,
    env: Mapping[str, str],
    options: RunOptions,
    *,
    without_secrets: bool = False,
) -> Plan:
    """Decide everything that needs no network. Raises `UserError` with all that is wrong."""
    checked = check_inputs(prompt, values)
    messages = render_messages(prompt, checked)
    models = _models(prompt, settings, options)
    for model in models:
        route_for(model, settings, env, without_secrets=without_secrets)
    parameters = _parameters(prompt, settings, options)
    check_parameters(parameters)
    _check_values(options.parameters)
    return Plan(
        prompt=prompt,
        values=checked,
        messages=messages,
        models=models,
        parameters=parameters,
        profile=options.profile or prompt.profile or settings.run_profile,
        retry=_retry(prompt, settings),
        output_model=_output_model(prompt, settings.root),
        tools=_tools(prompt, settings),
        overrides=_overrides(options),
    )


def planned_model(prompt: Prompt, settings: Settings, options: RunOptions) -> str:
    """Return the model a run asks first: the one given for it, the prompt's own, or the default."""
    written = prompt.model if ("model",) in prompt.positions else None
    return options.model or written or settings.run_model


def planned_parameters(prompt: Prompt, settings: Settings, options: RunOptions) -> Mapping[str, Any]:
    """Return the parameters a run would send: those of the profile that holds, of the prompt, and of -p."""
    return _parameters(prompt, settings, options)


def _models(prompt: Prompt, settings: Settings, options: RunOptions) -> tuple[str, ...]:
    model = planned_model(prompt, settings, options)
    return (model, *(one for one in prompt.fallbacks if one != model))


def _parameters(prompt: Prompt, settings: Settings, options: RunOptions) -> dict[str, Any]:
    """The profile < the prompt's own parameters < -p; a --profile replaces the prompt's and wins over the file."""
    if options.profile:
        return {**prompt.file_parameters, **_profile(options.profile, settings), **options.parameters}
    base = _profile(settings.run_profile, settings) if settings.run_profile and not prompt.profile else {}
    return {**base, **prompt.parameters, **options.parameters}


def _check_values(parameters: Mapping[str, Any]) -> None:
    """Hold -p and RunOptions to what a file's parameters are held to."""
    faults = list(parameter_faults(parameters))
    if faults:
        raise UsageError(
            [Problem(f"parameters.{'.'.join(map(str, path))}: {fact}", hint=hint) for path, fact, hint in faults]
        )


def _profile(name: str, settings: Settings) -> Mapping[str, Any]:
    if name in settings.profiles:
        return settings.profiles[name]
    near = get_close_matches(name, list(settings.profiles), n=1)
    known = ", ".join(sorted(settings.profiles)) or "none"
    raise NotFoundError(
        f"there is no profile '{name}'",
        hint=f"did you mean '{near[0]}'?" if near else f"profiles in promptstudio.toml: {known}",
    )


def _retry(prompt: Prompt, settings: Settings) -> Retry:
    if settings.run_timeout_s is None or ("retry", "timeout") in prompt.positions:
        return prompt.retry
    return replace(prompt.retry, timeout_s=settings.run_timeout_s)


def _output_model(prompt: Prompt, root: Path | None) -> type[BaseModel] | None:
    if prompt.output is None:
        return None
    from promptstudio.output.model import output_model  # Pydantic: only typed prompts need it

    return output_model(prompt.output, root, file=prompt.shown_path)


def _tools(prompt: Prompt, settings: Settings) -> tuple[Callable[..., Any], ...]:
    if not prompt.tools:
        return ()
    if prompt.output is not None:
        raise PromptFileError(
            "a prompt with `output` cannot offer `tools` yet: the typed answer is itself asked for as a tool",
            file=prompt.shown_path,
            hint="remove one of the two",
        )
    from promptstudio.output.tools import tool_functions

    return tool_functions(prompt.tools, settings, file=prompt.shown_path)


def _overrides(options: RunOptions) -> dict[str, Any]:
    """What was changed for this run only, as the history remembers it."""
    given = {"model": options.model, "profile": options.profile, "parameters": dict(options.parameters)}
    return {name: value for name, value in given.items() if value}


def _who_and_where(prompt: Prompt, settings: Settings) -> tuple[GitFacts, str]:
    """Ask git for the commit, whether the prompt or a file it uses differs from it, and the user's name."""
    folder = settings.root or (prompt.path.parent if prompt.path else Path.cwd())
    if prompt.revision is not None:
        folder = folder if folder.is_dir() else Path.cwd()
        return GitFacts(prompt.revision.commit, dirty=False if prompt.revision.commit else None), git_user(folder)
    partials = settings.prompts_dir or folder
    used = [partials / name for name in prompt.partials]
    used += [folder / example.file for example in prompt.examples if example.file and settings.root]
    return git_facts(prompt.path, folder, also=dict.fromkeys(used)), git_user(folder)


def _why_stopped(stop: BaseException) -> tuple[str, str]:
    if isinstance(stop, PromptStudioError):
        return stop.kind, stop.message
    if isinstance(stop, Exception):
        return "bug", type(stop).__name__
    return "cancelled", "stopped before the answer was complete"


def _request(plan: Plan, connection: Any, emit: Emit | None) -> Request:
    return Request(
        connection=connection,
        messages=plan.messages,
        parameters=plan.parameters,
        retry=plan.retry,
        output=plan.prompt.output,
        output_model=plan.output_model,
        tools=plan.tools,
        emit=emit,
    )


def _request_row(plan: Plan, options: RunOptions, facts: GitFacts, user: str) -> RequestRow:
    prompt = plan.prompt
    return RequestRow(
        id=new_id(),
        prompt=prompt.name,
        variant=prompt.variant,
        version=prompt.version,
        prompt_type=prompt.type,
        behavior=prompt.identity.behavior,
        interface=prompt.identity.interface,
        model=plan.models[0],
        user=user,
        reason=options.reason,
        commit=facts.commit,
        dirty=facts.dirty,
        parameters=plan.parameters,
        overrides=plan.overrides,
        inputs=plan.values,
        messages=plan.messages,
        profile=plan.profile,
        label=options.label or (plan.prompt.revision.label if plan.prompt.revision else None),
        tags=options.tags,
        eval_run_id=options.eval_run_id,
    )


def _result(
    row: RequestRow,
    plan: Plan,
    completion: Completion | None,
    error: ProviderError | None,
    states: Sequence[CallState],
    started: float,
) -> Result:
    attempts = _attempts(states)
    reply = completion.reply if completion else None
    saved = total_saved(attempts) if completion else None
    return Result(
        id=row.id,
        prompt=row.prompt,
        variant=row.variant,
        version=row.version,
        behavior=row.behavior,
        commit=row.commit,
        dirty=row.dirty,
        model=attempts[-1].model if completion else row.model,
        status="completed" if completion else "failed",
        text=_text(completion) if completion else "",
        output=completion.output if completion else None,
        reasoning=reply.reasoning if reply else None,
        tool_calls=reply.tool_calls if reply and completion and completion.output is None else (),
        usage=total_usage(attempts),
        cost_usd=total_cost(attempts),
        duration_ms=max(0, _since_ms(started) - sum(state.loading_ms for state in states)),
        first_token_ms=states[-1].first_token_ms,
        finish_reason=reply.finish_reason if reply else None,
        cached=saved is not None,
        saved=saved,
        attempts=attempts,
        error=ErrorInfo(error.kind, error.message, error.hint) if error else None,
        resolved_model=reply.resolved_model if reply else None,
        provider_response_id=reply.response_id if reply else None,
        system_fingerprint=reply.system_fingerprint if reply else None,
        inputs=plan.values,
        messages=plan.messages,
    )


def _text(completion: Completion) -> str:
    """The answer as text; a typed one as JSON, whichever way the provider was asked for it."""
    if completion.output is None:
        return completion.reply.text
    return json.dumps(completion.output.model_dump(mode="json", by_alias=True), ensure_ascii=False)


def _response_row(result: Result) -> ResponseRow:
    return ResponseRow(
        response_text=result.text,
        output=result.output,
        reasoning=result.reasoning,
        tool_calls=result.tool_calls,
        finish_reason=result.finish_reason,
        resolved_model=result.resolved_model,
        provider_response_id=result.provider_response_id,
        system_fingerprint=result.system_fingerprint,
        usage=result.usage,
        cost_usd=result.cost_usd,
        duration_ms=result.duration_ms,
        first_token_ms=result.first_token_ms,
        cached=result.cached,
        error_kind=result.error.kind if result.error else None,
        error_message=result.error.message if result.error else None,
    )


def _attempts(states: Sequence[CallState]) -> tuple[Attempt, ...]:
    """All attempts in order, numbered through; the first one of a fallback model says so."""
    numbered: list[Attempt] = []
    for index, state in enumerate(states):
        for position, attempt in enumerate(state.attempts):
            reason = "fallback" if index and position == 0 else attempt.reason
            numbered.append(replace(attempt, number=len(numbered) + 1, reason=reason))
    return tuple(numbered)


def _since_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
