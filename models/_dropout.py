"""Dropout whose masks come from the run's own generator (`models.noise`)."""

from __future__ import annotations

from torch import Tensor, nn

from models import noise


class Dropout(nn.Dropout):
    """`nn.Dropout`, with masks from `models.noise`: in training, each value is 0 or over its expected share."""

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape (batch, ...)."""
        if not self.training or self.p == 0:
            return features
        # As convolutional networks are trained, with the channels last, a mask then lies in memory as its features do.
        last = features.dim() == 4
        shape = features.movedim(1, -1).shape if last else features.shape
        mask, share = noise.kept(self.p, tuple(shape), features.device)
        scale = mask.float().mul_(1 / share)
        dropped: Tensor = features * (scale.movedim(-1, 1) if last else scale)
        return dropped.to(features.dtype)
