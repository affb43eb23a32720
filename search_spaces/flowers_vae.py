"""Variational autoencoders on Oxford Flowers-102: 3×100×100, 1,020 training, 1,020 validation, 6,149 test images.

Budget: 48 trials of up to 60 epochs; an epoch is a tenth of a small data set's, so there are more of them.
Searched are the dense and convolutional architectures with their layers, the code's size, the likelihood, the
KL's weight and warm-up, and the training; fixed are the data and the epochs. No report ran a VAE on these images.
"""

from __future__ import annotations

from search_spaces._space import Space
from search_spaces._vaes import VaeSearch

SPACE = Space(
    dataset="flowers",
    family="vae",
    description="dense and convolutional VAEs, codes of 8 to 256 numbers",
    trials=48,
    epochs=60,
    search=VaeSearch(
        latent_size=(8, 256),  # 8 are colours; more than 256 of 1,020 images are learnt by heart
        dense_depth=(1, 2),  # without a hidden layer it is probabilistic PCA; 1,020 images train no more than 2
        dense_width=(64, 512),  # 512 features of 30,000 pixels are 15 million weights on each side
        conv_depth=(2, 6),  # 100 pixels down to 25, or to 2
        conv_width=(8, 32),  # 8 find edges; 32 are 1,024 channels in the sixth stage
        batch_size=(8, 128),  # 8 are 127 steps an epoch, 128 are 7
    ),
    default={
        "family": "vae",
        "architecture": "conv",
        "latent_size": 64,
        "dropout": 0.0,
        "depth": 4,
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
        "batch_size": 32,
    },
)
