"""For tests in Python: run prompts with recorded answers, and judge answers by the assertions of suites.

    from promptstudio.testing import assert_answer

    def test_triage(promptstudio):
        result = promptstudio.run("support/triage", ticket="I was charged twice")
        assert_answer(result, ["is-json", {"path": "urgency", "gte": 2}], expected_output={"category": "billing"})

Without pytest, `open_studio` is the same as the fixture. Names are imported when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from promptstudio.testing.answers import assert_answer, score_answer
    from promptstudio.testing.studio import Studio, open_studio

_HOMES = {
    "assert_answer": "promptstudio.testing.answers",
    "score_answer": "promptstudio.testing.answers",
    "Studio": "promptstudio.testing.studio",
    "open_studio": "promptstudio.testing.studio",
}
__all__ = ["Studio", "assert_answer", "open_studio", "score_answer"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'promptstudio.testing' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
