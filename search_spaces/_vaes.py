"""What is searched in a space of variational autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from search_spaces._architectures import architecture, conv_layers, dense_layers, dropout
from search_spaces._ask import Ask
from search_spaces._codes import CodeSearch, corruption
from search_spaces._training import training

if TYPE_CHECKING:
    from search_spaces._space import Context

# The plain Bernoulli, which is no likelihood of grey levels, is there because a report trained with it; every
# likelihood is ranked by the probability of the 8-bit images.
LIKELIHOODS = ("continuous_bernoulli", "gaussian", "bernoulli")


class VaeSearch(CodeSearch):
    """The dense and convolutional architectures, and the reported ones; likelihood, and the KL's weight."""

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
            self.ask_hidden_size(ask)
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
