"""VQ-VAE (van den Oord et al. 2017) as a family of its own: the straight-through estimator, EMA left out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

import models
from search_spaces import FamilyFacts, Space, datasets, training


@dataclass
class Sizes:
    words: int
    entries: int
    width: int
    dim: int = 2


class VQVAE(models.Network):
    def __init__(self, pixels: int, shape, sizes: Sizes, beta: float):
        super().__init__()
        self.sizes, self.shape, self.beta = sizes, shape, beta
        code = sizes.words * sizes.dim
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(pixels, sizes.width), nn.ReLU(), nn.Linear(sizes.width, code))
        self.dec = nn.Sequential(nn.Linear(code, sizes.width), nn.ReLU(), nn.Linear(sizes.width, pixels), nn.Sigmoid())
        self.book = nn.Parameter(torch.randn(sizes.entries, sizes.dim) * 0.1)

    def quantise(self, z):
        z = z.reshape(-1, self.sizes.words, self.sizes.dim)
        nearest = torch.cdist(z, self.book.expand(len(z), -1, -1)).argmin(-1)
        return nn.functional.one_hot(nearest, self.sizes.entries).to(z.dtype) @ self.book

    def encode(self, images):
        return self.quantise(self.enc(images)).flatten(1)

    def decode(self, codes):
        return self.dec(codes).view(-1, *self.shape)

    def forward(self, images):
        return self.decode(self.encode(images))

    def training_loss(self, images, labels):
        z = self.enc(images)
        q = self.quantise(z).flatten(1)
        out = self.decode(z + (q - z).detach())
        mse = nn.functional.mse_loss(out.float(), images)
        book, commit = nn.functional.mse_loss(q, z.detach()), nn.functional.mse_loss(z, q.detach())
        return mse + book + self.beta * commit, {"mse": mse.detach(), "commitment": commit.detach()}

    @torch.no_grad()
    def per_image(self, images, labels, indices):
        return {"mse": (self(images).float() - images).square().flatten(1).mean(1)}

    def metrics(self, values):
        return {"mse": values["mse"].mean().item()}


def assemble(architecture, config, image_shape, num_classes):
    (network,) = architecture.parts(config, image_shape)
    return network


def parts(config, image_shape):
    channels, height, width = image_shape
    sizes = Sizes(config["latent_size"] // 2, config["entries"], config["width"])
    return (VQVAE(channels * height * width, image_shape, sizes, config["commitment"]),)


FAMILY = models.Family(
    settings={
        "latent_size": models.Number(2, whole=True),
        "entries": models.Number(2, whole=True),
        "commitment": models.Number(0),
        "width": models.Number(1, whole=True),
    },
    architectures={"vq": models.Architecture(parts)},
    assemble=assemble,
)


def search(ask, context, reported):
    ask.fix(architecture="vq")
    ask.choice("latent_size", (8, 12, 16))
    ask.integer("entries", (8, 64), log=True)
    ask.integer("width", (16, 128), log=True)
    ask.number("commitment", (0.1, 1.0))
    training(ask, (16, 64))


SPACE = Space(
    data=datasets()["digits"],
    family="vqvae",
    facts=FamilyFacts("val_mse"),
    description="VQ-VAE of digits",
    trials=4,
    epochs=3,
    search=search,
    default={
        "family": "vqvae",
        "architecture": "vq",
        "latent_size": 8,
        "entries": 32,
        "width": 64,
        "commitment": 0.25,
        "optimizer": "adam",
        "lr": 3e-3,
        "weight_decay": 0.0,
        "decay": "weights",
        "schedule": "cosine",
        "batch_size": 32,
    },
)
