"""A comparison → Markdown for a comment on a pull request. Pure.

Whatever people wrote into a prompt stands in code, where nothing is a link, a mention or HTML: in a fence longer than
any run of backticks in it, or, inside a line, as entities within `<code>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from promptstudio.versions.diff.rows import Comparison, PromptRow
from promptstudio.versions.diff.schema import Diff, Level
from promptstudio.versions.diff.show import Look, page

MAX_CHARACTERS = 60_000  # a comment on GitHub may have 65,536
MAX_ROWS = 200
MAX_REASONS = 3
_SIGNS = {Level.MAJOR: "🔴", Level.MINOR: "🟡", Level.PATCH: "🟢", Level.NONE: "⚪"}
_MEANING = re.compile(r"[*_`\[\]<>&|\\@#!~$:{}^]|(?<=[wW]{3})\.")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def markdown(found: Comparison, diffs: Sequence[Diff | None]) -> str:
    """Return the comment: the verdict, a table of prompts, and the details of each one folded."""
    lines = [f"### {headline(found)}", "", _between(found), ""]
    if found.rows:
        lines += ["| | prompt | version | what changed |", "|---|---|---|---|"]
        lines += [_table_row(row) for row in found.rows[:MAX_ROWS]]
        if len(found.rows) > MAX_ROWS:
            lines += [f"| | … {len(found.rows) - MAX_ROWS:,} more | | |"]
    text = "\n".join(lines) + "\n"
    details = list(_details(found.rows, diffs))
    for number, one in enumerate(details):
        if len(text) + len(one) > MAX_CHARACTERS:
            return text + f"\n_The details of {len(details) - number:,} more prompts are left out._\n"
        text += one
    return text


def headline(found: Comparison) -> str:
    """Return the verdict over all prompts, and how many there are of each."""
    if not found.rows:
        return "⚪ Prompts: no difference"
    counts = [(level, sum(row.level is level for row in found.rows)) for level in sorted(Level, reverse=True)]
    said = [f"{number:,} {level.name}" for level, number in counts if number]
    unreadable = sum(row.level is None for row in found.rows)
    said += [f"{unreadable:,} unreadable"] if unreadable else []
    return f"{_SIGNS[found.level]} Prompts: {found.level.name} ({', '.join(said)})"


def _between(found: Comparison) -> str:
    commits = [f" ({side.commit[:8]})" if side.commit else "" for side in (found.old, found.new)]
    return f"{inline(found.old.shown)}{commits[0]} → {inline(found.new.shown)}{commits[1]}"


def _table_row(row: PromptRow) -> str:
    sign = _SIGNS[row.level] + " " + row.level.name if row.level is not None else "⚠️ unreadable"
    return f"| {sign} | {inline(row.name)} | {_version(row)} | {_what(row)} |"


def _version(row: PromptRow) -> str:
    before, after = (side.snapshot.version if side.snapshot else None for side in (row.old, row.new))
    if before == after:
        return inline(after) if after else ""
    return f"{inline(before or 'none')} → {inline(after or 'none')}"


def _what(row: PromptRow) -> str:
    problem = row.new.problem or row.old.problem
    if problem is not None:
        return inline(str(problem), 200)
    reasons = row.verdict.reasons if row.verdict else ()
    said = [f"{inline(one.place)}: {inline(one.text, 100)}" for one in reasons[:MAX_REASONS]]
    said += [f"… {len(reasons) - MAX_REASONS} more"] if len(reasons) > MAX_REASONS else []
    return "<br>".join(said) or row.status


def _details(rows: Sequence[PromptRow], diffs: Sequence[Diff | None]) -> Iterator[str]:
    for row, diff in zip(rows, diffs, strict=True):
        if diff is None or not (diff.sections or diff.messages or diff.variants):
            continue
        lines = ["".join(text for text, _ in line) for line in page(diff, Look(marked=True))]
        text = fenced("\n".join(_diff_lines(lines)), "text")
        summary = f"{_SIGNS[diff.verdict.level]} <b>{inline(row.name)}</b> {diff.verdict.level.name}"
        yield f"\n<details><summary>{summary}</summary>\n\n{text}\n\n</details>\n"


def _diff_lines(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield line.rstrip()


def fenced(text: str, language: str = "") -> str:
    """Return a text as a block of code, whatever it holds."""
    plain = _visible(text)
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{plain}\n{fence}"


def inline(text: str, limit: int = 160) -> str:
    """Return a text as code inside a line or a table's cell; each mark in it is an entity, and so means nothing."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    plain = " ".join(_visible(cut).split()) or "(empty)"
    return f"<code>{_MEANING.sub(_entity, plain)}</code>"


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _visible(text: str) -> str:
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text.replace("\r\n", "\n"))
