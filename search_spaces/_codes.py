"""What is searched in every space of networks with a code, of autoencoders and of VAEs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces._ask import Ask, Bounds


@dataclass(frozen=True)
class CodeSearch:
    """The bounds of a data set.

    Attributes:
        latent_size: numbers in a code.
        dense_depth, dense_width: hidden layers on each side, and their features.
        conv_depth, conv_width: stages, each of which halves the image, and channels of the first, doubled by
            each further one; of the architecture `pca` too.
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

    def ask_hidden_size(self, ask: Ask) -> None:
        """Ask for the width of the hidden layers of `mnist_ae`'s dense networks."""
        if self.hidden_size is None:
            raise ValueError("a space with mnist_ae's dense networks needs bounds of hidden_size")
        ask.integer("hidden_size", self.hidden_size, log=True)


def corruption(ask: Ask, kinds: Sequence[str], *, as_reported: bool) -> None:
    """Ask for what the training's inputs suffer; beside a report's networks, for what is to come out too.

    A network that gives back its spoilt input is what a report ran, but no denoiser, and worse on clean images.
    """
    kind = ask.choice("corruption", kinds)
    if kind == "gaussian":
        # a twentieth of the grey scale is barely seen; at one half little more than outlines is left
        ask.number("corruption_std", (0.05, 0.5), step=0.05)
    if kind != "none":
        if as_reported:
            ask.choice("target", ("clean", "input"))
        else:
            ask.fix(target="clean")
