"""One driver's session with a study: data, baseline, search, confirmation, PCA, files, from wherever it stands."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.tune.search import Searcher

import models
from search_spaces import Point
from study.cluster import pricing
from study.driver import confirmation, summary, winner
from study.driver.comparison import compare
from study.driver.confirmation import Candidate, Confirmed, Planned
from study.driver.context import Setup, beside_pca, shared
from study.driver.display import Display
from study.evaluation.image_errors import Errors
from study.evaluation.samples import illustrate
from study.record import constraints, files, kept, tables
from study.record.errors import StudyError
from study.record.events import (
    STUDY,
    BaselineMeasured,
    Chooses,
    Event,
    Finished,
    Remade,
    RunEnded,
    RunStarted,
    SearchEnded,
)
from study.record.journal import Recorder
from study.record.metrics import PCA_ERROR_FLOOR, RATIO
from study.record.ranking import NOTHING_CHOSEN, best_trials
from study.record.state import Run
from study.record.terminal import wrapped
from study.record.words import counted
from study.search import engine
from study.search.budget import SearchBudget
from study.search.job_list import Beside, JobList, grouped, most_together
from study.search.last_runs import LastRuns
from study.search.recording import Placing, TuneRecorder
from study.search.schedulers import build_scheduler
from study.search.searcher import SearchPlan, StudySearcher
from study.search.stall import StallWatch
from study.settings.resolve import space_context, space_of
from study.training import checkpoint
from study.worker.job import Job

_TABLES_EVERY_S = 20.0  # the CSV files of a running study are about this much behind its journal, long ones further
_TABLES_SHARE = 0.01  # of the driver's time at most: no run gets an answer while they are written


class Session:
    """A study in progress, in a joined Ray.

    Args:
        setup: What the driver has at hand.
        recorder: The study's journal and state.
        display: What the user sees.
    """

    def __init__(self, setup: Setup, recorder: Recorder, display: Display) -> None:
        settings, data, encoder, resources = setup.settings, setup.data, setup.encoder, setup.resources
        self._settings, self._folder, self._recorder = settings, setup.folder, recorder
        self._data, self._resources, self._display = data, resources, display
        self._limits = resources.limits(settings.max_params, settings.constraints)
        self._state = recorder.state
        self._space = space_of(settings)
        self._context = space_context(settings, data.image_shape, data.num_classes, encoder.keys if encoder else None)
        architectures = models.FAMILIES[self._space.family].architectures.values()
        axes = any(known.starts_from_pca for known in architectures)
        self._worker, self._baselines = shared(setup, display.begin, axes=axes)
        self._searched_before = recorder.state.search_wall_s  # seconds of earlier drivers, which count
        self._budget: SearchBudget | None = None  # of the search, once it has begun
        self._confirmed: list[Confirmed] = []
        self._tables_due = 0.0
        recorder.listen(self._keep_tables)
        self._watch = StallWatch(
            settings.stall_s, display.say, setup.folder.resume_command(), may_grow=resources.may_grow
        )
        recorder.listen(self._watch.event)

    def run(self) -> dict[str, Any]:
        """Go through what is left of the study and return its summary."""
        self._compare_with_pca()
        choosing, reporting = confirmation.runs_at_most(self._settings, self._space, self._context)
        self._display.confirmations = choosing + reporting
        if reporting:
            runs = counted(choosing or reporting, "run")
            fresh = f" to choose the winner, {reporting} on fresh seeds to report" if choosing else ""
            self._display.say(f"confirmation: at most {runs}{fresh}")
        if not confirmation.chooses(self._settings):
            self._display.say(wrapped(NOTHING_CHOSEN, 4))
        self._tune(self._phases())
        if self._settings.reported:
            _stop_if_all_failed("run", self._state.confirmations)
        self._baseline()
        return self._finish(self._confirmed)

    def _phases(self) -> Iterator[Searcher]:
        """Yield a searcher for each phase of training that is left, when its turn has come."""
        yield from self._search()
        _stop_if_all_failed("trial", self._state.trials)
        self._confirmed = yield from self._confirm()

    def _confirm(self) -> Generator[Searcher, None, list[Confirmed]]:
        """Choose the winner, report on it and on what it is put beside, and return the confirmed configs, it first."""
        state, settings, metric = self._state, self._settings, self._space.metric
        chosen = self._fitting(confirmation.candidates(state, settings, self._space, self._context))
        for run in confirmation.newly_choosing(state, settings, chosen):
            self._recorder.record(Chooses(run.id))
        yield from self._training("choosing", confirmation.choosing(state, settings, chosen))
        beside = self._fitting(confirmation.beside(state, settings, self._space, self._context))
        candidates = list({candidate.id: candidate for candidate in (*chosen, *beside)}.values())
        ranked = confirmation.confirmed(state, chosen, metric)
        if ranked and all(one.unmet for one in ranked):
            return ranked  # by the seeds that would have chosen the winner: there is none
        for name in [one.candidate for one in ranked if not one.unmet] or [c.id for c in chosen]:
            # The second best comes in where no seed of the best can be trained again.
            best = next(candidate for candidate in chosen if candidate.id == name)
            front = chosen if len(settings.objectives) > 1 else []
            reported = list({candidate.id: candidate for candidate in (best, *front, *beside)}.values())
            yield from self._training("confirmation", confirmation.reporting(state, settings, chosen, reported))
            ended = confirmation.confirmed(state, candidates, metric)
            if any(one.candidate == name and one.test_metrics for one in ended):
                return sorted(ended, key=lambda one: one.candidate != name)
        return []

    def _fitting(self, candidates: list[Candidate]) -> list[Candidate]:
        return [candidate for candidate in candidates if self._fits(candidate)]

    def _fits(self, candidate: Candidate) -> bool:
        """Return whether a candidate is small enough and keeps the constraints, as far as that is known.

        Raises:
            StudyError: it is not, and it is what the study is about.
        """
        if run := self._state.runs.get(candidate.id):  # small enough, or it had not been a trial
            beyond = constraints.unmet(constraints.of_texts(self._settings.constraints), run.facts)
            reason = f"it does not keep {constraints.said(beyond)}" if beyond else None
        else:
            reason = self._limits.refusal(candidate.config, self._context, candidate.params)
            reason = reason or self._without_ratio(candidate.config)
        if reason and self._settings.reported:
            raise StudyError(f"{candidate.key} is too large: {reason}")
        if reason:
            self._display.say(f"not confirmed  {candidate.key}: {reason}")
        return reason is None

    @property
    def _asks_for_ratio(self) -> bool:
        """Whether networks' errors are put over PCA's: as an objective, or for a constraint."""
        bounds = constraints.of_texts(self._settings.constraints)
        return RATIO in self._settings.objectives or any(bound.name == RATIO for bound in bounds)

    def _without_ratio(self, config: dict[str, Any]) -> str | None:
        """Return why a config's error cannot be put over PCA's, None where it can, or nobody asks for that."""
        if not self._asks_for_ratio:
            return None
        error = self._baselines.error("val", config["latent_size"])
        if error is not None and error > PCA_ERROR_FLOOR:
            return None
        has = "fewer components" if error is None else "no error there but rounding"
        return f"{RATIO} is not known of a code of {config['latent_size']} numbers: PCA of these images has {has}"

    def _completed(self, job: Job) -> Job:
        """Return a job with PCA's errors at the size of its code, where those are asked for."""
        return beside_pca(job, self._baselines) if self._asks_for_ratio else job

    def _compare_with_pca(self) -> None:
        """Let the display compare each run with PCA's validation error at the same number of components."""
        if self._space.metric == "val_mse" and len(self._data.val):
            self._display.pca = self._baselines.validation_error()

    def _baseline(self) -> None:
        """Record the baseline of every latent size of a run."""
        configs = [run.config for run in self._state.runs.values()]
        if rows := self._baselines.rows(self._state.baseline, configs):
            self._recorder.record(BaselineMeasured(rows))

    def _search(self) -> Iterator[Searcher]:
        if self._settings.reported or self._state.search_ended is not None:
            return
        settings = self._settings
        warm_start = [Point(**point) for point in self._state.about.warm_start] if self._state.about else []
        given = min(len(self._space.points(self._context)) + len(warm_start), settings.trials)
        suggested = settings.trials - given
        self._display.say(f"search: {counted(given, 'trial')} given, {suggested} suggested by the sampler, at most")
        if not suggested:
            self._display.say(f"search: nothing is searched; --trials above {given} would")
        self._display.begin("search")
        device = "GPU" if self._resources.gpus else "processor"
        self._budget = SearchBudget(settings, self._state, self._searched_before, device)
        plan = SearchPlan(
            space=self._space,
            context=self._context,
            objectives=settings.objectives,
            sampler=settings.sampler,
            seed=settings.seed,
            trials=settings.trials,
            epochs=settings.epochs,
            limits=self._limits,
            devices=self._resources.devices,
            refuses=self._without_ratio,
            warm_start=warm_start,
        )
        yield self._after_further_seeds(StudySearcher(plan, self._recorder, self._folder.optuna_log, self._spent))
        self._recorder.record(SearchEnded(*self._budget.ending()))

    def _spent(self) -> str | None:
        """Say which limit of the search has been reached, None where none has; what follows it has no limit."""
        if self._budget is None or self._state.search_ended is not None:
            return None
        return self._budget.spent()

    def _after_further_seeds(self, searcher: engine.UnsavedSearcher) -> Searcher:
        """Return the searcher with the further seeds of the default before it, as far as there are any left to train.

        Raises:
            StudyError: the default is too large, so that its seeds cannot say how far they differ.
        """
        further = confirmation.further_seeds(self._state, self._settings, self._space, self._context)
        if not further:
            return searcher
        default = further[0].candidate
        reason = self._limits.refusal(default.config, self._context, default.params)
        if reason := reason or self._without_ratio(default.config):
            raise StudyError(f"--patience goes by seeds of the default, which is refused: {reason}")
        self._display.say(f"patience: {counted(len(further), 'further run')} of the default, for the spread of seeds")
        one_by_one: list[tuple[Job, ...]] = [(planned.job,) for planned in further]
        return Beside(self._job_list(further, one_by_one), searcher, self._space.metric)

    def _training(self, phase: str, planned: list[Planned]) -> Iterator[Searcher]:
        """Yield a searcher of runs of the confirmation, if there are any."""
        if not planned:
            return
        self._display.begin(phase, len(planned))
        yield self._job_list(planned, self._together(planned))

    def _job_list(self, planned: list[Planned], groups: list[tuple[Job, ...]]) -> JobList:
        """Return a searcher of runs of known configs."""
        by_job = {one.job.id: one for one in planned}

        def begin(job: Job) -> None:
            if job.id not in self._state.runs:
                one = by_job[job.id]
                self._recorder.record(
                    RunStarted(
                        id=job.id,
                        kind=one.kind,
                        number=sum(self._state.count(one.kind).values()),
                        config=job.config,
                        seed=job.seed,
                        budget=job.epochs,
                        params=one.candidate.params,
                        key=one.candidate.key,
                        confirm_of=one.candidate.id if one.kind == "confirm" else None,
                        pretrain_budget=job.pretrain_epochs,
                        role=one.role,
                        devices=self._resources.devices,
                    )
                )

        return JobList(groups, begin, self._space.metric)

    def _together(self, planned: list[Planned]) -> list[tuple[Job, ...]]:
        """Put the replicates of each candidate that are to be trained together into one group."""
        resources = self._resources
        wanted = most_together(self._settings.fuse, len(planned), resources.concurrent, resources.gpus)
        most = {}
        for candidate in {one.candidate.id: one.candidate for one in planned}.values():
            fit = self._limits.replicates(candidate.config, self._context, candidate.params) if wanted > 1 else 1
            most[candidate.id] = min(wanted, fit)
        return grouped([(one.candidate.id, one.job) for one in planned], most)

    def _tune(self, phases: Iterator[Searcher]) -> None:
        """Train what the searchers of the phases suggest, one phase after the other, in the same workers."""
        settings = self._settings
        if (first := next(phases, None)) is None:
            return
        metric, *further = settings.objectives
        searches = not settings.reported and self._state.search_ended is None
        rule = settings.scheduler if searches else "none"
        keep = max(1, settings.confirm_top)
        # A limit that had ended the search before would end them in their first epoch, and nothing were tried.
        again = [run.id for run in self._state.all_runs if run.tried_again] if self._spent() else []
        stopper = engine.BudgetStopper(self._spent, again)
        part_of = pricing.parts(self._resources)
        placing = Placing(settings, self._recorder, part_of, self._folder)
        about = (self._recorder, self._folder, self._space.metric, keep, stopper)
        recording = TuneRecorder(*about, placed=placing, watch=self._watch)
        searcher = engine.Phases(chain([first], phases), metric, self._completed)
        with self._watch.watching():
            engine.run(
                searcher,
                build_scheduler(rule, metric, settings.epochs, self._state, further=further),
                [recording],
                context=self._worker,
                resources=self._resources,
                stopper=stopper,
                inherits=settings.own_ray,
                last_runs=LastRuns(self._state, part_of, searcher.ahead, self._display.say),
            )
        recording.check()

    def _finish(self, confirmed: list[Confirmed]) -> dict[str, Any]:
        """Keep the best network, and write the summary and every table."""
        ranked = best_trials(self._state, self._space.metric)
        if confirmed and not confirmed[0].unmet:
            winner.keep_confirmed(self._folder, confirmed[0].model(self._space.metric), self._train_again)
            self._illustrate(confirmed)
            self._keep_errors(confirmed[0])
        elif ranked and not confirmed:
            winner.keep_trial(self._folder, self._state, ranked[0], self._data, self._train_again)
        else:
            winner.keep_none(self._folder)
        said = self._state.summary  # of an earlier driver: its files are made again
        result = said or summary.summarize(self._state, self._settings, self._space, confirmed, self._state.baseline)
        tables.write(self._folder, self._state)
        files.write_json(self._folder.path / tables.SUMMARY, result)
        left = kept.of_study(self._folder)
        if said is None:
            self._recorder.record(Finished(result, left))
        elif left != self._state.files:
            self._recorder.record(Remade(STUDY, left))
        for run in self._state.confirmations:
            # What training went on from; the network stays, since a later extension may make it the winner.
            checkpoint.path(self._folder.checkpoints, run.id).unlink(missing_ok=True)
        return result

    def _illustrate(self, confirmed: list[Confirmed]) -> None:
        def by_pca(images: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
            return self._baselines.reconstruct(images, confirmed[0].config["latent_size"])

        beside = winner.beside(self._folder, confirmed, self._space.metric)
        illustrate(self._folder.samples, self._data.class_names, by_pca, beside)

    def _keep_errors(self, won: Confirmed) -> None:
        def baseline() -> tuple[int, Errors]:
            row = compare(self._space.family, won.config, won, self._state.baseline).row
            components = row["n_components"] if row else 0
            return components, self._baselines.image_errors(components) if row else {}

        if not winner.keep_errors(self._folder, won.runs, self._data.num_classes, baseline):
            self._display.say(
                "without errors by class and over test images: some networks' own of each image are not kept"
            )

    def _train_again(self, run: Run) -> None:
        """Train a run that has ended once more, from its seed, for the files that it left."""
        self._display.say(f"{run.id:<9} what it has left is missing or damaged: it is trained again")
        candidate = Candidate.of(run)
        epochs, test = len(run.epochs), run.kind == "confirm"
        job = Job(run.id, run.config, run.seed, run.budget, run.pretrain_budget, until=epochs, test=test)
        self._tune(self._training("mending", [Planned(candidate, job, run.role or "report")]))

    def _keep_tables(self, event: Event) -> None:
        """Write the CSV files of a running study now and then, the more seldom the longer it takes."""
        if not isinstance(event, RunEnded) or time.monotonic() < self._tables_due:
            return
        start = time.monotonic()
        tables.write(self._folder, self._state)
        self._tables_due = time.monotonic() + max(_TABLES_EVERY_S, (time.monotonic() - start) / _TABLES_SHARE)


def _stop_if_all_failed(what: str, runs: list[Run]) -> None:
    if runs and all(run.status == "failed" for run in runs):
        raise StudyError(f"every {what} failed; the first one: {runs[0].reason}")
