"""Classifiers of MNIST: 1×28×28 in 10 classes, 54,000 training, 6,000 validation and 10,000 test images.

Budget: 48 trials of up to 15 epochs, after 5 as an autoencoder where the encoder is pretrained. Searched are the
general CNN, dense and convolutional encoders and where they come from, the layers, the regularisation and the
training; fixed are the data and the epochs. Digits are not mirrored. No report classified these images.
"""

from __future__ import annotations

from search_spaces._classifiers import ClassifierSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="mnist",
    family="classifier",
    description="CNNs, and dense and convolutional encoders, from scratch, pretrained or joint",
    trials=48,
    epochs=15,
    pretrain_epochs=5,
    search=ClassifierSearch(
        cnn_depth=(2, 4),  # 28 pixels down to 14, or to 4
        cnn_width=(8, 64),  # strokes need few kinds of edges; 64 are 512 channels in the fourth stage
        conv_depth=(1, 4),  # 28 pixels down to 14, or to 2
        conv_width=(8, 64),  # as the CNN's
        dense_depth=(1, 3),  # without a hidden layer it is a linear classifier
        dense_width=(64, 1024),  # up to where the first layer has a feature for each of the 784 pixels, and more
        latent_size=(8, 256),  # from fewer than classes; with 154 components PCA keeps 95 % of the variance
        batch_size=(32, 512),  # 32 are 1,688 steps an epoch, 512 are 106
        augmentations=("none", "shift"),
    ),
    default={
        "family": "classifier",
        "architecture": "cnn",
        "depth": 3,
        "width": 16,
        "convolutions": 1,
        "residual": False,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "relu",
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "augmentation": "none",
        "double_softmax": False,
        "optimizer": "adam",
        "lr": 3e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 128,
    },
)
