"""What is searched in a space of classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search_spaces._architectures import (
    ROOMY_DROPOUT,
    architecture,
    cnn_layers,
    conv_layers,
    dense_layers,
    dropout,
)
from search_spaces._ask import Ask, Bounds
from search_spaces._training import optimization, training

if TYPE_CHECKING:
    from search_spaces._space import Context


@dataclass(frozen=True)
class ClassifierSearch:
    """The general CNN, classifiers on the general encoders, and the reported ones.

    Attributes:
        cnn_depth, cnn_width: stages, each of which halves the image but the first, and channels of the first,
            doubled by each further one.
        conv_depth, conv_width: the same of the convolutional encoder, whose every stage halves the image.
        dense_depth, dense_width: hidden layers of the dense encoder, and their features.
        latent_size: numbers in an encoder's code.
        batch_size: images.
        augmentations: the kinds that leave an image's class as it is.
        highest_dropout: the upper bound of dropout.
    """

    cnn_depth: Bounds
    cnn_width: Bounds
    conv_depth: Bounds
    conv_width: Bounds
    dense_depth: Bounds
    dense_width: Bounds
    latent_size: Bounds
    batch_size: Bounds
    augmentations: tuple[str, ...] = ("none", "shift", "shift_flip")
    highest_dropout: float = ROOMY_DROPOUT

    def __call__(self, ask: Ask, context: Context, reported: Sequence[str]) -> None:
        """Ask for a flat config of the family `classifier`; on a given encoder, for what is not its own."""
        if context.encoder is not None:
            self._given(ask, context.encoder)
        else:
            self._layers(ask, context, architecture(ask, ("cnn", "conv", "dense"), reported))
        # Above 0.2 the target is less certain than good networks are of most images.
        ask.number("label_smoothing", (0.0, 0.2), step=0.05)
        ask.choice("augmentation", self.augmentations)
        training(ask, self.batch_size)

    def _given(self, ask: Ask, encoder: Mapping[str, Any]) -> None:
        ask.fix(**encoder, encoder="given", double_softmax=False)
        ask.choice("encoder_training", ("fine_tuned", "frozen"))
        if encoder["architecture"] == "fashion/classifier":
            ask.fix(relu_logits=False)
        if encoder["architecture"] == "dense" and encoder["depth"] == 0:
            ask.fix(dropout=0.0)  # without a hidden layer there is nothing to drop
        else:
            self._dropout(ask)

    def _layers(self, ask: Ask, context: Context, name: str) -> None:
        # A softmax before the cross entropy's own flattens the gradient: a defect that one report's networks have.
        if name.startswith("cifar_cnn/"):
            ask.choice("double_softmax", (True, False))
            ask.fix(dropout=0.0)  # the layer list has its own
            return
        ask.fix(double_softmax=False)
        if name == "cnn":
            cnn_layers(ask, context.image_shape, self.cnn_depth, self.cnn_width)
            self._dropout(ask)
            return
        if name == "flowers/classifier":
            ask.fix(latent_size=6400)
            ask.choice("batch_norm", (True, False))
            self._dropout(ask)
        elif name == "fashion/classifier":
            ask.choice("relu_logits", (True, False))
            ask.integer("latent_size", self.latent_size, log=True)
            self._dropout(ask)
        else:
            ask.integer("latent_size", self.latent_size, log=True)
            if name == "conv":
                conv_layers(ask, context.image_shape, self.conv_depth, self.conv_width, self.highest_dropout)
            else:
                dense_layers(ask, self.dense_depth, self.dense_width, self.highest_dropout)
        _encoder(ask, name)

    def _dropout(self, ask: Ask) -> None:
        dropout(ask, self.highest_dropout)


def _encoder(ask: Ask, name: str) -> None:
    """Ask where the encoder comes from, and for the settings of what it is trained as beside a classifier."""
    source = ask.choice("encoder", ("scratch", "pretrained", "joint"))
    if source == "joint":
        # A cross entropy is of the order of 0.1 to 1, an error per pixel of 0.01: from a tenth of it to ten times.
        ask.number("reconstruction_weight", (1.0, 100.0), log=True)
    elif source == "pretrained":
        ask.choice("encoder_training", ("fine_tuned", "frozen"))
        optimization(ask, "pretrain_")
    if source != "scratch" and name in ("conv", "dense"):
        ask.choice("output_activation", ("sigmoid", "none"))
