"""Milliseconds of a training step of R replicates: together, against one after the other.

    python tests/benchmarks/bench_fused.py [--network fashion/base …] [--replicates 1,2,4,8,16,32] [--device cuda]
                                           [--rounds 5] [--steps 20] [--threads N]

The networks are reported configurations (`search_spaces.reported`) and the default of a space (`digits_ae`), on random
images of their size: what a step costs does not depend on what is in them. In each round the sides take turns; a
time is that of `--steps` whole steps (images gathered, loss, gradients, optimizer), divided by their number, after a
warm-up. One after the other is R times the step of one, which is measured once a round. The ratio's spread is that of
the rounds' ratios. Needs PyTorch and this project; no Ray, Optuna or MLflow.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

import _command
import _machine
import torch
from _lines import LOAD, MEMORY, OURS, Line, lines_of

import search_spaces
from study.training.fused import FusedTrainer
from study.training.trainer import Trainer

NETWORKS = ("digits_ae", "mnist_ae/dense", "fashion/base", "cifar_cnn/G", "cifar_ae/2+2")
REPLICATES = "1,2,4,8,16,32"
CLASSES = 10
ALONE = "one after the other"
WARM_UP = 3


def config_of(network: str) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """Return the config of a reported configuration, or the default one of a space, and its images' shape."""
    reported = search_spaces.reported()
    if network in reported:
        return dict(reported[network].config), search_spaces.get(reported[network].space).image_shape
    space = search_spaces.get(network)
    return dict(space.default), space.image_shape


def random_images(shape: tuple[int, int, int], n: int, device: torch.device) -> dict[str, tuple[torch.Tensor, ...]]:
    """Return as many random images and labels for training, and a few for validation, on the device."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8).to(device)
    labels = torch.randint(0, CLASSES, (n,), generator=generator).to(device)
    return {"train": (images, labels), "val": (images[:10], labels[:10])}


def milliseconds(train: Callable[[int], object], steps: int) -> float:
    """Return what a step takes; the training reads its sums from the device, and so waits for all of the steps."""
    started = time.perf_counter()
    train(steps)
    return 1e3 * (time.perf_counter() - started) / steps


def measure(
    config: Mapping[str, Any], data: Mapping[str, Any], replicates: list[int], steps: int, rounds: int
) -> dict[int, dict[str, list[dict[str, float]]]]:
    """Return, by the number of replicates, the rounds of both sides, in milliseconds a step of all replicates."""

    def trainer(seed: int) -> Trainer:
        return Trainer(config, data, num_classes=CLASSES, epochs=100, seed=seed)

    single = trainer(0)
    single.train(WARM_UP)
    results: dict[int, dict[str, list[dict[str, float]]]] = {}
    for count in replicates:
        fused = FusedTrainer([trainer(seed) for seed in range(count)])
        fused.train(WARM_UP)
        results[count] = {ALONE: [], OURS: []}
        for _ in range(rounds):
            about = {LOAD: _machine.load(), MEMORY: 0.0}
            results[count][OURS].append({"ms": milliseconds(fused.train, steps), **about})
            results[count][ALONE].append({"ms": count * milliseconds(single.train, steps), **about})
    return results


def lines(options: argparse.Namespace) -> list[Line]:
    """Measure every network."""
    if options.quick:
        options.network, options.replicates, options.rounds, options.steps = ["digits_ae"], "1,2", 1, 5
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {options.threads} threads"
    replicates = [int(count) for count in options.replicates.split(",")]
    measured = []
    for network in options.network or NETWORKS:
        config, shape = config_of(network)
        data = random_images(shape, config["batch_size"] * options.steps, device)
        for count, results in measure(config, data, replicates, options.steps, options.rounds).items():
            what = f"{network}, batch {config['batch_size']}, R = {count}, {where}"
            measured += lines_of(what, "ms a step of all", "ms", results)
    return measured


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--network", action="append", help=f"may be repeated (default: {', '.join(NETWORKS)})")
    parser.add_argument("--replicates", default=REPLICATES, help=f"default {REPLICATES}")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--steps", type=int, default=20, help="of a round and side (default 20)")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU (default 1, as a study's run has)")
    options = parser.parse_args()
    _command.run(options, ("torch",), lambda: lines(options))


if __name__ == "__main__":
    main()
