"""Inverse max pooling: every value goes to one cell of a map twice as fine, and the other cells are zeros.

The report `flowers` undoes its max pooling so, without remembering where the largest values were. It placed the
values one at a time; here the zeros are padded on beside each value, in one differentiable operation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def unpool_2x2(features: Tensor) -> Tensor:
    """Undo the size of a max pooling of 2×2, stride 2: each value becomes the top-left cell of a 2×2 block.

    Takes (batch, channels, height, width), returns (batch, channels, 2 · height, 2 · width).
    """
    # with the channels last, where a trained network has them, whole runs of memory are copied
    values = features.permute(0, 2, 3, 1)[:, :, None, :, None]
    blocks = functional.pad(values, (0, 0, 0, 1, 0, 0, 0, 1))  # (batch, height, 2, width, 2, channels)
    return blocks.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def unpool_3x3(features: Tensor) -> Tensor:
    """Undo the size of a max pooling of 3×3, stride 2, padding 1: the values go to the even coordinates.

    Takes (batch, channels, height, width), returns (batch, channels, 2 · height - 1, 2 · width - 1).
    """
    return unpool_2x2(features)[..., :-1, :-1]


class InverseMaxPool2d(nn.Module):
    """Inverse of the size of a max pooling with stride 2 and a kernel of 2 (n → 2n) or of 3 (n → 2n - 1)."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        if kernel_size not in (2, 3):
            raise ValueError(f"kernel_size must be 2 or 3, not {kernel_size}")
        self.kernel_size = kernel_size

    def forward(self, features: Tensor) -> Tensor:
        """Return the finer map of features (batch, channels, height, width)."""
        return unpool_2x2(features) if self.kernel_size == 2 else unpool_3x3(features)

    def extra_repr(self) -> str:
        """Return what `print` shows."""
        return f"kernel_size={self.kernel_size}"
