"""Rows to store, and other processes that store them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from promptstudio.history import History, RequestRow, ResponseRow
from promptstudio.types import Attempt, Message, Usage

HASH = "p1:" + "a" * 64


@dataclass(frozen=True)
class Settings:
    """The part of the settings that the history reads."""

    root: Path | None = None
    state_dir: Path | None = None
    history_url: str | None = None
    retention_days: int | None = None
    redact: bool = True


def project_settings(root: Path, **values: Any) -> Settings:
    return Settings(root, root / ".promptstudio", **values)


def request(**values: Any) -> RequestRow:
    """A plausible request; `text` is its user message."""
    text = values.pop("text", "I was charged twice")
    defaults: dict[str, Any] = {
        "prompt": "support/triage",
        "model": "offline/echo",
        "user": "Ada Lovelace <ada@example.com>",
        "behavior": HASH,
        "interface": HASH,
        "inputs": {"ticket": text},
        "messages": (Message.of("system", "You sort tickets"), Message.of("user", text)),
    }
    return RequestRow(**{**defaults, **values})


def response(text: str = "billing", **values: Any) -> ResponseRow:
    return ResponseRow(**{"response_text": text, "duration_ms": 12, "usage": Usage(10, 3), **values})


def attempt(number: int = 1, **values: Any) -> Attempt:
    defaults = {"model": "offline/echo", "reason": "call", "started_at": datetime(2026, 11, 21, tzinfo=UTC)}
    return Attempt(**{"number": number, "duration_ms": 12, "cost_usd": Decimal("0.000123"), **defaults, **values})


def stored(history: History, answer: str = "billing", **values: Any) -> str:
    """Store a finished run and return its id."""
    row_id = history.begin(request(**values))
    history.finish(row_id, response(answer), [attempt()])
    return row_id


PREAMBLE = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
root = Path({root!r})
"""
SAMPLES = """
from history_samples import *
from promptstudio.history import *
history = open_history(project_settings(root))
"""


def start_python(root: Path, script: str, *, samples: bool = True, **options: Any) -> subprocess.Popen[str]:
    """Start a script in another process, with `root`, `history` and the sample rows at hand."""
    preamble = PREAMBLE.format(tests=str(Path(__file__).parent), root=str(root)) + (SAMPLES if samples else "")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", preamble + script], text=True, **{**pipes, **options})


def run_python(root: Path, script: str, *, samples: bool = True, **options: Any) -> str:
    """Run such a script to its end and return what it printed."""
    with start_python(root, script, samples=samples, **options) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out
