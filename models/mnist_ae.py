"""The three networks of the report "MNIST autoencoder, VAE and convolutional VAE" (January 2023).

The report gives the kinds of layers and leaves their sizes open. Ours: the sizes of the hidden layer and of the
code are settings (`search_spaces` holds those of the reported configurations); the channels and kernels of the
convolutional network are those written here. Codes are linear, since a posterior's mean takes both signs, and the
dense autoencoder has the encoder of the dense VAE, so that one serves both. The two heads of a VAE, mean and
log-variance, are the halves of one layer. Dropout stands after each hidden activation; the report has none. Weights
start as PyTorch draws them by default.
"""

from __future__ import annotations

from torch import nn

from models._config import Number
from models._layers import Dropout
from models.network import Architecture, Config, ImageShape

IMAGE_SHAPE: ImageShape = (1, 28, 28)
PIXELS = 28 * 28


def dense_encoder(config: Config, outputs: int) -> nn.Sequential:
    """784 → hidden_size → ReLU → outputs: images (batch, 1, 28, 28) to (batch, outputs)."""
    hidden = config["hidden_size"]
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(PIXELS, hidden), nn.ReLU(), Dropout(config["dropout"])),
        nn.Linear(hidden, outputs),
    )


def _dense_decoder(config: Config, output: nn.Module) -> nn.Sequential:
    hidden = config["hidden_size"]
    return nn.Sequential(
        *(nn.Linear(config["latent_size"], hidden), nn.ReLU(), Dropout(config["dropout"])),
        *(nn.Linear(hidden, PIXELS), output, nn.Unflatten(1, IMAGE_SHAPE)),
    )


def _cnn_encoder(config: Config, outputs: int) -> nn.Sequential:
    """28→14→7 pixels a side by strides, →3 by average pooling, →1 by the final convolution to the latent."""
    return nn.Sequential(
        *_normed(nn.Conv2d(1, 32, 3, stride=2, padding=1, bias=False), config),
        *_normed(nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), config),
        nn.AvgPool2d(3, stride=2),
        *(nn.Conv2d(64, outputs, 3), nn.Flatten()),
    )


def _cnn_decoder(config: Config) -> nn.Sequential:
    """A linear part to 64·7·7 features, unflattened, and transposed convolutions: 7→14→28 pixels a side."""
    return nn.Sequential(
        *(nn.Linear(config["latent_size"], 64 * 7 * 7), nn.ReLU(), Dropout(config["dropout"])),
        nn.Unflatten(1, (64, 7, 7)),
        *_normed(nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, bias=False), config),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
    )


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d, config: Config) -> list[nn.Module]:
    """A convolution, without a bias of its own, → batch norm → ReLU → dropout."""
    norm = nn.BatchNorm2d(convolution.out_channels)
    return [convolution, norm, nn.ReLU(), Dropout(config["dropout"])]


def _autoencoder_parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return dense_encoder(config, config["latent_size"]), _dense_decoder(config, nn.Sigmoid())


def _vae_parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return dense_encoder(config, 2 * config["latent_size"]), _dense_decoder(config, nn.Identity())


def _vae_cnn_parts(config: Config, _image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return _cnn_encoder(config, 2 * config["latent_size"]), _cnn_decoder(config)


_HIDDEN_SIZE = {"hidden_size": Number(1, whole=True)}

DENSE_AUTOENCODER = Architecture(_autoencoder_parts, _HIDDEN_SIZE, IMAGE_SHAPE)
DENSE_VAE = Architecture(_vae_parts, _HIDDEN_SIZE, IMAGE_SHAPE)
CNN_VAE = Architecture(_vae_cnn_parts, {}, IMAGE_SHAPE)
