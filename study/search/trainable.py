"""The Ray Tune trainable: a worker process's end of Tune, which does nothing by itself and imports next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from study.worker.job import jobs_of

if TYPE_CHECKING:
    from study.worker.worker import Worker


@dataclass(frozen=True)
class Shared:
    """A reference to the `WorkerContext` of a study: to fetch it is to import PyTorch."""

    context: Any


class StudyTrainable(tune.Trainable):
    """Passes jobs on to this process's `Worker`, and its results back.

    The worker is made in the first step, not in `setup`: PyTorch takes seconds to import, longer where several
    processes do so at once. Tune gives a process that has become free to a trial whose own one is not up yet, and ends
    that one, still importing. Where trials are shorter than the difference, one process would go on alone, for ever
    starting others in vain.
    """

    def setup(self, config: dict[str, Any], shared: Shared | None = None) -> None:
        """Keep the first jobs."""
        assert shared is not None  # given by tune.with_parameters
        self._shared = shared
        self._worker: Worker | None = None
        self._jobs = jobs_of(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin other jobs in the same process."""
        self._jobs = jobs_of(new_config)
        if self._worker is not None:
            self._worker.begin(self._jobs)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and return its result."""
        if self._worker is None:
            from study.worker.worker import Worker

            self._worker = Worker(ray.get(self._shared.context))
            self._worker.begin(self._jobs)
        return self._worker.step()
