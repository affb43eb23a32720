"""Numbers over shuffled orders: medians, which bear infinite times, and shares, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True)
class Spread:
    """A median or a share with its 95 % interval; `low` and `high` are None where there are too few orders for one."""

    middle: float
    low: float | None
    high: float | None


def median_of(values: Sequence[float]) -> Spread:
    """Return the median with its distribution-free interval (Conover 1999, Practical Nonparametric Statistics, 3.2).

    The interval lies between the k-th smallest and the k-th largest value, with the largest k for which fewer than k of
    n fair coins show heads with a probability of at most 2.5 %; below six values there is none.
    """
    ordered, n = sorted(values), len(values)
    k, below = 0, 0.5**n
    while below <= 0.025:
        k += 1
        below += math.comb(n, k) * 0.5**n
    low, high = (ordered[k - 1], ordered[n - k]) if k else (None, None)
    return Spread(float(median(ordered)), low, high)


def share_of(hits: Sequence[bool]) -> Spread:
    """Return the share of hits with its interval (Wilson 1927), which is right at 0 and 1, too."""
    n, share = len(hits), sum(hits) / len(hits)
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Spread(share, max(0.0, middle - half), min(1.0, middle + half))


def sign_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the p-value of the two-sided sign test that neither is the smaller one of a pair more often.

    Pairs that are equal say nothing (Conover 1999, 3.4).
    """
    wins = sum(a < b for a, b in zip(first, second, strict=True))
    losses = sum(a > b for a, b in zip(first, second, strict=True))
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) * 0.5**n
    return min(1.0, 2 * tail)
