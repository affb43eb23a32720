"""The classifier family: networks of their own, and heads on the encoder of every autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import ae, cifar_cnn, cnn, fashion, flowers
from models._config import FLAG, ConfigError, Number, OneOf
from models._inputs import AUGMENTATIONS, MIXING, cutout, jitter, mix
from models.encoder_classifier import PRETRAINING, encoder_keys, layer_settings, on_autoencoder
from models.network import Architecture, ClassifierArchitecture, Config, Family, ImageShape, Network

CALIBRATION_BINS = 15
"""Equal bins of the confidence; the number that Guo et al. 2017 use throughout."""


class Classifier(Network):
    """An encoder from images to features, and a head from features to one logit for each class.

    Args:
        encoder: from images (batch, channels, height, width) in [0, 1] to features (batch, ...).
        head: from features to logits (batch, classes).
        augmentation: what is done to the images in training: a name of `AUGMENTATIONS`.
        colour_jitter: whether their brightness, contrast and saturation are changed in training, too.
        cutout: whether a part of each is grey in training.
        mixing: how each is mixed with another one in training, and their labels: one of `MIXING`.
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
        augmentation: str,
        colour_jitter: bool,
        cutout: bool,
        mixing: str,
        label_smoothing: float,
        double_softmax: bool,
        decoder: nn.Module | None,
        reconstruction_weight: float,
        frozen: bool,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.decoder = decoder
        self.augmentation = augmentation
        self.colour_jitter = colour_jitter
        self.cutout = cutout
        self.mixing = mixing
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
        logits: Tensor = self(images)
        return logits.float().softmax(1)

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
        does to either, `accuracy`, and with a decoder `mse` per pixel, of what the encoder was given. Of images that
        are mixed they are of each one's own label, however little of it is left.
        """
        share = None
        if self.training:
            images = AUGMENTATIONS[self.augmentation](images)
            images = jitter(images) if self.colour_jitter else images
            images = cutout(images) if self.cutout else images
            if self.mixing != "none":
                images, share = mix(self.mixing, images)
        features = self.encoder(images)
        logits = self.head(features).float()
        loss = self._loss(logits, labels, share)
        parts = {
            "cross_entropy": functional.cross_entropy(logits.detach(), labels),
            "accuracy": (logits.argmax(1) == labels).float().mean(),
        }
        if self.decoder is not None:
            mse = functional.mse_loss(self.decoder(features).float(), images)
            loss = loss + self.reconstruction_weight * mse
            parts["mse"] = mse.detach()
        return loss, parts

    def _loss(self, logits: Tensor, labels: Tensor, share: Tensor | None) -> Tensor:
        """Return the mean loss of logits (batch, classes) of images of which `share` (batch,) is their own, or all."""
        scores = logits.softmax(1) if self.double_softmax else logits
        if share is None:
            return functional.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)
        own, other = (
            functional.cross_entropy(scores, of, label_smoothing=self.label_smoothing, reduction="none")
            for of in (labels, labels.roll(1, 0))
        )
        return torch.lerp(other, own, share).mean()

    @torch.no_grad()
    def per_image(self, images: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        """Return `log_probabilities` (batch, classes), in nats, and `labels` (batch,).

        Under a double softmax also `loss` (batch,), which is another quantity than the cross entropy then.
        """
        logits = self(images).float()
        values = {"log_probabilities": logits.log_softmax(1), "labels": labels}
        if self.double_softmax:
            values["loss"] = functional.cross_entropy(
                logits.softmax(1), labels, label_smoothing=self.label_smoothing, reduction="none"
            )
        return values

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return `accuracy` in [0, 1], `cross_entropy` in nats per image, and `calibration_error` in [0, 1].

        Under a double softmax `loss` too, the mean of what it is trained on.
        """
        log_probabilities, labels = values["log_probabilities"], values["labels"]
        best, predicted = log_probabilities.max(1)
        correct = predicted == labels
        return {
            "accuracy": correct.double().mean().item(),
            "cross_entropy": functional.nll_loss(log_probabilities, labels).item(),
            "calibration_error": calibration_error(best.exp(), correct),
            **({"loss": values["loss"].mean().item()} if "loss" in values else {}),
        }


