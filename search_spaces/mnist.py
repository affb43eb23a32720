"""MNIST: 1×28×28 in 10 classes, 54,000 images for training, 6,000 for validation, 10,000 for testing.

Budget: 48 trials of up to 20 epochs (ae), 30 (vae) or 15 (classifier, after 5 as an autoencoder where the encoder is
pretrained). Searched are the general architectures with their layers, the code's size, the regularisation and the
training, and the networks of the report with their layers, inputs and training; of a VAE the likelihood and the KL's
weight and warm-up, of a classifier where its encoder comes from. Fixed are the data and the epochs. Digits are not
mirrored, and no report classified these images.

PCA's test MSE, clipped to [0, 1], which an autoencoder has to beat at the same number of components: 0.001068 at 256,
0.003402 at 128, 0.007751 at 64, 0.015207 at 32 (`study baseline --data mnist`). Of a VAE's nats probabilistic PCA has
1,527 at 64 and 1,555 at 128.
"""

from __future__ import annotations

from collections.abc import Iterator

from search_spaces import _searches as searches
from search_spaces._dataset import DatasetSpec
from search_spaces._layers import LayerBounds
from search_spaces._reported import ADAM, CLEAN, SCHEDULE, UNPENALISED, Reported, ReportedSplit, Settings, entry
from search_spaces._space import Space

DATASET = DatasetSpec(
    name="mnist",
    title="MNIST",
    image_shape=(1, 28, 28),
    class_names=tuple("0123456789"),
    split=(
        "10 % of the 60,000 training images held out for validation, stratified, seeded, and the official "
        "test set; a deviation: the report split 60/40 into train and evaluation, without saying of what."
    ),
    sizes={"train": 54_000, "val": 6_000, "test": 10_000},
    source="http://yann.lecun.com/exdb/mnist/",
    licence="CC BY-SA 3.0",
    validation="stratified",
    torchvision_class="MNIST",
    folder="MNIST/raw",
    download_mib=11,
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)

_LAYERS = LayerBounds(
    dense_depth=3,  # a fourth hidden layer learns slower than it helps
    dense_width=(64, 1024),  # up to where the first layer has a feature for each of the 784 pixels, and more
    conv_depth=(1, 4),  # 28 pixels down to 14, or to 2
    conv_width=(8, 64),  # strokes need few kinds of edges; 64 are 512 channels in the fourth stage
)
_HIDDEN_SIZE = (64, 1024)  # as the dense width; 400 is what this project chose for the report
_BATCH_SIZE = (32, 512)  # the report's 32, 1,688 steps an epoch; 512 are 106
_DENSE = {"architecture": "dense", "depth": 2, "width": 512, "batch_norm": False, "batch_size": 128}


_MNIST_SPLIT = ReportedSplit(
    36_000,
    24_000,
    "60/40 train/evaluation of the 60,000 training images, at random; whether of these or of all 70,000 is not said.",
)
_MNIST_AE: Settings = {"latent_size": 20, "dropout": 0.0, "batch_size": 32, **CLEAN, **ADAM, **SCHEDULE}
_MNIST_VAE: Settings = {"likelihood": "bernoulli", "beta": 1.0, "beta_warmup": 0.0}
_HIDDEN_400: Settings = {"hidden_size": 400}
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
_MNIST_SPARSE: dict[str, tuple[Settings, str]] = {
    "_sparse": (
        {"latent_size": 1024, "hidden_size": 1024, "sparsity": 0.001},
        " A sparse autoencoder, which the report defines and shows no run of: a code wider than the input, of which a "
        "small part fires. Chosen: 1,024 numbers, in the hidden layers as well, so that none is narrower than the "
        "784 pixels, and 0.001 of the codes' mean absolute value in the loss.",
    ),
}
_MNIST_PIXEL_MEAN: dict[str, tuple[Settings, str]] = {
    "_pixel_mean": (
        {"beta": 784.0},
        " Whether the reconstruction loss is the pixels' sum or their mean is not said. Here it is the mean, as "
        "torch.mean gives it: beside it the KL divergence weighs 784 times as much, β = 784 of the sum.",
    ),
}


