"""Autoencoders that start from PCA against PCA itself, at several numbers of components, on the test images.

Each size and seed trains the default network of the data set's `_ae` space (with another latent size) on the study's
training images; PCA is fitted to the same images. Both errors are of the test images, which nothing here chooses by.

    python tests/benchmarks/bench_against_pca.py [--data cifar] [--components 8,32,256] [--epochs 4] [--seeds 2]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from typing import Any

import _command
import _machine
import torch
from _lines import OURS, Line, ratio_of

import search_spaces
from study.baselines import pca
from study.baselines.baseline import PcaAxes
from study.data import image_data
from study.record.intervals import Sample
from study.training.execution import prepare_process
from study.training.trainer import Initial, Trainer


def lines(options: argparse.Namespace) -> list[Line]:
    """Train every size on every seed; ours is better than PCA where the ratio is above 1."""
    if options.quick:
        options.components, options.epochs, options.seeds, options.train_size = "8", 1, 2, 500
    _command.need_data(options.data, _command.data_dir(options))
    sizes = [int(size) for size in options.components.split(",")]
    data = load(options)
    fitted = pca.fit(data.train.images, max(sizes))
    rows = {row["n_components"]: row for row in pca.evaluate(fitted, {"test": data.test.images}, sizes)}
    axes = torch.from_numpy(fitted.mean).float(), torch.from_numpy(fitted.components).float()
    context = multiprocessing.get_context("spawn")
    measured = []
    with context.Pool(options.workers, initializer=begin, initargs=(options, axes)) as pool:
        for size in sizes:
            load_before = (_machine.load(),)
            runs = pool.map(train, [(size, seed) for seed in range(1, options.seeds + 1)], chunksize=1)
            baseline = rows[size]["test_mse_clipped"]
            errors = [run["test_mse"] for run in runs]
            interval = Sample.of("test_mse", dict(enumerate(errors))).interval()
            about = f"{interval.ci95[0]:.6f} … {interval.ci95[1]:.6f}" if interval.ci95 else "none"
            what = f"{options.data}, {size} components, {len(data.train):,} images, {options.epochs} epochs"
            peer_ratio = ratio_of([baseline] * len(errors), errors)
            measured += [
                Line(what, "PCA", "test MSE", (baseline,), ratio=peer_ratio),
                Line(f"{what}; interval of the mean {about}", OURS, "test MSE", tuple(errors), loads=load_before),
                Line(what, OURS, "s a run", tuple(run["seconds"] for run in runs), loads=load_before),
            ]
    return measured


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--data", default="cifar")
    parser.add_argument("--components", default="8,16,32,64,108,128,256")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--train-size", type=int, default=15_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    _command.run(options, ["torch", "scikit-learn"], lambda: lines(options))


def load(options: argparse.Namespace) -> image_data.ImageData:
    """Return the data set, or its subset."""
    return image_data.load(options.data, _command.data_dir(options), train_size=options.train_size)


_worker: dict[str, Any] = {}


def begin(options: argparse.Namespace, axes: PcaAxes) -> None:
    """Prepare a worker process: the data, one thread."""
    prepare_process(threads=1)
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
        initial=Initial(_worker["axes"]),
    )
    for _ in range(options.epochs):
        trainer.epoch()
    seconds = time.perf_counter() - start
    return {"test_mse": trainer.evaluate("test")["mse"], "seconds": seconds}


if __name__ == "__main__":
    main()
