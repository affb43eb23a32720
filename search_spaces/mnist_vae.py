"""Variational autoencoders on MNIST: 1×28×28, 54,000 images for training, 6,000 for validation, 10,000 for testing.

Budget: 48 trials of up to 30 epochs. Searched are the dense and convolutional architectures with their layers,
the code's size, the likelihood, the KL's weight and warm-up, and the training, and the report's two networks with
their inputs and training; fixed are the data and the epochs.
"""

from __future__ import annotations

from search_spaces._space import Space
from search_spaces._vaes import VaeSearch

SPACE = Space(
    dataset="mnist",
    family="vae",
    description="dense and convolutional VAEs and the report's two, codes of 2 to 64 numbers",
    trials=48,
    epochs=30,
    search=VaeSearch(
        latent_size=(2, 64),  # 2 can be drawn as a map; of 64 the KL closes most on digits
        dense_depth=(1, 3),  # without a hidden layer it is probabilistic PCA; a fourth learns slower than it helps
        dense_width=(64, 1024),  # up to where the first layer has a feature for each of the 784 pixels, and more
        conv_depth=(1, 4),  # 28 pixels down to 14, or to 2
        conv_width=(8, 64),  # strokes need few kinds of edges; 64 are 512 channels in the fourth stage
        batch_size=(32, 512),  # the report's 32, 1,688 steps an epoch; 512 are 106
        hidden_size=(64, 1024),  # as the dense width; 400 is what this project chose for the report
    ),
    default={
        "family": "vae",
        "architecture": "dense",
        "latent_size": 20,
        "dropout": 0.0,
        "depth": 2,
        "width": 512,
        "batch_norm": False,
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
