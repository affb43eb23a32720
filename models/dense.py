"""Dense encoders and decoders for images of any shape."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from torch import nn

from models._config import ConfigError, Number, When
from models._layers import (
    HIDDEN,
    OUTPUT_ACTIVATION,
    OUTPUT_ACTIVATIONS,
    Centre,
    hidden,
    initialise,
    initialise_output,
)
from models.network import Architecture, Config, ImageShape

MAX_DEPTH = 8
_HAS_HIDDEN_LAYERS = When("depth", tuple(range(1, MAX_DEPTH + 1)))


def encoder(config: Config, image_shape: ImageShape, outputs: int) -> nn.Sequential:
    """Flatten → `depth` hidden layers of `width` → Linear(outputs).

    Takes images (batch, channels, height, width) in [0, 1], returns (batch, outputs).
    """
    layers = _hidden_layers(config, math.prod(image_shape))
    last = nn.Linear(config["width"] if layers else math.prod(image_shape), outputs)
    initialise(layers)
    initialise([last], gain=1)
    return nn.Sequential(Centre(), nn.Flatten(), *layers, last)


def decoder(config: Config, image_shape: ImageShape, *, output_activation: str | None = None) -> nn.Sequential:
    """`depth` hidden layers of `width` → Linear(pixels) → output activation → Unflatten.

    Takes codes (batch, latent_size), returns images (batch, channels, height, width). The output activation is
    the config's unless one is given.
    """
    activation = output_activation or config["output_activation"]
    layers = _hidden_layers(config, config["latent_size"])
    last = nn.Linear(config["width"] if layers else config["latent_size"], math.prod(image_shape))
    initialise(layers)
    initialise_output(last, activation)
    return nn.Sequential(*layers, last, OUTPUT_ACTIVATIONS[activation](), nn.Unflatten(1, image_shape))


def _hidden_layers(config: Config, inputs: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs] + [config.get("width", 0)] * config["depth"]):
        layers.append(nn.Linear(before, after, bias=not config["batch_norm"]))
        layers.extend(hidden(config, after, nn.BatchNorm1d))
    return layers


def _parts(config: Config, image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return encoder(config, image_shape, config["latent_size"]), decoder(config, image_shape)


def _check(config: Config, _image_shape: ImageShape) -> None:
    if config["depth"] == 0 and config["dropout"] > 0:
        raise ConfigError(f"dropout must be 0 at depth 0, without a hidden layer, not {config['dropout']}")


ARCHITECTURE = Architecture(
    parts=_parts,
    settings={
        # Hidden layers on each side; 0 with output_activation "none" is a linear autoencoder, whose best
        # codes span PCA's subspace (Baldi and Hornik, "Neural networks and principal component analysis").
        "depth": Number(0, MAX_DEPTH, whole=True),
        **{key: replace(setting, when=_HAS_HIDDEN_LAYERS) for key, setting in HIDDEN.items()},
        "output_activation": OUTPUT_ACTIVATION,
    },
    check=_check,
)
