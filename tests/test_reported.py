"""The reports' configurations and claims: complete, consistent with each other, and buildable."""

from __future__ import annotations

import math

import pytest

import models
import search_spaces


@pytest.mark.parametrize(("key", "entry"), search_spaces.reported().items(), ids=search_spaces.reported())
def test_a_reported_configuration_builds_and_belongs_to_a_space(key, entry):
    assert models.count_parameters(entry.config, entry.image_shape, 10) > 0
    assert key in {point.key for point in space_points(entry)}
    assert entry.epochs > 0
    assert entry.note


def space_points(entry: search_spaces.Reported) -> list[search_spaces.Point]:
    context = search_spaces.Context(image_shape=entry.image_shape, num_classes=10)
    return search_spaces.get(entry.space).points(context)


def test_cifar_ae_is_trained_as_the_report_says():
    for pair in ("1+1", "1+2", "2+1", "2+2"):
        entry = search_spaces.reported()[f"cifar_ae/{pair}"]
        assert entry.config == {
            **{"family": "ae", "architecture": f"cifar_ae/{pair}", "latent_size": 108, "dropout": 0.0},
            **{"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0},
            **{"schedule": "constant", "batch_size": 35},
        }
        assert entry.epochs == 100


def test_changing_what_reported_returns_changes_nothing():
    search_spaces.reported().clear()
    assert search_spaces.reported()


def test_claims_have_unique_keys_and_known_subjects():
    claims = search_spaces.claims()
    assert len({claim.key for claim in claims}) == len(claims)
    for claim in claims:
        kind, _, rank = claim.subject.partition("/")
        assert claim.subject in search_spaces.reported() or (kind == "pca" and int(rank) > 0)
        assert claim.split in ("train", "test", None)
        assert all((claim.statement, claim.metric, claim.measures))


def test_the_mean_losses_follow_from_the_claimed_sums():
    """1,429 batches of 35 make up 50,000 images."""
    batches = math.ceil(50_000 / 35)
    sums = [claim for claim in search_spaces.claims() if claim.key.endswith("/training_loss")]
    assert len(sums) == 4
    for claim in sums:
        assert claim.value is not None
        assert claim.measures.endswith(f"the mean MSE is {round(claim.value / batches, 4)}.")
