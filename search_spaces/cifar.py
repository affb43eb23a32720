"""CIFAR-10: 3×32×32 in 10 classes, 42,000 images for training, 8,000 for validation, 10,000 for testing.

Budget: 64 trials of up to 30 epochs, of a classifier after 10 as an autoencoder where the encoder is pretrained.
Searched are the general architectures with their layers, the code's size, the regularisation and the training, and
the networks of two reports with their training: four autoencoders, and the ladder of classifiers A to G and GAP; of a
VAE the likelihood and the KL's weight and warm-up, of a classifier where its encoder comes from. Fixed are the data
and the epochs. No report ran a VAE on these images.

PCA's test MSE, not clipped to [0, 1], which an autoencoder has to beat at the same number of components: 0.001019 at
512, 0.002615 at 256, 0.005810 at 108, 0.012445 at 32. The default autoencoder starts from PCA: convolutional networks
alone take long to come near.
"""

from __future__ import annotations

from collections.abc import Iterator

from search_spaces import _searches as searches
from search_spaces._dataset import DatasetSpec
from search_spaces._layers import LayerBounds
from search_spaces._reported import (
    ADAM,
    CLEAN,
    SCHEDULE,
    SGD,
    SUPERVISED,
    UNPENALISED,
    Reported,
    ReportedSplit,
    Settings,
    entry,
)
from search_spaces._space import Space

DATASET = DatasetSpec(
    name="cifar",
    title="CIFAR-10",
    image_shape=(3, 32, 32),
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    split=(
        "42,000/8,000 train/validation of the training images, random, seeded, and the official test set, as "
        "in the classifiers' report; a deviation from the autoencoders' report, which trained on all 50,000."
    ),
    sizes={"train": 42_000, "val": 8_000, "test": 10_000},
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
    validation="random",
    torchvision_class="CIFAR10",
    folder="cifar-10-batches-py",
    download_mib=163,
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)

_LAYERS = LayerBounds(
    dense_depth=3,  # more than a dense network can use on photographs
    dense_width=(128, 2048),  # around the code's size, up to where a layer has 6 million weights
    conv_depth=(1, 4),  # 32 pixels down to 16, or to 2: one more leaves a single pixel
    conv_width=(16, 128),  # 16 train on a laptop; 128 are 1,024 channels in the fourth stage
    residual_blocks=2,
)
_BATCH_SIZE = (32, 512)  # 32 are 1,313 steps an epoch, 512 are 83


# --- the report cifar_ae: autoencoders against PCA, January 2025

_CIFAR_AE_SPLIT = ReportedSplit(
    50_000, 0, "All 50,000 training images, no validation split: the report looked at the test images in every epoch."
)
_CIFAR_AE: Settings = {"latent_size": 108, "dropout": 0.0, "batch_size": 35, **CLEAN, **UNPENALISED, **SCHEDULE}
_CIFAR_AE_NOTE = (
    "The report names Adam and SGD, and its table does not say which it used: {}. "
    "It trained on all 50,000 images, without a validation split."
)
_CIFAR_AE_OPTIMIZERS = {
    "": (ADAM, "this is Adam, the default that it gives with lr 0.001", ("optimizer",)),
    "_sgd": (
        SGD,
        "this is SGD; its lr is not given, chosen is the named 0.001, without momentum",
        ("optimizer", "lr", "momentum"),
    ),
}


def _cifar_ae() -> Iterator[tuple[str, Reported]]:
    for suffix, (optimizer, words, left) in _CIFAR_AE_OPTIMIZERS.items():
        for pair in ("1+1", "1+2", "2+1", "2+2"):
            name, note = f"cifar_ae/{pair}", _CIFAR_AE_NOTE.format(words)
            settings = {**_CIFAR_AE, **optimizer, "architecture": name}
            yield (
                name + suffix,
                entry(DATASET, "ae", (100,), note, settings, split=_CIFAR_AE_SPLIT, open_choices=left),
            )


# --- the report cifar_cnn: a ladder of classifiers, November 2022

