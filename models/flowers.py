"""The autoencoder of the report "Oxford Flowers-102 autoencoder and classifier", layer for layer.

The report's code is a stack of maps (400, 4, 4); here the encoder's end flattens it to 6,400 numbers and the
decoder's start puts it back, as every autoencoder of the family has flat codes. Where dropout stands the report
does not say: ours stands after each activation, so that neither the last layer nor the pooling sees it first.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from models._config import FLAG, OneOf
from models._dropout import Dropout
from models.family import Architecture, Config, ImageShape
from models.unpooling import InverseMaxPool2d

IMAGE_SHAPE: ImageShape = (3, 100, 100)
CODE_SHAPE: ImageShape = (400, 4, 4)
_CHANNELS = (3, 16, 64, 144, 256, 400)
_POOL_KERNELS = (2, 2, 3, 3, 3)


def encoder(config: Config) -> nn.Sequential:
    """Five blocks Conv(3, 1, 1) → [batch norm] → ReLU → dropout → max pooling; Flatten.

    Sizes 100→50→25→13→7→4: images (batch, 3, 100, 100) to codes (batch, 6400).
    """
    layers: list[nn.Module] = []
    for (inputs, outputs), kernel in zip(pairwise(_CHANNELS), _POOL_KERNELS, strict=True):
        pool = nn.MaxPool2d(kernel, stride=2, padding=kernel // 3)
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), *_active(config, outputs), pool]
    return nn.Sequential(*layers, nn.Flatten())


def decoder(config: Config) -> nn.Sequential:
    """The mirror: inverse max pooling → Conv(3, 1, 1) → [batch norm] → ReLU → dropout; the last Conv alone.

    Codes (batch, 6400) to images (batch, 3, 100, 100).
    """
    layers: list[nn.Module] = [nn.Unflatten(1, CODE_SHAPE)]
    for (inputs, outputs), kernel in zip(pairwise(_CHANNELS[::-1]), _POOL_KERNELS[::-1], strict=True):
        layers += [InverseMaxPool2d(kernel), nn.Conv2d(inputs, outputs, 3, padding=1)]
        if outputs != IMAGE_SHAPE[0]:
            layers += _active(config, outputs)
    return nn.Sequential(*layers)


def _active(config: Config, channels: int) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(channels)] if config["batch_norm"] else []
    return [*norm, nn.ReLU(), Dropout(config["dropout"])]


def _parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return encoder(config), decoder(config)


_CODE_SIZE = CODE_SHAPE[0] * CODE_SHAPE[1] * CODE_SHAPE[2]

ARCHITECTURE = Architecture(_parts, {"latent_size": OneOf((_CODE_SIZE,)), "batch_norm": FLAG}, IMAGE_SHAPE)