def _mnist_ae() -> Iterator[tuple[str, Reported]]:
    sizes, channels = _MNIST_NOTE.format("hidden layers of 400"), _MNIST_NOTE.format("all channels")
    aes_deciding = {"_z2": _MNIST_CODES["_z2"]} | _MNIST_SPARSE
    aes, vaes = _MNIST_INPUTS | aes_deciding, _MNIST_INPUTS | _MNIST_CODES | _MNIST_PIXEL_MEAN
    training = ("latent_size", "optimizer", "lr", "which images")
    networks = {
        "dense": ("ae", {**UNPENALISED, **_HIDDEN_400}, sizes, aes),
        "vae": ("vae", {**_MNIST_VAE, **_HIDDEN_400}, sizes + _MNIST_VAE_NOTE, vaes),
        "vae_cnn": ("vae", _MNIST_VAE, channels + _MNIST_VAE_NOTE, vaes),
    }
    for network, (family, layers, note, variants) in networks.items():
        for suffix, (changes, words) in variants.items():
            settings = {"architecture": f"mnist_ae/{network}", **_MNIST_AE, **layers, **changes}
            left: tuple[str, ...] = ("hidden_size" if layers is not _MNIST_VAE else "channels", *training)
            left += ("reconstruction loss",) * (family == "vae") + ("corruption_std",) * (suffix == "_gaussian")
            left += ("sparsity",) * (suffix == "_sparse")
            searched = suffix not in (aes_deciding if family == "ae" else _MNIST_PIXEL_MEAN)
            config = entry(
                DATASET,
                family,
                (100,),
                note + words,
                settings,
                split=_MNIST_SPLIT,
                open_choices=left,
                in_search=searched,
            )
            yield f"mnist_ae/{network}{suffix}", config


REPORTED = dict(_mnist_ae())

SPACES = (
    Space(
        data=DATASET,
        family="ae",
        description="dense, convolutional and PCA-based autoencoders and the report's dense one, codes of 2 to 256",
        trials=48,
        epochs=20,
        search=searches.AutoencoderSearch(
            _LAYERS,
            latent_size=(2, 256),  # 2 can be drawn as a map; with 154 components PCA keeps 95 % of the variance
            batch_size=_BATCH_SIZE,
            hidden_size=_HIDDEN_SIZE,
        ),
        default={**searches.DEFAULT_AE, **_DENSE, "latent_size": 32, "output_activation": "sigmoid", "lr": 1e-3},
        reported=REPORTED,
    ),
    Space(
        data=DATASET,
        family="vae",
        description="dense and convolutional VAEs and the report's two, codes of 2 to 64 numbers",
        trials=48,
        epochs=30,
        search=searches.VaeSearch(
            _LAYERS,
            latent_size=(2, 64),  # 2 can be drawn as a map; of 64 the KL closes most on digits
            batch_size=_BATCH_SIZE,
            hidden_size=_HIDDEN_SIZE,
        ),
        default={**searches.DEFAULT_VAE, **_DENSE, "latent_size": 20},
        reported=REPORTED,
    ),
    Space(
        data=DATASET,
        family="classifier",
        description="CNNs, and dense and convolutional encoders, from scratch, pretrained or joint",
        trials=48,
        epochs=15,
        pretrain_epochs=5,
        search=searches.ClassifierSearch(
            _LAYERS,
            cnn_depth=(2, 4),  # 28 pixels down to 14, or to 4
            cnn_width=(8, 64),  # as the convolutional encoder's
            latent_size=(8, 256),  # from fewer than classes; with 154 components PCA keeps 95 % of the variance
            batch_size=_BATCH_SIZE,
            augmentations=("none", "shift"),
        ),
        default={**searches.DEFAULT_CLASSIFIER, "depth": 3, "width": 16, "batch_size": 128},
    ),
)
