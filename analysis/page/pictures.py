"""The pictures of a page: figures, computed and drawn, and those that a study left in samples/."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import Drawing, Drawings, style
from analysis.page.parts import Item, Picture, Table
from analysis.study_files import StudyFiles
from study.record.files import read_plain

MODULES = (
    "best_so_far",
    "rate_distortion",
    "nats",
    "confirmation",
    "ablation",
    "class_errors",
    "predictions",
    "codes",
    "learning_curves",
    "importances",
    "effects",
    "bounds",
    "cost",
    "parallel_coordinates",
    "pareto",
)
"""The modules of `analysis/figures`, in the order in which their figures stand in a section."""

_SVG = "image/svg+xml"
_SVG_LIMIT = 250_000  # bytes; scatter plots and heat maps with thousands of marks are smaller as pixels
_DPI = 160
_CSS_DPI = 116  # a figure of 6 inches is 700 px wide, as its letters want
_SHOWN_ROWS = 200
_LARGE = 1_500_000  # bytes; larger pictures, of photographs, become WebP
_LARGEST, _MOST_PIXELS = 64 * 2**20, 64_000_000  # bytes and pixels; what has more is no picture that a study leaves
_WEBP_QUALITY = 90


def drawings(modules: Iterable[str]) -> Drawings:
    """Return the figures of these modules in order."""
    return tuple(one for name in modules for one in import_module(f"analysis.figures.{name}").DRAWINGS)


def drawn(drawing: Drawing[Any], study: StudyFiles) -> list[Item]:
    """Return a figure of a study as a picture and its tables, or nothing."""
    data = drawing.compute(study)
    if data is None:
        return []
    title = drawing.title
    numbers = Table(drawing.name, f"{title}: the numbers", data.table(), rows=_SHOWN_ROWS, folded=drawing.folded)
    more = [Table(one.name, one.caption, one.frame, folded=True) for one in drawing.more(data)]
    wide = embed(drawing.plot(data), title, data.caption)
    with style.narrow():
        small = embed(drawing.plot(data), title, data.caption, as_svg=wide.media_type == _SVG)
    return [replace(wide, narrow=small), numbers, *more]


def embed(figure: Figure, title: str, caption: str, *, as_svg: bool = True) -> Picture:
    """Return a figure as a picture of a page; it always has the same bytes.

    PNG, or `as_svg` unless that is large. As SVG it has no paper of its own, and a reader whose screen is dark sees it
    in `style.DARK`.
    """
    width = round(figure.get_figwidth() * _CSS_DPI)
    FigureCanvasAgg(figure)
    if as_svg:
        # Letters as outlines: a reader's machine need not have the font.
        with mpl.rc_context({"svg.hashsalt": title, "svg.fonttype": "path"}):
            data = _saved(figure, "none", format="svg", metadata={"Date": None, "Creator": None})
        if len(data) <= _SVG_LIMIT:
            return Picture(title, caption, _SVG, data.replace(b"</svg>", _dark() + b"</svg>"), width)
    data = _saved(figure, "white", format="png", dpi=_DPI, metadata={"Software": None})
    return Picture(title, caption, "image/png", data, width)


def _dark() -> bytes:
    """Return the style that changes a drawing's ink and paper on a dark screen; what has no colour is ink."""
    rules = [f"svg{{fill:{style.DARK[style.INK]}}}"]
    for light, dark in style.DARK.items():
        rules += [f'[style*="{how}: {light}"]{{{how}:{dark}!important}}' for how in ("fill", "stroke")]
    return f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>\n".encode()


def _saved(figure: Figure, paper: str, **options: Any) -> bytes:
    file = io.BytesIO()
    for axes in figure.axes:
        axes.patch.set_visible(paper != "none")
    figure.savefig(file, facecolor=paper, bbox_inches="tight", pad_inches=0.08, **options)
    return file.getvalue()


@dataclass(frozen=True)
class _Caption:
    title: str
    text: str


_CAPTIONS = {
    "reconstructions": _Caption(
        "Reconstructions",
        "Test images above what the network, PCA with as many components as its code has numbers, and the default or a "
        "report's own network, where one was confirmed beside it, make of them: four that the network errs least on, "
        "four typical ones and four that it errs most on. MSE is per pixel, on [0, 1]; of PCA "
        "and the other network it is of the picture's 256 shades. An error is white where there is none and black "
        "where it is the largest of all.",
    ),
    "by_class": _Caption(
        "Reconstructions by class",
        "A row for each of up to ten classes: its test images at 10, 50 and 90 % of its errors, each with what "
        "the network makes of it and, where there is one, PCA with as many components. Numbers are MSE per pixel.",
    ),
    "pca": _Caption("PCA", "The same test images through PCA with as many components as the network's code has."),
    "untrained": _Caption(
        "Untrained",
        "Up to eight test images that the network errs typically on: as they are, through the network before training, "
        "and after it. One that starts from PCA is PCA before training.",
    ),
    "progress": _Caption(
        "Progress",
        "Training images, and what the network made of them after every fifth epoch of its training (of a classifier's "
        "encoder, as an autoencoder).",
    ),
    "denoising": _Caption(
        "Denoising",
        "Test images, the same images corrupted as in training, and what the network makes of the corrupted ones.",
    ),
    "prior": _Caption(
        "Samples from the prior",
        "Images decoded from codes drawn from N(0, I). No test image went in: this is what the model itself makes up.",
    ),
    "interpolations": _Caption(
        "Interpolations",
        "Images decoded on the straight line between the mean codes of two test images of different classes.",
    ),
    "traversal": _Caption(
        "Traversal of the code",
        "One test image's code with one dimension at a time moved from −3 to 3 standard deviations of the prior; the "
        "dimensions with the largest KL.",
    ),
    "confusion": _Caption(
        "Confusion matrix", "Test images by their true class (row) and the class that they were taken for (column)."
    ),
    "examples": _Caption(
        "Predictions",
        "Test images that the network was surest of and right, least sure of, and surest of and wrong.",
    ),
}


def sample_pictures(study: StudyFiles, without: frozenset[str] = frozenset()) -> list[Picture]:
    """Return the pictures of a study in the order of `_CAPTIONS`, others after them by name.

    Args:
        study: The study; its samples folder may be missing.
        without: The names of pictures that are shown otherwise.
    """
    order = list(_CAPTIONS)
    found = {path.stem: path for path in study.paths.samples.glob("*.png") if path.stem not in without}
    names = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [picture for name in names if (picture := _picture(name, found[name])) is not None]


def _picture(name: str, path: Path) -> Picture | None:
    """Return a picture for the page, None where the file is none that a study has left."""
    caption = _CAPTIONS.get(name, _Caption(name.replace("_", " ").capitalize(), "A picture that the study left."))
    try:
        data = read_plain(path, _LARGEST)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            width, landscape = image.width, image.width > 1.5 * image.height
            if width * image.height > _MOST_PIXELS:
                return None
            media_type = "image/png"
            if len(data) > _LARGE:
                smaller = io.BytesIO()
                image.convert("RGB").save(smaller, "WEBP", quality=_WEBP_QUALITY)
                data, media_type = smaller.getvalue(), "image/webp"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return Picture(caption.title, caption.text, media_type, data, width, drawn=False, landscape=landscape)
