"""A repository of 1,000 prompts and 2,000 commits: ours against the plain git command that reads the same history.

The repository is made anew each time, always the same: `git fast-import`, then packed. Every prompt includes one of ten
partials; one prompt has a twentieth of the commits. Warm figures are those of a second run and later ones, cold ones
those without our cache.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Bar, Comparison, compared, cost_of
from benchmarks.workspace import LLM, PS, Workspace
from promptstudio.config import load_settings
from promptstudio.versions.labels import completed, label_at, prompt_files, who_now, with_label
from promptstudio.versions.lock import change_lock
from promptstudio.versions.repo import open_repository
from promptstudio.versions.snapshots import Snapshots, prompts_at

PROMPTS, COMMITS, BUSY = 1_000, 2_000, 42
BEGIN_S, STEP_S = 1_700_000_000, 3_600
LIMIT, START_LIMIT = 5.0, 0.10
COLD_ROUNDS = 3
WORDS = [
    *("ticket", "customer", "reply", "answer", "billing", "refund", "politely", "always", "never", "language"),
    *("product", "urgent", "summary", "draft", "explain", "list", "short", "formal"),
]
TOML = '[project]\nname = "bench"\n[run]\nmodel = "offline/echo"\n'


def measure(workspace: Workspace, options: argparse.Namespace) -> list[Bar]:
    root = make_repository(workspace.home.parent / "versions", workspace)
    busy, path = prompt_name(BUSY), f"prompts/{prompt_name(BUSY)}.yaml"
    first = said(root, workspace, "rev-list", "--max-parents=0", "HEAD")
    rows: tuple[tuple[str, Sequence[str | Path], Sequence[str]], ...] = (
        ("log", (PS, "log", busy), ("git", "log", "--follow", "-p", "--", path)),
        ("blame", (PS, "blame", busy), ("git", "blame", "--", path)),
        ("diff over all", (PS, "diff", f"{first}..HEAD"), ("git", "diff", first, "HEAD")),
        ("verify", (PS, "verify"), ("git", "fsck", "--no-progress")),
    )
    bars = []
    for name, ours, theirs in rows:
        cold = [cold_ms(ours, root, workspace) for _ in range(COLD_ROUNDS)]
        found = compared(ours, theirs, env=workspace.env, cwd=root, pairs=options.pairs)
        found.show(f"ps {name}", "git")
        print(f"  {'':<26} wall, without our cache: {min(cold):.0f}–{max(cold):.0f} ms")
        bars.append(Bar(f"ps {name}, wall against `{' '.join(theirs[:2])}`", found.ratio("wall_ms"), LIMIT))
    return [*bars, start_bar(root, workspace, options)]


def start_bar(root: Path, workspace: Workspace, options: argparse.Namespace) -> Bar:
    """`ps list` with its index made."""
    (root / ".promptstudio").mkdir(exist_ok=True)
    found: Comparison = compared([PS, "list"], [LLM, "--version"], env=workspace.env, cwd=root, pairs=options.pairs)
    found.show("ps list, 1,000 prompts")
    return Bar("ps list of 1,000 prompts, CPU against llm --version", found.ratio("cpu_ms"), START_LIMIT)


def cold_ms(command: Sequence[str | Path], root: Path, workspace: Workspace) -> float:
    shutil.rmtree(root / ".git/promptstudio", ignore_errors=True)
    return cost_of(command, env=workspace.env, cwd=root).wall_ms


# -- the repository ---------------------------------------------------------------------------------------------------


def make_repository(root: Path, workspace: Workspace) -> Path:
    """Make the repository, pack it, check it out, and put a label on every prompt."""
    root.mkdir(parents=True)
    for arguments, data in (
        (("init", "-q", "-b", "main"), b""),
        (("fast-import", "--quiet"), "".join(commits()).encode()),
        (("gc", "--quiet"), b""),
        (("reset", "-q", "--hard", "main"), b""),
    ):
        subprocess.run(["git", *arguments], cwd=root, env=workspace.env, input=data, check=True)
    label_all(root)
    person = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com")
    for words in (("add", "-A"), (*person, "commit", "-q", "-m", "Promote all")):
        subprocess.run(["git", *words], cwd=root, env=workspace.env, check=True)
    return root


def label_all(root: Path) -> None:
    settings = load_settings(root, env={})
    with open_repository(root) as repository, Snapshots(repository, settings) as snapshots:
        moment = snapshots.at(repository.commit_of("HEAD"))
        who, files = who_now("Dev <dev@example.com>"), prompt_files(settings, repository)
        labels = {path: label_at(snapshots, moment, path, who) for path in prompts_at(moment, repository).values()}

    by_name = {path.relative_to(root / "prompts").with_suffix("").as_posix(): label for path, label in labels.items()}
    change_lock(
        root,
        lambda lock: {
            name: with_label(stanza, "production", by_name[name])
            for name, stanza in completed(lock.prompts, files).items()
        },
    )


def commits() -> Iterator[str]:
    """Yield the stream of `git fast-import`."""
    chance = random.Random(7)
    state = [(sentence(chance, 30), 0.2, "1.0.0")] * PROMPTS
    partials = {f"prompts/_partials/tone{number}.md": sentence(chance, 12) for number in range(10)}
    files = {"promptstudio.toml": TOML, ".gitignore": ".promptstudio/\n", **partials}
    files |= {f"prompts/{prompt_name(number)}.yaml": prompt_text(number, *state[number]) for number in range(PROMPTS)}
    yield commit("Start", 0, files)
    for number in range(1, COMMITS):
        which = chance.randrange(PROMPTS) if number % 20 else BUSY
        state[which] = changed(state[which], number, chance)
        files = {f"prompts/{prompt_name(which)}.yaml": prompt_text(which, *state[which])}
        yield commit(f"Change prompt {which}", number, files)


def changed(state: tuple[str, float, str], number: int, chance: random.Random) -> tuple[str, float, str]:
    """Six changes in ten are of the text, two of a parameter, two of the version only."""
    text, temperature, version = state
    kind = chance.random()
    if kind < 0.6:
        return sentence(chance, 30), temperature, version
    return (text, round(chance.random(), 1), version) if kind < 0.8 else (text, temperature, f"1.{number}.0")


def commit(subject: str, number: int, files: dict[str, str]) -> str:
    who = f"Dev {number % 5} <dev{number % 5}@example.com> {BEGIN_S + number * STEP_S} +0000"
    parts = [f"commit refs/heads/main\ncommitter {who}\ndata {len(subject)}\n{subject}\n"]
    parts += [f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n" for path, text in files.items()]
    return "".join(parts)


def prompt_name(number: int) -> str:
    return f"team{number % 20}/prompt{number:04}"


def sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(words)).capitalize() + "."


def prompt_text(number: int, text: str, temperature: float, version: str) -> str:
    return f"""\
description: Prompt {number} of the benchmark.
version: {version}
tags: [team{number % 7}]
model: openai/gpt-4.1-mini
parameters: {{temperature: {temperature}, max_tokens: 600}}
inputs:
  ticket: {{type: string, maxLength: 20000}}
  product: {{type: string, enum: [web, ios, android], default: web}}
output:
  fields:
    category: {{type: string, enum: [billing, bug, how_to, abuse]}}
    reply: string, first reply
messages:
  - role: system
    content: |
      You triage tickets for {{{{ product }}}}.
      {text}
      {{% include "_partials/tone{number % 10}.md" %}}
  - role: user
    content: "<ticket>{{{{ ticket }}}}</ticket>"
examples:
  - inputs: {{ticket: I was charged twice}}
    output: {{category: billing, reply: Sorry}}
"""


def said(root: Path, workspace: Workspace, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, env=workspace.env, capture_output=True, text=True, check=True)
    return done.stdout.strip()
