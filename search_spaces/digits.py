"""scikit-learn's digits: 1,797 images of 1×8×8 in 10 classes, 1,257 of them for training; no report used them.

Offline and small, so that they are what is tried first: 32 trials of up to 30 epochs take some minutes on two cores.
Searched are the general architectures with their layers, the code's size, the regularisation and the training; of a
VAE the likelihood and the KL's weight and warm-up, of a classifier where its encoder comes from (after 10 epochs as an
autoencoder where it is pretrained). Fixed are the data and the epochs. Digits are not mirrored.
"""

from __future__ import annotations

from search_spaces import _searches as searches
from search_spaces._dataset import DatasetSpec
from search_spaces._layers import LayerBounds
from search_spaces._space import Space

DATASET = DatasetSpec(
    name="digits",
    title="Digits (8×8, scikit-learn's copy of the UCI set)",
    image_shape=(1, 8, 8),
    class_names=tuple("0123456789"),
    split="70/15/15 train/validation/test of the 1,797 images, stratified, seeded; no report used this set.",
    sizes={"train": 1257, "val": 270, "test": 270},
    source="https://archive.ics.uci.edu/dataset/80 (bundled with scikit-learn)",
    licence="CC BY 4.0",
    validation="three_way",
    preparation="Pixels of 0 to 16 are scaled to 0 to 255, so that 16 becomes 1.0.",
)

_LAYERS = LayerBounds(
    dense_depth=3,  # deeper, 1,257 images are overfitted
    dense_width=(32, 512),  # from half the 64 pixels to eight times as many
    # Seconds of an epoch, with one thread, in times of the default's (dense, 256 wide): 2 stages of 16 have 2 to 4, 3
    # of 32 with kernels of 5 have 9, and 26 where they start from PCA, so that few of them take most of a study.
    conv_depth=(1, 2),  # a third stage would leave one pixel
    conv_width=(4, 16),
)
_BATCH_SIZE = (16, 128)  # 16 are 79 steps an epoch; above 128, 30 epochs have under 300 steps
_DENSE = {"architecture": "dense", "latent_size": 8, "depth": 1, "width": 256, "batch_norm": False}


SPACES = (
    Space(
        data=DATASET,
        family="ae",
        description="dense, convolutional and PCA-based autoencoders, codes of 2 to 16 numbers; seconds a trial",
        trials=32,
        epochs=30,
        search=searches.AutoencoderSearch(
            _LAYERS,
            latent_size=(2, 16),  # 2 can be drawn as a map; above 16, a quarter of the pixels, PCA is hard to beat
            batch_size=_BATCH_SIZE,
        ),
        default={**searches.DEFAULT_AE, **_DENSE, "output_activation": "sigmoid", "lr": 3e-3, "batch_size": 32},
    ),
    Space(
        data=DATASET,
        family="vae",
        description="dense and convolutional VAEs, codes of 2 to 16 numbers; seconds a trial",
        trials=32,
        epochs=30,
        search=searches.VaeSearch(
            _LAYERS,
            latent_size=(2, 16),  # 2 can be drawn as a map; the KL closes codes that 64 pixels have no use for
            batch_size=_BATCH_SIZE,
        ),
        default={**searches.DEFAULT_VAE, **_DENSE, "lr": 3e-3, "batch_size": 32},
    ),
    Space(
        data=DATASET,
        family="classifier",
        description="CNNs, and dense and convolutional encoders, scratch, pretrained or joint; seconds a trial",
        trials=32,
        epochs=30,
        pretrain_epochs=10,
        search=searches.ClassifierSearch(
            _LAYERS,
            cnn_depth=(1, 2),  # 8 pixels as they are, or 4; with a third stage of 256 channels an epoch takes 20 s
            cnn_width=(8, 32),
            latent_size=(8, 64),  # from fewer than classes to as many as pixels
            batch_size=_BATCH_SIZE,
            augmentations=("none", "shift"),
        ),
        default={**searches.DEFAULT_CLASSIFIER, "depth": 2, "width": 16, "convolutions": 2, "batch_size": 32},
    ),
)
