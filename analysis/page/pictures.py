"""The pictures that a study left in samples/, with what is to be seen on each."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from analysis.page.parts import Picture
from analysis.study_files import StudyFiles

_LARGE = 1_500_000  # bytes; larger ones, of photographs, become WebP
_WEBP_QUALITY = 90


@dataclass(frozen=True)
class _Caption:
    title: str
    text: str


_CAPTIONS = {
    "reconstructions": _Caption(
        "Reconstructions",
        "Test images above what the best network makes of them: the 8 with the least error, 8 typical ones and the 8 "
        "with the most. MSE is per pixel, on [0, 1].",
    ),
    "pca": _Caption("PCA", "The same test images through PCA with as many components as the network's code has."),
    "untrained": _Caption("Untrained", "The same test images through the network before training."),
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
    found = {path.stem: path for path in study.samples.glob("*.png") if path.stem not in without}
    names = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [_picture(name, found[name].read_bytes()) for name in names]


def _picture(name: str, data: bytes) -> Picture:
    caption = _CAPTIONS.get(name, _Caption(name.replace("_", " ").capitalize(), "A picture that the study left."))
    with Image.open(io.BytesIO(data)) as image:
        width = image.width
        media_type = "image/png"
        if len(data) > _LARGE:
            smaller = io.BytesIO()
            image.convert("RGB").save(smaller, "WEBP", quality=_WEBP_QUALITY)
            data, media_type = smaller.getvalue(), "image/webp"
    return Picture(caption.title, caption.text, media_type, data, width, drawn=False)
