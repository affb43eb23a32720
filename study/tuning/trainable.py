"""The Ray Tune trainable: one run at a time in a worker process that outlives it, one epoch a step."""

from __future__ import annotations

import contextlib
import gc
import math
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from typing import Any

import torch
from ray import tune

import models
from study import atomic, disk
from study.metrics.final_metrics import final_metrics
from study.samples import writing as samples
from study.training import checkpoint
from study.training.execution import Execution
from study.training.stages import StagedTraining
from study.training.trainer import per_image
from study.tuning import shared_storage
from study.tuning.worker_data import SharedData, fetched, on_device

# Where a result of ours lies in what Tune passes around.
METRICS, PRETRAINING, FINAL, FAILED, STORAGE_FAILED = "metrics", "pretraining", "final", "failed", "storage_failed"
NOTE = "note"  # what the user should know of a run that goes on
EPOCH = "epoch"


@dataclass(frozen=True)
class Job:
    """One run to train: the whole of what Tune calls a trial's config."""

    id: str
    config: dict[str, Any]
    seed: int
    epochs: int
    pretrain_epochs: int = 0
    test: bool = False  # a confirmation: evaluate the test split once, at the end, and keep model and samples


@dataclass(frozen=True)
class WorkerContext:
    """What all runs of a study share."""

    data: SharedData
    checkpoints: Path
    errors: Path
    objectives: tuple[str, ...]
    threads: int  # CPU threads per run
    retries: int  # of a run whose worker died or whose memory ran out
    execution: Execution
    gpu: bool  # whether runs have a share of a GPU; without one they leave those that they may see alone
    witness: Path | None = None  # by which a node tells whether it shares the study's storage


