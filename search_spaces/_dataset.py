"""What is known about a data set before it is read: its shape, classes, splits, source, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

ImageShape = tuple[int, int, int]
"""(channels, height, width), in pixels"""

TRAIN_OR_TEST: Mapping[str, Mapping[str, str | bool]] = MappingProxyType(
    {"train": {"train": True}, "test": {"train": False}}
)
"""The splits of most sets of torchvision, and the keyword that chooses one."""


@dataclass(frozen=True)
class DatasetSpec:
    """A data set, as data; of one that a person's own file reads, what is below the shape may be left out.

    Attributes:
        name: what `--data` calls it.
        title: in words.
        image_shape: (channels, height, width) as a study sees the images.
        class_names: in the order of the labels.
        split: how train, validation and test are made, and how that differs from the report.
        sizes: images in train, val and test.
        source, licence: of the images.
        validation: cut from the whole set with test; held out of the official training images, stratified or at
            random; or the official one.
        torchvision_class: name in `torchvision.datasets`; None is scikit-learn's bundled digits.
        official_splits: the splits that the set was published with, and the keywords by which torchvision's class
            takes each.
        labels: the attribute in which torchvision's class keeps the labels, where it keeps the images in `data`.
        root: the folder below the data directory that torchvision's class is given, for one that makes none of its own.
        folder: where the files lie then, below the data directory.
        download_mib: size of the download, in MiB.
        image_files: pattern and number of separate image files, counted from 1.
        md5: checksum of every other file in `folder`, as unpacked.
        preparation: what is done to the images beyond reading them, where that is a choice of ours.
    """

    name: str
    title: str
    image_shape: ImageShape
    class_names: tuple[str, ...] = ()
    split: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    validation: Literal["three_way", "stratified", "random", "official"] = "three_way"
    torchvision_class: str | None = None
    official_splits: Mapping[str, Mapping[str, str | bool]] = field(default_factory=lambda: TRAIN_OR_TEST)
    labels: str = "targets"
    root: str = ""
    folder: str = ""
    download_mib: int = 0
    image_files: tuple[str, int] | None = None
    md5: Mapping[str, str] = field(default_factory=dict)
    preparation: str | None = None
