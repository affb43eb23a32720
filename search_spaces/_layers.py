"""What the searches of all families ask for: the architecture, the layers of the general ones, and the training.

In the words of Google's tuning playbook, architecture, latent size and regularisation are scientific; learning rate,
momentum, schedule and batch size are nuisance parameters, searched so that every network is seen at its best; epochs
are fixed by the study, which may stop a trial early.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces._ask import Ask, Bounds
from search_spaces._dataset import ImageShape
from search_spaces._optimizers import PIXEL_ERROR, TrainingRanges, optimization

ACTIVATIONS = ("relu", "elu", "gelu", "silu")
KERNEL_SIZES = (3, 5)
HALVING = ("conv", "pca")
HIGHEST_DROPOUT = 0.5  # above one half little of a narrow code is left


@dataclass(frozen=True)
class LayerBounds:
    """How large the general dense and convolutional networks of a data set may be, in every family.

    Attributes:
        dense_depth: the most hidden layers on each side.
        dense_width: their features.
        conv_depth: stages, each of which halves the image; of the architecture `pca` too.
        conv_width: channels of the first stage, doubled by each further one.
        residual_blocks: the most after each halving and doubling, 0 where none are searched. Two gain on one, and one
            on none, at 4 and 3 times the seconds (CIFAR-10, docs/method.md).
    """

    dense_depth: int
    dense_width: Bounds
    conv_depth: Bounds
    conv_width: Bounds
    residual_blocks: int = 0


def architecture(ask: Ask, general: Sequence[str], reported: Sequence[str]) -> str:
    """Ask for one of the `general` architectures, or for a `reported` one where there are any.

    All reported ones together are one choice beside the general ones: there may be many, some are slow, and
    as equal choices they would take most of a random search's trials.
    """
    if not reported:
        only: str = ask.choice("architecture", general)
        return only
    kind: str = ask.decision("architecture", (*general, "reported"), _kind)
    if kind == "reported":
        name: str = ask.choice("architecture", reported, name="reported_architecture")
        return name
    ask.fix(architecture=kind)
    return kind


def general(names: Sequence[str], image_shape: ImageShape) -> tuple[str, ...]:
    """Return those of the general architectures that images of this shape allow: conv and pca halve them once at least.

    A strip of one row or column has nothing to halve.
    """
    return tuple(name for name in names if name not in HALVING or halvings(image_shape))


def _kind(config: Mapping[str, Any]) -> str:
    return "reported" if "/" in config["architecture"] else config["architecture"]


def dense_layers(ask: Ask, bounds: LayerBounds, least_depth: int, highest_dropout: float = HIGHEST_DROPOUT) -> None:
    """Ask for hidden layers, at least `least_depth`; 0 is a linear encoder and decoder, with no dropout."""
    if ask.integer("depth", (least_depth, bounds.dense_depth), name="dense_depth") == 0:
        ask.fix(dropout=0.0)
        return
    ask.integer("width", bounds.dense_width, name="dense_width", log=True)
    _hidden_layers(ask)
    dropout(ask, highest_dropout)


def conv_layers(
    ask: Ask, image_shape: ImageShape, bounds: LayerBounds, highest_dropout: float = HIGHEST_DROPOUT
) -> None:
    """Ask for stages, each of which halves the image, and for the channels of the first.

    There are fewer stages if the image is too small for so many: one needs 2 pixels a side to halve. A study's
    images have one shape, so its bounds stay.
    """
    least, most = bounds.conv_depth
    ask.integer("depth", (least, min(most, halvings(image_shape))), name="conv_depth")
    ask.integer("width", bounds.conv_width, name="conv_width", log=True)
    ask.choice("kernel_size", KERNEL_SIZES)
    if bounds.residual_blocks:
        ask.option("residual_blocks", tuple(range(bounds.residual_blocks + 1)))
    _hidden_layers(ask)
    dropout(ask, highest_dropout)


def cnn_layers(ask: Ask, image_shape: ImageShape, depth: Bounds, width: Bounds, blocks: int) -> None:
    """Ask for `depth` stages of a classifier, each of which halves the image but the first, and their `width`.

    `blocks` is the most that a stage has.
    """
    ask.integer("depth", (depth[0], min(depth[1], halvings(image_shape) + 1)), name="cnn_depth")
    ask.integer("width", width, name="cnn_width", log=True)
    # more per stage than three needs longer training than these budgets give
    ask.integer("convolutions", (1, 3))
    if blocks > 1:
        ask.option("blocks", tuple(range(1, blocks + 1)))
    ask.choice("residual", (True, False))
    ask.choice("kernel_size", KERNEL_SIZES)
    _hidden_layers(ask)


def dropout(ask: Ask, highest: float = HIGHEST_DROPOUT) -> None:
    """Ask for a dropout in steps that hit 0 and what the reports used."""
    ask.number("dropout", (0.0, highest), step=0.05)


def halvings(image_shape: ImageShape) -> int:
    """How often the image's shorter side can be halved before a single pixel is left."""
    return int(math.log2(min(image_shape[1:])))


def _hidden_layers(ask: Ask) -> None:
    ask.choice("batch_norm", (True, False))
    ask.choice("activation", ACTIVATIONS)


def training(
    ask: Ask, batch_size: Bounds, ranges: TrainingRanges = PIXEL_ERROR, *, long_training: bool = False
) -> None:
    """Ask for the training keys of a config.

    Args:
        ask: Who answers.
        batch_size: In images.
        ranges: Those of the family's loss.
        long_training: Whether to ask, too, for what is meant for many epochs: a moving average of the weights,
            Nesterov's momentum and a learning rate that first rises.
    """
    optimization(ask, ranges, nesterov=long_training)
    # Biases, the gains of norms and a likelihood's log σ are no weights that could grow too large: pulled to 0, AdamW
    # with 1.0 cost a Gaussian VAE of digits 6.6 nats. A reported configuration decays what its framework did, all.
    ask.usual("decay", "weights")
    ask.choice("schedule", ("constant", "cosine", *(("one_cycle",) if long_training else ())))
    if long_training and ask.option("weight_averaging", ("none", "ema")) == "ema":
        # Below a quarter of an epoch it is the network itself, above 4 an average that a short trial does not outgrow.
        ask.number("averaged_epochs", (0.25, 4.0), log=True)
    ask.integer("batch_size", batch_size, log=True)
