"""One driver's session with a study: data, baseline, search, confirmation, PCA, files, from wherever it stands."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import ray
from numpy.typing import NDArray
from ray.tune.search import Searcher

import models
import search_spaces
from search_spaces import Point
from study.baselines.baseline import baseline_of
from study.cluster import joining
from study.cluster.resources import Resources
from study.data.image_data import ImageData
from study.data.mapped import MappedFile
from study.driver import confirmation, own_space, summary, winner
from study.driver.comparison import compare
from study.driver.confirmation import Candidate, Confirmed, Planned
from study.driver.display import Display
from study.evaluation.image_errors import Errors
from study.evaluation.samples import illustrate
from study.record import files, kept, tables
from study.record.errors import StudyError
from study.record.events import STUDY, BaselineMeasured, Event, Finished, Remade, RunEnded, RunStarted, SearchEnded
from study.record.folder import StudyFolder
from study.record.journal import Recorder
from study.record.ranking import NOTHING_CHOSEN, best_trials
from study.record.settings import Settings
from study.record.state import Run
from study.search import engine
from study.search.job_list import JobList, grouped, most_together
from study.search.recording import TuneRecorder
from study.search.schedulers import build_scheduler
from study.search.searcher import SearchPlan, StudySearcher
from study.search.stall import StallWatch
from study.settings.resolve import space_context
from study.training import checkpoint
from study.training.checkpoint import EncoderSource
from study.training.execution import Execution
from study.training.stages import Budget
from study.worker.job import Job
from study.worker.run import WorkerContext
from study.worker.shared_data import SharedData

T = TypeVar("T")

_QUICK = 1e9  # multiplications, a tenth of a second
_TABLES_EVERY_S = 20.0  # the CSV files of a running study are at most this much behind its journal


@dataclass(frozen=True)
class Setup:
    """What a driver has at hand when it begins to run a study.

    Attributes:
        settings: the study's.
        folder: its folder, locked.
        data: its data set.
        resources: what each run gets of the joined Ray.
        encoder: the earlier study's encoder that classifiers are built on, None without one.
        probe_file: by which nodes that join later tell whether they share the folder, None on one machine.
    """

    settings: Settings
    folder: StudyFolder
    data: ImageData
    resources: Resources
    encoder: EncoderSource | None
    probe_file: Path | None


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
        self._state = recorder.state
        self._space = search_spaces.get(settings.space)
        self._context = space_context(settings, data.image_shape, data.num_classes, encoder.keys if encoder else None)
        shared = SharedData.put(data, encoder.state if encoder else None)
        elsewhere = _NodeCall(data, shared, resources.node_cpus)
        self._baselines = baseline_of(self._space.family)(data.splits, elsewhere, display.begin)
        if any(known.starts_from_pca for known in models.FAMILIES[self._space.family].architectures.values()):
            shared = replace(shared, axes=ray.put(self._baselines.axes()))
        self._worker = WorkerContext(
            data=shared,
            checkpoints=self._folder.checkpoints.absolute(),
            errors=self._folder.errors.absolute(),
            objectives=settings.objectives,
            threads=resources.threads,
            retries=settings.retries,
            execution=Execution(settings.precision, settings.compile),
            gpu=resources.gpus > 0,
            probe_file=setup.probe_file,
            own=own_space.kept(self._folder) if settings.space_file else None,
            measures_fusing=settings.fuse == "auto",
        )
        self._searched_before = recorder.state.wall_s  # seconds of earlier drivers, which count
        self._search_ends = math.inf  # by the monotonic clock
        self._confirmed: list[Confirmed] = []
        self._tables_due = 0.0
        recorder.listen(self._keep_tables)
        self._watch = StallWatch(settings.stall_s, display.say, setup.folder.resume_command())
        recorder.listen(self._watch.event)

    def run(self) -> dict[str, Any]:
        """Go through what is left of the study and return its summary."""
        self._compare_with_pca()
        choosing, reporting = confirmation.runs_at_most(self._settings, self._space, self._context)
        self._display.confirmations = choosing + reporting
        if reporting:
            self._display.say(
                f"confirmation: {choosing} runs choose the winner, {reporting} on fresh seeds report on it, at most"
                if choosing
                else f"confirmation: {reporting} runs at most"
            )
        if not confirmation.chooses(self._settings):
            self._display.say(NOTHING_CHOSEN)
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
        yield from self._training("choosing", confirmation.choosing(state, settings, chosen))
        beside = self._fitting(confirmation.beside(state, settings, self._space, self._context))
        candidates = list({candidate.id: candidate for candidate in (*chosen, *beside)}.values())
        for name in [one.candidate for one in confirmation.confirmed(state, chosen, metric)] or [c.id for c in chosen]:
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
        """Return whether a candidate is small enough; those of the search are, others have not been looked at.

        Raises:
            StudyError: it is not, and it is what the study is about.
        """
        if candidate.id in self._state.runs:
            return True
        limits = self._resources.limits(self._settings.max_params)
        reason = limits.refusal(candidate.config, self._context, candidate.params)
        if reason and self._settings.reported:
            raise StudyError(f"{candidate.key} is too large: {reason}")
        if reason:
            self._display.say(f"not confirmed  {candidate.key}: {reason}")
        return reason is None

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
        self._display.say(f"search: {given} trials are given, {suggested} suggested by the sampler, at most")
        if not suggested:
            self._display.say(f"search: nothing is searched; --trials above {given} would")
        self._display.begin("search")
        if settings.time_budget_s is not None:
            self._search_ends = time.monotonic() + settings.time_budget_s - self._searched_before
        plan = SearchPlan(
            space=self._space,
            context=self._context,
            objectives=settings.objectives,
            sampler=settings.sampler,
            seed=settings.seed,
            trials=settings.trials,
            epochs=settings.epochs,
            limits=self._resources.limits(settings.max_params),
            warm_start=warm_start,
        )
        yield StudySearcher(plan, self._recorder, self._folder.optuna_log, self._out_of_time)
        self._recorder.record(SearchEnded("time budget" if self._out_of_time() else "trials"))

    def _out_of_time(self) -> bool:
        """Say whether the search has had its time; what follows it has no limit."""
        if self._settings.reported or self._state.search_ended is not None:
            return False
        # A budget that is shorter than what goes before the first trial is no reason to have none at all.
        return bool(self._state.trials) and time.monotonic() >= self._search_ends

    def _training(self, phase: str, planned: list[Planned]) -> Iterator[Searcher]:
        """Yield a searcher of runs of the confirmation, if there are any."""
        if not planned:
            return
        self._display.begin(phase, len(planned))
        by_job = {one.job.id: one for one in planned}

        def begin(job: Job) -> None:
            if job.id not in self._state.runs:
                candidate = by_job[job.id].candidate
                self._recorder.record(
                    RunStarted(
                        id=job.id,
                        kind="confirm",
                        number=len(self._state.confirmations),
                        config=job.config,
                        seed=job.seed,
                        budget=job.epochs,
                        params=candidate.params,
                        key=candidate.key,
                        confirm_of=candidate.id,
                        pretrain_budget=job.pretrain_epochs,
                        role=by_job[job.id].role,
                    )
                )

        yield JobList(self._together(planned), begin, self._space.metric)

    def _together(self, planned: list[Planned]) -> list[tuple[Job, ...]]:
        """Put the replicates of each candidate that are to be trained together into one group."""
        resources = self._resources
        wanted = most_together(self._settings.fuse, len(planned), resources.concurrent, resources.gpus)
        limits = resources.limits(self._settings.max_params)
        most = {}
        for candidate in {one.candidate.id: one.candidate for one in planned}.values():
            fit = limits.replicates(candidate.config, self._context, candidate.params) if wanted > 1 else 1
            most[candidate.id] = min(wanted, fit)
        return grouped([(one.candidate.id, one.job) for one in planned], most)

    def _tune(self, phases: Iterator[Searcher]) -> None:
        """Train what the searchers of the phases suggest, one phase after the other, in the same workers."""
        settings = self._settings
        if (first := next(phases, None)) is None:
            return
        metric, *further = settings.objectives
        rule = settings.scheduler if isinstance(first, StudySearcher) else "none"
        keep = max(1, settings.confirm_top)
        time_budget = engine.TimeBudget(self._out_of_time)
        recording = TuneRecorder(self._recorder, self._folder, self._space.metric, keep, time_budget, watch=self._watch)
        with self._watch.watching():
            engine.run(
                engine.Phases(chain([first], phases), metric),
                build_scheduler(rule, metric, settings.epochs, self._state, further=further),
                [recording],
                context=self._worker,
                resources=self._resources,
                time_budget=time_budget,
            )
        recording.check()

    def _finish(self, confirmed: list[Confirmed]) -> dict[str, Any]:
        """Keep the best network, and write the summary and every table."""
        ranked = best_trials(self._state, self._space.metric)
        if confirmed:
            winner.keep_confirmed(self._folder, confirmed[0].model(self._space.metric), self._train_again)
            self._illustrate(confirmed[0].config)
            self._keep_errors(confirmed[0])
        elif ranked:
            winner.keep_trial(self._folder, self._state, ranked[0], self._data, self._train_again)
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

    def _illustrate(self, config: dict[str, Any]) -> None:
        def by_pca(images: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
            return self._baselines.reconstruct(images, config["latent_size"])

        illustrate(self._folder.samples, self._data.class_names, by_pca)

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
        candidate = Candidate(run.id, run.config, run.key, run.params, Budget(run.budget, run.pretrain_budget))
        epochs, test = len(run.epochs), run.kind == "confirm"
        job = Job(run.id, run.config, run.seed, run.budget, run.pretrain_budget, until=epochs, test=test)
        self._tune(self._training("mending", [Planned(candidate, job, run.role or "report")]))

    def _keep_tables(self, event: Event) -> None:
        """Write the CSV files of a running study now and then, the more seldom the longer it takes."""
        if not isinstance(event, RunEnded) or time.monotonic() < self._tables_due:
            return
        start = time.monotonic()
        tables.write(self._folder, self._state)
        self._tables_due = time.monotonic() + max(_TABLES_EVERY_S, 20 * (time.monotonic() - start))


class _NodeCall:
    """Calls functions in a worker process; arrays of the study's data are passed as their references.

    What takes less time than a process takes to start is called in this one: the baseline of few small images.
    """

    def __init__(self, data: ImageData, shared: SharedData, cpus: float) -> None:
        self._cpus = cpus
        self._references = {
            id(array): reference
            for name, split in data.splits.items()
            for array, reference in zip((split.images, split.labels), shared.splits[name], strict=True)
        }

    def __call__(self, function: Callable[..., T], /, *arguments: object) -> T:
        if _is_quick(arguments):
            return function(*arguments)
        passed = (self._references.get(id(argument), argument) for argument in arguments)
        result: T = joining.run_on_node(_with_files, function, *passed, cpus=self._cpus)
        return result


def _is_quick(arguments: Sequence[object]) -> bool:
    """Say whether a covariance of the images among the arguments, and its eigenvectors, take a fraction of a second."""
    if any(isinstance(argument, MappedFile) for argument in arguments):
        return False
    images = [argument.shape for argument in arguments if isinstance(argument, np.ndarray) and argument.ndim > 1]
    return all(shape[0] * math.prod(shape[1:]) ** 2 + math.prod(shape[1:]) ** 3 < _QUICK for shape in images)


def _with_files(function: Callable[..., T], *arguments: object) -> T:
    """Call a function with the arrays that files among the arguments hold."""
    return function(*(argument.open() if isinstance(argument, MappedFile) else argument for argument in arguments))


def _stop_if_all_failed(what: str, runs: list[Run]) -> None:
    if runs and all(run.status == "failed" for run in runs):
        raise StudyError(f"every {what} failed; the first one: {runs[0].reason}")
