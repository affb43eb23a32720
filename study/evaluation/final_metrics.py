"""The test metrics that only a confirmation measures: SSIM, a linear probe, a likelihood, the worst class."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from models import Generative, Network, Predictive, Reconstructive
from study.data.tensors import TensorSplit, evaluation_batches, stratified_sample, to_pixels
from study.evaluation.prediction import confusion, per_class_accuracy
from study.evaluation.reconstruction import encode

IMPORTANCE_SAMPLES = 64  # codes for each image
LIKELIHOOD_IMAGES = 500
_DECODED_PIXELS = 10**8  # 500 images of CIFAR-10's size, 52 of 3×100×100: a minute of one core
SIMILARITY_IMAGES = 2000  # flowers' 6,149 took more than a minute
PROBE_IMAGES = 5000
WIDEST_CODE = 512
_ITERATIONS = 200  # of L-BFGS; standardised codes need fewer, or have more classes than a probe can tell apart
_SIDE, _SIGMA = 11, 1.5  # pixels; the window of Wang et al.
LEAST_SIDE = 3  # pixels: in less there is no structure


def final_metrics(
    model: Network, splits: Mapping[str, TensorSplit], values: Mapping[str, Tensor], seed: int
) -> dict[str, float]:
    """Return the metrics of the test split that only a confirmation measures.

    With an encoder and a decoder: `ssim`, the mean structural similarity of the reconstructions of a stratified sample
    of 2,000 test images (not of images with a side below 3 pixels), and `probe_accuracy` of a linear probe on the
    codes (`probe_accuracy`; only where there are two classes or more).
    With a distribution over codes: `nll_iw64`, minus the importance-weighted estimate of log p(image) with 64 codes
    (Burda et al. 2016, eq. 8), in nats per image, the mean of a stratified sample of 500 test
    images, fewer of large ones.
    A classifier: `worst_class_accuracy`, of the class that it recognises least.

    Args:
        model: A trained network of any family, on the device of the images.
        splits: "train" and "test": images uint8 (n, channels, height, width), and labels int64 (n,).
        values: `Network.per_image` of every test image, (n, ...), floats in float64.
        seed: Seeds the random parts; the same seed gives the same numbers.
    """
    model.eval()
    test = splits["test"]
    metrics: dict[str, float] = {}
    if isinstance(model, Reconstructive):
        if min(test[0].shape[2:]) >= LEAST_SIDE:
            metrics["ssim"] = _ssim(model, test[0][stratified_sample(test[1], SIMILARITY_IMAGES)])
        accuracy = probe_accuracy(model, splits["train"], test, seed)
        if accuracy is not None:
            metrics["probe_accuracy"] = accuracy
    if isinstance(model, Generative):
        metrics[f"nll_iw{IMPORTANCE_SAMPLES}"] = -_log_likelihood(model, test, seed)
    if isinstance(model, Predictive):
        accuracies = per_class_accuracy(confusion(values["log_probabilities"], values["labels"]))
        metrics["worst_class_accuracy"] = accuracies[~accuracies.isnan()].min().item()
    return metrics


@torch.inference_mode()
def _ssim(model: Network, images: Tensor) -> float:
    parts = []
    for batch in evaluation_batches(images):
        originals = to_pixels(images[batch])
        parts.append(structural_similarity(model(originals).float(), originals))
    return torch.cat(parts).double().mean().item()


@torch.inference_mode()
def _log_likelihood(model: Network, split: TensorSplit, seed: int) -> float:
    assert isinstance(model, Generative)
    images, labels = split
    affordable = max(1, _DECODED_PIXELS // (IMPORTANCE_SAMPLES * images[0].numel()))
    sample = stratified_sample(labels, min(LIKELIHOOD_IMAGES, affordable))
    chosen = images[sample]
    parts = [
        model.log_likelihood(to_pixels(chosen[batch]), IMPORTANCE_SAMPLES, sample[batch], seed)
        for batch in evaluation_batches(chosen)
    ]
    return torch.cat(parts).double().mean().item()


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
    sample = stratified_sample(labels, PROBE_IMAGES)
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
    similarities: Tensor = windows[..., margin:-margin, margin:-margin].flatten(1).mean(1)
    return similarities
