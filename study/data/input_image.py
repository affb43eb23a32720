"""An image from anywhere as a network takes it: its channels, and its own size where any will do."""

from __future__ import annotations

import math
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

LARGEST = 2**20
"""Pixels of an image that a network of any size is given; a photograph of more is scaled down, for the memory."""


def read_for(network: Description, path: Path, trained: Trained) -> NDArray[Any]:
    """Read an image for a network, (channels, height, width), as its training images were read.

    A network that takes any size gets the image in its own, if that is not too small for it and has at most `LARGEST`
    pixels, to which it is scaled down otherwise. All others get it scaled and cropped to the size of their training:
    the largest centred region of that aspect, as a folder of images is read.

    Args:
        network: What was saved with the network.
        path: The image.
        trained: What its training images were.

    Raises:
        DataError: The file is no whole image, or its pixels have more bits than those that the network was trained on.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file" if path.exists() else f"{path}: no such file")
    header = decoding.read_header(path)
    if trained.dtype == np.uint8 and header.dtype.itemsize > 1:
        kind = f"{path} has pixels of {header.dtype} ({header.kind})"
        raise DataError(f"{kind}; the network was trained on images of 8 bits: convert it to 8 bits a channel")
    decoding.check_range(path, header, trained.value_range)
    channels, *trained_size = network.image_shape
    height, width = _scaled_down(header.size)
    if not (takes_any_size(network) and _same_weights(network, (channels, height, width))):
        height, width = trained_size
    return decoding.read_image(path, Form(channels, trained.dtype, (height, width), trained.value_range))


def takes_any_size(network: Description) -> bool:
    """Return whether the network's weights do not depend on the size of the images: images of twice the size do.

    Layers of a person's own file are given what they were trained on: nobody knows what else they take.
    """
    channels, height, width = network.image_shape
    return network.code is None and _same_weights(network, (channels, 2 * height, 2 * width))


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
