"""One run in a worker: set up from its checkpoint, saved after an epoch or some, evaluated at its end, reported."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception

import torch

import models
from models.own import OwnCode
from study.evaluation import samples
from study.evaluation.final_metrics import final_metrics
from study.evaluation.reconstruction import WATCHED_EVERY, progress, reconstruct, watched
from study.record import disk, files, kept
from study.record.events import Metrics
from study.record.metrics import sizes
from study.training import checkpoint
from study.training.execution import Execution
from study.training.stages import Budget, StagedTraining
from study.training.trainer import Initial, per_image, start
from study.worker.job import Job, Report
from study.worker.shared_data import SharedData, fetched, on_device


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What all runs of a study share."""

    data: SharedData
    checkpoints: Path
    errors: Path
    objectives: tuple[str, ...]
    threads: int  # CPU threads per run
    retries: int  # of a run whose worker died or whose memory ran out
    execution: Execution
    gpu: bool  # whether runs have a share of a GPU; without one they use none that they may see
    probe_file: Path | None = None  # by which a node tells whether it shares the study's storage
    own: OwnCode | None = None  # the user's own file, which every process runs
    measures_fusing: bool = True  # whether runs are trained together only where a measurement says that it pays

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self.checkpoints.parent


def training_of(job: Job, context: WorkerContext, device: torch.device) -> StagedTraining:
    """Return the job's training at its beginning."""
    shared = context.data
    return StagedTraining(
        job.config,
        {split: on_device(shared, split, device) for split in ("train", "val")},
        num_classes=shared.num_classes,
        budget=Budget(job.epochs, job.pretrain_epochs),
        seed=job.seed,
        initial=Initial(fetched(shared.axes), fetched(shared.encoder)),
        execution=context.execution,
    )


_QUICK = 0.2  # seconds below which writing a checkpoint is no matter
_APART = 9  # times what writing one took, until the next


class Spacing:
    """When checkpoints are written: after each epoch, or, where writing takes long, so rarely that it is a tenth.

    On a GPU a network of 160 million weights has epochs of 0.3 s and a checkpoint of 2 GB. What an interruption costs
    is then nine times what writing takes, and an epoch at most otherwise. What it takes is the shortest so far: a
    disk that is busy for once changes nothing. Runs that are trained together share one, so that they stay at the same
    epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._took, self._ended = 0.0, clock()  # the first one is due

    @property
    def due(self) -> bool:
        """Whether to write one after this epoch."""
        return self._took < _QUICK or self._clock() - self._ended >= _APART * self._took

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Measure what is written inside."""
        began = self._clock()
        yield
        self._ended = self._clock()
        took = self._ended - began
        self._took = min(self._took, took) if self._took else took


