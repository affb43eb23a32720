"""Pictures for MLflow and the report, from the arrays that a confirmation left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from study.evaluation.confusion_picture import confusion_picture
from study.evaluation.sheet import Row, draw

Arrays = dict[str, np.ndarray]
_PRIOR_COLUMNS = 8
_EXAMPLE, _CAPTION = 112, 136  # pixels: an image's side, and the room for a class name below it


def pictures(samples: Path, class_names: Sequence[str]) -> dict[str, Image.Image]:
    """Return a picture for each kind of sample in the folder `samples`, by its name.

    `reconstructions` (originals above the network's and PCA's reconstructions; best, typical and worst), `untrained`
    (what the network made of the typical ones before and after training), `denoising` (with the corrupted images
    between), `prior`, `interpolations`, `traversal`, `confusion` and `examples` of predictions: those whose
    .npz files are there (`study.evaluation.writing`).

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
    with np.load(path, allow_pickle=False) as arrays:
        read = dict(arrays)
    pca = path.with_name("pca.npz")
    if path.stem == "reconstructions" and pca.is_file():
        with np.load(pca, allow_pickle=False) as arrays:
            read["PCA"] = arrays["reconstructions"]
    return read


def _reconstructions(arrays: Arrays, _class_names: Sequence[str]) -> dict[str, Image.Image]:
    errors = [f"MSE {error:.4f}" for error in arrays["mse"]]
    network = ("original", "reconstruction")
    kinds = {
        "reconstructions": (*network, "PCA") if "PCA" in arrays else network,
        "untrained": ("original", "untrained", "reconstruction"),
        "denoising": ("original", "corrupted", "denoised"),
    }
    layers = {"original": "originals", "reconstruction": "reconstructions"}
    drawn = {}
    for picture, titles in kinds.items():
        names = [layers.get(title, title) for title in titles]
        if not set(names) <= arrays.keys():
            continue
        rows = []
        groups = dict.fromkeys(arrays["groups"].tolist())
        for group in ["typical"] if picture == "untrained" else groups:
            here = arrays["groups"] == group
            captions = [error for error, chosen in zip(errors, here, strict=True) if chosen]
            for title, name in zip(titles, names, strict=True):
                words = captions if name == "reconstructions" else ()
                first = name == names[0]
                rows.append(Row(arrays[name][here], f"{group}: {title}" if first else title, words, apart=first))
        drawn[picture] = draw(rows)
    return drawn


def _prior(arrays: Arrays, _class_names: Sequence[str]) -> dict[str, Image.Image]:
    images = arrays["samples"]
    starts = range(0, len(images), _PRIOR_COLUMNS)
    return {"prior": draw([Row(images[start : start + _PRIOR_COLUMNS]) for start in starts])}


def _interpolations(arrays: Arrays, class_names: Sequence[str]) -> dict[str, Image.Image]:
    titles = [f"{class_names[first]} → {class_names[last]}" for first, last in arrays["labels"]]
    rows = [Row(images, title) for images, title in zip(arrays["images"], titles, strict=True)]
    return {"interpolations": draw(rows)}


def _traversal(arrays: Arrays, _class_names: Sequence[str]) -> dict[str, Image.Image]:
    rows = [Row(arrays["original"][None], "original")]
    words = [f"{value:.4g}" for value in arrays["values"]]
    for number, images in enumerate(arrays["images"]):
        title = f"z{arrays['dimensions'][number]}  KL {arrays['kl'][number]:.2f} nats"
        last = number == len(arrays["images"]) - 1
        rows.append(Row(images, title, words if last else (), apart=number == 0))
    return {"traversal": draw(rows)}


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
        rows.append(Row(arrays["originals"][chosen], titles[group], captions, wrong[chosen].tolist()))
    return {"examples": draw(rows, _EXAMPLE, _CAPTION)}


_PICTURES: dict[str, Callable[[Arrays, Sequence[str]], dict[str, Image.Image]]] = {
    "reconstructions": _reconstructions,
    "prior": _prior,
    "interpolations": _interpolations,
    "traversal": _traversal,
    "predictions": _predictions,
    "examples": _examples,
}
