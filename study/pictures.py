"""Pictures for MLflow: originals above their reconstructions, from the arrays that a confirmation left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TILE = 96  # pixels a side, at least
_GAP = 4  # pixels


def reconstruction_grid(samples: Path) -> Image.Image:
    """Return one picture of a reconstructions.npz: for each group a row of originals and one of reconstructions."""
    with np.load(samples, allow_pickle=False) as arrays:
        groups = arrays["groups"]
        rows = []
        for group in dict.fromkeys(groups.tolist()):
            rows += [arrays[name][groups == group] for name in ("originals", "reconstructions")]
    return tile(rows)


def tile(rows: list[NDArray[np.uint8]]) -> Image.Image:
    """Return the images of each row beside each other, rows below each other.

    Args:
        rows: Each uint8 (n, channels, height, width) with 1 or 3 channels; enlarged by a whole factor if small.
    """
    height, width = rows[0].shape[2:]
    factor = max(1, round(_TILE / max(height, width)))
    step_y, step_x = height * factor + _GAP, width * factor + _GAP
    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (columns * step_x + _GAP, len(rows) * step_y + _GAP), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            pixels = np.repeat(np.repeat(image.transpose(1, 2, 0), factor, axis=0), factor, axis=1)
            pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
            sheet.paste(Image.fromarray(pixels).convert("RGB"), (_GAP + x * step_x, _GAP + y * step_y))
    return sheet
