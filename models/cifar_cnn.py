"""The ladder of the report on CIFAR-10 classifiers (November 2022), layer for layer: A to G, and GAP.

Batch norm stands after the activation. The report's last layer is a softmax; here it belongs to the loss, where
`double_softmax` keeps what the report's networks were trained with. The dropout of G and GAP is part of their
layers (0.1, 0.2, 0.3, 0.4), so the family's `dropout` can only be 0 here.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from models._config import ConfigError, OneOf, Setting
from models._layers import Dropout
from models.network import ClassifierArchitecture, Config, ImageShape

IMAGE_SHAPE: ImageShape = (3, 32, 32)
GAP_SMALLEST_SIDE = 8

CHANNELS = (20, 40, 80, 160)
DROPOUT = (0.1, 0.2, 0.3, 0.4)

_SETTINGS: dict[str, Setting] = {"dropout": OneOf((0.0,))}


def _convolution(before: int, after: int, activation: type[nn.Module], batch_norm: bool) -> list[nn.Module]:
    """Conv(k 3, same) → activation → [batch norm]."""
    norm: list[nn.Module] = [nn.BatchNorm2d(after)] if batch_norm else []
    return [nn.Conv2d(before, after, 3, padding="same"), activation(), *norm]


def _blocks(
    depth: int,
    activation: type[nn.Module] = nn.ReLU,
    *,
    batch_norm: bool = False,
    dropout: bool = False,
    image: int = 3,
) -> list[nn.Module]:
    """`depth` blocks of two convolutions, MaxPool(2) and [dropout], from `image` channels to `CHANNELS`.

    The report's block can have other channels between its convolutions than after them; none of its models does.
    """
    layers: list[nn.Module] = []
    for stage, after in enumerate(CHANNELS[:depth]):
        before = CHANNELS[stage - 1] if stage else image
        layers += _convolution(before, after, activation, batch_norm)
        layers += _convolution(after, after, activation, batch_norm)
        layers.append(nn.MaxPool2d(2))
        if dropout:
            layers.append(Dropout(DROPOUT[stage]))
    return layers


def _minimal(filters: int) -> list[nn.Module]:
    """Models A and B: two convolutions with sigmoids and one MaxPool(8), 32→4 pixels a side."""
    first = _convolution(3, filters, nn.Sigmoid, batch_norm=False)
    return [*first, *_convolution(filters, filters, nn.Sigmoid, batch_norm=False), nn.MaxPool2d(8)]


def _flat(layers: Callable[[], list[nn.Module]], features: int) -> ClassifierArchitecture:
    """`layers`, flattened to as many features, and one linear layer."""

    def parts(_config: Config, _image_shape: ImageShape) -> tuple[nn.Module]:
        return (nn.Sequential(*layers(), nn.Flatten()),)

    def head(_config: Config, _image_shape: ImageShape, num_classes: int) -> nn.Module:
        return nn.Linear(features, num_classes)

    return ClassifierArchitecture(parts, _SETTINGS, IMAGE_SHAPE, head=head)


def _gap_parts(_config: Config, image_shape: ImageShape) -> tuple[nn.Module]:
    layers = _blocks(3, batch_norm=True, dropout=True, image=image_shape[0])
    layers += _convolution(CHANNELS[2], CHANNELS[3], nn.ReLU, batch_norm=True)
    layers += _convolution(CHANNELS[3], CHANNELS[3], nn.ReLU, batch_norm=True)
    return (nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), Dropout(DROPOUT[3]), nn.Flatten()),)


def _gap_head(_config: Config, _image_shape: ImageShape, num_classes: int) -> nn.Module:
    return nn.Linear(CHANNELS[3], num_classes)


def _gap_check(_config: Config, image_shape: ImageShape) -> None:
    _, height, width = image_shape
    if min(height, width) < GAP_SMALLEST_SIDE:
        side = GAP_SMALLEST_SIDE
        raise ConfigError(f"architecture cifar_cnn/GAP needs images of at least {side}×{side}, not {height}×{width}")


ARCHITECTURES = {
    "cifar_cnn/A": _flat(lambda: _minimal(5), 5 * 4 * 4),
    "cifar_cnn/B": _flat(lambda: _minimal(20), 20 * 4 * 4),
    "cifar_cnn/C": _flat(lambda: _blocks(2, nn.Sigmoid), 40 * 8 * 8),
    "cifar_cnn/D": _flat(lambda: _blocks(2), 40 * 8 * 8),
    "cifar_cnn/E": _flat(lambda: _blocks(4), 160 * 2 * 2),
    "cifar_cnn/F": _flat(lambda: _blocks(4, batch_norm=True), 160 * 2 * 2),
    "cifar_cnn/G": _flat(lambda: _blocks(4, batch_norm=True, dropout=True), 160 * 2 * 2),
    "cifar_cnn/GAP": ClassifierArchitecture(_gap_parts, _SETTINGS, check=_gap_check, head=_gap_head),
}
