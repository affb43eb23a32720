"""Corrupted inputs, the report `mnist_ae`'s input pipelines, as settings and a function.

What a network of the families `ae` and `vae` gets to see in training may be spoilt, and what it has to give back
is then the clean image (denoising: Vincent et al., "Extracting and composing robust features with denoising
autoencoders", 2008) or what it was given (the report's pipelines).
"""

from __future__ import annotations

import torch
from torch import Tensor

from models._config import Interval, OneOf, Setting, When
from models.family import Config
from models.noise import normal

CORRUPTION: dict[str, Setting] = {
    "corruption": OneOf(("none", "gaussian", "bernoulli")),
    # standard deviation of the noise, on the scale of pixels in [0, 1]
    "corruption_std": Interval(0, open_low=True, when=When("corruption", ("gaussian",))),
    "target": OneOf(("clean", "input"), when=When("corruption", ("gaussian", "bernoulli"))),
}


def corrupt(config: Config, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return what a network is given instead of `images` (batch, channels, height, width) in [0, 1].

    `gaussian` adds normal noise and clips to [0, 1], as a picture file would: outside of it a Bernoulli likelihood
    has no bound. `bernoulli` makes pixels of at least 0.5 white and the others black. In training the noise
    comes from where `models.noise` says; an evaluation passes `evaluation_generator()`.
    """
    match config["corruption"]:
        case "none":
            return images
        case "gaussian":
            noise = normal(tuple(images.shape), images.device, generator).to(images.dtype)
            return (images + config["corruption_std"] * noise).clamp(0, 1)
        case "bernoulli":
            return (images >= 0.5).to(images.dtype)
        case unknown:
            raise ValueError(f"unknown corruption {unknown!r}")


def training_pair(config: Config, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network is given in training and what it has to give back, both shaped like `images`."""
    given = corrupt(config, images)
    return given, given if config.get("target") == "input" else images
