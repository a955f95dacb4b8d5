"""The messages of two versions → which one became which: by role and likeness, then word by word. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptstudio.versions.diff.align import rising
from promptstudio.versions.diff.schema import MessageChange
from promptstudio.versions.diff.words import segments, similarity

SIMILAR = 0.3  # in the same role
SIMILAR_IN_ANOTHER_ROLE = 0.7
MAX_COMPARED = 40  # messages on either side that are compared with each other; more are taken in order

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class _Turn:
    role: str
    text: str


def message_changes(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], count: CountTokens | None = None
) -> tuple[MessageChange, ...]:
    """Return the messages in the order of the new version, those that are gone where they stood; empty if none differs.

    `old` and `new` are messages as the behavior has them (docs/identity.md). `count` estimates the tokens of a text.
    """
    before, after = [turn_of(message) for message in old], [turn_of(message) for message in new]
    if before == after:
        return ()
    return turn_changes(before, after, count)


def turn_changes(
    before: Sequence[_Turn], after: Sequence[_Turn], count: CountTokens | None = None
) -> tuple[MessageChange, ...]:
    """Return the changes between two lists of turns, as `message_changes` does."""
    partner = _matched(before, after)
    stays = _staying(partner)
    changes = [_change(before, after, partner.get(place), place, stays, count) for place in range(len(after))]
    gone = _gone(partner, len(before))
    found = [_removed(before, place, count) for place in gone.get(-1, ())]
    for place, change in enumerate(changes):
        found += [change, *(_removed(before, old, count) for old in gone.get(place, ()))]
    return tuple(found)


def _gone(partner: Mapping[int, int], size: int) -> dict[int, list[int]]:
    """Return the old messages that are gone, by the new one each is shown behind: the last that stood before it."""
    new_place = {old: new for new, old in partner.items()}
    found: dict[int, list[int]] = {}
    behind = -1
    for place in range(size):
        if place in new_place:
            behind = max(behind, new_place[place])
        else:
            found.setdefault(behind, []).append(place)
    return found


def turn_of(message: Mapping[str, Any]) -> _Turn:
    """Return a message as role and text: media and the borders of parts are lines in brackets."""
    if "placeholder" in message:
        return _Turn("placeholder", str(message["placeholder"]))
    parts = message["parts"]
    if len(parts) == 1 and "text" in parts[0]:
        return _Turn(message["role"], parts[0]["text"])
    return _Turn(message["role"], "\n".join(map(_part_text, parts)))


def plain_turn(role: str, text: str) -> _Turn:
    """Return a turn of a conversation that was rendered."""
    return _Turn(role, text)


def _part_text(part: Mapping[str, str]) -> str:
    kind, value = next(iter(part.items()))
    return f"[text]\n{value}" if kind == "text" else f"[{kind}: {value}]"


# -- matching ---------------------------------------------------------------------------------------------------------


def _matched(before: Sequence[_Turn], after: Sequence[_Turn]) -> dict[int, int]:
    """Return which old message each new one was: equal ones, then similar ones of one role, then of another."""
    partner: dict[int, int] = {}
    places: dict[_Turn, list[int]] = {}
    for place, turn in reversed(list(enumerate(before))):
        places.setdefault(turn, []).append(place)
    for place, turn in enumerate(after):
        if places.get(turn):
            partner[place] = places[turn].pop()
    for same_role, least in ((True, SIMILAR), (False, SIMILAR_IN_ANOTHER_ROLE)):
        _match_similar(before, after, partner, least, same_role=same_role)
    return partner


def _match_similar(
    before: Sequence[_Turn], after: Sequence[_Turn], partner: dict[int, int], least: float, *, same_role: bool
) -> None:
    taken = set(partner.values())
    old = [place for place in range(len(before)) if place not in taken][:MAX_COMPARED]
    new = [place for place in range(len(after)) if place not in partner][:MAX_COMPARED]
    scores = [
        (similarity(before[one].text, after[other].text), -abs(one - other), -one, -other)
        for one in old
        for other in new
        if (before[one].role == after[other].role) == same_role
    ]
    for score, _, one, other in sorted(scores, reverse=True):
        if score >= least and -one not in taken and -other not in partner:
            partner[-other] = -one
            taken.add(-one)


def _staying(partner: Mapping[int, int]) -> frozenset[int]:
    """Return the new messages that did not move: as many as can keep their order."""
    order = sorted(partner)
    return frozenset(order[place] for place in rising([partner[place] for place in order]))


# -- changes ----------------------------------------------------------------------------------------------------------


def _change(
    before: Sequence[_Turn],
    after: Sequence[_Turn],
    old_place: int | None,
    place: int,
    stays: frozenset[int],
    count: CountTokens | None,
) -> MessageChange:
    turn = after[place]
    if old_place is None:
        return MessageChange("added", turn.role, None, None, place, segments("", turn.text), None, _tokens(turn, count))
    was = before[old_place]
    kind: Literal["moved", "changed", "same"] = "changed" if was != turn else "same"
    if place not in stays:
        kind = "moved"
    found = segments(was.text, turn.text) if was.text != turn.text else ()
    return MessageChange(kind, turn.role, was.role, old_place, place, found, _tokens(was, count), _tokens(turn, count))


def _removed(before: Sequence[_Turn], place: int, count: CountTokens | None) -> MessageChange:
    turn = before[place]
    return MessageChange(
        "removed", turn.role, turn.role, place, None, segments(turn.text, ""), _tokens(turn, count), None
    )


def _tokens(turn: _Turn, count: CountTokens | None) -> int | None:
    if count is None:
        return None
    return 0 if turn.role == "placeholder" else count(turn.text)
