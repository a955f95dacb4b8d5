"""Verdict, what broke, prompt changes and report of a pull request → one comment on it, replaced by the next run.

The comment is known by a hidden first line and by who wrote it: what others write is never taken for ours. Without the
permission to comment, as in a pull request from a fork, it says so and leaves the verdict as it is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

MAX_BODY = 65_000
"""Characters; GitHub takes 65,536."""
TIMEOUT_S = 30.0
MAX_PAGES = 50
ACTIONS = "github-actions[bot]"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_TABLES = "<!-- promptstudio: tables -->"
"""Stands in the report between what broke and the tables; what people and models wrote has no `<` there."""
_CUT = "\n\n*The rest is in the reports of this run.*\n"


class _NoRedirect(HTTPRedirectHandler):
    """The token goes to the address of the API and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Api:
    """GitHub's REST API for one repository."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._root = env.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
        self._repository = f"{self._root}/repos/{env['GITHUB_REPOSITORY']}"
        self._token = env["PS_TOKEN"]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        url = f"{self._root}/user" if path == "/user" else self._repository + path
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "promptstudio-action",
        }
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data=data, headers=headers, method=method)  # noqa: S310  the address of GitHub's API
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)

    def login(self) -> str:
        """Return who we are. The token of a workflow may not ask, and is always the same one."""
        try:
            return str(self.call("GET", "/user")["login"])
        except HTTPError:
            return ACTIONS

    def comments(self, number: int) -> Iterator[Mapping[str, Any]]:
        for page in range(1, MAX_PAGES + 1):
            found = self.call("GET", f"/issues/{number}/comments?per_page=100&page={page}")
            yield from found
            if len(found) < 100:
                return


def marker(env: Mapping[str, str]) -> str:
    """Return the hidden line of our comment; each job and folder of a workflow has its own."""
    job = "-".join(env.get(name, "") for name in ("GITHUB_WORKFLOW", "GITHUB_JOB"))
    name = re.sub(r"[^\w.]+", "-", f"{job}-{Path.cwd().name}").strip("-")
    return f"<!-- promptstudio:{name} -->"


def prompt_changes(event: Mapping[str, Any]) -> str:
    """Return what the pull request changes in prompts, as Markdown; where git cannot tell, a line that says so."""
    base, head = event["pull_request"]["base"]["sha"], event["pull_request"]["head"]["sha"]
    if not (_COMMIT.fullmatch(base) and _COMMIT.fullmatch(head)):
        return ""
    if _git("merge-base", base, head).returncode:
        is_shallow = _git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"
        _git("fetch", "--quiet", "--no-tags", *(["--unshallow"] if is_shallow else []), "origin", base, head)
    words = [sys.executable, "-m", "promptstudio", "diff", f"{base[:16]}...{head[:16]}", "--markdown"]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return "*What changed in prompts is not known here: check out with `fetch-depth: 0`.*"
    return done.stdout.strip()


def _git(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *args], capture_output=True, encoding="utf-8", check=False)


def body(env: Mapping[str, str], event: Mapping[str, Any]) -> str:
    """Return the comment: verdict, what broke, prompt changes, and as much of the report as there is room for."""
    code = env.get("PS_EXIT_CODE", "")
    verdict = "✅ **The gate is met.**" if code == "0" else f"❌ **`ps eval` returned {code}.**"
    commit = event["pull_request"]["head"]["sha"][:8]
    report = Path(env["PS_REPORTS"]) / "report.md"
    text = report.read_text(encoding="utf-8").strip() if report.is_file() else "*There is no report: see the log.*"
    head, _, tables = text.rpartition(_TABLES)
    parts = [
        marker(env),
        f"{verdict} {_run_link(env)} at {commit}",
        head.strip(),
        prompt_changes(event),
        tables.strip(),
    ]
    whole = "\n\n".join(filter(None, parts))
    return whole if len(whole) <= MAX_BODY else _closed(whole[: MAX_BODY - 1_000]) + _CUT


def _closed(text: str) -> str:
    """Cut at a line, and close what is folded: else all that follows would be inside of it."""
    text = text[: text.rfind("\n")]
    fence = "\n```" if len(re.findall(r"^```", text, re.MULTILINE)) % 2 else ""
    for tag in ("pre", "details"):
        missing = len(re.findall(f"<{tag}[ >]", text)) - text.count(f"</{tag}>")
        fence += f"\n</{tag}>" * max(0, missing)
    return text + fence


def _run_link(env: Mapping[str, str]) -> str:
    server, repository, run = (env.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"[Run {run}]({server}/{repository}/actions/runs/{run})" if server and run.isdigit() else "This run"


def publish(api: Api, number: int, line: str, text: str) -> str:
    """Replace our comment, or write the first one; return what was done."""
    login = api.login()
    for comment in api.comments(number):
        if comment["user"]["login"] == login and str(comment["body"]).startswith(line):
            api.call("PATCH", f"/issues/comments/{int(comment['id'])}", {"body": text})
            return "updated"
    api.call("POST", f"/issues/{number}/comments", {"body": text})
    return "written"


def main(env: Mapping[str, str]) -> int:
    event = json.loads(Path(env["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = int(event["pull_request"]["number"])
    try:
        done = publish(Api(env), number, marker(env), body(env, event))
    except HTTPError as error:
        if error.code in (401, 403, 404):
            print("::notice::no comment: the token may not write one (permissions: pull-requests: write; not in forks)")
            return 0
        print(f"::warning::no comment: GitHub answered {error.code}")
        return 0
    except (URLError, TimeoutError) as error:
        print(f"::warning::no comment: GitHub cannot be reached: {error}")
        return 0
    print(f"The comment on #{number} is {done}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
