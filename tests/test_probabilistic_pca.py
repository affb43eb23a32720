"""Probabilistic PCA against dense normal distributions, made-up Gaussians, whole probabilities and a VAE's bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm
from test_pca import correlated_images

from models.likelihoods import Gaussian
from models.vae import kl_per_dimension
from study.baselines import pca, probabilistic_pca
from study.baselines.baseline import baseline_of
from study.baselines.probabilistic_pca import UNIFORM_NOISE
from study.data import image_data


def dense(model):
    """The covariance (pixels, pixels) of a model."""
    axes = model.components.T * (model.variances - model.noise)
    return axes @ model.components + model.noise * np.eye(len(model.mean))


def pixels_of(images):
    return images.reshape(len(images), -1) / 255


def entropy(covariance):
    """Nats of an 8-bit image of this covariance in units of [0, 1]: of the density, and of the bins' width."""
    return (len(covariance) * math.log(2 * math.pi * math.e) + np.linalg.slogdet(covariance)[1]) / 2 + len(
        covariance
    ) * math.log(255)


@pytest.mark.parametrize(("n", "rank"), [(90, 1), (90, 7), (90, 36), (20, 5)])
def test_nats_are_those_of_the_dense_normal_distribution(n, rank):
    train, test = correlated_images(n, (1, 6, 6)), correlated_images(31, (1, 6, 6), seed=1)
    fitted = pca.fit(train, min(n - 1, 36))
    model = pca.probabilistic(fitted, rank)
    (row,) = pca.evaluate(fitted, {"train": train, "test": test}, [rank])
    density = multivariate_normal(model.mean, dense(model))
    for split, images in {"train": train, "test": test}.items():
        noise = UNIFORM_NOISE * np.trace(np.linalg.inv(dense(model))) / 2
        expected = noise - density.logpdf(pixels_of(images)).mean() + 36 * math.log(255)
        assert row[f"{split}_nelbo"] == pytest.approx(expected, rel=1e-10)


def test_the_term_of_the_noise_is_what_drawn_noise_gives():
    images = correlated_images(400, (1, 2, 2), rank=1)
    images[:] = images // 8 + 112  # a few grey levels, so that the noise counts
    fitted = pca.fit(images, 2)
    model = pca.probabilistic(fitted, 2)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2000, 400, 4)) / 255
    drawn = -multivariate_normal(model.mean, dense(model)).logpdf(pixels_of(images) + noise) + 4 * math.log(255)
    (row,) = pca.evaluate(fitted, {"train": images}, [2])
    error = drawn.mean(1).std() / math.sqrt(2000)
    assert row["train_nelbo"] == pytest.approx(drawn.mean(), abs=5 * error)
    assert error < 0.01
    assert row["train_nelbo"] > 20 * error - multivariate_normal(model.mean, dense(model)).logpdf(
        pixels_of(images)
    ).mean() + 4 * math.log(255)


@pytest.mark.parametrize("n", [90, 20])
def test_it_is_of_maximum_likelihood_so_that_the_training_images_have_its_entropy(n):
    train = correlated_images(n, (1, 6, 6))
    fitted = pca.fit(train, min(n - 1, 36))
    ranks = range(1, fitted.rank + 1)
    rows = pca.evaluate(fitted, {"train": train}, ranks)
    nats = [row["train_nelbo"] for row in rows]
    assert nats == pytest.approx([entropy(dense(pca.probabilistic(fitted, rank))) for rank in ranks], rel=1e-10)
    assert nats == sorted(nats, reverse=True)
    # eq. 8: the noise is the mean of the variances that are left, of pixels with noise of their own
    covariance = np.cov(pixels_of(train).T, bias=True)
    left = np.linalg.eigvalsh(covariance)[: 36 - 5]
    assert pca.probabilistic(fitted, 5).noise == pytest.approx(left.mean() + UNIFORM_NOISE, rel=1e-9)
    model = pca.probabilistic(fitted, 5)
    for factor in (0.9, 1.1):
        other = probabilistic_pca.ProbabilisticPca(model.mean, model.components, model.variances, model.noise * factor)
        squares = model.variances - UNIFORM_NOISE
        rest = 31 * (model.noise - UNIFORM_NOISE)
        assert other.nelbo(squares, rest) > model.nelbo(squares, rest) + 0.05


