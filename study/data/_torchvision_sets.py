"""MNIST, Fashion-MNIST, CIFAR-10 and Flowers-102 through torchvision's own loaders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from study.data._dataset_files import ensure_files, how_to_mend
from study.data._image_decoding import decode_all, read_image
from study.data.dataset_specs import DatasetSpec
from study.data.splits import Split
from study.record.errors import DataError


def read_official_splits(spec: DatasetSpec, data_dir: Path, progress: Callable[[str], None]) -> dict[str, Split]:
    """Read the splits that the set was published with: train and test, and val where there is one.

    Downloads the set when it is absent. Raises DataError when that fails or a file is missing or damaged.
    """
    ensure_files(spec, data_dir, lambda root: _reader(spec)(root, download=True), progress)
    reader = _reader(spec)
    if spec.image_files:
        return {split: _decode(reader, split, spec, data_dir, progress) for split in ("train", "val", "test")}
    progress(f"reading {spec.title}")
    return {split: _from_arrays(reader(data_dir, train=split == "train")) for split in ("train", "test")}


def _reader(spec: DatasetSpec) -> Any:
    import torchvision.datasets  # seconds, which a damaged file need not cost

    return getattr(torchvision.datasets, spec.torchvision_class or "")


def _from_arrays(dataset: Any) -> Split:
    """Take a set that torchvision holds whole: (n, height, width) or (n, height, width, channels), uint8."""
    pixels = np.asarray(dataset.data)
    images = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    return Split(np.ascontiguousarray(images), np.asarray(dataset.targets, dtype=np.int64))


def _decode(reader: Any, split: str, spec: DatasetSpec, data_dir: Path, progress: Callable[[str], None]) -> Split:
    """Decode a set of separate image files, of which torchvision's reader gives the paths and labels."""
    dataset = reader(data_dir, split=split, loader=lambda path: path)
    channels, height, width = spec.image_shape

    def read(index: int) -> tuple[np.ndarray, int]:
        path, label = dataset[index]
        try:
            return read_image(path, "L" if channels == 1 else "RGB", (height, width)), label
        except DataError as error:
            raise DataError(f"{spec.name}: {error}; {how_to_mend(spec, data_dir)}") from error

    return decode_all(len(dataset), read, spec.image_shape, f"{spec.name} {split}", progress)