def calibration_error(confidences: Tensor, correct: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error, a number in [0, 1], 0 for a perfectly calibrated classifier.

    The predictions are put into equal bins of their confidence, ((m - 1)/bins, m/bins]; the error is the mean
    of |accuracy - mean confidence| over the bins, weighted by how many predictions each holds (Guo et al., "On
    calibration of modern neural networks", 2017, eq. 3).

    Args:
        confidences: the probability of the predicted class, in [0, 1], (n,).
        correct: whether the prediction is right, bool (n,).
        bins: how many bins.
    """
    edges = torch.linspace(0, 1, bins + 1, dtype=confidences.dtype, device=confidences.device)
    number = torch.bucketize(confidences, edges[1:-1])
    # The mean gap of a bin times its size is the sum of its gaps, so the sizes themselves are not needed.
    gaps = torch.zeros(bins, dtype=confidences.dtype, device=confidences.device)
    gaps.index_add_(0, number, correct.to(confidences.dtype) - confidences)
    return (gaps.abs().sum() / len(confidences)).item()


_REPORTED_HEADS = {
    "fashion/classifier": on_autoencoder("fashion/ae", head=fashion.head, settings=fashion.HEAD_SETTINGS),
    "flowers/classifier": on_autoencoder("flowers/ae", head=flowers.head, fixed={"dropout": 0.0}),
}
_WITH_REPORTED_HEAD = {architecture.autoencoder for architecture in _REPORTED_HEADS.values()}

ARCHITECTURES: Mapping[str, ClassifierArchitecture] = {
    "cnn": cnn.ARCHITECTURE,
    **cifar_cnn.ARCHITECTURES,
    **{name: on_autoencoder(name) for name in ae.FAMILY.architectures if name not in _WITH_REPORTED_HEAD},
    **_REPORTED_HEADS,
}


def _assemble(architecture: Architecture, config: Config, image_shape: ImageShape, num_classes: int) -> Network:
    if not isinstance(architecture, ClassifierArchitecture):
        raise TypeError(f"{architecture} has no head")
    encoder, *decoder = architecture.parts(config, image_shape)
    return Classifier(
        encoder,
        architecture.head(config, image_shape, num_classes),
        augmentation=config["augmentation"],
        colour_jitter=config["colour_jitter"],
        cutout=config["cutout"],
        mixing=config["mixing"],
        label_smoothing=config["label_smoothing"],
        double_softmax=config["double_softmax"],
        decoder=decoder[0] if config.get("encoder") == "joint" else None,
        reconstruction_weight=config.get("reconstruction_weight", 0.0),
        frozen=config.get("encoder_training") == "frozen",
    )


FAMILY = Family(
    settings={
        "dropout": Number(0, 1, open_high=True),
        "label_smoothing": Number(0, 1, open_high=True),
        "augmentation": OneOf(tuple(AUGMENTATIONS)),
        "colour_jitter": OneOf((False, True), absent=False),
        "cutout": OneOf((False, True), absent=False),
        "mixing": OneOf(MIXING, absent="none"),
        "double_softmax": FLAG,
    },
    architectures=ARCHITECTURES,
    assemble=_assemble,
)


_SHARED_TRAINING = ("decay", "schedule", "batch_size", "weight_averaging", "averaged_epochs")


def pretraining_config(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the config of the autoencoder that a first stage trains, None for a config without such a stage.

    The autoencoder has the classifier's layers, schedule, batch size, averaging and `decay`, and is trained plainly: on
    clean images, without penalties, by the optimizer that the `pretrain_…` keys say.
    """
    if config["family"] != "classifier" or config.get("encoder") != "pretrained":
        return None
    architecture = ARCHITECTURES[config["architecture"]]
    if architecture.autoencoder is None:
        return None
    return {
        "family": "ae",
        "architecture": architecture.autoencoder,
        **{key: config[key] for key in layer_settings(architecture.autoencoder) if key in config},
        **architecture.fixed,
        "corruption": "none",
        "sparsity": 0.0,
        "contraction": 0.0,
        **{key: config[f"pretrain_{key}"] for key in PRETRAINING if f"pretrain_{key}" in config},
        **{key: config[key] for key in _SHARED_TRAINING if key in config},
    }


def classifier_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the encoder of an autoencoder or VAE fixes in the config of a classifier on it.

    Args:
        config: the whole config of the autoencoder or VAE.

    Raises:
        ConfigError: there is no classifier on an encoder of this architecture.
    """
    on_encoder = {known.autoencoder: name for name, known in ARCHITECTURES.items() if known.autoencoder is not None}
    on_encoder["mnist_ae/vae"] = "mnist_ae/dense"  # the encoder to its mean has the same layers
    if config["family"] not in ("ae", "vae") or config["architecture"] not in on_encoder:
        raise ConfigError(
            f"no classifier stands on the encoder of {config['family']} {config['architecture']}; "
            f"there is one for {', '.join(on_encoder)}"
        )
    name = on_encoder[config["architecture"]]
    return {
        "architecture": name,
        **{key: config[key] for key in encoder_keys(ARCHITECTURES[name].autoencoder or name) if key in config},
    }
