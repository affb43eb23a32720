"""Probabilities of grey levels and means against PyTorch's distributions, integrals and each other, far out too."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, distributions

from models.likelihoods import LIKELIHOODS, Bernoulli, ContinuousBernoulli, Gaussian, Likelihood

# λ of 1/2 and very near it, on both sides of the switch to a series (|logit| = 1), and far out
LOGITS = [0.0, 1e-9, -1e-4, 1e-3, -0.3, 0.999, 1.001, -2.0, 7.0, -30.0]
FAR_LOGITS = [300.0, -2000.0, 1e5]
MEANS = [-3.0, -0.01, 0.0, 1 / 510, 0.3, 128 / 255, 0.998, 1.0, 5.0]
LOG_SCALES = [-6.0, -5.5, -4.0, -2.0, 0.0, 3.0]
LEVELS = torch.arange(256, dtype=torch.float64) / 255


def image(values: list[float] | Tensor) -> Tensor:
    """One number per image: (n, 1, 1, 1), float64."""
    return torch.as_tensor(values, dtype=torch.float64).reshape(-1, 1, 1, 1)


def gaussian(log_scale: float) -> Gaussian:
    likelihood = Gaussian().double()
    softplus = log_scale - Gaussian.MIN_LOG_SCALE
    start = math.log(math.expm1(softplus)) if softplus else -1000.0
    torch.nn.init.constant_(likelihood.unbounded_log_scale, start + Gaussian.MIN_LOG_SCALE)
    assert likelihood.log_scale.item() == pytest.approx(log_scale)
    return likelihood.requires_grad_(requires_grad=False)


BERNOULLIS = [
    pytest.param(kind(), logit, id=f"{kind.__name__}-{logit}")
    for kind in (Bernoulli, ContinuousBernoulli)
    for logit in LOGITS + FAR_LOGITS
]
GAUSSIANS = [
    pytest.param(gaussian(scale), mean, id=f"Gaussian-e{scale}-{mean:.3f}") for scale in LOG_SCALES for mean in MEANS
]


@pytest.mark.parametrize(("likelihood", "output"), BERNOULLIS + GAUSSIANS)
def test_probabilities_of_the_grey_levels_sum_to_one(likelihood, output):
    masses = likelihood.log_mass(torch.full_like(image(LEVELS), output), image(LEVELS))
    assert masses.max() <= 0
    assert masses.isfinite().all()
    assert masses.exp().sum().item() == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(("likelihood", "output"), BERNOULLIS + GAUSSIANS)
def test_single_precision_is_enough(likelihood, output):
    """To far less than a nat in all of an image's pixels, for the value and for the gradient."""
    results = []
    for pixels in (image(LEVELS), image(LEVELS).float()):
        outputs = torch.full_like(pixels, output).requires_grad_()
        masses = likelihood.log_mass(outputs, pixels)
        masses.sum().backward()
        assert masses.dtype == pixels.dtype
        assert masses.max() <= 0
        results.append((masses.detach().double(), outputs.grad.double()))
    # a mean or a pixel in single precision is itself off by 6e-8 of it, which counts in units of the scale
    wide = not isinstance(likelihood, Gaussian) or likelihood.log_scale > -3
    torch.testing.assert_close(results[1], results[0], atol=2e-5 if wide else 2e-3, rtol=1e-5 if wide else 1e-4)


