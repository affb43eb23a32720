"""Image files: a user's own folder with one sub-folder per class, and the decoding of any image to uint8.

Files are decoded in threads: Pillow lets go of the interpreter meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.data.splits import MIN_PER_CLASS, Split
from study.record.errors import DataError, UsageError, one_line

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"})
IMAGE_SIZES = range(4, 1025)
"""What `--image-size` takes, in pixels a side."""

_EXIF_ORIENTATION = 0x0112
_QUARTER_TURNS = frozenset({5, 6, 7, 8})
_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_EIGHT_BIT_MODES = _GREY_MODES | {"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
_SECONDS_BETWEEN_LINES = 1.0  # of progress


@dataclass(frozen=True)
class FolderImages:
    """All images of a folder, in the order of their paths."""

    images: Split
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def read_folder(folder: Path, image_size: int | None, progress: Callable[[str], None]) -> FolderImages:
    """Read every image below `folder`'s sub-folders, which are the classes; hidden files are ignored.

    One channel if every image is grey, else RGB. Images keep their size if all have the same one;
    `image_size` scales the shorter side to that many pixels and crops the centre square.
    Raises DataError naming the file or class that cannot be used, UsageError for an impossible `image_size`.
    """
    if image_size is not None and image_size not in IMAGE_SIZES:
        allowed = f"{IMAGE_SIZES.start} to {IMAGE_SIZES.stop - 1}"
        raise UsageError(f"--image-size {image_size} is not possible; allowed: {allowed}")
    try:
        by_class, others = _find(folder)
    except OSError as error:
        raise DataError(f"--data {folder} cannot be read ({error})") from error
    paths = [path for files in by_class.values() for path in files]
    labels = [label for label, files in enumerate(by_class.values()) for _ in files]
    grey, (height, width) = _survey(paths, image_size)
    mode, shape = ("L", (1, height, width)) if grey else ("RGB", (3, height, width))
    _check_memory(len(paths), shape)
    images = decode_all(
        len(paths),
        lambda i: (read_image(paths[i], mode, (height, width)), labels[i]),
        shape,
        f"images of {folder}",
        progress,
    )
    notes = []
    if image_size is not None:
        notes.append(f"Shorter side scaled to {image_size} (bilinear, antialiased), then the centre square.")
    if others:
        notes.append(f"Files left out because their names are not those of images: {others}.")
    return FolderImages(images, tuple(by_class), tuple(notes))


def _find(folder: Path) -> tuple[dict[str, list[Path]], int]:
    """List the image files of each class, both sorted by name, and count the files that are not images."""
    by_class: dict[str, list[Path]] = {}
    others = 0
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        files = _visible_files(entry)
        images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        others += len(files) - len(images)
        if len(images) < MIN_PER_CLASS:
            raise DataError(
                f"--data {folder}: class {entry.name!r} has {len(images)} images, and needs at least "
                f"{MIN_PER_CLASS}, for train, validation and test; add images or take the folder away"
            )
        by_class[entry.name] = images
    if not by_class:
        raise DataError(
            f"--data {folder} has no sub-folders; it takes one per class, such as {folder / 'cat' / '1.png'} "
            "(for images without classes, one sub-folder for all)"
        )
    return by_class, others


def _visible_files(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in names if not name.startswith(".")]
    return sorted(found)


def _survey(paths: list[Path], image_size: int | None) -> tuple[bool, tuple[int, int]]:
    """Read the headers alone: are all images grey, and what (height, width) will the arrays have?"""
    grey, first = True, None
    for path in paths:
        mode, size = read_header(path)
        grey = grey and mode in _GREY_MODES
        first = first or size
        if image_size is None and size != first:
            raise DataError(
                f"images differ in size ({paths[0]} is {first[0]}×{first[1]}, {path} is {size[0]}×{size[1]}, "
                "height×width); pass --image-size N to make all of them N×N"
            )
    assert first is not None  # a class without images has been refused
    return grey, (image_size, image_size) if image_size else first


def _check_memory(count: int, shape: tuple[int, int, int]) -> None:
    """Refuse what does not fit into half of the machine's memory: the splits are copies."""
    needed = count * int(np.prod(shape))
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * needed > there:
        raise DataError(
            f"{count:,} images of {shape[1]}×{shape[2]} are {needed / 2**30:.1f} GiB of pixels, more than "
            f"half the memory here ({there / 2**30:.1f} GiB); pass a smaller --image-size"
        )


def read_header(path: Path) -> tuple[str, tuple[int, int]]:
    """Read an image's Pillow mode and its upright (height, width)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            mode, (width, height) = image.mode, image.size
            turned = image.getexif().get(_EXIF_ORIENTATION) in _QUARTER_TURNS
    except Exception as error:  # damaged files raise whatever Pillow's parsers run into, SyntaxError included
        raise _unreadable(path, error) from error
    if mode not in _EIGHT_BIT_MODES:
        raise DataError(f"{path} has pixels of Pillow mode {mode!r}; convert it to 8 bits a channel")
    return mode, (width, height) if turned else (height, width)


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
        raise _unreadable(path, error) from error
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def _unreadable(path: Path, error: Exception) -> DataError:
    """Say in one line that `path` is no whole image, and why."""
    from PIL import UnidentifiedImageError

    reason = "its content is no image" if isinstance(error, UnidentifiedImageError) else one_line(error)
    return DataError(f"{path} cannot be read as an image ({reason})")


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
    next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        for i, (image, label) in enumerate(pool.map(read, range(count))):
            images[i], labels[i] = image, label
            if time.monotonic() >= next_line:
                progress(f"decoding {what}: {i + 1}/{count}")
                next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
    return Split(images, labels)
