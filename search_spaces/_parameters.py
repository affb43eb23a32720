"""The parts that search spaces share: the layers, optimizer, regularisation, batch size.

How parameters are named: as the config's key that they fill, or `<value>_<key>` where the range depends on
another choice (`sgd_lr`, `conv_depth`), because in one space a name must always have the same distribution.
Three are not keys: `l2` says whether there is a weight decay at all, `architecture` may be "reported", and
`reported_architecture` then says which one.

In the words of Google's tuning playbook, architecture, latent size and regularisation are scientific;
learning rate, momentum, schedule and batch size are nuisance parameters, searched so that every network is
seen at its best; epochs are fixed by the study, which may stop a trial early.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from search_spaces._reported import reported_for

if TYPE_CHECKING:
    import optuna

    from search_spaces._space import Context

OPTIMIZERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop")
ACTIVATIONS = ("relu", "elu", "gelu", "silu")
KERNEL_SIZES = (3, 5)


def suggest_autoencoder(
    trial: optuna.Trial,
    context: Context,
    space: str,
    *,
    latent_size: tuple[int, int],
    dense_depth: tuple[int, int],
    dense_width: tuple[int, int],
    conv_depth: tuple[int, int],
    conv_width: tuple[int, int],
    batch_size: tuple[int, int],
) -> dict[str, Any]:
    """Suggest a flat config of the family `ae`; every bound is (lowest, highest), both included.

    Args:
        trial: whose values are asked for.
        context: the study's images, and whether reported networks take part.
        space: the space's name, whose reported networks these are.
        latent_size: numbers in a code.
        dense_depth: hidden layers on each side; 0 is a linear encoder and decoder.
        dense_width: features of a hidden layer.
        conv_depth: stages, each of which halves the image; fewer if the image is too small for so many.
        conv_width: channels of the first stage; each further stage doubles them.
        batch_size: images.
    """
    architecture = _suggest_architecture(trial, context, space, ("conv", "dense"))
    config: dict[str, Any] = {"family": "ae", "architecture": architecture}
    if architecture == "conv":
        # A stage needs 2 pixels a side to halve. A study's images have one shape, so its bounds stay.
        halvings = int(math.log2(min(context.image_shape[1:])))
        config["depth"] = trial.suggest_int("conv_depth", conv_depth[0], min(conv_depth[1], halvings))
        config["kernel_size"] = trial.suggest_categorical("kernel_size", KERNEL_SIZES)
        config |= _suggest_hidden_layers(trial, "conv", conv_width)
    elif architecture == "dense":
        config["depth"] = trial.suggest_int("dense_depth", *dense_depth)
        if config["depth"] > 0:
            config |= _suggest_hidden_layers(trial, "dense", dense_width)
        else:
            config["dropout"] = 0.0  # without a hidden layer there is nothing to drop
    else:
        reported = reported_for(space, context.image_shape).values()
        layers = next(entry.config for entry in reported if entry.config["architecture"] == architecture)
        config["latent_size"] = layers["latent_size"]  # built into the network
        config["dropout"] = _suggest_dropout(trial)
    if architecture in ("conv", "dense"):
        config["latent_size"] = trial.suggest_int("latent_size", *latent_size, log=True)
        # A sigmoid keeps pixels in [0, 1]; without one, a dense network of depth 0 is PCA's linear map.
        config["output_activation"] = trial.suggest_categorical("output_activation", ("sigmoid", "none"))
    return config | suggest_training(trial, batch_size)


def _suggest_architecture(trial: optuna.Trial, context: Context, space: str, general: tuple[str, ...]) -> str:
    """Suggest one of the `general` architectures, or a reported one where the images allow it.

    All reported ones together are one choice beside the general ones: there may be many, some are slow,
    and as equal choices they would take most of a random search's trials.
    """
    entries = reported_for(space, context.image_shape) if context.reported else {}
    if not entries:
        general_only: str = trial.suggest_categorical("architecture", general)
        return general_only
    architecture: str = trial.suggest_categorical("architecture", (*general, "reported"))
    if architecture == "reported":
        names = tuple(dict.fromkeys(entry.config["architecture"] for entry in entries.values()))
        architecture = trial.suggest_categorical("reported_architecture", names)
    return architecture


def _suggest_hidden_layers(trial: optuna.Trial, architecture: str, width: tuple[int, int]) -> dict[str, Any]:
    return {
        "width": trial.suggest_int(f"{architecture}_width", *width, log=True),
        "batch_norm": trial.suggest_categorical("batch_norm", (True, False)),
        "activation": trial.suggest_categorical("activation", ACTIVATIONS),
        "dropout": _suggest_dropout(trial),
    }


def _suggest_dropout(trial: optuna.Trial) -> float:
    # In steps that hit 0 and what the reports used; above one half little of a narrow code is left.
    return trial.suggest_float("dropout", 0.0, 0.5, step=0.05)


def suggest_training(trial: optuna.Trial, batch_size: tuple[int, int]) -> dict[str, Any]:
    """Suggest the training keys of a config; `batch_size` is (lowest, highest), in images."""
    optimizer: str = trial.suggest_categorical("optimizer", OPTIMIZERS)
    training: dict[str, Any] = {"optimizer": optimizer, "lr": _suggest_lr(trial, optimizer)}
    if optimizer in ("sgd", "rmsprop"):
        # Beyond 0.99 an update remembers more steps than a small study's epoch has.
        training["momentum"] = trial.suggest_float(f"{optimizer}_momentum", 0.0, 0.99)
    return {
        **training,
        "weight_decay": _suggest_weight_decay(trial, optimizer),
        "schedule": trial.suggest_categorical("schedule", ("constant", "cosine")),
        "batch_size": trial.suggest_int("batch_size", *batch_size, log=True),
    }


def _suggest_lr(trial: optuna.Trial, optimizer: str) -> float:
    if optimizer == "sgd":
        # Its step is proportional to the gradient, and that of an error per pixel is small; on digits 0.1
        # with momentum 0.9 learns well and 1 diverges.
        return trial.suggest_float("sgd_lr", 1e-2, 1.0, log=True)
    if optimizer == "adagrad":
        # Its steps shrink as the squared gradients add up, so it starts ten times higher than Adam.
        return trial.suggest_float("adagrad_lr", 1e-3, 1e-1, log=True)
    # Adam's usual 0.001 in the middle; a tenth does not get there in these budgets, ten times is unstable.
    return trial.suggest_float("lr", 1e-4, 1e-2, log=True)


def _suggest_weight_decay(trial: optuna.Trial, optimizer: str) -> float:
    if not trial.suggest_categorical("l2", (True, False)):
        return 0.0
    if optimizer == "adamw":
        # Decoupled: shrinks weights by lr times this a step, so it takes larger values (the default: 0.01).
        return trial.suggest_float("adamw_weight_decay", 1e-3, 1.0, log=True)
    # Added to the gradient of an error per pixel: far below 1e-7 nothing changes, at 0.01 it outweighs it.
    return trial.suggest_float("weight_decay", 1e-7, 1e-2, log=True)
