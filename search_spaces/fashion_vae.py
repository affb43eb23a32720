"""Variational autoencoders on Fashion-MNIST: 1×28×28, 54,000 training, 6,000 validation and 10,000 test images.

Budget: 48 trials of up to 30 epochs. Searched are the dense and convolutional architectures with their layers,
the code's size, the likelihood, the KL's weight and warm-up, and the training; fixed are the data and the epochs.
No report ran a VAE on these images.
"""

from __future__ import annotations

from search_spaces._space import Space
from search_spaces._vaes import VaeSearch

SPACE = Space(
    dataset="fashion",
    family="vae",
    description="dense and convolutional VAEs, codes of 2 to 128 numbers",
    trials=48,
    epochs=30,
    search=VaeSearch(
        latent_size=(2, 128),  # 2 can be drawn as a map; textures use more codes than digits, but not more than 128
        dense_depth=(1, 3),  # without a hidden layer it is probabilistic PCA; a fourth learns slower than it helps
        dense_width=(64, 1024),  # up to where the first layer has a feature for each of the 784 pixels, and more
        conv_depth=(1, 4),  # 28 pixels down to 14, or to 2
        conv_width=(8, 64),  # 8 find edges; 64 are 512 channels in the fourth stage
        batch_size=(32, 512),  # 32 are 1,688 steps an epoch, 512 are 106
    ),
    default={
        "family": "vae",
        "architecture": "conv",
        "latent_size": 32,
        "dropout": 0.0,
        "depth": 2,
        "width": 16,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "gelu",
        "corruption": "none",
        "likelihood": "gaussian",
        "beta": 1.0,
        "beta_warmup": 0.0,
        "optimizer": "adam",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 128,
    },
)
