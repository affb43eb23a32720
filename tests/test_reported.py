"""The reports' configurations: all of them, complete, buildable, and points of their spaces."""

from __future__ import annotations

import math

import pytest
import torch

import models
import search_spaces
from study.training.trainer import Trainer

REPORTED = search_spaces.reported()
LATENT_SUFFIXES = ("", "_bernoulli", "_gaussian", "_z2", "_z64")
KEYS = {
    *(f"cifar_ae/{encoder}+{decoder}{suffix}" for encoder in "12" for decoder in "12" for suffix in ("", "_sgd")),
    *(f"mnist_ae/dense{suffix}" for suffix in (*LATENT_SUFFIXES[:4], "_sparse")),
    *(f"mnist_ae/{network}{suffix}" for network in ("vae", "vae_cnn") for suffix in (*LATENT_SUFFIXES, "_pixel_mean")),
    *(
        "flowers/ae",
        "flowers/ae_adagrad",
        "flowers/batch_norm",
        "flowers/no_batch_norm",
        "flowers/sgd",
        "flowers/adagrad",
    ),
    *("flowers/rmsprop", "flowers/adam", "flowers/adagrad_dropout0.25", "flowers/adagrad_dropout0.5"),
    *("flowers/adagrad_dropout0.75", "flowers/adagrad_l2_0.007", "flowers/adagrad_l2_0.01"),
    *("flowers/final", "flowers/final_scratch"),
    *(f"cifar_cnn/{rung}" for rung in ("A", "B", "C", "D", "E", "F", "G", "GAP", "GAP_240")),
    *("fashion/base", "fashion/p0.1", "fashion/p0.1_n256", "fashion/sgd"),
    *("fashion/classifier_finetuned", "fashion/classifier_frozen"),
}
every_entry = pytest.mark.parametrize(("key", "entry"), REPORTED.items(), ids=REPORTED)


def test_every_configuration_that_a_report_ran_is_there():
    assert set(REPORTED) == KEYS


@every_entry
def test_a_reported_configuration_builds(key, entry):
    assert models.count_parameters(entry.config, entry.image_shape, entry.num_classes) > 0


@every_entry
def test_a_reported_configuration_is_a_point_of_its_space(key, entry):
    context = search_spaces.Context(entry.image_shape, entry.num_classes)
    points = search_spaces.get(entry.space).points(context)
    assert (entry.config in [point.config for point in points]) == entry.in_search


def test_configurations_that_only_decide_a_claim_take_no_part_in_a_search():
    assert {key for key, entry in REPORTED.items() if not entry.in_search} == {
        *("mnist_ae/dense_z2", "mnist_ae/dense_sparse", "mnist_ae/vae_pixel_mean", "mnist_ae/vae_cnn_pixel_mean"),
        "flowers/ae_adagrad",
    }


@every_entry
def test_a_reported_configuration_has_epochs_for_each_of_its_stages_and_a_note(key, entry):
    assert len(entry.epochs) == (2 if models.pretraining_config(entry.config) else 1)
    assert min(entry.epochs) > 0
    assert entry.note.endswith(".")
    assert "{" not in entry.note


@every_entry
def test_what_a_report_leaves_open_is_named(key, entry):
    """Every report leaves something open; a choice is a key of the config or words that the note has."""
    words = {"channels", "kernel sizes", "epochs", "loss", "reconstruction loss", "which images", "places of dropout"}
    assert entry.open_choices
    assert len({*entry.open_choices}) == len(entry.open_choices)
    assert {*entry.open_choices} <= {*entry.config} | words | {"L2 in the first stage"}
    assert ("lr" in entry.open_choices) <= ("rate" in entry.note or "lr" in entry.note)


