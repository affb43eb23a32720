"""Every scheduler and its settings x numbers of workers x orders, over one study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from study.search.schedulers import SchedulerSettings
from study.simulation.candidates import Candidate
from study.simulation.measures import Outcome, Summary, outcome, summarize
from study.simulation.recorded import RecordedStudy
from study.simulation.replay import Replay


@dataclass(frozen=True)
class Row:
    """What one candidate did with one number of workers; `outcomes` are those of the orders, the same in every row."""

    candidate: Candidate
    settings: SchedulerSettings
    workers: int
    outcomes: tuple[Outcome, ...]
    summary: Summary


def shuffled_orders(study: RecordedStudy, orders: int, seed: int, sample: int | None = None) -> list[list[int]]:
    """Return so many orders of the numbers of the trials; the same seed gives the same ones.

    Args:
        study: What was recorded.
        orders: How many.
        seed: Of the shuffling.
        sample: Leave as many trials in each order, drawn anew, at least one of which completed; None leaves all.
    """
    generator = np.random.default_rng(seed)
    completed = set(study.completed)
    found: list[list[int]] = []
    while len(found) < orders:
        order = generator.permutation(len(study.trials)).tolist()[:sample]
        if not completed.isdisjoint(order):
            found.append(order)
    return found


def simulate(
    study: RecordedStudy,
    candidates: Sequence[Candidate],
    workers: Sequence[int],
    orders: Sequence[Sequence[int]],
    within: Sequence[float],
) -> Iterator[Row]:
    """Replay the study and yield a row per number of workers and candidate.

    Args:
        study: What was recorded.
        candidates: "none" is the first of them.
        workers: Numbers of workers.
        orders: Numbers of trials in the order in which they start; what there is to find is the best of them.
        within: Distances from the best final value that are timed, in per cent of it.
    """
    replay = Replay(study)
    bests = [study.best_of(order) for order in orders]
    for count in workers:
        unstopped: tuple[Outcome, ...] = ()
        for candidate in candidates:
            settings = candidate.settings(study.max_epochs)
            every = [replay.run(candidate.scheduler, settings, count, order) for order in orders]
            whole = [one.wall_seconds for one in unstopped] or [ends[-1].time for ends in every]
            outcomes = tuple(
                outcome(study, ends, best, within=within, whole_seconds=seconds)
                for ends, best, seconds in zip(every, bests, whole, strict=True)
            )
            unstopped = unstopped or outcomes
            yield Row(candidate, settings, count, outcomes, summarize(outcomes, unstopped))
