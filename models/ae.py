"""The autoencoder family: an encoder to a code of a few numbers, a decoder back, and the squared error.

What goes in may be corrupted (denoising), and the codes may be asked to be sparse or to change little with the
image (contractive): the settings say how, and the errors that are compared are always those of clean images.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import cifar_ae, conv, dense, fashion, flowers, mnist_ae, pca_start
from models._config import Number
from models._inputs import CORRUPTION, corrupt, training_pair
from models.network import Architecture, Config, Family, ImageShape, Network
from models.noise import normal


class Autoencoder(Network):
    """An encoder and a decoder trained to give back what went in.

    Images are floats in [0, 1] of shape (batch, channels, height, width); codes are (batch, latent_size).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, config: Config) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent_size: int = config["latent_size"]
        self._config = dict(config)
        last = [layer for layer in decoder.modules() if not isinstance(layer, nn.Unflatten | nn.Identity)][-1]
        self._bounded = isinstance(last, nn.Sigmoid)  # no reconstruction leaves [0, 1]

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

    def encoder_state(self) -> dict[str, Tensor]:
        """Return the state dict of the encoder, for a classifier to start from."""
        return self.encoder.state_dict()

    def start_from_pca(self, mean: Tensor, axes: Tensor) -> None:
        """Make the reconstruction that of PCA with these components; only for the architecture `pca`.

        Args:
            mean: PCA's mean image, (pixels,).
            axes: its orthonormal components, (components, pixels) with at most `latent_size` of them: codes
                beyond them mean nothing at first.
        """
        if not isinstance(self.encoder, pca_start.Encoder) or not isinstance(self.decoder, pca_start.Decoder):
            super().start_from_pca(mean, axes)
        else:
            self.encoder.start_from_pca(mean, axes)
            self.decoder.start_from_pca(mean, axes)

    def corrupted(self, images: Tensor, indices: Tensor | None = None) -> Tensor:
        """Return what the network is given in training instead of images, in their shape; see `corrupt`."""
        return corrupt(self._config, images, indices)

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to minimise and its parts for the record, detached: scalars, means over the batch.

        The loss is `mse`, the squared error per pixel on [0, 1] against the target, plus the config's weights
        times `sparsity`, the mean absolute value of the codes, and `contraction`, the squared Frobenius norm of
        the codes' Jacobian by the pixels. A penalty without weight is not computed. Labels are not used.
        """
        given, target = training_pair(self._config, images)
        contracted = self._config["contraction"] > 0
        if contracted:
            given = given.detach().requires_grad_()
        codes = self.encode(given)
        loss = functional.mse_loss(self.decode(codes).float(), target)
        parts = {"mse": loss.detach()}
        penalties = {}
        if self._config["sparsity"] > 0:
            penalties["sparsity"] = codes.float().abs().mean()
        if contracted:
            penalties["contraction"] = squared_jacobian_norm(codes, given)
        for name, penalty in penalties.items():
            loss = loss + self._config[name] * penalty
            parts[name] = penalty.detach()
        return loss, parts

    @torch.no_grad()
    def per_image(self, images: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        """Return `mse` (batch,), the squared error per pixel of the clean images' reconstructions, clipped to [0, 1].

        Clipped as a picture of them is; of a network whose reconstructions may leave [0, 1], `mse_unclipped` too, of
        them as they are. Where the config has a corruption, `denoised_mse` too, clipped: of the corrupted images'
        reconstructions, against the clean ones.
        """
        reconstructions = self(images).float()
        values = {"mse": _errors(reconstructions.clamp(0, 1), images)}
        if not self._bounded:
            values["mse_unclipped"] = _errors(reconstructions, images)
        if self._config["corruption"] != "none":
            denoised = self(self.corrupted(images, indices)).float()
            values["denoised_mse"] = _errors(denoised.clamp(0, 1), images)
        return values

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the mean of each error, and `psnr`, the mean of the images' peak signal-to-noise ratios, in dB."""
        means = {name: errors.mean().item() for name, errors in values.items()}
        return means | {"psnr": psnr(values["mse"])}


def _errors(reconstructions: Tensor, images: Tensor) -> Tensor:
    return functional.mse_loss(reconstructions, images, reduction="none").flatten(1).mean(1)


def squared_jacobian_norm(codes: Tensor, images: Tensor) -> Tensor:
    """Estimate the mean over images of |d code / d image|², the squared Frobenius norm, without bias.

    The penalty of Rifai et al., "Contractive auto-encoders" (2011), eq. 5. One row of the Jacobian per code
    would cost as many passes; for v from N(0, I), E |vᵀJ|² = |J|² (Hutchinson, 1990), and one pass gives vᵀJ.
    Under batch norm in training mode a code depends on the other images of its batch too, and what it takes
    from them counts with it.

    Args:
        codes: (batch, latent_size), computed from `images`.
        images: (batch, channels, height, width), which require gradients.
    """
    directions = normal(tuple(codes.shape), codes.device).to(codes.dtype)
    (projected,) = torch.autograd.grad(codes, images, directions, create_graph=True)
    return projected.float().square().sum() / len(images)


def psnr(errors: Tensor) -> float:
    """Return the mean over images of 10 log10(1 / error) in dB, from squared errors per pixel (n,) on [0, 1].

    An error below 1e-10, which 8-bit images cannot show, counts as 100 dB.
    """
    return (-10 * errors.clamp(min=1e-10).log10()).mean().item()


def _assemble(architecture: Architecture, config: Config, image_shape: ImageShape, _num_classes: int) -> Network:
    encoder, decoder = architecture.parts(config, image_shape)
    return Autoencoder(encoder, decoder, config)


FAMILY = Family(
    settings={
        "latent_size": Number(1, whole=True),
        "dropout": Number(0, 1, open_high=True),
        **CORRUPTION,
        # the weights of the penalties beside the squared error per pixel, both for the mean over a batch
        "sparsity": Number(0),
        "contraction": Number(0),
    },
    architectures={
        "dense": dense.ARCHITECTURE,
        "conv": conv.ARCHITECTURE,
        "pca": pca_start.ARCHITECTURE,
        "mnist_ae/dense": mnist_ae.DENSE_AUTOENCODER,
        **cifar_ae.ARCHITECTURES,
        "flowers/ae": flowers.ARCHITECTURE,
        "fashion/ae": fashion.ARCHITECTURE,
    },
    assemble=_assemble,
)
