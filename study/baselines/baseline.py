"""What the networks of a study are compared with: PCA, fitted to exactly the training images that they see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from study.baselines import linear_classifier, pca
from study.baselines.pca import Row
from study.cluster import joining
from study.data.image_data import ImageData
from study.data.shared_data import SharedData
from study.record.errors import StudyError
from study.record.state import Run
from study.training.trainer import PcaAxes

_SEARCHED = 512  # components: the largest latent size of any space


class PcaBaseline:
    """PCA at the standard numbers of components and at every latent size, for autoencoders.

    Args:
        data: The study's data.
        shared: The same in the object store.
        cpus: CPUs for the fit, which runs in a worker process.
        say: Called before something takes long.
    """

    def __init__(self, data: ImageData, shared: SharedData, cpus: float, say: Callable[[str], None]) -> None:
        self._data, self._shared, self._cpus, self._say = data, shared, cpus, say
        self._fitted: pca.Pca | None = None

    def axes(self) -> PcaAxes:
        """Return the mean image and the axes, for networks that start from PCA."""
        fitted = self.fitted()
        mean, axes = (torch.tensor(array, dtype=torch.float32) for array in (fitted.mean, fitted.components))
        return mean, axes[: fitted.rank]

    def fitted(self, components: int = _SEARCHED) -> pca.Pca:
        """Return PCA of the training images with at least as many components, as far as they have so many.

        Raises:
            StudyError: the images allow no PCA.
        """
        images = self._data.train.images
        wanted = min(pca.rank_limit(len(images), images[0].size), max(components, _SEARCHED))
        if self._fitted is None or len(self._fitted.components) < wanted:
            self._say("PCA of the training images")
            train = self._shared.splits["train"][0]
            try:
                self._fitted = joining.run_on_node(pca.fit, train, wanted, cpus=self._cpus)
            except ValueError as error:
                raise StudyError(f"PCA cannot be fitted: {error}") from None
        return self._fitted

    def validation_error(self) -> Callable[[Run], float | None]:
        """Return a function that gives PCA's validation error at a run's latent size, None where there is none."""
        fitted = self.fitted()
        curve = pca.error_curve(fitted, self._data.val.images)

        def error(run: Run) -> float | None:
            rank = run.config["latent_size"]
            return float(curve[rank - 1]) if rank <= fitted.rank else None

        return error

    def reconstruct(self, images: NDArray[np.uint8], components: int) -> NDArray[np.uint8] | None:
        """Return PCA's reconstructions of images, None if the training images have fewer components."""
        fitted = self.fitted()
        return pca.reconstruct(fitted, images, components) if components <= fitted.rank else None

    def rows(self, known: Collection[int], configs: Collection[Mapping[str, Any]]) -> list[Row]:
        """Return the rows of the baseline that are not among the `known` numbers of components yet."""
        images = self._data.train.images
        wanted = {*pca.standard_ranks(len(images), images[0].size), *(config["latent_size"] for config in configs)}
        limit = pca.rank_limit(len(images), images[0].size)
        wanted = {rank for rank in wanted - set(known) if rank <= limit}
        if not wanted:
            return []
        fitted = self.fitted(max(wanted))
        self._say("PCA baseline")
        splits = {name: getattr(self._data, name).images for name in pca.SPLITS}
        return pca.evaluate(fitted, splits, [rank for rank in wanted if rank <= fitted.rank])


class LinearClassifierBaseline(PcaBaseline):
    """A logistic regression on PCA codes, for classifiers."""

    def rows(self, known: Collection[int], configs: Collection[Mapping[str, Any]]) -> list[Row]:
        """Return the rows of the baseline that are not among the `known` numbers of components yet."""
        if known:
            return []
        fitted = self.fitted(max(linear_classifier.RANKS))
        ranks = [rank for rank in linear_classifier.RANKS if rank <= fitted.rank] or [fitted.rank]
        self._say("logistic regression on PCA codes")
        arrays = [array for split in pca.SPLITS for array in self._arrays(split)]
        return joining.run_on_node(linear_classifier.evaluate, fitted, arrays, ranks, cpus=self._cpus)

    def _arrays(self, split: str) -> tuple[Any, Any]:
        part = getattr(self._data, split)
        return part.images, part.labels


def baseline_of(family: str) -> type[PcaBaseline]:
    """Return the baseline of a family."""
    return LinearClassifierBaseline if family == "classifier" else PcaBaseline