@pytest.mark.parametrize("level", [0.0, 1 / 255, 0.2, 0.4, 1.0])
def test_continuous_bernoulli_has_the_distribution_function_of_pytorchs(level):
    logits = image([logit for logit in LOGITS[:-1] if abs(logit) > 1e-3])  # near 0 PyTorch takes a coarse series
    distribution = distributions.ContinuousBernoulli(logits=logits)
    low, high = torch.full_like(logits, max(level - 1 / 510, 0)), torch.full_like(logits, min(level + 1 / 510, 1))
    expected = (distribution.cdf(high) - distribution.cdf(low)).log().flatten()
    masses = ContinuousBernoulli().log_mass(logits, torch.full_like(logits, level))
    torch.testing.assert_close(masses, expected, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("log_scale", LOG_SCALES)
@pytest.mark.parametrize("level", [0.2, 0.4, 0.8])
def test_gaussian_mass_is_the_integral_of_the_density(log_scale, level):
    """Up to 200 standard deviations from the mean, where no distribution function is told from 0."""
    means = torch.tensor([-0.1, 0.2, 0.39, 0.8, 1.2], dtype=torch.float64)
    midpoints = level + (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000 / 255 - 1 / 510
    densities = distributions.Normal(means[:, None], math.exp(log_scale)).log_prob(midpoints)
    expected = densities.logsumexp(1) - math.log(20_000 * 255)
    masses = gaussian(log_scale).log_mass(image(means), torch.full_like(image(means), level))
    torch.testing.assert_close(masses, expected, atol=1e-4, rtol=0)


def test_gaussian_bins_of_black_and_white_are_the_tails():
    normal, likelihood = distributions.Normal(image([0.01, -0.02, 0.4]), math.exp(-4)), gaussian(-4)
    for level, tail in [(0.0, normal.cdf(image([1 / 510]))), (1.0, 1 - normal.cdf(image([1 - 1 / 510])))]:
        masses = likelihood.log_mass(normal.loc, torch.full_like(normal.loc, level)).exp()
        torch.testing.assert_close(masses, tail.flatten(), rtol=0, atol=1e-14)


def test_mass_inside_is_the_density_times_the_width_where_both_are_smooth():
    pixels, logits = image(LEVELS[1:-1]), torch.full((254, 1, 1, 1), -3.0, dtype=torch.float64)
    density = distributions.ContinuousBernoulli(logits=logits).log_prob(pixels).flatten()
    torch.testing.assert_close(
        ContinuousBernoulli().log_mass(logits, pixels), density - math.log(255), atol=1e-4, rtol=0
    )
    density = distributions.Normal(0.4, math.exp(-1)).log_prob(pixels).flatten()
    masses = gaussian(-1).log_mass(torch.full_like(pixels, 0.4), pixels)
    torch.testing.assert_close(masses, density - math.log(255), atol=1e-4, rtol=0)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_mean_is_that_of_its_density(logit):
    pixels = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    density = torch.exp(logit * (pixels - float(logit > 0)))
    expected = torch.trapezoid(pixels * density, pixels) / torch.trapezoid(density, pixels)
    assert ContinuousBernoulli().mean(image([logit])).item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_gradient_of_the_continuous_bernoulli_is_pixel_minus_mean(level):
    """To half a bin, in single precision, as in training; at the logit 0 too."""
    logits = image(LOGITS + FAR_LOGITS).float().requires_grad_()
    ContinuousBernoulli().log_mass(logits, torch.full_like(logits, level)).sum().backward()
    torch.testing.assert_close(logits.grad, level - ContinuousBernoulli().mean(logits), atol=1 / 510, rtol=0)


def test_continuous_bernoulli_is_smooth_in_single_precision():
    logits = torch.linspace(-2, 2, 4001).reshape(-1, 1, 1, 1)
    masses = ContinuousBernoulli().log_mass(logits, torch.full_like(logits, 0.25))
    expected = ContinuousBernoulli().log_mass(logits.double(), torch.full_like(logits.double(), 0.25))
    torch.testing.assert_close(masses.double(), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("log_scale", [-6.0, -2.0, 3.0])
def test_gaussian_gradient_pulls_towards_the_pixel_wherever_the_mean_is(log_scale):
    means = image([-50.0, -1.0, 0.25, 0.35, 2.0, 50.0]).float().requires_grad_()
    gaussian(log_scale).float().log_mass(means, torch.full_like(means, 0.3)).sum().backward()
    expected = (0.3 - means) / math.exp(2 * log_scale)  # of the density, which a narrow bin's edges differ from
    torch.testing.assert_close(means.grad, expected, atol=0.6 / 255 / math.exp(2 * log_scale), rtol=0.01)


def test_gradients_of_certain_pixels_are_zero():
    for kind, output in [(ContinuousBernoulli, 1e5), (Gaussian, 50.0)]:
        outputs = image([-output, output]).float().requires_grad_()
        likelihood = kind()
        masses = likelihood.log_mass(outputs, image([0.0, 1.0]).float())
        masses.sum().backward()
        torch.testing.assert_close(masses, torch.zeros(2))
        torch.testing.assert_close(outputs.grad, torch.zeros_like(outputs))
        assert all(parameter.grad.isfinite() for parameter in likelihood.parameters())


def test_bernoulli_trains_with_the_cross_entropy():
    logits, pixels = torch.randn(4, 3, 5, 5), torch.rand(4, 3, 5, 5).round()
    expected = distributions.Bernoulli(logits=logits).log_prob(pixels).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().training_score(logits, pixels), expected)
    grey = torch.full_like(pixels, 0.3)
    entropy = (0.3 * logits.sigmoid().log() + 0.7 * (1 - logits.sigmoid()).log()).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().training_score(logits, grey), entropy)


def test_bernoulli_is_evaluated_as_a_continuous_one():
    logits, pixels = torch.randn(4, 1, 5, 5), torch.rand(4, 1, 5, 5)
    assert torch.equal(Bernoulli().log_mass(logits, pixels), ContinuousBernoulli().log_mass(logits, pixels))
    uniform = Bernoulli().log_mass(torch.zeros(2, 1, 1, 1), torch.tensor([0.4, 1.0]).reshape(2, 1, 1, 1))
    torch.testing.assert_close(uniform, -torch.tensor([255.0, 510.0]).log())


def test_gaussian_learns_the_scale_of_the_errors():
    likelihood = Gaussian()
    assert likelihood.log_scale.exp().item() == pytest.approx(0.25, rel=0.02)
    pixels = 0.5 + 0.03 * torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = torch.full_like(pixels, 0.5)
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (-likelihood.training_score(outputs, pixels).mean()).backward()
        optimizer.step()
    assert likelihood.log_scale.exp().item() == pytest.approx(
        (pixels - outputs).square().mean().sqrt().item(), rel=0.01
    )


def test_gaussian_scale_has_a_floor():
    likelihood = Gaussian()
    torch.nn.init.constant_(likelihood.unbounded_log_scale, -1000)
    assert likelihood.log_scale.item() == Gaussian.MIN_LOG_SCALE
    assert math.isfinite(likelihood.log_mass(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)).item())


@pytest.mark.parametrize("kind", LIKELIHOODS.values())
def test_mean_images_lie_in_the_range_of_pixels(kind: type[Likelihood]):
    outputs = torch.tensor([-1e4, -30.0, -1.0, 0.0, 0.4, 1.0, 30.0, 1e4]).reshape(1, 1, 2, 4)
    mean = kind().mean(outputs)
    assert mean.shape == outputs.shape
    assert ((mean >= 0) & (mean <= 1)).all()
    assert (mean.flatten().diff() >= 0).all()


@pytest.mark.parametrize("kind", LIKELIHOODS.values())
def test_scores_are_per_image(kind: type[Likelihood]):
    likelihood, outputs, pixels = kind(), torch.randn(3, 2, 4, 5), torch.rand(3, 2, 4, 5)
    for score in (likelihood.log_mass, likelihood.training_score):
        values = score(outputs, pixels)
        assert values.shape == (3,)
        torch.testing.assert_close(values[1:2], score(outputs[1:2], pixels[1:2]))
    same = torch.equal(likelihood.log_mass(outputs, pixels), likelihood.training_score(outputs, pixels))
    assert same == likelihood.trains_on_mass
