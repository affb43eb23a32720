"""Classifiers of scikit-learn's digits: 1,797 images of 1×8×8 in 10 classes, 1,257 of them for training.

Budget: 32 trials of up to 30 epochs, after 10 as an autoencoder where the encoder is pretrained; minutes on two
cores, offline. Searched are the general CNN, dense and convolutional encoders and where they come from, the
layers, the regularisation and the training; fixed are the data and the epochs. Digits are not mirrored.
"""

from __future__ import annotations

from search_spaces._classifiers import ClassifierSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="digits",
    family="classifier",
    description="CNNs, and dense and convolutional encoders, scratch, pretrained or joint; seconds a trial",
    trials=32,
    epochs=30,
    pretrain_epochs=10,
    search=ClassifierSearch(
        cnn_depth=(1, 3),  # 8 pixels as they are, or down to 2
        cnn_width=(8, 64),  # 64 are 256 channels in the third stage, for 1,257 images
        conv_depth=(1, 3),  # 8 pixels halve three times
        conv_width=(8, 32),  # above 32 channels an epoch takes seconds
        dense_depth=(1, 3),  # without a hidden layer it is a linear classifier
        dense_width=(32, 512),  # from half the 64 pixels to eight times as many
        latent_size=(8, 64),  # from fewer than classes to as many as pixels
        batch_size=(16, 128),  # 16 are 79 steps an epoch; above 128, 30 epochs have under 300 steps
        augmentations=("none", "shift"),
    ),
    default={
        "family": "classifier",
        "architecture": "cnn",
        "depth": 2,
        "width": 16,
        "convolutions": 2,
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
        "batch_size": 32,
    },
)
