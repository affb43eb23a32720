"""The configurations that the reports ran, as data. What a report left open is in the entry's note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from search_spaces._data import DATA, ImageShape

Settings = dict[str, Any]


@dataclass(frozen=True)
class Reported:
    """A network with its settings as a report ran it.

    Attributes:
        config: the flat config.
        space: the search space that it is a point of.
        image_shape: (channels, height, width) of the report's images, in pixels.
        num_classes: classes of the report's data set.
        epochs: for how long the report trained it, stage by stage: an encoder that is trained as an
            autoencoder first has two.
        note: what the report left open, and what was chosen here.
    """

    config: dict[str, Any]
    space: str
    image_shape: ImageShape
    num_classes: int
    epochs: tuple[int, ...]
    note: str


def _entry(dataset: str, family: str, epochs: tuple[int, ...], note: str, *settings: Settings, **more: Any) -> Reported:
    config: dict[str, Any] = {"family": family}
    for part in (*settings, more):
        config |= part
    data = DATA[dataset]
    return Reported(config, f"{dataset}_{family}", data.image_shape, data.num_classes, epochs, note)


_ADAM: Settings = {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}
_SGD: Settings = {"optimizer": "sgd", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
_ADAGRAD: Settings = {"optimizer": "adagrad", "lr": 0.001, "weight_decay": 0.0}
_RMSPROP: Settings = {"optimizer": "rmsprop", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
_SCHEDULE: Settings = {"schedule": "constant"}
_CLEAN: Settings = {"corruption": "none"}
_UNPENALISED: Settings = {"sparsity": 0.0, "contraction": 0.0}
_SUPERVISED: Settings = {"label_smoothing": 0.0, "augmentation": "none", "double_softmax": False}


# --- cifar_ae: CIFAR-10 autoencoders against PCA, January 2025 ---------------------------------------------------

_CIFAR_AE: Settings = {"latent_size": 108, "dropout": 0.0, "batch_size": 35, **_CLEAN, **_UNPENALISED, **_SCHEDULE}
_CIFAR_AE_NOTE = (
    "The report names Adam and SGD, and its table does not say which it used: {}. "
    "It trained on all 50,000 images, without a validation split."
)
_CIFAR_AE_OPTIMIZERS = {
    "": (_ADAM, "this is Adam, the default that it gives with lr 0.001"),
    "_sgd": (_SGD, "this is SGD; its lr is not given, chosen is the named 0.001, without momentum"),
}


def _cifar_ae() -> Iterator[tuple[str, Reported]]:
    for suffix, (optimizer, words) in _CIFAR_AE_OPTIMIZERS.items():
        for pair in ("1+1", "1+2", "2+1", "2+2"):
            name, note = f"cifar_ae/{pair}", _CIFAR_AE_NOTE.format(words)
            yield name + suffix, _entry("cifar", "ae", (100,), note, _CIFAR_AE, optimizer, architecture=name)


# --- mnist_ae: MNIST autoencoder, VAE and convolutional VAE against PCA, January 2023 ----------------------------

_MNIST_AE: Settings = {"latent_size": 20, "dropout": 0.0, "batch_size": 32, **_CLEAN, **_ADAM, **_SCHEDULE}
_MNIST_VAE: Settings = {"likelihood": "bernoulli", "beta": 1.0, "beta_warmup": 0.0}
_HIDDEN: Settings = {"hidden_size": 400}
_MNIST_NOTE = (
    "Not given, chosen: {}, a code of 20, Adam with lr 0.001 (the report's optimizer and rate are options). "
    "It trained on 60 % of the images, without saying of which, for up to 100 epochs."
)
_MNIST_VAE_NOTE = " Chosen too: the cross entropy of grey levels as the reconstruction loss, which is not named."
_MNIST_INPUTS: dict[str, tuple[Settings, str]] = {
    "": ({}, ""),
    "_bernoulli": (
        {"corruption": "bernoulli", "target": "input"},
        " The images are binarised at 0.5 as they are read, so that is what is to come out too.",
    ),
    "_gaussian": (
        {"corruption": "gaussian", "corruption_std": 0.3, "target": "clean"},
        " The noise is to be removed; its standard deviation is not given, 0.3 chosen.",
    ),
}
_MNIST_CODES: dict[str, tuple[Settings, str]] = {
    f"_z{size}": ({"latent_size": size}, f" The latent sizes that it varied are not given: here {size}.")
    for size in (2, 64)
}


def _mnist_ae() -> Iterator[tuple[str, Reported]]:
    sizes, channels = _MNIST_NOTE.format("hidden layers of 400"), _MNIST_NOTE.format("all channels")
    vaes = _MNIST_INPUTS | _MNIST_CODES
    networks = {
        "dense": ("ae", {**_UNPENALISED, **_HIDDEN}, sizes, _MNIST_INPUTS),
        "vae": ("vae", {**_MNIST_VAE, **_HIDDEN}, sizes + _MNIST_VAE_NOTE, vaes),
        "vae_cnn": ("vae", _MNIST_VAE, channels + _MNIST_VAE_NOTE, vaes),
    }
    for network, (family, layers, note, variants) in networks.items():
        for suffix, (changes, words) in variants.items():
            settings = {"architecture": f"mnist_ae/{network}", **_MNIST_AE, **layers, **changes}
            yield f"mnist_ae/{network}{suffix}", _entry("mnist", family, (100,), note + words, settings)


# --- flowers: Oxford Flowers-102 autoencoder and classifier ------------------------------------------------------

_FLOWERS: Settings = {"latent_size": 6400, "batch_norm": True, "dropout": 0.0, "batch_size": 128, **_SCHEDULE}
_FLOWERS_NOTE = (
    "Not given, chosen: batch size 128, which its comments show; dropout after the classifier's hidden linear layers "
    "alone; L2 in both stages. It chose its settings by looking at the test images."
)
_FLOWERS_RATE = " The learning rate is named for Adam only: the same 0.001 chosen, as its code sets it."


def _flowers_classifier(
    first: Settings, then: Settings, epochs: int = 30, *, words: str = "", **changes: Any
) -> Reported:
    before = {f"pretrain_{key}": value for key, value in first.items()}
    source = {"architecture": "flowers/classifier", "encoder": "pretrained", "encoder_training": "fine_tuned"}
    note = _FLOWERS_NOTE + words
    parts = (_FLOWERS, _SUPERVISED, source, before, then)
    return _entry("flowers", "classifier", (epochs, epochs), note, *parts, **changes)


def _flowers() -> Iterator[tuple[str, Reported]]:
    layers = {"architecture": "flowers/ae", **_FLOWERS, **_CLEAN, **_UNPENALISED}
    yield "flowers/ae", _entry("flowers", "ae", (30,), _FLOWERS_NOTE, layers, _ADAM)
    yield "flowers/batch_norm", _flowers_classifier(_ADAM, _ADAM)
    yield "flowers/no_batch_norm", _flowers_classifier(_ADAM, _ADAM, batch_norm=False)
    for optimizer in (_SGD, _ADAGRAD, _RMSPROP):
        yield f"flowers/{optimizer['optimizer']}", _flowers_classifier(optimizer, optimizer, words=_FLOWERS_RATE)
    yield "flowers/adam", _flowers_classifier(_ADAM, _ADAM, words=" The same configuration as flowers/batch_norm.")
    for p in (0.25, 0.5, 0.75):
        yield f"flowers/adagrad_dropout{p}", _flowers_classifier(_ADAGRAD, _ADAGRAD, words=_FLOWERS_RATE, dropout=p)
    for l2 in (0.007, 0.01):
        optimizer = {**_ADAGRAD, "weight_decay": l2}
        yield f"flowers/adagrad_l2_{l2}", _flowers_classifier(optimizer, optimizer, words=_FLOWERS_RATE)
    final = _flowers_classifier(_ADAM, _ADAGRAD, 40, words=_FLOWERS_RATE, dropout=0.25)
    yield "flowers/final", final
    scratch = {key: value for key, value in final.config.items() if not key.startswith(("pretrain_", "encoder_"))}
    words = " As printed, the second stage builds a fresh autoencoder: this is the final model without the first."
    yield (
        "flowers/final_scratch",
        _entry("flowers", "classifier", (40,), final.note + words, scratch, encoder="scratch"),
    )


# --- cifar_cnn: a ladder of CIFAR-10 classifiers, November 2022 --------------------------------------------------

_CIFAR_CNN: Settings = {"dropout": 0.0, "batch_size": 128, **_SUPERVISED, **_ADAM, **_SCHEDULE, "double_softmax": True}
_CIFAR_CNN_NOTE = (
    "Not named, chosen: Adam and batch size 128; lr 0.001 is named for A. The softmax before the loss is the "
    "report's last layer; that the loss applies another is inferred, the trainer is not printed."
)
_NO_EPOCHS = " Its epochs are not given: {}."
_CIFAR_CNN_LADDER: dict[str, tuple[int, str]] = {
    "A": (150, _NO_EPOCHS.format("150 chosen, as B has; A is said to improve from epoch 140 on")),
    "B": (150, ""),
    "C": (16, ""),
    "D": (16, _NO_EPOCHS.format("16 chosen, as C has")),
    "E": (16, _NO_EPOCHS.format("16 chosen, as C has")),
    "F": (16, _NO_EPOCHS.format("16 chosen, as C has")),
    "G": (120, _NO_EPOCHS.format("120 chosen, as GAP has")),
    "GAP": (120, ""),
    "GAP_240": (240, " The report went on for 120 epochs after GAP's; this is one run of 240."),
}


def _cifar_cnn() -> Iterator[tuple[str, Reported]]:
    for rung, (epochs, words) in _CIFAR_CNN_LADDER.items():
        name, note = f"cifar_cnn/{rung.removesuffix('_240')}", _CIFAR_CNN_NOTE + words
        yield f"cifar_cnn/{rung}", _entry("cifar", "classifier", (epochs,), note, _CIFAR_CNN, architecture=name)


# --- fashion: Fashion-MNIST autoencoder and a classifier on its encoder, November 2024 ---------------------------

_FASHION: Settings = {"latent_size": 64, "dropout": 0.2, "batch_size": 100, **_ADAM, **_SCHEDULE}
_FASHION_NOTE = "Not given, chosen: the transposed convolutions' kernels, 5 and 4. It trained on all 60,000 images."
_FASHION_HEAD_NOTE = (
    "The first stage is the base model's. Not given for the second, chosen: cross entropy, Adam with lr 0.001, "
    "15 epochs, p = 0.2, batches of 100. The ReLU on the logits is the report's."
)
_FASHION_VARIANTS: dict[str, tuple[Settings, str]] = {
    "base": ({}, ""),
    "p0.1": ({"dropout": 0.1}, ""),
    "p0.1_n256": ({"dropout": 0.1, "latent_size": 256}, ""),
    "sgd": (_SGD, " Of the SGD run only the optimizer is named: p and n of the base model and its lr 0.001 chosen."),
}


def _fashion() -> Iterator[tuple[str, Reported]]:
    layers = {"architecture": "fashion/ae", **_FASHION, **_CLEAN, **_UNPENALISED}
    for variant, (changes, words) in _FASHION_VARIANTS.items():
        yield f"fashion/{variant}", _entry("fashion", "ae", (15,), _FASHION_NOTE + words, layers, changes)
    before = {f"pretrain_{key}": value for key, value in _ADAM.items()}
    head = {"architecture": "fashion/classifier", "relu_logits": True, **_FASHION, **_SUPERVISED, **before}
    for word, training in {"finetuned": "fine_tuned", "frozen": "frozen"}.items():
        source = {"encoder": "pretrained", "encoder_training": training}
        note = f"{_FASHION_HEAD_NOTE} {_FASHION_NOTE}"
        yield f"fashion/classifier_{word}", _entry("fashion", "classifier", (15, 15), note, head, source)


REPORTED: Mapping[str, Reported] = MappingProxyType(
    {**dict(_cifar_ae()), **dict(_mnist_ae()), **dict(_flowers()), **dict(_cifar_cnn()), **dict(_fashion())}
)


def reported_for(space: str, image_shape: ImageShape) -> dict[str, Reported]:
    """Return the reported configurations that are points of `space` on images of this shape, by key."""
    return {key: entry for key, entry in REPORTED.items() if entry.space == space and entry.image_shape == image_shape}
