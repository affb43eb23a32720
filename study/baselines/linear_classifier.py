"""The baseline of classifiers: a logistic regression on PCA codes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from numpy.typing import NDArray

from study.baselines import pca
from study.baselines.pca import Pca, Row

RANKS = (16, 64, 256)
"""Numbers of components: 16 are few, and at 256 the data sets here keep more than nine tenths of their variance."""

_ITERATIONS = 300  # of L-BFGS; accuracies no longer move in the third digit


def evaluate(fitted: Pca, splits: Sequence[NDArray], ranks: Sequence[int]) -> list[Row]:
    """Return a row of the baseline per rank: PCA's columns, and `val_accuracy` and `test_accuracy`.

    The codes are divided by the largest component's standard deviation, which leaves their proportions as they are,
    and scikit-learn's multinomial logistic regression is fitted to the training codes with its own L2 penalty (C = 1).

    Args:
        fitted: PCA of the training images.
        splits: images and labels of train, val and test, in this order: six arrays.
        ranks: numbers of components, each within 1 … `fitted.rank`.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    images = dict(zip(pca.SPLITS, splits[0::2], strict=True))
    labels = dict(zip(pca.SPLITS, splits[1::2], strict=True))
    codes = {name: pca.codes(fitted, array, max(ranks)) for name, array in images.items()}
    scale = codes["train"][:, 0].std()
    rows = pca.evaluate(fitted, images, ranks)
    for row, rank in zip(rows, sorted(set(ranks)), strict=True):
        inputs = {name: values[:, :rank] / scale for name, values in codes.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(max_iter=_ITERATIONS).fit(inputs["train"], labels["train"])
        for name in ("val", "test"):
            row[f"{name}_accuracy"] = float(model.score(inputs[name], labels[name]))
    return rows
