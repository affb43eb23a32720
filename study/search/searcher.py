"""The searchers that feed Tune: Optuna's, and a fixed list of jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

import models
from search_spaces import Context, Space
from study.cluster.memory import Limits
from study.record.errors import StudyError
from study.record.events import Refused, RunStarted
from study.record.journal import Recorder
from study.record.state import Run
from study.search import budget
from study.search.recording import outcome
from study.search.samplers import derive_seed, sampler_for_trial
from study.search.unpickled import Unpickled
from study.worker.job import DECLINED, EPOCH, TOO_LARGE, Job, job_config

_REFUSALS_IN_A_ROW = 200
# A model-based sampler learns nothing from refusals and can ask for the same large networks for ever.
_RANDOM_AFTER = 10
_STATES = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}


@dataclass(frozen=True)
class SearchPlan:
    """What a search draws and within which limits."""

    space: Space
    context: Context
    objectives: Mapping[str, str]  # metric -> "min" or "max"; the first one ranks
    sampler: str
    seed: int
    trials: int
    epochs: int
    limits: Limits


class _OneWriter(JournalFileSymlinkLock):
    """No lock at all: the study's own keeps other drivers out, and Optuna's costs as much as what it guards."""

    def acquire(self) -> bool:
        """Be the writer, which this process always is."""
        return True

    def release(self) -> None:
        """Stay the writer."""


class StudySearcher(Unpickled, OptunaSearch):
    """Tune's OptunaSearch, told the truth and kept by the journal.

    What it does that its parent does not: it refuses networks that are too large before they are trials; it tells
    Optuna PRUNED of a stopped trial instead of COMPLETE with the value of a few epochs; it draws each trial with a
    sampler of its own, seeded by the trial's place; it begins with the trials that an earlier driver left unfinished;
    and it writes down each trial before Tune hears of it, so that Optuna's storage can be made anew from the journal.

    Args:
        plan: What to draw.
        recorder: Writes `run` and `refused` events; its state says what has been drawn already.
        optuna_log: Optuna's journal storage, written anew from the state.
        out_of_time: Says whether no more trials may start.
    """

    def __init__(self, plan: SearchPlan, recorder: Recorder, optuna_log: Path, out_of_time: Callable[[], bool]) -> None:
        self._plan = plan
        self._recorder = recorder
        self._out_of_time = out_of_time
        metrics, modes = list(plan.objectives), list(plan.objectives.values())
        self._multi = len(metrics) > 1
        self._reported: set[tuple[str, float]] = set()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Its handler calls the sampler's and storage's every experimental feature out; none of it is news to the user.
        logging.getLogger("optuna").setLevel(logging.ERROR)
        optuna_log.unlink(missing_ok=True)
        super().__init__(
            space=self._suggest_params,
            metric=metrics if self._multi else metrics[0],
            mode=modes if self._multi else modes[0],
            sampler=sampler_for_trial(plan.sampler, plan.seed, 0),
            study_name=optuna_log.parent.name,
            storage=JournalStorage(JournalFileBackend(str(optuna_log), lock_obj=_OneWriter(str(optuna_log)))),
        )
        self._unfinished = [run for run in recorder.state.trials if run.status == "running"]
        self._rebuild()
        started = {run.key for run in recorder.state.trials} | {event.key for event in recorder.state.refused}
        self._points = [point for point in plan.space.points(plan.context) if point.key not in started]

    def _suggest_params(self, trial: optuna.Trial) -> dict[str, Any]:
        return self._plan.space.suggest(trial, self._plan.context)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the job of Tune's next trial, or FINISHED when the budget of trials or of time is spent.

        Raises:
            StudyError: two hundred networks in a row were too large.
        """
        if self._out_of_time():
            return Searcher.FINISHED
        if self._unfinished:
            run = self._unfinished.pop(0)
            self._ot_trials[trial_id] = self._resumed[run.id]
            self._reported |= {(trial_id, epoch["epoch"]) for epoch in run.epochs}
            return job_config(Job(run.id, run.config, run.seed, run.budget, run.pretrain_budget))
        state = self._recorder.state
        number = len(state.trials)
        if number >= self._plan.trials:
            return Searcher.FINISHED
        for _ in range(_REFUSALS_IN_A_ROW):
            trial, config, key = self._ask()
            params = models.count_parameters(config, self._plan.context.image_shape, self._plan.context.num_classes)
            facts = self._facts(trial)
            reason = self._plan.limits.refusal(config, self._plan.context, params)
            if reason is None:
                break
            self._ot_study.tell(trial, state=TrialState.FAIL)
            self._recorder.record(Refused(reason, key, config, params, facts))
        else:
            raise StudyError(f"{_REFUSALS_IN_A_ROW} networks in a row were too large, the last one with {reason}")
        self._ot_trials[trial_id] = trial
        epochs = budget.searched(config, self._plan.space, self._plan.epochs)
        seed = derive_seed(self._plan.seed, number)
        job = Job(f"t{number:04d}", config, seed, epochs.epochs, epochs.pretrain_epochs)
        self._recorder.record(
            RunStarted(
                id=job.id,
                kind="trial",
                number=number,
                config=config,
                seed=seed,
                budget=job.epochs,
                params=params,
                key=key,
                pretrain_budget=job.pretrain_epochs,
                optuna=facts,
            )
        )
        return job_config(job)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report a value of an epoch that is not the last one."""
        self._report(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended: with a value only if it had its whole budget."""
        if trial_id in self._completed_trials:
            return
        self._completed_trials.add(trial_id)
        trial = self._ot_trials[trial_id]
        status, _ = outcome(self._plan.epochs, result or {}) if not error else ("failed", None)
        if result and status != "failed":
            self._report(trial_id, result)
        if status == "completed":
            assert result is not None
            self._ot_study.tell(trial, [result[metric] for metric in self._plan.objectives])
        elif status == "stopped" and not self._multi:
            self._ot_study.tell(trial, state=TrialState.PRUNED)
        else:
            # Optuna knows no pruning with several objectives: what was stopped by the time budget has no value.
            self._ot_study.tell(trial, state=TrialState.FAIL)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing of worth: the journal is what a search is restored from."""
        Path(checkpoint_path).touch()

    def _ask(self) -> tuple[optuna.Trial, dict[str, Any], str | None]:
        state = self._recorder.state
        asked = len(state.trials) + len(state.refused)
        key = None
        if self._points:
            point = self._points.pop(0)
            key = point.key
            self._ot_study.enqueue_trial(point.params)
        accepted = state.trials[-1].optuna["number"] + 1 if state.trials else 0
        sampler = "random" if asked - accepted >= _RANDOM_AFTER else self._plan.sampler
        self._ot_study.sampler = sampler_for_trial(sampler, self._plan.seed, asked)
        trial = self._ot_study.ask()
        return trial, self._suggest_params(trial), key

    def _report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        # Optuna takes no values of epochs with several objectives; a resumed run repeats the epoch of its checkpoint.
        step = (trial_id, result[EPOCH])
        if not self._multi and step not in self._reported and result[self.metric] == result[self.metric]:
            self._reported.add(step)
            self._ot_trials[trial_id].report(result[self.metric], result[EPOCH])

    def _facts(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return what of an asked trial must be kept to make it anew in another storage."""
        frozen = self._ot_study.get_trials(deepcopy=False)[trial.number]
        return {
            "number": frozen.number,
            "params": frozen.params,
            "distributions": {name: distribution_to_json(kind) for name, kind in frozen.distributions.items()},
            "system_attrs": dict(frozen.system_attrs),
        }

    def _rebuild(self) -> None:
        """Fill the new storage with what the journal says of trials and refusals, in the order in which they were."""
        self._resumed: dict[str, optuna.Trial] = {}
        state = self._recorder.state
        asked: list[tuple[dict[str, Any], Run | None]] = [(run.optuna, run) for run in state.trials]
        asked += [(event.optuna, None) for event in state.refused]
        for facts, run in sorted(asked, key=lambda item: item[0]["number"]):
            self._ot_study.add_trial(self._frozen(facts, run))
            if run and run.status == "running":
                storage_id = self._ot_study.get_trials(deepcopy=False)[facts["number"]]._trial_id
                self._resumed[run.id] = optuna.Trial(self._ot_study, storage_id)

    def _frozen(self, facts: Mapping[str, Any], run: Run | None) -> FrozenTrial:
        state = TrialState.FAIL
        values, intermediate = None, {}
        if run:
            state = TrialState.RUNNING if run.status == "running" else _STATES[run.status]
            if not self._multi:
                intermediate = {epoch["epoch"]: epoch[self.metric] for epoch in run.epochs}
            elif state is TrialState.PRUNED:
                state = TrialState.FAIL
            if state is TrialState.COMPLETE:
                values = [run.known[metric] for metric in self._plan.objectives]
        finished = state.is_finished()
        return FrozenTrial(
            number=facts["number"],
            state=state,
            value=None,
            values=values,
            datetime_start=datetime.now(),
            datetime_complete=datetime.now() if finished else None,
            params=facts["params"],
            distributions={name: json_to_distribution(text) for name, text in facts["distributions"].items()},
            user_attrs={},
            system_attrs=facts["system_attrs"],
            intermediate_values=intermediate,
            trial_id=facts["number"],
        )


