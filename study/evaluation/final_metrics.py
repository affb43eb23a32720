"""Metrics that are too slow for every epoch: measured once per confirmation, on the test split."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models import Network
from study.data.tensors import stratified_sample
from study.evaluation.generative import Generative
from study.evaluation.linear_probe import probe_accuracy
from study.evaluation.prediction import Predictive, confusion, per_class_accuracy
from study.evaluation.reconstruction import Reconstructive
from study.evaluation.structural_similarity import LEAST_SIDE, structural_similarity
from study.training.trainer import TensorSplit, evaluation_batches, to_pixels

IMPORTANCE_SAMPLES = 64  # codes for each image
LIKELIHOOD_IMAGES = 500
_DECODED_PIXELS = 10**8  # 500 images of CIFAR-10's size, 52 of 3×100×100: a minute of one core
SIMILARITY_IMAGES = 2000  # flowers' 6,149 took more than a minute


def final_metrics(
    model: Network, splits: Mapping[str, TensorSplit], values: Mapping[str, Tensor], seed: int
) -> dict[str, float]:
    """Return the metrics of the test split that only a confirmation measures.

    With an encoder and a decoder: `ssim`, the mean structural similarity of the reconstructions of a stratified sample
    of 2,000 test images (not of images with a side below 3 pixels), and `probe_accuracy` of a linear probe on the
    codes (`study.evaluation.linear_probe`; only where there are two classes or more).
    With a distribution over codes: `nll_iw64`, minus the importance-weighted estimate of log p(image) with 64 codes
    (Burda et al. 2016, eq. 8), in nats per image, the mean of a stratified sample of 500 test
    images, fewer of large ones.
    A classifier: `worst_class_accuracy`, of the class that it recognises least.

    Args:
        model: A trained network of any family, on the device of the images.
        splits: "train" and "test": images uint8 (n, channels, height, width), and labels int64 (n,).
        values: `study.training.trainer.per_image` of the test split.
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
    chosen = images[stratified_sample(labels, min(LIKELIHOOD_IMAGES, affordable))]
    generator = torch.Generator().manual_seed(seed)
    parts = [
        model.log_likelihood(to_pixels(chosen[batch]), IMPORTANCE_SAMPLES, generator)
        for batch in evaluation_batches(chosen)
    ]
    return torch.cat(parts).double().mean().item()
