"""What is searched in a space of autoencoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search_spaces._architectures import architecture, conv_layers, dense_layers, dropout
from search_spaces._ask import Ask
from search_spaces._codes import CodeSearch, corruption
from search_spaces._training import training

if TYPE_CHECKING:
    from search_spaces._space import Context


class AutoencoderSearch(CodeSearch):
    """The dense and convolutional architectures, the one that starts from PCA, and the reported ones."""

    def __call__(self, ask: Ask, context: Context, reported: Sequence[str]) -> None:
        """Ask for a flat config of the family `ae`."""
        name = architecture(ask, ("conv", "dense", "pca"), reported)
        if name == "dense":
            dense_layers(ask, self.dense_depth, self.dense_width)
        elif name in ("conv", "pca"):
            conv_layers(ask, context.image_shape, self.conv_depth, self.conv_width)
        else:
            self._reported_layers(ask, name)
        if "/" not in name:
            ask.integer("latent_size", self.latent_size, log=True)
        if name in ("dense", "conv"):
            # A sigmoid keeps pixels in [0, 1]; without one, a dense network of depth 0 is PCA's linear map.
            ask.choice("output_activation", ("sigmoid", "none"))
        _regularisation(ask, name)
        training(ask, self.batch_size)

    def _reported_layers(self, ask: Ask, name: str) -> None:
        dropout(ask)
        if name == "flowers/ae":
            ask.choice("batch_norm", (True, False))
            ask.fix(latent_size=6400)  # 400 channels of 4×4, as is
        elif name.startswith("cifar_ae/"):
            ask.fix(latent_size=108)  # 3 channels of 6×6
        else:
            ask.integer("latent_size", self.latent_size, log=True)
        if name == "mnist_ae/dense":
            self.ask_hidden_size(ask)


def _regularisation(ask: Ask, name: str) -> None:
    """Ask for at most one of the three: denoising, sparse or contractive, in one half of a random search's trials.

    They serve the same end and multiply a search's size; and a contractive trial costs half as much again, as
    its penalty needs the gradient of a gradient.
    """
    plain: dict[str, Any] = {"corruption": "none", "sparsity": 0.0, "contraction": 0.0}
    if not ask.decision("regularised", (False, True), lambda config: _regulariser(config) is not None):
        ask.fix(**plain)
        return
    kind = ask.decision("regulariser", ("denoising", "sparse", "contractive"), _regulariser)
    if kind == "denoising":
        corruption(ask, ("gaussian", "bernoulli"), as_reported="/" in name)
        ask.fix(sparsity=0.0, contraction=0.0)
    elif kind == "sparse":
        ask.fix(**plain)
        # On Fashion-MNIST 1e-5 changes nothing, 1e-3 makes the codes a third as large, 1e-2 a tenth: the error grows.
        ask.number("sparsity", (1e-4, 1e-2), log=True)
    else:
        ask.fix(**plain)
        # There the Jacobian's squared norm is 500; 1e-7 leaves 400 of it, 1e-5 60, 1e-3 4, and the error grows.
        ask.number("contraction", (1e-7, 1e-3), log=True)


def _regulariser(config: Mapping[str, Any]) -> str | None:
    if config["corruption"] != "none":
        return "denoising"
    if config["sparsity"] > 0:
        return "sparse"
    return "contractive" if config["contraction"] > 0 else None
