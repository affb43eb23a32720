"""Variational autoencoders on CIFAR-10: 3×32×32, 42,000 training, 8,000 validation and 10,000 test images.

Budget: 64 trials of up to 30 epochs. Searched are the dense and convolutional architectures with their layers,
the code's size, the likelihood, the KL's weight and warm-up, and the training; fixed are the data and the epochs.
No report ran a VAE on these images.
"""

from __future__ import annotations

from search_spaces._space import Space
from search_spaces._vaes import VaeSearch

SPACE = Space(
    dataset="cifar",
    family="vae",
    description="dense and convolutional VAEs, codes of 16 to 512 numbers",
    trials=64,
    epochs=30,
    search=VaeSearch(
        latent_size=(16, 512),  # 16 are a blur; with 512, a sixth of the pixels, PCA keeps nearly all there is
        dense_depth=(1, 3),  # without a hidden layer it is probabilistic PCA; 3 are more than photographs give it
        dense_width=(128, 2048),  # around the code's size, up to where a layer has 6 million weights
        conv_depth=(1, 4),  # 32 pixels down to 16, or to 2: one more leaves a single pixel
        conv_width=(16, 128),  # 16 train on a laptop; 128 are 1,024 channels in the fourth stage
        batch_size=(32, 512),  # 32 are 1,313 steps an epoch, 512 are 83
    ),
    default={
        "family": "vae",
        "architecture": "conv",
        "latent_size": 128,
        "dropout": 0.0,
        "depth": 2,
        "width": 32,
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
        "batch_size": 64,
    },
)
