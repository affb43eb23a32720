"""Successive halving of several objectives at once, by fronts: MO-ASHA (Schmucker et al. 2021, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.record.metrics import mode, sign
from study.worker.job import EPOCH


class Moasha(FIFOScheduler):
    """Lets a trial pass a rung if it is among the best of those that have come there so far, itself included.

    The best are the first ones of `by_fronts`; one in `reduction` passes.

    Args:
        objectives: Metrics, each with its direction; the first one ranks.
        rungs: In epochs.
        reduction: One trial in so many passes.
    """

    def __init__(self, objectives: Sequence[str], rungs: Sequence[int], reduction: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._signs = {name: sign(mode(name)) for name in objectives}
        self._reduction = reduction
        self._costs: dict[int, dict[str, list[float]]] = {rung: {} for rung in sorted(rungs, reverse=True)}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide at the highest rung that the trial has come to, once at each."""
        decision: str = TrialScheduler.CONTINUE
        for rung, costs in self._costs.items():
            if result[EPOCH] >= rung and trial.trial_id not in costs:
                costs[trial.trial_id] = [factor * result[name] for name, factor in self._signs.items()]
                order = by_fronts(np.array(list(costs.values())))
                if len(costs) - 1 not in order[: ceil(len(costs) / self._reduction)]:
                    decision = TrialScheduler.STOP
                break
        return decision


def rungs_of(grace_period: int, reduction: int, last: int) -> list[int]:
    """Return the epochs at which trials are judged: the grace period and each power of `reduction` after it."""
    found = [grace_period]
    while found[-1] * reduction <= last:
        found.append(found[-1] * reduction)
    return found


def by_fronts(costs: NDArray[np.float64]) -> list[int]:
    """Return the order of points in several objectives, the best first.

    Front after front: those that no other one dominates, then those that none of the rest does. Of a front the best in
    the first objective comes first, then always the one that is farthest from all before it, by the ranks in the
    objectives, so that the first ones cover the front.

    Args:
        costs: Smaller is better, not a number worst (n, objectives).
    """
    costs = np.where(np.isnan(costs), np.inf, costs)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in costs.T], axis=1)
    places = ranks / np.maximum(ranks.max(axis=0), 1)
    left = np.arange(len(costs))
    order: list[int] = []
    while left.size:
        mine = costs[left]
        no_worse = (mine[:, None] <= mine[None]).all(axis=2)
        dominated = (no_worse & (mine[:, None] < mine[None]).any(axis=2)).any(axis=0)
        order += _spread(left[~dominated], costs, places)
        left = left[dominated]
    return order


def _spread(front: NDArray[np.intp], costs: NDArray[np.float64], places: NDArray[np.float64]) -> list[int]:
    """Return a front so that its first members cover it; of equals the earlier one comes first."""
    first = int(front[np.argmin(costs[front, 0])])
    order, rest = [first], [int(point) for point in front if point != first]
    nearest = {point: float(np.linalg.norm(places[point] - places[first])) for point in rest}
    while nearest:
        farthest = max(nearest, key=lambda point: nearest[point])
        order.append(farthest)
        del nearest[farthest]
        for point, known in nearest.items():
            nearest[point] = min(known, float(np.linalg.norm(places[point] - places[farthest])))
    return order
