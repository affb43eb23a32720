"""The networks of the report "Oxford Flowers-102 autoencoder and classifier", layer for layer.

The report's code is a stack of maps (400, 4, 4); here the encoder's end flattens it to 6,400 numbers and the
decoder's start puts it back, as every autoencoder of the family has flat codes. Where dropout stands the report
does not say: ours stands after each activation of the autoencoder, so that neither the last layer nor the pooling sees
it first, and in the classifier after the activation of each hidden linear layer, which hold most of the parameters:
its encoder has none in either stage. Like the encoder's, the head's layers have biases under batch norm too.

The report undoes its max pooling without remembering where the largest values were: every value goes to one cell of a
map twice as fine, and the other cells are zeros. It placed the values one at a time; here the zeros are padded on
beside each value, in one differentiable operation.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from models._config import FLAG, OneOf
from models._layers import Dropout
from models.network import Architecture, Config, ImageShape

IMAGE_SHAPE: ImageShape = (3, 100, 100)
CODE_SHAPE: ImageShape = (400, 4, 4)
_CHANNELS = (3, 16, 64, 144, 256, 400)
_POOL_KERNELS = (2, 2, 3, 3, 3)
_HEAD_CHANNELS = (400, 700, 1000)
_HEAD_FEATURES = (16000, 8192, 2048, 512)


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


def head(config: Config, _image_shape: ImageShape, num_classes: int) -> nn.Module:
    """Conv(k 3, p 1) → [BN] → ReLU, twice; Flatten; Linear → [BN] → ReLU → Dropout, three times; Linear."""
    layers: list[nn.Module] = [nn.Unflatten(1, CODE_SHAPE)]
    for before, after in pairwise(_HEAD_CHANNELS):
        layers.append(nn.Conv2d(before, after, 3, padding=1))
        layers += [nn.BatchNorm2d(after)] if config["batch_norm"] else []
        layers.append(nn.ReLU())
    layers.append(nn.Flatten())
    for before, after in pairwise(_HEAD_FEATURES):
        layers.append(nn.Linear(before, after))
        layers += [nn.BatchNorm1d(after)] if config["batch_norm"] else []
        layers += [nn.ReLU(), Dropout(config["dropout"])]
    return nn.Sequential(*layers, nn.Linear(_HEAD_FEATURES[-1], num_classes))


def unpool_2x2(features: Tensor) -> Tensor:
    """Undo the size of a max pooling of 2×2, stride 2: each value becomes the top-left cell of a 2×2 block.

    Takes (batch, channels, height, width), returns (batch, channels, 2 · height, 2 · width).
    """
    # with the channels last, where a trained network has them, whole runs of memory are copied
    values = features.permute(0, 2, 3, 1)[:, :, None, :, None]
    blocks = functional.pad(values, (0, 0, 0, 1, 0, 0, 0, 1))  # (batch, height, 2, width, 2, channels)
    return blocks.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def unpool_3x3(features: Tensor) -> Tensor:
    """Undo the size of a max pooling of 3×3, stride 2, padding 1: the values go to the even coordinates.

    Takes (batch, channels, height, width), returns (batch, channels, 2 · height - 1, 2 · width - 1).
    """
    return unpool_2x2(features)[..., :-1, :-1]


class InverseMaxPool2d(nn.Module):
    """Inverse of the size of a max pooling with stride 2 and a kernel of 2 (n → 2n) or of 3 (n → 2n - 1)."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        if kernel_size not in (2, 3):
            raise ValueError(f"kernel_size must be 2 or 3, not {kernel_size}")
        self.kernel_size = kernel_size

    def forward(self, features: Tensor) -> Tensor:
        """Return the finer map of features (batch, channels, height, width)."""
        return unpool_2x2(features) if self.kernel_size == 2 else unpool_3x3(features)

    def extra_repr(self) -> str:
        """Return what `print` shows."""
        return f"kernel_size={self.kernel_size}"


def _active(config: Config, channels: int) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(channels)] if config["batch_norm"] else []
    return [*norm, nn.ReLU(), Dropout(config["dropout"])]


def _parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return encoder(config), decoder(config)


_CODE_SIZE = CODE_SHAPE[0] * CODE_SHAPE[1] * CODE_SHAPE[2]

ARCHITECTURE = Architecture(_parts, {"latent_size": OneOf((_CODE_SIZE,)), "batch_norm": FLAG}, IMAGE_SHAPE)
