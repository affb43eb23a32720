"""A general convolutional classifier: stages of convolutions, global average pooling, one linear layer."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from models._config import FLAG, ConfigError, Number, OneOf
from models._layers import ACTIVATIONS, HIDDEN, Centre, Dropout, initialise
from models.network import ClassifierArchitecture, Config, ImageShape

MAX_DEPTH = 8


class Residual(nn.Module):
    """activation(branch(x) + shortcut(x)), as in He et al., "Deep residual learning" (2015), fig. 2."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        """Return feature maps (batch, channels, height, width), of the branch's channels and size."""
        added: Tensor = self.activation(self.branch(maps) + self.shortcut(maps))
        return added


def _stage(config: Config, before: int, after: int, stride: int) -> list[nn.Module]:
    """`blocks` blocks, the first of `stride`."""
    first = _block(config, before, after, stride)
    return [first, *(_block(config, after, after, 1, further=True) for _ in range(config["blocks"] - 1))]


def _block(config: Config, before: int, after: int, stride: int, *, further: bool = False) -> nn.Module:
    """`convolutions` × (Conv → [batch norm] → activation), the first of `stride`.

    When residual, the last activation stands after the sum with a shortcut: Conv(k 1, `stride`) → [batch norm] in the
    first block of a stage, the maps themselves in a further one.
    """
    convolutions = config["convolutions"]
    layers: list[nn.Module] = []
    for number in range(convolutions):
        inputs, step = (before, stride) if number == 0 else (after, 1)
        convolution = _convolution(config, inputs, after, config["kernel_size"], step)
        # a branch and a shortcut of gain 1 add up to the variance of one convolution of gain √2
        ends_branch = config["residual"] and number == convolutions - 1
        initialise(convolution, gain=1.0 if ends_branch else math.sqrt(2))
        layers += [*convolution, ACTIVATIONS[config["activation"]]()]
    if not config["residual"]:
        return nn.Sequential(*layers)
    if further:
        return Residual(nn.Sequential(*layers[:-1]), nn.Identity(), layers[-1])
    shortcut = _convolution(config, before, after, 1, stride)
    initialise(shortcut, gain=1.0)
    return Residual(nn.Sequential(*layers[:-1]), nn.Sequential(*shortcut), layers[-1])


def _convolution(config: Config, before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
    biased = not config["batch_norm"]
    convolution = nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=biased)
    return [convolution] if biased else [convolution, nn.BatchNorm2d(after)]


def _widths(config: Config) -> list[int]:
    return [config["width"] * 2**stage for stage in range(config["depth"])]


def _parts(config: Config, image_shape: ImageShape) -> tuple[nn.Module]:
    """Centre → `depth` stages, each but the first halving the size (rounded up) → mean over the pixels → dropout."""
    widths = pairwise([image_shape[0], *_widths(config)])
    stages = (_stage(config, before, after, stride=2 if number else 1) for number, (before, after) in enumerate(widths))
    blocks = [block for stage in stages for block in stage]
    return (nn.Sequential(Centre(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Dropout(config["dropout"])),)


def _head(config: Config, _image_shape: ImageShape, num_classes: int) -> nn.Module:
    linear = nn.Linear(_widths(config)[-1], num_classes)
    initialise([linear], gain=1.0)
    return linear


def _check(config: Config, image_shape: ImageShape) -> None:
    side = 2 ** (config["depth"] - 1)
    if min(image_shape[1:]) < side:
        raise ConfigError(
            f"architecture cnn of depth {config['depth']} needs images of at least {side}×{side}, "
            f"not {image_shape[1]}×{image_shape[2]}"
        )


ARCHITECTURE = ClassifierArchitecture(
    _parts,
    {
        "depth": Number(1, MAX_DEPTH, whole=True),
        **HIDDEN,
        "blocks": OneOf((1, 2, 3, 4), absent=1),
        "convolutions": OneOf((1, 2, 3)),
        "residual": FLAG,
        "kernel_size": OneOf((3, 5)),
    },
    check=_check,
    head=_head,
)