class JobList(Unpickled, Searcher):
    """A searcher that suggests a given list of jobs, in order, and calls `begin` with each one that starts.

    Args:
        groups: The jobs; several in one group are to be trained together.
        begin: Called with each job that starts, again where it starts anew.
        metric: The objective, such as "val_mse".
        mode: "min" or "max".
    """

    def __init__(self, groups: list[tuple[Job, ...]], begin: Callable[[Job], None], metric: str, mode: str) -> None:
        super().__init__(metric=metric, mode=mode)
        self._groups = list(groups)
        self._begin = begin
        self._together: dict[str, tuple[Job, ...]] = {}  # groups under way, which may be declined
        self.most = len(groups) + sum(2 * len(group) for group in groups if len(group) > 1)
        """The most that is ever suggested: groups are halved until each job is by itself."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next job or group, None while one may come back, or FINISHED after the last one."""
        if not self._groups:
            return None if self._together else Searcher.FINISHED
        group = self._groups.pop(0)
        for job in group:
            self._begin(job)
        if len(group) > 1:
            self._together[trial_id] = group
        return job_config(*group)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Suggest anew what has not been trained together: in halves if it was too large, else job by job."""
        group = self._together.pop(trial_id, ())
        if not group or error or not (result or {}).get(DECLINED):
            return
        half = len(group) // 2
        parts = [group[:half], group[half:]] if (result or {}).get(TOO_LARGE) else [(job,) for job in group]
        self._groups[:0] = parts

    def save(self, checkpoint_path: str) -> None:
        """Write nothing of worth: the journal is what a list is restored from."""
        Path(checkpoint_path).touch()
