"""Every space sampled many times, at its bounds, and asked for the configs that a study runs first."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution

import models
import search_spaces
from search_spaces import Context, Space
from search_spaces._ask import AskConfig, AskTrial
from study.record import metrics

DATASETS = search_spaces.datasets()

SPACES = [search_spaces.get(name) for name in search_spaces.names()]
CLASSIFIERS = [space for space in SPACES if space.family == "classifier"]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
every_classifier = pytest.mark.parametrize("space", CLASSIFIERS, ids=lambda space: space.name)
OTHER_SHAPES = [(1, 28, 28), (3, 100, 100), (3, 20, 33), (1, 8, 8), (3, 32, 32)]
# (params, their distributions, the config): of every trial that a sampler asked for
Sampled = list[tuple[dict[str, Any], dict[str, BaseDistribution], dict[str, Any]]]


def context_of(space: Space, **overrides: Any) -> Context:
    classes = len(DATASETS[space.dataset].class_names)
    return Context(**{"image_shape": space.image_shape, "num_classes": classes, **overrides})


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


@functools.cache
def sampled_at_home(name: str) -> Sampled:
    """200 trials on the space's own data, reported networks included."""
    space = search_spaces.get(name)
    return sample(space, context_of(space), 200)


def count(config: dict[str, Any], context: Context) -> int:
    return models.count_parameters(config, context.image_shape, context.num_classes)


def run_once(config: dict[str, Any], context: Context, device: str = "cpu") -> None:
    """A training step of three images: builds, goes forward and backward, and gives every parameter a gradient.

    On the device "meta" nothing is allocated or computed, but every shape is checked, of networks of any size.
    """
    torch.manual_seed(0)
    with torch.device(device):
        network = models.build(config, context.image_shape, context.num_classes)
        loss, _ = network.training_loss(torch.rand(3, *context.image_shape), torch.tensor([0, 1, 2]))
    loss.backward()
    assert device == "meta" or loss.isfinite()
    assert all((parameter.grad is not None) == parameter.requires_grad for parameter in network.parameters())


def test_there_is_a_space_for_each_family_on_each_data_set():
    assert [(space.dataset, space.family) for space in SPACES] == [
        (dataset, family) for dataset in sorted(DATASETS) for family in sorted(models.FAMILIES)
    ]


@every_space
def test_a_space_is_named_after_its_data_and_family_and_knows_its_data(space):
    assert search_spaces.get(space.name) is space
    assert space.name == f"{space.dataset}_{space.family}"
    assert space.data is DATASETS[space.dataset]
    assert space.image_shape == DATASETS[space.dataset].image_shape
    assert (space.pretrain_epochs > 0) == (space.family == "classifier")


@pytest.mark.parametrize(
    ("name", "objective"),
    [("cifar_ae", "val_mse min"), ("mnist_vae", "val_nelbo min"), ("flowers_classifier", "val_accuracy max")],
)
def test_the_objective_is_the_familys(name, objective):
    space = search_spaces.get(name)
    assert f"{space.metric} {metrics.mode(space.metric)}" == objective


def test_an_unknown_space_is_named_with_the_nearest_one():
    with pytest.raises(search_spaces.UnknownSpace) as raised:
        search_spaces.get("cifr_ae")
    assert "'cifr_ae' is not known (did you mean cifar_ae?)" in str(raised.value)
    assert "digits_ae" in str(raised.value)


@pytest.mark.parametrize("name", ["_space", "_reported", "cifar", "cifar_", "", "os", "models"])
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
    for _, _, config in sampled_at_home(space.name):
        assert count(config, context_of(space)) > 0
        assert json.loads(json.dumps(config)) == config


@every_space
@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_a_space_fits_other_images(space, shape):
    context = context_of(space, image_shape=shape, num_classes=3)
    for _, _, config in sample(space, context, 6):
        assert count(config, context) > 0


@every_space
def test_sampled_networks_train(space):
    context, small = context_of(space), 2_000_000  # parameters; the larger ones are built, unallocated, above
    tried = set()
    for _, _, config in sampled_at_home(space.name):
        kind = tuple(config.get(key) for key in ("architecture", "corruption", "likelihood", "encoder"))
        if len(tried) < 6 and kind not in tried and count(config, context) < small:
            tried.add(kind)
            run_once(config, context)
    assert len(tried) >= 3


@pytest.mark.slow
@every_space
def test_every_sampled_network_goes_forward_and_backward(space):
    for _, _, config in sampled_at_home(space.name):
        run_once(config, context_of(space), "meta")


