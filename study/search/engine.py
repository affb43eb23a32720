"""One call of Ray Tune: runs that a searcher suggests, in worker processes of the joined Ray.

A worker process imports this module before it is up, so nothing heavy is imported: no PyTorch, no Optuna.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.error import TuneError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from study import interrupt
from study.cluster import scratch
from study.record.errors import StudyError, chain
from study.record.metrics import mode
from study.search.controller import controlled
from study.search.last_runs import NOTHING, Ahead
from study.worker.job import Job, job_config, jobs_of, step_of, tune_result

if TYPE_CHECKING:
    from study.cluster.resources import Resources
    from study.search.last_runs import LastRuns
    from study.worker.run import WorkerContext
    from study.worker.worker import Worker

_TURN_SECONDS = 0.0005


class Unpickled:
    """Pickled as an empty object.

    Tune writes searchers, schedulers and callbacks to disk for its own restore. The journal is what a study is
    restored from, and open files, locks and a growing history are not worth writing.
    """

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Leave everything out."""
        return (object, ())


@dataclass(frozen=True)
class ContextReference:
    """A reference to the context of a study's workers: to fetch it is to import PyTorch."""

    context: ray.ObjectRef[WorkerContext]


class StudyTrainable(tune.Trainable):
    """Passes jobs on to this process's `Worker`, and what it says back.

    The worker is made in the first step, not in `setup`, so that the process is up before it imports PyTorch, which
    takes seconds, longer where several processes do so at once: Tune knows sooner what it has.
    """

    def setup(self, config: dict[str, Any], reference: ContextReference | None = None) -> None:
        """Keep the first jobs."""
        assert reference is not None  # given by tune.with_parameters
        self._reference = reference
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
            from study.worker.ready import Worker

            self._worker = Worker(ray.get(self._reference.context))
            self._worker.begin(self._jobs)
        node = ray.get_runtime_context().get_node_id()
        return tune_result(self._worker.step(), self._worker.objectives, node)


class UnsavedSearcher(Unpickled, Searcher):
    """A searcher of which Tune keeps nothing: the journal is what a search is restored from."""

    def ahead(self) -> Ahead:
        """Return what it has not suggested yet, as far as that is known."""
        return NOTHING

    def save(self, checkpoint_path: str) -> None:
        """Write an empty file, which Tune asks for."""
        Path(checkpoint_path).touch()


class Phases(UnsavedSearcher):
    """Suggests what one searcher after another does: one begins when all runs of the one before have ended.

    Args:
        searchers: One for each phase. It is asked for the next one when that begins, and may look at what has ended.
        metric: The objective, such as "val_mse".
        complete: Adds to each job what every phase's have.
    """

    def __init__(
        self, searchers: Iterator[Searcher], metric: str, complete: Callable[[Job], Job] = lambda job: job
    ) -> None:
        super().__init__(metric, mode(metric))
        self._searchers, self._complete = searchers, complete
        self._now: Searcher | None = None
        self._running: set[str] = set()  # Tune's ids

    # Tune's annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the next run's jobs, None while the last ones of a phase train, or FINISHED after the last phase."""
        while True:
            found: dict[str, Any] | str | None = self._now.suggest(trial_id) if self._now else Searcher.FINISHED
            if found != Searcher.FINISHED:
                if not isinstance(found, dict):
                    return found
                self._running.add(trial_id)
                return job_config(*map(self._complete, jobs_of(found)))
            if self._running:
                return None
            self._now = next(self._searchers, None)
            if self._now is None:
                return Searcher.FINISHED

    def ahead(self) -> Ahead:
        """Return what is ahead of the phase that is being trained."""
        return self._now.ahead() if isinstance(self._now, UnsavedSearcher) else NOTHING

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass on a result that is not the last one."""
        assert self._now is not None
        self._now.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Pass on that a run has ended."""
        assert self._now is not None
        self._running.discard(trial_id)
        self._now.on_trial_complete(trial_id, result, error)


class BudgetStopper(Unpickled, tune.Stopper):
    """Stops each run at its next result once the search's budget is spent, so that a running one finishes its epoch.

    Args:
        spent: Says which limit has been reached, None where none has.
        without_limit: The ids of the runs that are never stopped.

    Attributes:
        stopped: By Tune's ids of the runs that had to stop, the limit. Tune asks the scheduler only of the others.
    """

    def __init__(self, spent: Callable[[], str | None], without_limit: Collection[str] = ()) -> None:
        self._spent, self._without_limit = spent, frozenset(without_limit)
        self.stopped: dict[str, str] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Say whether the run that reported `result` has to stop."""
        if (limit := self._spent()) and self._without_limit.isdisjoint(step_of(result).reports):
            self.stopped[trial_id] = limit
        return trial_id in self.stopped

    def stop_all(self) -> bool:
        """Never stop a run in mid-epoch."""
        return False


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Let Python's threads take turns sooner: else the driver waits 5 ms for MLflow's thread whenever it comes back."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def run(
    searcher: Searcher,
    scheduler: TrialScheduler,
    callbacks: list[tune.Callback],
    *,
    context: WorkerContext,
    resources: Resources,
    stopper: BudgetStopper,
    inherits: bool,
    last_runs: LastRuns | None = None,
) -> None:
    """Train the jobs that `searcher` suggests until it has finished and all have ended.

    Workers are reused: a job after the first one of a worker starts in milliseconds. Tune's own state goes to a
    temporary folder and is thrown away; what a study keeps, the callbacks and the workers write.

    Args:
        searcher: Suggests the jobs.
        scheduler: Says which runs are stopped early.
        callbacks: Hear of each result.
        context: What the workers need.
        resources: What each run gets.
        stopper: Stops runs when the search's budget is spent.
        inherits: Whether Ray's processes have this process's environment, as those of a Ray of one's own have.
        last_runs: Says where the last runs are to begin; None for wherever a place is free.

    Raises:
        Whatever a callback or the searcher raises.
    """
    with scratch.folder() as place:
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(StudyTrainable, reference=ContextReference(ray.put(context))),
                {"cpu": resources.cpus, "gpu": resources.gpus},
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,  # as many as the searcher suggests
                max_concurrent_trials=resources.concurrent,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=str(place),
                callbacks=callbacks,
                stop=stopper,
                # Tune stores a class trainable at its end by default; see Worker for whose checkpoints count.
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=context.retries),
                verbose=0,
            ),
        )
        try:
            with (
                interrupt.deferred(),
                _quick_turns(),
                controlled(resources.concurrent, inherits=inherits, last_runs=last_runs),
            ):
                tuner.fit()
        except TuneError as error:  # it holds the traceback of another error as text
            if said := next((cause for cause in chain(error) if isinstance(cause, StudyError)), None):
                raise said from error
            raise
