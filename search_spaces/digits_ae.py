"""Autoencoders on scikit-learn's digits: 1,797 images of 1×8×8, 1,257 of them for training.

Budget: 32 trials of up to 30 epochs, two minutes on two cores. Searched are the dense and convolutional
architectures and the one that starts from PCA, with their layers, the code's size, the regularisation and the
training; fixed are the data and the epochs. Offline, so it is the command's default.
"""

from __future__ import annotations

from search_spaces._autoencoders import AutoencoderSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="digits",
    family="ae",
    description="dense, convolutional and PCA-based autoencoders, codes of 2 to 16 numbers; seconds a trial",
    trials=32,
    epochs=30,
    search=AutoencoderSearch(
        latent_size=(2, 16),  # 2 can be drawn as a map; above 16, a quarter of the pixels, PCA is hard to beat
        dense_depth=(0, 3),  # from PCA's linear map to where 1,257 images are overfitted
        dense_width=(32, 512),  # from half the 64 pixels to eight times as many
        conv_depth=(1, 3),  # 8 pixels halve three times
        conv_width=(8, 32),  # above 32 channels an epoch takes seconds
        batch_size=(16, 128),  # 16 are 79 steps an epoch; above 128, 30 epochs have under 300 steps
    ),
    default={
        "family": "ae",
        "architecture": "dense",
        "latent_size": 8,
        "dropout": 0.0,
        "depth": 1,
        "width": 256,
        "batch_norm": False,
        "activation": "gelu",
        "output_activation": "sigmoid",
        "corruption": "none",
        "sparsity": 0.0,
        "contraction": 0.0,
        "optimizer": "adam",
        "lr": 3e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 32,
    },
)
