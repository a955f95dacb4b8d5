"""`promptstudio.testing`: prompts and assertions in Python tests, with recorded answers."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import promptstudio.testing
from promptstudio.errors import NotFoundError, PromptStudioError, SuiteFileError, UsageError
from promptstudio.evals.schema import Answer
from promptstudio.testing import assert_answer, open_studio, score_answer
from promptstudio.types import ToolCall
from tests.conftest import GREET, SETTINGS, Project

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Load what every run needs: pytester forgets what is first loaded inside of one."""
    for name in ("testing.fixture", "testing.answers", "providers.mirascope_bridge"):
        import_module(f"promptstudio.{name}")


@pytest.mark.parametrize(
    ("answer", "assertions", "more"),
    [
        ("Say hello to Ada", [{"contains": "Ada"}, "not-is-json"], {}),
        ('{"category": "bug", "urgency": 3}', ["is-json", {"path": "urgency", "gte": 2}], {}),
        ('{"category": "bug", "urgency": 3}', [], {"expected_output": {"category": "bug"}}),
        ("مرحبا عمر", [{"starts-with": "مرحبا"}], {}),
        ("yes", [], {"expected_output": "yes"}),
        ("a b c d", [{"contains": "a"}, {"contains": "z"}], {"threshold": 0.5}),
        (
            Answer("", tool_calls=(ToolCall("1", "find", '{"id": 7}'),)),
            [{"tool-call-f1": ["find"]}],
            {},
        ),
    ],
)
def test_a_good_answer_passes_and_gives_its_scores(answer: Any, assertions: list[Any], more: dict[str, Any]) -> None:
    scores = assert_answer(answer, assertions, **more)
    assert scores
    assert all(score.score is not None for score in scores)


@pytest.mark.parametrize(
    ("answer", "assertions", "more", "says"),
    [
        ("Hi Bo", [{"contains": "Ada"}], {}, "contains: expected text that contains 'Ada', found 'Hi Bo'"),
        ("no json", ["is-json"], {}, "is-json: expected"),
        ('{"category": "bug"}', [], {"expected_output": {"category": "billing"}}, "billing"),
        ("\x1b[31mred", [{"equals": "blue"}], {}, "\\x1b[31mred"),
    ],
)
def test_a_bad_answer_fails_with_what_was_expected_and_found(
    answer: str, assertions: list[Any], more: dict[str, Any], says: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_answer(answer, assertions, **more)
    assert says in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("assertions", "error", "says"),
    [
        ([], UsageError, "nothing is asserted"),
        (["containz"], SuiteFileError, "there is no assertion 'containz'"),
        ([{"contains": "a", "thresold": 1}], SuiteFileError, "thresold"),
        ("is-json", UsageError, "assertions are a list"),
        ([{"llm-rubric": "polite"}], UsageError, "needs a judge"),
        ([{"regex": "("}], SuiteFileError, "not a regular expression"),
    ],
)
def test_a_test_that_would_look_at_nothing_is_a_mistake(
    assertions: Any, error: type[PromptStudioError], says: str
) -> None:
    with pytest.raises(error, match=says):
        assert_answer("text", assertions)


def test_scores_can_be_looked_at_without_raising() -> None:
    [good, bad] = score_answer("one two", [{"contains": "one"}, {"contains": "three"}])
    assert (good.outcome, bad.outcome) == ("pass", "fail")


def test_a_python_assertion_is_taken_from_the_project(project: Project) -> None:
    project.write("checks.py", "def short(context):\n    return len(context.text) < context.options['most']\n")
    assert_answer("abc", [{"python": "checks.py:short", "options": {"most": 5}}])
    with pytest.raises(AssertionError):
        assert_answer("abcdef", [{"python": "checks.py:short", "options": {"most": 5}}])


def test_a_studio_records_and_replays(project: Project) -> None:
    with open_studio(record="tapes") as studio:
        recorded = studio.run("greet", name="Ada")
    with open_studio(replay="tapes") as studio:
        replayed = studio.run("greet", name="Ada")
        assert (replayed.text, replayed.cached) == (recorded.text, True)
        with pytest.raises(PromptStudioError, match="greet"):
            studio.run("greet", name="Bo")
    assert not (project.root / ".promptstudio/history.db").exists()


