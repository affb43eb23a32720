"""How much of the classes a code keeps, where a linear classifier can find it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from models import Network
from study.data.tensors import stratified_sample
from study.evaluation.reconstruction import encode
from study.training.trainer import TensorSplit, evaluation_batches

TRAINING_IMAGES = 5000
WIDEST_CODE = 512
_ITERATIONS = 200  # of L-BFGS; standardised codes need fewer, or have more classes than a probe can tell apart


def probe_accuracy(model: Network, train: TensorSplit, test: TensorSplit, seed: int) -> float | None:
    """Return the accuracy in [0, 1], on all test images, of a logistic regression on codes of training images.

    scikit-learn's, with its default penalty, on at most 5,000 training images, a stratified sample. The codes are
    standardised; those wider than 512 numbers are first reduced to their 512 largest principal components, so that a
    probe takes seconds (a code of 6,400 numbers and 102 classes would have it fit 652,800 weights to 1,020 images).

    Args:
        model: A network with `encode`.
        train: Images uint8 (n, channels, height, width), and labels int64 (n,).
        test: The same of the test split.
        seed: Of the randomised solver of the principal components.

    Returns:
        None if the training images are all of one class.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images, labels = train
    sample = stratified_sample(labels, TRAINING_IMAGES)
    classes = labels[sample].cpu().numpy()
    if len(np.unique(classes)) < 2:
        return None
    codes = encode(model, images[sample]).cpu().numpy()
    reduction = []
    if codes.shape[1] > WIDEST_CODE:
        components = min(WIDEST_CODE, len(codes) - 1)
        reduction = [PCA(components, svd_solver="randomized", random_state=seed)]
    probe = make_pipeline(*reduction, StandardScaler(), LogisticRegression(max_iter=_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(codes, classes)
    right = sum(int((probe.predict(part) == truth).sum()) for part, truth in _coded(model, test))
    return right / len(test[1])


def _coded(model: Network, split: TensorSplit) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the codes and labels of a split batch by batch: all codes of 10,000 images could be 256 MB."""
    images, labels = split
    for batch in evaluation_batches(images):
        yield encode(model, images[batch]).cpu().numpy(), labels[batch].cpu().numpy()
