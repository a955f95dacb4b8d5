"""Parts of results as texts for people: what was answered, expected and found, and how to ask again. Not yet safe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from promptstudio.evals.records import CaseResult
from promptstudio.evals.schema import Answer, Score


def answer_text(answer: Answer) -> str:
    """Return what the model said: its text, or else its output, its refusal, and the tools it asked for."""
    parts = [answer.text] if answer.text else []
    if not parts and answer.output is not None:
        parts.append(value_text(answer.output))
    if isinstance(answer.refusal, str) and answer.refusal != answer.text:
        parts.append(f"refusal: {answer.refusal}")
    parts += [f"{call.name}({call.arguments})" for call in answer.tool_calls]
    return "\n".join(parts)


def value_text(value: Any) -> str:
    """Return a text as it is, anything else as indented JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def cut(text: str, limit: int) -> str:
    """Return the beginning of a text, and how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n… {len(text) - limit:,} more characters"


def one_line(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def news_of(scores: Sequence[Score]) -> Iterator[Score]:
    """Yield the scores that are no pass, those inside of sets in place of the set where it has some."""
    for score in scores:
        if score.outcome in ("pass", "skipped"):
            continue
        inner = list(news_of(score.children))
        yield from inner or [score]


def reason_pieces(result: CaseResult) -> tuple[str, str]:
    """Return the name of the score a reason speaks of, with its colon, and the rest: they may differ in direction."""
    names = (f"{score.name}: " for score in result.scores)
    name = next((each for each in names if result.reason.startswith(each)), "")
    return name, result.reason[len(name) :]


def title_of(result: CaseResult) -> str:
    """Return the id of a case, with the number of its repeat after the first."""
    return result.case.id if not result.repeat else f"{result.case.id} #{result.repeat + 1}"


def percent(rate: float | None) -> str:
    if rate is None:
        return "–"
    shown = f"{rate:.1%}"
    return "99.9%" if shown == "100.0%" and rate < 1 else shown.replace(".0%", "%")


def dollars(amount: Decimal | None) -> str:
    if amount is None:
        return "not known"
    return "$0" if not amount else f"${amount:,.4f}" if amount < 1 else f"${amount:,.2f}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"