_CIFAR_CNN_SPLIT = ReportedSplit(42_000, 8_000, "42,000/8,000 train/validation of the training images, at random.")
_CIFAR_CNN: Settings = {"dropout": 0.0, "batch_size": 128, **SUPERVISED, **ADAM, **SCHEDULE, "double_softmax": True}
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
    "GAP_240": (
        240,
        " The report went on for 120 epochs after GAP's. So does this: with the same seeds and a constant rate a run "
        "of 240 epochs passes through GAP's network. That the optimizer went on, and was no new one, is assumed.",
    ),
}


def _cifar_cnn() -> Iterator[tuple[str, Reported]]:
    for rung, (epochs, words) in _CIFAR_CNN_LADDER.items():
        name, note = f"cifar_cnn/{rung.removesuffix('_240')}", _CIFAR_CNN_NOTE + words
        left = ("optimizer", "batch_size", "double_softmax", *(["lr"] * (rung != "A")))
        left += ("epochs",) * words.startswith(_NO_EPOCHS[:20])
        settings = {**_CIFAR_CNN, "architecture": name}
        yield (
            f"cifar_cnn/{rung}",
            entry(DATASET, "classifier", (epochs,), note, settings, split=_CIFAR_CNN_SPLIT, open_choices=left),
        )


REPORTED = {**dict(_cifar_ae()), **dict(_cifar_cnn())}

SPACES = (
    Space(
        data=DATASET,
        family="ae",
        description="dense, convolutional and PCA-based autoencoders and the report's four, codes of 8 to 512 numbers",
        trials=64,
        epochs=30,
        search=searches.AutoencoderSearch(
            _LAYERS,
            latent_size=(8, 512),  # the report's PCA ends at 512, a sixth of the 3,072 pixels; 8 are a blur
            batch_size=(16, 512),  # the report's 35 inside; 512 are 83 steps an epoch
        ),
        default={
            **searches.DEFAULT_AE,
            "architecture": "pca",
            "latent_size": 108,
            "depth": 2,
            "width": 16,
            "kernel_size": 3,
            "batch_norm": False,
            "lr": 1e-3,
            "batch_size": 64,
        },
        reported=REPORTED,
    ),
    Space(
        data=DATASET,
        family="vae",
        description="dense and convolutional VAEs, codes of 16 to 512 numbers",
        trials=64,
        epochs=30,
        search=searches.VaeSearch(
            _LAYERS,
            latent_size=(16, 512),  # 16 are a blur; with 512, a sixth of the pixels, PCA keeps nearly all there is
            batch_size=_BATCH_SIZE,
        ),
        default={
            **searches.DEFAULT_VAE,
            "architecture": "conv",
            "latent_size": 128,
            "depth": 2,
            "width": 32,
            "kernel_size": 3,
            "batch_norm": True,
            "batch_size": 64,
        },
    ),
    Space(
        data=DATASET,
        family="classifier",
        description="CNNs, the report's ladder, and dense and convolutional encoders, scratch, pretrained or joint",
        trials=64,
        epochs=30,
        pretrain_epochs=10,
        search=searches.ClassifierSearch(
            _LAYERS,
            cnn_depth=(2, 4),  # 32 pixels down to 16, or to 4, where the report's ladder ends too
            cnn_width=(16, 64),  # the report's 20 inside; 64 are 512 channels in the fourth stage, and a GPU's work
            # After 6 epochs 77.4 % with one and 83.1 % with two; three are a ResNet-20 (He et al. 2015).
            cnn_blocks=3,
            long_training=True,
            latent_size=(16, 512),  # from little more than classes; with 512 PCA keeps nearly all there is
            batch_size=_BATCH_SIZE,
        ),
        default={
            **searches.DEFAULT_CLASSIFIER,
            "depth": 3,
            "width": 32,
            "convolutions": 2,
            "residual": True,
            "dropout": 0.2,
            "augmentation": "shift_flip",
            "batch_size": 128,
        },
        reported=REPORTED,
    ),
)
