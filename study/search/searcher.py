"""The searcher of a study: it asks an Optuna study for Tune's trials, and tells it how they ended."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sys import intern
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher

import models
from models.own import FAULTS
from search_spaces import Context, Point, Space
from study.cluster.resources import Limits
from study.record import files
from study.record.errors import StudyError, first_line
from study.record.events import Config, Refused, RunStarted, Status
from study.record.journal import Recorder
from study.record.metrics import mode
from study.record.state import Run
from study.search.engine import UnsavedSearcher
from study.search.last_runs import Ahead
from study.search.sampling import derive_seed, sampler_for_trial, searched_budget
from study.search.storages import Attributes, SearchLog, foreign
from study.settings.algorithms import SAMPLERS
from study.worker.job import Job, Report, ending, job_config, step_of

_REFUSALS_IN_A_ROW = 200
# A model-based sampler learns nothing from refusals and can ask for the same large networks for ever.
_RANDOM_AFTER = 10
_STATES = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
_DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What a search draws and within which limits."""

    space: Space
    context: Context
    objectives: tuple[str, ...]  # metrics; the first one ranks
    sampler: str
    seed: int
    trials: int
    epochs: int
    limits: Limits
    devices: float = 1.0  # of each trial
    refuses: Callable[[Config], str | None] = lambda config: None  # why a config is no trial besides, if it is none
    warm_start: Sequence[Point] = ()  # asked after the space's own first points


_ABOUT = ("id", "key", "parameters", "reason")


def _about(key: str | None, params: int, reason: str | None = None, run_id: str | None = None) -> dict[str, Any]:
    """Return what optuna-dashboard shows of a trial besides its values: its id here, key, parameters and reason."""
    said = dict(zip(_ABOUT, (run_id, key, params, reason), strict=True))
    return {name: value for name, value in said.items() if value is not None}


def _say(trial: optuna.Trial, about: Mapping[str, Any]) -> None:
    for name, value in about.items():
        trial.set_user_attr(name, value)


