"""Autoencoders on MNIST: 1×28×28, 54,000 images for training, 6,000 for validation, 10,000 for testing.

Budget: 48 trials of up to 20 epochs. Searched are the dense and convolutional architectures and the one that
starts from PCA, with their layers, the code's size, the regularisation and the training, and the report's dense
network with its layers, inputs and training; fixed are the data and the epochs. PCA's test MSE, which is to be
beaten at the same number of components: 0.001384 at 256, 0.004205 at 128, 0.009047 at 64, 0.016828 at 32.
"""

from __future__ import annotations

from search_spaces._autoencoders import AutoencoderSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="mnist",
    family="ae",
    description="dense, convolutional and PCA-based autoencoders and the report's dense one, codes of 2 to 256",
    trials=48,
    epochs=20,
    search=AutoencoderSearch(
        latent_size=(2, 256),  # 2 can be drawn as a map; with 154 components PCA keeps 95 % of the variance
        dense_depth=(0, 3),  # from PCA's linear map; a fourth hidden layer learns slower than it helps
        dense_width=(64, 1024),  # up to where the first layer has a feature for each of the 784 pixels, and more
        conv_depth=(1, 4),  # 28 pixels down to 14, or to 2
        conv_width=(8, 64),  # strokes need few kinds of edges; 64 are 512 channels in the fourth stage
        batch_size=(32, 512),  # the report's 32, 1,688 steps an epoch; 512 are 106
        hidden_size=(64, 1024),  # as the dense width; 400 is what this project chose for the report
    ),
    default={
        "family": "ae",
        "architecture": "dense",
        "latent_size": 32,
        "dropout": 0.0,
        "depth": 2,
        "width": 512,
        "batch_norm": False,
        "activation": "gelu",
        "output_activation": "sigmoid",
        "corruption": "none",
        "sparsity": 0.0,
        "contraction": 0.0,
        "optimizer": "adam",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 128,
    },
)
