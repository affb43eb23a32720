"""An image from anywhere as a network takes it: its channels, and the size of its training images, or its own."""

from __future__ import annotations

import math
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import models
from models.checkpoint import Description
from study.data import decoding
from study.data.decoding import Form
from study.data.image_data import Trained
from study.record.errors import DataError

Array = NDArray[Any]

LARGEST = 2**20
"""Pixels of an image that a network of any size is given; a photograph of more is scaled down, for the memory."""


class InputReader:
    """Reads images for a network, (channels, height, width), as its training images were read.

    A network that takes any size, and whose training images had the size of their files, gets an image in its own, if
    that is not too small for it and has at most `LARGEST` pixels, to which it is scaled down otherwise. All others get
    it scaled and cropped to the size of their training: the largest centred region of that aspect, as a folder of
    images is read.

    Args:
        network: What was saved with the network.
        trained: What its training images were.
    """

    def __init__(self, network: Description, trained: Trained) -> None:
        self._network, self._trained = network, trained
        self._fits = cache(partial(_same_weights, network))  # builds two networks to know

    def read(self, path: Path) -> Array:
        """Read an image file.

        Raises:
            DataError: It is no whole image, or its pixels have more bits or other channels than the network takes.
        """
        if not path.is_file():
            raise DataError(f"{path} is no file" if path.exists() else f"{path}: no such file")
        header = decoding.read_header(path)
        if self._trained.dtype == np.uint8 and header.dtype.itemsize > 1:
            kind = f"{path} has pixels of {header.dtype} ({header.kind})"
            raise DataError(f"{kind}; the network was trained on images of 8 bits: convert it to 8 bits a channel")
        decoding.check_range(path, header, self._trained.value_range)
        channels, *trained_size = self._network.image_shape
        if not header.gives(channels):
            raise DataError(f"{path} has {header.channels} channels; the network takes {channels}")
        height, width = _scaled_down(header.size)
        if not (self._takes_any_size() and self._fits((channels, height, width))):
            height, width = trained_size
        form = Form(channels, self._trained.dtype, (height, width), self._trained.value_range)
        return decoding.read_image(path, form)

    def read_content(self, content: bytes | Array, name: str) -> Array:
        """Read an image that lies in no file: the bytes of one, or an array as a `.npy` file has it.

        It is written to a temporary file, so that it is read as that file is.

        Args:
            content: The bytes, or an array (height, width) or with the channels behind or before.
            name: The image's, for messages.

        Raises:
            DataError: As `read`.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image"
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                with path.open("wb") as file:
                    np.save(file, content, allow_pickle=False)
            try:
                return self.read(path)
            except DataError as error:
                raise DataError(str(error).replace(str(path), name)) from error

    def _takes_any_size(self) -> bool:
        """Return whether the network may be given images of other sizes than those that it was trained on.

        Its weights do not depend on the size, which images of twice the size tell. Where its training images were
        scaled, others have to be, too: what they show would be larger or smaller. Layers of a person's own file are
        given what they were trained on: nobody knows what else they take.
        """
        channels, height, width = self._network.image_shape
        free = self._trained.image_size is None and self._network.code is None
        return free and self._fits((channels, 2 * height, 2 * width))


def _same_weights(network: Description, image_shape: tuple[int, int, int]) -> bool:
    """Return whether a network of the same config for images of `image_shape` has the same weights' shapes."""
    try:
        with torch.device("meta"):
            there, here = (
                models.build(network.config, shape, network.num_classes).state_dict()
                for shape in (network.image_shape, image_shape)
            )
    except models.ConfigError:
        return False  # too small, or of a size that the architecture does not take
    return {name: there[name].shape for name in there} == {name: here[name].shape for name in here}


def _scaled_down(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the same aspect and at most about `LARGEST` pixels."""
    factor = min(1.0, math.sqrt(LARGEST / math.prod(size)))
    return max(1, int(size[0] * factor)), max(1, int(size[1] * factor))
