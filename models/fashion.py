"""The networks of the report "Fashion-MNIST convolutional autoencoder" (November 2024), layer for layer.

The report gives no kernels for its transposed convolutions; with a stride of 2 their sizes, 5→13→28, ask for 5 and
4, which is our choice. Dropout follows every hidden activation and the code's, never the output's.

Its classifier is one linear layer on the encoder. The report puts a ReLU on the logits, a defect: a logit below 0 gets
no gradient, and no class can be ruled out. `relu_logits` keeps it as a switch.
"""

from __future__ import annotations

from torch import nn

from models._config import FLAG, Setting
from models._layers import Dropout
from models.network import Architecture, Config, ImageShape

IMAGE_SHAPE: ImageShape = (1, 28, 28)
_MAPS: ImageShape = (32, 5, 5)
_FEATURES = 32 * 5 * 5

HEAD_SETTINGS: dict[str, Setting] = {"relu_logits": FLAG}


def encoder(config: Config) -> nn.Sequential:
    """Conv(1→16, 3) and Conv(16→32, 3), each → ReLU → dropout → max pooling; Linear → ReLU → dropout.

    Sizes 28→26→13→11→5: images (batch, 1, 28, 28) to codes (batch, latent_size), which are not negative.
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3), *_active(config), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3), *_active(config), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(_FEATURES, config["latent_size"]), *_active(config)),
    )


def decoder(config: Config) -> nn.Sequential:
    """Linear → ReLU → dropout → ConvT(32→16, 5) → ReLU → dropout → ConvT(16→1, 4) → sigmoid.

    Sizes 5→13→28: codes (batch, latent_size) to images (batch, 1, 28, 28).
    """
    return nn.Sequential(
        *(nn.Linear(config["latent_size"], _FEATURES), *_active(config), nn.Unflatten(1, _MAPS)),
        *(nn.ConvTranspose2d(32, 16, 5, stride=2), *_active(config)),
        *(nn.ConvTranspose2d(16, 1, 4, stride=2), nn.Sigmoid()),
    )


def head(config: Config, _image_shape: ImageShape, num_classes: int) -> nn.Module:
    """Linear → [ReLU]: codes (batch, latent_size) to logits (batch, classes)."""
    linear = nn.Linear(config["latent_size"], num_classes)
    return nn.Sequential(linear, nn.ReLU()) if config["relu_logits"] else linear


def _active(config: Config) -> tuple[nn.Module, nn.Module]:
    return nn.ReLU(), Dropout(config["dropout"])


def _parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return encoder(config), decoder(config)


ARCHITECTURE = Architecture(_parts, {}, IMAGE_SHAPE)
