"""The classifier of the report on Oxford Flowers-102, layer for layer, on the encoder of `flowers/ae`.

The report says that dropout was tried, not where: here it follows the activation of each hidden linear layer,
which hold most of the parameters, and the encoder has none in either stage. Like the encoder's, the head's
layers have biases under batch norm too.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from models._dropout import Dropout
from models.encoder_classifier import on_autoencoder
from models.family import Config, ImageShape
from models.flowers import CODE_SHAPE

CHANNELS = (400, 700, 1000)
FEATURES = (16000, 8192, 2048, 512)


def _head(config: Config, _image_shape: ImageShape, num_classes: int) -> nn.Module:
    """Conv(k 3, p 1) → [BN] → ReLU, twice; Flatten; Linear → [BN] → ReLU → Dropout, three times; Linear."""
    layers: list[nn.Module] = [nn.Unflatten(1, CODE_SHAPE)]
    for before, after in pairwise(CHANNELS):
        layers.append(nn.Conv2d(before, after, 3, padding=1))
        layers += [nn.BatchNorm2d(after)] if config["batch_norm"] else []
        layers.append(nn.ReLU())
    layers.append(nn.Flatten())
    for before, after in pairwise(FEATURES):
        layers.append(nn.Linear(before, after))
        layers += [nn.BatchNorm1d(after)] if config["batch_norm"] else []
        layers += [nn.ReLU(), Dropout(config["dropout"])]
    return nn.Sequential(*layers, nn.Linear(FEATURES[-1], num_classes))


ARCHITECTURE = on_autoencoder("flowers/ae", head=_head, fixed={"dropout": 0.0})
