"""The variational autoencoder family: codes are distributions, and the evidence lower bound is what it learns by.

Kingma and Welling, "Auto-encoding variational Bayes" (2013), with a normal posterior of independent dimensions,
N(mean, diag(exp(logvar))), and the prior N(0, I).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from models import conv, dense, mnist_ae
from models._config import Number, OneOf
from models._inputs import CORRUPTION, corrupt, training_pair
from models.ae import psnr
from models.likelihoods import LIKELIHOODS
from models.network import Architecture, Config, Family, ImageShape, Network
from models.noise import Stream, normal, of_images

ACTIVE_VARIANCE = 0.01
_DECODED_AT_ONCE = 2**19  # pixels: of a wide decoder's activations, about 1 GiB


class VariationalAutoencoder(Network):
    """An encoder to the posterior's mean and log-variance, and a decoder to the parameters of a likelihood.

    Images are floats in [0, 1] of shape (batch, channels, height, width); codes are (batch, latent_size). All
    bounds and likelihoods are in nats per image, of the probability of the image's 8-bit grey levels (of the bins of
    width 1/255 around its pixels), whatever `likelihood` the network was trained with: so networks compare with each
    other, and no bound on −log p(image) is below 0.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, config: Config, image_shape: ImageShape) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = LIKELIHOODS[config["likelihood"]]()
        self.image_shape = image_shape
        self.latent_size: int = config["latent_size"]
        self._config = dict(config)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance, (batch, latent_size) each, of the codes of images."""
        mean, logvar = self.encoder(images).float().chunk(2, dim=1)
        return mean, logvar

    def encode(self, images: Tensor) -> Tensor:
        """Return the codes (batch, latent_size) of images (batch, channels, height, width): posterior means."""
        return self.posterior(images)[0]

    def decode(self, codes: Tensor) -> Tensor:
        """Return the mean images (batch, channels, height, width), in [0, 1], of codes (batch, latent_size)."""
        return self.likelihood.mean(self._outputs(codes))

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstruction of images, in their shape, from the means of their posteriors."""
        return self.decode(self.encode(images))

    def kl_weight(self) -> Tensor:
        """Return the weight of the KL divergence now, (): it grows linearly from 0 to beta over the warm-up.

        β as in Higgins et al., "beta-VAE" (2017); the warm-up as in Bowman et al. (2016) and Sønderby et al. (2016).
        """
        beta, warmup = float(self._config["beta"]), float(self._config["beta_warmup"])
        return beta * (self.progress / warmup).clamp(max=1) if warmup > 0 else beta * torch.ones_like(self.progress)

    def corrupted(self, images: Tensor, indices: Tensor | None = None) -> Tensor:
        """Return what the network is given in training instead of images, in their shape; see `corrupt`."""
        return corrupt(self._config, images, indices)

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to minimise, in nats per pixel, and its parts for the record, detached, in nats per image.

        The loss is the likelihood's negative training score plus `kl_weight()` times the KL divergence, divided by
        the number of pixels: learning rates and weight decays then mean the same for images of every size.
        Of the parts, `nelbo` (`reconstruction` + `kl`) is the negative evidence lower bound whatever the weight,
        and `reconstruction` the negative log-probability of the grey levels to give back. Where training scores
        something else, the plain Bernoulli, `cross_entropy` is that. labels (batch,) are not used.
        """
        given, target = training_pair(self._config, images)
        mean, logvar = self.posterior(given)
        noise = normal(tuple(mean.shape), mean.device)
        outputs = self._outputs(mean + (logvar / 2).exp() * noise)
        kl = kl_per_dimension(mean, logvar).sum(1)
        score = self.likelihood.training_score(outputs, target)
        loss = (self.kl_weight() * kl - score).mean() / images[0].numel()
        parts = {"kl": kl.mean().detach()}
        if self.likelihood.trains_on_mass:
            parts["reconstruction"] = -score.mean().detach()
        else:
            with torch.no_grad():
                parts["reconstruction"] = -self.likelihood.log_mass(outputs, target).mean()
            parts["cross_entropy"] = -score.mean().detach()
        return loss, {"nelbo": parts["reconstruction"] + parts["kl"], **parts}

    @torch.no_grad()
    def per_image(self, images: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        """Return the parts of the bound, in nats, and what else the metrics are made of.

        `nelbo`, `reconstruction`, `kl` (batch,) at β = 1, of one code drawn for each clean image; `mean` and
        `kl_per_dimension` (batch, latent_size) of the posterior; `mse` (batch,) of the mean reconstruction,
        per pixel, which is within [0, 1] for every likelihood; with a corruption also `denoised_mse` (batch,), from
        the corrupted image to the clean one.
        """
        mean, logvar = self.posterior(images)
        noise = of_images(Stream.CODES, indices, (self.latent_size,)).to(mean.dtype)
        divergences = kl_per_dimension(mean, logvar)
        kl = divergences.sum(1)
        reconstruction = -self.likelihood.log_mass(self._outputs(mean + (logvar / 2).exp() * noise), images)
        values = {
            "nelbo": reconstruction + kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "mse": _mse(self.decode(mean), images),
            "mean": mean,
            "kl_per_dimension": divergences,
        }
        if self._config["corruption"] != "none":
            values["denoised_mse"] = _mse(self(self.corrupted(images, indices)), images)
        return values

    def metrics(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the means over the images, `bits_per_dimension`, `active_units`, and `psnr`, a mean in dB.

        `bits_per_dimension` is `nelbo` in bits, divided by the number of pixels of all channels.
        """
        averaged = ("nelbo", "reconstruction", "kl", "mse", "denoised_mse")
        metrics = {name: values[name].mean().item() for name in averaged if name in values}
        metrics["bits_per_dimension"] = metrics["nelbo"] / (math.prod(self.image_shape) * math.log(2))
        return metrics | {"active_units": float(active_units(values["mean"])), "psnr": psnr(values["mse"])}

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return n mean images (n, channels, height, width), in [0, 1], of codes drawn from the prior."""
        device = next(self.parameters()).device
        codes = normal((n, self.latent_size), device, generator)
        return torch.cat([self.decode(part) for part in torch.split(codes, self._images_at_once())])

    @torch.no_grad()
    def log_likelihood(self, images: Tensor, samples: int, indices: Tensor, seed: int = 0) -> Tensor:
        """Return the importance-weighted estimate of log p(image), (batch,), in nats, from `samples` codes each.

        The codes drawn for an image depend on its position in its split, of `indices` (batch,), and on the seed.

        Burda et al., "Importance weighted autoencoders" (2016), eq. 8: in the mean it lies between the evidence
        lower bound, which it is for one sample, and log p(image), which it reaches with ever more. The memory
        that it takes does not grow with `samples`.
        """
        parts = zip(*(torch.split(whole, self._images_at_once()) for whole in (images, indices)), strict=True)
        return torch.cat([self._importance_weighted(part, samples, where, seed) for part, where in parts])

    def encoder_state(self) -> dict[str, Tensor]:
        """Return the state dict of an encoder to the mean alone, as an autoencoder of the same layers has it."""
        state = dict(self.encoder.state_dict())
        heads = [name for name, layer in self.encoder.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        for key in (f"{heads[-1]}.weight", f"{heads[-1]}.bias"):
            state[key] = state[key][: self.latent_size].clone()
        return state

    def _outputs(self, codes: Tensor) -> Tensor:
        outputs: Tensor = self.decoder(codes)
        return outputs.float()

    def _images_at_once(self) -> int:
        return max(1, _DECODED_AT_ONCE // math.prod(self.image_shape))

    def _importance_weighted(self, images: Tensor, samples: int, indices: Tensor, seed: int) -> Tensor:
        mean, logvar = (moment[:, None] for moment in self.posterior(images))
        at_once = max(1, self._images_at_once() // len(images))
        total = mean.new_full((len(images),), -math.inf)
        for start in range(0, samples, at_once):
            n = min(at_once, samples - start)
            first, shape = start * self.latent_size, (n, self.latent_size)
            noise = of_images(Stream.IMPORTANCE, indices, shape, first=first, seed=seed).to(mean.dtype)
            codes = mean + (logvar / 2).exp() * noise
            outputs = self._outputs(codes.flatten(0, 1))
            masses = self.likelihood.log_mass(outputs, images.repeat_interleave(n, 0)).view(-1, n)
            # log p(code) − log q(code | image): the normal distributions' constants cancel
            ratios = (noise.square() + logvar - codes.square()).sum(2) / 2
            total = torch.logaddexp(total, (masses + ratios).logsumexp(1))
        return total - math.log(samples)


def kl_per_dimension(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mean, exp(logvar)) ‖ N(0, 1)) in nats, elementwise (Kingma and Welling, 2013, appendix B)."""
    return (mean.square() + logvar.exp() - 1 - logvar) / 2


