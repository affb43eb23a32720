"""What a generative model makes of its own codes: samples, interpolations, a traversal, and which codes it uses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from models import Generative, Network
from models.vae import ACTIVE_VARIANCE
from study.data.splits import stratified_order
from study.data.tensors import TensorSplit, as_bytes, stratified_sample, to_bytes
from study.evaluation.reconstruction import encode, to_numpy

SAMPLES = 64
PAIRS, STEPS = 8, 10  # interpolations
DIMENSIONS, VALUES = 8, 9  # of the traversal
REACH = 3.0  # standard deviations of the prior
_SEED = 64


def collect(model: Network, split: TensorSplit, values: Mapping[str, Tensor]) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of four files (three for a single test image); images are uint8 (..., channels, height, width).

    prior: `samples` (64, ...), mean images of codes drawn from the prior.

    interpolations: `images` (8, 10, ...), on the straight line from the mean code of one test image to that of another
    of a different class, both ends included; with the `labels` and `indices` (8, 2) of the ends. Straight, not along a
    great circle (White 2016): mean codes do not lie on the prior's shell, those of unused dimensions are near 0, and
    two codes of one dimension, or opposite ones, have no great circle between them.

    traversal: `images` (8, 9, ...), one code with a row's dimension set to each of `values` (9,), -3 to 3 standard
    deviations of the prior, and the others left at the mean code of the test image `original` (its `index`). The rows
    are the `dimensions` (8,) with the largest mean `kl` (8,), in nats; fewer if the code has fewer.

    kl: `kl_per_dimension` (latent_size,), nats per image, mean over the test images; `active` (latent_size,): whether
    the posterior mean varies over them by more than 0.01 (Burda et al., "Importance weighted autoencoders", 2016).
    """
    assert isinstance(model, Generative)
    kl = values["kl_per_dimension"].mean(0)
    active = values["mean"].var(0, correction=0) > ACTIVE_VARIANCE
    model.eval()
    with torch.inference_mode():
        samples = model.sample(SAMPLES, torch.Generator().manual_seed(_SEED))
    files = {
        "prior": {"samples": to_bytes(samples)},
        "traversal": _traversal(model, split, kl),
        "kl": {"kl_per_dimension": kl, "active": active},
    }
    if len(split[1]) > 1:
        files["interpolations"] = _interpolations(model, split)
    return {name: to_numpy(arrays) for name, arrays in files.items()}


def _interpolations(model: Network, split: TensorSplit) -> dict[str, Tensor]:
    images, labels = split
    pairs = _pairs(labels)
    ends = encode(model, images[pairs.flatten()]).view(*pairs.shape, -1)
    share = torch.linspace(0, 1, STEPS, device=ends.device)[:, None]
    codes = torch.lerp(ends[:, :1], ends[:, 1:], share)
    return {"images": _decode(model, codes), "labels": labels[pairs], "indices": pairs}


def _pairs(labels: Tensor) -> Tensor:
    """Return the indices (8, 2) of pairs of images of different classes, if there are several, none of them twice."""
    classes = labels.cpu().numpy()
    order = stratified_order(classes).tolist()
    pairs: list[tuple[int, int]] = []
    while len(pairs) < PAIRS and len(order) > 1:
        first = order.pop(0)
        other = next((index for index in order if classes[index] != classes[first]), order[0])
        order.remove(other)
        pairs.append((first, other))
    return torch.tensor(pairs, device=labels.device)


def _traversal(model: Network, split: TensorSplit, kl: Tensor) -> dict[str, Tensor]:
    images, labels = split
    index = stratified_sample(labels, 1)
    code = encode(model, images[index])
    dimensions = kl.argsort(descending=True, stable=True)[:DIMENSIONS]
    steps = torch.linspace(-REACH, REACH, VALUES, device=code.device)
    codes = code.repeat(len(dimensions), VALUES, 1)
    codes[torch.arange(len(dimensions)), :, dimensions] = steps
    return {
        "images": _decode(model, codes),
        "dimensions": dimensions,
        "kl": kl[dimensions],
        "values": steps,
        "original": as_bytes(images[index[0]]),
        "index": index[0],
    }


def _decode(model: Network, codes: Tensor) -> Tensor:
    """Return the images of codes (rows, columns, latent_size) as uint8 (rows, columns, channels, height, width)."""
    assert isinstance(model, Generative)
    with torch.inference_mode():
        return torch.stack([to_bytes(model.decode(row)) for row in codes])