class WorkerRun:
    """A job's training, from its checkpoint where there is one."""

    def __init__(self, job: Job, context: WorkerContext, device: torch.device) -> None:
        self.job = job
        self.spacing = Spacing()
        self.training = training_of(job, context, device)
        self.note: str | None = None
        """What the next report tells the user."""
        self.repeated: Metrics | None = None
        """The metrics of the checkpoint's epoch, whose report may have been lost; None once they are reported."""
        self._history: list[Metrics] = []  # of every epoch of the last stage
        self._context, self._device = context, device
        self._progress: dict[int, torch.Tensor] = {}  # epoch -> what the network made of some training images
        self.training.watch = self._watch
        self._reported = False  # whether the driver has heard of the first stage
        try:
            state = checkpoint.load(context.checkpoints, job.id)
        except Exception as error:
            if disk.problem(error, context.folder):
                raise
            # Damaged, by a power cut or a disk. The seed makes the same run again; what the journal has of it already
            # is not recorded twice.
            self.note = f"its checkpoint cannot be read and is made anew, from the first epoch ({reason(error)})"
            state = None
        if state is not None:
            self.repeated = state.pop("metrics")  # None in the first stage
            self._history = state.pop("history", [])
            self._progress = state.pop("progress", {})  # an earlier version looked at none
            self.training.load_state_dict(state)

    def step(self) -> Report:
        """Train an epoch, after the first stage where there is one, and return its report."""
        self.training.pretrain(after_epoch=lambda: save([self], [None]))
        if self.repeated is None:
            metrics = self.training.epoch()
            save([self], [metrics])
        else:
            metrics, self.repeated = self.repeated, None
        return self.report(metrics)

    def add(self, metrics: Metrics) -> None:
        """Add an epoch of the last stage with these metrics to the run's history."""
        self._history.append(metrics)
        self._watch(self.training.model, self.training.epochs_done)

    @property
    def _ended(self) -> bool:
        return self.training.epochs_done >= (self.job.until or self.job.epochs)

    @property
    def leaves_its_checkpoint(self) -> bool:
        """Whether the run is over and goes on from its checkpoint later, or is shown from it: no confirmation is."""
        return self._ended and (not self.job.test or self.job.until not in (0, self.job.epochs))

    def write(self, metrics: Metrics | None) -> None:
        """Write the checkpoint of the epoch with these metrics, None in the first stage."""
        state = self.training.state_dict() | {
            "metrics": metrics,
            "history": self._history,
            "progress": self._progress,
        }
        checkpoint.save(self._context.checkpoints, self.job.id, state)

    def _watch(self, model: models.Network, epoch: int) -> None:
        """Keep what the network makes of a few training images, after every fifth epoch of a confirmation."""
        if self.job.test and isinstance(model, models.Reconstructive) and epoch % WATCHED_EVERY == 0:
            images = watched(on_device(self._context.data, "train", self._device))
            self._progress[epoch] = reconstruct(model, images).cpu()

    def report(self, metrics: Metrics) -> Report:
        """Return what the driver is told of an epoch with these metrics, once: the note and the first stage are gone.

        After the last epoch of a confirmation, the test split is evaluated.
        """
        training = self.training
        done = self._ended
        tested = done and self.job.test
        pretraining = [] if self._reported else training.pretraining
        earlier = [] if self._reported else [self._beside_pca(epoch, "val") for epoch in self._history[:-1]]
        note, self.note, self._reported = self.note, None, True
        return Report(
            epoch=training.epochs_done,
            metrics=self._beside_pca(metrics, "val"),
            sizes=sizes(self.job.config, sum(weight.numel() for weight in training.model.parameters())),
            done=done,
            pretraining=pretraining,
            earlier=earlier,
            final=self._beside_pca(self._finish(), "test") if tested else {},
            files=kept.fingerprints(self._folder, (*kept.OF_NETWORK, "*.npz")) if tested else {},
            note=note,
        )

    def _beside_pca(self, metrics: Metrics, split: str) -> Metrics:
        """Return metrics with the error of a split over PCA's, where the job asks for it and they have the error."""
        error = metrics.get(f"{split}_mse")
        if self.job.pca is None or error is None:
            return metrics
        return metrics | {f"{split}_ratio_to_pca": error / self.job.pca[split]}

    @property
    def _folder(self) -> Path:
        return checkpoint.path(self._context.checkpoints, self.job.id).parent

    def _finish(self) -> Metrics:
        """Evaluate the test split, the only time that a run sees it, and leave the network and its samples."""
        shared, job, model = self._context.data, self.job, self.training.model
        splits = {split: on_device(shared, split, self._device) for split in ("train", "val", "test")}
        values = per_image(model, *splits["test"])
        known = shared.trained.to_json()
        models.save(model, job.config, shared.image_shape, shared.num_classes, self._folder, images=known)
        torch.manual_seed(job.seed)
        untrained = models.build(job.config, shared.image_shape, shared.num_classes)
        start(untrained, job.config, splits["train"][0], fetched(shared.axes))
        samples.write(self._folder, model, untrained.to(self._device), splits, values)
        if self._progress:
            samples.save(self._folder / "progress.npz", progress(watched(splits["train"]), self._progress))
        metrics = model.metrics(values) | final_metrics(model, splits, values, job.seed)
        # As the reports measured it: after training and without dropout, where train_* is of the epoch in progress.
        trained = model.metrics(per_image(model, *splits["train"]))
        return {f"test_{name}": value for name, value in metrics.items()} | {
            f"train_eval_{name}": value for name, value in trained.items()
        }


def save(runs: Sequence[WorkerRun], metrics: Sequence[Metrics | None]) -> None:
    """Add an epoch to runs that are at the same one, and write their checkpoints if that is due.

    Args:
        runs: One, or those that are trained together and have not failed.
        metrics: Each one's of the epoch, None in the first stage.
    """
    for run, values in zip(runs, metrics, strict=True):
        if values is not None:
            run.add(values)
    if runs and (runs[0].spacing.due or any(run.leaves_its_checkpoint for run in runs)):
        with runs[0].spacing.writing():
            for run, values in zip(runs, metrics, strict=True):
                run.write(values)


def explained(error: Exception, errors: Path, run_id: str) -> str:
    """Return what ended a run in one line, and write the traceback to the study's folder `errors`."""
    with contextlib.suppress(OSError):
        files.write_text(errors / f"{run_id}.txt", "".join(format_exception(error)))
    return reason(error)


def reason(error: Exception) -> str:
    """Say in one line what ended a run."""
    kind = "out of memory" if out_of_memory(error) else type(error).__name__
    return f"{kind}: {_first_line(error)}".rstrip(": ")


def out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out, of the GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in _first_line(error)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
