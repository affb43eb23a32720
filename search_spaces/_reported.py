"""What a reported configuration is, and the settings that several reports share.

The entries stand with their data sets. What a report left open is in the entry's note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search_spaces._dataset import DatasetSpec, ImageShape

Settings = dict[str, Any]


@dataclass(frozen=True)
class ReportedSplit:
    """How a report divided the images that its data set publishes for training and, where there are any, validation.

    Attributes:
        train: images that it trained on.
        val: images that it held out of them; 0 where it had no validation split.
        words: a sentence on both, and on what it leaves open.
    """

    train: int
    val: int
    words: str


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
        split: the images that the report had.
        open_choices: the keys of the config, or words, of what the report left open; empty where it says everything.
        in_search: whether a search of its space begins with it too. Those that are there to decide a claim alone are
            run by `--reported` only, and their space need not reach them.
    """

    config: dict[str, Any]
    space: str
    image_shape: ImageShape
    num_classes: int
    epochs: tuple[int, ...]
    note: str
    split: ReportedSplit
    open_choices: tuple[str, ...] = ()
    in_search: bool = True


OPEN_LAYERS = frozenset({"channels", "hidden_size", "kernel sizes", "latent_size"})
"""The open choices that change the layers, and so the number of parameters."""


def entry(
    data: DatasetSpec,
    family: str,
    epochs: tuple[int, ...],
    note: str,
    *settings: Settings,
    split: ReportedSplit,
    open_choices: tuple[str, ...] = (),
    in_search: bool = True,
    **more: Any,
) -> Reported:
    """Return a reported configuration, whose config is made of the `settings` in their order and of `more`."""
    config: dict[str, Any] = {"family": family, "decay": "all"}  # L2 of PyTorch's optimizers is on every parameter
    for part in (*settings, more):
        config |= part
    space, classes = f"{data.name}_{family}", len(data.class_names)
    return Reported(config, space, data.image_shape, classes, epochs, note, split, open_choices, in_search)


ADAM: Settings = {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}
SGD: Settings = {"optimizer": "sgd", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
ADAGRAD: Settings = {"optimizer": "adagrad", "lr": 0.001, "weight_decay": 0.0}
RMSPROP: Settings = {"optimizer": "rmsprop", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
SCHEDULE: Settings = {"schedule": "constant"}
CLEAN: Settings = {"corruption": "none"}
UNPENALISED: Settings = {"sparsity": 0.0, "contraction": 0.0}
SUPERVISED: Settings = {"label_smoothing": 0.0, "augmentation": "none", "double_softmax": False}
