"""`ps run` as a person or a script uses it: inputs from everywhere, answers to everywhere, the right exit code."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import SCRIPTS, Project, Script

KEYS = {
    "id", "prompt", "variant", "version", "behavior", "commit", "dirty", "model", "status", "text", "output", "usage",
    "cost_usd", "duration_ms", "finish_reason", "cached", "attempts", "error",
}  # fmt: skip


def test_an_answer_goes_to_standard_output_and_nothing_else_does(project: Project, ps: Script) -> None:
    done = ps("run", "greet", "-v", "name=Ada")
    assert done == (0, "Say hello to Ada in a warm way.\n", "")


def test_json_has_everything_about_the_run(project: Project, ps: Script) -> None:
    head = project.commit("now")
    done = ps("run", "greet:short", "-v", "name=Ada", "--json", "--why", "a test", "--tag", "t1")
    run = done.json
    assert done.code == 0
    assert set(run) >= KEYS
    assert set(run["usage"]) >= {"input_tokens", "output_tokens"}
    assert (run["prompt"], run["variant"], run["version"]) == ("greet", "short", "1.0.0")
    assert (run["commit"], run["dirty"], run["status"], run["cached"]) == (head, False, "completed", False)
    assert run["behavior"].startswith("p1:")
    assert run["error"] is None


def test_a_changed_prompt_is_remembered_as_dirty(project: Project, ps: Script) -> None:
    path = project.root / "prompts/greet.yaml"
    path.write_text(path.read_text().replace("Say hello", "Say hi"))
    assert ps("run", "greet", "-v", "name=Ada", "--json").json["dirty"] is True


def test_the_history_knows_who_ran_what_and_why(project: Project, ps: Script) -> None:
    ps("run", "greet", "-v", "name=Ada", "--why", "لأن", "-m", "offline/echo", "-p", "temperature=0.5", "--tag", "t")
    with sqlite3.connect(project.root / ".promptstudio/history.db") as database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("select * from prompt_requests").fetchone())
    assert row["user"] == "Ada Lovelace <ada@example.com>"
    assert (row["reason"], row["status"], row["model"]) == ("لأن", "completed", "offline/echo")
    assert json.loads(row["inputs"])["name"] == "Ada"
    assert json.loads(row["overrides"]) == {"model": "offline/echo", "parameters": {"temperature": 0.5}}
    assert json.loads(row["parameters"])["temperature"] == 0.5


def test_no_history_leaves_no_trace(project: Project, ps: Script) -> None:
    ps("run", "greet", "-v", "name=Ada", "--no-history")
    assert not (project.root / ".promptstudio/history.db").exists()


def test_inputs_come_from_text_files_standard_input_and_json(project: Project, ps: Script) -> None:
    project.write(
        "prompts/all.yaml",
        "inputs: {a: string, b: string, c: array, d: integer}\nprompt: '{{ a }}|{{ b }}|{{ c[1] }}|{{ d + 1 }}'\n",
    )
    project.write("note.txt", "من ملف\n")
    done = ps("run", "all", "-v", "a=@note.txt", "-v", "b=-", "-v", 'c:=["x", "y"]', "-v", "d=41", stdin="from stdin\n")
    assert done.out == "من ملف|from stdin|y|42\n"


def test_a_map_of_inputs_runs_once_and_a_list_runs_each_row_in_order(project: Project, ps: Script) -> None:
    project.write("one.yaml", "name: Ada\n")
    project.write("rows.jsonl", "".join(json.dumps({"name": f"n{number}"}) + "\n" for number in range(12)))
    assert ps("run", "greet", "--vars", "one.yaml").out == "Say hello to Ada in a warm way.\n"
    done = ps("run", "greet", "--vars", "rows.jsonl", "-v", "mood=dry", "--json", "--concurrency", "3")
    runs = [json.loads(line) for line in done.out.splitlines()]
    assert [run["text"] for run in runs] == [f"Say hello to n{number} in a dry way." for number in range(12)]
    assert ps("run", "greet", "--vars", "-", stdin='[{"name": "x"}]').out == "Say hello to x in a warm way.\n"


def test_a_terminal_shows_which_row_an_answer_belongs_to(project: Project, ps: Script) -> None:
    project.write("rows.json", json.dumps([{"name": "a"}, {"name": "b"}]))
    code, shown = in_terminal(["run", "greet", "--vars", "rows.json"], ps, project.root)
    assert code == 0
    assert "── row 2" in shown
    assert "\\x1b" not in shown


@pytest.mark.parametrize("command", ["run", "show"])
def test_a_prompt_from_standard_input_that_is_not_text_is_the_users_error(
    project: Project, ps: Script, command: str
) -> None:
    done = subprocess.run(
        [SCRIPTS / "ps", command, "-"], input=b"prompt: \xff", env=ps.environment(), capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"error: <stdin>:1: not UTF-8: the byte 0xFF at offset 8" in done.stderr


def test_every_row_is_checked_before_the_first_is_sent(project: Project, ps: Script) -> None:
    project.write("rows.json", json.dumps([{"name": "a"}, {"nmae": "b"}, {"name": "c", "mood": "cold"}]))
    done = ps("run", "greet", "--vars", "rows.json")
    assert done.code == 2
    assert "row 2" in done.err
    assert "row 3" in done.err
    assert not (project.root / ".promptstudio/history.db").exists()


def test_a_row_that_fails_does_not_stop_the_others(project: Project, ps: Script) -> None:
    project.write("offline.yaml", "rules:\n  - {contains: good, text: fine}\n")
    project.write("rows.json", json.dumps([{"name": "good"}, {"name": "bad"}, {"name": "good"}]))
    done = ps("run", "greet", "--vars", "rows.json", "-m", "offline/script")
    assert done.code == 3
    assert done.out == "fine\nfine\n"
    assert "row 2" in done.err
    assert "1 of 3 rows failed" in done.err


def test_a_typed_answer_is_json_that_fits(project: Project, ps: Script) -> None:
    done = ps("run", "support/triage", "-v", "ticket=Help")
    assert json.loads(done.out) == {"category": "billing", "urgency": 1}


def test_an_answer_that_never_fits_is_exit_3_with_what_is_wrong(project: Project, ps: Script) -> None:
    project.write("offline.yaml", "rules: [{output: {category: other, urgency: 1}}]\n")
    done = ps("run", "support/triage", "-v", "ticket=Help", "-m", "offline/script", "--json")
    assert done.code == 3
    assert done.json["error"]["kind"] == "output_validation"
    assert done.json["status"] == "failed"
    assert len(done.json["attempts"]) == 3


def test_a_fallback_answers_when_the_first_model_cannot(project: Project, ps: Script) -> None:
    project.write("prompts/fb.yaml", "model: openai/gpt-4.1-mini\nfallbacks: [offline/echo]\nprompt: hi\n")
    run = ps("run", "fb", "--json").json
    assert (run["status"], run["model"], run["text"]) == ("completed", "offline/echo", "hi")
    assert run["attempts"][0]["reason"] == "fallback"


def test_a_dry_run_prints_the_exact_request_and_sends_and_records_nothing(project: Project, ps: Script) -> None:
    done = ps("run", "support/triage", "-v", "ticket=Help", "-m", "openai/gpt-4.1-mini", "--dry-run")
    request = done.json
    assert request["host"] == "api.openai.com"
    assert request["api_key_from"] == ["OPENAI_API_KEY"]
    assert request["messages"][-1] == {"role": "user", "content": "<ticket>Help</ticket>"}
    assert request["tools"][0]["function"]["parameters"]["required"] == ["category", "urgency"]
    assert not (project.root / ".promptstudio/history.db").exists()


def test_an_answer_can_go_to_a_file_all_or_nothing(project: Project, ps: Script) -> None:
    assert ps("run", "greet", "-v", "name=آدا", "-o", "answer.txt").out == ""
    assert (project.root / "answer.txt").read_text() == "Say hello to آدا in a warm way.\n"
    done = ps("run", "greet", "-v", "name=Ada", "-o", "no/such/folder/answer.txt")
    assert done.code == 2
    assert done.out == "Say hello to Ada in a warm way.\n"
    assert "printed instead" in done.err


def test_a_file_runs_outside_a_project_and_from_standard_input(tmp_path: Path, ps: Script) -> None:
    path = tmp_path / "work/my prompt عربي.yaml"
    path.write_text('prompt: "Hi {{ who }}"\n')
    assert ps("run", str(path), "-v", "who=you").out == "Hi you\n"
    assert ps("run", "-", "-v", "who=me", stdin=path.read_text()).out == "Hi me\n"


def test_an_image_goes_to_its_input_or_to_the_last_user_message(project: Project, ps: Script) -> None:
    picture = project.root / "dot.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    project.write(
        "prompts/see.yaml",
        "inputs: {pic: image}\nmessages: [{role: user, content: [{text: look}, {image: '{{ pic }}'}]}]\n",
    )
    for command in (
        ("see", "-v", "pic=@dot.png"),
        ("see", "--attach", "dot.png"),
        ("greet", "-v", "name=A", "--attach", "dot.png"),
    ):
        request = ps("run", *command, "--dry-run").json
        kinds = [part["type"] for part in request["messages"][-1]["content"]]
        assert kinds == ["text", "image_url"]
        assert request["messages"][-1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


BAD = {
    "a misspelled prompt": (("greeet",), 2, "greet"),
    "a missing file": (("./nothing.yaml",), 2, "nothing.yaml"),
    "a misspelled variant": (("greet:shrt", "-v", "name=A"), 2, "short"),
    "a missing input": (("greet",), 2, "missing input: name"),
    "a misspelled input": (("greet", "-v", "nmae=A"), 2, "name"),
    "a value not allowed": (("greet", "-v", "name=A", "-v", "mood=cold"), 2, "warm"),
    "a misspelled profile": (("greet", "-v", "name=A", "--profile", "strct"), 2, "strict"),
    "a misspelled provider": (("greet", "-v", "name=A", "-m", "opnai/x"), 2, "openai/"),
    "no key": (("greet", "-v", "name=A", "-m", "openai/gpt-4.1-mini"), 3, "OPENAI_API_KEY"),
    "a parameter that is none": (("greet", "-v", "name=A", "-p", "temperature"), 2, "name=value"),
    "a parameter that steers the connection": (("greet", "-v", "name=A", "-p", "api_base=http://x"), 2, "api_base"),
    "a parameter of the wrong type": (("greet", "-v", "name=A", "-p", "temperature=hot"), 2, "expected a number"),
    "a parameter over its limit": (("greet", "-v", "name=A", "-p", "top_p=7"), 2, "between 0 and 1"),
    "an empty model": (("greet", "-v", "name=A", "-m", ""), 2, "-m is empty"),
    "an attachment that is not there": (("greet", "-v", "name=A", "--attach", "nope.png"), 2, "--attach: 'nope.png'"),
    "an input that is no assignment": (("greet", "-v", "name"), 2, "name=value"),
    "a file that is not there": (("greet", "-v", "name=@nope"), 2, "nope"),
    "rows that are not there": (("greet", "--vars", "nope.json"), 2, "nope.json"),
    "standard input twice": (("greet", "-v", "name=-", "--vars", "-"), 2, "once"),
    "an unknown option": (("greet", "--strem"), 2, "--stream"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_what_to_do_and_the_right_exit_code(project: Project, ps: Script, name: str) -> None:
    words, code, expected = BAD[name]
    done = ps("run", *words)
    assert done.code == code, done.err
    assert done.err.startswith("error: ")
    assert expected in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize("name", ["a misspelled prompt", "a missing input", "no key"])
def test_with_json_the_error_is_json_on_standard_output(project: Project, ps: Script, name: str) -> None:
    words, code, expected = BAD[name]
    done = ps("run", *words, "--json")
    assert done.code == code
    error = done.json["error"]
    assert set(error) >= {"kind", "message", "hint", "file", "line"}
    assert expected in f"{error['message']} {error['hint']}"
    assert done.err == ""


def test_a_missing_input_is_asked_for_at_a_terminal(project: Project, ps: Script) -> None:
    code, shown = in_terminal(["run", "greet"], ps, project.root, typed="Ada\n")
    assert code == 0
    assert "who is greeted" in shown
    assert "Say hello to Ada in a warm way." in shown


HOSTILE = "\x1b[2J\x1b]0;owned\x07[/bold][red]x\x00 \u202egnp.exe\u202c 日本 مرحبا"


def test_a_hostile_answer_is_visible_on_a_terminal_and_exact_in_a_pipe(project: Project, ps: Script) -> None:
    project.write("offline.yaml", "rules: [{text: " + json.dumps(HOSTILE) + "}]\n")
    command = ["run", "greet", "-v", "name=A", "-m", "offline/script"]
    piped = ps(*command)
    assert piped.out == HOSTILE + "\n"
    _, shown = in_terminal(command, ps, project.root)
    answer = shown.partition("gnp.exe")[0]
    assert "\\x1b[2J" in answer
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "\\u202e" in answer
    assert "[/bold][red]" in answer
    assert "مرحبا" in shown


def test_ctrl_c_is_exit_130_and_the_row_says_cancelled(project: Project, ps: Script) -> None:
    project.write("offline.yaml", "rules: [{text: late, delay_ms: 30000}]\n")
    process = started(ps, project.root, "run", "greet", "-v", "name=A", "-m", "offline/script")
    wait_for_status(project.root, "running")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert statuses(project.root) == ["cancelled"]


def test_kill_9_leaves_a_row_that_the_next_command_calls_interrupted(project: Project, ps: Script) -> None:
    project.write("offline.yaml", "rules: [{text: late, delay_ms: 30000}]\n")
    process = started(ps, project.root, "run", "greet", "-v", "name=A", "-m", "offline/script")
    wait_for_status(project.root, "running")
    process.kill()
    process.communicate()
    assert "interrupted" in ps("history").out
    assert statuses(project.root) == ["interrupted"]


def test_a_timeout_of_one_attempt_is_exit_3(project: Project, ps: Script) -> None:
    project.write("offline.yaml", "rules: [{text: late, delay_ms: 5000}]\n")
    project.write("prompts/slow.yaml", "retry: {max_attempts: 1, timeout: 0.2}\nprompt: hi\n")
    done = ps("run", "slow", "-m", "offline/script", "--json")
    assert done.code == 3
    assert done.json["error"]["kind"] == "timeout"


def test_a_reader_that_leaves_early_is_no_crash(project: Project, ps: Script) -> None:
    script = (
        f"{SCRIPTS}/ps run greet -v name=$(head -c 100000 /dev/zero | tr '\\0' x) | head -c 5; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=project.root, env=ps.environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "Say h"
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_standard_output_is_said(project: Project, ps: Script) -> None:
    done = subprocess.run(
        ["/bin/bash", "-c", f"{SCRIPTS}/ps run greet -v name=A > /dev/full"],
        cwd=project.root, env=ps.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert statuses(project.root) == ["completed"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_project_says_how_to_run_without_history(project: Project, ps: Script) -> None:
    project.root.chmod(0o555)
    try:
        done = ps("run", "greet", "-v", "name=A")
        assert done.code == 2
        assert "--no-history" in done.err
        assert ps("run", "greet", "-v", "name=A", "--no-history").code == 0
    finally:
        project.root.chmod(0o755)


def started(ps: Script, cwd: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [SCRIPTS / "ps", *command], cwd=cwd, env=ps.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def statuses(root: Path) -> list[str]:
    path = root / ".promptstudio/history.db"
    if not path.exists():
        return []
    with sqlite3.connect(path) as database:
        try:
            return [row[0] for row in database.execute("select status from prompt_requests order by id")]
        except sqlite3.OperationalError:
            return []


def wait_for_status(root: Path, status: str) -> None:
    until = time.monotonic() + 30
    while status not in statuses(root):
        assert time.monotonic() < until, f"no row became {status}"
        time.sleep(0.02)


def in_terminal(command: list[str], ps: Script, cwd: Path, typed: str = "") -> tuple[int, str]:
    """Run in a real terminal of 80 columns; return the exit code and all that was shown."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.execve(SCRIPTS / "ps", ["ps", *command], {**ps.environment(), "COLUMNS": "80"})
    shown = b""
    if typed:
        os.write(terminal, typed.encode())
    until = time.monotonic() + 40
    while time.monotonic() < until:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if not ready:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def test_the_interpreter_is_ours() -> None:
    assert (SCRIPTS / "ps").exists(), f"install the project into {sys.prefix} first"


