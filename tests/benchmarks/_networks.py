"""The networks of the benchmarks, written out as a user of PyTorch would; both sides train the same layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import models

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of the network's output, the images and the labels


class FashionAutoencoder(nn.Sequential):
    """The Fashion-MNIST report's network: latent 64, dropout 0.2; (batch, 1, 28, 28) to the same shape."""

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
    """784-256-k-256-784 with ReLU and a sigmoid output; (batch, 1, 28, 28) to the same shape."""

    def __init__(self, latent_size: int = 32) -> None:
        super().__init__(
            *(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, latent_size)),
            *(nn.Linear(latent_size, 256), nn.ReLU(), nn.Linear(256, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))),
        )


class CifarAutoencoder(nn.Sequential):
    """Encoder 2 and decoder 2 of the CIFAR-10 autoencoder report; (batch, 3, 32, 32) to the same shape."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(3, 7, 2, padding=1), nn.MaxPool2d(2, 2, padding=1), nn.ReLU()),  # 32 → 33 → 17
            *(nn.Conv2d(7, 15, 2, padding=1), nn.MaxPool2d(2, 2, padding=1), nn.ReLU()),  # 17 → 18 → 10
            *(nn.Conv2d(15, 3, 2, padding=1), nn.MaxPool2d(2, 2, padding=1), nn.ReLU()),  # 10 → 11 → 6
            *(nn.ConvTranspose2d(3, 15, 3, stride=2, padding=2), nn.ReLU()),  # 6 → 9
            *(nn.ConvTranspose2d(15, 32, 4, stride=2, padding=3), nn.ReLU()),  # 9 → 14
            *(nn.ConvTranspose2d(32, 3, 6, stride=2), nn.ReLU()),  # 14 → 32
        )


class CifarClassifier(nn.Sequential):
    """Model G of the CIFAR-10 classifier report: four blocks with batch norm and dropout; (batch, 3, 32, 32) to 10."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        before = 3
        for channels, dropout in ((20, 0.1), (40, 0.2), (80, 0.3), (160, 0.4)):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(channels)]
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(channels)]
            layers += [nn.MaxPool2d(2), nn.Dropout(dropout)]
            before = channels
        super().__init__(*layers, nn.Flatten(), nn.Linear(160 * 2 * 2, 10))


def reconstruction_loss(outputs: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error."""
    return nn.functional.mse_loss(outputs, images)


def classification_loss(outputs: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy."""
    return nn.functional.cross_entropy(outputs, labels)


@dataclass(frozen=True)
class Problem:
    """A network and how it is trained: `images` of a torchvision data set, at `batch_size`."""

    data: str  # name of a data set of the project
    torchvision_class: str
    network: Callable[[], nn.Module]
    loss: Loss
    batch_size: int
    images: int  # of an epoch, for the sake of time fewer than there are


PROBLEMS: Mapping[str, Problem] = {
    "fashion": Problem("fashion", "FashionMNIST", FashionAutoencoder, reconstruction_loss, 100, 12_000),
    "mnist": Problem("mnist", "MNIST", DenseAutoencoder, reconstruction_loss, 128, 12_000),
    "cifar": Problem("cifar", "CIFAR10", CifarAutoencoder, reconstruction_loss, 35, 12_000),
    "cifar-classifier": Problem("cifar", "CIFAR10", CifarClassifier, classification_loss, 128, 4_000),
}


class Wrapped(models.Network):
    """A plain network with the methods that this project's loop asks for."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network, self._loss = network, loss

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to minimise and to report."""
        loss = self._loss(self.network(images), images, labels)
        return loss, {"mean": loss.detach()}

    def per_image(self, images: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        """Return the loss of each image, shape (batch,)."""
        outputs = self.network(images)
        pairs = zip(outputs.split(1), images.split(1), labels.split(1), strict=True)
        return {"loss": torch.stack([self._loss(*pair) for pair in pairs])}

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the mean of the images' losses."""
        return {"loss": values["loss"].mean().item()}
