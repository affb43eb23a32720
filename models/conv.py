"""Convolutional encoders and decoders for images of any shape.

Each stage halves height and width, rounding up, and doubles the channels; the decoder goes the same sizes
back, so that odd and non-square images come out exactly as they went in.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from models._config import ConfigError, Number, OneOf, Setting
from models._layers import (
    HIDDEN,
    OUTPUT_ACTIVATION,
    OUTPUT_ACTIVATIONS,
    Centre,
    hidden,
    initialise,
    initialise_output,
)
from models.network import Architecture, Config, ImageShape

MAX_DEPTH = 8

STAGES: dict[str, Setting] = {
    "kernel_size": OneOf((3, 5)),
    # at each size, after the layer that halves or doubles it
    "residual_blocks": OneOf((0, 1, 2), absent=0),
}
"""The settings of stages that halve the image or double it, beside those of all hidden layers."""


def stage_shapes(config: Config, image_shape: ImageShape) -> list[ImageShape]:
    """Return the feature maps' shapes (channels, height, width), the image's first: depth + 1 of them."""
    _, height, width = image_shape
    shapes = [image_shape]
    for stage in range(config["depth"]):
        height, width = (height + 1) // 2, (width + 1) // 2
        shapes.append((config["width"] * 2**stage, height, width))
    return shapes


def encoder(config: Config, image_shape: ImageShape, outputs: int) -> nn.Sequential:
    """`depth` stages of Conv(stride 2) → [batch norm] → activation → [dropout] → blocks; Flatten → Linear(outputs).

    Takes images (batch, channels, height, width) in [0, 1], returns (batch, outputs).
    """
    shapes = stage_shapes(config, image_shape)
    layers = [layer for large, small in pairwise(shapes) for layer in halving(config, large, small)]
    last = nn.Linear(_product(shapes[-1]), outputs)
    initialise(layers)
    initialise([last], gain=1)
    return nn.Sequential(Centre(), *layers, nn.Flatten(), last)


def decoder(config: Config, image_shape: ImageShape, *, output_activation: str | None = None) -> nn.Sequential:
    """Linear → Unflatten, `depth` stages of ConvT(stride 2), each with hidden()'s layers and blocks; Conv → output.

    Takes codes (batch, latent_size), returns images (batch, channels, height, width). The last stage keeps
    the first stage's channels, and a convolution of stride 1 turns them into pixels: it smooths the
    chequered pattern that a transposed convolution leaves (Odena et al., "Deconvolution and checkerboard
    artifacts", 2016). The output activation is the config's unless one is given.
    """
    activation = output_activation or config["output_activation"]
    kernel, shapes = config["kernel_size"], stage_shapes(config, image_shape)
    biased = not config["batch_norm"]
    layers: list[nn.Module] = [nn.Linear(config["latent_size"], _product(shapes[-1]), bias=biased)]
    layers += [nn.Unflatten(1, shapes[-1]), *hidden(config, shapes[-1][0], nn.BatchNorm2d)]
    shapes[0] = (config["width"], *image_shape[1:])
    for small, large in zip(shapes[:0:-1], shapes[-2::-1], strict=True):
        layers += doubling(config, small, large)
    last = nn.Conv2d(config["width"], image_shape[0], kernel, padding=kernel // 2)
    initialise(layers)
    initialise_output(last, activation)
    return nn.Sequential(*layers, last, OUTPUT_ACTIVATIONS[activation]())


def halving(config: Config, large: ImageShape, small: ImageShape) -> list[nn.Module]:
    """Return the layers of a stage down, from maps of shape `large` to the next of `stage_shapes`, `small`."""
    kernel = config["kernel_size"]
    # padding k // 2 makes the output ceil(n / 2) pixels wide for any odd kernel
    convolution = nn.Conv2d(large[0], small[0], kernel, stride=2, padding=kernel // 2, bias=not config["batch_norm"])
    return [convolution, *hidden(config, small[0], nn.BatchNorm2d), *_blocks(config, small[0])]


def doubling(config: Config, small: ImageShape, large: ImageShape) -> list[nn.Module]:
    """Return the layers of a stage up, from maps of shape `small` to exactly the size of `large`."""
    kernel = config["kernel_size"]
    # of ceil(n / 2) pixels, a stride of 2 makes an odd number; one more is added where n is even
    extra = (1 - large[1] % 2, 1 - large[2] % 2)
    convolution = nn.ConvTranspose2d(
        small[0],
        large[0],
        kernel,
        stride=2,
        padding=kernel // 2,
        output_padding=extra,
        bias=not config["batch_norm"],
    )
    return [convolution, *hidden(config, large[0], nn.BatchNorm2d), *_blocks(config, large[0])]


class ResidualBlock(nn.Module):
    """maps + gain · Conv(activation(Conv(maps))), each convolution under batch norm where there is any, at one size.

    The gain is learnt and starts at 0, so that a block is at first the identity, with batch norm and without (SkipInit:
    De and Smith, "Batch normalization biases residual blocks towards the identity function", 2020).
    """

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        kernel, biased = config["kernel_size"], not config["batch_norm"]
        first, second = (nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=biased) for _ in range(2))
        initialise([first, second])
        norm = [] if biased else [nn.BatchNorm2d(channels)]
        self.branch = nn.Sequential(first, *hidden(config, channels, nn.BatchNorm2d), second, *norm)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape (batch, channels, height, width)."""
        changed: Tensor = maps + self.gain * self.branch(maps)
        return changed


def _blocks(config: Config, channels: int) -> list[nn.Module]:
    return [ResidualBlock(config, channels) for _ in range(config["residual_blocks"])]


def _product(shape: ImageShape) -> int:
    channels, height, width = shape
    return channels * height * width


def _parts(config: Config, image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return encoder(config, image_shape, config["latent_size"]), decoder(config, image_shape)


def check_depth(config: Config, image_shape: ImageShape) -> None:
    """Raise `ConfigError` if the images are too small to be halved `depth` times."""
    side = 2 ** config["depth"]
    if min(image_shape[1:]) < side:
        raise ConfigError(
            f"architecture {config['architecture']} of depth {config['depth']} needs images of at least {side}×{side}, "
            f"not {image_shape[1]}×{image_shape[2]}"
        )


ARCHITECTURE = Architecture(
    parts=_parts,
    settings={
        "depth": Number(1, MAX_DEPTH, whole=True),
        **HIDDEN,
        **STAGES,
        "output_activation": OUTPUT_ACTIVATION,
    },
    check=check_depth,
)
