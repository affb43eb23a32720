"""Successive halving of several objectives at once, by fronts: MO-ASHA (Schmucker et al. 2021, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.record.metrics import mode, sign
from study.search.fronts import by_fronts
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
                if len(costs) - 1 not in by_fronts(np.array(list(costs.values())), ceil(len(costs) / self._reduction)):
                    decision = TrialScheduler.STOP
                break
        return decision


def rungs_of(grace_period: int, reduction: int, last: int) -> list[int]:
    """Return the epochs at which trials are judged: the grace period and each power of `reduction` after it."""
    found = [grace_period]
    while found[-1] * reduction <= last:
        found.append(found[-1] * reduction)
    return found
