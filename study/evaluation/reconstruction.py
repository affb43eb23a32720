"""Reconstructions and codes of test images, of every network with an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from models import Corruptive, Network, Reconstructive
from study.data.tensors import TensorSplit, as_bytes, evaluation_batches, stratified_sample, to_bytes, to_pixels

WATCHED, WATCHED_EVERY = 8, 5  # images, epochs: the flowers' report looked at one after every fifth
PER_GROUP = 8  # best, typical and worst reconstructions
CLASSES, SHARES = 10, (0.1, 0.5, 0.9)  # of the rows by class: how many, and where in a class's errors their images are
CODES = 2000  # images on the map of the codes
_CODE_VALUES = 2**22  # 16 MiB of codes at most: 655 images of 6,400 numbers


def collect(
    model: Network, untrained: Network, split: TensorSplit, values: Mapping[str, Tensor]
) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of three files.

    reconstructions: `originals`, `reconstructions` and `untrained` (the same images through the network before
    training), uint8 (n, channels, height, width), ordered in three `groups` of equal size, best, typical and worst by
    `mse`; with the `labels` and the `indices` into the test split. A network that was trained on corrupted inputs also
    has `corrupted`, the same images corrupted as for `denoised_mse`, and `denoised`, what it makes of those.

    by_class: `originals` and `reconstructions`, uint8 (classes, 3, channels, height, width), of the images at 10, 50
    and 90 % of a class's errors, and these `mse` (classes, 3); the `labels` (classes,) are of up to ten classes, evenly
    chosen.

    codes: `codes` float32 (m, latent_size) of a stratified sample of the images, with their `labels` and `indices`.
    """
    images, labels = split
    chosen, groups = _by_error(values["mse"])
    originals = images[chosen]
    arrays = {
        "originals": as_bytes(originals),
        "reconstructions": reconstruct(model, originals),
        "untrained": reconstruct(untrained, originals),
        "mse": values["mse"][chosen],
        "labels": labels[chosen],
        "indices": chosen,
    }
    if isinstance(model, Corruptive) and "denoised_mse" in values:
        given = _corrupted(model, originals, chosen)
        arrays |= {"corrupted": given, "denoised": reconstruct(model, given)}
    return {
        "reconstructions": {**to_numpy(arrays), "groups": groups},
        "by_class": to_numpy(_by_class(model, split, values["mse"])),
        "codes": to_numpy(_codes(model, split)),
    }


def watched(split: TensorSplit) -> Tensor:
    """Return the training images by which a network's progress is shown, (n, channels, height, width), as they are."""
    images, labels = split
    return images[stratified_sample(labels, WATCHED)]


def progress(originals: Tensor, by_epoch: Mapping[int, Tensor]) -> dict[str, np.ndarray]:
    """Return the arrays of the file `progress`.

    `originals`, (n, channels, height, width), which are stored as uint8; `epochs`, (m,), and `images`, uint8 (m, n,
    channels, height, width): what the network made of them after each of these epochs.
    """
    epochs = sorted(by_epoch)
    return {
        "originals": as_bytes(originals).cpu().numpy(),
        "epochs": np.array(epochs),
        "images": np.stack([by_epoch[epoch].numpy() for epoch in epochs]),
    }


def reconstruct(model: Network, images: Tensor) -> Tensor:
    """Return the reconstructions of images as uint8 of the same shape."""
    model.eval()
    with torch.inference_mode():
        return torch.cat([to_bytes(model(to_pixels(images[batch]))) for batch in evaluation_batches(images)])


def encode(model: Network, images: Tensor) -> Tensor:
    """Return the codes of images, float32 (n, latent_size)."""
    assert isinstance(model, Reconstructive)
    model.eval()
    with torch.inference_mode():
        return torch.cat([model.encode(to_pixels(images[batch])).float() for batch in evaluation_batches(images)])


def to_numpy(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Return tensors of any device as arrays."""
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _corrupted(model: Corruptive, images: Tensor, indices: Tensor) -> Tensor:
    batches = evaluation_batches(images)
    return torch.cat([to_bytes(model.corrupted(to_pixels(images[b]), indices[b])) for b in batches])


def _by_error(errors: Tensor) -> tuple[Tensor, np.ndarray]:
    order = torch.argsort(errors, stable=True)
    count = min(PER_GROUP, max(1, len(order) // 3))
    middle = (len(order) - count) // 2
    chosen = torch.cat([order[:count], order[middle : middle + count], order[-count:]])
    return chosen, np.repeat(["best", "typical", "worst"], [count, count, len(chosen) - 2 * count])


def _by_class(model: Network, split: TensorSplit, errors: Tensor) -> dict[str, Tensor]:
    images, labels = split
    present = torch.unique(labels)
    shown = present[torch.linspace(0, len(present) - 1, min(CLASSES, len(present))).round().long()]
    chosen = []
    for label in shown:
        mine = torch.nonzero(labels == label).flatten()
        mine = mine[errors[mine].argsort(stable=True)]
        chosen += [mine[round(share * (len(mine) - 1))] for share in SHARES]
    places = torch.stack(chosen)
    shape = (len(shown), len(SHARES), *images.shape[1:])
    return {
        "originals": as_bytes(images[places]).reshape(shape),
        "reconstructions": reconstruct(model, images[places]).reshape(shape),
        "mse": errors[places].reshape(shape[:2]),
        "labels": shown,
    }


def _codes(model: Network, split: TensorSplit) -> dict[str, Tensor]:
    images, labels = split
    latent_size = encode(model, images[:1]).shape[1]
    chosen = stratified_sample(labels, min(CODES, max(1, _CODE_VALUES // latent_size)))
    return {"codes": encode(model, images[chosen]), "labels": labels[chosen], "indices": chosen}
