"""Several runs in a worker that are trained together: the replicates of one config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from study.record import disk
from study.training.replicates import Replicates, compare
from study.worker.failures import explained
from study.worker.job import EPOCH, FAILED, METRICS, REPORTS, Job
from study.worker.run import WorkerContext, WorkerRun, training_of


class NotFasterError(RuntimeError):
    """Training the replicates together saves no time here; the message has what was measured."""


class WorkerGroup:
    """Jobs of one config and budget, each from its checkpoint, to be trained together.

    Raises:
        NotFasterError: it was measured, and would not pay.
        ValueError: their checkpoints are of different epochs.
        RuntimeError: their loss cannot be mapped.
    """

    def __init__(self, jobs: Sequence[Job], context: WorkerContext, device: torch.device) -> None:
        others = f"is trained together with {', '.join(job.id for job in jobs[1:])}"
        if context.measures_fusing:
            # On networks that are thrown away: the run's own would not be the ones that its seed makes.
            measured = compare([training_of(job, context, device).trainer for job in jobs])
            if not measured.pays:
                raise NotFasterError(str(measured))
            others += f": {measured}"
        self._runs = {job.id: WorkerRun(job, context, device) for job in jobs}
        self._replicates = Replicates({name: run.training for name, run in self._runs.items()})
        self._errors = context.errors
        self._failed: dict[str, str] = {}
        first = self._runs[jobs[0].id]
        first.note = f"{first.note}; {others}" if first.note else others

    def step(self) -> dict[str, Any]:
        """Train an epoch, after the first stage where there is one, and return a report of each run.

        A run that has failed reports so again, until the last of the others is done.
        """
        self._replicates.pretrain(after_epoch=self._save_first_stage)
        running = [self._runs[name] for name in self._replicates.running]
        if any(run.repeated is None for run in running):
            for name, metrics in self._replicates.epoch().items():
                self._runs[name].save(metrics)
                self._runs[name].repeated = metrics
        reports = {}
        for name in self._replicates.running:
            run = self._runs[name]
            assert run.repeated is not None
            metrics, run.repeated = run.repeated, None
            if name not in self._failed:
                reports[name] = self._report(run, metrics)
        for name, error in self._replicates.failed.items():
            self._failed.setdefault(name, explained(error, self._errors, name))
        for name, reason in self._failed.items():
            epoch = self._runs[name].training.epochs_done
            reports[name] = {EPOCH: epoch, METRICS: {}, "done": True, FAILED: reason}
        done = all(report["done"] for report in reports.values())
        return {EPOCH: max(report[EPOCH] for report in reports.values()), REPORTS: reports, "done": done}

    def _report(self, run: WorkerRun, metrics: dict[str, float]) -> dict[str, Any]:
        """Return a run's report; where its last evaluation fails, it fails alone."""
        try:
            return run.report(metrics)
        except Exception as error:
            if disk.problem(error):
                raise
            self._failed[run.job.id] = explained(error, self._errors, run.job.id)
            return {}

    def _save_first_stage(self) -> None:
        for name in self._replicates.running:
            self._runs[name].save(None)
