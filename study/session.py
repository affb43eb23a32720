"""One driver's session with a study: data, baseline, search, confirmation, PCA, files, from wherever it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import models
import search_spaces
from search_spaces import Context
from study import atomic, checkpoint, cluster, confirmation, engine, pca, summary, tables
from study.command_line import objective_modes
from study.confirmation import Candidate
from study.display import Display
from study.errors import StudyError
from study.folder import StudyFolder
from study.image_data import ImageData
from study.ranking import best_trials
from study.recorder import Recorder, TuneRecorder
from study.schedulers import build_scheduler
from study.searcher import JobList, SearchPlan, StudySearcher
from study.settings import Settings
from study.state import Run
from study.trainable import Job, WorkerContext
from study.worker_data import SharedData

_TABLES_EVERY_S = 20.0  # the CSV files of a running study are at most this much behind its journal


class Session:
    """A study in progress, in a joined Ray.

    Args:
        settings: The study's settings.
        folder: Its folder, locked.
        recorder: Its journal and state.
        data: Its data set.
        share: What each run gets.
        display: What the user sees.
    """

    def __init__(
        self,
        settings: Settings,
        folder: StudyFolder,
        recorder: Recorder,
        *,
        data: ImageData,
        share: cluster.Share,
        display: Display,
    ) -> None:
        self._settings, self._folder, self._recorder = settings, folder, recorder
        self._data, self._share, self._display = data, share, display
        self._state = recorder.state
        self._space = search_spaces.get(settings.space)
        self._context = space_context(settings, data.image_shape, data.num_classes)
        self._pca: pca.Pca | None = None
        self._worker = WorkerContext(
            SharedData.put(data),
            folder.checkpoints.absolute(),
            folder.errors.absolute(),
            settings.objectives,
            share.threads,
        )
        self._searched_before = recorder.state.wall_s  # seconds of earlier drivers, which count
        self._tables_due = 0.0
        recorder.listen(self._keep_tables)

    def run(self) -> dict[str, Any]:
        """Go through what is left of the study and return its summary."""
        self._search()
        trials = self._state.trials
        if trials and all(run.status == "failed" for run in trials):
            raise StudyError(f"every trial failed; the first one: {trials[0].reason}")
        self._baseline()
        chosen = confirmation.candidates(self._state, self._settings, self._space, self._context)
        self._confirm(chosen)
        return self._finish(chosen)

    def _fitted_pca(self) -> pca.Pca:
        """Return PCA of the training images at the largest rank that a trial of any space asks for, fitted once."""
        if self._pca is None:
            self._display.begin("PCA of the training images")
            images = self._data.train.images
            limit = pca.rank_limit(len(images), images[0].size)
            largest = min(limit, max({512, *self._latent_sizes()}))
            shared = self._worker.data.splits["train"][0]
            try:
                self._pca = cluster.run_on_node(pca.fit, shared, largest, cpus=self._share.node_cpus)
            except ValueError as error:
                raise StudyError(f"PCA cannot be fitted: {error}") from None
        return self._pca

    def _show_pca(self) -> None:
        """Let the display compare each run with PCA's validation error at the same number of components."""
        if self._space.metric != "val_mse":
            return
        fitted = self._fitted_pca()
        curve = pca.error_curve(fitted, self._data.val.images)

        def error(run: Run) -> float | None:
            rank = run.config["latent_size"]
            return float(curve[rank - 1]) if rank <= fitted.rank else None

        self._display.pca = error

    def _baseline(self) -> None:
        """Record PCA at the standard numbers of components and at every latent size of a trial."""
        wanted = {*self._standard_ranks(), *self._latent_sizes()} - set(self._state.baseline)
        if not wanted:
            return
        fitted = self._fitted_pca()
        self._display.begin("PCA baseline")
        splits = {name: getattr(self._data, name).images for name in pca.SPLITS}
        rows = pca.evaluate(fitted, splits, [rank for rank in wanted if rank <= fitted.rank])
        if rows:
            self._recorder.record("baseline", rows=rows)

    def _standard_ranks(self) -> list[int]:
        images = self._data.train.images
        return pca.standard_ranks(len(images), images[0].size)

    def _latent_sizes(self) -> set[int]:
        return {run.config["latent_size"] for run in self._state.trials}

    def _search(self) -> None:
        if self._state.search_ended is not None:
            return
        self._show_pca()
        settings = self._settings
        self._display.begin("search")
        modes = objective_modes(self._space)
        budget = settings.time_budget_s
        ends = time.monotonic() + budget - self._searched_before if budget else float("inf")

        def out_of_time() -> bool:
            return time.monotonic() >= ends

        plan = SearchPlan(
            self._space,
            self._context,
            {name: modes[name] for name in settings.objectives},
            settings.sampler,
            settings.seed,
            settings.trials,
            settings.epochs,
            settings.max_params or self._share.default_max_params(),
        )
        searcher = StudySearcher(plan, self._recorder, self._folder.optuna_log, out_of_time)
        scheduler = build_scheduler(
            settings.scheduler,
            settings.objectives[0],
            modes[settings.objectives[0]],
            settings.epochs,
            self._state,
        )
        left = settings.trials - sum(run.status != "running" for run in self._state.trials)
        self._tune(searcher, scheduler, left, out_of_time)
        self._recorder.record("search_end", reason="time budget" if out_of_time() else "trials")

    def _confirm(self, chosen: list[Candidate]) -> None:
        jobs = confirmation.missing_jobs(self._state, self._settings, chosen)
        if not jobs:
            return
        self._display.begin("confirmation", self._settings.confirm_seeds * len(chosen))
        candidates = {job.id: candidate for candidate, job in jobs}

        def begin(job: Job) -> None:
            if job.id not in self._state.runs:
                candidate = candidates[job.id]
                about = {"key": candidate.key, "config": job.config, "params": candidate.params}
                numbers = {"number": len(self._state.confirmations), "seed": job.seed, "budget": job.epochs}
                self._recorder.record("run", id=job.id, kind="confirm", confirm_of=candidate.id, **numbers, **about)

        searcher = JobList([job for _, job in jobs], begin, self._space.metric, self._space.mode)
        scheduler = build_scheduler("none", self._space.metric, self._space.mode, 1, self._state)
        self._tune(searcher, scheduler, len(jobs), lambda: False)

    def _tune(self, searcher: Any, scheduler: Any, samples: int, out_of_time: Callable[[], bool]) -> None:
        keep = max(1, self._settings.confirm_top)
        recording = TuneRecorder(self._recorder, self._folder, self._space.metric, self._space.mode, keep)
        engine.run(
            searcher,
            scheduler,
            [recording],
            context=self._worker,
            share=self._share,
            samples=samples,
            out_of_time=out_of_time,
        )

    def _finish(self, chosen: list[Candidate]) -> dict[str, Any]:
        """Keep the best network, and write the summary and every table."""
        winner = confirmation.winner(self._state, chosen, self._space.metric, self._space.mode)
        ranked = best_trials(self._state, self._space.metric, self._space.mode)
        if winner:
            confirmation.promote(self._folder, winner.model.id)
        elif ranked:
            self._keep_checkpoint_as_best(ranked[0])
        result = summary.summarize(self._state, self._settings, self._space, winner, self._state.baseline)
        tables.write(self._folder, self._state)
        atomic.write_json(self._folder.path / "summary.json", result)
        self._recorder.record("finish", summary=result)
        for run in self._state.confirmations:
            # What training went on from; the network stays, since a later extension may make it the winner.
            checkpoint.path(self._folder.checkpoints, run.id).unlink(missing_ok=True)
        return result

    def _keep_checkpoint_as_best(self, run: Run) -> None:
        state = checkpoint.load(self._folder.checkpoints, run.id)
        if state is None:
            raise StudyError(f"the checkpoint of the best trial, {run.id}, is missing from {self._folder.checkpoints}")
        model = models.build(run.config, self._data.image_shape, self._data.num_classes)
        model.load_state_dict(state["model"])
        models.save(model, run.config, self._data.image_shape, self._data.num_classes, self._folder.best)

    def _keep_tables(self, event: dict[str, Any]) -> None:
        """Write the CSV files of a running study now and then, the more seldom the longer it takes."""
        if event["event"] != "end" or time.monotonic() < self._tables_due:
            return
        start = time.monotonic()
        tables.write(self._folder, self._state)
        self._tables_due = time.monotonic() + max(_TABLES_EVERY_S, 20 * (time.monotonic() - start))


def space_context(settings: Settings, image_shape: tuple[int, int, int], num_classes: int) -> Context:
    """Return what the space has to know of the data; reported architectures take part where they fit."""
    return Context(image_shape, num_classes, reported=not settings.smoke)
