"""Autoencoders that start from PCA against PCA itself, at several numbers of components, on the test images.

Each size and seed trains the default network of the data set's `_ae` space (with another latent size) on the study's
training images; PCA is fitted to the same images. Both errors are of the test images, which nothing here chooses by.

    python tests/benchmarks/bench_against_pca.py --data cifar --components 32,108,256 --epochs 3 --seeds 3
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path
from typing import Any

import _machine
import torch

import search_spaces
from study.data import image_data
from study.evaluation.confirmation import Interval
from study.training import pca
from study.training.trainer import PcaAxes, Trainer


def main() -> None:
    """Train, and print a line per size as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar")
    parser.add_argument("--components", default="8,16,32,64,108,128,256")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    sizes = [int(size) for size in options.components.split(",")]
    data = load(options)
    fitted = pca.fit(data.train.images, max(sizes))
    rows = {row["n_components"]: row for row in pca.evaluate(fitted, {"test": data.test.images}, sizes)}
    print(_machine.describe(["torch", "scikit-learn"]))
    print(f"{len(data.train):,} training images, {options.epochs} epochs, {options.seeds} seeds; test MSE × 1000\n")
    print("| components | PCA | network, mean and 95 % interval | ratio | parameters | seconds a run |")
    print("|---|---|---|---|---|---|")
    axes = torch.from_numpy(fitted.mean).float(), torch.from_numpy(fitted.components).float()
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.workers, initializer=begin, initargs=(options, axes)) as pool:
        for size in sizes:
            runs = pool.map(train, [(size, seed) for seed in range(1, options.seeds + 1)], chunksize=1)
            errors = Interval.of([run["test_mse"] for run in runs])
            low, high = errors.ci95 or (errors.mean, errors.mean)
            baseline = rows[size]["test_mse"]
            print(
                f"| {size} | {1e3 * baseline:.3f} | {1e3 * errors.mean:.3f} ({1e3 * low:.3f} … {1e3 * high:.3f}) "
                f"| {errors.mean / baseline:.3f} | {runs[0]['params']:,} | {max(run['seconds'] for run in runs):.0f} |",
                flush=True,
            )


def load(options: argparse.Namespace) -> image_data.ImageData:
    """Return the data set, or its subset."""
    return image_data.load(options.data, Path(image_data.default_data_dir()), train_size=options.train_size)


_worker: dict[str, Any] = {}


def begin(options: argparse.Namespace, axes: PcaAxes) -> None:
    """Prepare a worker process: the data, one thread."""
    torch.set_num_threads(1)
    data = load(options)
    splits = {"train": data.train, "val": data.val, "test": data.test}
    _worker["data"] = {k: (torch.from_numpy(s.images), torch.from_numpy(s.labels)) for k, s in splits.items()}
    _worker["options"], _worker["axes"], _worker["classes"] = options, axes, data.num_classes


def train(job: tuple[int, int]) -> dict[str, float]:
    """Train one size with one seed and return its test error."""
    size, seed = job
    options = _worker["options"]
    config = {**search_spaces.get(f"{options.data}_ae").default, "latent_size": size}
    start = time.perf_counter()
    trainer = Trainer(
        config,
        _worker["data"],
        num_classes=_worker["classes"],
        epochs=options.epochs,
        seed=seed,
        axes=_worker["axes"],
    )
    for _ in range(options.epochs):
        trainer.epoch()
    seconds = time.perf_counter() - start
    params = sum(weight.numel() for weight in trainer.model.parameters())
    return {"test_mse": trainer.evaluate("test")["mse"], "seconds": seconds, "params": params}


if __name__ == "__main__":
    main()
