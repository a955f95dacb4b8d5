"""The words of `ps ab` → the sides of a comparison: prompts, variants, versions, models or profiles.

`:terse` and `@main` are about the one prompt of the suite; so are models and profiles. A word that may mean two things
is refused with the ways to write it: `prompt=`, `model=`, `profile=`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from promptstudio.config import Settings
from promptstudio.errors import NotFoundError, UsageError, UserError
from promptstudio.evals.plan import Plan, Side, Target
from promptstudio.evals.suite import Suite
from promptstudio.prompts.address import Address, find_file, parse_address
from promptstudio.prompts.library import prompt_rows
from promptstudio.prompts.wording import nearest, shown
from promptstudio.providers.connect import OFFLINE_MODELS, route_for
from promptstudio.versions.load import load_anywhere

MAX_SIDES = 26
"""Each side is shown by a letter."""
Kind = Literal["prompt", "model", "profile"]
_WHAT = "a side is a prompt, :variant, @version, a model or a profile"


@dataclass(frozen=True, slots=True)
class Entrant:
    """One side and what its word was. Only a `prompt` is something that a label can be put on."""

    kind: Kind
    side: Side


def read_sides(words: Sequence[str], suite: Suite, settings: Settings, *, model: str | None = None) -> list[Entrant]:
    """Return the sides that words name. Raises UsageError or NotFoundError.

    `model` is asked where a side names none; else the suite's one model, else each prompt's own.
    """
    if len(words) < 2:
        raise UsageError("a comparison has two sides or more", hint="ps ab greet greet:terse --suite evals/greet.yaml")
    if len(words) > MAX_SIDES:
        raise UsageError(f"{len(words)} sides are too many", hint=f"at most {MAX_SIDES} are compared at once")
    found = [_entrant(word, suite, settings) for word in words]
    default = _default_model(found, suite, model)
    placed = [replace(each, side=replace(each.side, model=each.side.model or default)) for each in found]
    times = Counter(each.side.name for each in placed)
    return [each if times[each.side.name] == 1 else _prefixed(each) for each in placed]


def _prefixed(entrant: Entrant) -> Entrant:
    """Return a side under a name that says what it is: a prompt and a model may be called the same."""
    name = f"{entrant.kind}={entrant.side.name.removeprefix('profile=')}"
    return replace(entrant, side=replace(entrant.side, name=name))


def check_sides(plan: Plan) -> None:
    """Raise UsageError where two sides are the same thing: their answers would differ by chance alone."""
    seen: dict[str, Target] = {}
    for target in plan.targets:
        other = seen.setdefault(target.digest, target)
        if other is not target:
            behavior = f"{target.prompt.identity.behavior[:15]}…"
            raise UsageError(
                f"{other.address} and {target.address} are the same thing: {behavior}, asked of {target.model}",
                hint="compare versions that differ: `ps diff` says what does",
            )


def _default_model(found: Sequence[Entrant], suite: Suite, model: str | None) -> str | None:
    if model is not None:
        return model
    if len(suite.models) > 1 and any(each.kind != "model" for each in found):
        raise UsageError(
            f"{suite.shown} has {len(suite.models)} models: {', '.join(suite.models)}", hint="choose one with -m"
        )
    return suite.models[0] if suite.models else None


def _entrant(word: str, suite: Suite, settings: Settings) -> Entrant:
    prefix, equals, rest = word.partition("=")
    if equals and prefix in _MAKERS:
        if not rest.strip():
            raise UsageError(f"{shown(word)} names nothing", hint=_WHAT)
        return _MAKERS[prefix](rest, suite, settings)
    if not word.strip():
        raise UsageError("a side is empty", hint="is the variable behind it set?")
    if word.startswith((":", "@")):
        return _prompt(word, suite, settings)
    kinds = [kind for kind, means in _MEANS.items() if means(word, settings)]
    if len(kinds) > 1:
        said = " and ".join(f"a {kind}" for kind in kinds)
        raise UsageError(f"{shown(word)} is {said}", hint=f"write {' or '.join(f'{kind}={word}' for kind in kinds)}")
    if not kinds:
        raise _unknown(word, suite, settings)
    return _MAKERS[kinds[0]](word, suite, settings)


def _unknown(word: str, suite: Suite, settings: Settings) -> NotFoundError:
    close = nearest(word, _known_names(suite, settings))
    hint = f"did you mean {close!r}?" if close else _WHAT
    return NotFoundError(f"{shown(word)} is no prompt, model or profile", hint=hint)


def _known_names(suite: Suite, settings: Settings) -> Iterator[str]:
    for row in prompt_rows(settings):
        yield row.name
        yield from (f"{row.name}:{variant}" for variant in row.variants)
    yield from settings.profiles
    yield from suite.models
    yield from OFFLINE_MODELS


# -- what a word may mean


def _is_prompt(word: str, settings: Settings) -> bool:
    """Whether it names a prompt. That its variant or its revision is not there is told when it is loaded."""
    try:
        address = parse_address(word)
    except UserError:
        return False
    try:
        if find_file(Address(address.kind, address.target), settings, settings.root or Path.cwd()).is_file():
            return True
    except NotFoundError:
        pass  # an older revision may have it
    except UserError:
        return True  # what is wrong with it is told when it is loaded
    if address.revision is None:
        return False
    try:
        load_anywhere(word, settings, cwd=settings.root)
    except UserError:
        return False
    return True


def _is_model(word: str, settings: Settings) -> bool:
    try:
        route_for(word, settings, {}, without_secrets=True)
    except UserError:
        return False
    return True


def _is_profile(word: str, settings: Settings) -> bool:
    return word in settings.profiles


_MEANS: Mapping[Kind, Callable[[str, Settings], bool]] = {
    "prompt": _is_prompt,
    "model": _is_model,
    "profile": _is_profile,
}


# -- sides


def _prompt(word: str, suite: Suite, _: Settings) -> Entrant:
    if not word.startswith((":", "@")):
        return Entrant("prompt", Side(word, word))
    base = parse_address(_one_prompt(suite, word))
    variant, at, revision = word.removeprefix(":").partition("@") if word.startswith(":") else ("", "@", word[1:])
    variant = variant or (base.variant or "" if word.startswith("@") else "")
    revision = revision if at else base.revision or ""
    if word in (":", "@") or (at and not revision):
        raise UsageError(f"{shown(word)} names nothing", hint=_WHAT)
    address = base.target + (f":{variant}" if variant else "") + (f"@{revision}" if revision else "")
    return Entrant("prompt", Side(address, address))


def _model(word: str, suite: Suite, settings: Settings) -> Entrant:
    route_for(word, settings, {}, without_secrets=True)
    return Entrant("model", Side(word, _one_prompt(suite, word), model=word))


def _profile(word: str, suite: Suite, settings: Settings) -> Entrant:
    if word not in settings.profiles:
        close = nearest(word, settings.profiles)
        listed = (
            f"the profiles are {', '.join(settings.profiles)}" if settings.profiles else "promptstudio.toml has none"
        )
        raise NotFoundError(f"there is no profile {shown(word)}", hint=f"did you mean {close!r}?" if close else listed)
    return Entrant("profile", Side(f"profile={word}", _one_prompt(suite, word), profile=word))


_MAKERS: Mapping[str, Callable[[str, Suite, Settings], Entrant]] = {
    "prompt": _prompt,
    "model": _model,
    "profile": _profile,
}


def _one_prompt(suite: Suite, word: str) -> str:
    """Return the prompt that a variant, a version, a model or a profile is about."""
    if len(suite.prompts) == 1:
        return suite.prompts[0]
    targets = list(dict.fromkeys(parse_address(each).target for each in suite.prompts))
    if len(targets) == 1:
        return targets[0]
    hint = f"write {targets[0]}{word}" if word.startswith((":", "@")) else "compare it in a suite of one prompt"
    raise UsageError(f"{shown(word)}: {suite.shown} has several prompts: {', '.join(targets)}", hint=hint)
