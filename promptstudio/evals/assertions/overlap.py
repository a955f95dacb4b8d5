"""How alike two texts are, as numbers: pure functions, each after its published definition.

Texts come in, numbers from 0 to 1 go out (a distance for `levenshtein_distance`). Tokens are those of `words`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from promptstudio.evals.assertions.stem import stem
from promptstudio.prompts.word_tokens import tokens, words

MAX_ORDER = 4


def levenshtein_distance(one: str, other: str) -> int:
    """Return the number of characters to insert, delete or replace.

    Bit-parallel: a whole column of the table is one integer, so two texts of 10,000 characters take milliseconds.
    Source: Hyyrö 2003, "A Bit-Vector Algorithm for Computing Levenshtein and Damerau Edit Distances", fig. 3.
    """
    if len(one) < len(other):
        one, other = other, one
    if not other or one == other:
        return 0 if one == other else len(one)
    places: dict[str, int] = {}
    for index, character in enumerate(other):
        places[character] = places.get(character, 0) | 1 << index
    full, last = (1 << len(other)) - 1, 1 << (len(other) - 1)
    plus, minus, distance = full, 0, len(other)
    for character in one:
        match = places.get(character, 0)
        diagonal = (((match & plus) + plus) ^ plus) | match | minus
        rise = minus | ~(diagonal | plus) & full
        fall = plus & diagonal
        distance += 1 if rise & last else -1 if fall & last else 0
        rise = (rise << 1 | 1) & full
        plus = ((fall << 1) | ~(diagonal | rise)) & full
        minus = rise & diagonal
    return distance


def levenshtein_similarity(one: str, other: str, distance: int | None = None) -> float:
    """Return 1 − distance / length of the longer text; 1.0 for two empty texts."""
    longest = max(len(one), len(other))
    if not longest:
        return 1.0
    return 1 - (levenshtein_distance(one, other) if distance is None else distance) / longest


def common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Source: Hyyrö 2004, "Bit-Parallel LCS-length Computation Revisited".
    """
    places: dict[str, int] = {}
    for index, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << index
    full = (1 << len(one)) - 1
    row = full
    for token in other:
        taken = row & places.get(token, 0)
        row = ((row + taken) | (row - taken)) & full
    return len(one) - row.bit_count()


def rouge_n(text: str, reference: str, n: int = 1, measure: str = "f1") -> float:
    """Return ROUGE-N: recall, precision or F1 of n-grams, each counted as often as it comes in both.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 2.
    """
    ours, theirs = grams(words(text), n), grams(words(reference), n)
    return _measured((ours & theirs).total(), ours.total(), theirs.total(), measure)


def rouge_l(text: str, reference: str, measure: str = "f1") -> float:
    """Return ROUGE-L of the text as one sentence: recall, precision or F1 of the longest common subsequence.

    Source: Lin 2004, section 3.1, with beta = 1.
    """
    ours, theirs = words(text), words(reference)
    return _measured(common_length(ours, theirs), len(ours), len(theirs), measure)


def bleu(text: str, references: Sequence[str]) -> float:
    """Return sentence BLEU, orders 1 to 4, n-grams clipped by the reference that has most of them.

    An order without a match counts as half a match, then a quarter, and so on (NIST smoothing); orders longer than
    the text are left out. Sources: Papineni et al. 2002, doi:10.3115/1073083.1073135; Chen & Cherry 2014, method 3;
    the figures are sacrebleu's.
    """
    ours, theirs = tokens(text), [tokens(reference) for reference in references]
    if not ours:
        return 0.0
    logs: list[float] = []
    smoothed = 1
    for n in range(1, min(MAX_ORDER, len(ours)) + 1):
        counted, limit = grams(ours, n), Counter[tuple[str, ...]]()
        for reference in theirs:
            limit |= grams(reference, n)
        matches = (counted & limit).total()
        if not matches:
            if n == 1:
                return 0.0
            smoothed *= 2
        logs.append(math.log((matches or 1 / smoothed) / counted.total()))
    length = min((len(reference) for reference in theirs), key=lambda size: (abs(size - len(ours)), size))
    brevity = 1.0 if len(ours) >= length else math.exp(1 - length / len(ours))
    return brevity * math.exp(sum(logs) / len(logs))


