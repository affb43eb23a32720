"""Autoencoders: corruption and penalties in the loss, the error of PCA from either side, the reported layers."""

from __future__ import annotations

import pytest
import torch
from model_examples import build, example, images_of
from torch import nn
from torch.nn import functional

import models
from models import ae
from models._layers import Dropout
from models.ae import squared_jacobian_norm
from study.data.tensors import positions

DENSE = example("ae", "dense", depth=2)
CONV = example("ae", "conv", depth=2)
PCA = example("ae", "pca", depth=2, latent_size=6)
LINEAR = example("ae", "dense", depth=0, latent_size=3, output_activation="none")
NOISY = {"corruption": "gaussian", "corruption_std": 0.3}
LARGE = ("cifar_ae/1+1", "cifar_ae/1+2")  # millions of parameters, and the same kinds of layers as 2+1
LABELS = torch.zeros(4, dtype=torch.long)
SHAPE = (3, 32, 32)


def test_per_image_errors_average_to_the_training_loss():
    network, images = build(CONV).eval(), images_of((3, 32, 32), 4)
    labels = torch.zeros(4, dtype=torch.long)
    per_image = network.per_image(images, labels, positions(images))["mse"]
    torch.testing.assert_close(per_image.mean(), network.training_loss(images, labels)[0].detach())
    torch.testing.assert_close(per_image[2], ((network(images[2:3]) - images[2:3]) ** 2).mean().detach())


def test_reported_codes_and_outputs_pass_a_relu():
    network = build(example("ae", "cifar_ae/2+1")).eval()
    codes = network.encode(images_of((3, 32, 32), 8))
    assert (codes >= 0).all()
    assert (codes == 0).any()
    pixels = network.decode(10 * codes)
    assert (pixels >= 0).all()
    assert (pixels == 0).any()


@pytest.mark.parametrize("config", [DENSE, CONV], ids=["dense", "conv"])
def test_dropout_never_touches_codes_or_pixels(config):
    network = build({**config, "dropout": 0.9, "output_activation": "none"})
    for part in (network.encoder, network.decoder):
        layers = list(part.children())
        last_dropout = max(index for index, layer in enumerate(layers) if isinstance(layer, nn.Dropout))
        weighted = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear | nn.Conv2d)]
        assert last_dropout < weighted[-1]


