"""The winner's test score over other test images, its networks fixed: an interval beside the one over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.study_files import StudyFiles
from analysis.words import cell, interval_text
from study.record import metrics
from study.record.intervals import mean_interval
from study.record.words import counted, number

_LEAST_IMAGES = 30
_LEAST_DIFFERENT = 10  # of a share: fewer that are wrong, or that are right, leave its mean far from normal


@dataclass(frozen=True)
class ImageMean:
    """The mean of a value of `images` images, with the ends of its 95 % interval; in their place `missing`, why not."""

    mean: float
    images: int
    ends: tuple[float, float] | None
    missing: str = ""

    @property
    def words(self) -> str:
        """The mean with its interval, or with why it has none."""
        if self.ends is None:
            return f"{cell(self.mean)} ({counted(self.images, 'image')}, {self.missing}: no interval)"
        return f"{cell(self.mean)} (95 % interval {interval_text(*self.ends)}, {self.images:,} images)"


@dataclass(frozen=True)
class OverImages:
    """What the test images alone leave open.

    Attributes:
        metric: what the study is ranked by, on test images.
        networks: how many there are; they are fixed, and an image's value is the mean over them.
        value: of the metric.
        error: "mse" or "error_rate", what is compared with the baseline.
        gap: the networks' error less the baseline's, image by image; None without a baseline.
        components: of the baseline.
    """

    metric: str
    networks: int
    value: ImageMean
    error: str
    gap: ImageMean | None
    components: int

    @property
    def detail(self) -> str:
        """What the interval is of and what it leaves out, and the difference from the baseline."""
        which = "this network as it is" if self.networks == 1 else f"these {self.networks} networks as they are"
        said = f"What other test images of the same kind would change, with {which}. "
        said += "It does not cover another seed or other training images."
        return f"{said} {self._beside}".rstrip()

    @property
    def _beside(self) -> str:
        if self.gap is None:
            return ""
        pca = f"PCA's with {counted(self.components, 'component')}"
        baseline = pca if self.error == "mse" else "that of the logistic regression on PCA codes"
        mean, ends = self.gap.mean, self.gap.ends
        said = f"On the same images the {metrics.label(self.error)} is {'lower' if mean < 0 else 'higher'} than"
        said += f" {baseline} by {number(abs(mean))}"
        if mean == 0:
            said = f"On the same images the mean {metrics.label(self.error)} is the same as {baseline}"
        if ends is None:
            return f"{said} ({self.gap.missing}: no interval)."
        low, high = sorted((-1 if mean < 0 else 1) * end for end in ends)
        unsure = ", which is within the luck of the images" if low <= 0 else ""
        return f"{said} ({number(low)} to {number(high)}){unsure}."


def compute_over_images(study: StudyFiles) -> OverImages | None:
    """Return the winner's test score with its interval over test images; None where no errors of images were kept.

    The networks are fixed, and the test images are taken for independent draws of all that there might be. Of an image
    counts the mean of the networks' errors on it, x; the interval is mean(x) ± t · s(x) / √n, of n images and with
    Student's t of n − 1 degrees of freedom. That of the difference from the baseline is the same of the differences
    image by image (Miller, "Adding error bars to evals", 2024, arXiv:2411.00640, on independent questions and paired
    differences). There is none of fewer than 30 images, nor where all but fewer than ten have the same error, as with a
    classifier that hardly ever errs: the mean is far from normal then.
    """
    arrays = study.arrays("over_images")
    if arrays is None or not {"networks", "components"} <= arrays.keys():
        return None
    metric = metrics.on_test(study.metric)
    plain = metrics.split_of(metric)[1]
    error = "error_rate" if plain == "accuracy" else "mse"
    if error not in arrays or (plain != "accuracy" and plain not in arrays):
        return None
    values = 1 - arrays[error] if plain == "accuracy" else arrays[plain]
    beside = arrays.get(f"baseline_{error}")
    return OverImages(
        metric,
        networks=int(arrays["networks"]),
        value=image_mean(values, *metrics.limits(plain)),
        error=error,
        gap=None if beside is None else image_mean(arrays[error] - beside),
        components=int(arrays["components"]),
    )


def image_mean(values: np.ndarray, least: float = -math.inf, most: float = math.inf) -> ImageMean:
    """Return the mean of a value of each image, (n,), n ≥ 1, its interval cut at the least and most of a value."""
    n, mean = len(values), float(np.mean(values, dtype=np.float64))
    different = n - int(np.unique(values, return_counts=True)[1].max())
    if n < _LEAST_IMAGES:
        return ImageMean(mean, n, None, f"fewer than {_LEAST_IMAGES}")
    if different < _LEAST_DIFFERENT:
        return ImageMean(mean, n, None, f"all but {different} alike")
    return ImageMean(mean, n, mean_interval(values.tolist(), least, most).ci95)
