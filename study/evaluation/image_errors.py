"""The errors of networks on each test image: by class, and image by image, beside the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays = dict[str, np.ndarray]
Errors = Mapping[str, np.ndarray]
"""By the name of the metric that is their mean, such as "mse": an error of each test image, (n,)."""

FILE = "image_errors"
"""Of one network: what `collect` returns, without its ending."""
PER_CLASS, OVER_IMAGES = "per_class", "over_images"
"""Of the networks of a config on all its seeds: what `per_class` and `over_images` return."""
_AVERAGED = ("mse", "nelbo")
_LABELS = "labels"


def collect(values: Mapping[str, Tensor], labels: Tensor) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of one file, nothing where a network has no such errors.

    image_errors: of each test image, float32 (n,), `mse`, per pixel, and `nelbo`, in nats, whichever the network has,
    or `error_rate`, 1 where a classifier is wrong and else 0; the test metrics of these names are their means. With the
    `labels` int64 (n,).

    Args:
        values: `Network.per_image` of every test image, (n, ...).
        labels: int64 (n,).
    """
    errors = {name: values[name] for name in _AVERAGED if name in values}
    if "log_probabilities" in values:
        errors["error_rate"] = values["log_probabilities"].argmax(1) != labels
    if not errors:
        return {}
    arrays = {name: error.to(torch.float32).cpu().numpy() for name, error in errors.items()}
    return {FILE: {**arrays, _LABELS: labels.cpu().numpy()}}


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file that `collect` describes."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def per_class(networks: Sequence[Errors], baseline: Errors, classes: int) -> Arrays:
    """Return the mean error of each class, by metric, and the baseline's as `baseline_METRIC`.

    Args:
        networks: What `collect` found of each network, all of the same test images.
        baseline: The baseline's errors on these images; empty where there is none.
        classes: How many there are.

    Returns:
        `images` int64 (classes,), and float64 (networks, classes) for a metric, (classes,) for the baseline's; NaN for
        a class without test images.
    """
    labels = networks[0][_LABELS]
    arrays: Arrays = {"images": np.bincount(labels, minlength=classes)}
    for name in _metrics(networks):
        arrays[name] = np.stack([_means(one[name], labels, classes) for one in networks])
    return arrays | {f"baseline_{name}": _means(errors, labels, classes) for name, errors in baseline.items()}


def over_images(networks: Sequence[Errors], baseline: Errors) -> Arrays:
    """Return the error of each test image, by metric: the mean of the networks', and the baseline's.

    Args:
        networks: As of `per_class`.
        baseline: As of `per_class`.

    Returns:
        `networks`, how many they are, and float64 (n,) of each metric and of `baseline_METRIC`.
    """
    arrays: Arrays = {
        name: np.stack([one[name] for one in networks]).mean(0, np.float64) for name in _metrics(networks)
    }
    arrays |= {f"baseline_{name}": errors.astype(np.float64) for name, errors in baseline.items()}
    return {"networks": np.array(len(networks)), **arrays}


def _metrics(networks: Sequence[Errors]) -> list[str]:
    return [name for name in networks[0] if name != _LABELS]


def _means(errors: np.ndarray, labels: np.ndarray, classes: int) -> NDArray[np.float64]:
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, errors.astype(np.float64), classes)
    means = np.full(classes, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
