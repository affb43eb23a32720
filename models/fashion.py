"""The autoencoder of the report "Fashion-MNIST convolutional autoencoder" (November 2024), layer for layer.

The report gives no kernels for its transposed convolutions; with a stride of 2 their sizes, 5→13→28, ask for 5 and
4, which is our choice. Dropout follows every hidden activation and the code's, never the output's.
"""

from __future__ import annotations

from torch import nn

from models._dropout import Dropout
from models.family import Architecture, Config, ImageShape

IMAGE_SHAPE: ImageShape = (1, 28, 28)
_MAPS: ImageShape = (32, 5, 5)
_FEATURES = 32 * 5 * 5


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


def _active(config: Config) -> tuple[nn.Module, nn.Module]:
    return nn.ReLU(), Dropout(config["dropout"])


def _parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return encoder(config), decoder(config)


ARCHITECTURE = Architecture(_parts, {}, IMAGE_SHAPE)
