"""The GitHub Action: its steps are run as they stand in action.yml, with a GitHub that listens on this machine."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptstudio.evals.report.formats import reporter_for
from tests.conftest import REPOSITORY, Project
from tests.evals.report_samples import held_report

ACTION: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SUITE = """\
prompt: greet
cases: [{id: ada, inputs: {name: Ada}}, {id: عمر, inputs: {name: عمر}}]
assert: [{contains: hello}]
"""
REPOSITORY_NAME = "someone/prompts"


@dataclass
class GitHub:
    """The comments of one pull request, and what was asked of the API."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    refuses: int | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, token: str | None, body: Any) -> tuple[int, Any]:
        self.requests.append((method, path, token))
        if path == "/user":
            return 403, {"message": "Resource not accessible by integration"}
        if self.refuses is not None and method != "GET":
            return self.refuses, {"message": "Resource not accessible by integration"}
        path, _, query = path.removeprefix(f"/repos/{REPOSITORY_NAME}").partition("?")
        if method == "GET" and path == "/issues/7/comments":
            start = (int(re.findall(r"page=(\d+)$", query)[0]) - 1) * 100
            return 200, self.comments[start : start + 100]
        if method == "POST" and path == "/issues/7/comments":
            self.add("github-actions[bot]", body["body"])
            return 201, self.comments[-1]
        if method == "PATCH" and (found := re.fullmatch(r"/issues/comments/(\d+)", path)):
            self.comments[int(found[1])]["body"] = body["body"]
            return 200, self.comments[int(found[1])]
        return 404, {}

    def add(self, login: str, body: str) -> None:
        self.comments.append({"id": len(self.comments), "user": {"login": login}, "body": body})


@pytest.fixture
def github() -> Iterator[GitHub]:
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, answer = state.answer(
                self.command, self.path, self.headers.get("Authorization"), json.loads(data) if data else None
            )
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Job:
    """A runner: a pull request that changed the prompt `greet`, and the steps of the action."""

    project: Project
    github: GitHub
    folder: Path
    log: str = ""

    def write_event(self, title: str = "Colder") -> None:
        base, head = self.project.git("rev-parse", "HEAD~1", "HEAD").split()
        request = {"number": 7, "title": title, "base": {"sha": base}, "head": {"sha": head}}
        (self.folder / "event.json").write_text(json.dumps({"pull_request": request}))

    def run(self, event: str = "pull_request", **inputs: str) -> int:
        """Run the steps after the installation; return the exit code of the last one."""
        given = {name.replace("-", "_"): str(each.get("default", "")) for name, each in ACTION["inputs"].items()}
        given |= {"token": "secret-token", **inputs}
        outputs: dict[str, str] = {}
        code = 0
        for step in STEPS:
            if "run" not in step or step["name"] == "Install PromptStudio":
                continue
            if step["name"].startswith("Comment") and (event != "pull_request" or given["comment"] != "true"):
                continue
            if code and "always()" not in step.get("if", ""):
                continue
            code = self._step(step, event, given, outputs) or code
        return code

    def _step(self, step: dict[str, Any], event: str, given: dict[str, str], outputs: dict[str, str]) -> int:
        def filled(text: str) -> str:
            values = {
                **{f"inputs.{name.replace('_', '-')}": value for name, value in given.items()},
                **{f"steps.evaluate.outputs.{name}": outputs.get(name, "") for name in ("exit-code", "reports")},
                "github.action_path": str(REPOSITORY),
            }
            return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: values[found[1]], text)

        written = self.folder / "outputs"
        written.write_text("")
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_JOB": "evals",
            "GITHUB_OUTPUT": str(written),
            "GITHUB_REPOSITORY": REPOSITORY_NAME,
            "GITHUB_RUN_ID": "42",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "GITHUB_WORKFLOW": "CI",
            "GITHUB_WORKSPACE": str(self.project.root),
            **{name: filled(value) for name, value in step.get("env", {}).items()},
        }
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", filled(step["run"])],
            cwd=self.project.root, env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.log += done.stdout + done.stderr
        outputs.update(line.partition("=")[::2] for line in written.read_text().splitlines())
        return done.returncode


@pytest.fixture
def job(project: Project, github: GitHub, tmp_path: Path) -> Job:
    project.write("evals/greet.yaml", SUITE)
    project.commit("A suite")
    path = project.root / "prompts/greet.yaml"
    path.write_text(path.read_text().replace("default: warm", "default: dry"))
    project.commit("A drier greeting")
    folder = tmp_path / "runner"
    folder.mkdir()
    found = Job(project, github, folder)
    found.write_event()
    return found


def test_a_pull_request_gets_one_comment_with_verdict_changes_and_report(job: Job) -> None:
    assert job.run() == 0, job.log
    [comment] = job.github.comments
    assert comment["body"].startswith("<!-- promptstudio:CI-evals-project -->\n")
    assert "✅ **The gate is met.** [Run 42](https://github.com/someone/prompts/actions/runs/42)" in comment["body"]
    assert "### " in comment["body"]
    assert "greet" in comment["body"]
    assert "MINOR" in comment["body"] or "MAJOR" in comment["body"]
    assert (job.folder / "summary.md").read_text()
    reports = job.project.root / "promptstudio-reports"
    names = {path.name for path in reports.iterdir()}
    assert names == {"report.md", "report.html", "junit.xml", "results.jsonl"}
    assert all(token == "Bearer secret-token" for _, _, token in job.github.requests)
    assert "secret-token" not in job.log


