"""What DeepEval does to the machine: nothing. Each test is a process of its own with a clean environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from promptstudio.errors import MissingExtraError
from promptstudio.evals.metrics.table import check_engine, engine_of, engine_version

REPOSITORY = Path(__file__).parents[3]
AUDITED = """
import atexit, os, sys, tempfile, threading
import urllib3.util.connection  # asks the kernel whether it knows IPv6, by a socket that goes nowhere
tempfile.gettempdir()  # Python tries the folder out, once

seen = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
def hook(event, args):
    writes = event == "open" and (
        any(letter in args[1] for letter in "wax+") if isinstance(args[1], str) else args[2] & (os.O_WRONLY | os.O_RDWR)
    )
    if writes or event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork",
                                   "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link",
                                   "os.truncate", "os.chmod", "shutil.", "webbrowser.", "tempfile.", "urllib.")):
        os.write(seen, f"{event} {args}\\n".encode())
sys.addaudithook(hook)

at_exit, register, unregister = [], atexit.register, atexit.unregister
atexit.register = lambda call, *args, **named: (at_exit.append(call), register(call, *args, **named))[1]
atexit.unregister = lambda call: (at_exit.remove(call), unregister(call))[1]

before = dict(os.environ)
sys.path.insert(0, sys.argv[2])
import asyncio
from tests.evals.metrics.deepeval_hand import HAND
from tests.evals.metrics.deepeval_script import ScriptedAsk, sample
from promptstudio.evals.metrics.deepeval_engine import DeepEvalEngine
from promptstudio.evals.metrics.deepeval_table import DEEPEVAL_METRICS
from promptstudio.evals.metrics.schema import Means

async def main():
    engine = DeepEvalEngine()
    found = {}
    for kind in DEEPEVAL_METRICS:
        for settings, _ in HAND[kind.name.partition("/")[2]]:
            found[kind.name] = (await engine.measure(kind, settings, sample(1), Means(ScriptedAsk()))).score
    return found

os.write(seen, b"loop\\n")
loop = asyncio.new_event_loop()
os.write(seen, b"end of loop\\n")
found = loop.run_until_complete(main())
loop.close()
os.write(seen, f"measured {len(found)} of {len(DEEPEVAL_METRICS)}\\n".encode())
os.write(seen, f"threads {threading.active_count()}\\n".encode())
theirs = [call.__qualname__ for call in at_exit if call.__module__.startswith("deepeval")]
os.write(seen, f"at exit {theirs}\\n".encode())
os.write(seen, f"environment {'kept' if before == dict(os.environ) else 'changed'}\\n".encode())
from deepeval.config.settings import get_settings
os.environ["CONFIDENT_TRACE_VERBOSE"] = "1"
settings = get_settings()
os.write(seen, f"telemetry {settings.DEEPEVAL_TELEMETRY_OPT_OUT} {settings.CONFIDENT_API_KEY}\\n".encode())
os.write(seen, b"exit\\n")
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEEPEVAL", "CONFIDENT"))}
    return {**kept, "HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1", **more}


