"""Rows of small images with words beside and below them, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GAP = 4  # pixels, as all below
_GROUP_GAP = 16
_FONT_SIZE, _LINE = 12, 15
_WIDEST_TITLE = 220
_MARKED = "#D55E00"  # vermilion of the Okabe-Ito palette, which the colour-blind tell from black


@dataclass(frozen=True)
class Row:
    """Images beside each other.

    images: uint8 (n, channels, height, width) with 1 or 3 channels.
    title: Stands to their left.
    captions: Below each image, of one line or more; as many as there are images, or none.
    marked: Which captions stand out; as many, or none.
    apart: Whether a new group begins here.
    """

    images: NDArray[np.uint8]
    title: str = ""
    captions: Sequence[str] = ()
    marked: Sequence[bool] = ()
    apart: bool = False


def draw(rows: Sequence[Row], side: int = 96, column_width: int = 0) -> Image.Image:
    """Return the rows below each other, on white.

    Args:
        rows: At least one; all images of one size.
        side: The images are enlarged by a whole factor to about this many pixels; larger ones stay as they are.
        column_width: The least width of a column, for captions that are wider than the images.
    """
    height, width = rows[0].images.shape[2:]
    factor = max(1, round(side / max(height, width)))
    column_width, tile_height = max(column_width, width * factor), height * factor
    columns = max(len(row.images) for row in rows)
    left = _GAP + min(_WIDEST_TITLE, max(_text_width(row.title) for row in rows))
    left += _GAP if left > _GAP else 0
    bottoms = list(accumulate(_above(row) + tile_height + _below(row) for row in rows))
    sheet = Image.new("RGB", (left + columns * (column_width + _GAP), bottoms[-1] + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for row, bottom in zip(rows, bottoms, strict=True):
        top = bottom - _below(row) - tile_height
        title = _shortened(row.title, _WIDEST_TITLE)
        pen.text((_GAP, top + tile_height // 2), title, fill="black", font=_font(), anchor="lm")
        for column, image in enumerate(row.images):
            x = left + column * (column_width + _GAP)
            sheet.paste(_enlarged(image, factor), (x, top))
            for number, line in enumerate(row.captions[column].split("\n") if row.captions else ()):
                colour = _MARKED if row.marked and row.marked[column] else "black"
                place = (x, top + tile_height + 2 + number * _LINE)
                pen.text(place, _shortened(line, column_width), fill=colour, font=_font())
    return sheet


def _above(row: Row) -> int:
    return _GROUP_GAP if row.apart else _GAP


def _below(row: Row) -> int:
    lines = max((caption.count("\n") + 1 for caption in row.captions), default=0)
    return lines * _LINE + 2 if lines else 0


def _enlarged(image: NDArray[np.uint8], factor: int) -> Image.Image:
    pixels = image.transpose(1, 2, 0).repeat(factor, axis=0).repeat(factor, axis=1)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")


def _shortened(text: str, width: int) -> str:
    """Return as much of `text` as fits into `width` pixels, with an ellipsis if that is not all."""
    if _text_width(text) <= width:
        return text
    fitting = next((n for n in range(len(text) - 1, 0, -1) if _text_width(text[:n].rstrip() + "…") <= width), 0)
    return text[:fitting].rstrip() + "…" if fitting else ""


def _text_width(text: str) -> int:
    return round(_font().getlength(text))


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    # Comes with matplotlib, on every machine, and has the letters of class names in Greek, Polish or Cyrillic.
    from matplotlib.font_manager import findfont

    return ImageFont.truetype(findfont("DejaVu Sans"), _FONT_SIZE)
