"""SSIM: how alike two images look."""

from __future__ import annotations

from torch import Tensor

_SIDE, _SIGMA = 11, 1.5  # pixels; the window of Wang et al.
LEAST_SIDE = 3
"""Pixels: in less there is no structure."""


def structural_similarity(images: Tensor, originals: Tensor) -> Tensor:
    """Return the structural similarity of each image to its original, (batch,), at most 1, which equal images reach.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity"
    (2004), eq. 13: of means, variances and covariance in an 11×11 Gaussian window of standard deviation 1.5 pixels,
    with K1 = 0.01, K2 = 0.03 and a dynamic range of 1, averaged over all windows that lie within the image, and over
    the channels, each of them taken as a grey image. On images with a side below 11 the window is the largest odd one
    that fits, its standard deviation shrunk as much: 7×7 and 0.95 on 8×8 digits.

    Args:
        images: Floats (batch, channels, height, width); clipped to [0, 1], as a picture would be.
        originals: The same shape, in [0, 1].

    Raises:
        ValueError: the images have a side below `LEAST_SIDE`.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    shortest = min(images.shape[2:])
    if shortest < LEAST_SIDE:
        raise ValueError(f"SSIM needs images of at least {LEAST_SIDE} pixels a side, not {shortest}")
    side = min(_SIDE, shortest - 1 + shortest % 2)
    # torchmetrics sizes the window by its standard deviation: 2·⌊3.5σ + 0.5⌋ + 1 pixels, which is `side` for this σ.
    # Its own average takes in windows that stick out of the image, over mirrored pixels.
    _, windows = structural_similarity_index_measure(
        images.clamp(0, 1),
        originals,
        sigma=_SIGMA * side / _SIDE,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    margin = side // 2
    return windows[..., margin:-margin, margin:-margin].flatten(1).mean(1)