def test_the_next_run_replaces_the_comment_and_never_one_of_somebody_else(job: Job) -> None:
    mark = "<!-- promptstudio:CI-evals-project -->"
    job.github.add("mallory", f"{mark}\n✅ all is well")
    for number in range(120):
        job.github.add("someone", f"comment {number}")
    assert job.run() == 0, job.log
    job.project.write("evals/greet.yaml", SUITE.replace("contains: hello", "contains: never"))
    assert job.run() == 1
    ours = [one for one in job.github.comments if one["user"]["login"] == "github-actions[bot]"]
    assert len(ours) == 1
    assert "❌ **`ps eval` returned 1.**" in ours[0]["body"]
    assert job.github.comments[0]["body"] == f"{mark}\n✅ all is well"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SUITE.replace("contains: hello", "contains: never"), 1),
        (SUITE.replace("contains", "containz"), 2),
        (SUITE.replace("assert: [{contains: hello}]\n", ""), 5),
    ],
)
def test_a_gate_that_is_missed_and_a_broken_suite_make_the_job_red(job: Job, text: str, code: int) -> None:
    job.project.write("promptstudio-reports/report.md", "an old report")
    job.project.write("evals/greet.yaml", text)
    assert job.run() == code
    assert f"returned {code}" in job.github.comments[0]["body"]
    assert "an old report" not in job.github.comments[0]["body"]


def test_without_the_permission_to_comment_the_verdict_stays(job: Job) -> None:
    job.github.refuses = 403
    assert job.run() == 0
    assert "::notice::no comment" in job.log
    assert not job.github.comments


def test_where_github_does_not_answer_the_verdict_stays(job: Job) -> None:
    job.github.url = "http://127.0.0.1:9"
    assert job.run() == 0
    assert "::warning::no comment" in job.log


def test_on_a_push_nothing_is_commented(job: Job) -> None:
    assert job.run(event="push") == 0
    assert job.run(comment="false") == 0
    assert not job.github.requests


def test_the_code_of_a_fork_is_not_run_with_secrets(job: Job) -> None:
    assert job.run(event="pull_request_target") == 2
    assert not (job.project.root / ".promptstudio").exists()


def test_inputs_are_words_and_never_code(job: Job) -> None:
    target = job.folder / "owned"
    assert job.run(suites=f"$(touch {target})", args=f"; touch {target}", comment="false") != 0
    assert job.run(suites=f"& touch {target}", args=f"`touch {target}`", comment="false") != 0
    assert job.run(replay=f"$(touch {target})", reports=f"x`touch {target}`", comment="false") != 0
    job.write_event(title=f"$(touch {target})")
    assert job.run(args='-k "ada and not عمر"', suites="evals/greet.yaml") == 0, job.log
    assert not target.exists()
    assert job.run(args='-k "open') == 2


def test_a_replay_needs_no_provider(job: Job) -> None:
    assert job.run(args="--record tapes") == 0, job.log
    assert job.run(replay="tapes") == 0, job.log
    job.project.write("evals/greet.yaml", SUITE.replace("name: Ada", "name: Zoe"))
    assert job.run(replay="tapes") == 2


def comment_of(job: Job, report: str) -> str:
    """Return the comment that has this report in it."""
    folder = job.project.root / "written"
    folder.mkdir()
    code = (
        "import json, os, sys; sys.path.insert(0, sys.argv[1]); import comment; "
        "print(comment.body(os.environ, json.load(open(sys.argv[2]))))"
    )
    (folder / "report.md").write_text(report, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", code, str(REPOSITORY / "action"), str(job.folder / "event.json")],
        cwd=job.project.root, env={**os.environ, "PS_REPORTS": str(folder), "PS_EXIT_CODE": "0"},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return done.stdout


def test_a_long_report_is_cut_and_what_is_folded_closed(job: Job) -> None:
    text = comment_of(job, "<details><summary>x</summary>\n\n<pre>" + "line\n" * 20_000)
    assert len(text) < 65_536
    assert text.count("<pre>") == text.count("</pre>")
    assert text.count("<details>") == text.count("</details>")
    assert "*The rest is in the reports of this run.*" in text


def test_what_broke_stands_above_the_changes_of_prompts_and_the_tables_below(job: Job) -> None:
    stream = io.StringIO()
    reporter_for("markdown")([held_report()], stream)
    text = comment_of(job, stream.getvalue())
    parts = ("✅ **The gate is met.**", "worse than the baseline", "🔻 Broke since", "refund-now", "Mended since")
    places = [text.index(part) for part in (*parts, "MINOR" if "MINOR" in text else "MAJOR", "| prompt | model |")]
    assert places == sorted(places)


def test_no_step_has_an_expression_in_its_script() -> None:
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert len(scripts) == 4
    assert not any("${{" in script for script in scripts)


def test_other_actions_are_pinned_to_a_commit() -> None:
    uses = [step["uses"] for step in STEPS if "uses" in step]
    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in uses)


def test_every_input_and_output_is_described_and_used() -> None:
    text = (REPOSITORY / "action.yml").read_text(encoding="utf-8")
    for name, each in ACTION["inputs"].items():
        assert each["description"]
        assert f"inputs.{name}" in text
    assert all(each["description"] and each["value"] for each in ACTION["outputs"].values())
