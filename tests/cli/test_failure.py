"""How a command ends: messages, JSON, exit codes, closed pipes, crashes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptstudio import errors
from promptstudio.cli.docs import error_classes
from promptstudio.cli.failure import error_object
from tests.conftest import SCRIPTS, Project, Script

# The table of exit codes, as DESIGN and docs/errors.md promise it.
CODES = {
    "bug": 4,
    "check_failed": 1,
    **dict.fromkeys(
        ("user", "usage", "config", "prompt_file", "suite_file", "lock_file", "inputs", "not_found", "history"), 2
    ),
    **dict.fromkeys(("tool", "missing_extra"), 2),
    **dict.fromkeys(("provider", "authentication", "quota", "rate_limit", "timeout", "connection", "server"), 3),
    **dict.fromkeys(("bad_request", "model_not_found", "context_window", "content_policy", "bad_answer"), 3),
    "output_validation": 3,
    "nothing_selected": 5,
    "inconclusive": 6,
    "interrupted": 130,
}


def test_every_error_has_the_exit_code_of_the_table() -> None:
    assert {one.kind: one.exit_code for one in error_classes()} == CODES


def test_every_kind_is_in_the_tree_and_in_the_docs(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs" / "errors.md").read_text(encoding="utf-8")
    for one in error_classes():
        assert f"| {one.exit_code} | `{one.kind}` |" in page
        assert one.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["lst"], "unknown command 'lst'", "did you mean `promptstudio list`?"),
        (["zzz"], "unknown command 'zzz'", "`promptstudio --help` lists the commands"),
        (["--verison"], "unknown option '--verison'", "did you mean '--version'?"),
        (["-x"], "unknown option '-x'", "`promptstudio --help` lists the options and commands"),
        (["--project"], "--project needs a folder", "promptstudio --project DIR COMMAND"),
        (["--project", "nowhere", "list"], "--project nowhere: there is no such folder", None),
        (["list", "--jsn"], "unknown option '--jsn'", "did you mean '--json'?"),
        (["list", "--project", "x"], "unknown option '--project'", "--project goes before the command"),
        (["list", "extra"], "got unexpected extra argument", None),
        (["show"], "missing argument", None),
        (["history", "serch", "x"], "unknown command 'serch'", "did you mean 'search'?"),
        (["history", "list", "--limit", "0"], "invalid value for `--limit`", None),
        (["history", "list", "--limit"], "option `--limit` requires an argument", None),
        (["history", "list", "--status", "done"], "--status: there is no 'done'", None),
        (["history", "list", "--since", "soon"], "--since: 'soon' is no time", None),
        (["schema", "promt"], "there is no schema 'promt'", "did you mean 'prompt'?"),
        (["completion", "csh"], "invalid value for", None),
        (["models", "--provider", "opnai"], "no provider 'opnai' in the list", "did you mean 'openai'?"),
        (["init", "x", "--template", "basc"], "there is no template 'basc'", "did you mean 'basic'?"),
        (["show", "greeet"], "there is no prompt 'greeet'", "did you mean 'greet'?"),
        (["show", "greet", "--file", "--render"], "--file and --render are different views", "choose one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_line_says_what_to_do(
    project: Project, promptstudio: Script, args: list[str], message: str, hint: str | None
) -> None:
    outcome = promptstudio(*args)

    assert (outcome.code, outcome.out) == (2, "")
    first, second = [*outcome.err.splitlines(), ""][:2]
    assert first.replace("'--limit'", "`--limit`").startswith(f"error: {message}")
    if hint:
        assert second == f"hint: {hint}"
    assert "Traceback" not in outcome.err


def test_with_json_the_error_is_json_on_stdout(project: Project, ps: Script) -> None:
    outcome = ps("show", "greeet", "--json")

    assert (outcome.code, outcome.err) == (2, "")
    error = outcome.json["error"]
    assert set(error) == {"kind", "message", "hint", "file", "line", "column"}
    assert (error["kind"], error["hint"]) == ("not_found", "did you mean 'greet'?")


def test_a_parsers_complaint_is_json_too(project: Project, ps: Script) -> None:
    outcome = ps("list", "--json", "--nope")

    assert outcome.code == 2
    assert outcome.json["error"]["kind"] == "usage"


def test_several_problems_are_all_told(project: Project, ps: Script) -> None:
    project.write("promptstudio.toml", "[run]\nmodle = 'a/b'\ntimeout = 0\n")

    text, as_json = ps("list"), ps("list", "--json")

    assert text.err.count("error: ") == 2
    assert "promptstudio.toml:2: run.modle: unknown key 'modle'" in text.err
    assert [one["line"] for one in as_json.json["error"]["problems"]] == [2, 3]


def test_an_error_with_one_problem_lists_no_problems() -> None:
    found = error_object(errors.ConfigError("wrong", file="a.toml", line=3, column=7, hint="do this"))

    assert found == {
        "error": {"kind": "config", "message": "wrong", "hint": "do this", "file": "a.toml", "line": 3, "column": 7}
    }


def test_messages_cannot_move_the_cursor(project: Project, ps: Script) -> None:
    outcome = ps("show", "x\x1b[2Jy\u202e")

    assert "\x1b" not in outcome.err
    assert "\u202e" not in outcome.err


def test_options_of_the_program_stand_before_the_command(project: Project, ps: Script, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    for args in (("--project", str(project.root)), (f"--project={project.root}",)):
        outcome = ps(*args, "list", cwd=elsewhere)
        assert outcome.code == 0
        assert "support/triage" in outcome.out


def test_debug_adds_the_traceback(project: Project, ps: Script) -> None:
    assert "Traceback" in ps("--debug", "show", "greeet").err


SABOTAGE = """\
import sys
import promptstudio.cli.listing as listing
def prompt_rows(settings):
    password_local = "local-value-that-must-stay-here"
    raise ZeroDivisionError("while using " + {secret!r} + " and sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD")
