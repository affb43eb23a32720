"""A saved network for those who have images and no PyTorch code: images as people have them in, a data frame out.

MLflow loads it as its `python_function`: `mlflow.pyfunc.load_model(uri).predict(images)`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import models
from models import Predictive, Reconstructive, UntrustedCodeError
from study.data import deep_files
from study.data.input_image import InputReader
from study.data.tensors import evaluation_batches, to_pixels
from study.evaluation import own_images
from study.record.errors import DataError
from study.tracking.tracker import Serving

Array = NDArray[Any]

_COLUMN = "image"
_CONFIG = {"trust": False}


class Served:
    """A network of a folder, which reads images as those of its training were read.

    Args:
        folder: Where `models.save` left it.
        trust: Whether code of its own that lies there may be run.

    Raises:
        UntrustedCodeError: It has code of its own, and nobody said that it may run.
        NothingToShowError: It gives neither probabilities of classes nor images.
        ConfigError, UsageError: A file is damaged; the message names it.
    """

    def __init__(self, folder: Path, *, trust: bool = False) -> None:
        self._network = models.load(folder, trust=trust)
        described = models.describe(folder)
        self._shape = described.image_shape
        own_images.check_answers(self._network, self._shape, folder)
        self._trained = own_images.trained_on(folder, described)
        self._reader = InputReader(described, self._trained)

    def predict(self, given: object) -> pd.DataFrame:
        """Return a row for each image; those of a data frame keep their index.

        Of a classifier: `label`, the name of the likeliest class, and `probability.NAME` of each class. Of an
        autoencoder: `mse`, its square error per pixel in [0, 1]; `reconstruction`, float32 in [0, 1], (height, width,
        channels); `codes`, float32 (latent_size,), of a network that has them.

        Args:
            given: An image; or several: an array (n, height, width, channels), a list or an array of objects, or a data
                frame with the one column `image`. An image is an array (height, width) or with the channels behind or
                before, the bytes of a file, or these as Base64 text. It is read as `study predict` reads a file, an
                array as a `.npy`.

        Raises:
            DataError: It is something else, or an image cannot be read; the message says which, counted from 1.
        """
        images = []
        for number, item in enumerate(_items(given, self._shape[0]), start=1):
            name = f"image {number}"
            images.append(self._reader.read_content(_content(item, name), name))
        answer = self._classes if isinstance(self._network, Predictive) else self._reconstructions
        return pd.DataFrame(answer(images), index=given.index if isinstance(given, pd.DataFrame) else None)

    def _classes(self, images: Sequence[Array]) -> dict[str, Any]:
        assert isinstance(self._network, Predictive)
        names = self._trained.class_names
        found = [own_images.probabilities(self._network, batch).numpy() for batch in _batches(images)]
        probabilities = np.concatenate([np.empty((0, len(names))), *found])
        labels = [names[position] for position in probabilities.argmax(1)]
        return {"label": labels} | {f"probability.{name}": probabilities[:, i] for i, name in enumerate(names)}

    def _reconstructions(self, images: Sequence[Array]) -> dict[str, Any]:
        columns: dict[str, list[object]] = {"mse": [], "reconstruction": []}
        if isinstance(self._network, Reconstructive):
            columns["codes"] = []
        for batch in _batches(images):
            clipped, errors = own_images.reconstructions(self._network, batch)
            columns["mse"] += errors.tolist()
            columns["reconstruction"] += list(clipped.permute(0, 2, 3, 1).numpy())
            if isinstance(self._network, Reconstructive):
                with torch.inference_mode():
                    columns["codes"] += list(self._network.encode(to_pixels(torch.tensor(batch))).numpy())
        return columns


def example(folder: Path) -> pd.DataFrame | None:
    """Return what the network in a folder answers to a black image, None if it is one that cannot be asked.

    Its own code has to be in use already.
    """
    try:
        served = Served(folder)
    except own_images.NothingToShowError:
        return None
    channels, height, width = models.describe(folder).image_shape
    # Four rows or fewer might be taken for the channels.
    return served.predict(np.zeros((1, max(5, height), width, channels), np.uint8))


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Served:
    """Return the network in a folder: MLflow looks for this function by its name.

    Raises:
        UntrustedCodeError: It has code of its own, and `model_config` does not say that it may run.
    """
    try:
        return Served(Path(path), trust=(model_config or _CONFIG).get("trust") is True)
    except UntrustedCodeError as error:
        allow = f"{Path(path) / models.own.CODE_FILE} is code of its own, which loading runs"
        raise UntrustedCodeError(f'{allow}; model_config={{"trust": True}} says that it may') from error


SERVING = Serving(__name__, _CONFIG, example)
"""How a tracker keeps networks, for others to load."""


def _items(given: object, channels: int) -> Sequence[object]:
    """Return the images of what was given, for a network that takes so many channels."""
    if isinstance(given, pd.DataFrame):
        if [*given.columns] != [_COLUMN]:
            found = ", ".join(map(str, given.columns))
            raise DataError(f"a data frame of images has the one column {_COLUMN!r}; this one has: {found}")
        return given[_COLUMN].tolist()
    if isinstance(given, list | tuple):
        return given
    return _of_array(given, channels) if isinstance(given, np.ndarray) else [given]


def _of_array(given: Array, channels: int) -> Sequence[object]:
    if given.dtype.kind == "S":
        raise DataError(f"an array of {given.dtype} cuts the zeros off a file's end: use a list, or dtype=object")
    if given.dtype.kind in "OU" and given.ndim < 2:
        return given.reshape(-1).tolist()
    if given.ndim == 3 and (found := deep_files.channels_last(given, "image 1").shape[2]) not in (1, channels):
        batch = "several grey images are (n, height, width, 1), or a list"
        raise DataError(f"an array {given.shape} is one image of {found} channels, not {channels}; {batch}")
    return [*given] if given.ndim == 4 else [given]


def _content(item: object, name: str) -> bytes | Array:
    """Return an image's file or its array."""
    if isinstance(item, str):
        try:
            return base64.b64decode("".join(item.split()), validate=True)
        except ValueError:
            raise DataError(f"{name} is text that is not the Base64 of a file") from None
    if isinstance(item, bytes | bytearray):
        return bytes(item)
    if isinstance(item, np.ndarray) and item.dtype.kind in "buif":
        return item
    what = f"an array of {item.dtype}" if isinstance(item, np.ndarray) else f"a {type(item).__name__}"
    raise DataError(f"{name} is {what}; an image is an array of numbers, the bytes of a file, or these as Base64 text")


def _batches(images: Sequence[Array]) -> Iterator[Array]:
    """Yield images of one shape that follow each other, (n, channels, height, width), as many as memory takes."""
    for _, alike in groupby(images, key=lambda image: image.shape):
        stacked = np.stack([*alike])
        for batch in evaluation_batches(torch.from_numpy(stacked)):
            yield stacked[batch]
