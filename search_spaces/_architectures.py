"""The networks that every family builds on: which architecture, and the layers of the general ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces._ask import Ask, Bounds
from search_spaces._data import ImageShape

ACTIVATIONS = ("relu", "elu", "gelu", "silu")
KERNEL_SIZES = (3, 5)
ROOMY_DROPOUT = 0.5  # above one half little of a narrow code is left


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


def _kind(config: Mapping[str, Any]) -> str:
    return "reported" if "/" in config["architecture"] else config["architecture"]


def dense_layers(ask: Ask, depth: Bounds, width: Bounds, highest_dropout: float = ROOMY_DROPOUT) -> None:
    """Ask for `depth` hidden layers of `width` features; 0 is a linear encoder and decoder, with no dropout."""
    if ask.integer("depth", depth, name="dense_depth") == 0:
        ask.fix(dropout=0.0)
        return
    ask.integer("width", width, name="dense_width", log=True)
    _hidden_layers(ask)
    dropout(ask, highest_dropout)


def conv_layers(
    ask: Ask, image_shape: ImageShape, depth: Bounds, width: Bounds, highest_dropout: float = ROOMY_DROPOUT
) -> None:
    """Ask for `depth` stages, each of which halves the image, and `width` channels of the first.

    There are fewer stages if the image is too small for so many: one needs 2 pixels a side to halve. A study's
    images have one shape, so its bounds stay.
    """
    ask.integer("depth", (depth[0], min(depth[1], halvings(image_shape))), name="conv_depth")
    ask.integer("width", width, name="conv_width", log=True)
    ask.choice("kernel_size", KERNEL_SIZES)
    _hidden_layers(ask)
    dropout(ask, highest_dropout)


def cnn_layers(ask: Ask, image_shape: ImageShape, depth: Bounds, width: Bounds) -> None:
    """Ask for `depth` stages of a classifier, each of which halves the image but the first, and their `width`."""
    ask.integer("depth", (depth[0], min(depth[1], halvings(image_shape) + 1)), name="cnn_depth")
    ask.integer("width", width, name="cnn_width", log=True)
    # more per stage than three needs longer training than these budgets give
    ask.integer("convolutions", (1, 3))
    ask.choice("residual", (True, False))
    ask.choice("kernel_size", KERNEL_SIZES)
    _hidden_layers(ask)


def dropout(ask: Ask, highest: float = ROOMY_DROPOUT) -> None:
    """Ask for a dropout in steps that hit 0 and what the reports used."""
    ask.number("dropout", (0.0, highest), step=0.05)


def halvings(image_shape: ImageShape) -> int:
    """How often the image's shorter side can be halved before a single pixel is left."""
    return int(math.log2(min(image_shape[1:])))


def _hidden_layers(ask: Ask) -> None:
    ask.choice("batch_norm", (True, False))
    ask.choice("activation", ACTIVATIONS)
