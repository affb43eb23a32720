"""Whether a classifier is right as often as it says."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 15
"""Equal bins of the confidence; the number that Guo et al. 2017 use throughout."""


def calibration_error(confidences: Tensor, correct: Tensor, bins: int = BINS) -> float:
    """Return the expected calibration error, a number in [0, 1], 0 for a perfectly calibrated classifier.

    The predictions are put into equal bins of their confidence, ((m - 1)/bins, m/bins]; the error is the mean
    of |accuracy - mean confidence| over the bins, weighted by how many predictions each holds (Guo et al., "On
    calibration of modern neural networks", 2017, eq. 3).

    Args:
        confidences: the probability of the predicted class, in [0, 1], (n,).
        correct: whether the prediction is right, bool (n,).
        bins: how many bins.
    """
    edges = torch.linspace(0, 1, bins + 1, dtype=confidences.dtype, device=confidences.device)
    number = torch.bucketize(confidences, edges[1:-1])
    # The mean gap of a bin times its size is the sum of its gaps, so the sizes themselves are not needed.
    gaps = torch.zeros(bins, dtype=confidences.dtype, device=confidences.device)
    gaps.index_add_(0, number, correct.to(confidences.dtype) - confidences)
    return (gaps.abs().sum() / len(confidences)).item()
