"""What is searched in each family: autoencoders, variational autoencoders and classifiers, within given bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from search_spaces._ask import Ask, Bounds
from search_spaces._layers import (
    HIGHEST_DROPOUT,
    LayerBounds,
    architecture,
    cnn_layers,
    conv_layers,
    dense_layers,
    dropout,
    general,
    training,
)
from search_spaces._optimizers import CROSS_ENTROPY, FROM_PCA, PIXEL_ERROR, PIXEL_NATS, optimization

if TYPE_CHECKING:
    from search_spaces._space import Context

# The plain Bernoulli, which is no likelihood of grey levels, is there because a report trained with it; every
# likelihood is ranked by the probability of the 8-bit images.
LIKELIHOODS = ("continuous_bernoulli", "gaussian", "bernoulli")

# What the default configs of the data sets share; a space adds the rest.
_TRAINING = {"optimizer": "adam", "weight_decay": 0.0, "decay": "weights", "schedule": "cosine"}
DEFAULT_AE: Mapping[str, Any] = MappingProxyType(
    {
        **_TRAINING,
        "family": "ae",
        "dropout": 0.0,
        "activation": "gelu",
        "corruption": "none",
        "sparsity": 0.0,
        "contraction": 0.0,
    }
)
DEFAULT_VAE: Mapping[str, Any] = MappingProxyType(
    {
        **_TRAINING,
        "family": "vae",
        "dropout": 0.0,
        "activation": "gelu",
        "corruption": "none",
        "likelihood": "gaussian",
        "beta": 1.0,
        "beta_warmup": 0.0,
        "lr": 1e-3,
    }
)
DEFAULT_CLASSIFIER: Mapping[str, Any] = MappingProxyType(
    {
        **_TRAINING,
        "family": "classifier",
        "architecture": "cnn",
        "convolutions": 1,
        "residual": False,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "relu",
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "augmentation": "none",
        "double_softmax": False,
        "lr": 3e-3,
    }
)


@dataclass(frozen=True)
class CodeSearch:
    """The bounds of a search of networks with a code, autoencoders and VAEs.

    Attributes:
        layers: of the general architectures.
        latent_size: numbers in a code.
        batch_size: images.
        hidden_size: of the dense networks of the report `mnist_ae`, where the space has them.
    """

    layers: LayerBounds
    latent_size: Bounds
    batch_size: Bounds
    hidden_size: Bounds | None = None

    def ask_hidden_size(self, ask: Ask) -> None:
        """Ask for the width of the hidden layers of `mnist_ae`'s dense networks."""
        if self.hidden_size is None:
            raise ValueError("a space with mnist_ae's dense networks needs bounds of hidden_size")
        ask.integer("hidden_size", self.hidden_size, log=True)


class AutoencoderSearch(CodeSearch):
    """The dense and convolutional architectures, the one that starts from PCA, and the reported ones."""

    def __call__(self, ask: Ask, context: Context, reported: Sequence[str]) -> None:
        """Ask for a flat config of the family `ae`."""
        name = architecture(ask, general(("conv", "dense", "pca"), context.image_shape), reported)
        if name == "dense":
            dense_layers(ask, self.layers, least_depth=0)  # without a hidden layer it is PCA's linear map
        elif name in ("conv", "pca"):
            conv_layers(ask, context.image_shape, self.layers)
        else:
            self._reported_layers(ask, name)
        if "/" not in name:
            ask.integer("latent_size", self.latent_size, log=True)
        if name in ("dense", "conv"):
            # A sigmoid keeps pixels in [0, 1]; without one, a dense network of depth 0 is PCA's linear map.
            ask.choice("output_activation", ("sigmoid", "none"))
        _regularisation(ask, name)
        training(ask, self.batch_size, FROM_PCA if name == "pca" else PIXEL_ERROR)

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


class VaeSearch(CodeSearch):
    """The dense and convolutional architectures, and the reported ones; likelihood, and the KL's weight."""

    def __call__(self, ask: Ask, context: Context, reported: Sequence[str]) -> None:
        """Ask for a flat config of the family `vae`."""
        name = architecture(ask, general(("conv", "dense"), context.image_shape), reported)
        if name == "dense":
            dense_layers(ask, self.layers, least_depth=1)  # without a hidden layer it is probabilistic PCA
        elif name == "conv":
            conv_layers(ask, context.image_shape, self.layers)
        else:
            dropout(ask)
        if name == "mnist_ae/vae":
            self.ask_hidden_size(ask)
        ask.integer("latent_size", self.latent_size, log=True)
        if "/" in name:
            _corruption(ask, ("none", "gaussian", "bernoulli"), as_reported=True)
        else:
            ask.fix(corruption="none")  # a bound on the probability of spoilt images bounds nothing of clean ones
        ask.choice("likelihood", LIKELIHOODS)
        # Ranked at 1 whatever it is: lower, training has more use of the codes, higher, fewer of them.
        ask.unless("beta", 1.0, (0.25, 4.0), flag="other_beta")
        # Lets the codes be used before the KL closes them (Bowman et al. 2016); one half leaves time at full weight.
        ask.number("beta_warmup", (0.0, 0.5), step=0.1)
        training(ask, self.batch_size, PIXEL_NATS)


