"""What the report's pictures need, as arrays: written by a confirmation run from the test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from study import atomic
from study.training import TensorSplit, evaluation_batches, to_pixels

PER_GROUP = 8  # best, typical and worst reconstructions
CODES = 2000  # images on the map of the codes


def write(folder: Path, model: nn.Module, untrained: nn.Module, split: TensorSplit, metrics: dict[str, Tensor]) -> None:
    """Write the samples of an autoencoder into `folder`.

    `reconstructions.npz`: `originals`, `reconstructions` and `untrained` (the same images through the network before
    training), uint8 (n, channels, height, width), ordered in three `groups` of equal size, best, typical and worst by
    `mse`; with the `labels` and the `indices` into the test split.
    `codes.npz`: `codes` float32 (n, latent_size) of the first images, with their `labels`.

    Args:
        folder: Where the files go.
        model: The trained autoencoder, on the device of the images.
        untrained: The same network with its initial weights.
        split: The test split.
        metrics: The per-image metrics of the test split, each (n,); "mse" among them.
    """
    images, labels = split
    error = metrics["mse"]
    order = torch.argsort(error)
    count = min(PER_GROUP, max(1, len(order) // 3))
    middle = (len(order) - count) // 2
    chosen = torch.cat([order[:count], order[middle : middle + count], order[-count:]])
    originals = images[chosen]
    arrays = {
        "originals": originals,
        "reconstructions": reconstruct(model, originals),
        "untrained": reconstruct(untrained, originals),
        "mse": error[chosen],
        "labels": labels[chosen],
        "indices": chosen,
    }
    groups = np.repeat(["best", "typical", "worst"], [count, count, len(chosen) - 2 * count])
    _save(folder / "reconstructions.npz", {**_arrays(arrays), "groups": groups})
    codes = encode(model, images[:CODES])
    _save(folder / "codes.npz", _arrays({"codes": codes, "labels": labels[:CODES]}))


@torch.inference_mode()
def reconstruct(model: nn.Module, images: Tensor) -> Tensor:
    """Return the reconstructions of uint8 images, clipped to [0, 1], as uint8 of the same shape."""
    model.eval()
    parts = [model(to_pixels(images[batch])) for batch in evaluation_batches(images)]
    return torch.cat(parts).clamp(0, 1).mul(255).round().to(torch.uint8)


@torch.inference_mode()
def encode(model: nn.Module, images: Tensor) -> Tensor:
    """Return the codes of uint8 images, float32 (n, latent_size)."""
    model.eval()
    codes = [model.encode(to_pixels(images[batch])) for batch in evaluation_batches(images)]  # type: ignore[operator]
    return torch.cat(codes)


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    def produce(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    atomic.write(path, produce)
