"""Milliseconds of a training step of R replicates: together, against one after the other.

    python tests/benchmarks/bench_fused.py [--network fashion/base …] [--replicates 1,2,4,8,16,32] [--device cuda]
                                           [--rounds 5] [--steps 20] [--threads N]

The networks are reported configurations (`search_spaces.reported`) and the default of a space (`digits_ae`), on random
images of their size: what a step costs does not depend on what is in them. In each round the sides take turns; a
time is that of `--steps` whole steps (images gathered, loss, gradients, optimizer), divided by their number, after a
warm-up. One after the other is R times the step of one, which is measured once a round. Float32. Needs PyTorch and
this project; no Ray, Optuna or MLflow.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import _command
import _machine
import torch
from _lines import Line, ratio_of

import search_spaces
from study.training.execution import prepare_process
from study.training.fused import FusedTrainer
from study.training.trainer import Trainer

NETWORKS = ("digits_ae", "mnist_ae/dense", "fashion/base", "cifar_cnn/G", "cifar_ae/2+2")
ON_CPU = NETWORKS[:3]  # the others take seconds a step there
REPLICATES, FEW_REPLICATES = "1,2,4,8,16,32", "1,2,4,8"
QUICK = {"network": ["digits_ae"], "replicates": "1,2", "rounds": 2, "steps": 3}
CLASSES = 10
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


def measure(network: str, options: argparse.Namespace) -> list[Line]:
    """Return a line for each side and number of replicates, with a value for each round."""
    config, shape = config_of(network)
    device = torch.device(options.device)
    data = random_images(shape, config["batch_size"] * options.steps, device)

    def trainer(seed: int) -> Trainer:
        return Trainer(config, data, num_classes=CLASSES, epochs=100, seed=seed)

    single = trainer(0)
    single.train(WARM_UP)
    where = "a GPU" if device.type == "cuda" else f"a CPU, threads: {options.threads}"
    lines = []
    for count in map(int, options.replicates.split(",")):
        fused = FusedTrainer([trainer(seed) for seed in range(count)])
        fused.train(WARM_UP)
        together, alone, loads = [], [], []
        for _ in range(options.rounds):
            loads.append(_machine.load())
            together.append(milliseconds(fused.train, options.steps))
            alone.append(count * milliseconds(single.train, options.steps))
        what = f"{network}, batch {config['batch_size']}, R = {count}, on {where}"
        lines.append(Line(what, "together", "ms a step", tuple(together), loads=tuple(loads)))
        ratio = ratio_of(alone, together)
        lines.append(Line(what, "one after the other", "ms a step", tuple(alone), ratio, tuple(loads)))
    return lines


def lines(options: argparse.Namespace) -> list[Line]:
    """Measure every network; why one cannot be trained together is its line."""
    prepare_process(options.threads)
    measured = []
    for network in options.network:
        try:
            measured += measure(network, options)
        except RuntimeError as error:
            measured.append(Line(network, reason=str(error).splitlines()[0]))
    return measured


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument(
        "--network", action="append", help=f"may be repeated (default: {', '.join(NETWORKS)}; on a CPU three)"
    )
    parser.add_argument("--replicates", help=f"default {REPLICATES}, on a CPU {FEW_REPLICATES}")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--steps", type=int, default=20, help="of a round and side (default 20)")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU (default 1, as a study's run has)")
    options = parser.parse_args()
    on_cpu = options.device == "cpu"
    options.network = options.network or (ON_CPU if on_cpu else NETWORKS)
    options.replicates = options.replicates or (FEW_REPLICATES if on_cpu else REPLICATES)
    if options.quick:
        vars(options).update(QUICK)
    _command.run(options, ("torch",), lambda: lines(options))


if __name__ == "__main__":
    main()
