"""Autoencoders on CIFAR-10: 3×32×32, 42,000 images for training, 8,000 for validation, 10,000 for testing.

Budget: 64 trials of up to 30 epochs. Searched are the dense and convolutional architectures with their
layers, the code's size and the training, and the report's four networks with their training; fixed are the
data and the epochs. PCA's test MSE, which is to be beaten at the same number of components: 0.001019 at
512, 0.002615 at 256, 0.005810 at 108, 0.012445 at 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_spaces._parameters import suggest_autoencoder
from search_spaces._space import Context, Space

if TYPE_CHECKING:
    import optuna


def suggest(trial: optuna.Trial, context: Context) -> dict[str, Any]:
    """Suggest a flat config of the family `ae`."""
    return suggest_autoencoder(
        trial,
        context,
        "cifar_ae",
        latent_size=(8, 512),  # the report's PCA ends at 512, a sixth of the 3,072 pixels; 8 are a blur
        dense_depth=(0, 3),  # from PCA's linear map to more than a dense network can use on photographs
        dense_width=(128, 2048),  # around the code's size, up to where a layer has 6 million weights
        conv_depth=(1, 4),  # 32 pixels down to 16, or to 2: one more leaves a single pixel
        conv_width=(16, 128),  # 16 train on a laptop; 128 are 1,024 channels in the fourth stage
        batch_size=(16, 512),  # the report's 35 inside; 512 are 83 steps an epoch
    )


SPACE = Space(
    name="cifar_ae",
    dataset="cifar",
    family="ae",
    description="dense and convolutional autoencoders and the report's four, codes of 8 to 512 numbers",
    metric="val_mse",
    mode="min",
    trials=64,
    epochs=30,
    image_shape=(3, 32, 32),
    suggest=suggest,
    default={
        "family": "ae",
        "architecture": "conv",
        "latent_size": 108,
        "dropout": 0.0,
        "depth": 2,
        "width": 32,
        "kernel_size": 3,
        "batch_norm": True,
        "activation": "gelu",
        "output_activation": "none",
        "optimizer": "adam",
        "lr": 2e-3,
        "weight_decay": 0.0,
        "schedule": "cosine",
        "batch_size": 64,
    },
)
