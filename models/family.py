"""What a family and an architecture are: the two values that the registry is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from models._config import ConfigError, Setting
from models.network import Network

Config = Mapping[str, Any]
ImageShape = tuple[int, int, int]
"""(channels, height, width)"""


@dataclass(frozen=True)
class Architecture:
    """A way to lay out the networks of a family.

    `parts(config, image_shape)` returns what its family's `assemble` puts together: for an autoencoder the
    encoder and the decoder. `settings` are the keys that it adds to its family's, or narrows.
    `image_shape` is the only shape that it takes, None for any; `check(config, image_shape)` raises
    `ConfigError` for what no single setting can say. With `starts_from_pca`, its networks have a method
    `start_from_pca(mean, axes)`, which the training loop calls once before it trains.
    """

    parts: Callable[[Config, ImageShape], tuple[nn.Module, ...]]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    image_shape: ImageShape | None = None
    check: Callable[[Config, ImageShape], None] | None = None
    starts_from_pca: bool = False

    def check_shape(self, config: Config, image_shape: ImageShape) -> None:
        """Raise `ConfigError`, saying what is needed, if this architecture cannot take `image_shape`."""
        if self.image_shape is not None and tuple(image_shape) != self.image_shape:
            needed, given = ("×".join(map(str, shape)) for shape in (self.image_shape, image_shape))
            raise ConfigError(f"architecture {config['architecture']} needs images of {needed}, not {given}")
        if self.check is not None:
            self.check(config, image_shape)


@dataclass(frozen=True)
class Family:
    """Networks that share a task, a loss and metrics.

    `assemble(architecture, config, image_shape, num_classes)` returns the network.
    """

    settings: Mapping[str, Setting]
    architectures: Mapping[str, Architecture]
    assemble: Callable[[Architecture, Config, ImageShape, int], Network]
