"""Small untrained networks of every family, and a test split for them: shared by the tests of what a run leaves."""

import numpy as np
import torch

import models

TRAINING = {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0, "schedule": "constant", "batch_size": 32}
LAYERS = {"architecture": "dense", "dropout": 0.2, "depth": 1, "width": 16, "batch_norm": True, "activation": "relu"}
CODED = {**LAYERS, "latent_size": 10, "corruption": "none"}
CONFIGS = {
    "ae": {"family": "ae", "output_activation": "sigmoid", "sparsity": 0.0, "contraction": 0.0, **CODED},
    "vae": {"family": "vae", "likelihood": "bernoulli", "beta": 1.0, "beta_warmup": 0.0, **CODED},
    "classifier": {
        "family": "classifier",
        **LAYERS,
        "latent_size": 10,
        "label_smoothing": 0.0,
        "augmentation": "none",
        "double_softmax": False,
        "encoder": "scratch",
    },
}


def network(family, shape=(1, 8, 8), classes=4, seed=0, **changes):
    torch.manual_seed(seed)
    model = models.build({**CONFIGS[family], **TRAINING, **changes}, shape, classes)
    return model.eval()


def split(n=60, shape=(1, 8, 8), classes=4):
    generator = np.random.default_rng(3)
    labels = np.sort(generator.integers(0, classes, n))  # sorted by class, as Flowers-102 is
    images = generator.integers(0, 256, (n, *shape)) // (1 + labels.reshape(-1, 1, 1, 1))
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels)
