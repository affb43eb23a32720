import copy
import math

import numpy as np
import pytest
import torch
from small_networks import CONFIGS, TRAINING, network

import models
import search_spaces
from search_spaces import Context
from study.data import tensors
from study.data.tensors import evaluation_batches
from study.training.trainer import (
    OPTIMIZERS,
    SCHEDULES,
    NonFiniteLossError,
    Trainer,
    build_optimizer,
    build_schedule,
    per_image,
)

SPACE = search_spaces.get("digits_ae")
AVERAGED = {"weight_averaging": "ema", "averaged_epochs": 0.25}


def config(**changes):
    return {**SPACE.default, "width": 32, "dropout": 0.2, **changes}


def images(n, seed=0, shape=(1, 8, 8)):
    """Return uint8 images of two smooth patterns and noise, so that there is something to learn."""
    generator = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, shape[1] * shape[2]).reshape(1, 1, *shape[1:])
    mixed = generator.random((n, 1, 1, 1)) * ramp + generator.integers(0, 40, (n, *shape))
    return torch.from_numpy(mixed.astype(np.uint8))


def splits(n=130):
    return {"train": (images(n), torch.zeros(n, dtype=torch.long)), "val": (images(40, 1), torch.zeros(40).long())}


def trainer(seed=0, epochs=4, data=None, **changes):
    return Trainer(config(**changes), data or splits(), num_classes=10, epochs=epochs, seed=seed)


def deterministic(metrics):
    return {name: value for name, value in metrics.items() if "seconds" not in name and "per_second" not in name}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("changes", [{"width": 16}, {"depth": 2, "dropout": 0.0}, {"architecture": "pca"}])
def test_the_order_of_the_images_follows_from_the_seed_alone(changes, optimizer):
    changes = {**changes, "optimizer": optimizer} | ({"momentum": 0.5} if optimizer == "sgd" else {})
    if changes.get("architecture") == "pca":
        changes |= {"family": "ae", "kernel_size": 3}
    one, other = trainer(seed=7), Trainer(pca_or_dense(changes), splits(), num_classes=10, epochs=4, seed=7)
    assert [batch.tolist() for batch in one.batches()] == [batch.tolist() for batch in other.batches()]
    one.train()
    other.train()
    assert [batch.tolist() for batch in one.batches()] == [batch.tolist() for batch in other.batches()]
    assert [batch.tolist() for batch in trainer(seed=8).batches()] != [batch.tolist() for batch in one.batches()]


def pca_or_dense(changes):
    """Return the config with these changes; of the architecture `pca` without the key that it lacks."""
    whole = config(**changes)
    return {key: value for key, value in whole.items() if whole["architecture"] != "pca" or key != "output_activation"}


def test_the_order_and_the_noise_are_not_made_of_the_initial_weights_numbers():
    run = trainer(seed=7)
    fresh = torch.Generator().manual_seed(7)
    states = [fresh, *run.generators.values()]
    drawn = [torch.rand(1000, generator=generator) for generator in states]
    assert torch.corrcoef(torch.stack(drawn)).triu(1).abs().max() < 0.15


def test_a_checkpoint_of_a_version_with_one_generator_goes_on_with_its_order():
    before, after = trainer(seed=7), trainer(seed=7)
    state = before.state_dict()
    state["random"] = {"cpu": torch.Generator().manual_seed(5).get_state()}
    after.load_state_dict(state)
    order = torch.randperm(130, generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.cat(list(after.batches())), order)


@pytest.mark.parametrize("size", [1, 7, 33, 500])
@pytest.mark.parametrize("family", ["ae", "vae"])
def test_any_evaluation_batch_gives_the_same_numbers(family, size, monkeypatch):
    spoilt = {"corruption": "gaussian", "corruption_std": 0.3, "target": "clean"}
    model, (images_, labels) = network(family, **spoilt), (images(40, 1), torch.zeros(40).long())
    whole = per_image(model, images_, labels)
    monkeypatch.setattr(tensors, "EVALUATION_BATCH", size)
    for name, values in per_image(model, images_, labels).items():
        # the noise is the same to the last digit; what is left is the rounding of matrix products of another height
        torch.testing.assert_close(values, whole[name], rtol=1e-5, atol=1e-5)


