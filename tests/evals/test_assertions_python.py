"""Assertions that are functions of the repository: what they may return, and all that can go wrong in them."""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import SuiteFileError
from promptstudio.evals.assertions import (
    Assertion,
    Origin,
    Setting,
    load_functions,
    parse_assertions,
    score_answer,
    score_assertion,
)
from promptstudio.evals.assertions.functions import Functions
from promptstudio.evals.schema import Answer, Case, Score
from tests.conftest import Project

CHECKS = """\
import sys, time
from helper import LIMIT
from promptstudio.evals.schema import Context, Score

LOADED = []
LOADED.append(1)

def yes(context): return True
def no(context): return False
def half(context): return 0.5
def zero(context): return 0
def whole(context): return 1
def two(context): return 2
def nan(context): return float("nan")
def nothing(context): return None
def text(context): return "true"
def a_map(context): return {"pass": True, "score": 0.9, "reason": "fine\\x1b[1m"}
def snake(context): return {"pass_": False, "score": 0.2, "reason": "not fine"}
def only_score(context): return {"score": 0.4}
def bad_map(context): return {"passes": True}
def worse_map(context): return {"pass": "yes"}
def empty_map(context): return {}
def a_score(context): return Score("mine", "pass", 0.75, "said", weight=9, expected="e", details={"k": 1})
def an_error(context): return Score("mine", "error", reason="no data")
def bad_score(context): return Score("mine", "great", 0.5)
def raises(context):
    return 1 / 0
def exits(context): sys.exit(3)
def prints(context):
    print("to standard output")
    return True
def loops(context):
    while True:
        pass
def catches(context):
    while True:
        try:
            time.sleep(1)
        except Exception:
            pass
def sleeps(context): time.sleep(60)
def context(context: Context):
    assert context["vars"] == context.vars == {"name": "آدا"}
    assert context.options == context.config == {"strict": True}
    assert (context.text, context.output, context.value, context.threshold) == ("said", None, None, 0.5)
    assert (context.case.id, context.answer.model, context.get("nope", 7)) == ("c", "m", 7)
    return True
def both(output, context): return output == "said" and context["vars"]["name"] == "آدا"
def optional(context, strict=False): return True
def field(context): return context.output == 3 and context.text == "3"
def state(context):
    LOADED.append(1)
    return len(LOADED) == 2
async def later(context):
    import asyncio
    await asyncio.sleep(0)
    print("to standard output")
    return context.text == "said"
async def later_raises(context):
    import asyncio
    try:
        await asyncio.sleep(60)
    finally:
        LOADED.append("cleaned up")
async def later_loops(context):
    while True:
        pass
async def later_breaks(context): raise ValueError("لا")
class Checker:
    def __init__(self, context): raise TypeError("a class is no function")
def no_parameters(): return True
def three(a, b, c): return True
"""
# Function → outcome and score; None for a score that is not there.
ENDS: dict[str, tuple[str, float | None]] = {
    "yes": ("pass", 1.0),
    "no": ("fail", 0.0),
    "half": ("pass", 0.5),
    "zero": ("fail", 0.0),
    "whole": ("pass", 1.0),
    "a_map": ("pass", 0.9),
    "snake": ("fail", 0.2),
    "only_score": ("pass", 0.4),
    "a_score": ("pass", 0.75),
    "prints": ("pass", 1.0),
    "optional": ("pass", 1.0),
    "later": ("pass", 1.0),
    "both": ("pass", 1.0),
    "two": ("error", None),
    "nan": ("error", None),
    "nothing": ("error", None),
    "text": ("error", None),
    "bad_map": ("error", None),
    "worse_map": ("error", None),
    "empty_map": ("error", None),
    "bad_score": ("error", None),
    "an_error": ("error", None),
    "raises": ("error", None),
    "exits": ("error", None),
    "later_breaks": ("error", None),
    "Checker": ("error", None),
    "no_parameters": ("error", None),
    "three": ("error", None),
}
CASE = Case("c", inputs={"name": "آدا"})
SAID = Answer("said", model="m")


@pytest.fixture
def checks(project: Project) -> Iterator[Origin]:
    project.write("evals/checks.py", CHECKS)
    project.write("evals/helper.py", "LIMIT = 3\n")
    before, modules = list(sys.path), set(sys.modules)
    yield Origin("evals/s.yaml", folder=project.root / "evals", root=project.root)
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        if name == "helper" or name.startswith("_promptstudio_"):
            del sys.modules[name]


