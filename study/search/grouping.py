"""Which runs of a confirmation are trained together: the seeds of one config, as many as is of use and as fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from study.record.settings import Fuse
from study.worker.job import Job


def most_together(fuse: Fuse, jobs: int, concurrent: int, gpus: float) -> int:
    """Return how many runs may be trained together, of `jobs` in all, so that no device is left without any.

    With "auto" it is 1 without a GPU. A CPU is busy with one run already; and which of two ways is faster is found out
    by the clock, so that a study on a CPU would lose its promise of the same numbers to the last digit, whatever
    happens to it, for the little that there is to gain.

    Args:
        fuse: what the user asks for.
        jobs: how many runs there are.
        concurrent: how many run at once, when each is by itself.
        gpus: of each of them; runs that share a GPU keep it busy as well when they are trained together on it.
    """
    match fuse:
        case "off":
            return 1
        case "on":
            return jobs
        case "auto":
            devices = math.ceil(concurrent * gpus)
            return max(1, jobs // devices) if devices else 1


def grouped(jobs: Sequence[tuple[str, Job]], most: Mapping[str, int]) -> list[tuple[Job, ...]]:
    """Put the jobs of a config into groups of about the same size, in the order in which each begins.

    Args:
        jobs: names of configs, each with a job of it.
        most: the most jobs of a group, by the config's name.
    """
    of_config: dict[str, list[Job]] = {}
    for name, job in jobs:
        of_config.setdefault(name, []).append(job)
    groups = []
    for name, members in of_config.items():
        count = math.ceil(len(members) / most[name])
        bounds = [round(number * len(members) / count) for number in range(count + 1)]
        groups += [tuple(members[start:end]) for start, end in pairwise(bounds)]
    place = {job.id: number for number, (_, job) in enumerate(jobs)}
    return sorted(groups, key=lambda group: place[group[0].id])