def test_a_changed_partial_makes_the_prompt_dirty(project: Project, ps: Script) -> None:
    project.write("prompts/_partials/tone.md", "Be kind.")
    project.write("prompts/withpart.yaml", "prompt: \"{% include '_partials/tone.md' %} Hi\"\n")
    project.commit("a partial")
    assert ps("run", "withpart", "--json").json["dirty"] is False
    project.write("prompts/_partials/tone.md", "Be rude.")
    assert ps("run", "withpart", "--json").json["dirty"] is True


def test_a_tool_the_model_may_ask_for_is_offered_and_not_run(project: Project, ps: Script) -> None:
    settings = project.root / "promptstudio.toml"
    settings.write_text(settings.read_text() + '\n[tools]\nlookup = "shop:lookup"\n')
    project.write("shop.py", 'def lookup(number: int) -> str:\n    """Find an order."""\n    raise SystemExit(9)\n')
    project.write("prompts/tooled.yaml", "tools: [lookup]\nprompt: where is order 7?\n")
    request = ps("run", "tooled", "--dry-run").json
    assert request["tools"][0]["function"]["name"] == "lookup"
    assert ps("run", "tooled").code == 0


def test_an_answer_goes_through_a_link_and_into_a_pipe_without_replacing_either(project: Project, ps: Script) -> None:
    (project.root / "real.txt").write_text("old\n")
    (project.root / "link.txt").symlink_to("real.txt")
    assert ps("run", "greet", "-v", "name=Ada", "-o", "link.txt").code == 0
    assert (project.root / "link.txt").is_symlink()
    assert (project.root / "real.txt").read_text() == "Say hello to Ada in a warm way.\n"
    pipe = project.root / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert ps("run", "greet", "-v", "name=Ada", "-o", "pipe").code == 0
        assert os.read(reader, 100) == b"Say hello to Ada in a warm way.\n"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("word", ["temperature=NaN", "temperature=-Infinity", "max_tokens=1e999"])
def test_a_parameter_that_json_cannot_write_is_refused(project: Project, ps: Script, word: str) -> None:
    done = ps("run", "greet", "-v", "name=Ada", "-p", word, "--dry-run")
    assert done.code == 2
    assert word.partition("=")[0] in done.err


def test_a_key_given_twice_in_a_vars_file_is_refused(project: Project, ps: Script) -> None:
    (project.root / "twice.json").write_text('{"name": "a", "name": "b"}')
    done = ps("run", "greet", "--vars", "twice.json")
    assert done.code == 2
    assert "'name' is there twice" in done.err


def test_a_parameter_that_looks_misspelled_is_pointed_out_and_sent(project: Project, ps: Script) -> None:
    done = ps("run", "greet", "-v", "name=A", "-p", "temprature=1")
    assert done.code == 0
    assert "did you mean 'temperature'" in done.err