@dataclass(frozen=True)
class ClassifierSearch:
    """The general CNN, classifiers on the general encoders, and the reported ones.

    Attributes:
        layers: of the general encoders.
        cnn_depth, cnn_width: stages, each of which halves the image but the first, and channels of the first,
            doubled by each further one.
        latent_size: numbers in an encoder's code.
        batch_size: images.
        augmentations: the kinds that leave an image's class as it is.
        highest_dropout: the upper bound of dropout.
        cnn_blocks: the most in a stage of the general CNN.
        long_training: whether to ask, too, for what is meant for many epochs: cutout, mixing, colour jitter, and what
            `training` asks for then.
    """

    layers: LayerBounds
    cnn_depth: Bounds
    cnn_width: Bounds
    latent_size: Bounds
    batch_size: Bounds
    augmentations: tuple[str, ...] = ("none", "shift", "shift_flip")
    highest_dropout: float = HIGHEST_DROPOUT
    cnn_blocks: int = 1
    long_training: bool = False

    def __call__(self, ask: Ask, context: Context, reported: Sequence[str]) -> None:
        """Ask for a flat config of the family `classifier`; on a given encoder, for what is not its own."""
        if context.encoder is not None:
            self._given(ask, context.encoder)
        else:
            self._layers(
                ask, context, architecture(ask, general(("cnn", "conv", "dense"), context.image_shape), reported)
            )
        # Above 0.2 the target is less certain than good networks are of most images.
        ask.number("label_smoothing", (0.0, 0.2), step=0.05)
        ask.choice("augmentation", self.augmentations)
        if self.long_training:
            ask.option("cutout", (False, True))
            ask.option("mixing", ("none", "mixup", "cutmix"))
            if context.image_shape[0] == 3:  # of grey there is no saturation
                ask.option("colour_jitter", (False, True))
        training(ask, self.batch_size, CROSS_ENTROPY, long_training=self.long_training)

    def _given(self, ask: Ask, encoder: Mapping[str, Any]) -> None:
        ask.fix(**encoder, encoder="given", double_softmax=False)
        ask.choice("encoder_training", ("fine_tuned", "frozen"))
        if encoder["architecture"] == "fashion/classifier":
            ask.fix(relu_logits=False)
        if encoder["architecture"] == "dense" and encoder["depth"] == 0:
            ask.fix(dropout=0.0)  # without a hidden layer there is nothing to drop
        else:
            self._dropout(ask)

    def _layers(self, ask: Ask, context: Context, name: str) -> None:
        # A softmax before the cross entropy's own flattens the gradient: a defect that one report's networks have.
        if name.startswith("cifar_cnn/"):
            ask.choice("double_softmax", (True, False))
            ask.fix(dropout=0.0)  # the layer list has its own
            return
        ask.fix(double_softmax=False)
        if name == "cnn":
            cnn_layers(ask, context.image_shape, self.cnn_depth, self.cnn_width, self.cnn_blocks)
            self._dropout(ask)
            return
        if name == "flowers/classifier":
            ask.fix(latent_size=6400)
            ask.choice("batch_norm", (True, False))
            self._dropout(ask)
        elif name == "fashion/classifier":
            ask.choice("relu_logits", (True, False))
            ask.integer("latent_size", self.latent_size, log=True)
            self._dropout(ask)
        else:
            ask.integer("latent_size", self.latent_size, log=True)
            if name == "conv":
                conv_layers(ask, context.image_shape, self.layers, self.highest_dropout)
            else:
                # without a hidden layer it is a linear classifier
                dense_layers(ask, self.layers, 1, self.highest_dropout)
        _encoder(ask, name)

    def _dropout(self, ask: Ask) -> None:
        dropout(ask, self.highest_dropout)


def _corruption(ask: Ask, kinds: Sequence[str], *, as_reported: bool) -> None:
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
        _corruption(ask, ("gaussian", "bernoulli"), as_reported="/" in name)
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


def _encoder(ask: Ask, name: str) -> None:
    """Ask where the encoder comes from, and for the settings of what it is trained as beside a classifier."""
    source = ask.choice("encoder", ("scratch", "pretrained", "joint"))
    if source == "joint":
        # A cross entropy is of the order of 0.1 to 1, an error per pixel of 0.01: from a tenth of it to ten times.
        ask.number("reconstruction_weight", (1.0, 100.0), log=True)
    elif source == "pretrained":
        ask.choice("encoder_training", ("fine_tuned", "frozen"))
        optimization(ask, PIXEL_ERROR, "pretrain_")
    if source != "scratch" and name in ("conv", "dense"):
        ask.choice("output_activation", ("sigmoid", "none"))
