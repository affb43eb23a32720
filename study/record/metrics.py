"""What is known of a metric by its name: its direction, its bounds, its words and unit, its namesake on test images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class Metric:
    """A metric without its split.

    Attributes:
        label: its words, with its unit.
        mode: whether smaller or larger is better.
        least, most: the bounds of a value; a mean's interval is cut there.
    """

    label: str
    mode: Mode = "min"
    least: float = 0.0
    most: float = math.inf


METRICS: Mapping[str, Metric] = {
    "mse": Metric("MSE per pixel"),
    "mse_unclipped": Metric("MSE per pixel, not clipped to [0, 1]"),
    "mse_clipped": Metric("MSE per pixel, clipped to [0, 1]"),
    "denoised_mse": Metric("denoised MSE per pixel"),
    "psnr": Metric("PSNR (dB)", "max", -math.inf),
    "ssim": Metric("SSIM", "max", -1.0, 1.0),
    "nelbo": Metric("−ELBO (nats per image)"),
    "nelbo_clipped": Metric("−ELBO (nats per image), beyond black and white counted as these"),
    "nll_iw64": Metric("bound on −log p by 64 codes an image, of 500 test images at most (nats per image)"),
    "reconstruction": Metric("reconstruction (nats per image)"),
    "kl": Metric("KL (nats per image)"),
    "bits_per_dimension": Metric("bits per dimension"),
    "active_units": Metric("active units", "max"),
    "accuracy": Metric("accuracy", "max", 0.0, 1.0),
    "probe_accuracy": Metric("accuracy of a linear probe", "max", 0.0, 1.0),
    "worst_class_accuracy": Metric("accuracy of the worst class", "max", 0.0, 1.0),
    "error_rate": Metric("error rate", "min", 0.0, 1.0),
    "cross_entropy": Metric("cross entropy (nats)"),
    "calibration_error": Metric("calibration error", "min", 0.0, 1.0),
    "loss": Metric("loss", "min", -math.inf),
    "params": Metric("parameters"),
    "latent_size": Metric("numbers in a code"),
    "seconds": Metric("training time (s)"),
    "epochs": Metric("epochs"),
    "ratio_to_pca": Metric("error over the baseline's (PCA)"),
}
"""By name without the split. Any other one is a quantity of at least 0 of which less is better."""

_ERRORS = ("mse", "nelbo")  # of a network, by which families with a code are ranked

RATIO = "val_ratio_to_pca"
"""The validation error over PCA's at as many components as the code has numbers, where a study is asked for it."""

PCA_ERROR_FLOOR = 1e-9
"""Below this PCA's error is rounding: a ratio to it compares a network with nothing."""

_SPLITS = {"train_eval": "training (after training)", "train": "training", "val": "validation", "test": "test"}


def split_of(name: str) -> tuple[str, str]:
    """Return the split and the rest of a metric's name; the split is "" where the name has none."""
    for split in _SPLITS:
        if name.startswith(f"{split}_"):
            return split, name.removeprefix(f"{split}_")
    return "", name


def is_known(name: str) -> bool:
    """Whether a metric, with or without its split, is in `METRICS`."""
    return split_of(name)[1] in METRICS


def is_timing(name: str) -> bool:
    """Whether a number of an epoch says how long something took, so that it is another one each time."""
    return name.endswith("seconds") or name == "images_per_second"


def metric(name: str) -> Metric:
    """Return what is known of a metric, with or without its split."""
    plain = split_of(name)[1]
    return METRICS.get(plain, Metric(plain.replace("_", " ")))


def mode(name: str) -> Mode:
    """Return whether smaller or larger values of a metric are better."""
    return metric(name).mode


def ranked_by(objectives: Sequence[str], of_family: str) -> str:
    """Return what a study's trials are ranked by.

    `RATIO` where that is an objective, else its family's metric where it is one, else the first objective that is
    measured on validation images, else its family's metric.
    """
    wanted = (RATIO, of_family, *(name for name in objectives if name.startswith("val_")))
    return next((name for name in wanted if name in objectives), of_family)


def sizes(config: Mapping[str, Any], params: int) -> dict[str, float]:
    """Return a network's parameters and, where it has a code, the numbers in it, by the names of objectives."""
    code = {"latent_size": float(config["latent_size"])} if "latent_size" in config else {}
    return {"params": params, **code}


def unequal_codes(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Return that the codes of two configs differ in size, where the metric is an error, which falls with it; else "".

    It may be that which one of them is better by.
    """
    sizes = [config.get("latent_size") for config in (first, second)]
    if split_of(name)[1] not in _ERRORS or sizes[0] == sizes[1]:
        return ""
    return f"their codes have {sizes[0]} and {sizes[1]} numbers, and the error falls with the size"


def sign(of: Mode) -> int:
    """Return the factor by which smaller is better: 1 for "min", -1 for "max"."""
    return 1 if of == "min" else -1


def limits(name: str) -> tuple[float, float]:
    """Return the least and the greatest value that a metric can have."""
    return metric(name).least, metric(name).most


def label(name: str) -> str:
    """Return the words and the unit of a metric: "validation MSE per pixel" for `val_mse`."""
    split, _ = split_of(name)
    return f"{_SPLITS[split]} {metric(name).label}" if split else metric(name).label


def on_test(name: str) -> str:
    """Return the namesake of a validation metric on the test split."""
    return f"test_{name.removeprefix('val_')}" if name.startswith("val_") else name
