"""What is done to the images of a batch before a network sees them in training: corruption and augmentation.

What an autoencoder or VAE gets to see may be spoilt, and what it has to give back is then the clean image (denoising:
Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008) or what it was given (the
input pipelines of the report `mnist_ae`). A classifier's images may be shifted, cropped, flipped, coloured otherwise
and covered in part, each in its own way, and mixed with each other, and their labels with them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from models import noise
from models._config import Number, OneOf, Setting, When
from models.network import Config

CORRUPTION: dict[str, Setting] = {
    "corruption": OneOf(("none", "gaussian", "bernoulli")),
    # standard deviation of the noise, on the scale of pixels in [0, 1]
    "corruption_std": Number(0, open_low=True, when=When("corruption", ("gaussian",))),
    "target": OneOf(("clean", "input"), when=When("corruption", ("gaussian", "bernoulli"))),
}

MIXING = ("none", "mixup", "cutmix")

MARGIN = 8
"""Images move by at most 1/8 of their side in each direction: 4 of 32 pixels, as He et al. 2015 do on CIFAR-10."""

JITTER = 0.4
"""How far the factors of brightness, contrast and saturation may lie from 1."""


def corrupt(config: Config, images: Tensor, indices: Tensor | None = None) -> Tensor:
    """Return what a network is given instead of `images` (batch, channels, height, width) in [0, 1].

    `gaussian` adds normal noise and clips to [0, 1], as a picture file would: outside of it a Bernoulli likelihood
    has no bound. `bernoulli` makes pixels of at least 0.5 white and the others black. In training the noise
    comes from where `models.noise` says; an evaluation passes the images' positions in their split, `indices`
    (batch,), on which alone the noise depends then.
    """
    match config["corruption"]:
        case "none":
            return images
        case "gaussian":
            if indices is None:
                drawn = noise.normal(tuple(images.shape), images.device)
            else:
                drawn = noise.of_images(noise.Stream.CORRUPTION, indices, tuple(images.shape[1:]))
            drawn = drawn.to(images.dtype)
            spread: float = config["corruption_std"]
            return (images + spread * drawn).clamp(0, 1)
        case "bernoulli":
            return (images >= 0.5).to(images.dtype)
        case unknown:
            raise ValueError(f"unknown corruption {unknown!r}")


def training_pair(config: Config, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network is given in training and what it has to give back, both shaped like `images`."""
    given = corrupt(config, images)
    return given, given if config.get("target") == "input" else images


def shift(images: Tensor) -> Tensor:
    """Return each image (batch, channels, height, width) shifted; what comes in at an edge is its mirror image.

    The same as a random crop after padding by reflection: every shift of -side/8 … side/8 whole pixels, by
    height and by width, is as likely as any other. The shifts are drawn from `models.noise`.
    """
    _, _, height, width = images.shape
    return _pick(images, _shifted(images, height), _shifted(images, width))


def shift_flip(images: Tensor) -> Tensor:
    """Return each image shifted as by `shift`, and every other one, at random, with left and right exchanged."""
    _, _, height, width = images.shape
    columns = _shifted(images, width)
    flipped = noise.uniform((len(images), 1), images.device) < 0.5
    columns = torch.where(flipped, width - 1 - columns, columns)
    return _pick(images, _shifted(images, height), columns)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda images: images,
    "shift": shift,
    "shift_flip": shift_flip,
}


def jitter(images: Tensor) -> Tensor:
    """Return images (batch, channels, height, width) in [0, 1] of other brightness, contrast and saturation.

    Each is multiplied, in this order, by a number of its own within `JITTER` of 1, and the result clipped: a product
    of black is black, of the image's mean grey that grey, and of a pixel's grey that grey. The colour of an image of
    one channel is its grey.
    """
    brightness, contrast, saturation = 1 + JITTER * (2 * noise.uniform((3, len(images), 1, 1, 1), images.device) - 1)
    images = (brightness * images).clamp(0, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (mean + contrast * (images - mean)).clamp(0, 1)
    grey = images.mean(1, keepdim=True)
    coloured: Tensor = (grey + saturation * (images - grey)).clamp(0, 1)
    return coloured


def cutout(images: Tensor) -> Tensor:
    """Return images (batch, channels, height, width) with a rectangle of half of each side grey.

    Its centre is any pixel, so that part of it may lie outside (DeVries and Taylor, "Improved regularization of
    convolutional neural networks with cutout", 2017).
    """
    half = torch.full((len(images), 1), 0.5, device=images.device)
    return torch.where(_rectangle(images, half), 0.5, images)


def mix(kind: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return images (batch, channels, height, width), each mixed with the one before it, and how much is its own.

    `mixup` adds the two with weights λ and 1 - λ (Zhang et al., "mixup: Beyond empirical risk minimization", 2018);
    `cutmix` puts a rectangle of the other one, of 1 - λ of the area where it lies inside, in its place (Yun et al.,
    "CutMix", 2019). λ is uniform on [0, 1), for each image its own. The share (batch,), in [0, 1], is what its label
    counts for; that of the image before it counts for the rest.
    """
    others = images.roll(1, 0)
    kept = noise.uniform((len(images), 1), images.device)
    if kind == "mixup":
        return torch.lerp(others, images, kept[:, :, None, None]), kept[:, 0]
    covered = _rectangle(images, (1 - kept).sqrt())
    return torch.where(covered, others, images), 1 - covered.float().mean((1, 2, 3))


def _rectangle(images: Tensor, share: Tensor) -> Tensor:
    """Draw a rectangle for each image, of `share` (batch, 1) of each side: where it is, bool (batch, 1, h, w)."""
    _, _, height, width = images.shape
    centres = 2 * noise.uniform((2, len(images), 1), images.device) - 1
    rows = (_centres(height, images.device) - centres[0]).abs() < share
    columns = (_centres(width, images.device) - centres[1]).abs() < share
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _centres(side: int, device: torch.device) -> Tensor:
    """Return where the centres of a side's pixels lie on a scale from -1 to 1, (1, side)."""
    return ((2 * torch.arange(side, device=device) + 1) / side - 1)[None]


def _shifted(images: Tensor, side: int) -> Tensor:
    """Draw, for each image, the row or column that each pixel of a side comes from: indices (batch, side)."""
    margin = side // MARGIN
    offsets = noise.integers(-margin, margin, (len(images), 1), images.device)
    wanted = (torch.arange(side, device=images.device) + offsets).abs()
    return (side - 1) - ((side - 1) - wanted).abs()


def _pick(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return images made of these rows (batch, height) and columns (batch, width), in the memory format given.

    One gather over flat pixels: a quarter of the time of indexing with four tensors.
    """
    batch, channels, _, width = images.shape
    pixels = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, -1)
    picked = images.flatten(2).gather(2, pixels.expand(-1, channels, -1))
    return torch.empty_like(images).copy_(picked.view(images.shape))
