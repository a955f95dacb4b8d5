"""A prompt with all its variants → one plain value that can be compared, stored as JSON, and read back.

A snapshot holds what a prompt means, not how it is written: it is what versions are compared by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptstudio.config.settings import Settings
from promptstudio.prompts.files import DISK, Files
from promptstudio.prompts.hashes import Identity

if TYPE_CHECKING:  # weight: as in take_snapshot
    from promptstudio.prompts.prompt import Prompt

SNAPSHOT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One prompt at one moment.

    `behavior` is the value the behavior hash is taken of (docs/identity.md): interface, messages, examples, tools,
    model, parameters, fallbacks, retry, reask. `notes` is the rest of what people read: description, type, tags,
    metadata, profile, tests, evals, and the descriptions of inputs. `variants` are whole snapshots without variants.
    """

    name: str
    path: str
    version: str | None
    notes: Mapping[str, Any]
    behavior: Mapping[str, Any]
    identity: Identity
    variants: Mapping[str, Snapshot] = field(default_factory=dict)


def take_snapshot(path: Path, settings: Settings, files: Files = DISK) -> Snapshot:
    """Load a prompt file and each of its variants. Raises UserError for a file that cannot be loaded."""
    # Here for weight: a snapshot that was stored is read back without what loads prompts.
    from promptstudio.prompts.load import load_file

    prompt = load_file(path, settings, files=files)
    variants = {name: snapshot_of(load_file(path, settings, variant=name, files=files)) for name in prompt.variants}
    return snapshot_of(prompt, variants)


def snapshot_of(prompt: Prompt, variants: Mapping[str, Snapshot] | None = None) -> Snapshot:
    from promptstudio.prompts.identity import resolved_behavior  # weight, as above

    notes = {
        "description": prompt.description,
        "type": prompt.type,
        "tags": list(prompt.tags),
        "metadata": dict(prompt.metadata),
        "profile": prompt.profile,
        "tests": [dict(test) for test in prompt.tests],
        "evals": list(prompt.evals),
        "inputs": {name: spec.description for name, spec in prompt.inputs.items() if spec.description},
    }
    return Snapshot(
        name=prompt.name,
        path=prompt.shown_path,
        version=prompt.version,
        notes=notes,
        behavior=resolved_behavior(prompt),
        identity=prompt.identity,
        variants=variants or {},
    )


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as plain data; `snapshot_from` reads it back."""
    return {
        "name": snapshot.name,
        "path": snapshot.path,
        "version": snapshot.version,
        "notes": dict(snapshot.notes),
        "behavior": dict(snapshot.behavior),
        "identity": [snapshot.identity.behavior, snapshot.identity.interface, snapshot.identity.text],
        "variants": {name: snapshot_json(variant) for name, variant in snapshot.variants.items()},
    }


def snapshot_from(value: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        name=value["name"],
        path=value["path"],
        version=value["version"],
        notes=value["notes"],
        behavior=value["behavior"],
        identity=Identity(*value["identity"]),
        variants={name: snapshot_from(variant) for name, variant in value["variants"].items()},
    )
