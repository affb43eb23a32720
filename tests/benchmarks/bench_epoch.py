"""Seconds per training epoch: this project's loop against torchvision + ToTensor + DataLoader.

    python tests/benchmarks/bench_epoch.py [--runs 5] [--network fashion] [--only workers-0] [--data-dir DIR]

An epoch is the first 12,000 images of the real training set (a fifth of it, for the sake of time), shuffled.
`fashion` is the autoencoder of the Fashion-MNIST report at its batch of 100: there the arithmetic is the cost.
`mnist` is a dense autoencoder at a batch of 128: there loading is. Each run is a process of its own that trains
one epoch to warm up and times the next; PyTorch has all cores. Validation is not part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import _machine
import _sides
import torch
from torch import Tensor, nn

import models

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "torchvision", "numpy")
SIDES = ("workers-0", "workers-2", "ours")
IMAGES = 12_000
BATCH_SIZES = {"fashion": 100, "mnist": 128}
LEARNING_RATE = 1e-3


class FashionAutoencoder(nn.Sequential):
    """The report's network: latent 64, dropout 0.2; (batch, 1, 28, 28) to the same shape."""

    def __init__(self, latent_size: int = 64, dropout: float = 0.2) -> None:
        super().__init__(
            *(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Dropout(dropout), nn.MaxPool2d(2)),  # 28 → 26 → 13
            *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Dropout(dropout), nn.MaxPool2d(2)),  # 13 → 11 → 5
            *(nn.Flatten(), nn.Linear(800, latent_size), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(latent_size, 800), nn.ReLU(), nn.Dropout(dropout), nn.Unflatten(1, (32, 5, 5))),
            *(nn.ConvTranspose2d(32, 16, 5, stride=2), nn.ReLU(), nn.Dropout(dropout)),  # 5 → 13
            *(nn.ConvTranspose2d(16, 1, 4, stride=2), nn.Sigmoid()),  # 13 → 28
        )


class DenseAutoencoder(nn.Sequential):
    """784-256-32-256-784 with ReLU and a sigmoid output; (batch, 1, 28, 28) to the same shape."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 32)),
            *(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))),
        )


class Wrapped(models.Network):
    """A plain network with the methods that this project's loop asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean squared error to minimise and to report."""
        loss = nn.functional.mse_loss(self.network(images), images)
        return loss, {"mse": loss.detach()}

    def per_image(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the mean squared error of each image, shape (batch,)."""
        return {"mse": (self.network(images) - images).square().flatten(1).mean(1)}

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the mean of the images' errors."""
        return {"mse": values["mse"].mean().item()}


NETWORKS: dict[str, Callable[[], nn.Module]] = {"fashion": FashionAutoencoder, "mnist": DenseAutoencoder}


def peer(network: str, data_dir: Path, workers: int, epochs: int) -> list[float]:
    """Train as PyTorch's tutorials do and return the wall seconds of each epoch."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    dataset = {"fashion": datasets.FashionMNIST, "mnist": datasets.MNIST}[network]
    images = dataset(str(data_dir), train=True, transform=transforms.ToTensor())
    loader = DataLoader(
        Subset(images, range(IMAGES)), batch_size=BATCH_SIZES[network], shuffle=True, num_workers=workers
    )
    model = NETWORKS[network]()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loss_of = nn.MSELoss()
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        model.train()
        total = 0.0
        for batch, _labels in loader:
            optimizer.zero_grad()
            loss = loss_of(model(batch), batch)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        seconds.append(time.perf_counter() - started)
        print(f"{network}, {workers} workers: train MSE {total / IMAGES:.5f} in {seconds[-1]:.2f} s")
    return seconds


def ours(network: str, images: Tensor, labels: Tensor, epochs: int) -> list[float]:
    """Train the same layers in this project's loop and return the wall seconds of each epoch, training alone.

    Args:
        network: "fashion" or "mnist", whose layers NETWORKS spells out, batch size and learning rate as there.
        images: uint8, shape (IMAGES, 1, 28, 28), the images that the peers train on.
        labels: int64, shape (IMAGES,).
        epochs: how many to train, the one to warm up included.
    """
    from study.training.trainer import Trainer

    # The layers are the peers' own, so that nothing but the loop differs; the config says how to train them.
    models.build = lambda config, image_shape, num_classes: Wrapped(NETWORKS[network]())
    training = {"optimizer": "adam", "lr": LEARNING_RATE, "weight_decay": 0.0, "schedule": "constant"}
    data = {"train": (images, labels), "val": (images[:100], labels[:100])}
    trainer = Trainer(training | {"batch_size": BATCH_SIZES[network]}, data, num_classes=10, epochs=epochs, seed=0)
    seconds = []
    for _ in range(epochs):
        metrics = trainer.epoch()
        seconds.append(metrics["train_seconds"])
        print(f"{network}, ours: train MSE {metrics['train_mse']:.5f} in {seconds[-1]:.2f} s")
    return seconds


def measure(side: str, network: str, data_dir: Path) -> _sides.Run:
    """Train one epoch to warm up and return the seconds of a second one."""
    torch.manual_seed(0)
    if side == "ours":
        from torchvision import datasets

        dataset = {"fashion": datasets.FashionMNIST, "mnist": datasets.MNIST}[network]
        train = dataset(str(data_dir), train=True)
        epochs = ours(network, train.data[:IMAGES, None].clone(), train.targets[:IMAGES].clone(), 2)
    else:
        epochs = peer(network, data_dir, int(side.rpartition("-")[2]), 2)
    return {"seconds_per_epoch": epochs[1]}


def main() -> None:
    """Run and print the benchmark."""
    parser = argparse.ArgumentParser(description="Seconds per epoch, against torchvision and a DataLoader.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default 5)")
    parser.add_argument("--network", choices=NETWORKS, help="one network alone (default: both)")
    parser.add_argument("--only", choices=SIDES, action="append", help="this side alone; may be repeated")
    parser.add_argument("--data-dir", type=Path, help="where MNIST and FashionMNIST lie")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    default = os.environ.get("STUDY_DATA") or "~/.cache/study-data"
    data_dir = (options.data_dir or Path(default).expanduser()).resolve()
    if options.child:
        sys.path.insert(0, str(REPOSITORY))
        side, result = options.child
        Path(result).write_text(json.dumps(measure(side, options.network, data_dir)))
        return
    print(_machine.describe(PACKAGES))
    print(f"{IMAGES:,} images per epoch, float32 on the CPU, {torch.get_num_threads()} threads\n", flush=True)
    for network in [options.network] if options.network else NETWORKS:
        arguments = ["--network", network, "--data-dir", str(data_dir)]
        results = _sides.interleave(__file__, options.only or SIDES, options.runs, arguments)
        title = f"{network}, batch {BATCH_SIZES[network]}"
        print(_sides.format_summary(title, "wall seconds per epoch", "seconds_per_epoch", results, "ours") + "\n")


if __name__ == "__main__":
    main()
