"""What a classifier says about the test images: its confusions, its probabilities, and examples to look at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from models import Network, Predictive
from study.data.tensors import TensorSplit, as_bytes, stratified_sample, to_pixels
from study.evaluation.reconstruction import to_numpy

PROBABILITIES = 2000  # images
PER_GROUP = 8  # examples


def collect(untrained: Network, split: TensorSplit, values: Mapping[str, Tensor]) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of two files.

    predictions: `confusion` int64 (classes, classes), how many test images of the row's class were taken for the
    column's; `per_class_accuracy` (classes,), NaN for a class without test images; `probabilities` float32 (n, classes)
    of a stratified sample of the images, with their `labels` and `indices` into the test split.

    examples: `originals` uint8 (m, channels, height, width) in three `groups`: "right" and "wrong", the predictions
    with the highest probability that were right or wrong, and "unsure", those with the lowest, whichever they were;
    8 of each if there are as many. With their `labels`, `predictions`, `confidence` (m,), `probabilities` (m, classes),
    the same of the `untrained` network, and their `indices`.
    """
    images, labels = split
    probabilities = values["log_probabilities"].exp()
    table = confusion(values["log_probabilities"], labels)
    sample = stratified_sample(labels, PROBABILITIES)
    predictions = {
        "confusion": table,
        "per_class_accuracy": per_class_accuracy(table),
        "probabilities": probabilities[sample].float(),
        "labels": labels[sample],
        "indices": sample,
    }
    confidence, predicted = probabilities.max(1)
    groups = _examples(confidence, predicted == labels)
    chosen = torch.cat(list(groups.values()))
    examples = {
        "originals": as_bytes(images[chosen]),
        "labels": labels[chosen],
        "predictions": predicted[chosen],
        "confidence": confidence[chosen].float(),
        "probabilities": probabilities[chosen].float(),
        "untrained": _probabilities(untrained, images[chosen]),
        "indices": chosen,
    }
    names = np.repeat(list(groups), [len(group) for group in groups.values()])
    return {"predictions": to_numpy(predictions), "examples": {**to_numpy(examples), "groups": names}}


def confusion(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return how many images of each class (rows) were taken for each class (columns), int64 (classes, classes)."""
    classes = log_probabilities.shape[1]
    cells = labels * classes + log_probabilities.argmax(1)
    return torch.bincount(cells, minlength=classes**2).reshape(classes, classes)


def per_class_accuracy(table: Tensor) -> Tensor:
    """Return the share of each class's images that were recognised, from `confusion`; NaN for a class without any."""
    return table.diagonal().double() / table.sum(1)


def _examples(confidence: Tensor, right: Tensor) -> dict[str, Tensor]:
    """Return the indices of the examples of each group."""
    surest = torch.argsort(confidence, descending=True, stable=True)
    return {
        "right": surest[right[surest]][:PER_GROUP],
        "unsure": surest.flip(0)[:PER_GROUP],
        "wrong": surest[~right[surest]][:PER_GROUP],
    }


def _probabilities(model: Network, images: Tensor) -> Tensor:
    assert isinstance(model, Predictive)
    model.eval()
    with torch.inference_mode():
        return model.probabilities(to_pixels(images))