def active_units(means: Tensor) -> int:
    """Return how many dimensions' posterior means (n, latent_size) vary over the images, by more than 0.01.

    Burda et al., "Importance weighted autoencoders" (2016), section 5: the variance of the mean.
    """
    return int((means.var(0, correction=0) > ACTIVE_VARIANCE).sum().item())


def _mse(images: Tensor, originals: Tensor) -> Tensor:
    return (images - originals).square().flatten(1).mean(1)


def _general(
    encoder: Callable[[Config, ImageShape, int], nn.Module],
    decoder: Callable[..., nn.Module],
    autoencoder: Architecture,
) -> Architecture:
    """Return an autoencoder's architecture with two heads and with an output that the likelihood interprets."""

    def parts(config: Config, image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
        outputs = 2 * config["latent_size"]
        return encoder(config, image_shape, outputs), decoder(config, image_shape, output_activation="none")

    settings = {key: setting for key, setting in autoencoder.settings.items() if key != "output_activation"}
    return replace(autoencoder, parts=parts, settings=settings)


def _assemble(architecture: Architecture, config: Config, image_shape: ImageShape, _num_classes: int) -> Network:
    encoder, decoder = architecture.parts(config, image_shape)
    return VariationalAutoencoder(encoder, decoder, config, image_shape)


FAMILY = Family(
    settings={
        "latent_size": Number(1, whole=True),
        "dropout": Number(0, 1, open_high=True),
        **CORRUPTION,
        "likelihood": OneOf(tuple(LIKELIHOODS)),
        "beta": Number(0),
        # fraction of the training over which the weight of the KL divergence grows from 0 to beta
        "beta_warmup": Number(0, 1),
    },
    architectures={
        "dense": _general(dense.encoder, dense.decoder, dense.ARCHITECTURE),
        "conv": _general(conv.encoder, conv.decoder, conv.ARCHITECTURE),
        "mnist_ae/vae": mnist_ae.DENSE_VAE,
        "mnist_ae/vae_cnn": mnist_ae.CNN_VAE,
    },
    assemble=_assemble,
)
