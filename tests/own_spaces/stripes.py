"""A plain encoder and decoder, in the style of a course's notebook, on images that a function makes."""

import numpy as np
from torch import nn

import models
import search_spaces


def load_data(data_dir):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 240)
    phase = rng.uniform(0, 6.3, (240, 1, 1))
    rows, columns = np.mgrid[0:10, 0:12]
    along = np.where(labels[:, None, None] == 0, rows, columns)
    waves = 0.5 + 0.5 * np.sin(along * rng.uniform(0.4, 1.2, (240, 1, 1)) + phase)
    return (255 * waves).astype("uint8"), labels


class Encoder(nn.Module):
    def __init__(self, features, code):
        super().__init__()
        self.convolution = nn.Conv2d(1, features, 3, stride=2, padding=1)
        self.linear = nn.Linear(features * 5 * 6, code)

    def forward(self, x):
        return self.linear(self.convolution(x).relu().flatten(1))


class Decoder(nn.Module):
    def __init__(self, features, code):
        super().__init__()
        self.features = features
        self.linear = nn.Linear(code, features * 5 * 6)
        self.upsample = nn.ConvTranspose2d(features, 1, 4, stride=2, padding=1)

    def forward(self, z):
        maps = self.linear(z).relu().view(len(z), self.features, 5, 6)
        return self.upsample(maps).sigmoid()


def encoder(config, image_shape):
    return Encoder(config["features"], config["latent_size"])


def decoder(config, image_shape):
    return Decoder(config["features"], config["latent_size"])


ARCHITECTURES = {
    "wavy": models.autoencoder(encoder, decoder, {"features": models.Number(1, whole=True)}, image_shape=(1, 10, 12))
}


def search(ask, context, reported):
    ask.fix(architecture="wavy", dropout=0.0, corruption="none", sparsity=0.0, contraction=0.0)
    ask.integer("features", (2, 16), log=True)
    ask.integer("latent_size", (2, 8))
    search_spaces.training(ask, batch_size=(8, 32))


SPACE = search_spaces.Space(
    data=search_spaces.DatasetSpec("stripes", "Stripes", (1, 10, 12), ("rows", "columns")),
    family="ae",
    description="two convolutions",
    trials=4,
    epochs=3,
    search=search,
    default={
        **{key: value for key, value in search_spaces.DEFAULT_AE.items() if key != "activation"},
        "architecture": "wavy",
        "features": 4,
        "latent_size": 4,
        "lr": 3e-3,
        "batch_size": 16,
    },
)
