"""How networks are trained: optimizer, learning rate, L2, schedule, batch size.

In the words of Google's tuning playbook, architecture, latent size and regularisation are scientific;
learning rate, momentum, schedule and batch size are nuisance parameters, searched so that every network is
seen at its best; epochs are fixed by the study, which may stop a trial early.
"""

from __future__ import annotations

from search_spaces._ask import Ask, Bounds

OPTIMIZERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop")


def training(ask: Ask, batch_size: Bounds) -> None:
    """Ask for the training keys of a config; `batch_size` in images."""
    optimization(ask)
    ask.choice("schedule", ("constant", "cosine"))
    ask.integer("batch_size", batch_size, log=True)


def optimization(ask: Ask, stage: str = "") -> None:
    """Ask for an optimizer and its settings; `stage` is what their keys begin with, for example "pretrain_"."""
    optimizer = ask.choice(f"{stage}optimizer", OPTIMIZERS)
    _learning_rate(ask, optimizer, stage)
    if optimizer in ("sgd", "rmsprop"):
        # Beyond 0.99 an update remembers more steps than a small study's epoch has.
        ask.number(f"{stage}momentum", (0.0, 0.99), name=f"{stage}{optimizer}_momentum")
    if optimizer == "adamw":
        # Decoupled: shrinks weights by lr times this a step, so it takes larger values (the default: 0.01).
        bounds, name = (1e-3, 1.0), f"{stage}adamw_weight_decay"
    else:
        # Added to the gradient: far below 1e-7 nothing changes, above 0.01, a report's highest, it outweighs it.
        bounds, name = (1e-7, 1e-2), f"{stage}weight_decay"
    ask.unless(f"{stage}weight_decay", 0.0, bounds, flag=f"{stage}l2", name=name)


def _learning_rate(ask: Ask, optimizer: str, stage: str) -> None:
    key = f"{stage}lr"
    if optimizer == "sgd":
        # Its step is proportional to the gradient, and that of an error per pixel is small: on digits 0.1 with
        # momentum 0.9 learns well and 1 diverges. The reports' runs have PyTorch's default, 0.001.
        ask.number(key, (1e-3, 1.0), name=f"{stage}sgd_lr", log=True)
    elif optimizer == "adagrad":
        # Its steps shrink as the squared gradients add up, so it starts ten times higher than Adam.
        ask.number(key, (1e-3, 1e-1), name=f"{stage}adagrad_lr", log=True)
    else:
        # Adam's usual 0.001 in the middle; a tenth does not get there in these budgets, ten times is unstable.
        ask.number(key, (1e-4, 1e-2), log=True)
