"""What shows a network at work: arrays, written by a confirmation run from the test split, and pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import Generative, Network, Predictive, Reconstructive
from study.data.tensors import TensorSplit
from study.evaluation import generative, image_errors, prediction, reconstruction
from study.evaluation.pictures import Arrays, pictures
from study.record import files as atomic

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Beside:
    """Another network, on the CPU, and what it is called."""

    name: str
    network: Network


def write(
    folder: Path,
    model: Network,
    untrained: Network,
    splits: Mapping[str, TensorSplit],
    values: Mapping[str, Tensor],
) -> None:
    """Write what shows the network at work into `folder`, as compressed .npz files without pickles.

    What is written goes by what the network can do: the modules `reconstruction`, `generative`, `prediction` and
    `image_errors` say which files there are and what they hold. The same network gives the same arrays.

    Args:
        folder: Where the files go.
        model: The trained network, on the device of the images.
        untrained: The same network before it was trained; one that starts from PCA is PCA then.
        splits: "test" is read: images uint8 (n, channels, height, width), labels int64 (n,), on the model's device.
        values: `Network.per_image` of every test image, (n, ...), floats in float64.
    """
    for name, arrays in collect(model, untrained, splits["test"], values).items():
        save(folder / f"{name}.npz", arrays)


def collect(model: Network, untrained: Network, split: TensorSplit, values: Mapping[str, Tensor]) -> dict[str, Arrays]:
    """Return the arrays of each file that `write` writes, by the file's name without its ending."""
    files: dict[str, Arrays] = image_errors.collect(values, split[1])
    if isinstance(model, Reconstructive):
        files |= reconstruction.collect(model, untrained, split, values)
    if isinstance(model, Generative):
        files |= generative.collect(model, split, values)
    if isinstance(model, Predictive):
        files |= prediction.collect(untrained, split, values)
    return files


def save(path: Path, arrays: Arrays) -> None:
    """Write arrays into one compressed .npz file without pickles, whole or not at all."""

    def produce(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    atomic.write(path, produce)


def illustrate(
    samples: Path,
    class_names: Sequence[str],
    by_pca: Callable[[Images], Images | None],
    beside: Beside | None = None,
) -> None:
    """Write `pca.npz`, `beside.npz` and a .png for each kind of sample into the folder `samples`.

    `pca.npz` holds `reconstructions` and `by_class`, uint8, of the originals in the files of these names; `beside.npz`
    the `reconstructions` of another network, and its `name`.

    Args:
        samples: The folder, with the .npz files of `write`.
        class_names: A name for each class of the data.
        by_pca: From images to PCA's reconstructions at the network's latent size, None where there are none.
        beside: Another network that is shown beside this one.
    """
    rebuilt: dict[str, Images] = {}
    for name in ("reconstructions", "by_class"):
        file = samples / f"{name}.npz"
        if not file.is_file():
            continue
        with np.load(file, allow_pickle=False) as arrays:
            originals = arrays["originals"]
        made = by_pca(originals.reshape(-1, *originals.shape[-3:]))
        if made is not None:
            rebuilt[name] = made.reshape(originals.shape)
        if beside is not None and name == "reconstructions":
            theirs = reconstruction.reconstruct(beside.network, torch.from_numpy(originals)).numpy()
            save(samples / "beside.npz", {name: theirs, "name": np.array(beside.name)})
    if rebuilt:
        save(samples / "pca.npz", rebuilt)
    for name, picture in pictures(samples, class_names).items():
        atomic.write(samples / f"{name}.png", partial(picture.save, format="PNG"))
