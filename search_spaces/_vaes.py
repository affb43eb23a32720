"""What is searched in a space of variational autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_spaces._architectures import architecture, conv_layers, dense_layers, dropout
from search_spaces._ask import Ask, Bounds
from search_spaces._autoencoders import corruption, hidden_size
from search_spaces._training import training

if TYPE_CHECKING:
    from search_spaces._space import Context

# The plain Bernoulli, which is no likelihood of grey levels, is there because a report trained with it; every
# likelihood is ranked by the probability of the 8-bit images.
LIKELIHOODS = ("continuous_bernoulli", "gaussian", "bernoulli")


@dataclass(frozen=True)
class VaeSearch:
    """The dense and convolutional architectures, and the reported ones; likelihood, and the KL's weight.

    Attributes:
        latent_size: numbers in a code.
        dense_depth, dense_width: hidden layers on each side, and their features.
        conv_depth, conv_width: stages, each of which halves the image, and channels of the first, doubled by
            each further one.
        batch_size: images.
        hidden_size: of the report's dense network, where the space has it.
    """

    latent_size: Bounds
    dense_depth: Bounds
    dense_width: Bounds
    conv_depth: Bounds
    conv_width: Bounds
    batch_size: Bounds
    hidden_size: Bounds | None = None

    def __call__(self, ask: Ask, context: Context, reported: Sequence[str]) -> None:
        """Ask for a flat config of the family `vae`."""
        name = architecture(ask, ("conv", "dense"), reported)
        if name == "dense":
            dense_layers(ask, self.dense_depth, self.dense_width)
        elif name == "conv":
            conv_layers(ask, context.image_shape, self.conv_depth, self.conv_width)
        else:
            dropout(ask)
        if name == "mnist_ae/vae":
            hidden_size(ask, self.hidden_size)
        ask.integer("latent_size", self.latent_size, log=True)
        if "/" in name:
            corruption(ask, ("none", "gaussian", "bernoulli"), as_reported=True)
        else:
            ask.fix(corruption="none")  # a bound on the probability of spoilt images bounds nothing of clean ones
        ask.choice("likelihood", LIKELIHOODS)
        # Ranked at 1 whatever it is: lower, training has more use of the codes, higher, fewer of them.
        ask.unless("beta", 1.0, (0.25, 4.0), flag="other_beta")
        # Lets the codes be used before the KL closes them (Bowman et al. 2016); one half leaves time at full weight.
        ask.number("beta_warmup", (0.0, 0.5), step=0.1)
        training(ask, self.batch_size)
