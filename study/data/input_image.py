"""An image from anywhere as a network takes it: its channels, and its own size where any will do."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

import models
from models.checkpoint import Description
from study.data.image_folder import read_header, read_image
from study.record.errors import DataError

LARGEST = 2**20
"""Pixels of an image that a network of any size is given; a photograph of more is scaled down, for the memory."""

_MODES = {1: "L", 3: "RGB"}


def read_for(network: Description, path: Path) -> np.ndarray:
    """Read an image for a network, uint8 (channels, height, width), turned upright as its EXIF data say.

    A network that takes any size gets the image in its own, if that is not too small for it and has at most `LARGEST`
    pixels, to which it is scaled down otherwise. All others get it scaled and cropped to the size of their training:
    the largest centred region of that aspect, as a folder of images is read.

    Raises:
        DataError: The file is no whole image, or its pixels have more than 8 bits.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file" if path.exists() else f"{path}: no such file")
    _, own_size = read_header(path)  # refuses pixels of more than 8 bits, which would be cut off
    channels, *trained_size = network.image_shape
    height, width = _scaled_down(own_size)
    if not (takes_any_size(network) and _same_weights(network, (channels, height, width))):
        height, width = trained_size
    return read_image(path, _MODES[channels], (height, width))


def takes_any_size(network: Description) -> bool:
    """Return whether the network's weights do not depend on the size of the images: images of twice the size do."""
    channels, height, width = network.image_shape
    return _same_weights(network, (channels, 2 * height, 2 * width))


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
