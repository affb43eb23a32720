"""Which of a long study's ended trials a sampler learns from: the best ones, and some that stand for the rest."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from itertools import islice

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.search.fronts import by_fronts
from study.search.sampling import derive_seed

_BEST = 10  # one of so many: TPE's good ones are a tenth of its trials, and 25 at most


class Excerpt:
    """Chooses from ended trials by what they are, not by the order in which they ended, so that a resume chooses alike.

    A tenth are the best ones, in TPE's own order: first the trials with values, then those that were stopped, of which
    the longest come first, then those that break a constraint; with several objectives front after front, each from its
    ends to its middle. The others are a random sample of the rest, those whose numbers have the smallest hashes: few of
    them change as another trial ends.

    Args:
        directions: Of the objectives.
        most: How many trials are chosen, at most.
    """

    def __init__(self, directions: Sequence[StudyDirection], most: int) -> None:
        self._signs = [-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions]
        self._most = most
        self._ended: dict[int, FrozenTrial] = {}  # by number
        self._ranked: list[tuple[float, ...]] = []  # keys, each with its trial's number
        self._costs: dict[int, list[float]] = {}  # of several objectives, where every constraint is kept
        self._hashed: list[tuple[int, int]] = []  # hash and number
        self._chosen: list[FrozenTrial] | None = []

    def add(self, trial: FrozenTrial) -> None:
        """Take a trial that has ended; one that failed teaches nothing."""
        if trial.state == TrialState.FAIL:
            return
        self._ended[trial.number] = trial
        key = self._key(trial)
        if key[0] == 0 and len(self._signs) > 1:
            self._costs[trial.number] = key[1:]
        else:
            insort(self._ranked, (*key, trial.number))
        insort(self._hashed, (derive_seed(trial.number), trial.number))
        self._chosen = None

    def trials(self) -> list[FrozenTrial]:
        """Return the chosen trials, ordered by number: all, while there are no more than the most."""
        if self._chosen is None:
            best = set(self._best(self._most // _BEST)) if len(self._ended) > self._most else set()
            rest = (number for _, number in self._hashed if number not in best)
            numbers = {*best, *islice(rest, self._most - len(best))}
            self._chosen = [self._ended[number] for number in sorted(numbers)]
        return self._chosen

    def _best(self, count: int) -> list[int]:
        found = by_fronts(np.array(list(self._costs.values())), count) if self._costs else []
        numbers = list(self._costs)
        return [numbers[place] for place in found] + [int(key[-1]) for key in self._ranked[: count - len(found)]]

    def _key(self, trial: FrozenTrial) -> list[float]:
        """Return what a trial is ranked by, smaller is better; it begins with 0 where it has values to compare."""
        excess = sum(value for value in trial.constraints.values() if value > 0)
        if excess > 0:
            return [2, excess]
        if trial.state == TrialState.COMPLETE:
            return [0, *(sign * value for sign, value in zip(self._signs, trial.values, strict=True))]
        if not trial.intermediate_values:
            return [1, 1, 0]
        epoch, value = max(trial.intermediate_values.items())
        return [1, -epoch, math.inf if math.isnan(value) else self._signs[0] * value]
