"""A text → the same text saying the opposite, by rules for English, Arabic and Hebrew; None where no rule fits.

The rules need not make good style, only another meaning: an assertion that still passes has not looked at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ARABIC = re.compile("[\u0600-\u06ff]")
_HEBREW = re.compile("[\u0590-\u05ff]")
_LATIN = re.compile("[A-Za-z]")


def negated(text: str) -> str | None:
    """Return the opposite, in the language of the text.

    >>> negated("The refund is possible."), negated("No, it isn't."), negated("نعم"), negated("לא")
    ('The refund is not possible.', "Yes, it isn't.", 'لا', 'כן')
    """
    rules = _rules_for(text)
    for rule in rules:
        found = rule(text)
        if found is not None and found != text:
            return found
    return None


def script_of(text: str) -> str:
    """Return which of the scripts a text has most letters of: arabic, hebrew, latin, or other."""
    counts = {
        "arabic": len(_ARABIC.findall(text)),
        "hebrew": len(_HEBREW.findall(text)),
        "latin": len(_LATIN.findall(text)),
    }
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] else "other"


Rule = Callable[[str], str | None]


def _rules_for(text: str) -> tuple[Rule, ...]:
    return {
        "latin": (_flipped_english, _without_not, _with_not, _prefixed("It is not true that ")),
        "arabic": (_flipped_arabic, _without(_ARABIC_NOT), _with_la, _prefixed("ليس صحيحًا أن ")),
        "hebrew": (_flipped_hebrew, _without(_HEBREW_NOT), _with_lo, _prefixed("לא נכון ש")),
    }.get(script_of(text), (_flipped_english,))


def _word(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def _like(found: str, word: str) -> str:
    """Return the word in the case of what it replaces."""
    if found.isupper() and len(found) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if found[:1].isupper() else word


def _flip(pattern: re.Pattern[str], pairs: dict[str, str]) -> Rule:
    both = {**pairs, **{new: old for old, new in pairs.items()}}

    def rule(text: str) -> str | None:
        match = pattern.search(text)
        if match is None:
            return None
        return f"{text[: match.start()]}{_like(match[0], both[match[0].lower()])}{text[match.end() :]}"

    return rule


def _without(pattern: re.Pattern[str]) -> Rule:
    def rule(text: str) -> str | None:
        match = pattern.search(text)
        if match is None:
            return None
        rest = text[match.end() :]
        return text[: match.start()] + rest.lstrip(" ") if rest.strip() else None

    return rule


def _prefixed(words: str) -> Rule:
    def rule(text: str) -> str | None:
        stripped = text.lstrip()
        return f"{words}{stripped}" if any(letter.isalpha() for letter in stripped) else None

    return rule


# -- English --------------------------------------------------------------------------------------------------------

# `no` means the opposite of `yes` only as an answer: at the beginning, or alone.
_flipped_yes = _flip(re.compile(r"(?<!\w)yes(?!\w)|(?<=\A)no(?=\s*(?:[,.;:!]|\Z))", re.IGNORECASE), {"yes": "no"})
_flipped_true = _flip(_word("true|false|correct|incorrect"), {"true": "false", "correct": "incorrect"})
_IRREGULAR = {"wo": "will", "sha": "shall", "ca": "can", "ai": "is"}
_NOT = _word("not|never|no")
_CANNOT = _word("cannot")
_AUXILIARY = _word("is|are|was|were|am|will|would|can|could|should|shall|may|might|must|has|have|had|does|do|did")


def _flipped_english(text: str) -> str | None:
    return _flipped_yes(text) or _flipped_true(text)


def _without_not(text: str) -> str | None:
    if match := _CANNOT.search(text):
        return f"{text[: match.start()]}{_like(match[0], 'can')}{text[match.end() :]}"
    if match := re.search(r"(?<!\w)(\w+)n['’]t(?!\w)", text):
        stem = match[1]
        word = _IRREGULAR.get(stem.lower(), stem)
        return f"{text[: match.start()]}{_like(stem, word)}{text[match.end() :]}"
    return _without(_NOT)(text)


def _with_not(text: str) -> str | None:
    match = _AUXILIARY.search(text)
    return f"{text[: match.end()]} not{text[match.end() :]}" if match else None


# -- Arabic ---------------------------------------------------------------------------------------------------------

_ARABIC_NOT = _word("لا|ليس|ليست|ليسوا|لم|لن|لست|غير|ما")
# A verb of the present begins with one of these letters; the article ال is none.
_ARABIC_VERB = re.compile(r"(?<!\w)(?!ال|أن|إن|في|من)[يتن]\w{3,}")


def _flipped_arabic(text: str) -> str | None:
    match = re.match(r"\s*(نعم|أجل|لا)(?=\s*(?:[،,.!؛:]|\Z))", text)
    if match:
        word = "نعم" if match[1] == "لا" else "لا"
        return text[: match.start(1)] + word + text[match.end(1) :]
    return _flip(_word("صحيح|خطأ"), {"صحيح": "خطأ"})(text)


def _with_la(text: str) -> str | None:
    match = _ARABIC_VERB.search(text)
    return f"{text[: match.start()]}لا {text[match.start() :]}" if match else None


# -- Hebrew ---------------------------------------------------------------------------------------------------------

_HEBREW_NOT = _word("לא|אין|אינו|אינה|אינם|אינן|איני|אל")


def _flipped_hebrew(text: str) -> str | None:
    match = re.match(r"\s*(כן|לא)(?=\s*(?:[,.!;:]|\Z))", text)
    if match:
        word = "כן" if match[1] == "לא" else "לא"
        return text[: match.start(1)] + word + text[match.end(1) :]
    return _flip(_word("אמת|שקר"), {"אמת": "שקר"})(text)


def _with_lo(text: str) -> str | None:
    """Put the word behind the first one: it is the subject, or the verb of a question."""
    match = re.match(r"\s*\w+[\"'׳״]?\w*(?=\s+\w)", text)
    return f"{text[: match.end()]} לא{text[match.end() :]}" if match else None
