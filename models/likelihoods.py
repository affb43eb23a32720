"""What a decoder's output says about the pixels of 8-bit images: probabilities of their grey levels, and means.

Everything is in nats; `outputs` and `pixels` are (batch, channels, height, width).

A pixel k/255 stands for a bin of width 1/255 around it, as an 8-bit number does. What a likelihood is judged by is the
probability of the bin, not the density at its centre: a density has no bound where all pixels of a kind are the same,
as the black ones of MNIST are, so that there the numbers say how far a network went after them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

BIN = 1 / 255


class Likelihood(nn.Module):
    """A distribution of each pixel given the decoder's output, independent of the other pixels."""

    trains_on_mass = True
    """Whether `training_score` is `log_mass`, so that who has the one need not compute the other.

    Tried on 10,000 images of MNIST and of Fashion-MNIST, on densities instead: the Gaussian came to 1537 nats in place
    of 930, and to 2386 in place of 2162, as it had to hit black rather than lie below it. The continuous Bernoulli
    came to within 0.5 % of the same nats, with a square error 5 % higher and logits up to twice as far out.
    """

    def log_mass(self, outputs: Tensor, pixels: Tensor) -> Tensor:
        """Return the log-probability (batch,), at most 0, of the bins of width 1/255 around the pixels in [0, 1].

        The bins of black and of white reach to the ends of the distribution's support (as in Salimans et al.,
        "PixelCNN++", 2017, eq. 2), so that the probabilities of the 256 grey levels sum to 1.
        """
        raise NotImplementedError

    def training_score(self, outputs: Tensor, pixels: Tensor) -> Tensor:
        """Return what training maximises, (batch,): `log_mass`, unless a subclass says otherwise."""
        return self.log_mass(outputs, pixels)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the mean image in [0, 1], shaped like `outputs`."""
        raise NotImplementedError


class ContinuousBernoulli(Likelihood):
    """The Bernoulli's formula as a density on [0, 1], with the constant that this takes.

    Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders" (2019), eqs. 4 to 8. In the logit l = log(λ / (1 − λ)) the density is proportional to exp(l x) and
    the distribution function is (exp(l x) − 1) / (exp(l) − 1).
    """

    def log_mass(self, outputs: Tensor, pixels: Tensor) -> Tensor:
        """Return the log-probability (batch,) of the bins of pixels; `outputs` are the logits of λ.

        For l > 0 a bin from a to b has exp(−l (1 − b)) (1 − exp(−l (b − a))) / (1 − exp(−l)), for l < 0 the same
        with |l| and a in place of 1 − b, at 0 its width: no term exceeds the range of single precision.
        """
        steepness = torch.where(outputs < 0, -outputs, outputs)  # abs() would have the gradient 0 at 0
        below, above = functional.relu(pixels - BIN / 2), functional.relu(1 - pixels - BIN / 2)
        from_peak = torch.where(outputs < 0, below, above)
        # 1 − below − above would have fewer digits
        width = BIN - functional.relu(BIN / 2 - pixels) - functional.relu(pixels - (1 - BIN / 2))
        small = steepness / 2 < _SMALL
        large = torch.where(small, 1, steepness)  # where() passes both branches' gradients: keep NaN out of this one
        closed = torch.log(torch.expm1(-large * width) / torch.expm1(-large))
        series = torch.log(width) + _log_mean_decay(steepness * width) - _log_mean_decay(steepness)
        return (torch.where(small, series, closed) - steepness * from_peak).flatten(1).sum(1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the mean, which is not λ but (1 + coth(l/2) − 2/l) / 2."""
        return (1 + langevin(outputs / 2)) / 2


class Bernoulli(ContinuousBernoulli):
    """Trained with the plain cross entropy of grey levels, evaluated as a continuous Bernoulli of the same λ.

    The cross entropy is no likelihood of grey levels: it lacks the constant of the class above, and comes to the
    minimum where λ is the mean of the pixel. So the mean image is λ, as such networks are used.
    """

    trains_on_mass = False

    def training_score(self, outputs: Tensor, pixels: Tensor) -> Tensor:
        """Return x log λ + (1 − x) log(1 − λ), summed over the pixels, (batch,)."""
        losses = functional.binary_cross_entropy_with_logits(outputs, pixels, reduction="none")
        return -losses.flatten(1).sum(1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return λ."""
        return outputs.sigmoid()


class Gaussian(Likelihood):
    """A normal distribution around each output, of one learnt scale σ for all pixels and images.

    Rybkin et al., "Simple and effective VAE training with calibrated decoders" (2021), section 3; log σ is
    bounded below as theirs is, by −6: that σ is less than one of 255 grey levels. What lies below black is counted
    as black and what lies above white as white, so a mean may lie outside of [0, 1].
    """

    MIN_LOG_SCALE = -6.0
    START_LOG_SCALE = math.log(0.25)  # about the spread of a natural image's pixels, hence of the first errors

    def __init__(self) -> None:
        super().__init__()
        # softplus is the identity to within e⁻⁴ here, so the bounded value starts where it should
        self.unbounded_log_scale = nn.Parameter(torch.tensor(self.START_LOG_SCALE))

    @property
    def log_scale(self) -> Tensor:
        """log σ, a scalar; σ is on the scale of pixels in [0, 1]."""
        return self.MIN_LOG_SCALE + functional.softplus(self.unbounded_log_scale - self.MIN_LOG_SCALE)

    def log_mass(self, outputs: Tensor, pixels: Tensor) -> Tensor:
        """Return the log-probability (batch,) of the bins of pixels; `outputs` are the means.

        A bin has Φ(z + h) − Φ(z − h), z being its distance from the mean and h half its width, in σ. It is mirrored
        to z ≤ 0, where neither Φ is near 1; a bin that reaches to infinity is one Φ.
        """
        # far from the mean, a difference of two log Φ in single precision, and PyTorch's gradient of one, are noise
        means, values = outputs.double(), pixels.double()
        precision = torch.exp(-self.log_scale.double())
        error, half = (values - means) * precision, BIN / 2 * precision
        distance = -error.abs()
        black, white = values < BIN / 2, values > 1 - BIN / 2
        faces_the_mean = (black & (error > 0)) | (white & (error < 0))
        nearer = torch.special.log_ndtr(half + torch.where(faces_the_mean, -distance, distance))
        farther = torch.special.log_ndtr(distance - half)
        difference = nearer + torch.log(-torch.expm1(farther - nearer))
        masses = torch.where(black | white, nearer, difference)
        return masses.flatten(1).sum(1).to(outputs.dtype)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the outputs, clipped to the range of pixels: the median of what is counted, rather than the mean."""
        return outputs.clamp(0, 1)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
}

# Half a logit, below which the closed forms lose digits to cancellation, and the series below are exact to 1e-8.
_SMALL = 0.5


def _log_mean_decay(t: Tensor) -> Tensor:
    """Return log((1 − exp(−t)) / t), the log of the mean of exp(−t s) over s in [0, 1], for small t."""
    square = t * t
    return square * (1 / 24 - square * (1 / 2880 - square * (1 / 181_440 - square / 9_676_800))) - t / 2


def langevin(y: Tensor) -> Tensor:
    """Return coth(y) − 1/y, from −1 to 1, 0 at y = 0."""
    square = y * y
    series = y * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725)))
    small = y.abs() < _SMALL
    large = torch.where(small, 1, y)
    return torch.where(small, series, 1 / torch.tanh(large) - 1 / large)
