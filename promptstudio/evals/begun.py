"""A plan → the record of a run that begins: what is asked of whom, who asks, and the commit it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptstudio.config import Settings
from promptstudio.evals.plan import Plan
from promptstudio.evals.records import RunRecord
from promptstudio.history.ids import new_id, utc_now
from promptstudio.versions.git import git_facts, git_user


def begun_run(plan: Plan, settings: Settings, options: Mapping[str, Any]) -> RunRecord:
    """Return the record; the targets stand first among its `options`, in the order results name them by."""
    root = settings.root or Path.cwd()
    facts = git_facts(plan.suite.path, root)
    targets = [
        {
            "prompt": each.address,
            "model": each.model,
            "behavior": each.prompt.identity.behavior,
            "file": each.prompt.shown_path,  # where reports point at
            "line": each.prompt.messages[0].line if each.prompt.messages else None,
        }
        for each in plan.targets
    ]
    return RunRecord(
        id=new_id(),
        suite=plan.suite.name,
        suite_file=plan.suite.shown,
        suite_digest=plan.suite.settings_digest,
        created_at=utc_now(),
        user=git_user(root),
        prompts={each.address: each.prompt.identity.behavior for each in plan.targets},
        models=tuple(dict.fromkeys(each.model for each in plan.targets)),
        commit=facts.commit,
        dirty=facts.dirty,
        options={"targets": targets, **options},
    )
