"""Pictures that stand in two splits: identical ones, and nearly identical ones."""

import io

import numpy as np
import pytest
from PIL import Image

from study.data.splits import Split, grouped_order, three_way_order
from study.data.twins import Twins, across, perceptual_hashes


def scenes(count: int, side: int = 32, seed: int = 0) -> np.ndarray:
    """Return smooth pictures, as photographs are: low frequencies and a little noise, (n, 3, side, side)."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, 1, 12, 12)).repeat(3, axis=1)
    place = np.linspace(0, 11, side)
    low = np.minimum(place.astype(int), 10)
    weight = place - low
    rows = coarse[:, :, low] * (1 - weight)[:, None] + coarse[:, :, low + 1] * weight[:, None]
    smooth = rows[..., low] * (1 - weight) + rows[..., low + 1] * weight
    noisy = 128 + 50 * smooth + rng.normal(0, 3, (count, 3, side, side))
    return noisy.clip(0, 255).astype(np.uint8)


def split_of(images: np.ndarray) -> Split:
    return Split(images, np.zeros(len(images), dtype=np.int64))


def compressed(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, format="JPEG", quality=90)
    return np.asarray(Image.open(file)).transpose(2, 0, 1)


def scaled(image: np.ndarray) -> np.ndarray:
    small = Image.fromarray(image.transpose(1, 2, 0)).resize((24, 24), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def brighter(image: np.ndarray) -> np.ndarray:
    return (image * 0.9 + 20).astype(np.uint8)


@pytest.mark.parametrize("change", [compressed, scaled, brighter])
def test_planted_near_twins_are_found_and_nothing_else(change) -> None:
    train, test = scenes(800), scenes(200, seed=1)
    test[:20] = [change(image) for image in train[100:120]]
    found = across({"train": split_of(train), "test": split_of(test)})
    assert found.identical == {("train", "test"): 0}
    assert 19 <= found.near["train", "test"] <= 20


def test_planted_identical_ones_are_counted_once() -> None:
    train, val, test = scenes(300), scenes(60, seed=1), scenes(60, seed=2)
    train[7], val[3], test[5], test[6] = train[8], train[8], train[8], val[9]
    found = across({"train": split_of(train), "val": split_of(val), "test": split_of(test)})
    assert found.identical == {("train", "val"): 1, ("train", "test"): 1, ("val", "test"): 2}
    assert sum(found.near.values()) == 0
    assert "1 test image is also in the training split" in found.sentences[0]
    assert "2 test images are also in the validation split" in found.sentences[0]
    assert found.to_json()["identical"] == {"train/val": 1, "train/test": 1, "val/test": 2}


def test_empty_pictures_are_like_none() -> None:
    empty = np.zeros((50, 1, 8, 8), dtype=np.uint8)
    empty += np.arange(50, dtype=np.uint8)[:, None, None, None]
    assert not perceptual_hashes(empty).any()
    assert across({"train": split_of(empty[:30]), "test": split_of(empty[30:])}).near == {("train", "test"): 0}


def test_none_is_said_too() -> None:
    assert Twins({("train", "test"): 0}, {("train", "test"): 0}).sentences == [
        "No picture stands in two splits, nor one that looks nearly the same."
    ]


def test_without_copies_the_splits_are_as_they_always_were() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 500)
    for one, other in zip(three_way_order(labels), grouped_order(labels, np.arange(500)), strict=True):
        assert np.array_equal(one, other)
