"""Optimizers with their learning rates, momenta and weight decays, in ranges that suit a family's loss.

SGD's step is proportional to the gradient, and so is the L2 that outweighs it: both depend on the loss, which is an
error per pixel of about 0.01, nats per pixel of about 3, or nats per image of about 1. Adam, AdamW, Adagrad and
RMSprop divide by the gradient's size, so that their rates fit every loss.

With a momentum m the steps of a lasting gradient add up to 1 / (1 - m) times the rate. What has a range is that sum,
lr / (1 - m), the effective learning rate: with one range of lr for every m, half of it is dead at m = 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from search_spaces._ask import Ask

Range = tuple[float, float]
"""(lowest, highest), on a logarithmic scale"""

OPTIMIZERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop")

# Measured with tests/benchmarks/measure_bounds.py on digits; docs/method.md has the table, with n and epochs.
_RATES: Mapping[str, Range] = {
    # Digits, error per pixel: 1e-4 is still at 0.050 after 285 steps, 3e-3 at 0.0154, 1e-2 at 0.0151; 3e-2 is dead.
    "adam": (1e-4, 1e-2),
    "adamw": (1e-4, 1e-2),
    # Its steps shrink as the squared gradients add up, so it starts higher: 0.01 is at 0.0169, 0.1 is dead (0.17).
    "adagrad": (1e-3, 5e-2),
    # Effective. Without momentum 1e-4 is at 0.0266, 1e-3 at 0.0141, 3e-3 at 0.0137, 1e-2 is dead (0.17); with 0.9 3e-4
    # is at 0.0184, 1e-3 at 0.0147, 1e-2 at 0.12.
    "rmsprop": (1e-4, 1e-2),
}
_NAMES = {"adam": "lr", "adamw": "lr", "adagrad": "adagrad_lr", "rmsprop": "rmsprop_effective_lr"}
# AdamW shrinks weights by lr times this a step, so it takes larger values (the default: 0.01). Digits: up to 0.3
# nothing is lost (0.01282), 1 is at 0.0137.
_DECOUPLED = (1e-3, 1.0)


@dataclass(frozen=True)
class TrainingRanges:
    """What depends on the size of a loss's gradient.

    Attributes:
        sgd: SGD's effective learning rate.
        l2: weight decay that is added to the gradient, of all optimizers but AdamW.
        optimizers: those that are searched.
    """

    sgd: Range
    l2: Range
    optimizers: tuple[str, ...] = OPTIMIZERS


PIXEL_ERROR = TrainingRanges(
    # Dense, momentum 0.9. Digits, 30 epochs: 0.1 is at 0.033, 1 at 0.0178, 10 at 0.0137, 30 is dead (0.19). MNIST, 4
    # epochs: 1 is at 0.066, 3 at 0.098 (0.045 without momentum), 10 is dead. CIFAR-10, 3 epochs: 3 is at 0.0413, 10 at
    # 0.0326, 30 at 0.0228, 100 at 0.0177, 300 is dead.
    sgd=(0.3, 100.0),
    # Digits, Adam: up to 3e-6 nothing is lost; in that review 0 is at 0.01246, 1e-5 at 0.01253, 1e-4 at 0.0140, 1e-3 at
    # 0.0236, 1e-2 at 0.0708.
    l2=(1e-8, 1e-4),
)
PIXEL_NATS = TrainingRanges(
    # Digits, 15 epochs, nats of an image. Without momentum 0.01 is at 181.2, 0.1 at 174.0, 1 at 172.4, 3 diverges; with
    # 0.9 0.01 is at 181.9, 0.1 at 170.8, 0.3 at 168.9, 1 at 173.9 or diverges, 3 diverges.
    sgd=(1e-2, 2.0),
    # Digits, Adam, nats of an image: 0 is at 170.31, 1e-5 at 170.29, 1e-4 at 170.17, 1e-3 at 169.90, 1e-2 at 170.68.
    l2=(1e-5, 1e-2),
)
CROSS_ENTROPY = TrainingRanges(
    # With momentum 0.9, digits, 6 epochs: 0.1 is at 77.1 %, 1 at 96.9, 3 at 97.7, 10 at 95.7.
    sgd=(3e-2, 10.0),
    l2=(1e-7, 1e-2),  # a report's highest is 0.01
)

# An autoencoder that starts from PCA begins where gradients are small, and SGD leaves it there. Digits, 15 epochs, from
# PCA's 0.0234, each at its best rate: Adam is at 0.0126, RMSprop at 0.0139, Adagrad at 0.0188, SGD at 0.0221, beyond
# which it diverges. In a search it was a trap: as good as PCA from its first epoch, it drew the sampler to itself.
FROM_PCA = replace(PIXEL_ERROR, optimizers=tuple(name for name in OPTIMIZERS if name != "sgd"))

# What reports ran their own networks with, where a family's range does not have it: SGD at PyTorch's rate, and most L2.
_REPORTED_SGD, _REPORTED_L2 = 1e-3, 1e-2


def optimization(ask: Ask, ranges: TrainingRanges, stage: str = "", *, nesterov: bool = False) -> None:
    """Ask for an optimizer and its settings; `stage` is what their keys begin with, for example "pretrain_".

    With `nesterov`, of SGD also whether its momentum is Nesterov's.
    """
    # A parameter has the same choices in the whole study: fewer of them are another parameter.
    named = "" if ranges.optimizers == OPTIMIZERS else f"{ask.config['architecture']}_"
    optimizer = ask.choice(f"{stage}optimizer", ranges.optimizers, name=f"{stage}{named}optimizer")
    momentum = 0.0
    if optimizer in ("sgd", "rmsprop"):
        # Beyond 0.99 an update remembers more steps than a small study's epoch has.
        momentum = ask.number(f"{stage}momentum", (0.0, 0.99), name=f"{stage}{optimizer}_momentum")
    if optimizer == "sgd" and nesterov:
        ask.option(f"{stage}nesterov", (False, True))
    if optimizer == "sgd":
        name, bounds = _with_reported(ask, "sgd_effective_lr", ranges.sgd, _REPORTED_SGD)
    else:
        name, bounds = _NAMES[optimizer], _RATES[optimizer]
    ask.number(f"{stage}lr", bounds, name=stage + name, log=True, factor=1 - momentum)
    if optimizer == "adamw":
        name, bounds = "adamw_weight_decay", _DECOUPLED
    else:
        name, bounds = _with_reported(ask, "weight_decay", ranges.l2, _REPORTED_L2)
    ask.unless(f"{stage}weight_decay", 0.0, bounds, flag=f"{stage}l2", name=stage + name)


def _with_reported(ask: Ask, name: str, bounds: Range, reported: float) -> tuple[str, Range]:
    """Return the name and the range of a parameter; of a report's network, one that holds what reports used."""
    wide = (min(bounds[0], reported), max(bounds[1], reported))
    if "/" in ask.config["architecture"] and wide != bounds:
        return f"reported_{name}", wide
    return name, bounds
