"""Inputs of the GitHub Action, from the environment → `ps eval` with reports; its exit code becomes an output.

The step itself succeeds, so that the comment is written; the last step of the action returns the exit code.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPORTS = ("report.md", "report.html", "junit.xml", "results.jsonl")


def command(env: Mapping[str, str], reports: Path) -> list[str]:
    """Return the command. What the inputs say is split as a shell would, and never given to one."""
    words = [sys.executable, "-m", "promptstudio", "eval"]
    for name in REPORTS:
        words += ["--report", str(reports / name)]
    if env.get("PS_REPLAY"):
        words += ["--replay", env["PS_REPLAY"]]
    return [*words, *shlex.split(env.get("PS_ARGS", "")), *shlex.split(env.get("PS_SUITES", ""))]


def main(env: Mapping[str, str]) -> int:
    if env.get("GITHUB_EVENT_NAME") == "pull_request_target":
        print("::error::pull_request_target would give the code of a fork your secrets: use pull_request")
        return 2
    reports = Path(env.get("PS_REPORTS") or "promptstudio-reports").absolute()
    reports.mkdir(parents=True, exist_ok=True)
    try:
        words = command(env, reports)
    except ValueError as error:
        print(f"::error::the inputs `args` and `suites` cannot be read: {error}")
        return 2
    for name in REPORTS:
        (reports / name).unlink(missing_ok=True)  # what an earlier step left there is not of this run
    done = subprocess.run(words, check=False)
    with Path(env["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"exit-code={done.returncode}\n")
        outputs.write(f"reports={reports}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
