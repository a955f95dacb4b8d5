"""Text metrics as promptfoo computes them, for suites with `compat: promptfoo` whose thresholds were set with them.

They split at spaces, so that "mat." is not "mat" for BLEU. Its BLEU also takes the reference that fits best instead of
all, gives an order without a match the precision 0.0000001, and turns the brevity penalty around, so that short texts
gain; it is cut at 1 here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from promptstudio.evals.assertions.overlap import MAX_ORDER, gleu_of_tokens, grams, meteor_of_words

_NO_MATCH = 1e-7


def bleu(text: str, references: Sequence[str]) -> float:
    """Return promptfoo's BLEU, at most 1."""
    ours, theirs = text.lower().split(), [reference.lower().split() for reference in references]
    if not ours:
        return 0.0
    logs = []
    for n in range(1, MAX_ORDER + 1):
        counted = grams(ours, n)
        matches = max((counted & grams(reference, n)).total() for reference in theirs)
        logs.append(math.log(matches / counted.total() if matches else _NO_MATCH))
    length = min((len(reference) for reference in theirs), key=lambda size: abs(size - len(ours)))
    brevity = 1.0 if len(ours) > length else math.exp(1 - len(ours) / max(length, 1))
    return min(1.0, brevity * math.exp(sum(logs) / MAX_ORDER))


def gleu(text: str, references: Sequence[str]) -> float:
    ours = _without_stops(text)
    return max((gleu_of_tokens(ours, _without_stops(reference)) for reference in references), default=0.0)


def meteor(text: str, references: Sequence[str], alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5) -> float:
    ours = _without_stops(text)
    found = (meteor_of_words(ours, _without_stops(reference), alpha, beta, gamma) for reference in references)
    return max(found, default=0.0)


def _without_stops(text: str) -> list[str]:
    return [word.rstrip(".") for word in text.lower().split()]
