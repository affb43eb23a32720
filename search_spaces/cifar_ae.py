"""Autoencoders on CIFAR-10: 3×32×32, 42,000 images for training, 8,000 for validation, 10,000 for testing.

Budget: 64 trials of up to 30 epochs. Searched are the dense and convolutional architectures and the one that
starts from PCA, with their layers, the code's size, the regularisation and the training, and the report's four
networks with their training; fixed are the data and the epochs. PCA's test MSE, which is to be beaten at the same
number of components: 0.001019 at 512, 0.002615 at 256, 0.005810 at 108, 0.012445 at 32. The default starts from
PCA: convolutional networks alone take long to come near.
"""

from __future__ import annotations

from search_spaces._autoencoders import AutoencoderSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="cifar",
    family="ae",
    description="dense, convolutional and PCA-based autoencoders and the report's four, codes of 8 to 512 numbers",
    trials=64,
    epochs=30,
    search=AutoencoderSearch(
        latent_size=(8, 512),  # the report's PCA ends at 512, a sixth of the 3,072 pixels; 8 are a blur
        dense_depth=(0, 3),  # from PCA's linear map to more than a dense network can use on photographs
        dense_width=(128, 2048),  # around the code's size, up to where a layer has 6 million weights
        conv_depth=(1, 4),  # 32 pixels down to 16, or to 2: one more leaves a single pixel
        conv_width=(16, 128),  # 16 train on a laptop; 128 are 1,024 channels in the fourth stage
        batch_size=(16, 512),  # the report's 35 inside; 512 are 83 steps an epoch
    ),
    default={
        "family": "ae",
        "architecture": "pca",
        "latent_size": 108,
        "dropout": 0.0,
        "depth": 2,
        "width": 16,
        "kernel_size": 3,
        "batch_norm": False,
        "activation": "gelu",
        "corruption": "none",
        "sparsity": 0.0,
        "contraction": 0.0,
        "optimizer": "adam",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 64,
    },
)
