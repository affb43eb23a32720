"""The data set in Ray's object store: put there once per study, on the device once per worker process."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.data.image_data import ImageData, Split, Trained
from study.data.mapped import MappedFile, file_of, read_in_any_order

T = TypeVar("T")
Array = NDArray[Any]
Reference = ray.ObjectRef


@dataclass(frozen=True)
class SharedData:
    """References to a data set's arrays; small enough to travel with every trial."""

    digest: str
    image_shape: tuple[int, int, int]
    trained: Trained
    splits: dict[str, tuple[Reference[Array] | MappedFile, Reference[Array]]]  # split -> images and labels
    axes: Reference[tuple[Tensor, Tensor]] | None = None  # PCA's mean and axes, where networks start from PCA
    encoder: Reference[dict[str, Tensor]] | None = None  # the state of an earlier study's encoder

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.trained.class_names)

    @classmethod
    def put(cls, data: ImageData, encoder: dict[str, Tensor] | None = None) -> SharedData:
        """Copy every split into the object store of this node; other nodes fetch it once when they need it.

        Images that are mapped from a file are not copied: each process maps the file.
        """

        def references(split: Split) -> tuple[Reference[Array] | MappedFile, Reference[Array]]:
            return file_of(split.images) or ray.put(split.images), ray.put(split.labels)

        return cls(
            data.digest,
            data.image_shape,
            data.trained,
            {"train": references(data.train), "val": references(data.val), "test": references(data.test)},
            encoder=None if encoder is None else ray.put(encoder),
        )


def fetched(reference: Reference[T] | None) -> T | None:
    """Return what a reference stands for; None for None."""
    return None if reference is None else ray.get(reference)


_on_device: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}


def on_device(data: SharedData, split: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the images and labels of a split on `device`, moved there at the first call of this process.

    On the CPU the tensors are views of the node's shared memory: no worker holds a copy of its own.
    """
    key = (f"{data.digest}/{split}", str(device))
    if key not in _on_device:
        source, labels = data.splits[split][0], ray.get(data.splits[split][1])
        images = source.open() if isinstance(source, MappedFile) else ray.get(source)
        if split == "train":
            read_in_any_order(images)
        with warnings.catch_warnings():
            # The object store's memory is read-only, and nothing here writes to a split.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            _on_device[key] = (torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device))
    return _on_device[key]
