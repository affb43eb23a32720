"""Classifiers of Fashion-MNIST: 1×28×28 in 10 classes, 54,000 training, 6,000 validation and 10,000 test images.

Budget: 48 trials of up to 20 epochs, after 10 as an autoencoder where the encoder is pretrained. Searched are the
general CNN, dense and convolutional encoders and the report's, and where they come from, the layers, the
regularisation and the training; fixed are the data and the epochs.
"""

from __future__ import annotations

from search_spaces._classifiers import ClassifierSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="fashion",
    family="classifier",
    description="CNNs, dense and convolutional encoders and the report's, from scratch, pretrained or joint",
    trials=48,
    epochs=20,
    pretrain_epochs=10,
    search=ClassifierSearch(
        cnn_depth=(2, 4),  # 28 pixels down to 14, or to 4
        cnn_width=(16, 64),  # below 16 textures are lost; 64 are 512 channels in the fourth stage
        conv_depth=(1, 4),  # 28 pixels down to 14, or to 2
        conv_width=(8, 64),  # the report's 16 inside
        dense_depth=(1, 3),  # without a hidden layer it is a linear classifier
        dense_width=(64, 1024),  # up to where the first layer has a feature for each of the 784 pixels, and more
        latent_size=(8, 256),  # from fewer than classes; the report's 64 inside, and its best autoencoder's 256
        batch_size=(32, 512),  # the report's 100 inside; 32 are 1,688 steps an epoch, 512 are 106
    ),
    default={
        "family": "classifier",
        "architecture": "cnn",
        "depth": 3,
        "width": 32,
        "convolutions": 1,
        "residual": False,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "relu",
        "dropout": 0.2,
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
