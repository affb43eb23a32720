"""Classifiers of CIFAR-10: 3×32×32 in 10 classes, 42,000 training, 8,000 validation and 10,000 test images.

Budget: 64 trials of up to 30 epochs, after 10 as an autoencoder where the encoder is pretrained. Searched are the
general CNN, dense and convolutional encoders and where they come from, the layers, the regularisation and the
training, and the report's ladder A to G and GAP with its training; fixed are the data and the epochs.
"""

from __future__ import annotations

from search_spaces._classifiers import ClassifierSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="cifar",
    family="classifier",
    description="CNNs, the report's ladder, and dense and convolutional encoders, scratch, pretrained or joint",
    trials=64,
    epochs=30,
    pretrain_epochs=10,
    search=ClassifierSearch(
        cnn_depth=(2, 4),  # 32 pixels down to 16, or to 4, where the report's ladder ends too
        cnn_width=(16, 64),  # the report's 20 inside; 64 are 512 channels in the fourth stage, and a GPU's work
        conv_depth=(1, 4),  # 32 pixels down to 16, or to 2: one more leaves a single pixel
        conv_width=(16, 128),  # 16 train on a laptop; 128 are 1,024 channels in the fourth stage
        dense_depth=(1, 3),  # without a hidden layer it is a linear classifier
        dense_width=(128, 2048),  # up to where a layer has 6 million weights
        latent_size=(16, 512),  # from little more than classes; with 512 PCA keeps nearly all there is
        batch_size=(32, 512),  # 32 are 1,313 steps an epoch, 512 are 83
    ),
    default={
        "family": "classifier",
        "architecture": "cnn",
        "depth": 3,
        "width": 32,
        "convolutions": 2,
        "residual": True,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "relu",
        "dropout": 0.2,
        "label_smoothing": 0.0,
        "augmentation": "shift_flip",
        "double_softmax": False,
        "optimizer": "adam",
        "lr": 3e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 128,
    },
)