@pytest.mark.slow
@every_space
def test_networks_at_the_bounds_go_forward_and_backward(space):
    for _, _, config in at_the_bounds(space):
        run_once(config, context_of(space), "meta")


@every_space
def test_a_parameter_always_has_the_same_distribution(space):
    seen: dict[str, BaseDistribution] = {}
    for _, distributions, _ in sampled_at_home(space.name):
        for name, distribution in distributions.items():
            assert seen.setdefault(name, distribution) == distribution


def ends(distribution: Any) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [distribution.low, distribution.high]


def at_the_bounds(space: Space) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """(parameter, bound, config): the first sampled trial that has the parameter, with that value moved to a bound."""
    first: dict[str, tuple[dict[str, Any], BaseDistribution]] = {}
    for params, distributions, _ in sampled_at_home(space.name):
        for name, distribution in distributions.items():
            first.setdefault(name, (params, distribution))
    for name, (params, distribution) in first.items():
        for value in ends(distribution):
            study = new_study()
            study.enqueue_trial({**params, name: value})
            trial = study.ask()
            config = space.suggest(trial, context_of(space))
            assert trial.params[name] == value
            yield name, value, config


@every_space
def test_each_parameter_at_each_of_its_bounds_describes_a_network(space):
    bounds = [(name, value) for name, value, config in at_the_bounds(space) if count(config, context_of(space)) > 0]
    assert len(bounds) > 40


@every_space
@pytest.mark.parametrize("corner", [0, -1], ids=["lowest", "highest"])
def test_the_corners_of_the_bounds_describe_networks(space, corner):
    class Corner(optuna.samplers.RandomSampler):
        def sample_independent(self, study, trial, param_name, param_distribution):
            if isinstance(param_distribution, CategoricalDistribution):
                return super().sample_independent(study, trial, param_name, param_distribution)
            return ends(param_distribution)[corner]

    study, context = optuna.create_study(sampler=Corner(seed=0)), context_of(space)
    for _ in range(12):
        assert count(space.suggest(study.ask(), context), context) > 0


def test_a_study_of_every_size_begins_with_the_default_at_many():
    space = search_spaces.get("cifar_ae")
    context = search_spaces.Context(space.image_shape, 10)
    usual, every = space.points(context), space.points(replace(context, every_size=True))
    added = [point for point in every if point not in usual]
    assert [point.key for point in every][:3] == ["default", "default z=8", "default z=16"]
    assert [point.config["latent_size"] for point in added] == [8, 16, 32, 64, 128, 256, 512]
    for point in added:
        assert {**point.config, "latent_size": 108} == space.default
    held = space.points(replace(context, every_size=True, latent_size=64))
    assert [point.config["latent_size"] for point in held if point.key.startswith("default")] == [64]


@every_space
@pytest.mark.parametrize("reported", [True, False])
def test_an_enqueued_point_comes_back_as_its_config(space, reported):
    context, study = context_of(space, reported=reported), new_study()
    points = space.points(context)
    for point in points:
        study.enqueue_trial(point.params)
    for point in points:
        trial = study.ask()
        # what L2 acts on is not searched: a report's is its own, which a study takes from the point
        assert {**space.suggest(trial, context), "decay": point.config["decay"]} == point.config
        assert trial.params == point.params
        assert json.loads(json.dumps(point.params)) == point.params


@every_space
def test_the_default_comes_first_and_the_reported_ones_follow_each_once(space):
    points = space.points(context_of(space))
    assert (points[0].key, points[0].config) == ("default", space.default)
    reported = [
        entry.config for entry in search_spaces.reported().values() if entry.space == space.name and entry.in_search
    ]
    configs = [point.config for point in points[1:]]
    assert all(config in configs for config in reported)
    assert all(configs.count(config) == 1 for config in configs)
    for point in points[1:]:
        assert search_spaces.reported()[point.key].config == point.config
    assert [point.key for point in space.points(context_of(space, reported=False))] == ["default"]


def test_a_config_that_two_reported_rows_share_is_run_once():
    space = search_spaces.get("flowers_classifier")
    keys = [point.key for point in space.points(context_of(space))]
    assert "flowers/batch_norm" in keys
    assert "flowers/adam" not in keys


@every_space
@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_on_other_images_the_default_still_builds(space, shape):
    context = context_of(space, image_shape=shape)
    for point in space.points(context):
        assert count(point.config, context) > 0


