"""Every space sampled many times, at its bounds, and asked for the configs that a study runs first."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution

import models
import search_spaces
from search_spaces import Context, Space

SPACES = [search_spaces.get(name) for name in search_spaces.names()]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
OTHER_SHAPES = [(1, 28, 28), (3, 100, 100), (3, 20, 33), (1, 8, 8), (3, 32, 32)]
# (name, its distribution, the config): of every trial that a sampler asked for
Sampled = list[tuple[dict[str, Any], dict[str, BaseDistribution], dict[str, Any]]]


def context_of(space: Space, **overrides: Any) -> Context:
    return Context(**{"image_shape": space.image_shape, "num_classes": 10, **overrides})


def new_study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def sample(space: Space, context: Context, trials: int) -> Sampled:
    study, sampled = new_study(), []
    for _ in range(trials):
        trial = study.ask()
        config = space.suggest(trial, context)
        sampled.append((trial.params, trial.distributions, config))
    return sampled


def run_once(config: dict[str, Any], shape: tuple[int, int, int]) -> None:
    """A training step of two images: builds, goes forward and backward, and stays finite."""
    torch.manual_seed(0)
    network = models.build(config, shape, 10)
    loss, _ = network.training_loss(torch.rand(2, *shape), torch.zeros(2, dtype=torch.long))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_space_is_named_after_its_file_data_and_family():
    for name in search_spaces.names():
        space = search_spaces.get(name)
        assert space.name == name == f"{space.dataset}_{space.family}"
        assert space.family in models.FAMILIES
        assert space.mode in ("min", "max")


def test_the_spine_has_its_spaces():
    assert {"digits_ae", "cifar_ae"} <= set(search_spaces.names())


def test_an_unknown_space_is_named_with_the_nearest_one():
    with pytest.raises(search_spaces.UnknownSpace) as raised:
        search_spaces.get("cifr_ae")
    assert "'cifr_ae' is not known (did you mean cifar_ae?)" in str(raised.value)
    assert "digits_ae" in str(raised.value)


@pytest.mark.parametrize("name", ["_space", "_reported", "", "os", "models"])
def test_nothing_but_a_space_can_be_got(name):
    with pytest.raises(KeyError):
        search_spaces.get(name)


def test_listing_the_spaces_imports_neither_torch_nor_optuna():
    code = (
        "import sys, search_spaces as s; [s.get(n).description for n in s.names()]; "
        "s.reported(); s.claims(); "
        "sys.exit(', '.join({'torch', 'optuna', 'ray', 'mlflow'} & sys.modules.keys()) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@every_space
def test_every_sampled_config_describes_a_network(space):
    for _, _, config in sample(space, context_of(space), 200):
        assert models.count_parameters(config, space.image_shape, 10) > 0
        assert json.loads(json.dumps(config)) == config


@every_space
@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_a_space_fits_other_images(space, shape):
    for _, _, config in sample(space, context_of(space, image_shape=shape), 40):
        assert models.count_parameters(config, shape, 10) > 0


@every_space
def test_sampled_networks_train(space):
    small = 3_000_000  # the rest are built, unallocated, above
    configs = [config for _, _, config in sample(space, context_of(space, reported=False), 60)]
    trainable = [c for c in configs if models.count_parameters(c, space.image_shape, 10) < small]
    assert len(trainable) >= 24
    for config in trainable[:36]:
        run_once(config, space.image_shape)


@every_space
def test_a_parameter_always_has_the_same_distribution(space):
    seen: dict[str, BaseDistribution] = {}
    for _, distributions, _ in sample(space, context_of(space), 200):
        for name, distribution in distributions.items():
            assert seen.setdefault(name, distribution) == distribution


def ends(distribution: Any) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [distribution.low, distribution.high]


@every_space
def test_each_parameter_at_each_of_its_bounds_describes_a_network(space):
    """From the first sampled trial that has the parameter, with that one value moved to a bound."""
    context = context_of(space)
    first: dict[str, tuple[dict[str, Any], BaseDistribution]] = {}
    for params, distributions, _ in sample(space, context, 200):
        for name, distribution in distributions.items():
            first.setdefault(name, (params, distribution))
    assert len(first) > 10
    for name, (params, distribution) in first.items():
        for value in ends(distribution):
            study = new_study()
            study.enqueue_trial({**params, name: value})
            trial = study.ask()
            config = space.suggest(trial, context)
            assert trial.params[name] == value
            models.count_parameters(config, space.image_shape, 10)


@every_space
@pytest.mark.parametrize("corner", [0, -1], ids=["lowest", "highest"])
def test_the_corners_of_the_bounds_describe_networks(space, corner):
    class Corner(optuna.samplers.RandomSampler):
        def sample_independent(self, study, trial, param_name, param_distribution):
            if isinstance(param_distribution, CategoricalDistribution):
                return super().sample_independent(study, trial, param_name, param_distribution)
            return ends(param_distribution)[corner]

    study = optuna.create_study(sampler=Corner(seed=0))
    for _ in range(50):
        config = space.suggest(study.ask(), context_of(space))
        assert models.count_parameters(config, space.image_shape, 10) > 0


@every_space
@pytest.mark.parametrize("reported", [True, False])
def test_an_enqueued_point_comes_back_as_its_config(space, reported):
    context, study = context_of(space, reported=reported), new_study()
    points = space.points(context)
    for point in points:
        study.enqueue_trial(point.params)
    for point in points:
        trial = study.ask()
        assert space.suggest(trial, context) == point.config
        assert trial.params == point.params
        assert json.loads(json.dumps(point.params)) == point.params


@every_space
def test_the_default_comes_first_and_the_reported_ones_follow(space):
    points = {point.key: point.config for point in space.points(context_of(space))}
    reported = {key: entry.config for key, entry in search_spaces.reported().items()}
    assert points == {"default": space.default} | {
        key: config for key, config in reported.items() if search_spaces.reported()[key].space == space.name
    }
    assert next(iter(points)) == "default"
    assert [point.key for point in space.points(context_of(space, reported=False))] == ["default"]


@every_space
@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_on_other_images_the_default_still_builds(space, shape):
    for point in space.points(context_of(space, image_shape=shape)):
        assert models.count_parameters(point.config, shape, 10) > 0


def test_a_default_too_deep_for_the_images_moves_to_the_nearest_bound():
    space = search_spaces.get("cifar_ae")
    (point,) = space.points(Context(image_shape=(1, 2, 2), num_classes=10))
    assert point.config["depth"] == 1
    assert {**point.config, "depth": space.default["depth"]} == space.default


def test_reported_networks_are_left_out_on_images_of_another_shape():
    space = search_spaces.get("cifar_ae")
    configs = [config for _, _, config in sample(space, context_of(space, image_shape=(3, 28, 28)), 60)]
    assert {config["architecture"] for config in configs} == {"conv", "dense"}


def test_conditional_keys_are_there_only_with_what_they_belong_to():
    space = search_spaces.get("cifar_ae")
    configs = [config for _, _, config in sample(space, context_of(space), 300)]
    for config in configs:
        assert ("momentum" in config) == (config["optimizer"] in ("sgd", "rmsprop"))
        assert ("kernel_size" in config) == (config["architecture"] == "conv")
        assert ("width" in config) == (config.get("depth", 0) > 0)
    assert any(config["weight_decay"] == 0 for config in configs)
    assert any(config["weight_decay"] > 0 for config in configs)
    assert {config["architecture"] for config in configs} == {
        *("conv", "dense"),
        *("cifar_ae/1+1", "cifar_ae/1+2", "cifar_ae/2+1", "cifar_ae/2+2"),
    }


def test_a_config_that_a_space_cannot_express_is_named():
    space = search_spaces.get("digits_ae")
    with pytest.raises(ValueError, match="latent_size = 4096"):
        space._point("wide", {**space.default, "latent_size": 4096}, context_of(space))
    with pytest.raises(ValueError, match="cannot express odd"):
        space._point("odd", {**space.default, "kernel_size": 3}, context_of(space))
