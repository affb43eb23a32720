"""The configurations that the reports ran, as data. What a report left open is in the entry's note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Reported:
    """A network with its settings as a report ran it.

    Attributes:
        config: the flat config.
        space: the search space that it is a point of.
        image_shape: (channels, height, width) of the report's images, in pixels.
        epochs: for how long the report trained it.
        note: what the report left open, and what was chosen here.
    """

    config: dict[str, Any]
    space: str
    image_shape: tuple[int, int, int]
    epochs: int
    note: str


def _cifar_ae(encoder: int, decoder: int) -> Reported:
    return Reported(
        config={
            "family": "ae",
            "architecture": f"cifar_ae/{encoder}+{decoder}",
            "latent_size": 108,
            "dropout": 0.0,
            "optimizer": "adam",
            "lr": 1e-3,
            "weight_decay": 0.0,
            "schedule": "constant",
            "batch_size": 35,
        },
        space="cifar_ae",
        image_shape=(3, 32, 32),
        epochs=100,
        note="The report names Adam and SGD, and its table does not say which it used: Adam chosen, the "
        "default that it gives with lr 0.001. It trained on all 50,000 images, without a validation split.",
    )


REPORTED: Mapping[str, Reported] = MappingProxyType(
    {
        # CIFAR-10 autoencoders against PCA, January 2025
        "cifar_ae/1+1": _cifar_ae(1, 1),
        "cifar_ae/1+2": _cifar_ae(1, 2),
        "cifar_ae/2+1": _cifar_ae(2, 1),
        "cifar_ae/2+2": _cifar_ae(2, 2),
    }
)


def reported_for(space: str, image_shape: tuple[int, int, int]) -> dict[str, Reported]:
    """Return the reported configurations that are points of `space` on images of this shape, by key."""
    return {key: entry for key, entry in REPORTED.items() if entry.space == space and entry.image_shape == image_shape}