def test_a_default_too_deep_for_the_images_moves_to_the_nearest_bound():
    space = search_spaces.get("cifar_ae")
    (point,) = space.points(Context(image_shape=(1, 2, 2), num_classes=10))
    assert point.config["depth"] == 1
    assert {**point.config, "depth": space.default["depth"]} == space.default


@every_space
def test_reported_networks_are_left_out_on_images_of_another_shape(space):
    configs = [config for _, _, config in sample(space, context_of(space, image_shape=(3, 30, 30)), 40)]
    general = {"ae": {"conv", "dense", "pca"}, "vae": {"conv", "dense"}, "classifier": {"cnn", "conv", "dense"}}
    assert {config["architecture"] for config in configs} == general[space.family]


@every_space
def test_every_reported_architecture_of_a_space_is_searched(space):
    known = {entry.config["architecture"] for entry in search_spaces.reported().values() if entry.space == space.name}
    searched = {config["architecture"] for _, _, config in sampled_at_home(space.name)}
    assert {name for name in searched if "/" in name} == known


WITH_CODE = [space for space in SPACES if space.family != "classifier"]


@pytest.mark.parametrize("space", WITH_CODE, ids=lambda space: space.name)
def test_a_study_can_hold_the_latent_size(space):
    context = context_of(space, latent_size=20)
    assert {point.config["latent_size"] for point in space.points(context)} == {20}
    for params, _, config in sample(space, context, 30):
        assert config["latent_size"] == 20
        assert "latent_size" not in params
        assert count(config, context) > 0
    assert "latent_size" not in search_spaces.outline(space, context)


def test_reported_networks_of_another_latent_size_are_left_out_where_the_study_holds_it():
    space = search_spaces.get("mnist_vae")
    keys = [point.key for point in space.points(Context(space.image_shape, 10, latent_size=20))]
    assert keys[0] == "default"
    assert "mnist_ae/vae" in keys
    assert [point.key for point in space.points(Context(space.image_shape, 10, latent_size=21))] == ["default"]


@every_space
def test_conditional_keys_are_there_only_with_what_they_belong_to(space):
    configs = [config for _, _, config in sampled_at_home(space.name)]
    for config in configs:
        assert ("momentum" in config) == (config["optimizer"] in ("sgd", "rmsprop"))
        assert ("kernel_size" in config) == (config["architecture"] in ("cnn", "conv", "pca"))
        assert ("corruption_std" in config) == (config.get("corruption") == "gaussian")
        assert ("target" in config) == (config.get("corruption", "none") != "none")
        assert ("encoder_training" in config) == ("pretrain_lr" in config) == (config.get("encoder") == "pretrained")
        assert ("reconstruction_weight" in config) == (config.get("encoder") == "joint")
    assert any(config["weight_decay"] == 0 for config in configs)
    assert any(config["weight_decay"] > 0 for config in configs)


@every_space
def test_the_outline_of_a_space_has_every_parameter_that_a_sampler_can_meet(space):
    outline = search_spaces.outline(space, context_of(space))
    assert outline == search_spaces.outline(space, context_of(space))
    assert all(params.keys() <= outline.keys() for params, _, _ in sampled_at_home(space.name))


@pytest.mark.parametrize("name", search_spaces.names())
def test_l2_is_on_weights_alone_but_in_what_a_report_ran(name):
    space = search_spaces.get(name)
    assert all(config["decay"] == "weights" for _, _, config in sampled_at_home(name))
    for point in space.points(context_of(space)):
        assert point.config["decay"] == ("weights" if point.key == "default" else "all")
    assert "decay" not in search_spaces.outline(space, context_of(space))  # it is not searched


def test_the_outline_of_a_space_says_its_bounds():
    space = search_spaces.get("digits_ae")
    outline = search_spaces.outline(space, context_of(space))
    assert outline["optimizer"] == "one of 'adam', 'adamw', 'sgd', 'adagrad', 'rmsprop'"
    assert outline["sgd_effective_lr"] == "number 0.3 to 100, logarithmic"
    assert outline["fixed family"] == "'ae'"


def test_the_ranges_of_sgd_and_l2_follow_the_familys_loss():
    spaces = [search_spaces.get(f"cifar_{family}") for family in ("ae", "vae", "classifier")]
    ae, vae, classifier = (search_spaces.outline(space, context_of(space)) for space in spaces)
    sgd = "sgd_effective_lr"
    assert (ae[sgd], ae["weight_decay"]) == (scale("0.3 to 100"), scale("1e-08 to 0.0001"))
    assert (vae[sgd], vae["weight_decay"]) == (scale("0.01 to 2"), scale("1e-05 to 0.01"))
    assert (classifier[sgd], classifier["weight_decay"]) == (scale("0.03 to 10"), scale("1e-07 to 0.01"))
    assert classifier[f"pretrain_{sgd}"] == ae[sgd]  # a first stage has an autoencoder's loss


