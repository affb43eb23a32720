"""The families by name, and `build`: from a flat config to a network."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from models import ae
from models._config import ConfigError, Interval, OneOf, Setting, When, check_config, choose
from models.family import Architecture, Config, Family, ImageShape
from models.network import Network

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "ae": ae.FAMILY,
    }
)

TRAINING: Mapping[str, Setting] = MappingProxyType(
    {
        "optimizer": OneOf(("adam", "adamw", "sgd", "adagrad", "rmsprop")),
        "lr": Interval(0, open_low=True),
        "weight_decay": Interval(0),
        "momentum": Interval(0, 1, open_high=True, when=When("optimizer", ("sgd", "rmsprop"))),
        "schedule": OneOf(("constant", "cosine")),
        "batch_size": Interval(1, whole=True),
    }
)
"""The part of every config that says how to train: checked here, used by the training loop alone."""


def settings_of(family: str, architecture: str) -> dict[str, Setting]:
    """Return every key that a config of this architecture may have, with the values it takes."""
    chosen = FAMILIES[family]
    return {
        "family": OneOf((family,)),
        "architecture": OneOf((architecture,)),
        **chosen.settings,
        **chosen.architectures[architecture].settings,
        **TRAINING,
    }


def build(config: Mapping[str, Any], image_shape: ImageShape, num_classes: int) -> Network:
    """Build the network that a flat config describes, freshly initialised, in training mode.

    Args:
        config: the whole config, training keys included; it is checked before anything is built.
        image_shape: (channels, height, width) of the images, in pixels.
        num_classes: classes of the data set; an autoencoder does not use it.

    Raises:
        ConfigError: an unknown or missing key, a value outside its bounds, or an image shape that the
            architecture cannot take; the message names it and what is allowed.
    """
    family, architecture = _checked(config, image_shape)
    return family.assemble(architecture, config, image_shape, num_classes)


def count_parameters(config: Mapping[str, Any], image_shape: ImageShape, num_classes: int) -> int:
    """Count the parameters of `build(config, ...)`, frozen ones included, without allocating them.

    The network is built on PyTorch's meta device, so one that is too large for the memory can be counted.
    """
    with torch.device("meta"):
        network = build(config, image_shape, num_classes)
    return sum(parameter.numel() for parameter in network.parameters())


def _checked(config: Config, image_shape: ImageShape) -> tuple[Family, Architecture]:
    family = choose(config, "family", FAMILIES)
    architecture = choose(config, "architecture", family.architectures)
    if len(image_shape) != 3 or any(not isinstance(size, int) or size < 1 for size in image_shape):
        raise ConfigError(f"image_shape must be (channels, height, width), not {tuple(image_shape)}")
    name = config["architecture"]
    check_config(config, settings_of(config["family"], name), f"architecture {name}")
    architecture.check_shape(config, image_shape)
    return family, architecture
