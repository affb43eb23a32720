"""An autoencoder that starts as PCA and is trained on from there, so that it need not lose to it.

    code  = axes (image - mean) + convolutions(image)
    image = mean + axesᵀ code + convolutions(mean + axesᵀ code)

Both stacks of convolutions end in a layer of zeros: at first they add nothing and the network is PCA. The
decoder's sees the linear reconstruction as a picture, at its full size, and corrects it. Decoding the codes to a
second picture, to be added to the linear one, gains nothing in the four epochs in which this takes 7 % off PCA's
error (CIFAR-10, 6,000 images, 108 components, one run each). GELU and the like get further than ReLU.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import conv
from models._config import Number
from models._layers import HIDDEN, Centre, hidden, initialise
from models.network import Architecture, Config, ImageShape


class _Linear(nn.Module):
    """A linear layer without bias that trains away from fixed weights, (start + change / √pixels) x.

    PCA's axes have entries of the order 1 / √pixels, which Adam's steps of the size of the learning rate would
    soon drown; so the change is stored √pixels times as large and every weight moves at its own scale (equalised
    learning rate: Karras et al., "Progressive growing of GANs", 2018, section 4.1). Weight decay pulls the change to
    0, which is to PCA and not away from it.
    """

    start: Tensor

    def __init__(self, inputs: int, outputs: int, pixels: int) -> None:
        super().__init__()
        drawn = nn.Linear(inputs, outputs, bias=False)
        initialise([drawn], gain=1)
        self.register_buffer("start", drawn.weight.detach())
        self.change = nn.Parameter(torch.zeros(outputs, inputs))
        self._scale = 1 / math.sqrt(pixels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (batch, outputs) of (batch, inputs)."""
        return functional.linear(inputs, self.start + self._scale * self.change)


class Encoder(nn.Module):
    """Images (batch, channels, height, width) in [0, 1] to codes (batch, latent_size)."""

    mean: Tensor

    def __init__(self, config: Config, image_shape: ImageShape) -> None:
        super().__init__()
        pixels = math.prod(image_shape)
        self.register_buffer("mean", torch.full((pixels,), 0.5))
        self.linear = _Linear(pixels, config["latent_size"], pixels)
        self.convolutions = conv.encoder(config, image_shape, config["latent_size"])
        _zero(self.convolutions[-1])

    def forward(self, images: Tensor) -> Tensor:
        """Return the codes of images."""
        codes: Tensor = self.linear(images.flatten(1) - self.mean) + self.convolutions(images)
        return codes

    @torch.no_grad()
    def start_from_pca(self, mean: Tensor, axes: Tensor) -> None:
        """Take the mean (pixels,) and the axes (components, pixels); codes beyond them keep random directions."""
        self.mean.copy_(mean)
        self.linear.start[: len(axes)] = axes.to(self.linear.start)
        self.linear.change.zero_()
        _zero(self.convolutions[-1])


class Decoder(nn.Module):
    """Codes (batch, latent_size) to images (batch, channels, height, width)."""

    mean: Tensor

    def __init__(self, config: Config, image_shape: ImageShape) -> None:
        super().__init__()
        pixels = math.prod(image_shape)
        self.register_buffer("mean", torch.full((pixels,), 0.5))
        self.linear = _Linear(config["latent_size"], pixels, pixels)
        self.unflatten = nn.Unflatten(1, image_shape)
        self.refinement = Refinement(config, image_shape)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the images of codes."""
        linear: Tensor = self.unflatten(self.mean + self.linear(codes))
        refined: Tensor = linear + self.refinement(linear)
        return refined

    @torch.no_grad()
    def start_from_pca(self, mean: Tensor, axes: Tensor) -> None:
        """Take the mean (pixels,) and the axes (components, pixels); codes beyond them change no pixel at first."""
        self.mean.copy_(mean)
        self.linear.start.zero_()
        self.linear.start[:, : len(axes)] = axes.T.to(self.linear.start)
        self.linear.change.zero_()
        _zero(self.refinement.last)


class Refinement(nn.Module):
    """What is to be added to a picture: convolutions down `depth` halvings and back, with a sum at each size.

    It has `width` channels at the full size and twice as many after each halving (Ronneberger et al., "U-Net",
    2015, with sums where it concatenates).
    """

    def __init__(self, config: Config, image_shape: ImageShape) -> None:
        super().__init__()
        kernel, biased = config["kernel_size"], not config["batch_norm"]
        sizes = [size for _, *size in conv.stage_shapes(config, image_shape)]
        shapes = [(config["width"] * 2**stage, *size) for stage, size in enumerate(sizes)]
        width = config["width"]
        convolution = nn.Conv2d(image_shape[0], width, kernel, padding=kernel // 2, bias=biased)
        self.first = nn.Sequential(Centre(), convolution, *hidden(config, width, nn.BatchNorm2d))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for large, small in pairwise(shapes):
            self.down.append(nn.Sequential(*conv.halving(config, large, small)))
            self.up.insert(0, nn.Sequential(*conv.doubling(config, small, large)))
        initialise(self.modules())
        self.last = nn.Conv2d(width, image_shape[0], kernel, padding=kernel // 2)
        _zero(self.last)

    def forward(self, images: Tensor) -> Tensor:
        """Return corrections in the shape of images (batch, channels, height, width)."""
        features = self.first(images)
        finer = []
        for stage in self.down:
            finer.append(features)
            features = stage(features)
        for stage in self.up:
            features = stage(features) + finer.pop()
        corrections: Tensor = self.last(features)
        return corrections


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _parts(config: Config, image_shape: ImageShape) -> tuple[nn.Module, nn.Module]:
    return Encoder(config, image_shape), Decoder(config, image_shape)


ARCHITECTURE = Architecture(
    parts=_parts,
    settings={
        "depth": Number(1, conv.MAX_DEPTH, whole=True),
        **HIDDEN,
        **conv.STAGES,
    },
    check=conv.check_depth,
    starts_from_pca=True,
)