@every_space
def test_with_momentum_it_is_the_effective_learning_rate_that_has_a_range(space):
    seen = set()
    for params, _, config in sampled_at_home(space.name):
        for name in ("sgd_effective_lr", "reported_sgd_effective_lr", "rmsprop_effective_lr"):
            if name in params:
                seen.add(name.removeprefix("reported_"))
                assert config["lr"] == pytest.approx(params[name] * (1 - config["momentum"]), rel=1e-12)
                # asked of the config, as a warm start and the report do, the parameter is the same
                assert space.point("again", config, context_of(space)).params[name] == pytest.approx(
                    params[name], rel=1e-12
                )
    assert seen == {"sgd_effective_lr", "rmsprop_effective_lr"}


def test_a_network_that_starts_from_pca_is_not_trained_by_sgd():
    configs = [config for name in ("digits_ae", "cifar_ae") for _, _, config in sampled_at_home(name)]
    found = {config["optimizer"] for config in configs if config["architecture"] == "pca"}
    assert found == {"adam", "adamw", "adagrad", "rmsprop"}
    assert "sgd" in {config["optimizer"] for config in configs if config["architecture"] != "pca"}


def test_a_classifier_on_an_encoder_that_started_from_pca_may_be_trained_by_sgd():
    """It begins far from the minimum of its own loss."""
    space = search_spaces.get("digits_classifier")
    context = context_of(space, encoder={"architecture": "pca", **ENCODERS["pca"]})
    assert "sgd" in {config["optimizer"] for _, _, config in sample(space, context, 50)}


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("bound", [0.3, 30.0])
def test_a_rate_at_a_bound_stays_within_it_however_it_rounds(momentum, bound):
    ask = AskConfig({"lr": bound * (1 - momentum)})
    ask.number("lr", (0.3, 30.0), name="rate", log=True, factor=1 - momentum)
    assert ask.params == {"rate": bound}
    assert ask.config == {"lr": bound * (1 - momentum)}
    beyond = AskConfig({"lr": 2 * 30 * (1 - momentum)}, clip=True)
    beyond.number("lr", (0.3, 30.0), name="rate", log=True, factor=1 - momentum)
    assert beyond.config == {"lr": pytest.approx(30 * (1 - momentum))}


def test_around_a_reports_network_the_ranges_hold_what_reports_used():
    ae, classifier = (search_spaces.get(name) for name in ("cifar_ae", "flowers_classifier"))
    outline = search_spaces.outline(ae, context_of(ae))
    assert outline["reported_sgd_effective_lr"] == scale("0.001 to 100")
    outline = search_spaces.outline(classifier, context_of(classifier))
    assert outline["pretrain_reported_weight_decay"] == scale("1e-08 to 0.01")
    assert outline["reported_sgd_effective_lr"] == scale("0.001 to 10")
    assert "reported_weight_decay" not in outline  # a classifier's own range holds what reports used


def scale(bounds):
    return f"number {bounds}, logarithmic"


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_the_reports_defects_are_searched_within_their_networks_only(dataset):
    configs = [config for _, _, config in sampled_at_home(f"{dataset}_classifier")]
    with_defect = {config["architecture"] for config in configs if config["double_softmax"]}
    assert all(architecture.startswith("cifar_cnn/") for architecture in with_defect)
    assert bool(with_defect) == (dataset == "cifar")
    assert {config["architecture"] for config in configs if config.get("relu_logits")} <= {"fashion/classifier"}
    flips = {config["augmentation"] for config in configs} & {"shift_flip"}
    assert bool(flips) == (dataset not in ("digits", "mnist"))


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_autoencoders_have_at_most_one_regulariser_and_mostly_none(dataset):
    configs = [config for _, _, config in sampled_at_home(f"{dataset}_ae")]
    used = [
        (config["corruption"] != "none") + (config["sparsity"] > 0) + (config["contraction"] > 0) for config in configs
    ]
    assert max(used) == 1
    assert 60 < sum(used) < 140
    general = [config for config in configs if "/" not in config["architecture"]]
    assert {config["target"] for config in general if "target" in config} == {"clean"}


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_half_of_the_vaes_train_on_the_bound_itself(dataset):
    weights = [config["beta"] for _, _, config in sampled_at_home(f"{dataset}_vae")]
    assert 60 < weights.count(1.0) < 140
    assert min(weights) < 1 < max(weights)


