"""The rows of `study.baselines.pca.evaluate` as text to read."""

from __future__ import annotations

from collections.abc import Sequence

from study.baselines.pca import Row

_HEADINGS = {
    "n_components": "components",
    "explained_variance": "variance kept",
    "train_mse": "train MSE",
    "val_mse": "val MSE",
    "test_mse": "test MSE",
    "train_pixel_rmse_255": "train RMSE/255",
    "test_pixel_rmse_255": "test RMSE/255",
}


def format_table(rows: Sequence[Row]) -> str:
    """Return the rows of `pca.evaluate` as aligned text, without the columns that no row fills."""
    columns = [name for name in _HEADINGS if any(row[name] is not None for row in rows)]
    lines = ["  ".join(_HEADINGS[name] for name in columns)]
    for row in rows:
        cells = (_cell(name, row[name]).rjust(len(_HEADINGS[name])) for name in columns)
        lines.append("  ".join(cells))
    return "\n".join(lines)


def _cell(name: str, value: int | float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if name == "n_components" else f"{value:.{4 if '255' in name else 6}f}"
