"""What the training loop asks of a network, whatever its family."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


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

    def per_image(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return what the metrics are made of, for each image: tensors (batch, ...), without gradients.

        Repeatable: noise, where an estimate needs any, has a fixed seed, and the global random state stays.
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
