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
        open_choices: the keys of the config, or words, of what the report left open; empty where it says everything.
    """

    config: dict[str, Any]
    space: str
    image_shape: ImageShape
    num_classes: int
    epochs: tuple[int, ...]
    note: str
    open_choices: tuple[str, ...] = ()


OPEN_LAYERS = frozenset({"channels", "hidden_size", "kernel sizes", "latent_size"})
"""The open choices that change the layers, and so the number of parameters."""


def entry(
    data: DatasetSpec,
    family: str,
    epochs: tuple[int, ...],
    note: str,
    *settings: Settings,
    open_choices: tuple[str, ...] = (),
    **more: Any,
) -> Reported:
    """Return a reported configuration, whose config is made of the `settings` in their order and of `more`."""
    config: dict[str, Any] = {"family": family, "decay": "all"}  # L2 of PyTorch's optimizers is on every parameter
    for part in (*settings, more):
        config |= part
    space, classes = f"{data.name}_{family}", len(data.class_names)
    return Reported(config, space, data.image_shape, classes, epochs, note, open_choices)


ADAM: Settings = {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}
SGD: Settings = {"optimizer": "sgd", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
ADAGRAD: Settings = {"optimizer": "adagrad", "lr": 0.001, "weight_decay": 0.0}
RMSPROP: Settings = {"optimizer": "rmsprop", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
SCHEDULE: Settings = {"schedule": "constant"}
CLEAN: Settings = {"corruption": "none"}
UNPENALISED: Settings = {"sparsity": 0.0, "contraction": 0.0}
SUPERVISED: Settings = {"label_smoothing": 0.0, "augmentation": "none", "double_softmax": False}
