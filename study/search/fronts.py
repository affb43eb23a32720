"""The order of points in several objectives, front after front."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def by_fronts(costs: NDArray[np.float64], count: int | None = None) -> list[int]:
    """Return the order of points in several objectives, the best first, or the first `count` of it.

    Front after front: those that no other one dominates, then those that none of the rest does. Of a front the best in
    the first objective comes first, then always the one that is farthest from all before it, by the ranks in the
    objectives, so that the first ones cover the front; of equals the earlier one.

    Args:
        costs: Smaller is better, not a number worst (n, objectives).
        count: How many are wanted, all by default.
    """
    costs = np.where(np.isnan(costs), np.inf, costs)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in costs.T], axis=1)
    places = ranks / np.maximum(ranks.max(axis=0), 1)
    left = np.arange(len(costs))
    order: list[int] = []
    while left.size and (count is None or len(order) < count):
        on_front = _on_front(ranks[left])
        order += _spread(left[on_front], ranks, places, None if count is None else count - len(order))
        left = left[~on_front]
    return order


def _on_front(ranks: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which points no other one dominates (n,), for ranks in the objectives (n, objectives)."""
    found = np.zeros(len(ranks), dtype=bool)
    left = np.argsort(ranks.sum(axis=1), kind="stable")  # none of them is dominated by a later one
    while left.size:
        first, others = left[0], ranks[left]
        found[first] = True
        left = left[(others < ranks[first]).any(axis=1) | (others == ranks[first]).all(axis=1)]
        left = left[left != first]
    return found


def _spread(
    front: NDArray[np.intp], ranks: NDArray[np.intp], places: NDArray[np.float64], count: int | None
) -> list[int]:
    """Return a front so that its first members cover it, or the first `count` of these."""
    order = [int(np.argmin(ranks[front, 0]))]
    nearest = np.full(len(front), np.inf)
    while len(order) < min(len(front), count or len(front)):
        distances = np.linalg.norm(places[front] - places[front[order[-1]]], axis=1)
        nearest = np.minimum(nearest, distances)
        nearest[order[-1]] = -1.0  # behind what is as good as one that is taken
        order.append(int(np.argmax(nearest)))
    return [int(front[place]) for place in order]
