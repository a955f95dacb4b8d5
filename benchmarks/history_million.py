"""A history with a million runs: what it takes to build, list and search it, and how large it is.

    python benchmarks/history_million.py [--rows 1000000] [--file /tmp/history_million/history.db]

Prints medians over fresh processes for whole commands and over repeated calls for the queries themselves. The file is
kept and used again; delete it to build it anew.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptstudio.history import Filters, History, RequestRow, ResponseRow, open_history
from promptstudio.history.encode import request_columns, response_columns
from promptstudio.history.ids import stamp
from promptstudio.history.queries import INSERT_REQUEST
from promptstudio.types import Message, Usage

ENGLISH = [
    "the",
    "ticket",
    "order",
    "refund",
    "invoice",
    "late",
    "broken",
    "thanks",
    "please",
    "help",
    "account",
    "charge",
    "delivery",
    "cancel",
    "price",
    "app",
]
ARABIC = [
    "التذكرة",
    "الطلب",
    "استرداد",
    "الفاتورة",
    "متأخر",
    "مكسور",
    "شكرا",
    "فضلك",
    "مساعدة",
    "الحساب",
    "رسوم",
    "التوصيل",
    "إلغاء",
    "السعر",
    "تطبيق",
]
RARE = [f"item{number}" for number in range(50_000)]
SYSTEM = "You sort support tickets into billing, bug or other, and answer in the customer's own language."
OPENING = """
from types import SimpleNamespace
from promptstudio.history import open_history
h = open_history(SimpleNamespace(history_url={file!r}, root=None, state_dir=None, retention_days=None, redact=True))
"""
SEARCH = "h.search('refund')"
HASH = "p1:" + "0123456789abcdef" * 4


@dataclass(frozen=True)
class Settings:
    """The part of the settings that the history reads."""

    history_url: str | None
    root: Path | None = None
    state_dir: Path | None = None
    retention_days: int | None = None
    redact: bool = True


def run_pair(number: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    words = ARABIC if number % 3 == 0 else ENGLISH
    asked = " ".join([*chance.choices(words, k=25), chance.choice(RARE), f"unique{number}"])
    answered = " ".join([*chance.choices(words, k=25), chance.choice(RARE)])
    request = RequestRow(
        prompt=f"support/p{number % 40}",
        model="openai/gpt-4.1-mini",
        user="Ada Lovelace <ada@example.com>",
        behavior=HASH,
        interface=HASH,
        commit="c" * 40,
        dirty=False,
        inputs={"ticket": asked},
        messages=(Message.of("system", SYSTEM), Message.of("user", asked)),
        tags=("nightly",),
        status="completed",
    )
    response = ResponseRow(response_text=answered, finish_reason="stop", usage=Usage(60, 30), duration_ms=800)
    return request_columns(request, redacting=False, owner=None), response_columns(
        request.id, response, redacting=False
    )


def build(history: History, rows: int, at_once: int = 5000) -> None:
    """Insert pairs as they are stored by a run, many to a transaction."""
    chance = random.Random(4711)
    started = time.perf_counter()
    for start in range(history.count(), rows, at_once):
        with history.store.writing() as run:
            for number in range(start, min(start + at_once, rows)):
                store_pair(run, *run_pair(number, chance))
        print(f"\r{start + at_once:>9,} rows  {time.perf_counter() - started:6.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)


def store_pair(run: Callable[[str, dict[str, Any]], int], request: dict[str, Any], response: dict[str, Any]) -> None:
    run(INSERT_REQUEST, {**request, "status": "running"})
    names = ", ".join(response)
    values = ", ".join(f":{name}" for name in response)
    stored = {**response, "created_at": stamp(response["created_at"])}
    run(f"INSERT INTO prompt_responses ({names}) VALUES ({values})", stored)
    run("UPDATE prompt_requests SET status = 'completed' WHERE id = :id", {"id": request["id"]})


def timed(act: Callable[[], object], times: int = 9) -> float:
    """Return the median of several calls, in milliseconds."""
    return statistics.median(_times(act, times)) * 1000


def _times(act: Callable[[], object], times: int) -> Iterator[float]:
    for _ in range(times):
        start = time.perf_counter()
        act()
        yield time.perf_counter() - start


def queries(history: History) -> dict[str, Callable[[], object]]:
    return {
        "list 20": history.rows,
        "list 20 of one prompt": lambda: history.rows(Filters(prompt="support/p7")),
        "list, a status that is rare": lambda: history.rows(Filters(status="failed")),
        "count": history.count,
        "search a rare word": lambda: history.search("item4711"),
        "search a unique word": lambda: history.search("unique123456"),
        "search a common word": lambda: history.search("refund"),
        "search two common words": lambda: history.search("refund invoice"),
        "search a phrase": lambda: history.search('"refund invoice"'),
        "search Arabic, without article": lambda: history.search("فاتورة"),
        "search a beginning": lambda: history.search("item471*"),
        "search a short beginning": lambda: history.search("it*"),
        "search a word of one prompt": lambda: history.search("refund", Filters(prompt="support/p7")),
        "search an absent word": lambda: history.search("absent"),
        "show one": lambda: history.row("last"),
    }


def process_cpu_ms(code: str, times: int = 5) -> float:
    """Return the median CPU time (user and system) of a whole Python process, in milliseconds."""
    import resource

    used = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(used) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--file", type=Path, default=Path("/tmp/history_million/history.db"))
    options = parser.parse_args()
    history = open_history(Settings(str(options.file)))
    build(history, options.rows)
    rows, size = history.count(), options.file.stat().st_size
    text = (
        history.store.read(
            "SELECT sum(length(CAST(messages AS BLOB)) + length(CAST(inputs AS BLOB))) FROM prompt_requests"
        )[0][0]
        + history.store.read("SELECT sum(length(CAST(response_text AS BLOB))) FROM prompt_responses")[0][0]
    )
    print(
        f"{rows:,} rows, {size / 1e6:,.0f} MB, {size / rows:,.0f} bytes a row, of which {text / rows:,.0f} are its text"
    )
    for name, act in queries(history).items():
        act()  # once to warm the page cache, as any second command finds it
        print(f"{name:<34} {timed(act):8.2f} ms")
    opening = OPENING.format(file=str(options.file))
    print(f"{'python -c pass (CPU)':<34} {process_cpu_ms('pass'):8.2f} ms")
    print(f"{'a process that lists 20 (CPU)':<34} {process_cpu_ms(opening + 'h.rows()'):8.2f} ms")
    print(f"{'a process that searches (CPU)':<34} {process_cpu_ms(opening + SEARCH):8.2f} ms")


if __name__ == "__main__":
    main()