class StudySearcher(UnsavedSearcher):
    """Draws a study's trials with Optuna, restored from the journal.

    It refuses networks that are too large before they are trials; it tells Optuna PRUNED of a stopped trial, whose
    value of a few epochs does not compare with others; it draws each trial with a sampler of its own, seeded by the
    trial's place; it begins with the trials that an earlier driver left unfinished; and it records each trial before
    Tune hears of it, so that Optuna's storage can be made anew from the journal.

    Args:
        plan: What to draw.
        recorder: Writes `run` and `refused` events; its state says what has been drawn already.
        optuna_log: Optuna's journal storage, written anew from the state.
        spent: Says whether no more trials may start: by which limit, None where they may.
    """

    def __init__(self, plan: SearchPlan, recorder: Recorder, optuna_log: Path, spent: Callable[[], str | None]) -> None:
        metrics, modes = list(plan.objectives), [mode(metric) for metric in plan.objectives]
        self._several = len(metrics) > 1
        if self._several:
            super().__init__(metrics, modes)  # type: ignore[arg-type]  # Tune takes lists and does not say so
        else:
            super().__init__(metrics[0], modes[0])
        self._plan = plan
        self._recorder = recorder
        self._spent = spent
        self._trials: dict[str, optuna.Trial] = {}  # that go on, by Tune's id
        self._reported: dict[str, set[int]] = {}  # their epochs
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Its handler calls the sampler's and storage's every experimental feature out; none of it is news to the user.
        logging.getLogger("optuna").setLevel(logging.ERROR)
        # Of the study, as the journal has them: a sampler's memory, and nothing that each driver sets by itself.
        self._attributes: dict[str, Any] = {}
        drawn = recorder.state.trials
        self._drawn, self._given = len(drawn), sum(run.key is not None for run in drawn)
        self._last = drawn[-1].optuna["number"] if drawn else -1  # of a trial that was not refused, Optuna's number
        self._unfinished = [run for run in drawn if run.status == "running"]
        self._foreign = foreign(optuna_log)
        for part in optuna_log.parent.glob(files.part_name(optuna_log.name)):
            part.unlink()  # of a driver that was killed here
        # The old log stays until the new one has all: nothing else has the notes of others.
        files.write(optuna_log, lambda part: self._build(part, optuna_log.parent.name))
        self._storage.log.path = optuna_log
        started = {run.key for run in drawn} | {event.key for event in recorder.state.refused}
        first = (*plan.space.points(plan.context), *plan.warm_start)
        self._points = [point for point in first if point.key not in started]

    def _build(self, log: Path, name: str) -> None:
        """Make the storage anew in the file `log`, with all that is known of the study called `name`."""
        objectives, sampler = self._plan.objectives, self._plan.sampler
        self._storage = SearchLog(log, SAMPLERS[sampler].learns_from)
        self._study = optuna.create_study(
            storage=self._storage,
            sampler=sampler_for_trial(sampler, self._plan.seed, 0),
            pruner=optuna.pruners.NopPruner(),
            study_name=name,
            directions=[_DIRECTIONS[mode(metric)] for metric in objectives],
        )
        self._study_id = self._storage.get_study_id_from_name(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.set_metric_names(list(objectives))  # which optuna-dashboard and plots call the values by
        self._attributes |= self._storage.get_study_system_attrs(self._study_id)
        self._rebuild()
        for attribute, value in self._foreign.user_attrs.items():
            self._study.set_user_attr(attribute, value)
        for attribute, value in self._foreign.system_attrs.items():
            self._storage.set_study_system_attr(self._study_id, attribute, value)

    def _suggest_params(self, trial: optuna.Trial) -> Config:
        return self._plan.space.suggest(trial, self._plan.context)

    # Tune's annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the job of Tune's next trial, or FINISHED when all have been or a limit is reached.

        Raises:
            StudyError: two hundred networks in a row were too large, or could not be built.
        """
        # Also where a limit is reached: one that ran then ends at its next result, as if nothing had happened, and one
        # that had failed and is tried again is trained.
        if self._unfinished:
            run = self._unfinished.pop(0)
            self._trials[trial_id] = self._resumed[run.id]
            self._reported[trial_id] = {int(epoch["epoch"]) for epoch in run.epochs}
            return job_config(Job(run.id, run.config, run.seed, run.budget, run.pretrain_budget))
        number = self._drawn
        if number >= self._plan.trials or self._spent():
            return Searcher.FINISHED
        for _ in range(_REFUSALS_IN_A_ROW):
            trial, config, key = self._ask()
            facts = self._facts(trial)
            params, reason = self._looked_at(config)
            if reason is None:
                break
            _say(trial, _about(key, params, reason))
            self._study.tell(trial, state=TrialState.FAIL)
            self._recorder.record(Refused(reason, key, config, params, facts))
        else:
            raise StudyError(f"{_REFUSALS_IN_A_ROW} networks in a row were refused, the last one with {reason}")
        self._trials[trial_id] = trial
        budget = searched_budget(config, self._plan.space, self._plan.epochs)
        seed = derive_seed(self._plan.seed, number)
        job = Job(f"t{number:04d}", config, seed, budget.epochs, budget.pretrain_epochs)
        _say(trial, _about(key, params, run_id=job.id))
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
                devices=self._plan.devices,
            )
        )
        self._drawn, self._given, self._last = number + 1, self._given + (key is not None), trial.number
        return job_config(job)

    def ahead(self) -> Ahead:
        """Return how many trials have not begun, at most: a limit or the patience may end the search before."""
        if self._spent():
            return Ahead(len(self._unfinished), self._plan.epochs)
        return Ahead(len(self._unfinished) + max(0, self._plan.trials - self._drawn), self._plan.epochs)

    def _looked_at(self, config: Config) -> tuple[int, str | None]:
        """Return a network's parameters, and why it is refused; a user's own code may fail on a config in any way."""
        context = self._plan.context
        try:
            params = models.count_parameters(config, context.image_shape, context.num_classes)
            return params, self._plan.limits.refusal(config, context, params) or self._plan.refuses(config)
        except FAULTS as error:
            if self._plan.space.own_name:
                return 0, f"cannot be built: {type(error).__name__}: {first_line(error)}"
            raise

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report a value of an epoch that is not the last one."""
        for report in step_of(result).reports.values():
            self._report(trial_id, report)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended, see `_told`."""
        if trial_id not in self._trials:  # Tune may say so twice
            return
        reports = [] if error else list(step_of(result).reports.values())
        report = reports[0] if reports else None
        status, reason = ending(report, self._plan.epochs)
        if report and status != "failed":
            self._report(trial_id, report)
        trial = self._trials.pop(trial_id)
        self._reported.pop(trial_id, None)
        _say(trial, {"reason": reason} if reason else {})
        if report and status != "failed":
            run = self._recorder.state.runs[next(iter(step_of(result).reports))]
            for name, excess in self._excess(run.config | dict(report.sizes) | report.metrics).items():
                trial.set_constraint(name, excess)
        state = self._told(status, report.epoch, report.by_machine) if report else TrialState.FAIL
        if report and state is TrialState.COMPLETE:
            self._study.tell(trial, [report.value(metric) for metric in self._plan.objectives])
            return
        if report and state is TrialState.PRUNED and status == "failed":
            trial.report(math.nan, report.epoch + 1)  # which a sampler takes for the worst of values
        self._study.tell(trial, state=state)

    def _told(self, status: Status, epochs: int, by_machine: bool) -> TrialState:
        """Return what Optuna is told of a trial that has ended: it has a value only if it had its whole budget.

        A failed trial teaches a sampler nothing, so that it would ask for the like again. One whose config is at fault,
        as its loss is not a number, has lost to all others; one that the machine has failed says nothing of its config.

        Optuna knows no pruning with several objectives. What a trial had when it was stopped is hardly better than what
        it would have come to, and says more than nothing; the record's own front has completed trials alone.
        """
        if self._several:
            return TrialState.COMPLETE if status == "completed" or (status == "stopped" and epochs) else TrialState.FAIL
        return TrialState.PRUNED if status == "failed" and not by_machine else _STATES[status]

    def _excess(self, facts: Mapping[str, Any]) -> dict[str, float]:
        """Return how far beyond each constraint a trial is, as Optuna takes it: 0 or less is kept."""
        return {str(constraint): constraint.excess(facts) for constraint in self._plan.limits.constraints}

    def _ask(self) -> tuple[optuna.Trial, Config, str | None]:
        asked = self._drawn + len(self._recorder.state.refused)
        point = self._points.pop(0) if self._points else None
        if point:
            self._study.enqueue_trial(point.params)
        sampler = "random" if asked - (self._last + 1) >= _RANDOM_AFTER else self._plan.sampler
        self._study.sampler = sampler_for_trial(sampler, self._plan.seed, asked, self._given)
        trial = self._study.ask()
        config = self._suggest_params(trial)
        # A given config may have what the space never searches.
        return (trial, dict(point.config), point.key) if point else (trial, config, None)

    def _report(self, trial_id: str, report: Report) -> None:
        # Optuna takes no values of epochs with several objectives; a resumed run repeats the epoch of its checkpoint.
        reported = self._reported.setdefault(trial_id, set())
        if not self._several and report.epoch not in reported and not report.failed:
            reported.add(report.epoch)
            self._trials[trial_id].report(report.value(self._plan.objectives[0]), report.epoch)

    def _facts(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return what of an asked trial must be kept to make it anew in another storage."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial.number)
        frozen = self._storage.get_trial(trial_id)  # not all of the study's, of which there may be thousands
        attributes = self._storage.get_study_system_attrs(self._study_id)
        new = {name: value for name, value in attributes.items() if self._attributes.get(name) != value}
        self._attributes |= new
        # NSGA-II keeps each generation's parents, drawn when its first trial is; their order decides what comes next.
        facts = {"study_attrs": new} if new else {}
        return facts | {
            "number": frozen.number,
            "params": frozen.params,
            "distributions": {name: intern(distribution_to_json(kind)) for name, kind in frozen.distributions.items()},
            "system_attrs": dict(frozen.system_attrs),
        }

    def _rebuild(self) -> None:
        """Fill the new storage with what the journal says of trials and refusals, in the order in which they were."""
        self._resumed: dict[str, optuna.Trial] = {}
        state = self._recorder.state
        asked: list[tuple[Run | Refused, float]] = [(run, run.started) for run in state.trials]
        asked += [(event, event.time) for event in state.refused]
        for one, began in sorted(asked, key=lambda item: item[0].optuna["number"]):
            run, facts = one if isinstance(one, Run) else None, one.optuna
            self._study.add_trial(
                self._frozen(facts, run, began, _about(one.key, one.params, one.reason, run.id if run else None))
            )
            for name, value in facts.get("study_attrs", {}).items():
                self._attributes[name] = value
                self._storage.set_study_system_attr(self._study_id, name, value)
            if run and run.status == "running":
                trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, facts["number"])
                self._resumed[run.id] = optuna.Trial(self._study, trial_id)

    def _frozen(self, facts: Mapping[str, Any], run: Run | None, began: float, about: Mapping[str, Any]) -> FrozenTrial:
        state = TrialState.FAIL
        values = None
        intermediate: dict[int, float] = {}
        if run:
            running = run.status == "running"
            state = TrialState.RUNNING if running else self._told(run.status, len(run.epochs), run.by_machine)
            if not self._several:
                metric = self._plan.objectives[0]
                intermediate = {int(epoch["epoch"]): (epoch | run.sizes)[metric] for epoch in run.epochs}
                if state is TrialState.PRUNED and run.status == "failed":
                    intermediate[len(run.epochs) + 1] = math.nan
            if state is TrialState.COMPLETE:
                values = [run.known[metric] for metric in self._plan.objectives]
            elif state is TrialState.PRUNED and intermediate:
                last = intermediate[max(intermediate)]
                values = None if math.isnan(last) else [last]  # as Optuna says of one that it is told of
        ended = (run.ended if run else None) or began
        own = self._foreign.of_trials.get(facts["number"], Attributes())
        finished = state.is_finished()
        frozen = FrozenTrial(
            number=facts["number"],
            state=state,
            value=None,
            values=values,
            datetime_start=datetime.fromtimestamp(began),
            datetime_complete=datetime.fromtimestamp(ended) if finished else None,
            params=facts["params"],
            distributions={name: json_to_distribution(text) for name, text in facts["distributions"].items()},
            user_attrs={name: value for name, value in own.user_attrs.items() if name not in _ABOUT} | {**about},
            system_attrs={**own.system_attrs, **facts["system_attrs"]},
            intermediate_values=intermediate,
            trial_id=facts["number"],
        )
        if run and run.is_ranked:
            for name, excess in self._excess(run.facts).items():
                frozen.set_constraint(name, excess)
        return frozen
