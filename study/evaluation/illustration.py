"""The promoted samples made ready to be looked at: PCA's reconstructions beside the network's, and the pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.evaluation.pictures import pictures
from study.evaluation.writing import save
from study.record import files as atomic

Images = NDArray[np.uint8]


def illustrate(samples: Path, class_names: Sequence[str], reconstruct: Callable[[Images], Images | None]) -> None:
    """Write `pca.npz` and a .png for each kind of sample into the folder `samples`.

    `pca.npz` holds `reconstructions` uint8 (n, channels, height, width) of the images in reconstructions.npz.

    Args:
        samples: The folder, with the .npz files of `study.evaluation.writing`.
        class_names: A name for each class of the data.
        reconstruct: From images to PCA's reconstructions at the network's latent size, None where there are none.
    """
    file = samples / "reconstructions.npz"
    if file.is_file():
        with np.load(file, allow_pickle=False) as arrays:
            rebuilt = reconstruct(arrays["originals"])
        if rebuilt is not None:
            save(samples / "pca.npz", {"reconstructions": rebuilt})
    for name, picture in pictures(samples, class_names).items():
        atomic.write(samples / f"{name}.png", partial(picture.save, format="PNG"))