class StudyTrainable(tune.Trainable):
    """Trains `Job`s epoch by epoch.

    Checkpoints are the study's own (`study.training.checkpoint`), written before an epoch is reported: a run whose
    worker dies is set up again by Tune and goes on from its file, as it does when a later driver resumes the study. The
    first step after that reports the checkpoint's epoch once more, since its report may have been lost; the journal and
    ASHA ignore what they know. So Tune's own save and load, which would store every model twice, are not used.

    A first stage (`study.training.stages`) is trained in a run's first step: its epochs are in the checkpoint and, with
    the first report, in the journal, but no scheduler sees them.

    What goes wrong in a run (its loss, its code) is reported as the run's last result, with a reason, so that the
    worker lives on: the same seed would fail in the same way again. Where memory ran out, which may have been a
    neighbour's doing, the run is set up again here, after a pause; where the worker died, by Tune.
    """

    def setup(self, config: dict[str, Any], context: WorkerContext | None = None) -> None:
        """Prepare the process and begin the first job."""
        assert context is not None  # given by tune.with_parameters
        self._context = context
        torch.set_num_threads(context.threads)
        self._device = torch.device("cuda" if context.gpu and torch.cuda.is_available() else "cpu")
        # PyTorch imports its compiler with the first optimizer of a process. Here, that is not in a job's time, and
        # what the imports made, which never goes away, is left out of the collections between jobs: a millisecond
        # each instead of half a second.
        torch.optim.SGD([torch.zeros(1, requires_grad=True)])
        gc.collect()
        gc.freeze()
        # Nodes that were there at the start have been asked; one that was started since could have no storage.
        problem = shared_storage.missing(context.witness) if context.witness else None
        self._unshared = problem and f"is not shared by {socket.gethostname()}: {problem}; mount it"
        self._begin(Job(**config["job"]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another job in the same process."""
        self._begin(Job(**new_config["job"]))
        return True

    def _begin(self, job: Job) -> None:
        self._job = job
        self._repeated: dict[str, float] | None = None
        self._told = False  # whether the driver has heard of the first stage
        self._note: str | None = None
        self._retries = 0
        self._free()

    def _free(self) -> None:
        """Give back what the network of before held, before the next one's tensors are made."""
        self._training: StagedTraining | None = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _set_up(self) -> StagedTraining:
        """Build the job's training, from its checkpoint where there is one."""
        shared, job = self._context.data, self._job
        data = {split: on_device(shared, split, self._device) for split in ("train", "val")}
        training = StagedTraining(
            job.config,
            data,
            num_classes=shared.num_classes,
            epochs=job.epochs,
            pretrain_epochs=job.pretrain_epochs,
            seed=job.seed,
            axes=fetched(shared.axes),
            encoder=fetched(shared.encoder),
            execution=self._context.execution,
        )
        try:
            state = checkpoint.load(self._context.checkpoints, job.id)
        except Exception as error:
            # Damaged, by a power cut or a disk. The seed makes the same run again; what the journal has of it already
            # is not recorded twice.
            self._note = f"its checkpoint cannot be read and is made anew, from the first epoch ({_reason(error)})"
            state = None
        if state is not None:
            self._repeated = state.pop("metrics")  # None in the first stage
            training.load_state_dict(state)
        return training

    def step(self) -> dict[str, Any]:
        """Train one epoch and return its metrics; the last result of a job has `done` set."""
        if self._unshared is not None:
            return self._failed("storage") | {STORAGE_FAILED: self._unshared}
        while True:
            try:
                return self._epoch()
            except Exception as error:
                if problem := disk.problem(error):  # no other run will do better
                    return self._failed("storage") | {STORAGE_FAILED: problem}
                if not _out_of_memory(error) or self._retries >= self._context.retries:
                    return self._failed(self._explained(error))
            # Outside the except clause, whose error holds on to the network through its frames.
            self._retries += 1
            self._free()
            time.sleep(2.0 ** (self._retries - 1))

    def _epoch(self) -> dict[str, Any]:
        if self._training is None:
            self._training = self._set_up()
        training = self._training
        training.pretrain(after_epoch=lambda: self._save(training, None))
        if self._repeated is not None:
            metrics, self._repeated = self._repeated, None
        else:
            metrics = training.epoch()
            self._save(training, metrics)
        done = training.epochs_done >= self._job.epochs
        result: dict[str, Any] = {EPOCH: training.epochs_done, METRICS: metrics, "done": done}
        if not self._told:
            result[PRETRAINING], self._told = training.pretraining, True
        if self._note:
            result[NOTE], self._note = self._note, None
        if done and self._job.test:
            result[FINAL] = self._finish(training)
        # Tune's schedulers and searchers look for the objectives at the top.
        known = metrics | {"params": sum(weight.numel() for weight in training.model.parameters())}
        return result | {name: known[name] for name in self._context.objectives}

    def _save(self, training: StagedTraining, metrics: dict[str, float] | None) -> None:
        state = training.state_dict() | {"metrics": metrics}
        checkpoint.save(self._context.checkpoints, self._job.id, state)

    def _finish(self, training: StagedTraining) -> dict[str, float]:
        """Evaluate the test split, the only time that a run sees it, and leave the network and its samples."""
        shared, job, model = self._context.data, self._job, training.model
        splits = {split: on_device(shared, split, self._device) for split in ("train", "val", "test")}
        values = per_image(model, *splits["test"])
        folder = checkpoint.path(self._context.checkpoints, job.id).parent
        models.save(model, job.config, shared.image_shape, shared.num_classes, folder)
        torch.manual_seed(job.seed)
        untrained = models.build(job.config, shared.image_shape, shared.num_classes).to(self._device)
        samples.write(folder, model, untrained, splits, values)
        metrics = model.metrics(values) | final_metrics(model, splits, values, job.seed)
        # As the reports measured it: after training and without dropout, where train_* is of the epoch in progress.
        trained = model.metrics(per_image(model, *splits["train"]))
        return {f"test_{name}": value for name, value in metrics.items()} | {
            f"train_eval_{name}": value for name, value in trained.items()
        }

    def _explained(self, error: Exception) -> str:
        """Return the reason in one line, and leave the traceback in the study's errors/ for who has to mend it."""
        with contextlib.suppress(OSError):
            atomic.write_text(self._context.errors / f"{self._job.id}.txt", "".join(format_exception(error)))
        return _reason(error)

    def _failed(self, reason: str) -> dict[str, Any]:
        # Tune insists on the objective in every result; the searcher and the journal go by the reason.
        objectives = dict.fromkeys(self._context.objectives, math.nan)
        epoch = self._training.epochs_done if self._training else 0
        self._training = None
        return {EPOCH: epoch, METRICS: {}, "done": True, FAILED: reason, **objectives}


def job_config(job: Job) -> dict[str, Any]:
    """Return `job` as the config that a Tune searcher suggests."""
    return {"job": dict(vars(job))}


def job_of(config: Mapping[str, Any]) -> Job:
    """Return the job of a Tune trial's config."""
    return Job(**config["job"])


def _reason(error: Exception) -> str:
    """Say in one line what ended a run."""
    kind = "out of memory" if _out_of_memory(error) else type(error).__name__
    return f"{kind}: {_first_line(error)}".rstrip(": ")


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in _first_line(error)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
