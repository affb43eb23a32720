"""One driver's session with a study: data, baseline, search, confirmation, PCA, files, from wherever it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

import models
import search_spaces
from study import atomic, summary
from study.cluster import shares
from study.command_line import objective_modes
from study.data.image_data import ImageData
from study.display import Display
from study.encoder_source import EncoderSource
from study.errors import StudyError
from study.evaluation import confirmation
from study.evaluation.baselines import baseline_of
from study.evaluation.confirmation import Candidate
from study.records import tables
from study.records.folder import StudyFolder
from study.records.ranking import best_trials
from study.records.recorder import Recorder
from study.records.state import Run
from study.samples import illustration
from study.settings import Settings
from study.training import checkpoint
from study.tuning import engine
from study.tuning.grouping import grouped, most_together
from study.tuning.recording import TuneRecorder
from study.tuning.schedulers import build_scheduler
from study.tuning.searcher import JobList, SearchPlan, StudySearcher
from study.worker.job import Job
from study.worker.run import WorkerContext
from study.worker.shared_data import SharedData

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
        encoder: What classifiers are built on, if they are built on an earlier study's encoder.
        witness: By which nodes that join later tell whether they share the folder.
    """

    def __init__(
        self,
        settings: Settings,
        folder: StudyFolder,
        recorder: Recorder,
        *,
        data: ImageData,
        share: shares.Share,
        display: Display,
        encoder: EncoderSource | None = None,
        witness: Path | None = None,
    ) -> None:
        self._settings, self._folder, self._recorder = settings, folder, recorder
        self._data, self._share, self._display = data, share, display
        self._state = recorder.state
        self._space = search_spaces.get(settings.space)
        self._context = settings.context(data.image_shape, data.num_classes, encoder.keys if encoder else None)
        shared = SharedData.put(data, encoder.state if encoder else None)
        self._baselines = baseline_of(self._space.family)(data, shared, share.node_cpus, display.begin)
        if self._space.family == "ae":
            shared = replace(shared, axes=ray.put(self._baselines.axes()))
        self._worker = WorkerContext(
            shared,
            folder.checkpoints.absolute(),
            folder.errors.absolute(),
            settings.objectives,
            share.threads,
            settings.retries,
            settings.execution,
            share.gpus > 0,
            witness,
            measures_fusing=settings.fuse == "auto",
        )
        self._searched_before = recorder.state.wall_s  # seconds of earlier drivers, which count
        self._tables_due = 0.0
        recorder.listen(self._keep_tables)

    def run(self) -> dict[str, Any]:
        """Go through what is left of the study and return its summary."""
        self._compare_with_pca()
        if not self._settings.reported:
            self._search()
        _stop_if_all_failed("trial", self._state.trials)
        chosen = confirmation.candidates(self._state, self._settings, self._space, self._context)
        chosen = [candidate for candidate in chosen if self._fits(candidate)]
        self._confirm(chosen)
        if self._settings.reported:
            _stop_if_all_failed("run", self._state.confirmations)
        self._baseline()
        return self._finish(chosen)

    def _fits(self, candidate: Candidate) -> bool:
        """Return whether a candidate is small enough; those of the search are, others have not been looked at.

        Raises:
            StudyError: it is not, and it is what the study is about.
        """
        if candidate.id in self._state.runs:
            return True
        limits = self._share.limits(self._settings.max_params)
        reason = limits.refusal(candidate.config, self._context, candidate.params)
        if reason and self._settings.reported:
            raise StudyError(f"{candidate.key} is too large: {reason}")
        if reason:
            self._display.say(f"not confirmed  {candidate.key}: {reason}")
        return reason is None

    def _compare_with_pca(self) -> None:
        """Let the display compare each run with PCA's validation error at the same number of components."""
        if self._space.metric == "val_mse":
            self._display.pca = self._baselines.validation_error()

    def _baseline(self) -> None:
        """Record the baseline of every latent size of a run."""
        configs = [run.config for run in self._state.runs.values()]
        if rows := self._baselines.rows(self._state.baseline.keys(), configs):
            self._recorder.record("baseline", rows=rows)

    def _search(self) -> None:
        if self._state.search_ended is not None:
            return
        settings = self._settings
        self._display.begin("search")
        modes = objective_modes(self._space)
        budget = settings.time_budget_s
        ends = time.monotonic() + budget - self._searched_before if budget else float("inf")

        def out_of_time() -> bool:
            # A budget that is shorter than what goes before the first trial is no reason to have none at all.
            return bool(self._state.trials) and time.monotonic() >= ends

        plan = SearchPlan(
            self._space,
            self._context,
            {name: modes[name] for name in settings.objectives},
            settings.sampler,
            settings.seed,
            settings.trials,
            settings.epochs,
            self._share.limits(settings.max_params),
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
                numbers = {"number": len(self._state.confirmations), "seed": job.seed}
                epochs = {"budget": job.epochs, "pretrain_budget": job.pretrain_epochs}
                kind = {"kind": "confirm", "confirm_of": candidate.id}
                self._recorder.record("run", id=job.id, **kind, **numbers, **epochs, **about)

        searcher = JobList(self._together(jobs), begin, self._space.metric, self._space.mode)
        scheduler = build_scheduler("none", self._space.metric, self._space.mode, 1, self._state)
        self._tune(searcher, scheduler, searcher.most, lambda: False)

    def _together(self, jobs: list[tuple[Candidate, Job]]) -> list[tuple[Job, ...]]:
        """Put the replicates of each candidate that are to be trained together into one group."""
        share = self._share
        wanted = most_together(self._settings.fuse, len(jobs), share.concurrent, share.gpus)
        limits = share.limits(self._settings.max_params)
        most = {}
        for candidate, _ in jobs:
            fit = limits.replicates(candidate.config, self._context, candidate.params) if wanted > 1 else 1
            most[candidate.id] = min(wanted, fit)
        return grouped([(candidate.id, job) for candidate, job in jobs], most)

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
        confirmed = confirmation.confirmed(self._state, chosen, self._space.metric, self._space.mode)
        ranked = best_trials(self._state, self._space.metric, self._space.mode)
        if confirmed:
            confirmation.promote(self._folder, confirmed[0].model.id)
            self._illustrate(confirmed[0].config)
        elif ranked:
            self._keep_checkpoint_as_best(ranked[0])
        result = summary.summarize(self._state, self._settings, self._space, confirmed, self._state.baseline)
        tables.write(self._folder, self._state)
        atomic.write_json(self._folder.path / "summary.json", result)
        self._recorder.record("finish", summary=result)
        for run in self._state.confirmations:
            # What training went on from; the network stays, since a later extension may make it the winner.
            checkpoint.path(self._folder.checkpoints, run.id).unlink(missing_ok=True)
        return result

    def _illustrate(self, config: dict[str, Any]) -> None:
        def by_pca(images: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
            return self._baselines.reconstruct(images, config["latent_size"])

        illustration.illustrate(self._folder.samples, self._data.class_names, by_pca)

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


def _stop_if_all_failed(what: str, runs: list[Run]) -> None:
    if runs and all(run.status == "failed" for run in runs):
        raise StudyError(f"every {what} failed; the first one: {runs[0].reason}")
