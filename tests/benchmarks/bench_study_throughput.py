"""Trials per hour of a whole study, to the same error: this project against Optuna alone with a DataLoader.

    python tests/benchmarks/bench_study_throughput.py [--runs 3] [--trials 8] [--only processes]

A trial is the dense MNIST autoencoder 784-256-k-256-784 (Adam, learning rate 0.001, batch 128), trained for 3 epochs on
12,000 images and validated on 2,400 after each; k of 16 to 64 is searched by TPE. 8 trials, 2 at a time with a thread
each, none stopped early. All sides have the same images.

The peers are Optuna's own example (optuna-examples, pytorch/pytorch_simple.py: a loop of one's own over a DataLoader,
`trial.report` after each epoch) with its study in sqlite, in the two ways that Optuna's documentation has for parallel
trials:

- `threads`: `study.optimize(..., n_jobs=2)`.
- `processes`: the script twice, on one sqlite file.

Both load torchvision's MNIST with ToTensor once per process and before the first trial, in their favour. This project's
side is a whole study: Ray Tune, Optuna's log, the journal, a checkpoint after each epoch, every metric in MLflow on
sqlite.

Timed from the first trial's start to the last one's end; a trial starts when its process is up (of this project: when
it begins its first epoch, milliseconds later). `whole command` has all the rest too: imports, Ray, and in this
project's case PCA, tables and the delivery to MLflow, which the peers do not have.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import _command
import _sides
from _lines import OURS, Line, lines_of

PACKAGES = ("ray", "optuna", "mlflow", "torch", "torchvision")
SIDES = ("threads", "processes", OURS)
LABELS = {"threads": "Optuna, 2 threads", "processes": "Optuna, 2 processes"}
LATENT_SIZES = (16, 64)
BATCH_SIZE, EVALUATION_BATCH = 128, 500
LEARNING_RATE = 1e-3
CONCURRENT = 2
# A side whose errors differ by more has not done the same work: three epochs on other ks and seeds differ by 5 %.
TOLERANCE = 0.15


@dataclass(frozen=True)
class Size:
    """How much work a study is."""

    trials: int
    epochs: int = 3
    images: int = 12_000

    @property
    def validation(self) -> range:
        """The indices of the validation images; training has the first ones."""
        return range(50_000, 50_000 + self.images // 5)


@dataclass(frozen=True)
class Outcome:
    """What one study came to; times are `time.time()`, in seconds."""

    first_start: float
    last_end: float
    errors: list[float]  # of the last epoch of each trial, mean squared error on the validation images


class OptunaAlone:
    """The peer: an objective with its own loop."""

    def __init__(self, data_dir: Path, size: Size) -> None:
        import torch
        from torch.utils.data import DataLoader, Subset
        from torchvision import datasets, transforms

        self._size = size
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        images = datasets.MNIST(str(data_dir), train=True, transform=transforms.ToTensor())
        training, validation = Subset(images, range(size.images)), Subset(images, size.validation)
        self._training = DataLoader(training, batch_size=BATCH_SIZE, shuffle=True)
        self._validation = DataLoader(validation, batch_size=EVALUATION_BATCH)

    def __call__(self, trial: Any) -> float:
        """Train a trial and return its last validation error."""
        import torch
        from _networks import DenseAutoencoder

        model = DenseAutoencoder(trial.suggest_int("latent_size", *LATENT_SIZES, log=True)).to(self._device)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        error = float("nan")
        for epoch in range(self._size.epochs):
            model.train()
            for batch, _labels in self._training:
                images = batch.to(self._device)
                optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(model(images), images)
                loss.backward()
                optimizer.step()
            model.eval()
            total = 0.0
            with torch.no_grad():
                for batch, _labels in self._validation:
                    images = batch.to(self._device)
                    total += torch.nn.functional.mse_loss(model(images), images).item() * len(images)
            error = total / len(self._size.validation)
            trial.report(error, epoch)
        return error


def optimize(storage: str, data_dir: Path, size: Size, *, seed: int, trials: int, jobs: int) -> None:
    """Train `trials` of the peer's study at `storage`, `jobs` at a time in this process."""
    import optuna
    import torch

    torch.set_num_threads(1)
    objective = OptunaAlone(data_dir, size)
    study = optuna.load_study(study_name="peer", storage=storage, sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=trials, n_jobs=jobs)


def run_peer(side: str, data_dir: Path, size: Size) -> Outcome:
    """Run the peer's study in the current folder, in threads or in processes."""
    import optuna

    storage = f"sqlite:///{Path.cwd() / 'optuna.db'}"
    optuna.create_study(study_name="peer", storage=storage, direction="minimize")
    if side == "threads":
        optimize(storage, data_dir, size, seed=0, trials=size.trials, jobs=CONCURRENT)
    else:
        script = [sys.executable, __file__, "--data-dir", str(data_dir), *arguments_of(size), "--worker", storage]
        workers = [subprocess.Popen([*script, str(seed)]) for seed in range(CONCURRENT)]
        statuses = [worker.wait() for worker in workers]
        if any(statuses):
            raise RuntimeError("a process of the peer failed")
    trials = optuna.load_study(study_name="peer", storage=storage).get_trials(states=[optuna.trial.TrialState.COMPLETE])
    starts = [trial.datetime_start.timestamp() for trial in trials]
    ends = [trial.datetime_complete.timestamp() for trial in trials]
    return Outcome(min(starts), max(ends), [trial.value for trial in trials])