def parsed(item: Any, origin: Origin) -> Assertion:
    return parse_assertions([item], origin)[0]


def judged(item: Any, origin: Origin, *, time_limit_s: float = 5, answer: Answer = SAID) -> Score:
    setting = Setting(functions=Functions(origin.root), time_limit_s=time_limit_s)
    return asyncio.run(score_assertion(parsed(item, origin), answer, CASE, setting))


def test_a_function_may_return_true_a_number_a_map_or_a_score(
    checks: Origin, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, end in ENDS.items():
        score = judged({"python": f"checks.py:{name}"}, checks)
        opposite = judged({"not-python": f"checks.py:{name}"}, checks)

        assert (score.outcome, score.score) == end, (name, score.reason)
        assert opposite.outcome == {"pass": "fail", "fail": "pass"}.get(score.outcome, score.outcome), name
        assert opposite.score == (None if score.score is None else 1 - score.score)
        assert "\x1b" not in score.reason
    assert capsys.readouterr().out == ""


def test_a_threshold_decides_over_a_number(checks: Origin) -> None:
    for threshold, outcome in ((0.5, "pass"), (0.6, "fail"), (0, "pass")):
        assert judged({"type": "python", "value": "checks.py:half", "threshold": threshold}, checks).outcome == outcome
    score = judged({"type": "python", "value": "checks.py:a_map", "threshold": 0.95}, checks)
    assert (score.outcome, score.score, score.threshold) == ("fail", 0.9, 0.95)


def test_a_score_of_theirs_keeps_what_it_found_and_gets_our_name_and_weight(checks: Origin) -> None:
    score = judged({"type": "python", "value": "checks.py:a_score", "metric": "tone", "weight": 2}, checks)
    assert (score.name, score.metric, score.weight) == ("python", "tone", 2.0)
    assert (score.reason, score.expected, score.details) == ("said", "e", {"k": 1})


def test_a_function_sees_the_answer_the_case_and_its_options(checks: Origin) -> None:
    item = {"type": "python", "value": "checks.py:context", "threshold": 0.5, "options": {"strict": True}}
    assert judged(item, checks).outcome == "pass"
    field = {"type": "python", "value": "checks.py:field", "path": "a.b"}
    assert judged(field, checks, answer=Answer('{"a": {"b": 3}}')).outcome == "pass"


def test_an_exception_is_an_error_with_the_line_that_raised_it(checks: Origin) -> None:
    line = CHECKS[: CHECKS.index("1 / 0")].count("\n") + 1
    reason = judged({"python": "checks.py:raises"}, checks).reason
    assert reason == f"checks.py:{line}: ZeroDivisionError: division by zero"
    assert "called sys.exit(3)" in judged({"python": "checks.py:exits"}, checks).reason
    assert "ValueError: لا" in judged({"python": "checks.py:later_breaks"}, checks).reason
    assert "takes (context) or (text, context)" in judged({"python": "checks.py:three"}, checks).reason


@pytest.mark.parametrize("name", ["loops", "sleeps", "catches", "later_raises", "later_loops"])
def test_a_function_that_hangs_is_stopped(checks: Origin, name: str) -> None:
    before = signal.getsignal(signal.SIGALRM)
    for written in ("python", "not-python"):
        score = judged({written: f"checks.py:{name}"}, checks, time_limit_s=0.1)
        assert (score.outcome, score.score) == ("error", None)
        assert score.reason == "it was stopped after 0.1 s: it did not come to an end"
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_function_that_hangs_is_left_behind_where_no_timer_can_stop_it(checks: Origin) -> None:
    found: list[Score] = []

    def work() -> None:
        for name in ("sleeps", "yes", "raises", "later"):
            found.append(judged({"python": f"checks.py:{name}"}, checks, time_limit_s=0.2))  # noqa: PERF401

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [score.outcome for score in found] == ["error", "pass", "error", "pass"]


def test_a_timer_of_somebody_else_is_left_alone(checks: Origin) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        assert judged({"python": "checks.py:yes"}, checks).outcome == "pass"
        assert judged({"python": "checks.py:sleeps"}, checks, time_limit_s=0.1).outcome == "error"
        assert 50 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interruption_by_the_user_is_not_swallowed(checks: Origin, project: Project) -> None:
    project.write("evals/stop.py", "def stop(context): raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        judged({"python": "stop.py:stop"}, checks)


def test_a_file_is_loaded_once_for_a_suite(checks: Origin) -> None:
    functions = Functions(checks.root)
    assertions = parse_assertions([{"python": "checks.py:yes"}, {"python": "checks.py:state"}], checks)
    load_functions(assertions, functions)
    scores = asyncio.run(score_answer(assertions, SAID, CASE, Setting(functions=functions)))
    assert [score.outcome for score in scores] == ["pass", "pass"]


def test_a_file_that_does_not_load_is_told_before_anything_is_called(checks: Origin, project: Project) -> None:
    project.write("evals/broken.py", "import sys\ndef f(context): return True\nsys.exit('no')\n")
    project.write("evals/absent.py", "import there_is_no_such_module\ndef f(context): return True\n")
    for name, said in (("broken", "broken.py:3: it called sys.exit('no')"), ("absent", "absent.py:1: ModuleNotFound")):
        nested = {"type": "assert-set", "assert": [{"python": f"{name}.py:f"}]}
        with pytest.raises(SuiteFileError, match="failed") as caught:
            load_functions([parsed(nested, checks)], Functions(checks.root))
        assert said in caught.value.message
        assert judged(nested, checks).outcome == "error"


@pytest.mark.parametrize(
    ("target", "said", "hint"),
    [
        ("nowhere.py:f", "there is no file 'nowhere.py'", "looked in evals and the root"),
        ("checks.py:yess", "'checks.py' has no function 'yess'", "did you mean 'yes'?"),
        ("../../outside.py:f", "lies outside of the repository", "copy the file into it"),
        ("link.py:f", "lies outside of the repository", "copy the file into it"),
        ("syntax.py:f", "'syntax.py', line 1 is not valid Python", None),
        ("/etc/hosts.py:f", "lies outside of the repository", None),
        ("print(1)", "expected FILE.py:FUNCTION", "code lives in a file of the repository"),
        ("lambda text: True", "expected FILE.py:FUNCTION", None),
    ],
)
def test_what_is_not_a_function_of_the_repository_is_refused_without_running_it(
    checks: Origin, project: Project, tmp_path: Path, target: str, said: str, hint: str | None
) -> None:
    (tmp_path / "outside.py").write_text("raise SystemExit('it was run')\ndef f(context): return True\n")
    (project.root / "evals/link.py").symlink_to(tmp_path / "outside.py")
    project.write("evals/syntax.py", "def f(:\n")
    with pytest.raises(SuiteFileError, match="assert") as caught:
        parsed({"python": target}, checks)
    assert said in caught.value.message
    assert hint is None or caught.value.hint == hint


def test_checking_reads_the_file_and_runs_nothing(checks: Origin, project: Project) -> None:
    project.write("evals/loud.py", "open('it_was_run', 'w')\ndef f(context): return True\n")
    assertion = parsed({"python": "loud.py:f"}, checks)
    assert not (Path.cwd() / "it_was_run").exists()
    code = assertion.settings["code"]
    project.write("evals/loud.py", "def f(context): return False\n")
    assert parsed({"python": "loud.py:f"}, checks).settings["code"] != code


def test_a_file_may_also_be_named_from_the_root_and_import_a_function(checks: Origin, project: Project) -> None:
    project.write("shared.py", "def f(context): return True\n")
    project.write("evals/facade.py", "from shared import f\ng = f\n")
    for target in ("shared.py:f", "facade.py:f", "facade.py:g"):
        assert judged({"python": target}, checks).outcome == "pass"


def test_a_package_can_bring_an_assertion(checks: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("site/bringer.py", "def shout(context): return context.text.isupper() == context.value\n")
    project.write("site/bringer-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: bringer\nVersion: 1\n")
    project.write(
        "site/bringer-1.dist-info/entry_points.txt",
        "[promptstudio.assertions]\nshout = bringer:shout\ngone = bringer:gone\n",
    )
    monkeypatch.syspath_prepend(str(project.root / "site"))

    assert judged({"shout": True}, checks, answer=Answer("HELLO")).outcome == "pass"
    assert judged({"type": "not-shout", "value": True}, checks, answer=Answer("HELLO")).outcome == "fail"
    assert judged("gone", checks).outcome == "error"
    with pytest.raises(SuiteFileError, match="there is no assertion 'shoot'"):
        parsed({"type": "shoot", "value": True}, checks)


def test_the_functions_of_this_file_are_all_used() -> None:
    names = {line.split("(")[0].split()[-1] for line in CHECKS.splitlines() if line.startswith(("def ", "async def "))}
    source = inspect.getsource(sys.modules[__name__])
    assert [name for name in names if source.count(f"{name}") < 2] == []