def test_large_images_have_a_draw_of_their_own_each():
    given: list[torch.Tensor] = []
    model = network("ae", (3, 100, 100), corruption="gaussian", corruption_std=0.1, target="clean")
    model.encoder.register_forward_hook(lambda _module, inputs, _output: given.append(inputs[0]))
    grey = torch.full((40, 3, 100, 100), 128, dtype=torch.uint8)
    per_image(model, grey, torch.zeros(40).long())
    assert max(map(len, given)) == 17  # at once
    corrupted = torch.cat(given[1::2])
    assert len(corrupted) == len(corrupted.flatten(1)[:, :50].unique(dim=0)) == 40


def weights_after(decay, **changes):
    """Return a VAE's parameters before and after a step without gradients, which leaves L2 alone to move them."""
    config = {**CONFIGS["vae"], **TRAINING, "likelihood": "gaussian", **changes}
    config = models.completed({**config, "decay": decay} if decay else config)
    model = models.build(config, (1, 8, 8), 4)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model.parameters(), config)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return before, dict(model.named_parameters())


@pytest.mark.parametrize(("optimizer", "more"), [("adamw", {}), ("sgd", {"momentum": 0.0}), ("adam", {})])
def test_l2_is_on_the_weights_of_layers_and_on_nothing_else_where_the_config_says_so(optimizer, more):
    changes = {"optimizer": optimizer, "lr": 0.01, "weight_decay": 1.0, **more}
    before, after = weights_after("weights", **changes)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {name for name, value in after.items() if value.dim() >= 2}
    assert "likelihood.unbounded_log_scale" in after.keys() - moved
    for decay in ("all", None):  # a config of an earlier version has no such key
        before, after = weights_after(decay, **changes)
        still = {name for name, value in after.items() if torch.equal(value, before[name])}
        assert all(not before[name].any() for name in still)
        assert not torch.equal(*(of["likelihood.unbounded_log_scale"] for of in (before, after)))


def test_a_checkpoint_of_a_config_without_the_key_loads_and_goes_on():
    old = {key: value for key, value in config(optimizer="adamw", weight_decay=0.1).items() if key != "decay"}
    before, after = (Trainer(old, splits(), num_classes=10, epochs=4, seed=0) for _ in range(2))
    before.epoch()
    state = copy.deepcopy(before.state_dict())
    assert len(state["optimizer"]["param_groups"]) == 1
    after.load_state_dict(state)
    assert deterministic(after.epoch()) == deterministic(before.epoch())


def test_the_loss_falls():
    run = trainer(epochs=8)
    values = [run.epoch()["val_mse"] for _ in range(8)]
    assert values[-1] < 0.5 * values[0]


def test_a_run_that_goes_on_from_a_checkpoint_gives_the_numbers_of_an_uninterrupted_one(tmp_path):
    through = trainer()
    expected = [deterministic(through.epoch()) for _ in range(4)]
    before = trainer()
    got = [deterministic(before.epoch()) for _ in range(2)]
    torch.save(before.state_dict(), tmp_path / "checkpoint.pt")
    torch.manual_seed(123)  # the process does something else meanwhile
    after = trainer(seed=99)
    after.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    got += [deterministic(after.epoch()) for _ in range(2)]
    assert got == expected


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_every_optimizer_and_schedule_resumes_exactly(optimizer, schedule, tmp_path):
    more = {"momentum": 0.5} if optimizer in ("sgd", "rmsprop") else AVERAGED
    changes = {"optimizer": optimizer, "schedule": schedule, "lr": 0.01, "weight_decay": 1e-4, **more}
    through = trainer(epochs=3, **changes)
    through.epoch()
    torch.save(through.state_dict(), tmp_path / "checkpoint.pt")
    expected = through.epoch()
    resumed = trainer(seed=5, epochs=3, **changes)
    resumed.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert deterministic(resumed.epoch()) == deterministic(expected)