def test_linear_autoencoder_reaches_the_error_of_pca():
    """With squared error and no activation the optimum is PCA's subspace (Baldi and Hornik, 1989)."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(256, 16, generator=generator) * torch.logspace(0, -1.5, 16)
    basis = torch.linalg.qr(torch.randn(16, 16, generator=generator))[0]
    images = (0.5 + 0.1 * factors @ basis).reshape(256, 1, 4, 4)
    centred = images.flatten(1) - images.flatten(1).mean(0)
    pca_mse = torch.linalg.svdvals(centred)[3:].square().sum() / centred.numel()
    network = build(LINEAR, (1, 4, 4))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2000)
    labels = torch.zeros(256, dtype=torch.long)
    for _ in range(2000):
        optimizer.zero_grad()
        network.training_loss(images, labels)[0].backward()
        optimizer.step()
        schedule.step()
    reached = network.per_image(images, labels, positions(images))["mse"].mean()
    assert pca_mse * 0.9999 <= reached <= pca_mse * 1.01


def test_only_autoencoders_that_start_from_pca_take_its_axes():
    assert models.starts_from_pca(PCA)
    assert not models.starts_from_pca(CONV)
    with pytest.raises(NotImplementedError):
        build(CONV).start_from_pca(torch.zeros(3072), torch.eye(6, 3072))


def pca_of(images: torch.Tensor, components: int) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = images.flatten(1).double()
    return pixels.mean(0), torch.linalg.svd(pixels - pixels.mean(0), full_matrices=False)[2][:components]


def pca_reconstruction(images: torch.Tensor, mean: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    return (mean + (images.flatten(1).double() - mean) @ axes.T @ axes).reshape(images.shape).float()


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 17, 30)])
@pytest.mark.parametrize("components", [6, 4], ids=["all codes", "fewer axes than codes"])
def test_pca_start_reconstructs_as_pca_at_first(batch_norm, shape, components):
    images = images_of(shape, 20)
    network = build({**PCA, "batch_norm": batch_norm}, shape)
    mean, axes = pca_of(images, components)
    network.start_from_pca(mean, axes)
    for training in (True, False):
        torch.testing.assert_close(network.train(training)(images), pca_reconstruction(images, mean, axes))


def test_codes_without_an_axis_still_learn():
    images = images_of(SHAPE, 20)
    network = build(PCA)
    network.start_from_pca(*pca_of(images, 4))
    network.training_loss(images, LABELS)[0].backward()
    spare = network.decoder.linear.change.grad[:, 4:]
    assert (spare != 0).any(0).all()


def test_weight_decay_leaves_pca_where_it_is():
    """Weight decay alone, without a gradient of the error, must not move the linear path off PCA."""
    images = images_of(SHAPE, 20)
    network = build(PCA)
    mean, axes = pca_of(images, 6)
    network.start_from_pca(mean, axes)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=1.0)
    for _ in range(3):
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    torch.testing.assert_close(network.eval()(images), pca_reconstruction(images, mean, axes))


def test_training_from_pca_goes_below_pca():
    """Discs of random places and sizes lie on a curved surface of 3 dimensions, which 3 axes cannot follow."""
    generator = torch.Generator().manual_seed(0)
    row, column, radius = torch.rand(3, 200, 1, 1, generator=generator)
    axis = torch.arange(16.0)
    distance = ((axis[:, None] - 5 - 6 * row).square() + (axis - 5 - 6 * column).square()).sqrt()
    images = torch.sigmoid(2 * (2 + 2 * radius - distance))[:, None]
    mean, axes = pca_of(images, 3)
    pca_mse = (pca_reconstruction(images, mean, axes) - images).square().mean()
    network = build({**PCA, "latent_size": 3, "activation": "gelu", "batch_norm": False}, (1, 16, 16))
    network.start_from_pca(mean, axes)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(5):
        for batch in torch.randperm(200, generator=generator).split(20):
            optimizer.zero_grad()
            network.training_loss(images[batch], LABELS)[0].backward()
            optimizer.step()
    reached = network.eval().per_image(images, LABELS, positions(images))["mse"].mean()
    assert reached < 0.95 * pca_mse


def test_a_denoiser_is_trained_towards_the_clean_image():
    network, images = build({**LINEAR, **NOISY, "target": "clean"}), images_of(SHAPE, 4)
    torch.manual_seed(0)
    _, parts = network.training_loss(images, LABELS)
    torch.manual_seed(0)
    given = (images + 0.3 * torch.randn_like(images)).clamp(0, 1)
    torch.testing.assert_close(parts["mse"], (network(given) - images).square().mean().detach())


def test_target_input_is_what_the_network_was_given():
    network, images = build({**LINEAR, "corruption": "bernoulli", "target": "input"}), images_of(SHAPE, 4)
    black_and_white = (images >= 0.5).float()
    _, parts = network.training_loss(images, LABELS)
    torch.testing.assert_close(parts["mse"], (network(black_and_white) - black_and_white).square().mean().detach())


@pytest.mark.parametrize("bounded", [False, True])
def test_errors_are_those_of_what_is_shown_and_a_network_that_leaves_the_range_has_the_other_one_too(bounded):
    images = images_of(SHAPE, 4)
    network = build({**CONV, **NOISY, "target": "clean", "output_activation": "sigmoid" if bounded else "none"}).eval()
    with torch.no_grad():
        for weight in network.decoder.parameters():
            weight.mul_(3)  # so that it leaves [0, 1] if it can
        rebuilt = network(images)
        denoised = network(network.corrupted(images, positions(images)))
    values = network.per_image(images, LABELS, positions(images))
    errors = {"mse": rebuilt.clamp(0, 1), "denoised_mse": denoised.clamp(0, 1)}
    if not bounded:
        assert rebuilt.max() > 1.05
        errors["mse_unclipped"] = rebuilt
    assert values.keys() == errors.keys()
    for name, shown in errors.items():
        torch.testing.assert_close(values[name], (shown - images).square().flatten(1).mean(1))
    metrics = network.metrics(values)
    assert metrics["psnr"] == pytest.approx((-10 * values["mse"].log10()).mean().item(), rel=1e-5)
    plain = build({**CONV, "output_activation": "none"})
    loss, parts = plain.training_loss(images, LABELS)
    assert loss == parts["mse"] == functional.mse_loss(plain(images), images)  # training is on what a network gives


@pytest.mark.parametrize("architecture", list(ae.FAMILY.architectures))
def test_a_network_has_an_unclipped_error_unless_it_ends_in_a_sigmoid(architecture):
    config = (
        example("ae", architecture, output_activation="none")
        if architecture in ("dense", "conv")
        else example("ae", architecture)
    )
    shape = ae.FAMILY.architectures[architecture].image_shape or SHAPE
    network, images = build(config, shape).eval(), images_of(shape, 2)
    values = network.per_image(images, LABELS[:2], positions(images))
    assert ("mse_unclipped" in values) == (architecture not in ("mnist_ae/dense", "fashion/ae"))


@pytest.mark.parametrize("target", ["clean", "input"])
def test_corrupted_networks_are_judged_by_clean_images(target):
    images = images_of(SHAPE, 4)
    network = build({**CONV, **NOISY, "target": target}).eval()
    state = torch.get_rng_state()
    values = network.per_image(images, LABELS, positions(images))
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(values["mse"], (network(images) - images).square().flatten(1).mean(1))
    again = network.per_image(images, LABELS, positions(images))
    assert torch.equal(values["denoised_mse"], again["denoised_mse"])
    assert not torch.equal(values["denoised_mse"], values["mse"])
    metrics = network.metrics(values)
    assert set(metrics) == {"mse", "psnr", "denoised_mse"}
    assert metrics["denoised_mse"] == pytest.approx(values["denoised_mse"].mean().item())


def test_psnr_is_the_mean_of_decibels():
    metrics = build(LINEAR).metrics({"mse": torch.tensor([0.01, 0.001], dtype=torch.float64)})
    assert metrics["psnr"] == pytest.approx(25)
    assert metrics["mse"] == pytest.approx(0.0055)


def test_penalties_are_weighted_and_named():
    config, images = {**LINEAR, "sparsity": 0.5, "contraction": 2.0}, images_of(SHAPE, 4)
    network = build(config)
    loss, parts = network.training_loss(images, LABELS)
    assert set(parts) == {"mse", "sparsity", "contraction"}
    torch.testing.assert_close(loss.detach(), parts["mse"] + 0.5 * parts["sparsity"] + 2 * parts["contraction"])
    torch.testing.assert_close(parts["sparsity"], network.encode(images).abs().mean().detach())
    assert set(build(LINEAR).training_loss(images, LABELS)[1]) == {"mse"}


def test_the_contraction_estimate_is_unbiased():
    """A linear encoder's Jacobian is its weights, times the 2 of the centring; 4,000 projections come near it."""
    network = build(LINEAR, (1, 4, 4))
    exact = (2 * network.encoder[-1].weight).square().sum().detach()
    images = images_of((1, 4, 4), 4000).requires_grad_()
    estimate = squared_jacobian_norm(network.encode(images), images).detach()
    torch.testing.assert_close(estimate, exact, rtol=0.05, atol=0)


