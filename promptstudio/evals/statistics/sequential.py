"""Values, one after the other → decided, or not yet: a test that may be looked at after every case.

A player bets against "the mean is at most the threshold". Each case multiplies the capital by 1 − f + f·x/threshold,
which the claim makes a fair or a losing game for any stake f; so a capital of 40 comes up in at most one run of 40
where the claim is true, whenever one looks. The mean over a row of stakes is such a game too, and needs no tuning. A
second player bets that the mean is at least the threshold, with all values mirrored.

Cases must come in random order: the first ten of a sorted suite say nothing about the rest. Standard library alone.

Source: Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS B 86:1; stakes on a
grid as in its section 5 (grid Kelly); stopping rule: Ville 1939.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from statistics import fmean

from promptstudio.evals.statistics.figures import CONFIDENCE
from promptstudio.evals.statistics.schema import Decision, Interval

_STAKES = (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
_STEPS = 60


class Sequential:
    """An always-valid test of a mean of values in [lowest, highest] against `threshold`.

    For the gate "pass rate at least t" feed outcomes 0 and 1 and compare with t. For a paired comparison feed the
    differences, candidate − baseline, of scores in [0, 1], with `lowest=-1` and `threshold=-margin`; `met` then says
    "no worse". Of repeats feed the mean of a case. Wrong at most (1 − confidence)/2 of the time for each of the two
    decisions, at whatever moment one stops.
    """

    def __init__(
        self, threshold: float, *, lowest: float = 0.0, highest: float = 1.0, confidence: float = CONFIDENCE
    ) -> None:
        """Raise ValueError unless lowest ≤ threshold ≤ highest, lowest < highest and 0 < confidence < 1."""
        if not (lowest <= threshold <= highest and lowest < highest and 0 < confidence < 1):
            raise ValueError(f"a threshold of {threshold:g} is not between {lowest:g} and {highest:g}")
        self._lowest, self._width = lowest, highest - lowest
        self._threshold = (threshold - lowest) / self._width
        self._confidence = confidence
        self._wanted = math.log(2 / (1 - confidence))
        self._counts: Counter[float] = Counter()
        self._above = [0.0] * len(_STAKES)
        self._below = [0.0] * len(_STAKES)
        self._decision: Decision | None = None

    @property
    def n(self) -> int:
        """How many values were fed."""
        return self._counts.total()

    @property
    def estimate(self) -> float | None:
        if not self._counts:
            return None
        mean = math.fsum(value * count for value, count in self._counts.items()) / self.n
        return self._lowest + mean * self._width

    def feed(self, value: float) -> Decision | None:
        """Take the next value; return what is decided, which stays so. ValueError for a value out of range."""
        place = (value - self._lowest) / self._width
        if not -1e-9 <= place <= 1 + 1e-9:
            raise ValueError(f"{value:g} is not between {self._lowest:g} and {self._lowest + self._width:g}")
        place = min(1.0, max(0.0, place))
        self._counts[place] += 1
        _bet(self._above, place, self._threshold)
        _bet(self._below, 1 - place, 1 - self._threshold)
        if self._decision is None:
            if _log_mean(self._above) >= self._wanted:
                self._decision = "met"
            elif _log_mean(self._below) >= self._wanted:
                self._decision = "missed"
        return self._decision

    def decided(self) -> Decision | None:
        """Return `met`, `missed`, or None while more cases are needed."""
        return self._decision

    def interval(self) -> Interval:
        """Return an interval of the mean that holds at every moment at once, so also at the one where one stopped."""
        if not self._counts:
            return Interval(None, None, self._confidence, "betting")
        lower = self._bound(mirrored=False)
        upper = 1 - self._bound(mirrored=True)
        low, high = (self._lowest + bound * self._width for bound in (lower, upper))
        return Interval(low, high, self._confidence, "betting")

    def _bound(self, *, mirrored: bool) -> float:
        """The largest threshold that the player who bets upwards has refuted; the capital falls with the threshold."""
        counts = {1 - value if mirrored else value: count for value, count in self._counts.items()}
        low, high = 0.0, fmean(counts, weights=counts.values())
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if log_capital(counts, middle) >= self._wanted else (low, middle)
        return low


def log_capital(counts: Mapping[float, int], threshold: float) -> float:
    """Return the logarithm of what 1 has become by betting that the mean of values in [0, 1] is above `threshold`.

    `counts` says how often each value came; the order does not matter.
    """
    capital = [0.0] * len(_STAKES)
    for value, count in counts.items():
        _bet(capital, value, threshold, count)
    return _log_mean(capital)


def _bet(capital: list[float], value: float, threshold: float, times: int = 1) -> None:
    """Bet `times` on a value above the threshold; `capital` holds the logarithm of the money on each stake."""
    if threshold <= 0:
        return  # nothing lies below, so nothing above can be a surprise
    for number, stake in enumerate(_STAKES):
        capital[number] += times * math.log1p(stake * (value / threshold - 1))


def _log_mean(capital: list[float]) -> float:
    most = max(capital)
    return most + math.log(math.fsum(math.exp(one - most) for one in capital) / len(capital))