def test_the_average_of_weights_is_what_is_evaluated_and_the_steps_are_those_without_it():
    plain, averaged = trainer(), trainer(**AVERAGED)
    states = [copy.deepcopy(plain.trained.state_dict())]
    assert plain.model is plain.trained
    weights = []
    for _ in range(3):
        plain.train(1)
        averaged.train(1)
        states.append(copy.deepcopy(plain.trained.state_dict()))
        # 130 images in batches of 32 are 5 steps, and the average is of a quarter of an epoch
        weights.append(max(1 - math.exp(-1 / (0.25 * 5)), 9 / (len(weights) + 11)))
    assert weights[0] == 9 / 11
    for name, value in averaged.trained.state_dict().items():
        assert torch.equal(value, states[-1][name])
    for name, value in averaged.model.state_dict().items():
        expected = states[0][name].double()
        for state, weight in zip(states[1:], weights, strict=True):
            expected = expected + weight * (state[name].double() - expected)
        if not value.is_floating_point():
            expected = states[-1][name]
        torch.testing.assert_close(value.double(), expected.double(), rtol=1e-5, atol=1e-6)
    expected = averaged.model.metrics(per_image(averaged.model, *averaged.data["val"]))
    assert averaged.evaluate("val") == expected != plain.evaluate("val")
    assert averaged.state_dict()["model"].keys() == plain.state_dict()["model"].keys()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_nesterov_looks_ahead_where_there_is_momentum(momentum):
    plain, ahead = (trainer(optimizer="sgd", momentum=momentum, lr=0.1, **more) for more in ({}, {"nesterov": True}))
    assert (plain.train() == ahead.train()) == (momentum == 0)


def test_one_cycle_goes_up_over_three_tenths_and_down_to_nothing():
    factors = [SCHEDULES["one_cycle"](done / 100) for done in range(100)]
    assert factors[0] == pytest.approx(1 / 25)
    assert factors[30] == max(factors) == 1
    assert factors[15] == pytest.approx((1 + 1 / 25) / 2)
    assert factors[65] == pytest.approx(0.5, abs=1e-4)
    assert 4e-6 < factors[99] < 1e-3
    assert factors == [*sorted(factors[:31]), *sorted(factors[31:], reverse=True)]


def test_the_same_seed_gives_the_same_run_and_another_seed_another_one():
    assert deterministic(trainer(seed=7).epoch()) == deterministic(trainer(seed=7).epoch())
    assert trainer(seed=7).epoch()["val_mse"] != trainer(seed=8).epoch()["val_mse"]


def test_two_runs_in_one_process_do_not_touch_each_others_noise():
    alone = [deterministic(run.epoch()) for run in [trainer(seed=7)] for _ in range(2)]
    first, second = trainer(seed=7), trainer(seed=8)
    together = []
    for _ in range(2):
        torch.rand(3)
        together.append(deterministic(first.epoch()))
        second.epoch()
    assert together == alone


def test_training_leaves_the_global_random_state_alone():
    run = trainer()
    state = torch.get_rng_state()
    run.epoch()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("n", "batches"), [(128, 4), (129, 4), (130, 5), (31, 1)])
def test_a_last_batch_of_one_is_dropped(n, batches, monkeypatch):
    run = trainer(data=splits(n), batch_size=32, batch_norm=True)
    sizes = []
    real = run.model.training_loss
    monkeypatch.setattr(run.model, "training_loss", lambda x, y: (sizes.append(len(x)), real(x, y))[1])
    run.epoch()
    assert len(sizes) == batches
    assert min(sizes) > 1


def test_batches_of_one_image_are_all_trained_on():
    run = trainer(data=splits(5), batch_size=1, batch_norm=False)
    assert [len(batch) for batch in run.batches()] == [1] * 5
    assert run.epoch()["train_loss"] > 0


def test_training_metrics_are_means_over_images_and_not_over_batches():
    run = trainer(data=splits(100), batch_size=64, lr=1e-12, dropout=0.0, optimizer="adam")
    metrics = run.epoch()
    assert metrics["train_mse"] == pytest.approx(run.evaluate("train")["mse"], rel=1e-4)


def test_evaluation_gives_the_mean_of_the_squared_errors_of_pixels():
    run = trainer()
    pixels = run.data["val"][0].float() / 255
    run.model.eval()
    with torch.no_grad():
        expected = ((run.model(pixels) - pixels) ** 2).double().mean().item()
    assert run.evaluate("val")["mse"] == pytest.approx(expected, rel=1e-6)
    per = per_image(run.model, *run.data["val"])["mse"]
    assert per.shape == (40,)
    assert per.dtype == torch.float64


