"""Own images divided into train, validation and test: as they were given, or drawn, identical ones together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.data.finding import first_of
from study.data.image_folder import Pictures
from study.data.splits import MIN_PER_CLASS, grouped_order, held_out_order, loosened
from study.data.twins import groups as grouped
from study.record.errors import DataError

Order = NDArray[np.int64]

_LEAST_HELD_OUT = 2  # different pictures of a class, of which one is held out
_DARK = 0.5  # of the format's range: 16 bits of which no image uses more were hardly meant so


@dataclass(frozen=True)
class Divided:
    """The images of train, val and test by their indices, the sentence on how they came about, and what to know."""

    orders: tuple[Order, Order, Order]
    sentence: str
    notes: tuple[str, ...]


def divide(pictures: Pictures, prints: list[bytes]) -> Divided:
    """Divide images that have been decoded.

    Args:
        pictures: The images.
        prints: The fingerprint of each one's pixels.

    Raises:
        DataError: every image is the same, or a class has too few for the splits.
    """
    groups = grouped(prints)
    if not groups.any():
        raise DataError(f"the {len(groups):,} {pictures.what} are all the same: there is nothing to learn or compare")
    notes = _values(pictures)
    if pictures.splits is not None:
        orders, sentence, short = _given(pictures, groups)
        notes += _copies(pictures, groups) + _apart(pictures, short, _LEAST_HELD_OUT)
        return Divided(orders, sentence, tuple(notes))
    sentence = "70/15/15 train/validation/test of the folder's images, stratified, seeded."
    kept, short = loosened(pictures.labels, groups, MIN_PER_CLASS)
    notes += _copies(pictures, groups, "" if len(short) else "; identical ones are kept in one split")
    notes += _apart(pictures, short, MIN_PER_CLASS)
    return Divided(grouped_order(pictures.labels, kept), sentence, tuple(notes))


def _given(pictures: Pictures, groups: Order) -> tuple[tuple[Order, Order, Order], str, Order]:
    """Take the splits that the folder has, and hold out what it lacks of the training images.

    Returns:
        Also the classes whose identical pictures could not be kept together.
    """
    assert pictures.splits is not None
    train, val, test = (np.flatnonzero(pictures.splits == split) for split in ("train", "val", "test"))
    sentence = "The folder's own splits."
    apart: Order = np.array([], np.int64)
    for name, missing in (("validation", not len(val)), ("test", not len(test))):
        if not missing:
            continue
        counts = np.bincount(pictures.labels[train], minlength=len(pictures.class_names))
        if counts.min() < MIN_PER_CLASS:
            short = pictures.class_names[int(counts.argmin())]
            raise DataError(
                f"{pictures.what}: class {short!r} has {counts.min()} training images, too few to hold out a "
                f"{name} split, which the folder lacks; it needs {MIN_PER_CLASS}"
            )
        # Relative to the training images, of which alone the groups' first ones are to be.
        local, few = loosened(pictures.labels[train], _local(groups[train]), _LEAST_HELD_OUT)
        apart = np.union1d(apart, few)
        rest, held = held_out_order(pictures.labels[train], local, np.arange(len(train)))
        sentence += f" {name.capitalize()}: 15 % of its training images held out, stratified, seeded."
        train, held = train[rest], train[held]
        val, test = (held, test) if name == "validation" else (val, held)
    return (train, val, test), sentence, apart


def _local(groups: Order) -> Order:
    """Return groups of some of the images: the position of the first one of each among these."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return first[inverse]


def _apart(pictures: Pictures, short: Order, least: int) -> list[str]:
    """Say whose identical pictures are not kept together: those of classes with fewer than `least` different ones."""
    if not len(short):
        return []
    names = first_of([pictures.class_names[label] for label in short])
    few = f"classes with fewer than {least} different pictures of their own ({names})"
    return [f"Warning: identical pictures of {few} may stand in several splits."]


def _copies(pictures: Pictures, groups: Order, together: str = "") -> list[str]:
    """Say how many pictures are copies of others, `together` on where they are, and which of them have two classes."""
    copies = np.flatnonzero(groups != np.arange(len(groups)))
    if not len(copies):
        return []
    notes = [f"Pictures that are copies of another, pixel by pixel: {len(copies):,} of {len(groups):,}{together}."]
    labels = pictures.labels
    torn = copies[labels[copies] != labels[groups[copies]]]
    if len(torn):
        pairs = {
            " and ".join(sorted((pictures.class_names[labels[groups[one]]], pictures.class_names[labels[one]])))
            for one in torn
        }
        notes.append(f"Warning: identical pictures in two classes: {len(torn):,} ({first_of(sorted(pairs))}).")
    return notes


def _values(pictures: Pictures) -> list[str]:
    """Say what the values of the images turned out to be."""
    notes, found = [], pictures.found
    if found.clipped:
        notes.append(f"Images with values outside of the given range, which are cut off: {len(found.clipped):,}.")
    peak: Any = max(found.peaks, default=None)
    if peak is not None and peak < _DARK * np.iinfo(np.uint16).max:
        notes.append(
            f"Warning: the largest value is {peak:,} of 65,535, so that the images are dark; if they have fewer bits, "
            f"say so, such as with --value-range 0,{2 ** int(peak).bit_length() - 1}."
        )
    return notes
