"""What `ps eval` shows while it runs: on a terminal, in a pipe, and with --watch."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promptstudio.cli.context import Context
from promptstudio.cli.eval_view import Pace, is_live, pace_text
from promptstudio.cli.eval_watch import touched_by
from promptstudio.output.terminal import Output

if TYPE_CHECKING:
    from tests.conftest import Project, Script

PS = Path(sys.executable).parent / "ps"
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SUITE = """\
prompt: greet
cases:
  - {id: ada, inputs: {name: Ada}}
  - {id: bo, inputs: {name: "Bo\\e[2J\\e]0;owned\\a"}, assert: [{contains: Zoe}]}
  - {id: عمر, inputs: {name: عمر}}
assert:
  - {python: "slow.py:check"}
"""
SLOW = "import time\n\n\ndef check(answer, context):\n    time.sleep(0.4)\n    return True\n"


@pytest.fixture
def slow(project: Project) -> Project:
    project.write("evals/greet.yaml", SUITE)
    project.write("evals/slow.py", SLOW)
    return project


def on_terminal(ps: Script, columns: int, *args: str, **env: str) -> tuple[int, str]:
    """Run `ps` with standard error on a terminal of so many columns; return the exit code and what it was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(
        [PS, *args], stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, env=ps.environment(env)
    )
    os.close(theirs)
    sent = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        try:
            piece = os.read(ours, 65536) if ready else b""
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            break
        sent += piece
    os.close(ours)
    return process.wait(timeout=60), sent.decode()


@pytest.mark.parametrize(("columns", "env"), [(140, {}), (50, {"NO_COLOR": "1"})])
def test_a_terminal_shows_progress_rate_cost_and_failures_as_they_come(
    slow: Project, ps: Script, columns: int, env: dict[str, str]
) -> None:
    code, sent = on_terminal(ps, columns, "eval", "--concurrency", "1", **env)
    assert code == 1
    plain = ESCAPE.sub("", sent)
    assert "greet: 1 prompt × 1 model × 3 cases" in plain
    assert re.search(r"[12]/3 · [0-9.]+/s", plain)
    assert re.search(r"1 pass  1 fail  .*\$0", plain)
    assert plain.index("FAIL") < plain.rindex("/3 · ")  # it came while others were under way
    assert "ps eval evals/greet.yaml --case bo" in plain
    widths = [len(line) for line in plain.replace("\r", "\n").split("\n") if "/3 · " in line]
    assert max(widths) <= columns
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", sent)) is not bool(env)  # NO_COLOR
    assert "\x1b[2J" not in sent
    assert "]0;owned\x07" not in sent


def test_ci_and_a_dumb_terminal_are_not_redrawn() -> None:
    output = Output(io.StringIO(), io.StringIO(), is_tty=True, err_is_tty=True, width=80, color=True)
    assert is_live(Context("ps", {"TERM": "xterm"}, output))
    for env in ({"CI": "true", "TERM": "xterm"}, {"TERM": "dumb"}):
        assert not is_live(Context("ps", env, output))
    assert not is_live(Context("ps", {"TERM": "xterm"}, replace(output, err_is_tty=False)))


def test_a_pipe_gets_no_escape_codes_and_no_bar(slow: Project, ps: Script) -> None:
    done = ps("eval")
    assert done.code == 1
    assert "\x1b" not in done.out + done.err
    assert "━" not in done.err
    assert "FAIL: bo  contains: expected text that contains 'Zoe'" in done.err
    assert done.out.startswith("PROMPT  MODEL")  # standard output has the result alone


def test_the_pace_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    pace = Pace(1_000, lambda: now[0])
    for second in range(1, 31):
        now[0] = float(second)
        pace.moved_to(second * 10)
    assert pace_text(pace) == "300/1,000 · 10/s · 1:10 left"
    now[0] = 60.0
    pace.moved_to(1_000)
    assert pace_text(pace).startswith("1,000/1,000 · ")
    assert "left" not in pace_text(pace)
    assert pace_text(Pace(None, lambda: 0.0)) == "0 · 0/s"


def test_a_saved_file_touches_the_suites_it_counts_for(project: Project) -> None:
    one = project.write("evals/one.yaml", "prompt: greet\ncases: [{inputs: {name: A}}]\nassert: [{contains: A}]\n")
    two = project.write(
        "evals/two.yaml", "prompts: [support/triage]\ncases: [{inputs: {ticket: A}}]\nassert: [is-json]\n"
    )
    suites, settings, root = [one, two], project.settings(), project.root
    for changed, wanted in {
        "evals/one.yaml": [one],
        "prompts/greet.yaml": [one],
        "prompts/support/triage.yaml": [two],
        "prompts/_partials/tone.md": suites,
        "evals/checks.py": suites,
        "promptstudio.toml": suites,
        "prompts/ar/welcome.yaml": suites,
    }.items():
        assert list(touched_by([root / changed], suites, settings)) == wanted, changed
    assert list(touched_by([two, root / "prompts/greet.yaml"], suites, settings)) == suites


def test_watching_runs_what_a_save_touches_and_outlives_a_mistake_in_it(project: Project, ps: Script) -> None:
    good = "prompt: greet\ncases: [{id: ada, inputs: {name: Ada}}]\nassert: [{contains: Ada}]\n"
    suite = project.write("evals/greet.yaml", good)
    process = subprocess.Popen(
        [PS, "eval", "--watch"], env=ps.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )

    def told() -> str:
        text = ""
        for line in iter(process.stderr.readline, ""):  # type: ignore[union-attr]
            text += line
            if "waiting for a file" in line:
                return text
        raise AssertionError(text)

    try:
        assert "1 case" in told()
        suite.write_text(good.replace("contains: Ada", "contains: Zoe"))
        second = told()
        assert "changed: evals/greet.yaml" in second
        assert "FAIL: ada" in second
        suite.write_text("prompt: [\n")
        assert "error: evals/greet.yaml:" in told()
        suite.write_text(good)
        assert "1 case" in told()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[1]
        assert process.returncode == 130, rest
        assert "stopped watching" in rest
        assert "Traceback" not in rest
    finally:
        process.kill()
        process.wait()
