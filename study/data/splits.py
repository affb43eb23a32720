"""Fixed splits: seeded, disjoint, the same for every study, machine and version of NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPLIT_SEED = 2025
"""Seed of every split that this project draws; not the study's seed, so that studies can be compared."""

HELD_OUT = 0.15
"""The part of the images that each split besides training takes, where a set has no division of its own."""

MIN_PER_CLASS = 3
"""The fewest images of a class that a three-way split can divide: one each."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels that belong together.

    images: array of shape (n, channels, height, width), C-contiguous: uint8 or uint16, whose largest value is white, or
        float32 in [0, 1].
    labels: int64 array of shape (n,), positions in the data set's class names.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Split:
        """Copy the images at `indices`, int array of shape (m,), in that order."""
        return Split(self.images[indices], self.labels[indices])


def random_order(count: int, seed: int = SPLIT_SEED) -> np.ndarray:
    """Shuffle 0 … count-1 into an int64 array of shape (count,).

    Sorts raw output of PCG64: NumPy keeps that stream for good, but not those of `Generator.permutation`
    (NEP 19), and a split must survive an upgrade.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def stratified_order(labels: np.ndarray) -> np.ndarray:
    """Shuffle the indices of `labels`, shape (n,), so that every prefix is a stratified sample.

    The first `k` hold every class once k is the number of classes or more, and of a class with `m` of the
    `n` images about k·m/n, at most rounded up. Longer prefixes contain the shorter ones.
    """
    shuffled = random_order(len(labels))
    _, codes, sizes = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(labels), dtype=np.int64)  # 0 for the first image of its class, 1 for the second, …
    rank[np.argsort(codes, kind="stable")] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return shuffled[np.argsort(rank / sizes[codes], kind="stable")]


def hold_out(data: Split, count: int, *, stratified: bool) -> tuple[Split, Split]:
    """Divide `data` into (the rest, `count` images held out)."""
    order = stratified_order(data.labels) if stratified else random_order(len(data))
    return data.take(order[count:]), data.take(order[:count])


def three_way(data: Split) -> tuple[Split, Split, Split]:
    """Divide `data` into train, validation and test, the last two of `HELD_OUT` of the images each.

    Stratified: with at least `MIN_PER_CLASS` images of each class, every split holds every class.
    """
    train, val, test = three_way_order(data.labels)
    return data.take(train), data.take(val), data.take(test)


def three_way_order(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices of the images of train, validation and test that `three_way` takes."""
    count = max(len(np.unique(labels)), round(HELD_OUT * len(labels)))
    rest, test = _held_out(labels, np.arange(len(labels)), count)
    train, val = _held_out(labels, rest, count)
    return train, val, test


def loosened(labels: np.ndarray, groups: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Take the images of classes that have too few groups to be divided out of these: each is a group of its own.

    Args:
        labels: int64 (n,).
        groups: int64 (n,): the index of the first image of the group that an image is of.
        least: The groups that a class needs; one is of the class of its first image.

    Returns:
        The groups, those of all other classes as they were, and the classes that had too few.
    """
    places, classes = np.arange(len(groups)), np.unique(labels)
    of_firsts = labels[groups == places]
    short = classes[[np.count_nonzero(of_firsts == label) < least for label in classes]]
    return np.where(np.isin(labels, short), places, groups), short


def grouped_order(labels: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `three_way_order` does, but with the images of a group in one split.

    The first image of each group is divided as ungrouped ones are, and the others follow it. With at least
    `MIN_PER_CLASS` groups of each class, every split holds every class.

    Args:
        labels: int64 (n,).
        groups: int64 (n,): the index of the first image of the group that an image is of.
    """
    firsts = np.flatnonzero(groups == np.arange(len(groups)))
    train, val, test = three_way_order(labels[firsts])
    return members(groups, firsts[train]), members(groups, firsts[val]), members(groups, firsts[test])


def held_out_order(labels: np.ndarray, groups: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide the indices `among` into the rest and a stratified `HELD_OUT` of them, whole groups of images each."""
    firsts = among[groups[among] == among]
    rest, held = _held_out(labels, firsts, max(len(np.unique(labels)), round(HELD_OUT * len(firsts))))
    return members(groups, rest, among), members(groups, held, among)


def members(groups: np.ndarray, firsts: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Return the indices of the images of the groups with these first images, in their order."""
    known = np.arange(len(groups)) if among is None else among
    known = known[np.argsort(groups[known], kind="stable")]
    starts, ends = (np.searchsorted(groups[known], firsts, side) for side in ("left", "right"))
    return np.concatenate([known[start:end] for start, end in zip(starts, ends, strict=True)])


def _held_out(labels: np.ndarray, among: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the indices `among` into the rest and a stratified `count` of them."""
    order = stratified_order(labels[among])
    return among[order[count:]], among[order[:count]]


def stratified_part(data: Split, count: int) -> Split:
    """Take a stratified `count` of the images; smaller parts lie inside larger ones."""
    return data.take(stratified_order(data.labels)[:count])
