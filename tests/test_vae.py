"""The variational family: its bound against closed forms, and every architecture on awkward shapes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import distributions

import models
from models import conv, dense, mnist_ae, vae
from models._inputs import corrupt, training_pair
from models.network import ImageShape
from models.noise import Stream, of_images
from models.vae import VariationalAutoencoder, active_units, kl_per_dimension
from study.data.tensors import positions

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 30), (2, 31, 9), (3, 100, 100)]
LIKELIHOODS = ["bernoulli", "continuous_bernoulli", "gaussian"]
HIDDEN = {"width": 8, "batch_norm": True, "activation": "elu"}
LAYERS: dict[str, dict[str, Any]] = {
    "dense": {"depth": 1, **HIDDEN},
    "conv": {"depth": 2, **HIDDEN, "kernel_size": 3},
    "mnist_ae/vae": {"hidden_size": 12},
    "mnist_ae/vae_cnn": {},
}
CASES = [
    pytest.param(name, shape, id=f"{name}-{'x'.join(map(str, shape))}")
    for name, architecture in vae.FAMILY.architectures.items()
    for shape in SHAPES
    if architecture.image_shape in (None, shape)
]


def config_of(architecture: str = "dense", **changes: Any) -> dict[str, Any]:
    config = {"family": "vae", "architecture": architecture, "latent_size": 3, "dropout": 0.0, **LAYERS[architecture]}
    config |= {"corruption": "none", "likelihood": "continuous_bernoulli", "beta": 1.0, "beta_warmup": 0.0}
    config |= {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0, "schedule": "constant", "batch_size": 32}
    return config | changes


def build(config: dict[str, Any], shape: ImageShape = (1, 8, 8)) -> VariationalAutoencoder:
    torch.manual_seed(0)
    network = models.build(config, shape, num_classes=10)
    assert isinstance(network, VariationalAutoencoder)
    return network


def linear(**changes: Any) -> dict[str, Any]:
    """Without a hidden layer and with normal pixels, so that log p(image) has a closed form."""
    config = config_of(likelihood="gaussian", depth=0, **changes)
    return {key: value for key, value in config.items() if key not in HIDDEN}


def images_of(shape: ImageShape, batch: int) -> torch.Tensor:
    return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(1))


def blobs(n: int = 32, side: int = 16) -> torch.Tensor:
    """Smooth bumps at random places, (n, 1, side, side) in [0, 1]."""
    centres = side / 4 + side / 2 * torch.rand(n, 2, 1, generator=torch.Generator().manual_seed(0))
    rows, columns = (torch.exp(-((torch.arange(float(side)) - centres[:, i]) ** 2) / (side / 2)) for i in range(2))
    return (rows[:, :, None] * columns[:, None, :])[:, None]


def train(network: VariationalAutoencoder, images: torch.Tensor, steps: int, lr: float) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        network.training_loss(images, NO_LABELS)[0].backward()
        optimizer.step()
        schedule.step()
    network.eval()


NO_LABELS = torch.empty(0, dtype=torch.long)


def sampled_nelbo(network: VariationalAutoencoder, images: torch.Tensor, draws: int) -> float:
    """The mean of the negative bound over the images and over draws of their codes."""
    with torch.no_grad():
        parts = [network.training_loss(images, NO_LABELS)[1]["nelbo"] for _ in range(draws)]
    return torch.stack(parts).mean().item()


@pytest.mark.parametrize(("name", "shape"), CASES)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_architecture_reconstructs_its_shape_and_trains(name, shape, likelihood):
    network, images = build(config_of(name, likelihood=likelihood), shape), images_of(shape, 3)
    mean, logvar = network.posterior(images)
    assert mean.shape == logvar.shape == network.encode(images).shape == (3, 3)
    assert network.decode(mean).shape == network(images).shape == images.shape
    loss, parts = network.training_loss(images, NO_LABELS)
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert loss.shape == ()
    assert not any(part.requires_grad for part in parts.values())


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_an_image_gives_alone_what_it_gives_among_others(name, shape):
    config = config_of(name, dropout=0.5, corruption="gaussian", corruption_std=0.3, target="clean")
    network, images = build(config, shape).eval(), images_of(shape, 3)
    alone, among = (
        network.per_image(images[1:2], NO_LABELS, torch.tensor([1])),
        network.per_image(images, NO_LABELS, positions(images)),
    )
    assert alone.keys() == among.keys()
    for metric, values in among.items():
        assert len(values) == 3
        torch.testing.assert_close(alone[metric], values[1:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["dense", "conv"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_nelbo_falls_and_the_codes_get_to_say_something(name, likelihood):
    images = blobs()
    width = {"dense": 16, "conv": 8}[name]
    network = build(config_of(name, likelihood=likelihood, width=width, batch_norm=False), (1, 16, 16))
    start = sampled_nelbo(network, images, 10)
    train(network, images, 100, 1e-2)
    reached = network.metrics(network.per_image(images, NO_LABELS, positions(images)))
    mean_image_mse = images.var(0, correction=0).mean().item()
    assert reached["nelbo"] < start - 100
    assert reached["mse"] < 0.7 * mean_image_mse
    assert reached["active_units"] >= 2


def test_a_heavy_kl_switches_the_codes_off():
    network, images = build(config_of(beta=100.0), (1, 16, 16)), blobs()
    train(network, images, 100, 1e-2)
    assert network.metrics(network.per_image(images, NO_LABELS, positions(images)))["active_units"] == 0


def test_kl_of_the_prior_to_itself_is_zero():
    assert torch.equal(kl_per_dimension(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2, 3))


def test_kl_is_that_of_pytorchs_distributions():
    mean, logvar = torch.randn(20, 3), torch.randn(20, 3)
    posterior = distributions.Normal(mean, (logvar / 2).exp())
    expected = distributions.kl_divergence(posterior, distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(kl_per_dimension(mean, logvar), expected)


def test_linear_vae_reaches_the_likelihood_of_probabilistic_pca():
    """Lucas et al., "Don't blame the ELBO!" (2019): at the optimum the bound is tight, and PCA's.

    Tipping and Bishop, "Probabilistic principal component analysis" (1999), eqs. 4 and 8.
    """
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(256, 16, generator=generator) * torch.tensor([3.0, 2, 1, *[0.3] * 13])
    basis = torch.linalg.qr(torch.randn(16, 16, generator=generator))[0]
    images = (0.5 + 0.05 * factors @ basis).reshape(256, 1, 4, 4)
    assert 1 / 255 < images.min() < images.max() < 254 / 255  # away from the bins that reach to infinity
    variances = torch.linalg.eigvalsh(torch.cov(images.flatten(1).T, correction=0)).flip(0)
    rest = variances[3:].mean()
    optimum = (16 * math.log(2 * math.pi) + variances[:3].log().sum() + 13 * rest.log() + 16).item() / 2
    network = build(linear(), (1, 4, 4))
    train(network, images, 1000, 0.02)
    assert sampled_nelbo(network, images, 200) == pytest.approx(optimum + 16 * math.log(255), abs=0.1)
    assert network.likelihood.log_scale.exp().item() == pytest.approx(rest.sqrt().item(), rel=0.02)


def test_importance_weighted_estimate_reaches_the_exact_likelihood():
    network, images = build(linear(latent_size=2), (1, 2, 3)), images_of((1, 2, 3), 5)
    with torch.no_grad():
        offset = network.decoder(torch.zeros(1, 2)).flatten()
        weights = network.decoder(torch.eye(2)).flatten(1) - offset
        covariance = weights.T @ weights + (2 * network.likelihood.log_scale).exp() * torch.eye(6)
        exact = distributions.MultivariateNormal(offset, covariance).log_prob(images.flatten(1))
    estimate = network.log_likelihood(images, 20_000, positions(images))
    torch.testing.assert_close(estimate, exact - 6 * math.log(255), atol=0.05, rtol=0)


def test_estimate_of_one_sample_is_the_bound_of_that_sample():
    network, images = build(config_of()).eval(), images_of((1, 8, 8), 4)
    estimate = network.log_likelihood(images, 1, positions(images), seed=3)
    with torch.no_grad():
        mean, logvar = network.posterior(images)
        posterior = distributions.Normal(mean, (logvar / 2).exp())
        codes = mean + posterior.scale * of_images(Stream.IMPORTANCE, positions(images), (3,), seed=3)
        pixels = distributions.ContinuousBernoulli(logits=network.decoder(codes).double())
        low, high = (images - 1 / 510).clamp(min=0), (images + 1 / 510).clamp(max=1)
        mass = (pixels.cdf(high.double()) - pixels.cdf(low.double())).log().flatten(1).sum(1).float()
        ratio = distributions.Normal(0.0, 1.0).log_prob(codes) - posterior.log_prob(codes)
    torch.testing.assert_close(estimate, mass + ratio.sum(1), rtol=1e-4, atol=1e-4)


def test_importance_weighted_bound_grows_from_the_evidence_lower_bound():
    network, images = build(config_of()).eval(), images_of((1, 8, 8), 8)
    repeated = images.repeat(200, 1, 1, 1)
    one, few, many = (
        network.log_likelihood(repeated, k, positions(repeated), seed=k).mean().item() for k in (1, 5, 50)
    )
    assert one == pytest.approx(-sampled_nelbo(network, repeated, 1), abs=0.2)
    assert one + 0.1 < few < many - 0.1


def test_memory_of_the_estimate_does_not_grow_with_the_samples(monkeypatch):
    network, images = build(config_of()).eval(), images_of((1, 8, 8), 7)
    decoded: list[int] = []
    network.decoder.register_forward_hook(lambda _module, inputs, _output: decoded.append(len(inputs[0])))
    whole = network.log_likelihood(images, 400, positions(images))
    assert decoded == [2800]
    monkeypatch.setattr(vae, "_DECODED_AT_ONCE", 5 * 64)
    in_parts = network.log_likelihood(images, 400, positions(images))
    assert max(decoded[1:]) <= 5
    assert sum(decoded[1:]) == 2800
    torch.testing.assert_close(in_parts, whole, atol=0, rtol=1e-5)  # the same draws, summed in another order


@pytest.mark.parametrize(
    ("beta", "warmup", "weights"),
    [(1.0, 0.0, [1, 1, 1]), (0.0, 0.0, [0, 0, 0]), (4.0, 0.5, [0, 2, 4]), (4.0, 1.0, [0, 1, 4])],
)
def test_kl_weight_grows_over_the_warm_up(beta, warmup, weights):
    network = build(config_of(beta=beta, beta_warmup=warmup))
    for progress, weight in zip([0.0, 0.25, 1.0], weights, strict=True):
        network.progress = torch.tensor(progress)
        loss, parts = network.training_loss(images_of((1, 8, 8), 4), NO_LABELS)
        torch.testing.assert_close(64 * loss.detach(), parts["reconstruction"] + weight * parts["kl"])
        torch.testing.assert_close(parts["nelbo"], parts["reconstruction"] + parts["kl"])


def test_a_network_out_of_training_has_the_whole_weight():
    assert build(config_of(beta=3.0, beta_warmup=0.7)).kl_weight() == 3.0


def test_bernoulli_trains_on_the_cross_entropy_and_records_the_mass():
    pair = [build(config_of(likelihood=kind, beta=0.0)) for kind in ("bernoulli", "continuous_bernoulli")]
    images, results = images_of((1, 8, 8), 4), []
    for network in pair:
        torch.manual_seed(7)
        results.append(network.training_loss(images, NO_LABELS))
    (loss, recorded), (negative_mass, expected) = results
    assert loss < negative_mass - 1  # a nat per pixel and more
    torch.testing.assert_close(recorded.pop("cross_entropy"), 64 * loss.detach())
    torch.testing.assert_close(recorded, expected)
    for metric in ("nelbo", "reconstruction", "kl"):  # and evaluation compares them in the same nats
        evaluated = [network.eval().per_image(images, NO_LABELS, positions(images))[metric] for network in pair]
        torch.testing.assert_close(*evaluated)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_no_image_is_more_probable_than_certain(likelihood):
    """Black and white ones, which a density has no bound on, told ever more surely by the decoder."""
    network = build(config_of(likelihood=likelihood)).eval()
    for level, outputs in [(0.0, -1e4), (1.0, 1e4)]:
        images = torch.full((2, 1, 8, 8), level)
        network.decoder.register_forward_hook(lambda *_, outputs=outputs: torch.full((2, 1, 8, 8), outputs))
        values = network.per_image(images, NO_LABELS, positions(images))
        torch.testing.assert_close(values["reconstruction"], torch.zeros(2))
        assert (values["nelbo"] >= 0).all()
        assert (network.per_image(1 - images, NO_LABELS, positions(images))["nelbo"] > 1e5).all()


def test_evaluation_counts_the_whole_kl_whatever_beta():
    network = build(config_of(beta=0.1)).eval()
    values = network.per_image(images_of((1, 8, 8), 4), NO_LABELS, torch.arange(4))
    torch.testing.assert_close(values["kl"], values["kl_per_dimension"].sum(1))
    torch.testing.assert_close(values["nelbo"], values["reconstruction"] + values["kl"])


def test_per_image_is_repeatable_and_leaves_the_random_state_alone():
    config = config_of(corruption="gaussian", corruption_std=0.2, target="clean")
    network, images = build(config).eval(), images_of((1, 8, 8), 4)
    state = torch.get_rng_state()
    first, second = (network.per_image(images, NO_LABELS, positions(images)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    for metric, values in first.items():
        assert torch.equal(values, second[metric])
        assert not values.requires_grad


def test_metrics_are_means_over_the_images():
    network, images = build(config_of()).eval(), images_of((1, 8, 8), 4)
    values = network.per_image(images, NO_LABELS, positions(images))
    metrics = network.metrics(values)
    assert metrics.keys() == {"nelbo", "bits_per_dimension", "reconstruction", "kl", "active_units", "mse", "psnr"}
    assert metrics["nelbo"] == pytest.approx(values["nelbo"].mean().item())
    assert metrics["bits_per_dimension"] == pytest.approx(metrics["nelbo"] / 64 / math.log(2))
    mse = (network(images) - images).square().mean().item()
    assert metrics["mse"] == pytest.approx(mse)


def test_active_units_are_those_whose_mean_depends_on_the_image():
    draws = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    means = torch.tensor([0.0, 5.0, 0.0, 0.0]) + draws * torch.tensor([1.0, 0.0, 0.05, 0.2])  # variance above 0.01?
    assert active_units(means) == 2
    assert active_units(means[:1]) == 0


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("name", LAYERS)
def test_prior_samples_are_images(name, likelihood):
    network = build(config_of(name, likelihood=likelihood), (1, 28, 28)).eval()
    samples = network.sample(5, torch.Generator().manual_seed(0))
    assert samples.shape == (5, 1, 28, 28)
    assert ((samples >= 0) & (samples <= 1)).all()
    assert torch.equal(samples, network.sample(5, torch.Generator().manual_seed(0)))
    assert not torch.equal(samples[0], samples[1])
    assert network.sample(2).shape == (2, 1, 28, 28)


ENCODERS = {
    "dense": lambda config: dense.encoder(config, (1, 28, 28), 3),
    "conv": lambda config: conv.encoder(config, (1, 28, 28), 3),
    "mnist_ae/vae": lambda config: mnist_ae.dense_encoder(config, 3),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_state_fits_an_autoencoders_encoder_and_gives_the_mean(name):
    config = models.completed(config_of(name, dropout=0.2))
    network, images = build(config, (1, 28, 28)), images_of((1, 28, 28), 4)
    network.training_loss(images, NO_LABELS)  # moves batch norm's statistics, which are part of the state
    encoder = ENCODERS[name](config)
    encoder.load_state_dict(network.encoder_state())
    torch.testing.assert_close(encoder.eval()(images), network.eval().encode(images))


def test_reported_networks_have_the_parameters_of_their_layer_lists():
    counts = [
        models.count_parameters(config_of(name), (1, 28, 28), 10) for name in ("mnist_ae/vae", "mnist_ae/vae_cnn")
    ]
    dense_vae = (784 * 12 + 12) + (12 * 6 + 6) + (3 * 12 + 12) + (12 * 784 + 784)
    encoder = 32 * 9 + 2 * 32 + 64 * 32 * 9 + 2 * 64 + (6 * 64 * 9 + 6)
    decoder = (3 * 3136 + 3136) + 64 * 32 * 16 + 2 * 32 + (32 * 16 + 1)
    assert counts == [dense_vae, encoder + decoder]


def test_a_saved_network_has_the_same_bound_when_loaded(tmp_path):
    config, images = config_of("conv", likelihood="gaussian"), images_of((1, 8, 8), 4)
    network = build(config)
    train(network, images, 3, 0.1)
    models.save(network, config, (1, 8, 8), 10, tmp_path)
    loaded = models.load(tmp_path)
    expected = network.per_image(images, NO_LABELS, positions(images))
    assert torch.equal(loaded.per_image(images, NO_LABELS, positions(images))["nelbo"], expected["nelbo"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": -1.0}, "beta must be a number of at least 0"),
        ({"beta_warmup": 1.5}, "beta_warmup .*at most 1, not 1.5"),
        ({"likelihood": "normal"}, "likelihood must be one of bernoulli, continuous_bernoulli, gaussian"),
        ({"output_activation": "sigmoid"}, "unknown key 'output_activation' for architecture dense"),
        ({"corruption": "gaussian", "target": "clean"}, "lacks the key 'corruption_std'"),
        ({"corruption": "gaussian", "corruption_std": 0.0, "target": "clean"}, "corruption_std must be .*above 0"),
        ({"corruption": "bernoulli"}, "lacks the key 'target'"),
        ({"target": "clean"}, "'target' belongs to corruption gaussian or bernoulli, not to none"),
    ],
)
def test_a_bad_config_is_refused_in_one_line_that_names_it(changes, message):
    with pytest.raises(models.ConfigError, match=message):
        build(config_of(**changes))


def test_dropout_needs_a_hidden_layer_and_depth_a_large_enough_image():
    with pytest.raises(models.ConfigError, match="dropout must be 0 at depth 0"):
        build(linear(dropout=0.1))
    with pytest.raises(models.ConfigError, match="depth 4 needs images of at least 16×16"):
        build(config_of("conv", depth=4))


GAUSSIAN = {"corruption": "gaussian", "corruption_std": 0.1}


def test_gaussian_corruption_adds_noise_of_its_size_and_stays_in_range():
    grey, random = torch.full((20, 1, 16, 16), 0.5), images_of((1, 16, 16), 20)
    noise = corrupt(GAUSSIAN, grey) - grey
    assert noise.std().item() == pytest.approx(0.1, rel=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    corrupted = corrupt(GAUSSIAN, random)
    assert corrupted.min() == 0
    assert corrupted.max() == 1


def test_bernoulli_corruption_binarises_at_a_half():
    images = torch.tensor([0.0, 127 / 255, 128 / 255, 1.0]).reshape(1, 1, 2, 2)
    assert corrupt({"corruption": "bernoulli"}, images).flatten().tolist() == [0, 0, 1, 1]


def test_training_noise_is_new_each_time_and_evaluation_noise_is_not():
    images = images_of((1, 8, 8), 3)
    assert not torch.equal(corrupt(GAUSSIAN, images), corrupt(GAUSSIAN, images))
    fixed = [corrupt(GAUSSIAN, images, positions(images)) for _ in range(2)]
    assert torch.equal(*fixed)
    assert torch.equal(corrupt(GAUSSIAN, images[2:], torch.tensor([2])), fixed[0][2:])
    assert not torch.equal(fixed[0][0] - images[0], fixed[0][1] - images[1])


def test_the_target_is_the_clean_image_or_what_was_given():
    images = images_of((1, 8, 8), 3)
    given, target = training_pair({"corruption": "bernoulli", "target": "clean"}, images)
    assert torch.equal(target, images)
    assert torch.equal(given, (images > 0.5).float())
    given, target = training_pair({"corruption": "bernoulli", "target": "input"}, images)
    assert torch.equal(target, given)
    assert all(torch.equal(part, images) for part in training_pair({"corruption": "none"}, images))


def test_a_denoiser_is_judged_against_the_clean_image():
    network, images = build(config_of(corruption="bernoulli", target="input")).eval(), images_of((1, 8, 8), 4)
    metrics = network.metrics(network.per_image(images, NO_LABELS, positions(images)))
    with torch.no_grad():
        clean, denoised = (
            (network(given) - images).square().mean().item() for given in (images, (images > 0.5).float())
        )
    assert metrics["mse"] == pytest.approx(clean)
    assert metrics["denoised_mse"] == pytest.approx(denoised)
    undisturbed = build(config_of()).eval()
    assert metrics["nelbo"] == undisturbed.metrics(undisturbed.per_image(images, NO_LABELS, positions(images)))["nelbo"]


def test_a_binarised_target_is_scored_by_its_plain_cross_entropy():
    images = images_of((1, 8, 8), 4)
    config = config_of(likelihood="bernoulli", corruption="bernoulli", target="input", beta=0.0)
    results = []
    for network, given in [
        (build(config), images),
        (build(config_of(likelihood="bernoulli", beta=0.0)), images.round()),
    ]:
        torch.manual_seed(7)
        results.append(network.training_loss(given, NO_LABELS))
    torch.testing.assert_close(*results)