@pytest.mark.parametrize("config", [DENSE, CONV, PCA, example("ae", "fashion/ae")], ids=lambda c: c["architecture"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_contraction_trains_through_batch_norm_and_dropout(config, dropout):
    shape = (1, 28, 28)
    network = build({**config, "dropout": dropout, "contraction": 1.0}, shape)
    if "batch_norm" in config:
        assert any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in network.encoder.modules())
    network.training_loss(images_of(shape, 4), LABELS)[1]["contraction"].isfinite().item()
    images = images_of(shape, 4).requires_grad_()
    squared_jacobian_norm(network.encode(images), images).backward()
    gradients = [parameter.grad for parameter in network.encoder.parameters() if parameter.grad is not None]
    assert sum(gradient.abs().sum() for gradient in gradients) > 0
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_more_contraction_makes_codes_change_less():
    norms = []
    for weight in (0.0, 1.0):
        network = build({**DENSE, "width": 16, "batch_norm": False, "contraction": weight}, (1, 8, 8))
        images = images_of((1, 8, 8), 32)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            network.training_loss(images, LABELS)[0].backward()
            optimizer.step()
        probe = images.clone().requires_grad_()
        norms.append(squared_jacobian_norm(network.encode(probe), probe).item())
    assert norms[1] < 0.1 * norms[0]


@pytest.mark.parametrize("name", [name for name in models.FAMILIES["ae"].architectures if name not in LARGE])
def test_an_encoders_state_is_that_of_its_encoder(name):
    shape = models.FAMILIES["ae"].architectures[name].image_shape or SHAPE
    network = build(example("ae", name), shape)
    state = network.encoder_state()
    assert state
    assert {f"encoder.{key}" for key in state} <= set(network.state_dict())
    network.encoder.load_state_dict(state)


def test_flowers_dropout_follows_each_activation_and_never_the_output():
    network = build(example("ae", "flowers/ae", dropout=0.25), (3, 100, 100))
    for part, activations in ((network.encoder, 5), (network.decoder, 4)):
        layers = list(part)
        after = [type(layers[i + 1]) for i, layer in enumerate(layers[:-1]) if isinstance(layer, nn.ReLU)]
        assert after == [Dropout] * activations
    assert isinstance(network.decoder[-1], nn.Conv2d)


def test_fashion_codes_pass_a_relu_and_its_pixels_a_sigmoid():
    network = build(example("ae", "fashion/ae", latent_size=64), (1, 28, 28)).eval()
    codes = network.encode(images_of((1, 28, 28), 8))
    assert (codes >= 0).all()
    assert (codes == 0).any()
    pixels = network.decode(1000 * codes)
    assert ((pixels >= 0) & (pixels <= 1)).all()