def test_cifar_ae_is_trained_as_the_report_says():
    for pair in ("1+1", "1+2", "2+1", "2+2"):
        entry = REPORTED[f"cifar_ae/{pair}"]
        assert entry.config == {
            **{"family": "ae", "architecture": f"cifar_ae/{pair}", "latent_size": 108, "dropout": 0.0},
            **{"corruption": "none", "sparsity": 0.0, "contraction": 0.0},
            **{"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0, "decay": "all"},
            **{"schedule": "constant", "batch_size": 35},
        }
        assert entry.epochs == (100,)


def test_fashions_variants_differ_from_the_base_in_what_the_report_varied():
    base = REPORTED["fashion/base"]
    assert (base.config["latent_size"], base.config["dropout"], base.config["batch_size"]) == (64, 0.2, 100)
    assert (base.config["optimizer"], base.config["lr"], base.epochs) == ("adam", 0.001, (15,))
    assert changed("fashion/base", "fashion/p0.1") == {"dropout": 0.1}
    assert changed("fashion/base", "fashion/p0.1_n256") == {"dropout": 0.1, "latent_size": 256}
    assert changed("fashion/base", "fashion/sgd") == {"optimizer": "sgd", "momentum": 0.0}
    assert changed("fashion/classifier_finetuned", "fashion/classifier_frozen") == {"encoder_training": "frozen"}


def test_fashions_classifiers_start_from_the_base_model():
    base = REPORTED["fashion/base"].config
    assert models.pretraining_config(REPORTED["fashion/classifier_frozen"].config) == base


def test_flowers_rows_differ_in_what_the_report_varied():
    both = ("optimizer", "pretrain_optimizer")
    assert changed("flowers/adam", "flowers/batch_norm") == {}
    assert changed("flowers/adam", "flowers/no_batch_norm") == {"batch_norm": False}
    assert changed("flowers/adam", "flowers/adagrad") == dict.fromkeys(both, "adagrad")
    assert changed("flowers/adagrad", "flowers/adagrad_dropout0.75") == {"dropout": 0.75}
    assert changed("flowers/adagrad", "flowers/adagrad_l2_0.007") == {
        "weight_decay": 0.007,
        "pretrain_weight_decay": 0.007,
    }
    assert changed("flowers/adagrad", "flowers/final") == {"dropout": 0.25, "pretrain_optimizer": "adam"}
    assert REPORTED["flowers/final"].epochs == (40, 40)
    assert REPORTED["flowers/adagrad"].epochs == (30, 30)


def test_flowers_final_model_can_be_trained_without_its_first_stage():
    scratch = REPORTED["flowers/final_scratch"]
    assert changed("flowers/final", "flowers/final_scratch") == {"encoder": "scratch"}
    assert scratch.epochs == (40,)


def test_the_flowers_autoencoder_is_what_its_classifiers_start_from():
    first = models.pretraining_config(REPORTED["flowers/adam"].config)
    assert first == REPORTED["flowers/ae"].config


def test_the_ladder_keeps_the_double_softmax():
    ladder = {key: entry for key, entry in REPORTED.items() if key.startswith("cifar_cnn/")}
    assert all(entry.config["double_softmax"] for entry in ladder.values())
    epochs = {key.removeprefix("cifar_cnn/"): entry.epochs for key, entry in ladder.items()}
    assert (epochs["B"], epochs["C"], epochs["GAP"], epochs["GAP_240"]) == ((150,), (16,), (120,), (240,))


def test_240_epochs_of_gap_go_on_where_its_120_ended():
    """As the report's did: of the same seed, the longer run passes through the shorter one's network, to the bit."""
    short, long = REPORTED["cifar_cnn/GAP"], REPORTED["cifar_cnn/GAP_240"]
    assert (changed("cifar_cnn/GAP", "cifar_cnn/GAP_240"), short.epochs, long.epochs) == ({}, (120,), (240,))
    assert short.config["schedule"] == "constant"
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 8, 8), generator=generator, dtype=torch.uint8)
    data = dict.fromkeys(("train", "val"), (images, torch.arange(40) % 10))
    first, second = (
        Trainer({**entry.config, "batch_size": 16}, data, num_classes=10, epochs=entry.epochs[0], seed=7)
        for entry in (short, long)
    )
    for _ in range(2):
        first.epoch(), second.epoch()
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_mnist_inputs_are_spoilt_as_the_report_says():
    for network in ("dense", "vae", "vae_cnn"):
        key = f"mnist_ae/{network}"
        assert changed(key, f"{key}_bernoulli") == {"corruption": "bernoulli", "target": "input"}
        assert changed(key, f"{key}_gaussian").keys() == {"corruption", "corruption_std", "target"}
    assert changed("mnist_ae/vae", "mnist_ae/vae_z64") == {"latent_size": 64}
    assert changed("mnist_ae/dense", "mnist_ae/dense_z2") == {"latent_size": 2}
    assert REPORTED["mnist_ae/vae"].config["batch_size"] == 32


def test_a_sparse_autoencoder_is_wider_than_its_input_in_every_layer():
    sparse = REPORTED["mnist_ae/dense_sparse"]
    pixels = math.prod(sparse.image_shape)
    assert changed("mnist_ae/dense", "mnist_ae/dense_sparse").keys() == {"latent_size", "hidden_size", "sparsity"}
    assert sparse.config["sparsity"] > 0
    assert min(sparse.config["latent_size"], sparse.config["hidden_size"]) > pixels
    assert "sparsity" in sparse.open_choices


@pytest.mark.parametrize("network", ["vae", "vae_cnn"])
def test_a_reconstruction_loss_averaged_over_the_pixels_weighs_the_divergence_784_times(network):
    """mean over pixels of the score + KL = (sum + 784 KL) / 784, which is the loss at β = 784."""
    key = f"mnist_ae/{network}_pixel_mean"
    assert changed(f"mnist_ae/{network}", key) == {"beta": math.prod(REPORTED[key].image_shape)}
    assert "reconstruction loss" in REPORTED[key].open_choices


def test_the_flowers_autoencoder_is_there_with_both_optimizers():
    assert changed("flowers/ae", "flowers/ae_adagrad") == {"optimizer": "adagrad"}
    assert models.pretraining_config(REPORTED["flowers/adagrad"].config) == REPORTED["flowers/ae_adagrad"].config


def changed(key: str, other: str) -> dict[str, object]:
    """What the second configuration has that the first has not."""
    before = REPORTED[key].config
    return {name: value for name, value in REPORTED[other].config.items() if before.get(name) != value}


def test_changing_what_reported_returns_changes_nothing():
    search_spaces.reported().clear()
    assert search_spaces.reported() == REPORTED
