"""What a worker process does: it trains a job, or several together, epoch by epoch, and reports on them."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from study.cluster import shared_storage
from study.record import disk
from study.record.errors import StudyError
from study.record.events import Metrics
from study.training.execution import prepare_process
from study.training.replicates import Replicates, time_steps
from study.worker.energy import EnergyLog, gpu_counters, processor_counters
from study.worker.job import Job, Report, StepResult
from study.worker.run import WorkerContext, WorkerRun, explained, out_of_memory, reason, save, training_of


class Worker:
    """Trains `Job`s epoch by epoch: one after the other, or the replicates of a config together.

    Checkpoints are the study's own (`study.training.checkpoint`), written before an epoch is reported, or after several
    where writing takes long (`study.worker.run.Spacing`): a run whose worker dies is set up again by Tune and goes on
    from its file, as it does when a later driver resumes the study. The first step after that reports the checkpoint's
    epoch once more, since its report may have been lost, and the next ones what had been trained after it; the journal
    and ASHA ignore what they know. So Tune's own save and load, which would store every model twice, are not used.

    A first stage (`study.training.stages`) is trained in a run's first step: its epochs are in the checkpoint and, with
    the first report, in the journal, but no scheduler sees them.

    What goes wrong in a run (its loss, its code) is reported as the run's last result, with a reason, so that the
    worker lives on: the same seed would fail in the same way again. Where memory ran out, which may have been a
    neighbour's doing, the run is set up again here, after a pause; where the worker died, by Tune.

    Several jobs that cannot be trained together, or would not gain by it, are declined, and are jobs of their own then.
    What they have done by then is in their checkpoints.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        if context.own is not None:
            context.own.use()
        prepare_process(context.threads)
        self._device = torch.device("cuda" if context.gpu and torch.cuda.is_available() else "cpu")
        uuid = str(torch.cuda.get_device_properties(self._device).uuid) if self._device.type == "cuda" else None
        self._energy = EnergyLog(processor_counters() | gpu_counters(uuid))
        # Nodes that were there at the start have been asked; one that was started since could have no storage.
        problem = shared_storage.missing(context.probe_file) if context.probe_file else None
        self._unshared = problem and f"is not shared by {socket.gethostname()}: {problem}; mount it"

    def begin(self, jobs: list[Job]) -> None:
        """Turn to other jobs; several are trained together."""
        self._jobs = jobs
        self._retries = 0
        self._free()

    def _free(self) -> None:
        """Free the memory of the jobs before, before tensors of the next ones are made."""
        self._work: WorkerRun | WorkerGroup | None = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the study searches for, the first one before all."""
        return self._context.objectives

    def step(self) -> StepResult:
        """Train one epoch and return how the runs stand, with what the machine says of its energy."""
        return replace(self._step(), energy=self._energy.take())

    def _step(self) -> StepResult:
        if self._unshared is not None:
            return StepResult(storage_problem=self._unshared)
        while True:
            try:
                return self._epoch()
            except Exception as error:
                if problem := disk.problem(error, self._context.folder):  # no other run will do better
                    return StepResult(storage_problem=problem)
                if len(self._jobs) > 1:
                    self._work = None
                    return StepResult(declined=reason(error), too_large=out_of_memory(error))
                if not out_of_memory(error) or self._retries >= self._context.retries:
                    return self._failed(error)
            # Outside the except clause, whose error holds on to the network through its frames.
            self._retries += 1
            self._free()
            time.sleep(2.0 ** (self._retries - 1))

    def _epoch(self) -> StepResult:
        if len(self._jobs) > 1:
            group = self._work if isinstance(self._work, WorkerGroup) else None
            self._work = group = group or WorkerGroup(self._jobs, self._context, self._device)
            return group.step()
        run = self._work if isinstance(self._work, WorkerRun) else None
        self._work = run = run or WorkerRun(self._jobs[0], self._context, self._device)
        return StepResult({run.job.id: run.step()})

    def _failed(self, error: Exception) -> StepResult:
        (job,) = self._jobs
        epoch = self._work.training.epochs_done if isinstance(self._work, WorkerRun) else 0
        self._work = None
        failed = explained(error, self._context.errors, job.id)
        local = disk.elsewhere(error, self._context.folder)  # where another machine may do better
        by_machine = local is not None or out_of_memory(error)
        return StepResult({job.id: Report(epoch, done=True, failed=local or failed, by_machine=by_machine)})


def train(context: WorkerContext, job: Job) -> list[Report]:
    """Train a job to its end in this process, and return its reports in order; the last one may say that it failed.

    Raises:
        StudyError: the folder of its checkpoints cannot be used.
    """
    worker = Worker(context)
    worker.begin([job])
    reports: list[Report] = []
    while not (reports and reports[-1].done):
        step = worker.step()
        if step.storage_problem is not None:
            raise StudyError(f"{context.folder} {step.storage_problem}")
        reports.append(step.reports[job.id])
    return reports


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
            measured = time_steps([training_of(job, context, device).trainer for job in jobs])
            if not measured.pays:
                raise NotFasterError(str(measured))
            others += f": {measured}"
        self._runs = {job.id: WorkerRun(job, context, device) for job in jobs}
        self._replicates = Replicates({name: run.training for name, run in self._runs.items()})
        self._errors, self._folder = context.errors, context.folder
        self._failed: dict[str, str] = {}
        first = self._runs[jobs[0].id]
        first.note = f"{first.note}; {others}" if first.note else others

    def step(self) -> StepResult:
        """Train an epoch, after the first stage where there is one, and return a report of each run.

        A run that has failed reports so again, until the last of the others is done.
        """
        self._replicates.pretrain(after_epoch=self._save_first_stage)
        running = [self._runs[name] for name in self._replicates.running]
        if any(run.repeated is None for run in running):
            trained = self._replicates.epoch()
            save([self._runs[name] for name in trained], list(trained.values()))
            for name, metrics in trained.items():
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
        for name, why in self._failed.items():
            reports[name] = Report(self._runs[name].training.epochs_done, done=True, failed=why)
        return StepResult(reports)

    def _report(self, run: WorkerRun, metrics: Metrics) -> Report:
        """Return a run's report; where its last evaluation fails, it fails alone."""
        try:
            return run.report(metrics)
        except Exception as error:
            if disk.problem(error, self._folder) or disk.elsewhere(error, self._folder):
                raise
            why = self._failed[run.job.id] = explained(error, self._errors, run.job.id)
            return Report(run.training.epochs_done, done=True, failed=why)

    def _save_first_stage(self) -> None:
        running = [self._runs[name] for name in self._replicates.running]
        save(running, [None] * len(running))
