"""Fashion-MNIST: 1×28×28 in 10 classes, 54,000 images for training, 6,000 for validation, 10,000 for testing.

Budget: 48 trials of up to 20 epochs (ae, and classifier after 10 as an autoencoder where the encoder is pretrained) or
30 (vae). Searched are the general architectures with their layers, the code's size, the regularisation and the
training, and the networks of the report with their dropout, code and training; of a VAE the likelihood and the KL's
weight and warm-up, of a classifier where its encoder comes from. Fixed are the data and the epochs. No report ran a
VAE on these images.

PCA's test MSE, clipped to [0, 1], which an autoencoder has to beat at the same number of components: 0.002739 at 256,
0.005909 at 128, 0.009836 at 64, 0.014494 at 32 (`study baseline --data fashion`). Of a VAE's nats probabilistic PCA has
2,394 at 128 and 2,405 at 256.
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
    name="fashion",
    title="Fashion-MNIST",
    image_shape=(1, 28, 28),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    split=(
        "10 % of the 60,000 training images held out for validation, stratified, seeded, and the official "
        "test set; a deviation: the report trained on all 60,000 and validated on the test images."
    ),
    sizes={"train": 54_000, "val": 6_000, "test": 10_000},
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    validation="stratified",
    torchvision_class="FashionMNIST",
    folder="FashionMNIST/raw",
    download_mib=30,
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)

_LAYERS = LayerBounds(
    dense_depth=3,  # a fourth hidden layer learns slower than it helps
    dense_width=(64, 1024),  # up to where the first layer has a feature for each of the 784 pixels, and more
    conv_depth=(1, 4),  # 28 pixels down to 14, or to 2
    conv_width=(8, 64),  # the report's 16 inside, 8 find edges; 64 are 512 channels in the fourth stage
    residual_blocks=2,
)
_BATCH_SIZE = (32, 512)  # the report's 100 inside; 32 are 1,688 steps an epoch, 512 are 106
_CONV = {"architecture": "conv", "depth": 2, "width": 16, "kernel_size": 3, "batch_norm": True}


_FASHION_SPLIT = ReportedSplit(
    60_000, 0, "All 60,000 training images, no validation split: what the report validates on seems to be the test set."
)
_FASHION: Settings = {"latent_size": 64, "dropout": 0.2, "batch_size": 100, **ADAM, **SCHEDULE}
_FASHION_NOTE = "Not given, chosen: the transposed convolutions' kernels, 5 and 4. It trained on all 60,000 images."
_FASHION_OPEN = ("kernel sizes",)
_FASHION_HEAD_OPEN = ("loss", "optimizer", "lr", "epochs", "dropout", "batch_size")
_FASHION_HEAD_NOTE = (
    "The first stage is the base model's. Not given for the second, chosen: cross entropy, Adam with lr 0.001, "
    "15 epochs, p = 0.2, batches of 100. The ReLU on the logits is the report's."
)
_FASHION_VARIANTS: dict[str, tuple[Settings, str]] = {
    "base": ({}, ""),
    "p0.1": ({"dropout": 0.1}, ""),
    "p0.1_n256": ({"dropout": 0.1, "latent_size": 256}, ""),
    "sgd": (SGD, " Of the SGD run only the optimizer is named: p and n of the base model and its lr 0.001 chosen."),
}


def _fashion() -> Iterator[tuple[str, Reported]]:
    layers = {"architecture": "fashion/ae", **_FASHION, **CLEAN, **UNPENALISED}
    for variant, (changes, words) in _FASHION_VARIANTS.items():
        left = (*_FASHION_OPEN, *(("dropout", "latent_size", "lr") if variant == "sgd" else ()))
        note = _FASHION_NOTE + words
        config = entry(DATASET, "ae", (15,), note, layers, changes, split=_FASHION_SPLIT, open_choices=left)
        yield f"fashion/{variant}", config
    before = {f"pretrain_{key}": value for key, value in ADAM.items()}
    head = {"architecture": "fashion/classifier", "relu_logits": True, **_FASHION, **SUPERVISED, **before}
    for word, training in {"finetuned": "fine_tuned", "frozen": "frozen"}.items():
        source = {"encoder": "pretrained", "encoder_training": training}
        note = f"{_FASHION_HEAD_NOTE} {_FASHION_NOTE}"
        left = (*_FASHION_HEAD_OPEN, *_FASHION_OPEN)
        config = entry(DATASET, "classifier", (15, 15), note, head, source, split=_FASHION_SPLIT, open_choices=left)
        yield f"fashion/classifier_{word}", config


REPORTED = dict(_fashion())

SPACES = (
    Space(
        data=DATASET,
        family="ae",
        description="dense, convolutional and PCA-based autoencoders and the report's, codes of 4 to 256 numbers",
        trials=48,
        epochs=20,
        search=searches.AutoencoderSearch(
            _LAYERS,
            latent_size=(4, 256),  # the report's 64 and 256; 4 tell shirts from shoes and little more
            batch_size=_BATCH_SIZE,
        ),
        default={
            **searches.DEFAULT_AE,
            **_CONV,
            "latent_size": 64,
            "output_activation": "sigmoid",
            "lr": 2e-3,
            "batch_size": 100,
        },
        reported=REPORTED,
    ),
    Space(
        data=DATASET,
        family="vae",
        description="dense and convolutional VAEs, codes of 2 to 128 numbers",
        trials=48,
        epochs=30,
        search=searches.VaeSearch(
            _LAYERS,
            latent_size=(2, 128),  # 2 can be drawn as a map; textures use more codes than digits, but not more than 128
            batch_size=_BATCH_SIZE,
        ),
        default={**searches.DEFAULT_VAE, **_CONV, "latent_size": 32, "batch_size": 128},
    ),
    Space(
        data=DATASET,
        family="classifier",
        description="CNNs, dense and convolutional encoders and the report's, from scratch, pretrained or joint",
        trials=48,
        epochs=20,
        pretrain_epochs=10,
        search=searches.ClassifierSearch(
            _LAYERS,
            cnn_depth=(2, 4),  # 28 pixels down to 14, or to 4
            cnn_width=(16, 64),  # below 16 textures are lost; 64 are 512 channels in the fourth stage
            cnn_blocks=2,  # CIFAR-10's networks gain by a second; a third takes half the time again
            long_training=True,
            latent_size=(8, 256),  # from fewer than classes; the report's 64 inside, and its best autoencoder's 256
            batch_size=_BATCH_SIZE,
        ),
        default={**searches.DEFAULT_CLASSIFIER, "depth": 3, "width": 32, "dropout": 0.2, "batch_size": 128},
        reported=REPORTED,
    ),
)