def test_a_made_up_gaussian_is_found_with_its_entropy():
    generator = np.random.default_rng(3)
    axes = np.linalg.qr(generator.normal(size=(12, 3)))[0].T * np.array([[0.25], [0.15], [0.1]])
    true = axes.T @ axes + 0.02**2 * np.eye(12)

    def images(n):
        drawn = 0.5 + generator.normal(size=(n, 3)) @ axes + 0.02 * generator.normal(size=(n, 12))
        return np.clip(np.rint(255 * drawn), 0, 255).astype(np.uint8).reshape(n, 1, 3, 4)

    train, test = images(40_000), images(40_000)
    fitted = pca.fit(train, 12)
    rows = pca.evaluate(fitted, {"train": train, "test": test}, range(1, 13))
    assert pca.probabilistic(fitted, 3).noise == pytest.approx(0.02**2 + 2 * UNIFORM_NOISE, rel=0.02)
    nats = [row["test_nelbo"] for row in rows]
    # 12/2 · the relative weight of a second uniform noise on σ = 5.1 grey levels is 0.02; the mean's own error 0.012
    assert nats[2] == pytest.approx(entropy(true), abs=0.08)
    assert nats[0] > nats[1] > nats[2] + 1
    assert max(nats[2:]) < nats[2] + 0.05  # nothing is left to find
    assert nats[2] == pytest.approx(rows[2]["train_nelbo"], abs=0.08)


def test_constant_pixels_have_the_noise_of_a_bin_and_no_more():
    images = correlated_images(80, (1, 4, 4))
    images[..., 2:] = 7
    fitted = pca.fit(images, 8)
    assert fitted.rank == 8
    assert pca.probabilistic(fitted, 8).noise == pytest.approx(UNIFORM_NOISE, rel=1e-6)
    for row in pca.evaluate(fitted, {"test": images}, [2, 8], clipped_nats=["test"]):
        assert math.isfinite(row["test_nelbo"])
        assert math.isfinite(row["test_nelbo_clipped"])


def two_level_images(n, shape, seed=0):
    """Images that are mostly black or white, as digits are."""
    images = correlated_images(n, shape, seed=seed).astype(int)
    return np.clip(4 * (images - 128) + 128, 0, 255).astype(np.uint8)


def coded(model, images, samples):
    """The model as a VAE: mean KL of its own posteriors, log-masses and log-ratios (images, samples) of drawn codes."""
    likelihood = Gaussian()
    scale = math.log(model.noise) / 2 - likelihood.MIN_LOG_SCALE
    likelihood.unbounded_log_scale.data.fill_(math.log(math.expm1(scale)) + likelihood.MIN_LOG_SCALE)
    weights = model.components * np.sqrt(model.variances - model.noise)[:, None]
    mean = ((pixels_of(images) - model.mean) @ weights.T / model.variances)[:, None]
    variance = model.noise / model.variances
    noise = np.random.default_rng(0).normal(size=(len(images), samples, len(variance)))
    codes = mean + np.sqrt(variance) * noise
    outputs = torch.from_numpy(model.mean + codes @ weights).flatten(0, 1)[:, None]
    pixels = torch.from_numpy(pixels_of(images)).repeat_interleave(samples, 0)[:, None]
    masses = likelihood.log_mass(outputs, pixels).detach().view(len(images), samples)
    ratios = masses + torch.from_numpy(noise**2 + np.log(variance) - codes**2).sum(2) / 2
    kl = kl_per_dimension(torch.from_numpy(mean), torch.from_numpy(variance).log()).sum(2).mean()
    return kl, masses, ratios


def test_clipped_nats_are_a_vaes_bound_with_probabilistic_pca_as_its_encoder_and_decoder():
    train, test = two_level_images(300, (1, 4, 4)), two_level_images(60, (1, 4, 4), seed=1)
    assert np.isin(test, (0, 255)).mean() > 0.3
    fitted = pca.fit(train, 5)
    model = pca.probabilistic(fitted, 5)
    (row,) = pca.evaluate(fitted, {"train": train, "test": test}, [5], clipped_nats=["test"])

    kl, masses, _ = coded(model, test, samples=1000)
    bound, error = float(kl - masses.mean()), float(masses.mean(0).std()) / math.sqrt(1000)
    assert row["test_nelbo_clipped"] == pytest.approx(bound, abs=5 * error + 0.02)  # bins inside have a density's bound
    assert row["test_nelbo"] > bound + 3


