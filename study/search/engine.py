"""One call of Ray Tune: runs that a searcher suggests, on shares of the joined Ray."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.error import TuneError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from study import interrupt
from study.cluster.resources import Resources
from study.record.errors import StudyError, chain
from study.search.trainable import Shared, StudyTrainable
from study.search.unpickled import Unpickled
from study.worker.run import WorkerContext


class TimeBudget(Unpickled, tune.Stopper):
    """Stops each run at its next result once time is up, so that a running one finishes its epoch."""

    def __init__(self, out_of_time: Callable[[], bool]) -> None:
        self._out_of_time = out_of_time

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Say whether the run that reported `result` has to stop."""
        return self._out_of_time()

    def stop_all(self) -> bool:
        """Never stop a run in mid-epoch."""
        return False


def run(
    searcher: Searcher,
    scheduler: TrialScheduler,
    callbacks: list[tune.Callback],
    *,
    context: WorkerContext,
    resources: Resources,
    samples: int,
    out_of_time: Callable[[], bool],
) -> None:
    """Train the jobs that `searcher` suggests, at most `samples`, until all have ended.

    Workers are reused: a job after the first one of a worker starts in milliseconds. Tune's own state goes to a
    temporary folder and is thrown away; what a study keeps, the callbacks and the workers write.

    Raises:
        Whatever a callback or the searcher raises.
    """
    with tempfile.TemporaryDirectory(prefix="study-tune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(StudyTrainable, shared=Shared(ray.put(context))),
                {"cpu": resources.cpus, "gpu": resources.gpus},
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=samples,
                max_concurrent_trials=resources.concurrent,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                callbacks=callbacks,
                stop=TimeBudget(out_of_time),
                # Tune stores a class trainable at its end by default; see Worker for whose checkpoints count.
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=context.retries),
                verbose=0,
            ),
        )
        try:
            with interrupt.deferred():
                tuner.fit()
        except TuneError as error:  # it holds the traceback of another error as text
            raise next((cause for cause in chain(error) if isinstance(cause, StudyError)), error) from error