def test_evaluation_does_not_move_the_random_state_or_the_statistics_of_batch_norm():
    run = trainer(batch_norm=True)
    state = run.generators["cpu"].get_state()
    buffers = {name: value.clone() for name, value in run.model.named_buffers()}
    run.evaluate("val")
    assert torch.equal(run.generators["cpu"].get_state(), state)
    assert all(torch.equal(value, buffers[name]) for name, value in run.model.named_buffers())


def test_a_non_finite_loss_ends_the_run_and_names_the_metric_and_epoch():
    run = trainer(lr=1e30, optimizer="sgd", momentum=0.0, output_activation="none")
    with pytest.raises(NonFiniteLossError, match=r"(loss|mse) is (nan|inf) in epoch \d"):
        _train(run, epochs=4)


def _train(run, epochs):
    for _ in range(epochs):
        run.epoch()


def test_the_cosine_schedule_falls_from_the_rate_to_a_hundredth_of_it():
    model = torch.nn.Linear(2, 2)
    settings = config(lr=0.1, schedule="cosine")
    optimizer = build_optimizer(model.parameters(), settings)
    schedule = build_schedule(optimizer, settings, epochs=10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.1)
    assert rates[5] == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert rates == sorted(rates, reverse=True)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)


def test_large_images_are_evaluated_in_small_batches():
    assert next(evaluation_batches(torch.zeros(600, 1, 8, 8))).stop == 500
    large = list(evaluation_batches(torch.zeros(40, 3, 100, 100)))
    assert large[0].stop < 20
    assert large[-1].stop >= 40


def test_the_loop_needs_neither_ray_nor_mlflow():
    import subprocess
    import sys

    code = (
        "import sys, study.training.trainer; sys.exit(any(name in sys.modules for name in ('ray', 'mlflow', 'optuna')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_space_default_is_what_these_tests_train():
    context = Context(SPACE.image_shape, 10)
    assert SPACE.points(context)[0].config == SPACE.default


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_a_run_goes_on_in_the_kernels_of_the_device_that_it_goes_on_on(optimizer):
    """A checkpoint says which kernels made it: those of a GPU, or of an earlier version."""
    more = {"momentum": 0.5} if optimizer in ("sgd", "rmsprop") else {}
    changes = {"optimizer": optimizer, "lr": 0.01, "weight_decay": 1e-4, **more}
    through = trainer(**changes)
    through.epoch()
    state = copy.deepcopy(through.state_dict())
    elsewhere = [
        {**group, "foreach": True, **({"fused": False} if "fused" in group else {})}
        for group in state["optimizer"]["param_groups"]
    ]
    resumed = trainer(**changes)
    resumed.load_state_dict({**state, "optimizer": {**state["optimizer"], "param_groups": elsewhere}})
    assert [(group["foreach"], group.get("fused")) for group in resumed.optimizer.param_groups] == [
        (group["foreach"], group.get("fused")) for group in through.optimizer.param_groups
    ]
    assert deterministic(resumed.epoch()) == deterministic(through.epoch())


def test_the_kernel_of_adagrad_takes_the_steps_of_its_formula():
    """Duchi et al. 2011: each step is over the root of the sum of the squared gradients so far."""
    weight = torch.nn.Parameter(torch.tensor([[1.0, -2.0]]))
    optimizer = build_optimizer([weight], {"optimizer": "adagrad", "lr": 0.1, "weight_decay": 0.5, "decay": "all"})
    assert optimizer.param_groups[0]["fused"]
    expected, squares = weight.detach().double(), torch.zeros(1, 2, dtype=torch.float64)
    for gradient in ([[0.3, 0.0]], [[-1.0, 2.0]]):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        penalised = torch.tensor(gradient).double() + 0.5 * expected
        squares = squares + penalised**2
        expected = expected - 0.1 * penalised / squares.sqrt()
    torch.testing.assert_close(weight.detach().double(), expected, atol=1e-6, rtol=0)
