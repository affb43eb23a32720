"""What a network is: what the training loop asks of it, what it can do besides, and what families are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from models._config import ConfigError, Setting

Config = Mapping[str, Any]
ImageShape = tuple[int, int, int]
"""(channels, height, width)"""


class Network(nn.Module):
    """A network of any family: it knows its own loss and its own metrics.

    Images are floats in [0, 1] of shape (batch, channels, height, width), labels int64 (batch,).
    """

    progress: Tensor = torch.ones(())
    """The fraction of the training that is done, in [0, 1]: the training loop sets it before each batch, on the
    device of the images, for what changes in the course of it, such as a warm-up. 1 outside of training.
    A tensor, as a number would be compiled into the steps, and compiled anew for each batch."""

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to minimise and its parts for the record, detached: scalars, means over the batch.

        Whatever is random in it is drawn by `models.noise`.
        """
        raise NotImplementedError

    def per_image(self, images: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        """Return what the metrics are made of, for each image: tensors (batch, ...), without gradients.

        `indices` int64 (batch,) are the images' positions in their split. Repeatable: noise, where an estimate needs
        any, is a function of the position (`models.noise.of_images`), and the global random state stays.
        """
        raise NotImplementedError

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the metrics of a split from the values of `per_image` for all of its images, (n, ...)."""
        raise NotImplementedError

    def start_from_pca(self, mean: Tensor, axes: Tensor) -> None:
        """Take over PCA's mean image (pixels,) and axes (components, pixels); only for what starts from PCA."""
        raise NotImplementedError

    def encoder_state(self) -> dict[str, Tensor]:
        """Return the state dict of the encoder, for a classifier to start from; only where there is an encoder."""
        raise NotImplementedError

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Take over the encoder that `encoder_state` gave; only for classifiers on an encoder."""
        raise NotImplementedError


@runtime_checkable
class Reconstructive(Protocol):
    """A network with a code: `forward(images)` gives the reconstructions."""

    def encode(self, images: Tensor) -> Tensor:
        """Return the codes (batch, latent_size) of images (batch, channels, height, width)."""

    def decode(self, codes: Tensor) -> Tensor:
        """Return the images (batch, channels, height, width) that codes (batch, latent_size) stand for."""


@runtime_checkable
class Corruptive(Protocol):
    """A network that may be given corrupted images in training."""

    def corrupted(self, images: Tensor, indices: Tensor | None = None) -> Tensor:
        """Return what the network is given in training instead of images in [0, 1], in their shape.

        With their positions in their split, `indices` (batch,), it is what `per_image` evaluates.
        """


@runtime_checkable
class Generative(Protocol):
    """A network with a distribution over codes, N(0, I), that images can be drawn from."""

    def decode(self, codes: Tensor) -> Tensor:
        """Return the mean images (batch, channels, height, width) of codes (batch, latent_size)."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return the mean images (n, channels, height, width) of n codes from the prior."""

    def log_likelihood(self, images: Tensor, samples: int, indices: Tensor, seed: int = 0) -> Tensor:
        """Return the importance-weighted log likelihood of images, in nats, (batch,).

        The codes drawn for an image depend on its position in its split, of `indices` (batch,), and on the seed.
        """


@runtime_checkable
class Predictive(Protocol):
    """A network that classifies."""

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probabilities (batch, classes) of images (batch, channels, height, width)."""


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


@dataclass(frozen=True, kw_only=True)
class ClassifierArchitecture(Architecture):
    """An architecture of the classifier family.

    `parts` returns the network up to its features, and for one on an autoencoder's encoder the decoder beside
    it. `head(config, image_shape, num_classes)` returns the rest, from features to logits (batch, classes).
    `autoencoder` names the autoencoder whose encoder it stands on, None for one that has none; `fixed` are
    values of that autoencoder's config which the classifier's own does not say.
    """

    head: Callable[[Config, ImageShape, int], nn.Module]
    autoencoder: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """Networks that share a task, a loss and metrics.

    `assemble(architecture, config, image_shape, num_classes)` returns the network.
    """

    settings: Mapping[str, Setting]
    architectures: Mapping[str, Architecture]
    assemble: Callable[[Architecture, Config, ImageShape, int], Network]
