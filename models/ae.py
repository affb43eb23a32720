"""The autoencoder family: an encoder to a code of a few numbers, a decoder back, and the squared error."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import cifar_ae, conv, dense
from models._config import Interval
from models.family import Architecture, Config, Family, ImageShape
from models.network import Network


class Autoencoder(Network):
    """An encoder and a decoder trained to give back what went in.

    Images are floats in [0, 1] of shape (batch, channels, height, width); codes are (batch, latent_size).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, image_shape: ImageShape, latent_size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.image_shape = image_shape
        self.latent_size = latent_size

    def encode(self, images: Tensor) -> Tensor:
        """Return the codes (batch, latent_size) of images (batch, channels, height, width)."""
        codes: Tensor = self.encoder(images)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Return the images (batch, channels, height, width) that codes (batch, latent_size) stand for."""
        images: Tensor = self.decoder(codes)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstruction of images, in their shape (batch, channels, height, width)."""
        return self.decode(self.encode(images))

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to minimise and its parts for the record, detached: scalars, means over the batch.

        The loss is the squared error per pixel, on the scale [0, 1]; labels (batch,) are not used.
        """
        mse = functional.mse_loss(self(images).float(), images)
        return mse, {"mse": mse.detach()}

    @torch.no_grad()
    def per_image(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return `mse` (batch,), the squared error per pixel on the scale [0, 1]."""
        errors = functional.mse_loss(self(images).float(), images, reduction="none")
        return {"mse": errors.flatten(1).mean(1)}

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the mean of `mse`, and `psnr`, the mean of the images' peak signal-to-noise ratios in dB."""
        return {"mse": values["mse"].mean().item(), "psnr": psnr(values["mse"])}


def psnr(errors: Tensor) -> float:
    """Return the mean over images of 10 log10(1 / error) in dB, from squared errors per pixel (n,) on [0, 1].

    An error below 1e-10, which 8-bit images cannot show, counts as 100 dB.
    """
    return (-10 * errors.clamp(min=1e-10).log10()).mean().item()


def _assemble(architecture: Architecture, config: Config, image_shape: ImageShape, _num_classes: int) -> Network:
    encoder, decoder = architecture.parts(config, image_shape)
    return Autoencoder(encoder, decoder, image_shape, config["latent_size"])


FAMILY = Family(
    settings={
        "latent_size": Interval(1, whole=True),
        "dropout": Interval(0, 1, open_high=True),
    },
    architectures={
        "dense": dense.ARCHITECTURE,
        "conv": conv.ARCHITECTURE,
        **cifar_ae.ARCHITECTURES,
    },
    assemble=_assemble,
)
