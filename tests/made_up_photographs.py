"""Photographs that are made up, as files in a folder for each class: python tests/made_up_photographs.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def photographs(folder: Path) -> None:
    """Write stripes in two colours, upright and across, as JPEG files of many sizes."""
    rng = np.random.default_rng(0)
    for name, colour in (("cat", (200, 120, 40)), ("dog", (60, 90, 160))):
        (folder / name).mkdir(parents=True)
        for number in range(1, 31):
            height, width = rng.integers(40, 90, 2)
            down, across = np.mgrid[:height, :width]
            light = 0.5 + 0.5 * np.sin((across if name == "cat" else down) / rng.uniform(4, 9) + rng.uniform(0, 6))
            image = np.array(colour) * light[..., None] + rng.normal(0, 12, (height, width, 3))
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.jpg")


if __name__ == "__main__":
    photographs(Path(sys.argv[1]))