async def test_a_studio_runs_in_async_tests_and_remembers_where_asked_to(project: Project) -> None:
    with open_studio(history=True) as studio:
        result = await studio.arun("greet", name="عمر")
        assert_answer(result, [{"contains": "عمر"}])
    assert (project.root / ".promptstudio/history.db").exists()


def test_a_studio_outside_a_project_says_what_is_missing(isolated: Path) -> None:
    with open_studio() as studio, pytest.raises(NotFoundError):
        studio.run("greet", name="Ada")


TESTS = """\
import pytest
from promptstudio.testing import assert_answer

@pytest.mark.parametrize("name", ["Ada", "عمر"])
def test_greets(promptstudio, name):
    result = promptstudio.run("greet", name=name)
    assert_answer(result, [{"contains": name}])

@pytest.mark.promptstudio(record_mode="off")
def test_off(promptstudio):
    assert promptstudio.cassettes is None
"""


@pytest.fixture
def sample(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    here = Project(pytester.path)
    here.write("promptstudio.toml", SETTINGS)
    here.write("prompts/greet.yaml", GREET)
    here.write("tests/test_greet.py", TESTS)
    return pytester


def run(sample: pytest.Pytester, *args: str) -> pytest.RunResult:
    return sample.runpytest_inprocess("-p", "promptstudio.pytest_plugin", *args)


def test_each_test_has_a_folder_of_recorded_answers(sample: pytest.Pytester) -> None:
    none = run(sample, "--promptstudio-record-mode=none", "-k", "greets")
    none.assert_outcomes(errors=2)
    none.stdout.fnmatch_lines(["*this test has no recorded answers*"])
    run(sample, "--promptstudio-record-mode=once", "-k", "greets").assert_outcomes(passed=2)
    folders = sorted(path.name for path in (sample.path / "tests/cassettes/test_greet").iterdir())
    assert folders[0] == "test_greets-Ada"
    assert len(folders) == 2
    run(sample, "--promptstudio-record-mode=none", "-k", "greets").assert_outcomes(passed=2)
    prompt = sample.path / "prompts/greet.yaml"
    prompt.write_text(prompt.read_text().replace("Say hello", "Shout hello"))
    run(sample, "--promptstudio-record-mode=once", "-k", "greets").assert_outcomes(failed=2)
    run(sample, "--promptstudio-record-mode=all", "-k", "greets").assert_outcomes(passed=2)
    run(sample, "--promptstudio-record-mode=none", "-k", "greets").assert_outcomes(passed=2)


def test_the_mode_of_a_mark_holds_before_that_of_the_ini_file(sample: pytest.Pytester) -> None:
    ini = "[pytest]\npromptstudio_record_mode = once\npromptstudio_cassettes = tapes\n"
    (sample.path / "pytest.ini").write_text(ini)
    run(sample).assert_outcomes(passed=3)
    assert len(list((sample.path / "tapes/test_greet").iterdir())) == 2


def test_a_folder_for_the_whole_session_is_replayed_in_python_tests_too(sample: pytest.Pytester) -> None:
    run(sample, "--promptstudio-record=tapes", "-k", "greets").assert_outcomes(passed=2)
    run(sample, "--promptstudio-replay=tapes", "-k", "greets").assert_outcomes(passed=2)
    assert len(list((sample.path / "tapes").glob("*.yaml"))) == 2


def test_only_cassettes_are_ever_removed(sample: pytest.Pytester) -> None:
    run(sample, "--promptstudio-record-mode=once", "-k", "Ada").assert_outcomes(passed=1)
    mine = sample.path / "tests/cassettes/test_greet/test_greets-Ada/notes.txt"
    mine.write_text("mine")
    result = run(sample, "--promptstudio-record-mode=all", "-k", "Ada")
    result.assert_outcomes(errors=1)
    assert mine.exists()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, promptstudio.testing; print(sorted(m for m in sys.modules if m.startswith('promptstudio')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['promptstudio', 'promptstudio.testing']"
    assert set(promptstudio.testing.__all__) <= set(dir(promptstudio.testing))
