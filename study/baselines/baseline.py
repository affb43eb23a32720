"""What the networks of a study are compared with, fitted to exactly the training images that they see.

Autoencoders of both kinds are compared with PCA, classifiers with a logistic regression on PCA codes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces import FAMILY_FACTS
from study.baselines import pca
from study.baselines.pca import BaselineRow, Pca
from study.record.errors import StudyError
from study.record.state import Run

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

_Arrays = dict[str, NDArray[Any]]
PcaAxes = tuple[Tensor, Tensor]
"""The mean image (pixels,) and orthonormal axes (components, pixels), float32 on the CPU."""

CLASSIFIER_RANKS = (16, 64, 256)
"""Numbers of components: 16 are few, and at 256 the data sets here keep more than nine tenths of their variance."""

_ITERATIONS = 300  # of L-BFGS; accuracies no longer move in the third digit
SEARCHED = 512
"""Components: the largest latent size of any built-in space."""

T = TypeVar("T")


class Elsewhere(Protocol):
    """Calls a function in another process, which a signal can end, and returns its result."""

    def __call__(self, function: Callable[..., T], /, *arguments: object) -> T:
        """Return `function(*arguments)`; raises what it raises."""


class Split(Protocol):
    """A split of a study's data."""

    @property
    def images(self) -> NDArray[Any]:
        """(n, channels, height, width)."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,)."""


class PcaBaseline:
    """PCA at the standard numbers of components and at every latent size, for autoencoders.

    In nats, too, as probabilistic PCA, and with `clipped_nats` as VAEs are compared with it.

    Args:
        splits: "train", "val" and "test" of the study's data.
        elsewhere: Runs what takes long.
        say: Called before something takes long.
    """

    clipped_nats: Collection[str] = ()
    """The splits of which `pca.evaluate` measures that."""

    def __init__(self, splits: Mapping[str, Split], elsewhere: Elsewhere, say: Callable[[str], None]) -> None:
        self._splits, self._elsewhere, self._say = splits, elsewhere, say
        self._fitted: Pca | None = None
        self._errors: dict[tuple[str, int], float] = {}

    def axes(self, components: int = SEARCHED) -> PcaAxes:
        """Return the mean image and at least so many axes, if there are, for networks that start from PCA."""
        return _axes(self.fitted(components))

    def fitted(self, components: int = SEARCHED) -> Pca:
        """Return PCA of the training images with at least as many components, as far as they have so many.

        Raises:
            StudyError: the images allow no PCA.
        """
        images = self._splits["train"].images
        wanted = min(_rank_limit(images), max(components, SEARCHED))
        if self._fitted is None or len(self._fitted.components) < wanted:
            self._say("PCA of the training images")
            try:
                self._fitted = self._elsewhere(pca.fit, images, wanted)
            except ValueError as error:
                raise StudyError(f"PCA cannot be fitted: {error}") from None
        return self._fitted

    def validation_error(self) -> Callable[[Run], float | None]:
        """Return a function that gives PCA's validation error at a run's latent size, None where there is none.

        It is that of the clipped reconstructions, as a network's is: measured when a size is first asked for.
        """
        self.fitted()
        return lambda run: self.error("val", run.config["latent_size"])

    def error(self, split: str, components: int) -> float | None:
        """Return PCA's error on a split, of clipped reconstructions; None if the images have fewer components."""
        fitted = self.fitted(components)
        if components > fitted.rank:
            return None
        if (split, components) not in self._errors:
            self._errors[split, components] = float(
                pca.image_errors(fitted, self._splits[split].images, components).mean()
            )
        return self._errors[split, components]

    def reconstruct(self, images: NDArray[Any], components: int) -> NDArray[np.uint8] | None:
        """Return PCA's reconstructions of images, None if the training images have fewer components."""
        fitted = self.fitted(components)
        return pca.reconstruct(fitted, images, components) if components <= fitted.rank else None

    def image_errors(self, components: int) -> dict[str, NDArray[np.float64]]:
        """Return the error of each test image, (n,), by the metric that is its mean: with one row's components."""
        return {"mse": pca.image_errors(self.fitted(components), self._splits["test"].images, components)}

    def rows(self, known: Mapping[int, Mapping[str, Any]], configs: Collection[Mapping[str, Any]]) -> list[BaselineRow]:
        """Return the rows of the baseline that are not among the `known` ones, by number of components, yet.

        One with more numbers in its code than the images have axes is compared with PCA at full rank, which has a row
        then. A row of an earlier version, which had no clipped errors or no nats, is measured anew.
        """
        columns = ["test_mse_clipped", "test_nelbo", *(f"{split}_nelbo_clipped" for split in self.clipped_nats)]
        whole = {rank for rank, row in known.items() if all(name in row for name in columns)}
        images = self._splits["train"].images
        limit = _rank_limit(images)
        sizes = {config["latent_size"] for config in configs}
        wanted = {*pca.standard_ranks(len(images), images[0].size), *sizes} - whole
        if not wanted:
            return []
        fitted = self.fitted(min(limit, max(wanted)))
        if max(sizes, default=0) > fitted.rank:
            wanted |= {fitted.rank} - whole
        wanted = {rank for rank in wanted if rank <= fitted.rank}
        if not wanted:
            return []
        self._say("PCA baseline")
        splits = {name: self._splits[name].images for name in pca.SPLITS}
        return pca.evaluate(fitted, splits, wanted, clipped_nats=self.clipped_nats)


