"""How a run compares with its baseline, in lines: what broke first, then what was mended, then each figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptstudio.cli.context import Context
from promptstudio.output.terminal import safe_cell

SHOWN = 12


def print_against(context: Context, against: Mapping[str, Any]) -> None:
    """Print what the record of a run says of its baseline."""
    output = context.output
    for target in against.get("targets", ()):
        several = f"{target['candidate']}: " if len(against["targets"]) > 1 else ""
        for line in flip_lines(target["figures"], against["named"]):
            output.line(safe_cell(several + line))
        for name, why in target["refused"].items():
            output.labeled(
                "warning", safe_cell(f"{several}{name} is not compared with {against['named']}: {why}"), "yellow"
            )
    for prompt in against.get("new_prompts", ()):
        output.note(f"{safe_cell(prompt)} is new since {safe_cell(against['named'])}, and is compared with nothing")


def flip_lines(figures: Mapping[str, Mapping[str, Any]], named: str) -> Iterator[str]:
    """Yield which cases passed there and fail here, then the other way round, then those only one side has."""
    found = figures.get("pass rate")
    if found is None:
        return
    if found["broke"]:
        yield f"broke since {named}: {_cases(found['broke'], found['broke_count'])}"
    if found["mended"]:
        yield f"mended since {named}: {_cases(found['mended'], found['mended_count'])}"
    for side, said in (("only_baseline", f"only at {named}"), ("only_candidate", f"not at {named}")):
        if found[side]:
            yield f"{said}: {_named(found[side], found.get(f'{side}_count', len(found[side])))}"


def _cases(flips: Sequence[Mapping[str, Any]], count: int) -> str:
    return _named([flip["case"] for flip in flips], count)


def _named(names: Sequence[str], count: int) -> str:
    more = count - min(len(names), SHOWN)
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more else "")