def test_measuring_opens_no_socket_writes_no_file_prints_no_line_and_leaves_nothing_for_the_exit(
    tmp_path: Path,
) -> None:
    for name in ("home", "work"):
        (tmp_path / name).mkdir(exist_ok=True)
    work = tmp_path / "quiet"
    work.mkdir()
    (work / ".env").write_text("LEAKED_BY_DOTENV=1\nCONFIDENT_API_KEY=from-a-file\n")
    (work / ".deepeval").write_text('{"USE_LOCAL_MODEL": "YES", "LOCAL_MODEL_API_KEY": "ollama"}')
    seen = tmp_path / "seen"

    done = subprocess.run(
        [sys.executable, "-c", AUDITED, str(seen), str(REPOSITORY)],
        cwd=work,
        env=environment(tmp_path, CONFIDENT_API_KEY="a key", DEEPEVAL_VERBOSE_MODE="1"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = seen.read_text().splitlines()
    start, end = lines.index("loop"), lines.index("end of loop")  # asyncio wakes itself through a pair of sockets
    assert all("socket" in line for line in lines[start + 1 : end])
    assert lines[:start] + lines[end + 1 :] == [
        "measured 37 of 37",
        "threads 1",
        "at exit []",
        "environment kept",
        "telemetry True None",
        "exit",
    ]
    assert sorted(each.name for each in work.iterdir()) == [".deepeval", ".env"]
    assert list((tmp_path / "home").rglob("*")) == [tmp_path / "home" / ".gitconfig"]


THEIRS = """
import asyncio, json, os, sys
os.environ |= {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "DEEPEVAL_EVAL_MODE": "hybrid"}
import deepeval
from deepeval.config.settings import get_settings
sys.path.insert(0, sys.argv[1])
from tests.evals.metrics.deepeval_script import ScriptedAsk, sample
from promptstudio.evals.metrics.deepeval_engine import DeepEvalEngine
from promptstudio.evals.metrics.schema import Means
from promptstudio.evals.metrics.table import METRICS
os.environ["CONFIDENT_TRACE_VERBOSE"] = "1"
found = asyncio.run(DeepEvalEngine().measure(METRICS["deepeval/bias"], {}, sample(1), Means(ScriptedAsk())))
settings = get_settings()
print(json.dumps([settings.CONFIDENT_TRACE_VERBOSE, settings.DEEPEVAL_EVAL_MODE, found.score is not None]))
"""


def test_a_program_that_imported_deepeval_before_us_keeps_its_settings_and_our_scores_do_not_follow_them(
    tmp_path: Path,
) -> None:
    work = tmp_path / "theirs"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", THEIRS, str(REPOSITORY)],
        cwd=work,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, "hybrid", True]


# -- an engine that is not there, or that we do not know --------------------------------------------------------------


def installed(folder: Path, version: str) -> Path:
    """Make a package `deepeval` of a version, as pip would leave it."""
    (folder / "deepeval").mkdir(parents=True)
    (folder / "deepeval" / "__init__.py").write_text("")
    about = folder / f"deepeval-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: deepeval\nVersion: {version}\n")
    return folder


@pytest.mark.parametrize(("version", "known"), [("4.3.1", True), ("4.30.0", False), ("5.0.0", False), ("4.2", False)])
def test_an_engine_of_a_version_we_do_not_know_is_said_to_be_one(
    version: str, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path / "site", version))
    assert engine_version("deepeval") == version
    warning = check_engine("deepeval")
    assert (warning is None) == known
    if warning is not None:
        assert f"deepeval {version} is not a version we know (4.3.*)" in warning


def test_a_run_with_an_engine_of_a_version_we_do_not_know_says_so_once_and_tries(
    project: Any, ps: Any, tmp_path: Path
) -> None:
    project.write(
        "evals/greet.yaml",
        "prompt: greet\ncases:\n  - {id: a, inputs: {name: Ada}, expected_output: Ada}\n"
        "metrics:\n  - deepeval/exact_match\n",
    )
    env = {"PYTHONPATH": str(installed(tmp_path / "site", "5.0.0"))}
    warning = "warning: deepeval 5.0.0 is not a version we know (4.3.*): its scores are labeled with it\n"

    done = ps("eval", "greet", env=env)
    checked = ps("eval", "greet", "--check", env=env)

    assert done.err.count(warning) == 1
    assert "ERROR: a" in done.err  # this one has no metric at all
    assert (checked.code, checked.err) == (0, warning)


def test_an_engine_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepeval", None)
    with pytest.raises(MissingExtraError) as caught:
        check_engine("deepeval")
    assert caught.value.hint == "pip install 'promptstudio[deepeval]'"
    engine_of.cache_clear()
    with pytest.raises(MissingExtraError):
        engine_of("deepeval")


WITHOUT = "import sys; sys.modules['deepeval'] = None; from promptstudio.entry import ps; sys.exit(ps())"


def test_a_suite_whose_engine_is_missing_ends_with_2_before_any_call(project: Any, ps: Any) -> None:
    project.write(
        "evals/greet.yaml",
        "prompt: greet\n"
        "cases:\n  - {id: a, inputs: {name: Ada}}\n"
        "metrics:\n  - deepeval/answer_relevancy\n"
        "judge: {model: openai/gpt-4.1}\n",
    )
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "eval", "evals/greet.yaml"],
        cwd=project.root,
        env={**ps.environment(None), "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'promptstudio[deepeval]'" in done.stderr
    assert not (project.root / ".promptstudio" / "history.db").exists()
    assert not ps.denied
