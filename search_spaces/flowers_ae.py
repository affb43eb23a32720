"""Autoencoders on Oxford Flowers-102: 3×100×100, 1,020 images for training, 1,020 for validation, 6,149 for testing.

Budget: 48 trials of up to 40 epochs; an epoch is a tenth of a small data set's, so there are more of them.
Searched are the dense and convolutional architectures and the one that starts from PCA, with their layers, the
code's size, the regularisation and the training, and the report's network with its training; fixed are the data
and the epochs. PCA of 1,020 images has at most 1,019 components, and those describe the training images alone.
"""

from __future__ import annotations

from search_spaces._autoencoders import AutoencoderSearch
from search_spaces._space import Space

SPACE = Space(
    dataset="flowers",
    family="ae",
    description="dense, convolutional and PCA-based autoencoders and the report's, codes of 16 to 512 numbers",
    trials=48,
    epochs=40,
    search=AutoencoderSearch(
        latent_size=(16, 512),  # 16 are blots of colour; with 512 there are two training images to a component
        dense_depth=(0, 2),  # from PCA's linear map; 1,020 images fit no more of layers with 30,000 inputs
        dense_width=(64, 512),  # 512 features of 30,000 pixels are 15 million weights on each side
        conv_depth=(2, 6),  # 100 pixels down to 25, or to 2; the report has 5
        conv_width=(8, 32),  # the report's 16 inside; 32 are 1,024 channels in the sixth stage
        batch_size=(8, 128),  # the report's 128 are 8 steps an epoch, 8 are 127
    ),
    default={
        "family": "ae",
        "architecture": "conv",
        "latent_size": 256,
        "dropout": 0.0,
        "depth": 4,
        "width": 16,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "gelu",
        "output_activation": "none",
        "corruption": "none",
        "sparsity": 0.0,
        "contraction": 0.0,
        "optimizer": "adam",
        "lr": 2e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 32,
    },
)