class ProbabilisticPcaBaseline(PcaBaseline):
    """PCA for VAEs: the same, and the nats of 8-bit images that they are compared with."""

    clipped_nats = ("val", "test")


class LinearClassifierBaseline(PcaBaseline):
    """A logistic regression on PCA codes, for classifiers."""

    def rows(self, known: Mapping[int, Mapping[str, Any]], configs: Collection[Mapping[str, Any]]) -> list[BaselineRow]:
        """Return the rows of the baseline if none are `known` yet."""
        if known:
            return []
        fitted = self.fitted(max(CLASSIFIER_RANKS))
        ranks = [rank for rank in CLASSIFIER_RANKS if rank <= fitted.rank] or [fitted.rank]
        self._say("logistic regression on PCA codes")
        return self._elsewhere(evaluate_linear_classifier, fitted, ranks, *self._arrays())

    def image_errors(self, components: int) -> dict[str, NDArray[np.float64]]:
        """Return whether the regression is wrong about each test image, 1 or 0, (n,): it is fitted once more."""
        self._say("logistic regression, image by image")
        fitted = self.fitted(components)
        return {"error_rate": self._elsewhere(linear_mistakes, fitted, components, *self._arrays())}

    def _arrays(self) -> list[NDArray[Any]]:
        splits = (self._splits[name] for name in pca.SPLITS)
        return [array for split in splits for array in (split.images, split.labels)]


def baseline_of(family: str) -> type[PcaBaseline]:
    """Return the baseline of a family."""
    facts = FAMILY_FACTS[family]
    if facts.baseline == "linear_classifier":
        return LinearClassifierBaseline
    return ProbabilisticPcaBaseline if facts.nats else PcaBaseline


def evaluate_linear_classifier(fitted: Pca, ranks: Sequence[int], *arrays: NDArray[Any]) -> list[BaselineRow]:
    """Return a row of the baseline per rank: PCA's columns, and `val_accuracy` and `test_accuracy`.

    Without validation images there is no `val_accuracy`.

    The codes are divided by the largest component's standard deviation, which leaves their proportions as they are,
    and scikit-learn's multinomial logistic regression is fitted to the training codes with its own L2 penalty (C = 1).

    Args:
        fitted: PCA of the training images.
        ranks: numbers of components, each within 1 … `fitted.rank`.
        arrays: images and labels of train, val and test, in this order: six of them.
    """
    images, labels, codes = _coded(fitted, max(ranks), arrays)
    rows = pca.evaluate(fitted, images, ranks)
    for row, rank in zip(rows, sorted(set(ranks)), strict=True):
        model = _regression(codes["train"][:, :rank], labels["train"])
        for name in [name for name in codes if name != "train"]:
            row[f"{name}_accuracy"] = float(model.score(codes[name][:, :rank], labels[name]))
    return rows


def linear_mistakes(fitted: Pca, rank: int, *arrays: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1 for each test image that the classifier of `evaluate_linear_classifier` is wrong about, else 0, (n,)."""
    _, labels, codes = _coded(fitted, rank, arrays)
    model = _regression(codes["train"], labels["train"])
    mistakes: NDArray[np.float64] = (model.predict(codes["test"]) != labels["test"]).astype(np.float64)
    return mistakes


def _coded(fitted: Pca, rank: int, arrays: Sequence[NDArray[Any]]) -> tuple[_Arrays, _Arrays, _Arrays]:
    """Return images, labels and codes by split, the codes of a split without images left out."""
    images = dict(zip(pca.SPLITS, arrays[0::2], strict=True))
    labels = dict(zip(pca.SPLITS, arrays[1::2], strict=True))
    codes = {name: pca.codes(fitted, array, rank) for name, array in images.items() if len(array)}
    scale = codes["train"][:, 0].std()
    return images, labels, {name: values / scale for name, values in codes.items()}


def _regression(codes: NDArray[np.float64], labels: NDArray[np.int64]) -> LogisticRegression:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=_ITERATIONS).fit(codes, labels)


def fit_axes(images: Tensor, components: int) -> PcaAxes:
    """Return PCA of images (n, channels, height, width), with as many components as they allow at most."""
    array = images.cpu().numpy()
    return _axes(pca.fit(array, min(components, _rank_limit(array))))


def _axes(fitted: Pca) -> PcaAxes:
    mean, components = (torch.tensor(array, dtype=torch.float32) for array in (fitted.mean, fitted.components))
    return mean, components[: fitted.rank]


def _rank_limit(images: NDArray[Any]) -> int:
    return pca.rank_limit(len(images), images[0].size)
