"""Text → where something in it looks like a key or a password, and the text without it. No secret is repeated."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

_START, _END = r"(?<![A-Za-z0-9_-])", r"(?![A-Za-z0-9_-])"
# Kind → its shape. The order counts: the first that matches names a stretch of text.
_SHAPES = {
    "private key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]{0,40}-----)?",
    "Anthropic key": _START + r"sk-ant-[A-Za-z0-9_-]{20,}",
    "OpenRouter key": _START + r"sk-or-[A-Za-z0-9_-]{20,}",
    "OpenAI key": _START + r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}",
    "Stripe key": _START + r"[sr]k_live_[A-Za-z0-9]{16,}",
    "Google key": _START + r"AIza[0-9A-Za-z_-]{35}" + _END,
    "AWS key": _START + r"(?:AKIA|ASIA)[0-9A-Z]{16}" + _END,
    "GitHub token": _START + r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "GitLab token": _START + r"glpat-[A-Za-z0-9_-]{20,}",
    "Slack token": _START + r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    "Hugging Face token": _START + r"hf_[A-Za-z0-9]{30,}",
    "Groq key": _START + r"gsk_[A-Za-z0-9]{40,}",
    "xAI key": _START + r"xai-[A-Za-z0-9]{40,}",
    "Perplexity key": _START + r"pplx-[A-Za-z0-9]{40,}",
    "JSON Web Token": _START + r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "password in a URL": r"(?<=://)[^\s/:@'\"<>{}]{1,100}:[^\s/:@'\"<>{}]{3,200}(?=@)",
}
_ANY = re.compile("|".join(f"(?P<g{index}>{shape})" for index, shape in enumerate(_SHAPES.values())))
_KINDS = tuple(_SHAPES)
# A word that announces a secret, and a value; whether the value is one is decided by how random it looks.
_NAMED = re.compile(
    r"(?i)\b[a-z0-9_-]{0,40}?(?:api[_-]?key|secret|token|passw(?:or)?d|bearer)[a-z0-9_]{0,20}[\"']?\s{0,3}[:= ]\s{0,3}"
    r"[\"']?(?P<value>[A-Za-z0-9+/_.=-]{20,})"
)
# What every secret of the shapes above has in it, and every name that announces one: a text without is not looked
# through, which is most of the time.
_TELLING = (
    *("PRIVATE KEY", "sk-", "k_live_", "AIza", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    *("glpat-", "xox", "hf_", "gsk_", "xai-", "pplx-", "eyJ", "://"),
)
_TELLING_NAMES = ("key", "secret", "token", "passw", "bearer")
# Kinds whose shape alone would also fit a hyphenated name such as `sk-learn-tutorial-for-beginners`.
_NEEDS_RANDOMNESS = frozenset({"OpenAI key", "Anthropic key", "OpenRouter key"})
_MIN_BITS = 3.5


def find_secrets(text: str) -> list[tuple[int, int, str]]:
    """Return line, column (both from 1) and kind of each stretch that looks like a secret."""
    return [
        (text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start), kind)
        for start, _, kind in _stretches(text)
    ]


def redact(text: str) -> str:
    """Return the text with each secret replaced by `[redacted: KIND]`."""
    if not _may_hold_one(text):
        return text
    pieces: list[str] = []
    end = 0
    for start, stop, kind in _stretches(text):
        pieces += [text[end:start], f"[redacted: {kind}]"]
        end = stop
    return "".join([*pieces, text[end:]])


def _may_hold_one(text: str) -> bool:
    folded = text.casefold()
    return any(mark in text for mark in _TELLING) or any(name in folded for name in _TELLING_NAMES)


def _stretches(text: str) -> list[tuple[int, int, str]]:
    """Return the stretches in order, none overlapping another."""
    found: list[tuple[int, int, str]] = []
    for start, stop, kind in sorted([*_shaped(text), *_named(text)]):
        if not found or start >= found[-1][1]:
            found.append((start, stop, kind))
    return found


def _shaped(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _ANY.finditer(text):
        kind = _KINDS[int((match.lastgroup or "g0")[1:])]
        if kind not in _NEEDS_RANDOMNESS or _looks_random(match.group()):
            yield match.start(), match.end(), kind


def _named(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _NAMED.finditer(text):
        if _looks_random(match["value"]):
            yield match.start("value"), match.end("value"), "secret"


def _looks_random(value: str) -> bool:
    """True for a mix of letters and digits with more than 3.5 bits of entropy a character."""
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
    return bits > _MIN_BITS
