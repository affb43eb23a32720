"""The words and units at axes, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_SPLITS = {"train": "training", "val": "validation", "test": "test"}
_METRICS = {
    "mse": "MSE per pixel",
    "denoised_mse": "denoised MSE per pixel",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "nelbo": "−ELBO (nats per image)",
    "reconstruction": "reconstruction (nats per image)",
    "kl": "KL (nats per image)",
    "bits_per_dimension": "bits per dimension",
    "active_units": "active units",
    "accuracy": "accuracy",
    "cross_entropy": "cross entropy (nats)",
    "calibration_error": "calibration error",
    "loss": "loss",
    "params": "parameters",
    "seconds": "training time (s)",
    "epochs": "epochs",
}
_PARAMETERS = {"lr": "learning rate", "weight_decay": "weight decay (L2)", "beta": "β", "beta_warmup": "β warm-up"}


def metric_label(name: str) -> str:
    """Return the words and the unit of a metric: "validation MSE per pixel" for `val_mse`."""
    split, _, rest = name.partition("_")
    if split in _SPLITS and rest:
        return f"{_SPLITS[split]} {metric_name(rest)}"
    return metric_name(name)


def metric_name(name: str) -> str:
    """Return the words and the unit of a metric without its split."""
    return _METRICS.get(name, name.replace("_", " "))


def parameter_label(key: str) -> str:
    """Return the words of a key of the config, with or without `config.` in front."""
    key = key.removeprefix("config.")
    return _PARAMETERS.get(key, key.replace("_", " "))


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, thousands with commas, small ones as powers: 0.0123, 1e-05."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def value_label(value: Any) -> str:
    """Return a value of the config: switches are on and off, numbers short, words as they are."""
    if str(value) in ("True", "False"):
        return "on" if str(value) == "True" else "off"
    if isinstance(value, (int, float)):
        return number(float(value))
    return str(value)


def interval_text(low: float, high: float, digits: int = 4) -> str:
    """Return "low … high"."""
    return f"{number(low, digits)} … {number(high, digits)}"


def joined(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def counted(count: int, word: str) -> str:
    """Return "1 trial", "2 trials"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
