"""The PCA baseline of one data set alone, as the command `baseline` measures and prints it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from study.baselines import pca
from study.baselines.pca import BaselineRow
from study.record.errors import UsageError

_ERRORS = {
    "n_components": "k",
    "explained_variance": "variance\nkept",
    "train_mse": "train\nMSE",
    "val_mse": "val\nMSE",
    "test_mse": "test\nMSE",
    "val_mse_clipped": "val,\nclipped",
    "test_mse_clipped": "test,\nclipped",
    "train_pixel_rmse_255": "train\nRMSE",
    "test_pixel_rmse_255": "test\nRMSE",
}
"""Headings of what fits 80 columns; the CSV file has every column."""
_NATS = {
    "n_components": "k",
    "train_nelbo": "train nats",
    "val_nelbo": "val nats",
    "test_nelbo": "test nats",
    "val_nelbo_clipped": "val, clipped",
    "test_nelbo_clipped": "test, clipped",
}


def measure(
    splits: Mapping[str, NDArray[Any]],
    components: Sequence[int],
    fractions: Sequence[float],
    say: Callable[[str], None],
) -> list[BaselineRow]:
    """Return the rows at the wanted components and fractions of variance, else at the standard ranks.

    Args:
        splits: images by split (n, channels, height, width); PCA is fitted to "train".
        components: numbers of components.
        fractions: of the variance, each above 0 and at most 1.
        say: gets a line before something takes long.

    Raises:
        UsageError: the images allow no PCA, or not so many components.
    """
    train = splits["train"]
    n_images, n_pixels = len(train), train[0].size
    limit = pca.rank_limit(n_images, n_pixels)
    _refuse_above(limit, components, f"there are {n_images:,} images of {n_pixels:,} pixels")
    standard = [] if components or fractions else pca.standard_ranks(n_images, n_pixels)
    largest = limit if fractions else max([*components, *standard], default=limit)
    say(f"fitting PCA: {largest:,} components of {n_images:,} images of {n_pixels:,} pixels")
    try:
        fitted = pca.fit(train, largest)
    except ValueError as error:
        raise UsageError(f"--data allows no PCA: {error}") from error
    say(f"fitted in {fitted.fit_seconds:.1f} s ({fitted.solver})")
    reason = f"the {n_images:,} images vary along {fitted.rank:,} axes only"
    _refuse_above(fitted.rank, components, reason)
    if left_out := [str(rank) for rank in standard if rank > fitted.rank]:
        say(f"left out {', '.join(left_out)} components: {reason}")
    ranks = {*components, *(rank for rank in standard if rank <= fitted.rank)}
    if not ranks and not fractions:
        ranks = {fitted.rank}
    ranks |= {pca.components_for_variance(fitted, fraction) for fraction in fractions}
    say(f"measuring error and nats at {len(ranks)} numbers of components")
    return pca.evaluate(fitted, splits, ranks, clipped_nats=("val", "test"))


def format_errors(rows: Sequence[BaselineRow]) -> str:
    """Return the errors in the rows of `pca.evaluate` as aligned text, without the columns that no row fills."""
    return _format(rows, _ERRORS)


def format_nats(rows: Sequence[BaselineRow]) -> str:
    """Return the nats in them in the same way."""
    return _format(rows, _NATS)


def _format(rows: Sequence[BaselineRow], headings: Mapping[str, str]) -> str:
    columns = [name for name in headings if any(row[name] is not None for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(headings[name], justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(name, row[name]) for name in columns))
    text = io.StringIO()
    Console(file=text, width=80).print(table)
    return text.getvalue().rstrip("\n")


def _refuse_above(limit: int, components: Sequence[int], reason: str) -> None:
    for wanted in components:
        if wanted > limit:
            raise UsageError(
                f"--components '{wanted}' is too large (nearest: {limit}); allowed: 1 to {limit}, as {reason}"
            )


def _cell(name: str, value: int | float | None) -> str:
    if value is None:
        return ""
    if name == "n_components":
        return f"{value:,}"
    return f"{value:.{4 if '255' in name else 2 if 'nelbo' in name else 6}f}"  # to be compared with a report's digits
