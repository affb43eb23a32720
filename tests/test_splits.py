"""Splits are disjoint, stratified, nested, and the same for ever."""

from __future__ import annotations

import numpy as np
import pytest

from study.data.splits import MIN_PER_CLASS, Split, hold_out, random_order, stratified_order, stratified_part, three_way


def numbered(labels: np.ndarray) -> Split:
    """A split whose images say which they are: pixel values are the image's number in base 256."""
    numbers = np.arange(len(labels))
    images = np.stack([numbers // 256, numbers % 256], axis=1).astype(np.uint8)
    return Split(images.reshape(-1, 1, 1, 2), labels.astype(np.int64))


def numbers(split: Split) -> list[int]:
    pixels = split.images.reshape(-1, 2).astype(int)
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()


def test_random_order_never_changes() -> None:
    assert random_order(8).tolist() == [5, 6, 1, 2, 3, 7, 4, 0]
    assert sorted(random_order(1000)) == list(range(1000))
    assert random_order(1000, seed=1).tolist() != random_order(1000, seed=2).tolist()


def test_stratified_order_never_changes() -> None:
    assert stratified_order(np.array([0, 0, 0, 0, 1, 1, 2])).tolist() == [5, 6, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("sizes", [(50, 50), (100, 10, 3), (7,), (10,) * 102])
def test_prefixes_are_stratified(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = stratified_order(labels)
    assert sorted(order) == list(range(len(labels)))
    for length in range(len(sizes), len(labels) + 1):
        counts = np.bincount(labels[order[:length]], minlength=len(sizes))
        assert counts.min() >= 1
        assert (counts <= np.array(sizes) * length / len(labels) + 1).all()


@pytest.mark.parametrize("stratified", [True, False])
def test_hold_out_divides_without_loss_or_overlap(stratified: bool) -> None:
    data = numbered(np.arange(1000) % 10)
    kept, held = hold_out(data, 100, stratified=stratified)
    assert (len(kept), len(held)) == (900, 100)
    assert sorted(numbers(kept) + numbers(held)) == list(range(1000))
    assert (held.labels == np.array(numbers(held)) % 10).all()  # labels stay with their images
    assert (len(set(np.bincount(held.labels))) == 1) is stratified


def test_three_way_puts_every_class_into_every_split() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(MIN_PER_CLASS, 40, size=rng.integers(1, 30))
        data = numbered(rng.permutation(np.repeat(np.arange(len(sizes)), sizes)))
        splits = three_way(data)
        assert sorted(number for split in splits for number in numbers(split)) == list(range(len(data)))
        for split in splits:
            assert len(np.unique(split.labels)) == len(sizes), sizes


def test_three_way_is_70_15_15() -> None:
    assert [len(split) for split in three_way(numbered(np.arange(2000) % 4))] == [1400, 300, 300]


def test_a_stratified_part_has_every_class_and_lies_inside_larger_ones() -> None:
    train = numbered(np.arange(1000) % 10)
    small, tiny = stratified_part(train, 500), stratified_part(train, 10)
    assert np.bincount(small.labels).tolist() == [50] * 10
    assert np.bincount(tiny.labels).tolist() == [1] * 10
    assert set(numbers(tiny)) < set(numbers(small))


def test_taken_images_are_contiguous_copies() -> None:
    data = numbered(np.zeros(10))
    taken = data.take(np.arange(5))
    assert taken.images.flags.c_contiguous
    assert not np.shares_memory(taken.images, data.images)
