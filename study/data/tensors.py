"""A split as tensors: pixels in [0, 1] and bytes, the batches of an evaluation, and a sample that stands for all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from study.data.splits import stratified_order

TensorSplit = tuple[Tensor, Tensor]
"""Images (n, channels, height, width), uint8, uint16 or float32 in [0, 1], and labels int64 (n,)."""

_WHITE = {torch.uint8: 255, torch.uint16: 65_535, torch.float32: 1}

# Large enough to keep any device busy, small enough for the activations of a wide network in 1 GiB.
EVALUATION_BATCH = 500
_MEMORY_OF_EVALUATION_BATCH = 2**19  # pixels: 100×100 colour images go 17 at a time instead of 500


def to_pixels(images: Tensor) -> Tensor:
    """Return images as float32 in [0, 1], on the device where they are: integers are over their dtype's largest."""
    return images.to(torch.float32, copy=True).div_(_WHITE[images.dtype])


def to_bytes(pixels: Tensor) -> Tensor:
    """Return images in [0, 1] as uint8; what lies outside is clipped."""
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8)


def as_bytes(images: Tensor) -> Tensor:
    """Return images of a split as uint8, for pictures: those of more depth are rounded."""
    return images if images.dtype == torch.uint8 else to_bytes(to_pixels(images))


def positions(images: Tensor) -> Tensor:
    """Return the positions of a split's images, int64 (n,), on their device: what an evaluation's noise depends on."""
    return torch.arange(len(images), device=images.device)


def evaluation_batches(images: Tensor, networks: int = 1) -> Iterator[slice]:
    """Yield the slices of a split in which a network, or several at once, are evaluated."""
    pixels = images[0].numel()
    size = max(1, min(EVALUATION_BATCH, _MEMORY_OF_EVALUATION_BATCH // pixels) // networks)
    for start in range(0, len(images), size):
        yield slice(start, start + size)


def stratified_sample(labels: Tensor, count: int) -> Tensor:
    """Return the indices of `count` images (or all, if there are fewer), increasing, on the device of the labels.

    Every class is there in proportion, and the images are the same ones for every network. The first images of a split
    would not do: Flowers-102 is sorted by class.

    Args:
        labels: int64 (n,).
        count: How many images are wanted, at most.
    """
    order = stratified_order(labels.cpu().numpy())[:count]
    return torch.from_numpy(order).sort().values.to(labels.device)
