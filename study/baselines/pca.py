"""The linear baseline: principal component analysis of the training images, and its error at every rank.

An autoencoder of latent size k with linear layers and the mean square error can do no better than the first
k principal components (Baldi and Hornik, 1989, Neural Networks 2), so PCA at k is what a network has to beat.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from study.baselines import probabilistic_pca
from study.baselines.probabilistic_pca import ProbabilisticPca
from study.record import machine
from study.record.tables import BASELINE

SPLITS = ("train", "val", "test")
BaselineRow = dict[str, int | float | None]

# Pixels of one chunk of images: 32 MiB in float64, and three times as much again while a block is subtracted.
_CHUNK_VALUES = 2**22
# Where each is gone through at every rank: few enough for a processor's cache, enough for its matrix products.
_CACHED_VALUES, _CACHED_IMAGES = 2**17, 64

_PASSES = 7  # over images that are larger than memory; beside the mean's
_OVERSAMPLING = 0.5
"""Of the components, so many more are gone through: where the variances fall as slowly as with images, the error at the
last of 512 components is within 0.1 % of the exact one's."""


@dataclass(frozen=True, eq=False)
class Pca:
    """A fitted PCA of flattened images with pixels in [0, 1].

    Attributes:
        mean: the mean image, shape (pixels,).
        components: orthonormal rows, the largest variance first, shape (components, pixels).
        explained_variance: the fraction of the variance that the first k components keep, at index k - 1;
            shape (components,).
        variances: mean squares along the components, over the images themselves (not divided by one less), shape
            (components,).
        total_variance: along all axes together, those included that have no component here.
        rank: how many of `components` carry variance; the rest are rounding error.
        solver: scikit-learn's `svd_solver` that was used, or "passes" over images that are larger than memory.
        fit_seconds: wall time of the fit, the conversion to float64 included.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    explained_variance: NDArray[np.float64]
    variances: NDArray[np.float64]
    total_variance: float
    rank: int
    solver: Literal["covariance_eigh", "full", "passes"]
    fit_seconds: float


def rank_limit(n_images: int, n_pixels: int) -> int:
    """Return the most components that the images can have: centring them takes one degree of freedom."""
    return max(0, min(n_images - 1, n_pixels))


def standard_ranks(n_images: int, n_pixels: int) -> list[int]:
    """Return those of 2, 4, 8, …, 512 components that the data can have."""
    limit = rank_limit(n_images, n_pixels)
    return [2**power for power in range(1, 10) if 2**power <= limit]


def fit(train_images: NDArray[Any], max_components: int) -> Pca:
    """Fit scikit-learn's PCA, in float64, to images scaled to [0, 1].

    The solver is one of scikit-learn's two exact ones, as its default is randomised for most image sizes.
    With at least as many images as pixels it is `covariance_eigh`, the eigendecomposition of the covariance,
    shape (pixels, pixels). With fewer it is `full`, the singular value decomposition of the centred images,
    shape (images, pixels): its right singular vectors are that covariance's eigenvectors, its squared
    singular values the eigenvalues times (images - 1). So the answer is the same, and the covariance of
    3×100×100 images, 30,000 × 30,000 and 7 GiB, is never formed. Images of which two copies in float64 do not fit
    into memory are gone through in passes.

    Args:
        train_images: shape (images, channels, height, width), uint8, uint16 or float32 in [0, 1].
        max_components: the largest rank that will be asked for.

    Raises:
        ValueError: `max_components` is not within 1 … `rank_limit`, or all images are the same.
    """
    from sklearn.decomposition import PCA

    n_images = len(train_images)
    n_pixels = int(np.prod(train_images.shape[1:]))
    limit = rank_limit(n_images, n_pixels)
    if not 1 <= max_components <= limit:
        raise ValueError(
            f"{max_components} components: {n_images:,} images of {n_pixels:,} pixels allow 1 to {limit:,}"
        )
    started = time.perf_counter()
    if 2 * n_images * n_pixels * 8 > machine.memory():
        return _fit_in_passes(train_images, max_components, started)
    if not np.ptp(train_images, axis=0).any():
        raise ValueError(f"the {n_images:,} training images are all the same: PCA has no axes")
    solver: Literal["covariance_eigh", "full"] = "covariance_eigh" if n_images >= n_pixels else "full"
    # copy=False: the float64 array is nobody else's, so the full solver may centre it in place.
    fitted = PCA(max_components, svd_solver=solver, copy=False).fit(_unit_pixels(train_images))
    variances = fitted.explained_variance_
    # The tolerance of numpy.linalg.matrix_rank, for the eigenvalues of the covariance.
    noise = variances[0] * max(n_images, n_pixels) * np.finfo(np.float64).eps
    mean_squares = variances * (n_images - 1) / n_images
    return Pca(
        mean=fitted.mean_,
        components=fitted.components_,
        explained_variance=np.cumsum(fitted.explained_variance_ratio_),
        variances=mean_squares,
        total_variance=float(mean_squares[0] / fitted.explained_variance_ratio_[0]),
        rank=int(np.count_nonzero(variances > noise)),
        solver=solver,
        fit_seconds=time.perf_counter() - started,
    )


def _fit_in_passes(train_images: NDArray[Any], max_components: int, started: float) -> Pca:
    """Fit PCA to images that are larger than memory, a chunk of them at a time, in a few passes over all of them.

    Subspace iteration with a seeded start and oversampling (Halko, Martinsson and Tropp, "Finding structure with
    randomness", 2011, algorithm 4.4), then the exact eigenvectors within the subspace that was found.
    """
    n_images, n_pixels = len(train_images), int(np.prod(train_images.shape[1:]))
    mean = np.zeros(n_pixels)
    for chunk in _chunks(train_images):
        mean += _unit_pixels(chunk).sum(0)
    mean /= n_images
    width = min(n_pixels, max_components + max(32, int(_OVERSAMPLING * max_components)))
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((n_pixels, width)))[0]
    total = 0.0
    for number in range(_PASSES):
        product, total = np.zeros((n_pixels, width)), 0.0
        for chunk in _chunks(train_images):
            centred = _unit_pixels(chunk) - mean
            product += centred.T @ (centred @ basis)
            total += float(np.einsum("ij,ij->", centred, centred))
        if total == 0:
            raise ValueError(f"the {n_images:,} training images are all the same: PCA has no axes")
        if number < _PASSES - 1:
            basis = np.linalg.qr(product)[0]
    values, vectors = np.linalg.eigh(basis.T @ product)
    values, vectors = values[::-1][:max_components], vectors[:, ::-1][:, :max_components]
    noise = values[0] * max(n_images, n_pixels) * np.finfo(np.float64).eps
    return Pca(
        mean=mean,
        components=np.ascontiguousarray((basis @ vectors).T),
        explained_variance=np.cumsum(values) / total,
        variances=values / n_images,
        total_variance=total / n_images,
        rank=int(np.count_nonzero(values > noise)),
        solver="passes",
        fit_seconds=time.perf_counter() - started,
    )


def probabilistic(pca: Pca, components: int) -> ProbabilisticPca:
    """Return probabilistic PCA with so many components, within 1 … `pca.rank`."""
    axes, variances = pca.components[:components], pca.variances[:components]
    return probabilistic_pca.fit(pca.mean, axes, variances, pca.total_variance)


def evaluate(
    pca: Pca,
    images: Mapping[str, NDArray[Any]],
    ranks: Iterable[int],
    *,
    clipped_nats: Collection[str] = (),
) -> list[BaselineRow]:
    """Return one row per rank, ascending, with the keys `BASELINE.columns`.

    `*_mse` is the mean square error per pixel on [0, 1], `*_mse_clipped` that of the reconstructions clipped to
    [0, 1], as they are shown and as a network's are compared with them. `*_pixel_rmse_255` is in
    grey levels of 0 … 255: the
    root mean square error of each pixel over the images, averaged over the pixels (by Jensen's inequality at
    most the root of the overall mean square). `*_nelbo` is −log p under probabilistic PCA and uniform
    dequantisation, in nats per image, `*_nelbo_clipped` that of it where black and white stand for all that
    lies beyond, as a VAE's likelihoods have it: both of 8-bit images, None of others. Columns of a split that is
    missing or empty are None.

    Args:
        pca: fitted to the training images.
        images: any of "train", "val", "test", each of shape (images, channels, height, width).
        ranks: numbers of components; duplicates count once.
        clipped_nats: the splits to measure `*_nelbo_clipped` of, which takes long where much is black or white.

    Raises:
        ValueError: a rank is not within 1 … `pca.rank`, a split has another name or another image size.
    """
    ordered = sorted(set(ranks))
    if ordered and not 1 <= ordered[0] <= ordered[-1] <= pca.rank:
        wrong = next(rank for rank in ordered if not 1 <= rank <= pca.rank)
        raise ValueError(f"{wrong} components: the fitted data have 1 to {pca.rank:,}")
    if unknown := sorted(set(images) - set(SPLITS)):
        raise ValueError(f"split {unknown[0]!r} is not one of {', '.join(SPLITS)}")
    errors = {split: _squared_errors(pca, images[split], ordered) for split in SPLITS if len(images.get(split, ()))}
    models = [probabilistic(pca, rank) for rank in ordered]
    of_8_bits = {split for split in errors if images[split].dtype == np.uint8}
    gains = {split: _mean_gains(models, images[split]) for split in of_8_bits.intersection(clipped_nats)}
    rows = []
    for index, rank in enumerate(ordered):
        row: BaselineRow = dict.fromkeys(BASELINE.columns)
        row["n_components"] = rank
        row["explained_variance"] = float(pca.explained_variance[rank - 1])
        row["fit_seconds"] = pca.fit_seconds
        for split, (per_pixel, clipped, squares) in errors.items():
            row[f"{split}_mse"] = float(per_pixel[index].mean())
            row[f"{split}_mse_clipped"] = float(clipped[index])
            if f"{split}_pixel_rmse_255" in row:
                row[f"{split}_pixel_rmse_255"] = float(255 * np.sqrt(per_pixel[index]).mean())
            if split not in of_8_bits:
                continue
            nelbo = models[index].nelbo(squares[:rank], per_pixel[index].sum())
            row[f"{split}_nelbo"] = nelbo
            if split in gains:  # both are bounds of the same, and without a gain the first one is the closer
                row[f"{split}_nelbo_clipped"] = min(nelbo, models[index].coded_nelbo(nelbo) - gains[split][index])
        rows.append(row)
    return rows


def image_errors(pca: Pca, images: NDArray[Any], components: int) -> NDArray[np.float64]:
    """Return each image's mean square error per pixel, (n,): of its reconstruction, clipped to [0, 1], at one rank.

    Args:
        pca: fitted to the training images.
        images: shape (n, channels, height, width), of any split.
        components: the rank, within 1 … `pca.rank`.
    """
    axes = pca.components[:components]
    errors = []
    for chunk in _chunks(images):
        pixels = _unit_pixels(chunk)
        residual = pixels - pca.mean
        residual -= residual @ axes.T @ axes
        errors.append(np.square(np.clip(residual, pixels - 1, pixels)).mean(1))
    return np.concatenate(errors)


def codes(pca: Pca, images: NDArray[Any], components: int) -> NDArray[np.float64]:
    """Return the coordinates of images (n, channels, height, width), along the first axes: (n, components)."""
    axes = pca.components[:components].T
    return np.concatenate([(_unit_pixels(chunk) - pca.mean) @ axes for chunk in _chunks(images)])


def reconstruct(pca: Pca, images: NDArray[Any], components: int) -> NDArray[np.uint8]:
    """Return what the first components keep of images (n, channels, height, width), as uint8, rounded and clipped."""
    pixels = pca.mean + codes(pca, images, components) @ pca.components[:components]
    rebuilt: NDArray[np.uint8] = np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)
    return rebuilt.reshape(images.shape)


def components_for_variance(pca: Pca, fraction: float) -> int:
    """Return the smallest number of components that keep at least `fraction` of the variance.

    Raises:
        ValueError: `fraction` is not within 0 … 1 (0 excluded), or the fitted components keep less.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"variance {fraction:g} is not a fraction above 0 and at most 1")
    # All of the variance is kept by the last component that carries any, whatever the sum's rounding says.
    kept = pca.explained_variance[: pca.rank]
    if fraction > kept[-1] and not np.isclose(kept[-1], 1, rtol=0, atol=1e-12):
        raise ValueError(f"variance {fraction:g}: the {pca.rank:,} fitted components keep {kept[-1]:.4f}")
    return min(int(np.searchsorted(kept, fraction)) + 1, pca.rank)