def run_ours(data_dir: Path, size: Size) -> Outcome:
    """Run this project's study in the current folder."""
    import _own_study

    import search_spaces
    from study.data.image_data import ImageData
    from study.record import journal as record
    from study.record.events import EpochEnded, RunEnded

    space = search_spaces.get("mnist_ae")
    fixed = {
        **{"architecture": "mnist_ae/dense", "hidden_size": 256, "dropout": 0.0, "corruption": "none"},
        **{"sparsity": 0.0, "contraction": 0.0, "optimizer": "adam", "lr": LEARNING_RATE, "weight_decay": 0.0},
        **{"schedule": "constant", "batch_size": BATCH_SIZE},
    }

    def search(ask: Any, context: search_spaces.Context, reported: Sequence[str]) -> None:
        ask.fix(**fixed)
        ask.integer("latent_size", LATENT_SIZES, log=True)

    searched = replace(space, search=search, default={"family": "ae", "latent_size": 32, **fixed})

    def images() -> ImageData:
        train, val = splits(data_dir, size)
        names = tuple("0123456789")
        return ImageData("mnist", names, train, val, val, digest="benchmark", split="of the benchmark", notes=())

    options = f"--scheduler none --sampler tpe --trials {size.trials} --epochs {size.epochs} --smoke"
    folder = Path.cwd()
    _, journal = _own_study.run(
        folder, folder / "mlflow.db", searched, images, f"{options} --max-concurrent {CONCURRENT} --cpus-per-trial 1"
    )
    events = record.read(journal)
    first_start = min(event.time - event.metrics["seconds"] for event in events if isinstance(event, EpochEnded))
    last_end = max(event.time for event in events if isinstance(event, RunEnded))
    trials = record.fold(journal, events).trials
    return Outcome(first_start, last_end, [run.last["val_mse"] for run in trials if run.status == "completed"])


def splits(data_dir: Path, size: Size) -> tuple[Any, Any]:
    """Return the peers' images as the project's splits."""
    import numpy as np
    from torchvision import datasets

    from study.data.splits import Split

    mnist = datasets.MNIST(str(data_dir), train=True)
    every = Split(mnist.data.numpy()[:, None], mnist.targets.numpy())
    return every.take(np.arange(size.images)), every.take(np.array(size.validation))


def measure(side: str, data_dir: Path, size: Size) -> _sides.Run:
    """Run one side in the current folder and return its numbers.

    Raises:
        RuntimeError: it has not trained as many trials as it was to.
    """
    began = time.time()
    outcome = run_ours(data_dir, size) if side == OURS else run_peer(side, data_dir, size)
    if len(outcome.errors) != size.trials:
        raise RuntimeError(f"{len(outcome.errors)} trials were completed instead of {size.trials}")
    seconds = outcome.last_end - outcome.first_start
    return {
        "trials_per_hour": 3600 * size.trials / seconds,
        "seconds": seconds,
        "until_last": outcome.last_end - began,
        "whole": time.time() - began,
        "best": min(outcome.errors),
        "mean": statistics.fmean(outcome.errors),
    }


def lines(options: argparse.Namespace) -> list[Line]:
    """Run all sides and compare them.

    Raises:
        SystemExit: they have not come to the same error.
    """
    folder = _command.data_dir(options)
    _command.need_data("mnist", folder)
    size = Size(2, epochs=1, images=1000) if options.quick else Size(options.trials, options.epochs, options.images)
    runs = 1 if options.quick else options.runs
    arguments = [*arguments_of(size), "--data-dir", str(folder)]
    results = _sides.interleave(__file__, options.only or SIDES, runs, arguments)
    what = f"{size.trials} trials × {size.epochs} epochs × {size.images:,} images, {CONCURRENT} at a time"
    measured = [
        *lines_of(what, "trials an hour", "trials_per_hour", results, labels=LABELS, more_is_better=True),
        *lines_of("first trial's start to last one's end", "s", "seconds", results, labels=LABELS),
        *lines_of("command's start to the last trial's end", "s", "until_last", results, labels=LABELS),
        *lines_of("whole command, imports and ends too", "s", "whole", results, labels=LABELS),
        *lines_of("best validation error", "MSE", "best", results, labels=LABELS),
        *lines_of("mean validation error", "MSE", "mean", results, labels=LABELS),
    ]
    for line in measured if not options.quick else ():
        if line.unit == "MSE" and line.ratio and not abs(line.ratio[0] - 1) <= TOLERANCE:
            sys.exit(f"{line.side}: {line.what} is {line.ratio[0]:.2f} times ours: the sides have not done the same")
    return measured


def arguments_of(size: Size) -> list[str]:
    """Return the options that stand for `size`."""
    return ["--trials", str(size.trials), "--epochs", str(size.epochs), "--images", str(size.images)]


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default 3)")
    parser.add_argument("--trials", type=int, default=8, help="default 8")
    parser.add_argument("--epochs", type=int, default=3, help="default 3")
    parser.add_argument("--images", type=int, default=12_000, help="default 12,000")
    parser.add_argument("--only", choices=SIDES, action="append", help="this side alone; may be repeated")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "RESULT"), help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs=2, metavar=("STORAGE", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = Size(options.trials, options.epochs, options.images)
    if options.worker:
        storage, seed = options.worker
        # Trials are equally long, so each process takes its part of them.
        part = len(range(int(seed), size.trials, CONCURRENT))
        optimize(storage, _command.data_dir(options), size, seed=int(seed), trials=part, jobs=1)
    elif options.child:
        side, result = options.child
        Path(result).write_text(json.dumps(measure(side, _command.data_dir(options), size)))
    else:
        _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    # Threads of the libraries below PyTorch: two trials at once have a core each, on every side.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
