"""Probabilistic PCA: PCA as a Gaussian of the pixels, and its nats of 8-bit images, the currency of VAEs.

Tipping and Bishop, "Probabilistic principal component analysis" (1999): a code from N(0, I), a linear decoder, and
noise of one variance for all pixels. Of maximum likelihood, the pixels' covariance keeps PCA's variances along the
components and has along every other axis the mean of the variances there (their eqs. 7 and 8).

A grey level k stands for a bin of width 1/255 around k/255, as it does for a VAE (`models/likelihoods.py`). So the
model is fitted to pixels with uniform noise of that width, whose covariance is that of the pixels and 1/(12 · 255²)
on its diagonal: no variance is below it. All numbers are upper bounds of −log p(image), in nats per image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

BIN = 1 / 255
UNIFORM_NOISE = BIN**2 / 12
"""The variance of uniform noise in a bin."""

# Of the Gauss-Hermite rule, exact for polynomials up to degree 7. A pixel's decoded mean has at most the noise's
# variance, over which −log Φ hardly bends: with 3 nodes MNIST's nats are off by up to 0.03, with 5 by less than 0.001.
_NODES = 4


@dataclass(frozen=True, eq=False)
class ProbabilisticPca:
    """The Gaussian of images with uniform noise, with k components.

    Attributes:
        mean: the mean image, pixels in [0, 1], shape (pixels,).
        components: PCA's axes, orthonormal rows, shape (k, pixels).
        variances: of the pixels along the components, shape (k,), none below `noise`.
        noise: the variance along every other axis.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    variances: NDArray[np.float64]
    noise: float

    def nelbo(self, squares: NDArray[np.float64], rest: float) -> float:
        """Return −log p of images under uniform dequantisation, in nats per image, from the images' second moments.

        A bin's probability is the mean density in it, whose logarithm is by Jensen's inequality at least the mean
        logarithm (Theis et al., "A note on the evaluation of generative models", 2016, eq. 7). Under a Gaussian that
        mean has a closed form: the noise adds its variance to every squared distance.

        Args:
            squares: the mean squares, over images, of their coordinates along the components, shape (k,).
            rest: the mean of their squared distances from the plane of the components.
        """
        others = len(self.mean) - len(self.variances)
        log_det = np.log(self.variances).sum() + others * math.log(self.noise)
        distance = ((squares + UNIFORM_NOISE) / self.variances).sum() + (rest + others * UNIFORM_NOISE) / self.noise
        return float(len(self.mean) * (math.log(2 * math.pi) / 2 - math.log(BIN)) + (log_det + distance) / 2)

    def gain_of_ends(self, pixels: NDArray[np.float64]) -> float:
        """Return how many nats, summed over images, are gained where black and white stand for all that lies beyond.

        So it is judged as a VAE's Gaussian likelihood is, whose bins of black and white reach to infinity. It is a VAE
        whose decoder is linear and whose encoder is the code's exact posterior before the ends are moved. Given a code,
        pixels are independent: of a black or white one the bound of the bin's probability, as in `coded_nelbo`, makes
        way for the probability with the moved end. Its logarithm's expectation is an integral over one variable, the
        decoded pixel, which is normal.

        Args:
            pixels: in [0, 1], shape (images, pixels).
        """
        ends = (pixels < BIN / 2) | (pixels > 1 - BIN / 2)
        kept = 1 - self.noise / self.variances  # of the code, by its posterior mean
        decoded = self.mean + ((pixels - self.mean) @ self.components.T * kept) @ self.components
        spread = self.noise * (kept @ self.components**2)
        scale = math.sqrt(self.noise)
        values, means, spreads = pixels[ends], decoded[ends], np.broadcast_to(spread, pixels.shape)[ends]
        inside = np.where(values < 0.5, values + BIN / 2 - means, means - values + BIN / 2) / scale
        density = (np.square(values - means) + spreads + UNIFORM_NOISE) / (2 * self.noise)
        density += math.log(2 * math.pi * self.noise) / 2 - math.log(BIN)
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        deviations = np.sqrt(spreads) / scale
        gain = float(density.sum())
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            gain += weight * float(torch.special.log_ndtr(torch.from_numpy(inside + node * deviations)).sum())
        return gain

    def coded_nelbo(self, nelbo: float) -> float:
        """Return the bound by way of codes, in which Jensen's inequality is for each pixel given a code.

        There the density has the variance `noise` along all axes, so that uniform noise costs more than in `nelbo`.
        """
        return nelbo + UNIFORM_NOISE / 2 * float((1 / self.noise - 1 / self.variances).sum())


def fit(
    mean: NDArray[np.float64], components: NDArray[np.float64], variances: NDArray[np.float64], total: float
) -> ProbabilisticPca:
    """Return the model of maximum likelihood of images with uniform noise.

    Args:
        mean: of the images, shape (pixels,).
        components: PCA's axes, the largest variance first, shape (k, pixels).
        variances: along them, mean squares, shape (k,).
        total: the variance along all axes together.
    """
    others = len(mean) - len(components)
    noise = max(total - float(variances.sum()), 0.0) / others if others else 0.0
    # equal variances may differ by rounding
    return ProbabilisticPca(mean, components, np.maximum(variances, noise) + UNIFORM_NOISE, noise + UNIFORM_NOISE)
