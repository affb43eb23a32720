"""Tune's controller as a study uses it: what it keeps of trials and processes, and when a run leaves a machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import ray
from ray import tune
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError
from ray.tune.error import TuneError
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from study.worker.job import node_of

if TYPE_CHECKING:
    from study.search.last_runs import LastRuns, Occupied

_LOOKS_EVERY = 1.0  # seconds, between two looks at the nodes that are to go
_COMES_WITHIN = 10.0  # seconds, in which a process that Ray starts has imported what it needs


class PlainActors(_ActorClassCache):
    """Makes actors of trainables without environment variables of their own."""

    def get(self, trainable_cls: type[tune.Trainable]) -> Any:
        """Return the actor class of a trainable."""
        if trainable_cls not in self._cache:
            self._cache[trainable_cls] = ray.remote(trainable_cls)
        return self._cache[trainable_cls]


class _AllAtOnce(RayActorManager):
    """Tune's manager of processes, which passes on every answer that is there, not one of them at each step.

    To find one answer among hundreds of processes takes as long as to find all that there are.
    """

    def next(self, timeout: float | None = None) -> bool:
        """Wait for an answer and pass it on, and with it all others."""
        if not super().next(timeout):
            return False
        answers = self._actor_task_events
        if waiting := list(answers.get_futures()):
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
            for future in ready:
                if future in answers.get_futures():  # what came before it may have ended its run
                    answers.resolve_future(future)
        return True


class StudyController(TuneController):
    """Tune's controller, which keeps workers for the next phase, and for which the death of a worker is one fault.

    Where a worker dies between two jobs, Tune hears of it twice: from the process, and lets the next trial wait for
    another one; then from the `reset` that the process was asked for, and ends the trial, since it is waiting. Nor does
    Tune forget that reset, and so would not give the trial a process again.

    Tune itself keeps one idle process at most while none of its trials waits for one; and it keeps all trials, ended
    ones too, with their last results, and goes through them several times at each step.

    Where a process becomes free, Tune gives it to a trial whose own one is all but up, and ends that one: of several
    short trials, which begin together, each process but one would have been started in vain. Here such a trial waits
    for its own, for some seconds.

    Tune gives its workers environment variables of their own, and so never one of the processes that Ray starts by
    itself, seconds before. Those of a Ray of one's own have the driver's environment already.

    A run leaves a node that Ray drains (a spot machine with its notice, a pod that is ended) at its next result, whose
    checkpoint is written by then, and goes on elsewhere; it is not the run's fault, and none of its `retries`.

    Idle processes go with their node, so that no run is given one that has died.

    Where machines differ, a new run goes to the idle process on the fastest one, and the last runs of a phase wait for
    a fast place if that ends sooner (`LastRuns`).

    Args:
        workers: How many processes are kept.
        inherits: Whether the nodes' processes have the driver's environment.
        last_runs: Says where runs are to begin; None for wherever a place is free.
    """

    def __init__(
        self, *arguments: Any, workers: int, inherits: bool, last_runs: LastRuns | None = None, **named: Any
    ) -> None:
        self._workers, self._last_runs = workers, last_runs
        self._nodes: dict[Any, str] = {}  # of processes that have trained, by Tune's name of the process
        self._coming: WeakKeyDictionary[Any, float] = WeakKeyDictionary()  # when processes were first seen to start
        self._leaving: set[str] = set()  # nodes that are to go
        self._gone: set[str] = set()  # nodes that have died
        self._looked = -_LOOKS_EVERY
        super().__init__(*arguments, **named)
        if inherits:
            self._class_cache = PlainActors()  # type: ignore[no-untyped-call]
        self._actor_manager = _AllAtOnce(self._actor_manager._resource_manager)

    def __getstate__(self) -> dict[str, Any]:
        """Return what Tune writes down, without what it cannot; nobody restores it."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {name: value for name, value in state.items() if name not in ("_last_runs", "_nodes", "_coming")}

    def add_trial(self, trial: Trial) -> None:
        """Add a trial; from the first one on, as many idle processes are kept as there can be runs at a time."""
        super().add_trial(trial)
        self._actor_cache.increase_max(trial.placement_group_factory, by=self._workers)
        self._workers = 0

    def _execute_action(self, trial: Trial, decision: str, after_save: bool = False) -> None:
        if decision == TrialScheduler.CONTINUE and self._is_to_go(trial):
            self._try_recover(trial, TuneError("its machine is to go"))  # as a failure that is counted nowhere
        else:
            super()._execute_action(trial, decision, after_save)

    def _maybe_cache_trial_actor(self, trial: Trial) -> bool:
        process = self._trial_to_actor.get(trial)
        if self._is_to_go(trial) or not super()._maybe_cache_trial_actor(trial):
            return False
        if node := node_of(trial.last_result or {}):
            self._nodes[process] = node
        return True

    def _update_trial_queue(self, blocking: bool = False, timeout: int = 600) -> bool:
        if not blocking and self._actor_cache.num_cached_objects and self._next_run_waits():
            return False
        return bool(super()._update_trial_queue(blocking, timeout))

    def _next_run_waits(self) -> bool:
        if self._last_runs is None:
            return False
        idle, resetting = self._actor_cache.num_cached_objects, len(self._resetting_trials)
        busy, waiting = len(self._running_trials) + resetting, len(self._pending_trials) - resetting
        return self._last_runs.waits(idle, busy, waiting, self._places)

    def _places(self) -> Occupied:
        idle = (process for processes in self._actor_cache._cached_objects.values() for process in processes)
        busy = (*self._running_trials, *self._resetting_trials)
        return [self._nodes.get(process, "") for process in idle], [(trial, self._node(trial)) for trial in busy]

    def _node(self, trial: Trial) -> str:
        """Return the node of a run's process, "" where it has not reported yet."""
        return node_of(trial.last_result or {}) or self._nodes.get(self._trial_to_actor.get(trial), "")

    def _maybe_reuse_cached_actor(self, trial: Trial) -> bool:
        if trial not in self._resetting_trials and self._own_is_coming(trial):
            return False
        idle = self._actor_cache._cached_objects[trial.placement_group_factory]
        if self._last_runs is not None and len(idle) > 1 and all(process in self._nodes for process in idle):
            idle[:] = self._last_runs.in_order([(self._nodes[process], process) for process in idle])
        return super()._maybe_reuse_cached_actor(trial)

    def _own_is_coming(self, trial: Trial) -> bool:
        """Say whether a trial's own process has its place and is being started, and not for long."""
        process = self._trial_to_actor.get(trial)
        if process is None or process in self._started_actors or not self._actor_manager.is_actor_started(process):
            return False
        now = time.monotonic()
        return now - self._coming.setdefault(process, now) < _COMES_WITHIN

    def _is_to_go(self, trial: Trial) -> bool:
        """Say whether the node on which a run reported last is to go."""
        self._look()
        return bool(trial.last_result) and node_of(trial.last_result) in self._leaving

    def _look(self) -> None:
        """Ask Ray for the nodes that are to go, and for those that have died, once a second."""
        if time.monotonic() - self._looked >= _LOOKS_EVERY:
            self._looked = time.monotonic()
            self._leaving = set(ray._private.state.state.get_draining_nodes())
            self._gone = {node["NodeID"] for node in ray.nodes() if not node["Alive"]}  # type: ignore[no-untyped-call]

    def on_step_begin(self) -> None:
        """Drop the idle processes of nodes that have died or are to go, before a run is given one.

        Tune hears of such a death only by the run, whose failure it then is: some would use all of its retries up.
        """
        super().on_step_begin()  # type: ignore[no-untyped-call]
        cache: Any = self._actor_cache
        if not cache.num_cached_objects:
            return
        self._look()
        for idle in cache._cached_objects.values():
            for process in [one for one in idle if self._nodes.get(one) in self._leaving | self._gone]:
                idle.remove(process)
                cache._num_cached_objects -= 1
                process.set_on_stop(None)
                process.set_on_error(None)  # no run is concerned
                self._remove_actor(process)

    def on_step_end(self) -> None:
        """Forget the trials that have ended: what a study keeps of them is in its journal."""
        super().on_step_end()  # type: ignore[no-untyped-call]
        for trial in (*self._stopped_trials, *self._failed_trials):
            self._trials.remove(trial)
            self._live_trials.discard(trial)
            self._trials_to_cache.discard(trial)
        self._stopped_trials.clear()
        self._failed_trials.clear()

    def _trial_task_failure(self, trial: Trial, exception: Exception) -> None:
        self._resetting_trials.discard(trial)
        self._looked = -_LOOKS_EVERY  # its node may have died, and others' processes with it
        if trial.status == Trial.PENDING and isinstance(exception, RayActorError):
            return  # what `_actor_failed` has seen to
        super()._trial_task_failure(trial, exception)


@contextmanager
def controlled(workers: int, *, inherits: bool, last_runs: LastRuns | None = None) -> Iterator[None]:
    """Let Tune make a `StudyController`; it has no way of its own to be given one."""
    loop: Any = sys.modules["ray.tune.tune"]
    before = loop.TuneController
    loop.TuneController = partial(StudyController, workers=workers, inherits=inherits, last_runs=last_runs)
    try:
        yield
    finally:
        loop.TuneController = before
