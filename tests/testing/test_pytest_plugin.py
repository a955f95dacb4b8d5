"""`pytest evals/`: suites are collected as tests, their gate decides, and other projects notice nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from promptstudio.evals.store import EvalStore
from promptstudio.history import open_history
from tests.conftest import GREET, SETTINGS, TRIAGE, Project

pytest_plugins = ["pytester"]

SUITE = """\
prompts: [greet, 'greet:short']
cases:
  - {id: ada, inputs: {name: Ada}, tags: [quick, skip]}
  - {id: bo, inputs: {name: Bo}, assert: [{contains: Zoe}], tags: [quick]}
  - {id: عمر, inputs: {name: عمر}, tags: [عربي]}
assert:
  - {contains: Say hello}
"""
GOOD = SUITE.replace("contains: Zoe", "contains: Bo")


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Load what every run needs: pytester forgets what is first loaded inside of one."""
    for name in ("testing.evaluations", "providers.mirascope_bridge", "history.tables", "history.sql"):
        import_module(f"promptstudio.{name}")


class Bench:
    """A project, and pytest run on it inside of this process."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.project = Project(pytester.path)

    def run(self, *args: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess("-p", "promptstudio.pytest_plugin", *args)

    def process(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "promptstudio.pytest_plugin", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=os.environ)

    def names(self, *args: str) -> list[str]:
        """Return the tests that would run."""
        lines = self.run("--collect-only", "-q", *args).outlines
        return [line for line in lines if "::" in line and not line.startswith("ERROR")]

    @property
    def asked(self) -> int:
        """How many requests were made."""
        return open_history(self.project.settings()).count()

    @property
    def runs(self) -> int:
        with EvalStore(self.project.root / ".promptstudio/evals.db") as store:
            return len(store.runs(limit=100))


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A project with the suite `evals/greet.yaml`, of which one case of three fails."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    found = Bench(pytester)
    files = {"promptstudio.toml": SETTINGS, "prompts/greet.yaml": GREET, "prompts/triage.yaml": TRIAGE}
    for name, text in {**files, "evals/greet.yaml": SUITE}.items():
        found.project.write(name, text)
    return found


def test_a_suite_is_one_test_a_case_and_its_gate_comes_last(tests: Bench) -> None:
    assert tests.names("evals") == [
        "evals/greet.yaml::greet·offline/echo::ada",
        "evals/greet.yaml::greet·offline/echo::bo",
        "evals/greet.yaml::greet·offline/echo::عمر",
        "evals/greet.yaml::greet:short·offline/echo::ada",
        "evals/greet.yaml::greet:short·offline/echo::bo",
        "evals/greet.yaml::greet:short·offline/echo::عمر",
        "evals/greet.yaml::gate",
    ]


def test_what_failed_is_told_as_expected_and_found_with_the_command_that_repeats_it(tests: Bench) -> None:
    result = tests.run("evals")
    result.assert_outcomes(passed=4, failed=3)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "fail: bo  greet · offline/echo  (evals/greet.yaml:4)",
            "  contains: expected text that contains 'Zoe', found 'Say hello to Bo in a warm way.'",
            "repeat: ps eval evals/greet.yaml --case bo --prompt greet",
            "the gate is missed: pass_rate 66.7%, wanted at least 100.0%",
            "FAILED evals/greet.yaml::greet·offline/echo::bo - contains: expected*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_the_whole_suite_is_one_run_and_asks_each_case_once(tests: Bench) -> None:
    tests.run("evals")
    assert (tests.asked, tests.runs) == (6, 1)
    tests.run("evals")
    assert (tests.asked, tests.runs) == (6, 2)
    tests.run("evals", "--promptstudio-fresh")
    assert tests.asked == 12


def test_a_suite_that_meets_its_gate_is_green(tests: Bench) -> None:
    tests.project.write("evals/greet.yaml", GOOD)
    result = tests.run("evals", "--junitxml=out.xml")
    result.assert_outcomes(passed=7)
    assert result.ret == 0
    first = ET.parse("out.xml").getroot().find(".//testcase")
    assert first is not None
    assert {each.get("name"): each.get("value") for each in first.iter("property")}["cost_usd"] == "0"


@pytest.mark.parametrize(
    ("args", "asked", "outcomes"),
    [
        (["-k", "ada"], 2, {"passed": 2, "deselected": 5}),
        (["-k", "عمر and short"], 1, {"passed": 1, "deselected": 6}),
        (["-m", "quick"], 4, {"passed": 2, "failed": 2, "deselected": 3}),
        (["-m", "عربي"], 2, {"passed": 2, "deselected": 5}),
        (["-m", "tag_skip"], 2, {"passed": 2, "deselected": 5}),
        (["-m", "promptstudio"], 6, {"passed": 4, "failed": 3}),
        (["-k", "gate or ada"], 2, {"passed": 3, "deselected": 4}),
        (["evals/greet.yaml::greet·offline/echo::bo"], 1, {"failed": 1}),
        (["evals/greet.yaml::gate"], 6, {"failed": 1}),
    ],
    ids=str,
)
def test_only_what_is_selected_is_asked(tests: Bench, args: list[str], asked: int, outcomes: dict[str, int]) -> None:
    result = tests.run(*args, *([] if "::" in args[0] else ["evals"]))
    result.assert_outcomes(**outcomes)
    assert tests.asked == asked


def test_selected_cases_of_unlike_targets_are_asked_of_those_alone(tests: Bench) -> None:
    node = "evals/greet.yaml::{}·offline/echo::{}"
    result = tests.run(node.format("greet", "ada"), node.format("greet:short", "عمر"))
    result.assert_outcomes(passed=2)
    assert (tests.asked, tests.runs) == (2, 2)


def test_a_case_is_asked_of_the_pairs_of_prompt_and_model_that_are_selected_and_of_no_other(tests: Bench) -> None:
    tests.project.write("offline.yaml", "rules: [{text: Say hello}]\n")
    tests.project.write("evals/greet.yaml", GOOD + "models: [offline/echo, offline/script]\n")
    names = ["evals/greet.yaml::greet·offline/echo::ada", "evals/greet.yaml::greet:short·offline/script::ada"]
    tests.run(*names).assert_outcomes(passed=2)
    assert tests.asked == 2


def test_last_failed_runs_the_failed_cases_and_the_gate_over_them(tests: Bench) -> None:
    tests.run("evals")
    result = tests.run("evals", "--lf")
    result.assert_outcomes(failed=3, deselected=4)
    result.stdout.fnmatch_lines(["  over 2 of 6 cases"])
    tests.project.write("evals/greet.yaml", GOOD)
    tests.run("evals", "--lf").assert_outcomes(passed=3, deselected=4)


def test_exitfirst_stops_asking(tests: Bench) -> None:
    cases = "".join(f"  - {{id: c{n}, inputs: {{name: N{n}}}}}\n" for n in range(400))
    rules = "rules: [{text: 'no', delay_ms: 20}]\n"
    tests.project.write("offline.yaml", rules)
    text = f"prompt: greet\nmodels: [offline/script]\ncases:\n{cases}assert: [{{contains: 'yes'}}]\n"
    tests.project.write("evals/greet.yaml", text)
    result = tests.run("evals", "-x")
    result.assert_outcomes(failed=1)
    assert 1 <= tests.asked < 400
    with EvalStore(tests.project.root / ".promptstudio/evals.db") as store:
        assert store.run("last").status == "interrupted"


def test_the_gate_decides_where_that_is_asked_for(tests: Bench) -> None:
    tests.project.write("evals/greet.yaml", SUITE + "gate: {pass_rate: 0.6}\n")
    tests.run("evals").assert_outcomes(passed=5, failed=2)
    result = tests.run("evals", "--promptstudio-verdict=gate")
    result.assert_outcomes(passed=5, xfailed=2)
    assert result.ret == 0
    tests.run("evals", "--promptstudio-verdict=gate", "-k", "bo").assert_outcomes(failed=2, deselected=5)


def test_a_case_that_ends_in_an_error_is_an_error_of_its_test(tests: Bench) -> None:
    tests.project.write("evals/checks.py", "def check(context):\n    raise KeyError('oops')\n")
    tests.project.write("evals/greet.yaml", SUITE + "  - {python: 'checks.py:check'}\n")
    result = tests.run("evals")
    result.assert_outcomes(errors=6, failed=1)
    result.stdout.fnmatch_lines(["error: ada  greet · offline/echo*", "*KeyError*oops*"])


def test_all_repeats_of_a_case_are_one_test(tests: Bench) -> None:
    checks = "def check(context, seen=[]):\n    seen.append(1)\n    return len(seen) % 2 == 1\n"
    tests.project.write("evals/checks.py", checks)
    suite = (
        "prompt: greet\nrepeats: 4\ncases: [{id: ada, inputs: {name: Ada}}]\nassert: [{python: 'checks.py:check'}]\n"
    )
    tests.project.write("evals/greet.yaml", suite + "gate: {pass_rate: 0.5}\n")
    result = tests.run("evals")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::ada - 2 of 4 repeats: python: *"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("contains: Say hello", "containz: x", "error: evals/greet.yaml:7:6: assert?0?.containz: unknown key*"),
        ("name: Ada", "nmae: Ada", "error: evals/greet.yaml:3: case ada: *nmae*"),
        ("'greet:short'", "gret", "error: evals/greet.yaml:1:*: there is no prompt 'gret'"),
        ("cases:\n", "cases: nothing.jsonl\nx-old:\n", "error: evals/nothing.jsonl: there is no such file"),
        ("assert:\n  - {contains: Say hello}\n", "", "error: evals/greet.yaml: nothing is asserted of any case"),
        ("prompts:", "promptz:", "error: evals/greet.yaml:1:1: unknown key 'promptz'"),
    ],
)
def test_a_mistake_in_a_suite_is_an_error_of_collection_with_its_place(
    tests: Bench, old: str, new: str, says: str
) -> None:
    tests.project.write("evals/greet.yaml", SUITE.replace(", assert: [{contains: Zoe}]", "").replace(old, new))
    result = tests.run("evals")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([says])
    assert "Traceback" not in result.stdout.str()


def test_nothing_selected_is_not_green(tests: Bench) -> None:
    assert tests.run("evals", "-k", "nobody").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_plain_pytest_of_the_project_asks_no_model_and_says_so(tests: Bench) -> None:
    tests.project.write("test_it.py", "def test_it():\n    pass\n")
    result = tests.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["promptstudio: 1 suite was not run, because suites ask models: pytest evals"])
    tests.project.write("pytest.ini", "[pytest]\npromptstudio_collect = always\n")
    tests.run().assert_outcomes(passed=5, failed=3)
    tests.project.write("pytest.ini", "[pytest]\npromptstudio_collect = never\n")
    assert tests.names("evals") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("evals/notes.yaml", "just: notes\n"),
        ("evals/_shared.yaml", SUITE),
        ("evals/data/rows.yaml", "cases: []\n"),
        ("evals/tape.yaml", "cassette: 1\nprompt: greet\n"),
        ("prompts/other.yaml", "prompt: hi\n"),
        ("compose.yml", "cases: [1]\n"),
        ("evals/broken.yaml", "\x00\xff: [\n"),
    ],
)
def test_yaml_that_is_no_suite_is_left_alone(tests: Bench, name: str, text: str) -> None:
    tests.project.write(name, text)
    (tests.project.root / "evals/greet.yaml").unlink()
    assert tests.names(str(Path(name).parent)) == []


def test_a_project_that_is_none_of_ours_loads_nothing_of_ours(tests: Bench) -> None:
    (tests.project.root / "promptstudio.toml").unlink()
    tests.project.write("test_it.py", "import sys\ndef test_it():\n    assert 1\n")
    tests.project.write(
        "conftest.py",
        "import sys\ndef pytest_unconfigure():\n"
        "    ours = {name for name in sys.modules if name.startswith('promptstudio')}\n"
        "    print('LOADED', sorted(ours), 'yaml' in sys.modules, 'pydantic' in sys.modules)\n",
    )
    done = tests.process("-s", ".")
    assert "LOADED ['promptstudio', 'promptstudio.pytest_plugin'] False False" in done.stdout
    assert done.returncode == 0


def test_answers_are_recorded_and_replayed(tests: Bench) -> None:
    tests.project.write("evals/greet.yaml", GOOD)
    tests.run("evals", "--promptstudio-record", "tapes").assert_outcomes(passed=7)
    assert len(list(Path("tapes").iterdir())) == 6
    tests.project.write("pytest.ini", "[pytest]\npromptstudio_replay = tapes\n")
    tests.run("evals").assert_outcomes(passed=7)
    assert tests.asked == 12
    tests.project.write("evals/greet.yaml", GOOD.replace("name: Ada", "name: Ida"))
    result = tests.run("evals")
    result.assert_outcomes(errors=2, passed=4, failed=1)
    result.stdout.fnmatch_lines(["*record*"])
    result.stdout.fnmatch_lines(["repeat: ps eval evals/greet.yaml --case * --replay tapes"])


def test_another_model_is_asked_where_one_is_named(tests: Bench) -> None:
    tests.project.write("offline.yaml", "rules: [{text: 'Say hello to Zoe and Bo'}]\n")
    result = tests.run("evals", "--promptstudio-model", "offline/script")
    result.assert_outcomes(passed=7)
    tests.project.write("offline.yaml", "rules: [{text: 'Say hello'}]\n")
    result = tests.run("evals", "--promptstudio-model", "offline/script")
    result.stdout.fnmatch_lines(["repeat: ps eval evals/greet.yaml --case bo --prompt greet -m offline/script"])


def test_names_that_would_confuse_pytest_or_a_terminal_are_spelled_otherwise(tests: Bench) -> None:
    cases = 'cases:\n  - {id: "a::b\\e[31m", inputs: {name: A}}\n'
    tests.project.write("evals/greet.yaml", f"prompt: greet\n{cases}assert: [{{contains: Say}}]\n")
    [name, _gate] = tests.names("evals")
    assert name == "evals/greet.yaml::greet·offline/echo::a∷b\\x1b[31m"
    tests.run(name).assert_outcomes(passed=1)


def many(tests: Bench, count: int = 40, delay_ms: int = 0) -> None:
    cases = "".join(f"  - {{id: c{n}, inputs: {{name: N{n}}}}}\n" for n in range(count))
    tests.project.write("offline.yaml", f"rules: [{{text: Say hello, delay_ms: {delay_ms}}}]\n")
    text = f"prompt: greet\nmodels: [offline/script]\ncases:\n{cases}assert: [{{contains: Say}}]\n"
    tests.project.write("evals/greet.yaml", text)


@pytest.mark.parametrize("dist", ["load", "worksteal"])
def test_with_xdist_one_worker_asks_for_all_and_the_gate_sees_all(tests: Bench, dist: str) -> None:
    many(tests, 30, delay_ms=5)
    tests.project.write("evals/other.yaml", GOOD)
    done = tests.process("-p", "xdist", "-n", "3", "--dist", dist, "-q", "evals")
    assert done.returncode == 0, done.stdout
    assert "38 passed" in done.stdout
    assert tests.asked == 36
    assert tests.runs == 2


def test_with_xdist_fresh_asks_everything_exactly_once(tests: Bench) -> None:
    many(tests)
    for _ in range(2):
        done = tests.process("-p", "xdist", "-n", "2", "-q", "evals", "--promptstudio-fresh")
        assert done.returncode == 0, done.stdout
    assert tests.asked == 80


def test_with_xdist_another_worker_goes_on_where_one_was_killed(tests: Bench) -> None:
    many(tests, 60, delay_ms=100)
    tests.project.write(
        "conftest.py",
        "import os, pathlib, signal, threading, time\n"
        "def pytest_collection_finish(session):\n"
        "    def kill():\n"
        "        runs = pathlib.Path('.promptstudio/pytest')\n"
        "        while not list(runs.glob('*.jsonl')):\n"
        "            time.sleep(0.01)\n"
        "        time.sleep(0.3)\n"
        "        from promptstudio.testing import evaluations\n"
        "        for one in session.config.stash[evaluations._evaluations].values():\n"
        "            if one._future is not None and not pathlib.Path('killed').exists():\n"
        "                pathlib.Path('killed').touch()\n"
        "                os.kill(os.getpid(), signal.SIGKILL)\n"
        "    if hasattr(session.config, 'workerinput'):\n"
        "        threading.Thread(target=kill, daemon=True).start()\n",
    )
    done = tests.process("-p", "xdist", "-n", "2", "-q", "evals")
    assert Path("killed").exists()
    assert "crashed" in done.stdout  # the test the killed worker was at
    assert done.returncode == 1
    assert "60 passed" in done.stdout or "61 passed" in done.stdout, done.stdout
    assert tests.process("-q", "evals").returncode == 0


def test_ctrl_c_keeps_what_was_answered(tests: Bench) -> None:
    many(tests, 300, delay_ms=30)
    tests.project.write(
        "conftest.py",
        "def pytest_runtest_logreport(report):\n"
        "    if report.when == 'call' and report.nodeid.endswith('::c3'):\n"
        "        raise KeyboardInterrupt\n",
    )
    done = tests.process("-q", "evals")
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    kept = tests.asked
    assert 4 <= kept < 300
    (tests.project.root / "conftest.py").unlink()
    tests.project.write("offline.yaml", "rules: [{text: Say hello, delay_ms: 30}]\n")
    tests.run("evals").assert_outcomes(passed=301)
    assert tests.asked == 300


def test_warnings_as_errors_do_not_reach_into_the_evaluation(tests: Bench) -> None:
    warns = "import warnings\ndef check(context):\n    warnings.warn('old', DeprecationWarning)\n    return True\n"
    tests.project.write("evals/checks.py", warns)
    suite = "prompt: triage\ncases: [{inputs: {ticket: A bill}}]\nassert: [{python: 'checks.py:check'}]\n"
    tests.project.write("evals/greet.yaml", suite)
    done = tests.process("-q", "-W", "error", "evals")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_is_there_for_every_pytest_of_its_environment() -> None:
    from importlib.metadata import entry_points

    found: Any = [one.value for one in entry_points(group="pytest11") if one.name == "promptstudio"]
    assert found == ["promptstudio.pytest_plugin"]


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")])
def test_the_gate_of_a_suite_with_a_baseline_is_that_of_ps_eval(tests: Bench, workers: tuple[str, ...]) -> None:
    project = tests.project
    project.write(
        "evals/checks.py",
        'def grade(text, context):\n    return int(context.case.id) < int(text.rsplit(" ", 1)[1])\n',
    )
    cases = "".join(f"  - {{id: '{number}', inputs: {{name: n}}}}\n" for number in range(60))
    gate = "gate: {pass_rate: 0, baseline: main, max_regression: 0.05}\n"
    project.write("evals/greet.yaml", f"prompt: greet\ncases:\n{cases}assert: [python: checks.py:grade]\n{gate}")
    project.write("prompts/greet.yaml", 'model: offline/echo\nprompt: "{{ name }} until 50"\n')
    project.git("init", "-q", "-b", "main")
    for name, value in {"name": "Ada", "email": "ada@example.com"}.items():
        project.git("config", f"user.{name}", value)
    project.commit("Good until 50")
    project.write("prompts/greet.yaml", 'model: offline/echo\nprompt: "{{ name }} until 20"\n')
    done = tests.process("evals", "-q", "-k", "gate", *workers)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "pass rate against main" in said
