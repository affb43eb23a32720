"""What a space and a reported configuration have to know of the five data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ImageShape = tuple[int, int, int]
"""(channels, height, width), in pixels"""


@dataclass(frozen=True)
class Data:
    """Shape and classes of a data set's images, as a study sees them."""

    image_shape: ImageShape
    num_classes: int


DATA: Mapping[str, Data] = MappingProxyType(
    {
        "digits": Data((1, 8, 8), 10),
        "mnist": Data((1, 28, 28), 10),
        "fashion": Data((1, 28, 28), 10),
        "cifar": Data((3, 32, 32), 10),
        "flowers": Data((3, 100, 100), 102),
    }
)
