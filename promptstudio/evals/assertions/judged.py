"""Assertions that a model judges: they are left to the setting's judge."""

from __future__ import annotations

from promptstudio.evals.assertions.assertion import Assertion, Setting, Subject, Verdict, broken


async def ask_judge(subject: Subject, assertion: Assertion, setting: Setting) -> Verdict:
    """Ask the judge; without one there is no verdict, least of all a pass."""
    if setting.judge is None:
        return broken(f"{assertion.written} needs a judge, and none is set up here", actual=subject.text)
    return await setting.judge.verdict(subject, assertion, setting)
