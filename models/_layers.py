"""The pieces that the general networks share: activations, hidden layers, initialisation."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from models import noise
from models._config import FLAG, Number, OneOf, Setting
from models.network import Config

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
ACTIVATION = OneOf(tuple(ACTIVATIONS))
OUTPUT_ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "none": nn.Identity}
OUTPUT_ACTIVATION = OneOf(tuple(OUTPUT_ACTIVATIONS))

HIDDEN: dict[str, Setting] = {
    "width": Number(1, whole=True),
    "batch_norm": FLAG,
    "activation": ACTIVATION,
}
"""The settings that every stack of hidden layers has, beside its depth."""


class Centre(nn.Module):
    """Map pixels from [0, 1] to [-1, 1]: inputs with a mean far from 0 slow the first layer's training."""

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape (batch, channels, height, width)."""
        return 2 * images - 1


class Dropout(nn.Dropout):
    """`nn.Dropout`, with masks from `models.noise`: in training, each value is 0 or over its expected share."""

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape (batch, ...)."""
        if not self.training or self.p == 0:
            return features
        # As convolutional networks are trained, with the channels last, a mask then lies in memory as its features do.
        last = features.dim() == 4
        shape = features.movedim(1, -1).shape if last else features.shape
        mask, share = noise.kept(self.p, tuple(shape), features.device)
        scale = mask.float().mul_(1 / share)
        dropped: Tensor = features * (scale.movedim(-1, 1) if last else scale)
        return dropped.to(features.dtype)


def hidden(config: Config, features: int, norm: type[nn.Module]) -> list[nn.Module]:
    """Return what follows a hidden linear or convolutional layer: [batch norm] → activation → dropout.

    `norm` is `nn.BatchNorm1d` or `nn.BatchNorm2d`. The layer before it needs no bias under batch norm. The dropout is
    there even if it drops nothing: an encoder's layers then have the same numbers whatever the dropout, and a
    classifier with another one can take its state over.
    """
    layers: list[nn.Module] = [norm(features)] if config["batch_norm"] else []
    return [*layers, ACTIVATIONS[config["activation"]](), Dropout(config["dropout"])]


@torch.no_grad()
def initialise(layers: Iterable[nn.Module], *, gain: float = math.sqrt(2), bias: float = 0.0) -> None:
    """Draw the weights of linear and convolutional layers from N(0, gain² / fan-in); set their biases.

    He et al., "Delving deep into rectifiers" (2015), eq. 10, with gain √2 for the ReLU and its relatives.
    A transposed convolution of stride s feeds each output pixel from only in · k² / s² inputs, which
    PyTorch's own fan-in ignores; 1 is the gain of a layer without an activation.
    """
    for layer in layers:
        if isinstance(layer, nn.Linear):
            fan_in = float(layer.in_features)
        elif isinstance(layer, nn.ConvTranspose2d):
            fan_in = layer.in_channels * math.prod(layer.kernel_size) / math.prod(layer.stride)
        elif isinstance(layer, nn.Conv2d):
            fan_in = float(layer.in_channels * math.prod(layer.kernel_size))
        else:
            continue
        if layer.weight.is_meta:
            continue  # only counted: drawing would import PyTorch's compiler, which takes seconds, and change nothing
        nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
        if layer.bias is not None:
            nn.init.constant_(layer.bias, bias)


def initialise_output(layer: nn.Module, output_activation: str) -> None:
    """Start the last layer near a grey picture: its error is then the pixels' variance, not more.

    Outputs of a VAE that are logits start at 0.5 as well, which is 0.62 of white for a Bernoulli.
    """
    initialise([layer], gain=0.1, bias=0.0 if output_activation == "sigmoid" else 0.5)
