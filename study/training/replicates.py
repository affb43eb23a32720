"""The runs of one config that differ in their seeds, trained together through all of their stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.record.events import Metrics
from study.training.fused import EpochResult, FusedTrainer
from study.training.stages import StagedTraining
from study.training.trainer import NonFiniteLossError, Trainer

MARGIN = 0.1
"""Replicates are trained together where that takes this much less time at least; what it costs besides is memory."""

_WARM_UP, _TIMED, _ROUNDS = 2, 10, 3  # batches, batches and how often


class Replicates:
    """Runs of one config and budget, on the same data and at the same epoch.

    A run that fails leaves the others alone; it is in `failed`, with its error, and takes no part any more.

    Args:
        members: The runs by their names.

    Raises:
        ValueError: they are at different epochs or in different stages.
    """

    def __init__(self, members: Mapping[str, StagedTraining]) -> None:
        stands = {(len(member.pretraining), member.epochs_done) for member in members.values()}
        if len(stands) != 1:
            raise ValueError(f"they are at different epochs: {', '.join(str(sum(one)) for one in sorted(stands))}")
        self.members = dict(members)
        self.failed: dict[str, NonFiniteLossError] = {}
        self._fused: FusedTrainer | None = None

    @property
    def running(self) -> dict[str, StagedTraining]:
        """The members that have not failed."""
        return {name: member for name, member in self.members.items() if name not in self.failed}

    def pretrain(self, after_epoch: Callable[[], None]) -> None:
        """Go through what is left of the first stage, and call `after_epoch` after each of its epochs."""
        while any(not member.pretrained for member in self.running.values()):
            for name, metrics in self._train().items():
                self.members[name].add_pretraining(metrics)
            after_epoch()

    def epoch(self) -> dict[str, Metrics]:
        """Train an epoch of the last stage, and return the metrics of those that have not failed, by name."""
        return self._train()

    def _train(self) -> dict[str, Metrics]:
        names, trainers = list(self.running), [member.trainer for member in self.running.values()]
        if not names:
            return {}
        if self._fused is None or self._fused.members != trainers:
            self._fused = FusedTrainer(trainers)
        results: dict[str, EpochResult] = dict(zip(names, self._fused.epoch(), strict=True))
        self.failed |= {name: one for name, one in results.items() if isinstance(one, NonFiniteLossError)}
        return {name: one for name, one in results.items() if not isinstance(one, NonFiniteLossError)}


@dataclass(frozen=True)
class StepTimes:
    """How long a step of several replicates takes, together and one after the other, in seconds."""

    replicates: int
    together: float
    alone: float

    @property
    def pays(self) -> bool:
        """Whether they are to be trained together."""
        return self.together <= (1 - MARGIN) * self.alone

    def __str__(self) -> str:
        ratio = self.alone / self.together
        return (
            f"a step of {self.replicates} replicates takes {1e3 * self.together:.2f} ms together and "
            f"{1e3 * self.alone:.2f} ms one after the other ({ratio:.2f} times)"
        )


def time_steps(trainers: Sequence[Trainer], clock: Callable[[], float] = time.perf_counter) -> StepTimes:
    """Measure a few steps of all `trainers` together against as many of one, times their number.

    The shortest of three rounds counts: what else the machine does only lengthens one. The trainers have been
    trained afterwards and are of no more use.

    Raises:
        RuntimeError: their loss cannot be mapped; the message says why.
    """
    fused, single = FusedTrainer(trainers), trainers[0]

    def seconds(train: Callable[[int], object]) -> float:
        start = clock()
        train(_TIMED)  # it reads its sums from the device at the end, and so waits for all of the steps
        return clock() - start

    fused.train(_WARM_UP)
    single.train(_WARM_UP)
    rounds = [(seconds(fused.train), seconds(single.train)) for _ in range(_ROUNDS)]
    steps = min(_TIMED, sum(1 for _ in single.batches()))
    together, alone = (min(times) / steps for times in zip(*rounds, strict=True))
    return StepTimes(len(trainers), together, alone * len(trainers))