def gleu(text: str, references: Sequence[str]) -> float:
    """Return Google BLEU: the smaller of recall and precision over all n-grams of 1 to 4 tokens, best reference.

    Source: Wu et al. 2016, "Google's Neural Machine Translation System", section 7, arXiv:1609.08144.
    """
    ours = tokens(text)
    return max((gleu_of_tokens(ours, tokens(reference)) for reference in references), default=0.0)


def gleu_of_tokens(one: Sequence[str], other: Sequence[str]) -> float:
    ours, theirs = _all_grams(one), _all_grams(other)
    return (ours & theirs).total() / max(ours.total(), theirs.total(), 1)


def meteor(text: str, references: Sequence[str], alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5) -> float:
    """Return METEOR with exact and stem matches (no synonyms, which would need a dictionary), best reference.

    Source: Lavie & Agarwal 2007, "METEOR: An Automatic Metric for MT Evaluation with High Levels of Correlation with
    Human Judgments". Words are matched from the end, as NLTK does it.
    """
    ours = words(text)
    found = (meteor_of_words(ours, words(reference), alpha, beta, gamma) for reference in references)
    return max(found, default=0.0)


def meteor_of_words(ours: list[str], theirs: list[str], alpha: float, beta: float, gamma: float) -> float:
    pairs = _aligned(ours, theirs)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(ours), len(pairs) / len(theirs)
    mean = precision * recall / (alpha * precision + (1 - alpha) * recall)
    following = pairwise(pairs)
    chunks = 1 + sum((a + 1, b + 1) != after for (a, b), after in following)
    penalty: float = gamma * (chunks / len(pairs)) ** beta
    return max(0.0, min(1.0, mean * (1 - penalty)))


def _aligned(ours: list[str], theirs: list[str]) -> list[tuple[int, int]]:
    """Return pairs of places, in the order of `ours`: first the same words, then words with the same stem."""
    pairs: list[tuple[int, int]] = []
    mine, yours = list(range(len(ours))), list(range(len(theirs)))
    for form in (str, stem):
        open_places: dict[str, list[int]] = {}
        for place in yours:
            open_places.setdefault(form(theirs[place]), []).append(place)
        for place in reversed(mine):
            if places := open_places.get(form(ours[place])):
                pairs.append((place, places.pop()))  # noqa: PERF401 - the pops are what it is about
        taken, given = {place for place, _ in pairs}, {place for _, place in pairs}
        mine, yours = [p for p in mine if p not in taken], [p for p in yours if p not in given]
    return sorted(pairs)


def best(measure: Callable[[str, str], float], text: str, references: Sequence[str]) -> float:
    """Return the highest value over the references."""
    return max((measure(text, reference) for reference in references), default=0.0)


def best_rouge_n(text: str, references: Sequence[str], n: int = 1, measure: str = "f1") -> float:
    return best(partial(rouge_n, n=n, measure=measure), text, references)


def best_rouge_l(text: str, references: Sequence[str], measure: str = "f1") -> float:
    return best(partial(rouge_l, measure=measure), text, references)


def grams(items: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(items[start:] for start in range(n)), strict=False))


def _all_grams(items: Sequence[str]) -> Counter[tuple[str, ...]]:
    counted: Counter[tuple[str, ...]] = Counter()
    for n in range(1, MAX_ORDER + 1):
        counted += grams(items, n)
    return counted


def _measured(common: int, ours: int, theirs: int, measure: str) -> float:
    precision, recall = common / ours if ours else 0.0, common / theirs if theirs else 0.0
    if measure == "precision":
        return precision
    if measure == "recall":
        return recall
    return 2 * precision * recall / (precision + recall) if common else 0.0