listing.prompt_rows = prompt_rows
from promptstudio.cli.main import main
sys.exit(main({args!r}, "ps"))
"""


class TestCrash:
    def crash(self, ps: Script, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        code = SABOTAGE.format(secret="the-value-of-a-token", args=list(args))
        environment = ps.environment({"SOME_API_TOKEN": "the-value-of-a-token", **env})
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )

    def test_it_ends_with_4_and_a_log_that_can_be_pasted(self, project: Project, ps: Script, isolated: Path) -> None:
        done = self.crash(ps, "list", "--tag", "private-argument")

        (log,) = (isolated / ".cache" / "promptstudio").glob("crash-*.log")
        text = log.read_text()
        assert (done.returncode, done.stdout) == (4, "")
        assert str(log) in done.stderr
        assert "Traceback" not in done.stderr
        assert "ZeroDivisionError" in text
        assert "command: list\n" in text
        for secret in ("the-value-of-a-token", "abcdefghijklmnop", "local-value", "private-argument"):
            assert secret not in text
        assert "<SOME_API_TOKEN>" in text
        assert log.stat().st_mode & 0o777 == 0o600

    def test_it_is_json_where_json_was_asked_for(self, project: Project, ps: Script) -> None:
        done = self.crash(ps, "list", "--json")

        assert done.returncode == 4
        assert json.loads(done.stdout)["error"]["kind"] == "bug"

    def test_without_a_place_for_the_log_the_text_is_printed(
        self, project: Project, ps: Script, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")

        done = self.crash(ps, "list", XDG_CACHE_HOME=str(tmp_path / "file"))

        assert done.returncode == 4
        assert "ZeroDivisionError" in done.stderr
        assert "the-value-of-a-token" not in done.stderr


class TestStreams:
    def shell(self, ps: Script, command: str) -> subprocess.CompletedProcess[str]:
        line = f"set -o pipefail; {command}".replace("PS", f"{SCRIPTS}/ps")
        environment = ps.environment()
        return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)

    def test_a_reader_that_goes_away_is_no_error(self, project: Project, ps: Script) -> None:
        for command in ("PS models | head -1", "PS models --json | head -1", "PS schema prompt | head -c 1"):
            done = self.shell(ps, f"{command} >/dev/null")
            assert done.stderr == ""
            assert done.returncode in (0, 141)

    @pytest.mark.parametrize("command", ["list", "--help", "--version", "list --json", "schema config", "history"])
    def test_a_full_disk_under_stdout_is_said(self, project: Project, ps: Script, command: str) -> None:
        done = self.shell(ps, f"PS {command} >/dev/full")

        if command == "history":  # nothing to print yet
            assert done.returncode == 0
        else:
            assert done.returncode == 2
            assert done.stderr == "error: cannot write to standard output: No space left on device\n"

    def test_a_closed_stdout_is_said(self, project: Project, ps: Script) -> None:
        done = self.shell(ps, "PS list >&-")

        assert done.returncode == 2
        assert done.stderr == "error: cannot write to standard output: standard output is closed\n"

    def test_closed_streams_do_not_break_what_needs_none(self, project: Project, ps: Script) -> None:
        assert self.shell(ps, "PS init new >&- 2>&- <&-").returncode in (0, 2)
        assert self.shell(ps, "PS list 2>&- <&-").returncode == 0

    def test_a_latin_terminal_gets_arabic_escaped_and_not_a_crash(self, project: Project, ps: Script) -> None:
        outcome = ps("list", env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})

        assert outcome.code == 0
        assert "\\u062a" in outcome.out

    def test_ctrl_c_ends_with_130(self, project: Project, ps: Script) -> None:
        process = subprocess.Popen(
            [SCRIPTS / "ps", "show", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ps.environment(),
            text=True,
        )
        # It waits for standard input; the first try may come before Python can take it.
        for _ in range(200):
            time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            if process.poll() is not None:
                break
        _, err = process.communicate(timeout=10)
        assert process.returncode in (130, -signal.SIGINT)
        assert "crash" not in err


def on_a_terminal(ps: Script, *args: str, columns: int = 80, **env: str) -> str:
    """Run our command with a pseudo terminal as its output and return what appears there."""
    main, side = pty.openpty()
    environment = ps.environment({"COLUMNS": str(columns), **env})
    process = subprocess.Popen([SCRIPTS / "ps", *args], stdin=side, stdout=side, stderr=side, env=environment)
    os.close(side)
    shown = b""
    try:
        while chunk := os.read(main, 65536):
            shown += chunk
    except OSError:
        pass  # Linux ends a terminal whose last writer left with EIO
    process.wait(timeout=60)
    os.close(main)
    return shown.decode().replace("\r\n", "\n")


class TestTerminal:
    def test_a_narrow_terminal_gets_narrow_lines(self, project: Project, ps: Script) -> None:
        for width in (40, 60, 100):
            shown = on_a_terminal(ps, "list", columns=width, NO_COLOR="1")
            assert max(len(line) for line in shown.splitlines()) <= width

    def test_color_obeys_the_usual_switches(self, project: Project, ps: Script) -> None:
        assert "\x1b[" in on_a_terminal(ps, "list")
        assert "\x1b[" not in on_a_terminal(ps, "list", NO_COLOR="1")
        assert "\x1b[" not in on_a_terminal(ps, "--no-color", "list")
        assert "\x1b[" not in on_a_terminal(ps, "list", TERM="dumb")

    def test_a_hostile_description_is_shown_and_not_obeyed(self, project: Project, ps: Script) -> None:
        project.write("prompts/evil.yaml", 'description: "\\e[2J\\e]0;owned\\a\\u202Eabc"\nprompt: hi\n')

        shown = on_a_terminal(ps, "list", columns=200, NO_COLOR="1")

        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\x1b[2J" in shown
