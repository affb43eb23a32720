"""The four networks of the report "CIFAR-10 autoencoders against PCA" (January 2025), layer for layer.

The report's printouts also list an `unpool`, a `printL` and an `output_stack` (Linear 18000→3072); its
forward pass uses none of the three, so they are not built. DR, a dropout followed by a ReLU, stands after
the code and after the output too: codes and pixels are ≥ 0, and pixels may exceed 1.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from models._config import OneOf
from models._layers import Dropout
from models.network import Architecture, Config, ImageShape

IMAGE_SHAPE: ImageShape = (3, 32, 32)
LATENT_SIZE = 108


def _dr(config: Config) -> tuple[nn.Module, nn.Module]:
    return Dropout(config["dropout"]), nn.ReLU()


def _convolutions(config: Config, *channels: int) -> list[nn.Module]:
    """Conv(k 2, s 1, p 1) → MaxPool(k 2, s 2, p 1) → DR, three times: 32→33→17→18→10→11→6 pixels a side."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 2, padding=1), nn.MaxPool2d(2, 2, padding=1), *_dr(config)]
    return layers


def _encoder1(config: Config) -> nn.Module:
    """The large one; the code is a linear layer of the 64·6·6 = 2304 features."""
    layers = _convolutions(config, 3, 1500, 500, 64)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 6 * 6, LATENT_SIZE), *_dr(config))


def _encoder2(config: Config) -> nn.Module:
    """The small one, without a linear layer: its 3·6·6 = 108 features are the code."""
    return nn.Sequential(*_convolutions(config, 3, 7, 15, 3), nn.Flatten())


def _transposed(config: Config) -> list[nn.Module]:
    """Unflatten and three transposed convolutions with DR: 6→9→14→32 pixels a side."""
    return [
        *(nn.ConvTranspose2d(3, 15, 3, stride=2, padding=2), *_dr(config)),
        *(nn.ConvTranspose2d(15, 32, 4, stride=2, padding=3), *_dr(config)),
        *(nn.ConvTranspose2d(32, 3, 6, stride=2, padding=0), *_dr(config)),
    ]


def _decoder1(config: Config) -> nn.Module:
    linear, unflatten = nn.Linear(LATENT_SIZE, LATENT_SIZE), nn.Unflatten(1, (3, 6, 6))
    return nn.Sequential(linear, unflatten, *_dr(config), *_transposed(config))


def _decoder2(config: Config) -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (3, 6, 6)), *_dr(config), *_transposed(config))


_ENCODERS = {1: _encoder1, 2: _encoder2}
_DECODERS = {1: _decoder1, 2: _decoder2}


def _architecture(encoder: int, decoder: int) -> Architecture:
    def parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
        return _ENCODERS[encoder](config), _DECODERS[decoder](config)

    return Architecture(parts, {"latent_size": OneOf((LATENT_SIZE,))}, IMAGE_SHAPE)


ARCHITECTURES = {f"cifar_ae/{e}+{d}": _architecture(e, d) for e in _ENCODERS for d in _DECODERS}
