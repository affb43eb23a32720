"""A masked autoencoder: MLP-Mixer blocks (Tolstikhin et al. 2021) on patches, some of which training hides.

Its data are its own too: coloured discs and squares, with the test images given.
"""

from functools import partial

import numpy as np
import torch
from torch import nn

import models
from search_spaces import DEFAULT_AE, DatasetSpec, Space, training

SIDE, PATCH = 16, 4
SHAPE = (3, SIDE, SIDE)
KINDS = ("disc", "square")


def picture(rng, kind):
    centre, size, colour = rng.uniform(4, 12, 2), rng.uniform(2, 5), rng.uniform(0.3, 1, 3)
    distance = np.abs(np.mgrid[0:SIDE, 0:SIDE] - centre[:, None, None])
    inside = np.hypot(*distance) < size if kind == 0 else distance.max(0) < size
    return np.where(inside[..., None], colour, 0.1) + rng.normal(0, 0.02, (SIDE, SIDE, 3))


def load_data(data_dir):
    def split(seed, count):
        rng = np.random.default_rng(seed)
        kinds = rng.integers(0, len(KINDS), count)
        return np.stack([picture(rng, kind) for kind in kinds]).clip(0, 1), kinds

    return {"train": split(1, 200), "test": split(2, 60)}  # floats in [0, 1], channels last


class Residual(nn.Module):
    def __init__(self, width, mixed, hidden, *, across):
        super().__init__()
        self.across = across
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(mixed, hidden), nn.GELU(), nn.Linear(hidden, mixed))

    def forward(self, tokens):
        out = self.norm(tokens)
        out = self.mlp(out.mT).mT if self.across else self.mlp(out)
        return tokens + out


class Masked(nn.Module):
    def __init__(self, ratio, width):
        super().__init__()
        self.ratio, self.token = ratio, nn.Parameter(torch.zeros(width))

    def forward(self, tokens):
        if not self.training or self.ratio == 0:
            return tokens
        hidden = models.noise.uniform(tokens.shape[:2], tokens.device) < self.ratio
        return torch.where(hidden[..., None], self.token, tokens)


def mixer(depth, tokens, width):
    blocks = []
    for _ in range(depth):
        blocks += [Residual(width, tokens, 2 * tokens, across=True), Residual(width, width, 2 * width, across=False)]
    return nn.Sequential(*blocks)


def encoder(config, image_shape):
    channels, height, _ = image_shape
    tokens, width = (height // PATCH) ** 2, config["width"]
    return nn.Sequential(
        nn.Unfold(PATCH, stride=PATCH),
        nn.Unflatten(2, (tokens,)),
        Transposed(),
        nn.Linear(channels * PATCH**2, width),
        Masked(config["masked"], width),
        mixer(config["depth"], tokens, width),
        nn.LayerNorm(width),
        nn.Flatten(),
        nn.Linear(tokens * width, config["latent_size"]),
    )


class Transposed(nn.Module):
    def forward(self, tokens):
        return tokens.mT


def decoder(config, image_shape):
    channels, height, width = image_shape
    tokens = (height // PATCH) ** 2
    fold = partial(nn.functional.fold, output_size=(height, width), kernel_size=PATCH, stride=PATCH)

    class Pixels(nn.Module):
        def forward(self, patches):
            return fold(patches.mT).sigmoid()

    return nn.Sequential(
        nn.Linear(config["latent_size"], tokens * config["width"]),
        nn.Unflatten(1, (tokens, config["width"])),
        mixer(1, tokens, config["width"]),
        nn.Linear(config["width"], channels * PATCH**2),
        Pixels(),
    )


SETTINGS = {
    "width": models.Number(1, whole=True),
    "depth": models.Number(1, whole=True),
    "masked": models.Number(0, 0.9),
}
ARCHITECTURES = {"mixer": models.autoencoder(encoder, decoder, SETTINGS, image_shape=SHAPE)}
FIXED = {"architecture": "mixer", "dropout": 0.0, "corruption": "none", "sparsity": 0.0, "contraction": 0.0}


def search(ask, context, reported):
    ask.fix(**FIXED)
    ask.integer("depth", (1, 3))
    ask.integer("width", (8, 32), log=True)
    ask.integer("latent_size", (4, 24), log=True)
    ask.number("masked", (0.0, 0.75), step=0.25)
    training(ask, (8, 32))


SPACE = Space(
    data=DatasetSpec("shapes", "Discs and squares", SHAPE, KINDS),
    family="ae",
    description="MLP-Mixers whose patches are hidden",
    trials=4,
    epochs=3,
    search=search,
    default={
        **{key: value for key, value in DEFAULT_AE.items() if key not in ("activation", "output_activation")},
        **FIXED,
        "depth": 1,
        "width": 16,
        "latent_size": 8,
        "masked": 0.25,
        "lr": 2e-3,
        "batch_size": 16,
    },
)
