"""Pictures for MLflow, the report and the terminal: rows of images with words, and a confusion matrix as a heat map."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Arrays = dict[str, np.ndarray]
_PRIOR_COLUMNS = 8
_EACH, _SIDE = 4, 64  # best, typical and worst images of reconstructions; pixels: twelve beside each other
_SIDE_BY_CLASS = 72  # pixels: nine images beside each other
_EXAMPLE, _CAPTION = 112, 136  # pixels: an image's side, and the width that a class name has below it
_GAP = 4  # pixels, as all below
_GROUP_GAP = 16
_FONT_SIZE, _LINE = 12, 15
_WIDEST_TITLE = 220
_MARKED = "#D55E00"  # vermilion of the Okabe-Ito palette, which the colour-blind tell from black
_ANNOTATED = 20  # classes; with more, numbers do not fit into the cells
_NAMED = 150  # classes; with more, every second, third … is named
_DPI = 100


def pictures(samples: Path, class_names: Sequence[str]) -> dict[str, Image.Image]:
    """Return a picture for each kind of sample in the folder `samples`, by its name.

    `reconstructions` (originals above the network's and PCA's reconstructions, each with its error and a map of where
    it lies, and above another network's; four best, typical and worst), `by_class` (a row for each class), `untrained`
    (what the network made of the typical ones before and after training), `denoising` (with the corrupted images
    between), `progress` (training images above what the network made of them after every fifth epoch), `prior`,
    `interpolations`, `traversal`, `confusion` and `examples` of predictions: those whose .npz files are there
    (`study.evaluation.samples`).

    Args:
        samples: The folder; empty or missing, there are no pictures.
        class_names: A name for each class of the data.
    """
    drawn: dict[str, Image.Image] = {}
    for name, draw_all in _PICTURES.items():
        path = samples / f"{name}.npz"
        if path.is_file():
            drawn |= draw_all(_read(path), class_names)
    return drawn


def _read(path: Path) -> Arrays:
    """Return the arrays of a file and, by what each is called, the reconstructions of PCA and of another network.

    "mse of NAME" is the error of these, of the picture's 256 shades.
    """
    with np.load(path, allow_pickle=False) as arrays:
        read = dict(arrays)
    for other in ("pca", "beside"):
        file = path.with_name(f"{other}.npz")
        if path.stem not in ("reconstructions", "by_class") or not file.is_file():
            continue
        with np.load(file, allow_pickle=False) as arrays:
            name = str(arrays["name"]) if "name" in arrays else "PCA"
            if path.stem in arrays:  # an earlier version had no rows by class, and of networks there are none
                read[name] = arrays[path.stem]
                read[f"mse of {name}"] = (_difference(read[name], read["originals"]) ** 2).mean(axis=(-3, -2, -1))
    return read


def _reconstructions(arrays: Arrays, _class_names: Sequence[str]) -> dict[str, Image.Image]:
    others = [name.removeprefix("mse of ") for name in arrays if name.startswith("mse of ")]
    errors: Arrays = {"reconstruction": arrays["mse"], **{name: arrays[f"mse of {name}"] for name in others}}
    beside = [title for name in others for title in ((name, f"error of {name}") if name == "PCA" else (name,))]
    arrays = arrays | {"original": arrays["originals"], "reconstruction": arrays["reconstructions"]}
    arrays |= _error_maps(arrays, ["reconstruction", *(name for name in others if name == "PCA")])
    groups = arrays["groups"]
    kinds = {
        "reconstructions": (_of_each(groups), ["original", "reconstruction", "error of reconstruction", *beside]),
        "untrained": (np.flatnonzero(groups == "typical"), ["original", "untrained", "reconstruction"]),
        "denoising": (_of_each(groups), ["original", "corrupted", "denoised"]),
    }
    drawn = {}
    for picture, (chosen, layers) in kinds.items():
        if not set(layers) <= arrays.keys():
            continue
        words = {"original": groups[chosen].tolist()}
        words |= {name: [f"{error:.4f}" for error in values[chosen]] for name, values in errors.items()}
        rows = [
            ImageRow(arrays[name][chosen], f"{name}, MSE" if name in errors else name, words.get(name, ()))
            for name in layers
        ]
        drawn[picture] = draw_rows(rows, _SIDE)
    return drawn


def _of_each(groups: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the places of up to four best, typical and worst images, which stand in the order of their errors."""
    best, typical, worst = (np.flatnonzero(groups == name) for name in ("best", "typical", "worst"))
    middle = max(0, (len(typical) - _EACH) // 2)
    return np.concatenate([best[:_EACH], typical[middle : middle + _EACH], worst[-_EACH:]])


def _by_class(arrays: Arrays, class_names: Sequence[str]) -> dict[str, Image.Image]:
    """Draw a row per class: each of its images, what the network makes of it, and PCA."""
    errors = {"reconstructions": ("", arrays["mse"])}
    if "PCA" in arrays:
        errors["PCA"] = ("PCA ", arrays["mse of PCA"])
    rows = []
    for row, label in enumerate(arrays["labels"]):
        places = range(arrays["mse"].shape[1])
        images = [arrays[name][row, at] for at in places for name in ("originals", *errors)]
        words = [
            text
            for at in places
            for text in ("original", *(f"{whose}{error[row, at]:.4f}" for whose, error in errors.values()))
        ]
        rows.append(ImageRow(np.stack(images), class_names[label], words))
    return {"by_class": draw_rows(rows, _SIDE_BY_CLASS)}


def _error_maps(arrays: Arrays, layers: Sequence[str]) -> Arrays:
    """Return how far each pixel of these layers is from the original, the mean over the channels, by "error of LAYER".

    White is no error; black is the largest of all of them, so that they compare.
    """
    errors = {
        layer: np.abs(_difference(arrays[layer], arrays["originals"])).mean(axis=1, keepdims=True) for layer in layers
    }
    most = max((float(error.max()) for error in errors.values()), default=0.0) or 1.0
    return {f"error of {layer}": np.rint(255 * (1 - error / most)).astype(np.uint8) for layer, error in errors.items()}


def _difference(images: NDArray[np.uint8], originals: NDArray[np.uint8]) -> NDArray[np.float64]:
    return (images.astype(np.float64) - originals) / 255


def _progress(arrays: Arrays, _class_names: Sequence[str]) -> dict[str, Image.Image]:
    rows = [ImageRow(_as_bytes(arrays["originals"]), "original")]
    rows += [
        ImageRow(images, f"epoch {epoch}") for epoch, images in zip(arrays["epochs"], arrays["images"], strict=True)
    ]
    return {"progress": draw_rows(rows)}


def _as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images as uint8; files of an earlier version have them as deep as the data set's."""
    white = np.iinfo(images.dtype).max if images.dtype.kind == "u" else 1.0
    return np.rint(images * (255 / white)).astype(np.uint8)


def _prior(arrays: Arrays, _class_names: Sequence[str]) -> dict[str, Image.Image]:
    images = arrays["samples"]
    starts = range(0, len(images), _PRIOR_COLUMNS)
    return {"prior": draw_rows([ImageRow(images[start : start + _PRIOR_COLUMNS]) for start in starts])}


def _interpolations(arrays: Arrays, class_names: Sequence[str]) -> dict[str, Image.Image]:
    titles = [f"{class_names[first]} → {class_names[last]}" for first, last in arrays["labels"]]
    rows = [ImageRow(images, title) for images, title in zip(arrays["images"], titles, strict=True)]
    return {"interpolations": draw_rows(rows)}


def _traversal(arrays: Arrays, _class_names: Sequence[str]) -> dict[str, Image.Image]:
    rows = [ImageRow(arrays["original"][None], "original")]
    words = [f"{value:.4g}" for value in arrays["values"]]
    for number, images in enumerate(arrays["images"]):
        title = f"z{arrays['dimensions'][number]}  KL {arrays['kl'][number]:.2f} nats"
        last = number == len(arrays["images"]) - 1
        rows.append(ImageRow(images, title, words if last else (), apart=number == 0))
    return {"traversal": draw_rows(rows)}


def _predictions(arrays: Arrays, class_names: Sequence[str]) -> dict[str, Image.Image]:
    return {"confusion": confusion_picture(arrays["confusion"], class_names)}


def _examples(arrays: Arrays, class_names: Sequence[str]) -> dict[str, Image.Image]:
    titles = {"right": "surest and right", "unsure": "least sure", "wrong": "surest and wrong"}
    wrong = arrays["predictions"] != arrays["labels"]
    words = [
        f"{confidence:.0%} {class_names[prediction]}" + (f"\nis {class_names[label]}" if mistaken else "")
        for confidence, prediction, label, mistaken in zip(
            arrays["confidence"], arrays["predictions"], arrays["labels"], wrong, strict=True
        )
    ]
    rows = []
    for group in dict.fromkeys(arrays["groups"].tolist()):
        chosen = np.flatnonzero(arrays["groups"] == group)
        captions = [words[index] for index in chosen]
        rows.append(ImageRow(arrays["originals"][chosen], titles[group], captions, wrong[chosen].tolist()))
    return {"examples": draw_rows(rows, _EXAMPLE, _CAPTION)}


def confusion_picture(confusion: NDArray[np.int64], class_names: Sequence[str]) -> Image.Image:
    """Return the heat map of a confusion matrix.

    A cell's colour is the share of its row's class that was taken for its column's; its number, with few classes, is
    how many images that is.

    Args:
        confusion: int64 (classes, classes), rows are the true classes.
        class_names: A name for each class.
    """
    import seaborn as sns
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = len(confusion)
    class_names = [name.replace("$", r"\$") for name in class_names]  # no formulae
    totals = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(totals, 1)
    side = min(18.0, max(4.0, 2.5 + 0.55 * classes if classes <= _ANNOTATED else 3 + 0.14 * classes))  # inches
    figure = Figure(figsize=(side + 1, side), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    every = -(-classes // _NAMED)
    sns.heatmap(
        shares,
        vmin=0,
        vmax=1,
        cmap="Blues",
        square=True,
        xticklabels=False,  # or seaborn draws the whole figure to see whether they overlap
        yticklabels=False,
        ax=axes,
        annot=confusion if classes <= _ANNOTATED else None,
        fmt="d",
        annot_kws={"fontsize": 8},
        cbar_kws={"label": "share of the true class's images", "shrink": 0.7, "pad": 0.02},
    )
    size = 9 if classes <= _ANNOTATED else 7
    places, names = np.arange(0, classes, every) + 0.5, class_names[::every]
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, rotation=0, fontsize=size)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    accuracy = confusion.trace() / max(1, confusion.sum())
    axes.set_title(f"{accuracy:.1%} of {confusion.sum():,} test images are on the diagonal", fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight")
    return Image.open(stream).convert("RGB")


@dataclass(frozen=True)
class ImageRow:
    """Images beside each other.

    images: uint8 (n, channels, height, width); of more than 3 channels the first three are shown as red, green and
        blue, of two the first as grey.
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


def draw_rows(rows: Sequence[ImageRow], side: int = 96, column_width: int = 0) -> Image.Image:
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


def _above(row: ImageRow) -> int:
    return _GROUP_GAP if row.apart else _GAP


def _below(row: ImageRow) -> int:
    lines = max((caption.count("\n") + 1 for caption in row.captions), default=0)
    return lines * _LINE + 2 if lines else 0


def _enlarged(image: NDArray[np.uint8], factor: int) -> Image.Image:
    pixels = image.transpose(1, 2, 0).repeat(factor, axis=0).repeat(factor, axis=1)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] < 3 else pixels[:, :, :3]).convert("RGB")


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


_PICTURES: dict[str, Callable[[Arrays, Sequence[str]], dict[str, Image.Image]]] = {
    "reconstructions": _reconstructions,
    "by_class": _by_class,
    "progress": _progress,
    "prior": _prior,
    "interpolations": _interpolations,
    "traversal": _traversal,
    "predictions": _predictions,
    "examples": _examples,
}
