"""Pictures that stand in a data set more than once: identical ones, and nearly identical ones by a perceptual hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.data.splits import Split

NEAR_BITS = 3
"""Bits of two hashes of 64 that may differ."""

NEAR_CORRELATION = 0.95
"""The least correlation of the grey values of two pictures that count as nearly identical."""

PRINT_BYTES = 16
Positions = NDArray[np.int64]

_SIDE = 8  # coefficients of a hash, along the height and the width
_BANDS = 4  # of 16 bits: of two hashes that differ in 3 bits, one band at least is the same
_MOST_IN_BAND = 2000  # pictures that share a band; with more, such as of empty pictures, it tells nothing
_PAIRS = 4096  # that are looked at together
_CHUNK_VALUES = 2**23

_NAMES = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Twins:
    """How many pictures of one split are in another.

    Attributes:
        identical: by two splits, such as ("train", "test"), how many images of the second are in the first, pixel by
            pixel.
        near: the same of nearly identical ones that are not identical to any.
    """

    identical: dict[tuple[str, str], int] = field(default_factory=dict)
    near: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """What there is to say: that there are none, or how many and where."""
        found = [
            f"{count:,} {_NAMES[second]} image{'s are' if count > 1 else ' is'} {what} in the {_NAMES[first]} split"
            for what, counts in (("also", self.identical), ("nearly the same as one", self.near))
            for (first, second), count in counts.items()
            if count
        ]
        if not found:
            return ["No picture stands in two splits, nor one that looks nearly the same."]
        return [f"Warning: {', '.join(found)}: what is measured there may be too good."]

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the counts as study.json says them, such as {"identical": {"train/test": 1}}."""
        return {
            what: {f"{first}/{second}": count for (first, second), count in counts.items()}
            for what, counts in (("identical", self.identical), ("near", self.near))
        }


def across(splits: Mapping[str, Split]) -> Twins:
    """Look for pictures of each split in the ones before it.

    Nearly identical are two pictures whose hashes differ in at most `NEAR_BITS` bits, and whose grey values correlate
    by at least `NEAR_CORRELATION`: the same picture scaled, compressed or a little brighter. Turned or cropped ones are
    not found.
    """
    twins = Twins()
    prints = {name: fingerprints(split.images) for name, split in splits.items()}
    hashes = {name: perceptual_hashes(split.images) for name, split in splits.items()}
    for first, second in combinations(splits, 2):
        known = set(prints[first])
        same = np.fromiter((print_ in known for print_ in prints[second]), bool, len(prints[second]))
        twins.identical[first, second] = int(same.sum())
        near = np.zeros(len(same), dtype=bool)
        for here, there in _near_pairs(hashes[first], hashes[second]):
            left = ~(same | near)[there]  # a second twin of an image adds nothing
            alike = _alike(splits[first].images, here[left], splits[second].images, there[left])
            near[there[left][alike]] = True
        twins.near[first, second] = int(near.sum())
    return twins


def fingerprints(images: NDArray[Any]) -> list[bytes]:
    """Return `PRINT_BYTES` bytes for each image, (n, channels, height, width), the same for equal pixels alone."""
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=PRINT_BYTES).digest() for image in images]


def groups(prints: list[bytes]) -> NDArray[np.int64]:
    """Return for each image the position of the first one with the same fingerprint, (n,)."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(print_, index) for index, print_ in enumerate(prints)], dtype=np.int64)


def perceptual_hashes(images: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a hash of each image's coarse structure, (n,); 0 for one without any, which is like none.

    The signs of the lowest 8×8 coefficients of a cosine transform of the grey picture, less their median (Zauner,
    "Implementation and benchmarking of perceptual image hash functions", 2010, section 3.2.1, without the blur).
    """
    height, width = images.shape[2:]
    rows, columns = _cosines(height), _cosines(width)
    hashes = np.zeros(len(images), dtype=np.uint64)
    weights = np.uint64(1) << np.arange(len(rows) * len(columns), dtype=np.uint64)
    for part in _parts(len(images), images):
        grey = images[part].astype(np.float32).mean(1)
        transformed = (rows @ grey @ columns.T).reshape(len(grey), -1)
        transformed[:, 0] = 0  # brightness, which says nothing of the structure
        bits = transformed > np.median(transformed, axis=1, keepdims=True)
        found = (bits * weights).sum(1, dtype=np.uint64)
        found[np.ptp(grey.reshape(len(grey), -1), axis=1) == 0] = 0
        hashes[part] = found
    return hashes


def _cosines(side: int) -> NDArray[np.float32]:
    """Return the lowest rows of the cosine transform (DCT-II) of `side` numbers, (at most 8, side)."""
    frequencies = np.arange(min(_SIDE, side))[:, None]
    return np.cos(np.pi * frequencies * (np.arange(side) + 0.5) / side).astype(np.float32)


def _near_pairs(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> Iterator[tuple[Positions, Positions]]:
    """Yield positions of hashes that differ in at most `NEAR_BITS` bits, in the first and the second array, each (m,).

    A pair may come twice.
    """
    for band in range(_BANDS):
        shift = np.uint64(16 * band)
        here, there = ((hashes >> shift).astype(np.uint16) for hashes in (first, second))
        order = np.argsort(here, kind="stable")
        starts, ends = (np.searchsorted(here[order], there, side) for side in ("left", "right"))
        counts = np.where((second == 0) | (ends - starts > _MOST_IN_BAND), 0, ends - starts)
        for chunk in _sized(counts):
            lengths = counts[chunk]
            others = np.repeat(np.arange(len(counts))[chunk], lengths)
            offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            ones = order[np.repeat(starts[chunk], lengths) + offsets]
            near = (np.bitwise_count(first[ones] ^ second[others]) <= NEAR_BITS) & (first[ones] != 0)
            # Those of one image apart: where one of the first is its twin, the others are not asked for.
            mixed = np.random.default_rng(0).permutation(np.flatnonzero(near))
            for start in range(0, len(mixed), _PAIRS):
                pairs = mixed[start : start + _PAIRS]
                yield ones[pairs], others[pairs]


def _sized(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Yield slices over which the counts sum to a few millions."""
    edges = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum() + 1, 2**21))
    bounds = [*dict.fromkeys(edges.tolist()), len(counts)]
    yield from (slice(start, end) for start, end in pairwise(bounds))


def _alike(first: NDArray[Any], here: Positions, second: NDArray[Any], there: Positions) -> NDArray[np.bool_]:
    """Return of each pair of images whether their grey values correlate enough, (m,)."""
    alike = np.zeros(len(here), dtype=bool)
    for part in _parts(len(here), first):
        one, other = (
            images[chosen[part]].astype(np.float32).mean(1).reshape(len(chosen[part]), -1)
            for images, chosen in ((first, here), (second, there))
        )
        one, other = (values - values.mean(1, keepdims=True) for values in (one, other))
        scale = np.sqrt(np.einsum("ij,ij->i", one, one) * np.einsum("ij,ij->i", other, other))
        alike[part] = (scale > 0) & (np.einsum("ij,ij->i", one, other) >= NEAR_CORRELATION * scale)
    return alike


def _parts(count: int, images: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of so many images that their numbers fit into memory with ease."""
    size = max(1, _CHUNK_VALUES // int(np.prod(images.shape[1:])))
    yield from (slice(start, start + size) for start in range(0, count, size))
