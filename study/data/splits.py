"""Fixed splits: seeded, disjoint, the same for every study, machine and version of NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPLIT_SEED = 2025
"""Seed of every split that this project draws; not the study's seed, so that studies can be compared."""

MIN_PER_CLASS = 3
"""The fewest images of a class that a three-way split can divide: one each."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels that belong together.

    images: uint8 array of shape (n, channels, height, width), C-contiguous, 0 to 255.
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


def stratified_order(labels: np.ndarray, seed: int = SPLIT_SEED) -> np.ndarray:
    """Shuffle the indices of `labels`, shape (n,), so that every prefix is a stratified sample.

    The first `k` hold every class once k is the number of classes or more, and of a class with `m` of the
    `n` images about k·m/n, at most rounded up. Longer prefixes contain the shorter ones.
    """
    shuffled = random_order(len(labels), seed)
    _, codes, sizes = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(labels), dtype=np.int64)  # 0 for the first image of its class, 1 for the second, …
    rank[np.argsort(codes, kind="stable")] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return shuffled[np.argsort(rank / sizes[codes], kind="stable")]


def hold_out(data: Split, count: int, *, stratified: bool) -> tuple[Split, Split]:
    """Divide `data` into (the rest, `count` images held out)."""
    order = stratified_order(data.labels) if stratified else random_order(len(data))
    return data.take(order[count:]), data.take(order[:count])


def three_way(data: Split, fraction: float = 0.15) -> tuple[Split, Split, Split]:
    """Divide `data` into train, validation and test, the last two of `fraction` of the images each.

    Stratified: with at least `MIN_PER_CLASS` images of each class, every split holds every class.
    """
    count = max(len(np.unique(data.labels)), round(fraction * len(data)))
    rest, test = hold_out(data, count, stratified=True)
    train, val = hold_out(rest, count, stratified=True)
    return train, val, test


def stratified_part(data: Split, count: int) -> Split:
    """Take a stratified `count` of the images; smaller parts lie inside larger ones."""
    return data.take(stratified_order(data.labels)[:count])