ENCODERS = {
    "conv": {"depth": 1, "width": 8, "kernel_size": 3, "batch_norm": True, "activation": "relu", "latent_size": 5},
    "dense": {"depth": 0, "latent_size": 5},
    "pca": {"depth": 1, "width": 8, "kernel_size": 3, "batch_norm": True, "activation": "relu", "latent_size": 5},
}


@every_classifier
@pytest.mark.parametrize("architecture", ENCODERS)
def test_on_a_given_encoder_only_head_and_training_are_searched(space, architecture):
    encoder = {"architecture": architecture, **ENCODERS[architecture]}
    context = context_of(space, encoder=encoder)
    for _, distributions, config in sample(space, context, 20):
        assert config["encoder"] == "given"
        assert encoder.items() <= config.items()
        assert not distributions.keys() & {*encoder, "conv_depth", "dense_depth", "pretrain_lr"}
        assert count(config, context) > 0
    (point,) = space.points(context)
    assert (point.key, point.config["encoder_training"]) == ("default", "fine_tuned")
    for key in ("optimizer", "lr", "schedule", "batch_size", "label_smoothing"):
        assert point.config[key] == space.default[key]
    study = new_study()
    study.enqueue_trial(point.params)
    assert space.suggest(study.ask(), context) == point.config


@pytest.mark.parametrize("key", ["fashion/base", "flowers/ae", "mnist_ae/dense", "cifar_ae/2+2"])
def test_a_reported_encoder_can_be_given(key):
    entry = search_spaces.reported()[key]
    space = search_spaces.get(f"{entry.space.removesuffix('_ae')}_classifier")
    context = context_of(space, encoder=models.classifier_keys(entry.config))
    (point,) = space.points(context)
    assert count(point.config, context) > 0
    assert not point.config.get("relu_logits")


def test_a_config_that_a_space_cannot_express_is_named():
    space = search_spaces.get("digits_ae")
    with pytest.raises(ValueError, match="cannot express wide: latent_size = 4096"):
        space.point("wide", {**space.default, "latent_size": 4096}, context_of(space))
    with pytest.raises(ValueError, match="cannot express odd"):
        space.point("odd", {**space.default, "kernel_size": 3}, context_of(space))
    with pytest.raises(ValueError, match="cannot express short: 'lr'"):
        space.point("short", {k: v for k, v in space.default.items() if k != "lr"}, context_of(space))


def test_an_option_is_in_a_config_where_it_is_taken_or_the_given_config_says_so():
    space = search_spaces.get("cifar_ae")
    context = context_of(space)
    assert "residual_blocks" not in space.default
    for more in ({}, {"residual_blocks": 0}, {"residual_blocks": 2}):
        point = space.point("given", {**space.default, **more}, context)
        assert point.config == {**space.default, **more}
        assert point.params["residual_blocks"] == more.get("residual_blocks", 0)
    assert {config.get("residual_blocks") for _, _, config in sampled_at_home("cifar_ae")} == {None, 1, 2}
    with pytest.raises(ValueError, match="residual_blocks = 3 lies outside"):
        space.point("given", {**space.default, "residual_blocks": 3}, context)


def test_a_number_off_the_grid_is_no_answer():
    ask = AskConfig({"dropout": 0.12})
    with pytest.raises(ValueError, match=r"dropout = 0\.12"):
        ask.number("dropout", (0.0, 0.5), step=0.05)


def test_a_choice_is_never_moved():
    with pytest.raises(ValueError, match="schedule = 'cosine'"):
        AskConfig({"schedule": "cosine"}, clip=True).choice("schedule", ("constant",))


def test_a_value_beside_a_range_has_a_flag_of_its_own():
    for given, params in [(0.0, {"l2": False}), (0.01, {"l2": True, "decay": 0.01})]:
        ask = AskConfig({"weight_decay": given})
        ask.unless("weight_decay", 0.0, (1e-3, 1.0), flag="l2", name="decay")
        assert (ask.params, ask.config) == (params, {"weight_decay": given})
        trial = optuna.trial.FixedTrial(params)
        again = AskTrial(trial)
        again.unless("weight_decay", 0.0, (1e-3, 1.0), flag="l2", name="decay")
        assert again.config == {"weight_decay": given}
