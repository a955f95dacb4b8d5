"""promptfoo's providers → the model and parameters of a prompt, and a variant of it for each further provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from promptstudio.errors import PromptFileError
from promptstudio.exchange.document import read_document, safe_name
from promptstudio.exchange.drafts import CONNECTION, TOOLS, Draft
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.nearby import CODE, near_file
from promptstudio.exchange.promptfoo_models import model_of
from promptstudio.exchange.schema import Foreign
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import ValuePath, YamlDocument

_CONNECTION_KEYS = frozenset(
    {"apiKey", "apiKeyEnvar", "apiHost", "apiBaseUrl", "organization", "headers", "apiVersion", "region", "projectId"}
)
_KNOWN = ("id", "config", "label")


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that is a model; `config` is where its settings stand in `document`."""

    model: str
    label: str
    config: Any
    path: ValuePath
    foreign: Foreign
    document: YamlDocument | None


def providers_of(value: Any, ledger: Ledger, used: list[Foreign]) -> list[Provider]:
    """Read `providers:`; what is no model (code, an HTTP call) is a loss."""
    items = value if isinstance(value, list) else [value] if value is not None else []
    found: list[Provider] = []
    for index, item in enumerate(items):
        path: ValuePath = ("providers", index) if isinstance(value, list) else ("providers",)
        found += _provider(item, path, ledger, used)
    return found


def _provider(item: Any, path: ValuePath, ledger: Ledger, used: list[Foreign]) -> list[Provider]:
    if isinstance(item, dict) and "id" not in item and len(item) == 1:
        name, settings = next(iter(item.items()))
        item = {"id": name, **(settings if isinstance(settings, dict) else {})}
        path = (*path, name)
    entry = item if isinstance(item, dict) else {"id": item}
    name = entry.get("id")
    if isinstance(name, str) and name.startswith("file://") and not CODE.search(name):
        return _in_file(name, path, ledger, used)
    model = model_of(name) if isinstance(name, str) else None
    if model is None:
        ledger.dropped(path, f"{shown(str(name))} is no model we can name: not run, not fetched")
        return []
    ledger.rest(entry, _KNOWN, path, "a prompt has no such setting")
    label = entry.get("label") if isinstance(entry.get("label"), str) else ""
    return [Provider(model, label or "", entry.get("config"), path, ledger.foreign, ledger.document)]


def _in_file(name: str, path: ValuePath, ledger: Ledger, used: list[Foreign]) -> list[Provider]:
    try:
        foreign = near_file(name.removeprefix("file://"), ledger.foreign, ledger.line_of(path))
        document = read_document(foreign)
    except PromptFileError as cause:
        ledger.dropped(path, cause.problems[0].message)
        return []
    used.append(foreign)
    inner = Ledger(foreign, document)
    items = document.value if isinstance(document.value, list) else [document.value]
    found: list[Provider] = []
    for index, item in enumerate(items):
        at: ValuePath = (index,) if isinstance(document.value, list) else ()
        if isinstance(item, dict) and isinstance(item.get("id"), str) and not item["id"].startswith("file://"):
            found += _provider(item, at, inner, used)
        else:
            inner.dropped(at, "expected a provider with an id")
    ledger.losses += inner.losses
    return found


def add_variants(draft: Draft, providers: list[Provider], config: Any, document: YamlDocument) -> None:
    """Give a prompt the first provider's model and parameters, and a variant for each of the others.

    `config` are settings the prompt itself brings, which outweigh those of a provider.
    """
    variants: dict[str, Any] = {}
    for number, provider in enumerate(providers):
        fresh = Draft(
            draft.ledger if provider.foreign is draft.ledger.foreign else Ledger(provider.foreign, provider.document)
        )
        _settings(fresh, provider)
        for key, value in config.items() if isinstance(config, dict) else ():
            single = YamlDocument(document.file, "", {key: value}, {}, {}, {}, {})
            fresh.parameter(key, Reading(single, fresh.ledger).spot((key,)))
        overlay: dict[str, Any] = {"model": provider.model}
        overlay |= {"parameters": fresh.parameters} if fresh.parameters else {}
        overlay |= {"output": fresh.fields["output"]} if "output" in fresh.fields else {}
        if fresh.ledger is not draft.ledger:
            draft.ledger.losses += fresh.ledger.losses
        if number == 0:
            draft.fields["model"] = provider.model
            draft.parameters |= fresh.parameters
            draft.fields |= {"output": fresh.fields["output"]} if "output" in fresh.fields else {}
        else:
            variants[_variant_name(provider, set(variants))] = _without_base(overlay, draft)
    if variants:
        draft.fields["variants"] = variants


def _without_base(overlay: dict[str, Any], draft: Draft) -> dict[str, Any]:
    """Return a variant that also takes back the parameters of the first provider which this one does not set."""
    parameters = overlay.get("parameters", {})
    removed = {name: None for name in draft.parameters if name not in parameters}
    merged = {**parameters, **removed}
    whole = {**overlay, "parameters": merged} if merged else dict(overlay)
    if "output" in draft.fields and "output" not in overlay:
        whole["output"] = None
    return whole


def _variant_name(provider: Provider, taken: set[str]) -> str:
    name = safe_name(provider.label or provider.model.rpartition("/")[2], "variant").replace("/", "-")
    free, number = name, 2
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _settings(draft: Draft, provider: Provider) -> None:
    if provider.config is None:
        return
    document = provider.document or YamlDocument(provider.foreign.shown, "", provider.config, {}, {}, {}, {})
    root = provider.path
    value = document.value
    try:
        for step in (*root, "config"):
            value = value[step]
    except (KeyError, IndexError, TypeError):
        document, root = YamlDocument(provider.foreign.shown, "", {"config": provider.config}, {}, {}, {}, {}), ()
    reading = Reading(document, draft.ledger)
    spot = reading.spot((*root, "config"))
    if not spot.is_map():
        spot.drop("expected a map of settings")
        return
    for key, setting in spot.entries():
        _setting(draft, key, setting)


def _setting(draft: Draft, key: str, setting: Spot) -> None:
    if key in _CONNECTION_KEYS:
        setting.drop(CONNECTION)
    elif key in ("tools", "functions", "tool_choice", "function_call"):
        setting.drop(TOOLS)
    elif key == "response_format":
        draft.response_format(setting)
    elif isinstance(setting.value, str) and setting.value.startswith("file://"):
        setting.drop("a file of settings is not read")
    else:
        draft.parameter(key, setting)
