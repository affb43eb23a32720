"""A few images of a split that stand for all: every class in proportion, the same ones for every network."""

from __future__ import annotations

import torch
from torch import Tensor

from study.data.splits import stratified_order


def stratified_sample(labels: Tensor, count: int) -> Tensor:
    """Return the indices of `count` images (or all, if there are fewer), increasing, on the device of the labels.

    The first images of a split would not do: Flowers-102 is sorted by class.

    Args:
        labels: int64 (n,).
        count: How many images are wanted, at most.
    """
    order = stratified_order(labels.cpu().numpy())[:count]
    return torch.from_numpy(order).sort().values.to(labels.device)
