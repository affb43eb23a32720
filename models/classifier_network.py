"""The network of the classifier family: its losses, its values per image and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from models._augmentation import AUGMENTATIONS
from models._config import ConfigError
from models.calibration import calibration_error
from models.network import Network


class Classifier(Network):
    """An encoder from images to features, and a head from features to one logit for each class.

    Args:
        encoder: from images (batch, channels, height, width) in [0, 1] to features (batch, ...).
        head: from features to logits (batch, classes).
        augmentation: what is done to the images in training: a name of `AUGMENTATIONS`.
        label_smoothing: this much of the target is spread evenly over all classes (Szegedy et al. 2015).
        double_softmax: train on the cross entropy of softmax(logits) instead of the logits, as a network with a
            softmax layer does under PyTorch's cross entropy, which applies log-softmax itself.
        decoder: from features back to images, for training it jointly; None without.
        reconstruction_weight: the weight of the decoder's squared error per pixel in the loss.
        frozen: the encoder stays as it is, batch norm's statistics included, and drops nothing out.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        *,
        augmentation: str = "none",
        label_smoothing: float = 0.0,
        double_softmax: bool = False,
        decoder: nn.Module | None = None,
        reconstruction_weight: float = 0.0,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.decoder = decoder
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing
        self.double_softmax = double_softmax
        self.reconstruction_weight = reconstruction_weight
        self.frozen = frozen
        if frozen:
            self.encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (batch, classes) of images (batch, channels, height, width)."""
        logits: Tensor = self.head(self.encoder(images))
        return logits

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probabilities (batch, classes) of images (batch, channels, height, width)."""
        return self(images).float().softmax(1)

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Take over the encoder of a trained autoencoder: what its `encoder_state()` gave.

        Raises:
            ConfigError: it is the state of another encoder.
        """
        try:
            self.encoder.load_state_dict(state)
        except RuntimeError as error:
            raise ConfigError(f"the encoder does not fit: {' '.join(str(error).split())}") from error

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to minimise and its parts for the record, detached: scalars, means over the batch.

        The parts are `cross_entropy` in nats, of the probabilities and the labels as they are whatever the loss
        does to either, `accuracy`, and with a decoder `mse` per pixel, of what the encoder was given.
        """
        if self.training:
            images = AUGMENTATIONS[self.augmentation](images)
        features = self.encoder(images)
        logits = self.head(features).float()
        scores = logits.softmax(1) if self.double_softmax else logits
        loss = functional.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)
        parts = {
            "cross_entropy": functional.cross_entropy(logits.detach(), labels),
            "accuracy": (logits.argmax(1) == labels).float().mean(),
        }
        if self.decoder is not None:
            mse = functional.mse_loss(self.decoder(features).float(), images)
            loss = loss + self.reconstruction_weight * mse
            parts["mse"] = mse.detach()
        return loss, parts

    @torch.no_grad()
    def per_image(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return `log_probabilities` (batch, classes), in nats, and `labels` (batch,)."""
        return {"log_probabilities": self(images).float().log_softmax(1), "labels": labels}

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return `accuracy` in [0, 1], `cross_entropy` in nats per image, and `calibration_error` in [0, 1]."""
        log_probabilities, labels = values["log_probabilities"], values["labels"]
        best, predicted = log_probabilities.max(1)
        correct = predicted == labels
        return {
            "accuracy": correct.double().mean().item(),
            "cross_entropy": functional.nll_loss(log_probabilities, labels).item(),
            "calibration_error": calibration_error(best.exp(), correct),
        }
