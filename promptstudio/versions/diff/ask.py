"""The words of `ps diff` → what is to be compared with what. Pure: what a word can mean is asked of the caller.

ps diff                       HEAD with the working tree, all prompts
ps diff A [PROMPT…]           A with the working tree
ps diff A B | A..B [PROMPT…]  A with B; an end left out is HEAD
ps diff A...B [PROMPT…]       B with the commit where it left A
ps diff PROMPT                HEAD with the working tree, one prompt
ps diff PROMPT@A [PROMPT@B]   two versions; without the second the working tree's
ps diff PROMPT PROMPT         two prompts, or a prompt and its variant
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from promptstudio.errors import NotFoundError, UsageError
from promptstudio.prompts.wording import shown

_RANGE = re.compile(r"(?P<old>.*?)(?P<dots>\.{2,3})(?P<new>.*)", re.DOTALL)
_LIKE_GIT = re.compile(r"[~^]|@\{")
_HEAD = "HEAD"


@dataclass(frozen=True, slots=True)
class Question:
    """`old` and `new` are revisions, `new` None for the working tree; `prompts` the only ones asked for, empty for all.

    `old` is None where nobody named it: HEAD, or nothing before the first commit. `pair` are two addresses, and then
    the rest is empty.
    """

    old: str | None = None
    new: str | None = None
    from_fork: bool = False
    prompts: tuple[str, ...] = ()
    pair: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Meanings:
    """How to find out what a bare word can mean: a revision or a label, a prompt or a folder of prompts."""

    is_revision: Callable[[str], bool]
    is_prompt: Callable[[str], bool]


def question_of(words: Sequence[str], prompts: Sequence[str], meanings: Meanings) -> Question:
    """Read the words. Raises UsageError for one with two meanings: nothing is guessed."""
    revisions: list[str] = []
    ranges: list[re.Match[str]] = []
    addresses: list[str] = []
    for word in words:
        found = _range(word)
        if _is_address(word):
            addresses.append(word)
        elif found:
            ranges.append(found)
        elif _LIKE_GIT.search(word) or _is_revision(word, meanings):
            revisions.append(word)
        else:
            addresses.append(word)
    return _question(revisions, ranges, (*addresses, *prompts))


def range_of(word: str) -> tuple[str, str, bool]:
    """Return the ends of `A..B`, and whether it has three dots. Raises UsageError for anything else."""
    found = _range(word)
    if found is None:
        raise UsageError(f"{shown(word)} is not a range", hint="write A..B, as in v1.0.0..HEAD")
    return found["old"] or _HEAD, found["new"] or _HEAD, found["dots"] == "..."


def _range(word: str) -> re.Match[str] | None:
    if word.startswith(("./", "../", "/")) or "/../" in word or word in ("..", "..."):
        return None  # a path
    return _RANGE.fullmatch(word)


def _is_address(word: str) -> bool:
    """Say whether a word can only be an address: `greet@HEAD~1`, `greet:short`, a file. `main@{1}` is git's."""
    if word.endswith((".yaml", ".yml")) or word.startswith(("./", "../", "/", "~/")):
        return True
    name, at, revision = word.partition("@")
    if at and name and ".." not in name and revision and not revision.startswith("{"):
        return True
    return bool(re.fullmatch(r"[^:@]+:[^:@/.]+", word)) and not word.startswith("label:")


def _is_revision(word: str, meanings: Meanings) -> bool:
    is_revision = meanings.is_revision(word)
    if is_revision and meanings.is_prompt(word):
        raise UsageError(
            f"{shown(word)} is a revision and a prompt",
            hint=f"`ps diff {word} --` means the revision, `ps diff -- {word}` the prompt",
        )
    return is_revision


def revisions_only(words: Sequence[str], meanings: Meanings) -> tuple[str, ...]:
    """Return the words before a `--`, where none is a prompt. Raises NotFoundError for one that is no revision."""
    for word in words:
        if _range(word) is None and not meanings.is_revision(word):
            raise NotFoundError(f"there is no revision {shown(word)}", hint="prompts are named behind the --")
    return tuple(words)


def question_with_dashes(words: Sequence[str], prompts: Sequence[str], meanings: Meanings) -> Question:
    """Read the words where a `--` stands among them: before it are revisions, behind it prompts."""
    only = revisions_only(words, meanings)
    ranges = [found for word in only if (found := _range(word))]
    return _question([word for word in only if _range(word) is None], ranges, tuple(prompts))


def _question(revisions: list[str], ranges: list[re.Match[str]], prompts: tuple[str, ...]) -> Question:
    versioned = [word for word in prompts if _version_in(word)]
    if len(revisions) > 2 or len(ranges) > 1 or (ranges and revisions):
        raise UsageError("more than two revisions are named", hint="`ps diff A..B PROMPT` compares two")
    if versioned:
        return _pair_of_versions(prompts, named=bool(revisions or ranges))
    if ranges:
        found = ranges[0]
        ends = (found["old"] or _HEAD, found["new"] or _HEAD)
        return Question(*ends, from_fork=found["dots"] == "...", prompts=prompts)
    if not revisions and len(prompts) == 2:
        return Question(pair=(prompts[0], prompts[1]))
    old, new = [*revisions, None, None][:2]
    return Question(old, new, prompts=prompts)


def _version_in(word: str) -> bool:
    if word.endswith("@"):
        return True
    name, at, revision = word.partition("@")
    return bool(at and name and revision)


def _pair_of_versions(prompts: tuple[str, ...], *, named: bool) -> Question:
    if named or len(prompts) > 2:
        raise UsageError(
            "a prompt with @ names its own revision, and another one is named beside it",
            hint="`ps diff PROMPT@A PROMPT@B` or `ps diff A..B PROMPT`",
        )
    from promptstudio.prompts.load import parse_address  # weight: a comparison of all prompts needs no loader

    first = parse_address(prompts[0])
    if len(prompts) == 2:
        return Question(pair=(prompts[0], prompts[1]))
    name = first.target + (f":{first.variant}" if first.variant else "")
    found = _range(first.revision or "")
    if found:
        question = _question([], [found], (name,))
        return replace(question, prompts=(name,))
    return Question(pair=(prompts[0], name))
