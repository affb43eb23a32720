"""Variational autoencoders on scikit-learn's digits: 1,797 images of 1×8×8, 1,257 of them for training.

Budget: 32 trials of up to 30 epochs, minutes on two cores, offline. Searched are the dense and convolutional
architectures with their layers, the code's size, the likelihood, the KL's weight and warm-up, and the training;
fixed are the data and the epochs.
"""

from __future__ import annotations

from search_spaces._space import Space
from search_spaces._vaes import VaeSearch

SPACE = Space(
    dataset="digits",
    family="vae",
    description="dense and convolutional VAEs, codes of 2 to 16 numbers; seconds a trial",
    trials=32,
    epochs=30,
    search=VaeSearch(
        latent_size=(2, 16),  # 2 can be drawn as a map; the KL closes codes that 64 pixels have no use for
        dense_depth=(1, 3),  # without a hidden layer it is probabilistic PCA; 1,257 images train no more than 3
        dense_width=(32, 512),  # from half the 64 pixels to eight times as many
        conv_depth=(1, 3),  # 8 pixels halve three times
        conv_width=(8, 32),  # above 32 channels an epoch takes seconds
        batch_size=(16, 128),  # 16 are 79 steps an epoch; above 128, 30 epochs have under 300 steps
    ),
    default={
        "family": "vae",
        "architecture": "dense",
        "latent_size": 8,
        "dropout": 0.0,
        "depth": 1,
        "width": 256,
        "batch_norm": False,
        "activation": "gelu",
        "corruption": "none",
        "likelihood": "gaussian",
        "beta": 1.0,
        "beta_warmup": 0.0,
        "optimizer": "adam",
        "lr": 3e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 32,
    },
)
