"""From the training keys of a config to an optimizer and its learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR

# Each takes (parameters, config). `fused` does the whole update in one kernel where PyTorch has one.
OPTIMIZERS: Mapping[str, Callable[[Iterable[nn.Parameter], Mapping[str, Any]], Optimizer]] = {
    "adam": lambda p, c: Adam(p, lr=c["lr"], weight_decay=c["weight_decay"], fused=True),
    "adamw": lambda p, c: AdamW(p, lr=c["lr"], weight_decay=c["weight_decay"], fused=True),
    "sgd": lambda p, c: SGD(p, lr=c["lr"], weight_decay=c["weight_decay"], momentum=c["momentum"], fused=True),
    "adagrad": lambda p, c: Adagrad(p, lr=c["lr"], weight_decay=c["weight_decay"], foreach=True),
    "rmsprop": lambda p, c: RMSprop(
        p, lr=c["lr"], weight_decay=c["weight_decay"], momentum=c["momentum"], foreach=True
    ),
}

# Each maps the fraction of the epochs that are done, in [0, 1), to a factor of the learning rate.
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    # Loshchilov & Hutter 2017 (SGDR), eq. 5, one period, to 1 % of the initial rate.
    "cosine": lambda done: 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2,
}


def build_optimizer(parameters: Iterable[nn.Parameter], config: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer that `config` names, over those of `parameters` that are not frozen."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return OPTIMIZERS[config["optimizer"]](trained, config)


def build_schedule(optimizer: Optimizer, config: Mapping[str, Any], epochs: int) -> LambdaLR:
    """Return the schedule that `config` names; it is stepped once after each of `epochs` epochs."""
    factor = SCHEDULES[config["schedule"]]
    return LambdaLR(optimizer, lambda epoch: factor(epoch / epochs))
