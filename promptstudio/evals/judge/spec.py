"""`judge:` of a suite, an assertion or the settings → `Panel`, after `promptstudio.prompts.judge_faults` looked at it.

Written as a model, a map {model, parameters}, a list of those, or {panel: [...], vote: majority | mean}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptstudio.evals.judge.schema import JudgeModel, Panel


def panel_of(written: Any) -> Panel | None:
    """Read a `judge:` that `judge_faults` found nothing wrong with; None where none is named."""
    if written is None:
        return None
    if isinstance(written, str):
        return Panel((JudgeModel(written),))
    if isinstance(written, list):
        return Panel(tuple(_member(one, {}) for one in written))
    prompts = dict(written.get("prompts") or {})
    shared = dict(written.get("parameters") or {})
    if "panel" in written:
        members = tuple(_member(one, shared) for one in written["panel"])
        return Panel(members, written.get("vote", "majority"), prompts)
    return Panel((JudgeModel(written["model"], shared),), prompts=prompts)


def _member(written: Any, shared: Mapping[str, Any]) -> JudgeModel:
    if isinstance(written, str):
        return JudgeModel(written, shared)
    return JudgeModel(written["model"], {**shared, **(written.get("parameters") or {})})