def test_nats_are_upper_bounds_of_the_whole_probability():
    """Of two pixels, whose bins' probabilities can be computed, those of black and white reaching to infinity."""
    generator = np.random.default_rng(0)
    values = generator.normal(128, 90, (300, 1)) + generator.normal(0, 25, (300, 2))
    images = np.clip(np.rint(values), 0, 255).astype(np.uint8).reshape(300, 1, 1, 2)
    fitted = pca.fit(images, 1)
    model = pca.probabilistic(fitted, 1)
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 255, [np.inf]])
    codes = (np.arange(1201) - 600) / 75
    decoded = model.mean + np.outer(codes, model.components[0] * math.sqrt(model.variances[0] - model.noise))
    bins = np.diff(norm.cdf((edges - decoded[..., None]) / math.sqrt(model.noise)), axis=2)  # (codes, 2, 256)
    weights = norm.pdf(codes) / norm.pdf(codes).sum()
    probabilities = np.einsum("c,ci,cj->ij", weights, bins[:, 0], bins[:, 1])
    assert probabilities.sum() == pytest.approx(1)
    truth = -np.log(probabilities[images[:, 0, 0, 0], images[:, 0, 0, 1]]).mean()
    (row,) = pca.evaluate(fitted, {"test": images}, [1], clipped_nats=["test"])
    assert truth < row["test_nelbo_clipped"] < truth + 0.3
    assert row["test_nelbo"] > row["test_nelbo_clipped"] + 0.3


def test_the_bound_of_digits_is_2_nats_above_what_importance_sampling_gives():
    digits = image_data.load("digits", image_data.default_data_dir())
    fitted, images = pca.fit(digits.train.images, 8), digits.test.images[:60]
    _, _, ratios = coded(pca.probabilistic(fitted, 8), images, samples=500)
    (row,) = pca.evaluate(fitted, {"test": images}, [8], clipped_nats=["test"])
    sampled = -float((ratios.logsumexp(1) - math.log(500)).mean())
    assert row["test_nelbo_clipped"] - sampled == pytest.approx(2.4, abs=0.3)  # of 205


def test_without_black_and_white_pixels_clipping_changes_nothing():
    images = np.random.default_rng(0).integers(40, 200, (60, 1, 4, 4), dtype=np.uint8)
    for row in pca.evaluate(pca.fit(images, 15), {"test": images}, [1, 15], clipped_nats=["test"]):
        assert row["test_nelbo_clipped"] == row["test_nelbo"]


def test_nats_do_not_depend_on_the_chunks(monkeypatch):
    images = two_level_images(70, (1, 5, 5))
    fitted = pca.fit(images, 10)
    whole = pca.evaluate(fitted, {"test": images}, [2, 10], clipped_nats=["test"])
    monkeypatch.setattr(pca, "_CHUNK_VALUES", 3 * 25)
    for before, now in zip(whole, pca.evaluate(fitted, {"test": images}, [2, 10], clipped_nats=["test"]), strict=True):
        for name in ("test_nelbo", "test_nelbo_clipped"):
            assert now[name] == pytest.approx(before[name], rel=1e-12)


def test_a_vae_gets_them_at_every_latent_size_and_rows_without_them_are_measured_anew():
    digits = image_data.load("digits", image_data.default_data_dir())
    of = {
        family: baseline_of(family)(digits.splits, lambda function, *arguments: function(*arguments), lambda _: None)
        for family in ("ae", "vae")
    }
    rows = {
        family: {row["n_components"]: row for row in baseline.rows({}, [{"latent_size": 5}])}
        for family, baseline in of.items()
    }
    assert sorted(rows["vae"]) == [2, 4, 5, 8, 16, 32]
    assert all(row["val_nelbo_clipped"] < row["val_nelbo"] - 50 for row in rows["vae"].values())
    assert {row["val_nelbo_clipped"] for row in rows["ae"].values()} == {None}
    assert all(rows["ae"][rank]["test_nelbo"] == row["test_nelbo"] for rank, row in rows["vae"].items())
    assert of["vae"].rows(rows["vae"], [{"latent_size": 5}]) == []
    rows["vae"][5] = {name: value for name, value in rows["vae"][5].items() if "nelbo" not in name}
    assert [row["n_components"] for row in of["vae"].rows(rows["vae"], [{"latent_size": 5}])] == [5]
