import pytest

import models
import search_spaces
from search_spaces import Context
from study.cluster.resources import Limits, training_bytes

HIDDEN = ("width", "kernel_size", "batch_norm", "activation")
SPACE = search_spaces.get("cifar_ae")
CONTEXT = Context(SPACE.image_shape, 10)


def refusal(max_params, memory, **changes):
    config = {**SPACE.default, **changes}
    params = models.count_parameters(config, CONTEXT.image_shape, 10)
    return Limits(max_params, memory).refusal(config, CONTEXT, params)


def test_a_network_that_fits_is_not_refused():
    assert refusal(10**9, 2**34) is None


def test_too_many_parameters_are_named_with_the_limit():
    assert "parameters, more than --max-params 1,000" in refusal(1000, 2**34)


def test_activations_count_with_the_batch_and_the_memory_is_named():
    small, large = (refusal(10**9, 2**28, batch_size=size) for size in (4, 4096))
    assert small is None
    assert "GiB in training, more than the 0.2 GiB that a run has" in large


def test_activations_are_the_outputs_of_all_layers():
    """A linear autoencoder: its input centred and flattened, the code, the picture and what makes one of it."""
    config = {**search_spaces.get("digits_ae").default, "architecture": "dense", "depth": 0, "dropout": 0.0}
    linear = {key: value for key, value in config.items() if key not in HIDDEN} | {"output_activation": "none"}
    counted = models.count_activations({**linear, "latent_size": 5}, (1, 8, 8), 10)
    assert 5 + 64 <= counted <= 5 + 5 * 64
    assert models.count_activations({**linear, "latent_size": 9}, (1, 8, 8), 10) == counted + 4


def test_replicates_fit_as_often_as_their_memory_does_and_one_always():
    config = SPACE.default
    params = models.count_parameters(config, CONTEXT.image_shape, 10)
    few, many = (Limits(10**9, memory).replicates(config, CONTEXT, params) for memory in (2**30, 2**34))
    assert 1 < few < many
    assert many == pytest.approx(16 * few, abs=16)
    assert Limits(10**9, 1).replicates(config, CONTEXT, params) == 1


def test_a_moving_average_of_the_weights_counts_as_much_as_they_do():
    averaged = {**SPACE.default, "weight_averaging": "ema", "averaged_epochs": 1.0}
    assert training_bytes(averaged, CONTEXT, 1000) - training_bytes(SPACE.default, CONTEXT, 1000) == 4 * 1000
