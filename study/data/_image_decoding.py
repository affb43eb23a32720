"""Image files to uint8 arrays, in threads: Pillow lets go of the interpreter while it decodes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from study.data.splits import Split
from study.record.errors import DataError

SECONDS_BETWEEN_LINES = 1.0


def read_image(path: Path, mode: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode one image, turned upright as its EXIF data say, to a uint8 array (channels, height, width).

    mode: "L" for one channel, "RGB" for three; transparency is dropped.
    size: (height, width) to scale and crop to: the largest centred region of that aspect, bilinear with
        antialiasing. None keeps the image's own.
    Raises DataError, naming the file, when Pillow cannot decode it whole.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert(mode)
    except Exception as error:  # damaged files raise whatever Pillow's parsers run into, SyntaxError included
        raise unreadable(path, error) from error
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def unreadable(path: Path, error: Exception) -> DataError:
    """Say in one line that `path` is no whole image, and why."""
    from PIL import UnidentifiedImageError

    reason = "its content is no image" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
    return DataError(f"{path} cannot be read as an image ({reason or type(error).__name__})")


def decode_all(
    count: int,
    read: Callable[[int], tuple[np.ndarray, int]],
    image_shape: tuple[int, int, int],
    what: str,
    progress: Callable[[str], None],
) -> Split:
    """Call `read(i)` for i = 0 … count-1 and gather its images, (channels, height, width), and labels.

    `progress` gets a line a second at most: "decoding flowers train: 300/1020".
    """
    images = np.empty((count, *image_shape), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    next_line = time.monotonic() + SECONDS_BETWEEN_LINES
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        for i, (image, label) in enumerate(pool.map(read, range(count))):
            images[i], labels[i] = image, label
            if time.monotonic() >= next_line:
                progress(f"decoding {what}: {i + 1}/{count}")
                next_line = time.monotonic() + SECONDS_BETWEEN_LINES
    return Split(images, labels)
