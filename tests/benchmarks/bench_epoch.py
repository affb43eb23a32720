"""Seconds per training epoch: this project's loop against torchvision + ToTensor + DataLoader.

    python tests/benchmarks/bench_epoch.py [--runs 5] [--network fashion] [--only workers-0] [--device cuda]

An epoch is the first images of the real training set (12,000, of the classifier 4,000, for the sake of time), shuffled:

- `fashion`: the autoencoder of the Fashion-MNIST report at its batch of 100. There the arithmetic is the cost.
- `mnist`: a dense autoencoder, 784-256-32-256-784, batch 128. There loading is.
- `cifar`: autoencoder 2+2 of the CIFAR-10 report at its batch of 35. The peer without workers is the report's own loop:
  ToTensor for each sample, every batch's loss read at once.
- `cifar-classifier`: model G of the report on CIFAR-10 classifiers, batch 128.

Each run is a process of its own that trains one epoch to warm up and times the next; PyTorch has all cores. On a GPU
the peer's batches are pinned and sent without waiting. Validation is not part of it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import _command
import _sides
import torch
from _lines import OURS, Line, lines_of
from _networks import PROBLEMS, Problem, Wrapped
from torch import Tensor

import models

PACKAGES = ("torch", "torchvision", "numpy")
SIDES = ("workers-0", "workers-2", OURS)
LABELS = {"workers-0": "DataLoader, 0 workers", "workers-2": "DataLoader, 2 workers"}
LEARNING_RATE = 1e-3
QUICK_IMAGES = 400


def peer(problem: Problem, data_dir: Path, images: int, workers: int, device: torch.device) -> list[float]:
    """Train two epochs as PyTorch's tutorials do and return the wall seconds of each."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    dataset = getattr(datasets, problem.torchvision_class)(str(data_dir), transform=transforms.ToTensor())
    loader = DataLoader(
        Subset(dataset, range(images)),
        batch_size=problem.batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=device.type == "cuda",
    )
    model = problem.network().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        model.train()
        total = 0.0
        for pixels, labels in loader:
            pixels, labels = pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)  # noqa: PLW2901
            optimizer.zero_grad()
            loss = problem.loss(model(pixels), pixels, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(pixels)
        seconds.append(time.perf_counter() - started)
        print(f"{workers} workers: training loss {total / images:.5f} in {seconds[-1]:.2f} s")
    return seconds


def ours(problem: Problem, images: Tensor, labels: Tensor) -> list[float]:
    """Train the same layers for two epochs in this project's loop and return the wall seconds of training alone.

    Args:
        problem: Network, loss and batch size.
        images: uint8, shape (n, channels, height, width), the images that the peers train on, on the device.
        labels: int64, shape (n,), there too.
    """
    from study.training.execution import prepare_process
    from study.training.trainer import Trainer

    prepare_process(torch.get_num_threads())  # as a worker of a study does; the peers do not
    # The layers are the peers' own, so that nothing but the loop differs; the config says how to train them.
    models.build = lambda config, image_shape, num_classes: Wrapped(problem.network(), problem.loss)
    training = {"family": "ae", "architecture": "conv", "optimizer": "adam", "lr": LEARNING_RATE}
    training |= {"weight_decay": 0.0, "schedule": "constant"}
    data = {"train": (images, labels), "val": (images[:100], labels[:100])}
    trainer = Trainer(training | {"batch_size": problem.batch_size}, data, num_classes=10, epochs=2, seed=0)
    seconds = []
    for _ in range(2):
        metrics = trainer.epoch()
        seconds.append(metrics["train_seconds"])
        print(f"ours: training loss {metrics['train_loss']:.5f} in {seconds[-1]:.2f} s")
    return seconds


def measure(side: str, problem: Problem, data_dir: Path, images: int, device: torch.device) -> _sides.Run:
    """Train one epoch to warm up and return the seconds of a second one."""
    torch.manual_seed(0)
    if side == OURS:
        from torchvision import datasets

        dataset = getattr(datasets, problem.torchvision_class)(str(data_dir))
        pixels = torch.as_tensor(dataset.data[:images])
        # MNIST and Fashion-MNIST are (n, height, width), CIFAR-10 (n, height, width, channels).
        pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
        labels = torch.as_tensor(dataset.targets[:images])
        epochs = ours(problem, pixels.contiguous().to(device), labels.to(device))
    else:
        epochs = peer(problem, data_dir, images, int(side.rpartition("-")[2]), device)
    return {"seconds_per_epoch": epochs[1]}


def lines(options: argparse.Namespace) -> list[Line]:
    """Run every network on every device, as far as they were asked for."""
    measured = []
    for device in [options.device] if options.device else ["cpu", "cuda"]:
        if device == "cuda" and not torch.cuda.is_available():
            measured.append(Line("on a GPU", reason="no CUDA device was found"))
            continue
        for network in options.network or PROBLEMS:
            problem = PROBLEMS[network]
            _command.need_data(problem.data, _command.data_dir(options))
            images = QUICK_IMAGES if options.quick else problem.images
            arguments = ["--network", network, "--data-dir", str(_command.data_dir(options)), "--device", device]
            arguments += ["--quick"] * options.quick
            runs = 1 if options.quick else options.runs
            results = _sides.interleave(__file__, options.only or SIDES, runs, arguments)
            where = "GPU" if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
            what = f"{network}, batch {problem.batch_size}, {images:,} images, {where}"
            measured += lines_of(what, "s an epoch", "seconds_per_epoch", results, labels=LABELS)
    return measured


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default 5)")
    parser.add_argument("--network", choices=PROBLEMS, action="append", help="this network alone; may be repeated")
    parser.add_argument("--only", choices=SIDES, action="append", help="this side alone; may be repeated")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="this device alone (default: both)")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        side, result = options.child
        problem = PROBLEMS[options.network[0]]
        images = QUICK_IMAGES if options.quick else problem.images
        device = torch.device(options.device)
        numbers = measure(side, problem, _command.data_dir(options), images, device)
        Path(result).write_text(json.dumps(numbers))
        return
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
