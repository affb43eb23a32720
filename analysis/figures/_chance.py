"""What the greatest of several numbers comes to where nothing matters, so that it is seldom named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SHUFFLES = 200
LEVEL = 0.05
"""How often anything at all is named in a study in which nothing matters."""


def greatest_by_chance(
    greatest: Callable[[np.ndarray], np.ndarray], ranks: np.ndarray, generator: np.random.Generator
) -> float:
    """Return what the greatest number of all exceeds in at most 5 % of the studies in which nothing matters.

    It is of the greatest, as every number is looked at (Westfall and Young, "Resampling-based multiple testing", 1993,
    for the maximum of several).

    Args:
        greatest: Returns the greatest number of each of several shuffles, (shuffles,) of (shuffles, trials).
        ranks: (trials,) what a trial owes to its rank, which is shuffled.
        generator: Shuffles.
    """
    found = greatest(np.stack([generator.permutation(ranks) for _ in range(SHUFFLES)]))
    # "higher" makes the test exact: of 201 values the study's own is among the ten greatest in 5 % at most.
    return float(np.quantile(found, 1 - LEVEL, method="higher"))
