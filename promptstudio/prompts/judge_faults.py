"""What is wrong with a `judge:`, wherever it is written: in a suite, at an assertion, at a metric, in the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptstudio.prompts.wording import found, nearest, shown

ValuePath = tuple[str | int, ...]
Fault = tuple[ValuePath, str, str | None]

VOTES = ("majority", "mean")
_MODEL_KEYS = ("model", "parameters", "prompts")
_PANEL_KEYS = ("panel", "vote", "prompts", "parameters")


def judge_faults(written: Any, path: ValuePath) -> Iterator[Fault]:
    """Yield what is wrong with a `judge:`."""
    if written is None:
        return
    if isinstance(written, list):
        yield from _list_faults(written, path)
        return
    if isinstance(written, Mapping) and "panel" in written:
        yield from _unknown_keys(written, _PANEL_KEYS, path)
        if written.get("vote", "majority") not in VOTES:
            yield (*path, "vote"), f"expected majority or mean, {_found(written['vote'])}", None
        panel = written["panel"]
        if not isinstance(panel, list):
            yield (*path, "panel"), f"expected a list of models, {_found(panel)}", None
        else:
            yield from _list_faults(panel, (*path, "panel"))
        yield from _map_faults(written, path)
        return
    yield from _model_faults(written, path, _MODEL_KEYS)


def _list_faults(written: list[Any], path: ValuePath) -> Iterator[Fault]:
    if not written:
        yield path, "the list of judges is empty", "name a model"
    for index, one in enumerate(written):
        yield from _model_faults(one, (*path, index), ("model", "parameters"))
    names = [str(one) for one in written]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (*path, index), "the same judge twice has two votes", "remove one of them"


def _model_faults(written: Any, path: ValuePath, keys: tuple[str, ...]) -> Iterator[Fault]:
    if isinstance(written, str) and written.strip():
        yield from _offline_fault(written, path)
        return
    if not isinstance(written, Mapping):
        yield path, f"expected a model, {_found(written)}", "as in {model: openai/gpt-4.1}"
        return
    yield from _unknown_keys(written, keys, path)
    model = written.get("model")
    if not isinstance(model, str) or not model.strip():
        yield (*path, "model") if "model" in written else path, "a judge needs a model", "as in {model: openai/gpt-4.1}"
    else:
        yield from _offline_fault(model, (*path, "model"))
    yield from _map_faults(written, path)


def _map_faults(written: Mapping[str, Any], path: ValuePath) -> Iterator[Fault]:
    for key in ("parameters", "prompts"):
        value = written.get(key)
        if value is not None and not isinstance(value, Mapping):
            yield (*path, key), f"expected a map, {_found(value)}", None


def _offline_fault(model: str, path: ValuePath) -> Iterator[Fault]:
    if model.startswith("offline/"):
        yield path, f"{shown(model)} repeats what it is told, and judges nothing", "name a model that reads the answer"


def _unknown_keys(written: Mapping[str, Any], keys: tuple[str, ...], path: ValuePath) -> Iterator[Fault]:
    for key in written:
        if key not in keys and not str(key).startswith("x-"):
            close = nearest(str(key), keys)
            yield (
                (*path, key),
                f"unknown key {shown(str(key))}",
                f"did you mean {close!r}?" if close else f"the keys are {', '.join(keys)}",
            )


def _found(value: Any) -> str:
    return f"found {found(value)}"
