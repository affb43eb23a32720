"""Classifiers of Oxford Flowers-102: 3×100×100 in 102 classes, 1,020 training, 1,020 validation, 6,149 test images.

Budget: 48 trials of up to 80 epochs, after 30 as an autoencoder where the encoder is pretrained; an epoch is a
tenth of a small data set's, so there are more of them. Searched are the general CNN, dense and convolutional
encoders and the report's, and where they come from, the layers, the regularisation and the training; fixed are the
data and the epochs. Ten images a class: regularisation and augmentation matter more than the layers. The report's
network has 150 million parameters.
"""

from __future__ import annotations

from search_spaces._classifiers import ClassifierSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="flowers",
    family="classifier",
    description="CNNs, dense and convolutional encoders and the report's, from scratch, pretrained or joint",
    trials=48,
    epochs=80,
    pretrain_epochs=30,
    search=ClassifierSearch(
        cnn_depth=(4, 6),  # 100 pixels down to 13, or to 4, where the report's encoder ends too
        cnn_width=(16, 48),  # the report's 16 inside; 48 are 1,536 channels in the sixth stage
        conv_depth=(2, 6),  # 100 pixels down to 25, or to 2
        conv_width=(8, 32),  # the report's 16 inside; 32 are 1,024 channels in the sixth stage
        dense_depth=(1, 2),  # without a hidden layer it is a linear classifier; 1,020 images train no more than 2
        dense_width=(64, 512),  # 512 features of 30,000 pixels are 15 million weights
        latent_size=(64, 512),  # from fewer than the 102 classes to half as many as images
        batch_size=(8, 128),  # the report's 128 are 8 steps an epoch, 8 are 127
        highest_dropout=0.75,  # the report went as far, and lost by it
    ),
    default={
        "family": "classifier",
        "architecture": "cnn",
        "depth": 5,
        "width": 16,
        "convolutions": 1,
        "residual": False,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "relu",
        "dropout": 0.3,
        "label_smoothing": 0.1,
        "augmentation": "shift_flip",
        "double_softmax": False,
        "optimizer": "adamw",
        "lr": 2e-3,
        "weight_decay": 0.01,
        "schedule": "cosine",
        "batch_size": 32,
    },
)
