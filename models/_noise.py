"""Normal noise for evaluations: the same numbers on every device, and for an image whatever its batch size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SEED = 20_240
_BLOCK = 16  # PyTorch's CPU generator makes normal numbers in blocks of 16; a last, partial one changes the one before


def evaluation_generator() -> torch.Generator:
    """Return a generator that starts the same draws again at every call; the global random state stays."""
    return torch.Generator().manual_seed(_SEED)


def normal(shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """Draw a tensor of `shape` (batch, ...) on `device` from N(0, 1).

    With a `generator` the numbers are drawn where it lives, and row i does not depend on how many rows follow;
    without one they come from the global random state of `device`.
    """
    if generator is None:
        return torch.randn(shape, device=device)
    rows, size = shape[0], math.prod(shape[1:])
    padded = torch.randn(rows, math.ceil(size / _BLOCK) * _BLOCK, generator=generator, device=generator.device)
    return padded[:, :size].reshape(shape).to(device)
