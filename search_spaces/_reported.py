"""What a reported configuration is, and the settings that several reports share.

The entries stand with their data sets. What a report left open is in the entry's note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search_spaces._dataset import DatasetSpec, ImageShape

Settings = dict[str, Any]


@dataclass(frozen=True)
class Reported:
    """A network with its settings as a report ran it.

    Attributes:
        config: the flat config.
        space: the search space that it is a point of.
        image_shape: (channels, height, width) of the report's images, in pixels.
        num_classes: classes of the report's data set.
        epochs: for how long the report trained it, stage by stage: an encoder that is trained as an
            autoencoder first has two.
        note: what the report left open, and what was chosen here.
    """

    config: dict[str, Any]
    space: str
    image_shape: ImageShape
    num_classes: int
    epochs: tuple[int, ...]
    note: str


def entry(
    data: DatasetSpec, family: str, epochs: tuple[int, ...], note: str, *settings: Settings, **more: Any
) -> Reported:
    """Return a reported configuration, whose config is made of the `settings` in their order and of `more`."""
    config: dict[str, Any] = {"family": family, "decay": "all"}  # L2 of PyTorch's optimizers is on every parameter
    for part in (*settings, more):
        config |= part
    return Reported(config, f"{data.name}_{family}", data.image_shape, len(data.class_names), epochs, note)


ADAM: Settings = {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}
SGD: Settings = {"optimizer": "sgd", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
ADAGRAD: Settings = {"optimizer": "adagrad", "lr": 0.001, "weight_decay": 0.0}
RMSPROP: Settings = {"optimizer": "rmsprop", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
SCHEDULE: Settings = {"schedule": "constant"}
CLEAN: Settings = {"corruption": "none"}
UNPENALISED: Settings = {"sparsity": 0.0, "contraction": 0.0}
SUPERVISED: Settings = {"label_smoothing": 0.0, "augmentation": "none", "double_softmax": False}