def _squared_errors(
    pca: Pca, images: NDArray[Any], ranks: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean square errors of each pixel at each rank, (ranks, pixels), clipped ones, (ranks,), and of codes.

    The last are the mean squares of the coordinates along the components, (largest rank,).

    The components are orthonormal, so what rank k leaves is what rank j < k left less the part along
    components j + 1 … k: all ranks together cost one projection to the largest. A reconstruction is the image less
    what is left of it, so that it is clipped to [0, 1] where what is left is clipped to [image - 1, image].
    """
    totals, clipped = np.zeros((len(ranks), len(pca.mean))), np.zeros(len(ranks))
    squares = np.zeros(max(ranks, default=0))
    for chunk in _chunks(images, max(_CACHED_VALUES, _CACHED_IMAGES * len(pca.mean))):
        pixels = _unit_pixels(chunk)
        if pixels.shape[1] != len(pca.mean):
            raise ValueError(f"images of {pixels.shape[1]:,} pixels; the PCA was fitted to {len(pca.mean):,}")
        residual = pixels - pca.mean
        done = 0
        for index, rank in enumerate(ranks):
            block = pca.components[done:rank]
            coordinates = residual @ block.T
            residual -= coordinates @ block
            squares[done:rank] += np.einsum("ij,ij->j", coordinates, coordinates)
            totals[index] += np.einsum("ij,ij->j", residual, residual)
            shown = np.clip(residual, pixels - 1, pixels)
            clipped[index] += np.einsum("ij,ij->", shown, shown)
            done = rank
    return totals / len(images), clipped / (len(images) * len(pca.mean)), squares / len(images)


def _mean_gains(models: list[ProbabilisticPca], images: NDArray[Any]) -> list[float]:
    """Return each model's gain from the ends of the grey scale, in nats per image."""
    gains = [sum(model.gain_of_ends(_unit_pixels(chunk)) for chunk in _chunks(images)) for model in models]
    return [gain / len(images) for gain in gains]


def _chunks(images: NDArray[Any], values: int = _CHUNK_VALUES) -> Iterator[NDArray[Any]]:
    size = max(1, min(values, _CHUNK_VALUES) // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _unit_pixels(images: NDArray[Any]) -> NDArray[np.float64]:
    """Return a new float64 array of shape (images, pixels) in [0, 1]: integers are over their dtype's largest."""
    pixels = images.reshape(len(images), -1).astype(np.float64)
    if images.dtype.kind == "u":
        pixels /= np.iinfo(images.dtype).max
    return pixels
