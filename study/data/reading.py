"""Many images read in threads, in order: Pillow lets go of the interpreter meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from study.data.finding import first_of
from study.data.splits import Split
from study.record.errors import DataError

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 1.0  # of progress
_AHEAD = 256  # images that are read before those before them have been taken


def in_threads(read: Callable[[int], T], count: int, start: int = 0) -> Iterator[T | DataError]:
    """Yield `read(i)` for i = start … count-1, or the DataError that it raised, few of them ahead of the consumer."""

    def safely(index: int) -> T | DataError:
        try:
            return read(index)
        except DataError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        for first in range(start, count, _AHEAD):
            yield from pool.map(safely, range(first, min(first + _AHEAD, count)))


def told(what: str, count: int, progress: Callable[[str], None]) -> Callable[[int], None]:
    """Return what is to be called with the number of images that are done: a line a second at most says it."""
    due = [time.monotonic() + _SECONDS_BETWEEN_LINES]

    def tell(done: int) -> None:
        if time.monotonic() >= due[0]:
            progress(f"decoding {what}: {done}/{count}")
            due[0] = time.monotonic() + _SECONDS_BETWEEN_LINES

    return tell


def decode_all(
    count: int,
    read: Callable[[int], tuple[NDArray[Any], int]],
    image_shape: tuple[int, int, int],
    what: str,
    progress: Callable[[str], None],
    *,
    dtype: np.dtype[Any] = np.dtype(np.uint8),  # noqa: B008  (a value)
    bad: tuple[DataError, ...] = (),
) -> Split:
    """Call `read(i)` for i = 0 … count-1 and gather its images, (channels, height, width), and labels.

    `progress` gets a line a second at most: "decoding flowers train: 300/1020".

    Raises:
        DataError: images cannot be read, those of which that is known beforehand (`bad`) included; it names the first
            ten of them and says how many there are.
    """
    images = np.empty((count, *image_shape), dtype=dtype)
    labels = np.empty(count, dtype=np.int64)
    errors, tell = list(bad), told(what, count, progress)
    for i, result in enumerate(in_threads(read, count)):
        if isinstance(result, DataError):
            errors.append(result)
        else:
            images[i], labels[i] = result
        tell(i + 1)
    refuse(errors)
    return Split(images, labels)


def refuse(errors: list[DataError]) -> None:
    """Raise one DataError that says what is wrong with images, if there is anything."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DataError(f"{len(errors)} images cannot be used: {first_of([str(error) for error in errors])}")
