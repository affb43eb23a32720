"""Files of images with more than 8 bits or unusual channels: PNG of 16 bits, TIFF, and NumPy's own.

Pillow cuts colours of 16 bits to 8 without a word; tifffile reads TIFF of any depth.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from study.record.errors import DataError

if TYPE_CHECKING:
    from PIL import Image
    from tifffile import TiffPage

Array = NDArray[Any]

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""What a TIFF begins with, those of more than 4 GiB included."""

NUMPY = (b"\x93NUMPY", b"PK\x03\x04")
"""What `.npy` and `.npz` begin with."""

MOST_CHANNELS = 16
_USUAL_CHANNELS = 4  # up to which a first axis is taken for them: few images are as low, small ones are as narrow as 16

ORIENTATION = 274
"""The tag of EXIF and of TIFF."""

_BITS, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 258, 262, 277, 339  # tags of TIFF
_WHITE_IS_ZERO = 0
_UNSIGNED, _SIGNED = 1, 2  # formats of samples; the first is meant where none is said
_PREMULTIPLIED, _ALPHA = 1, 2  # what TIFF says of a further channel


def largest(dtype: np.dtype[Any]) -> float:
    """Return the value of pixels of a dtype that stands for 1: 255, 65,535, and 1 of floats."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def tiff_is_deep(image: Image.Image) -> bool:
    """Return whether a TIFF that Pillow has opened is better left to tifffile: deep, signed or many channels."""
    from PIL.TiffImagePlugin import TiffImageFile

    assert isinstance(image, TiffImageFile)
    bits, samples = image.tag_v2.get(_BITS, (1,)), image.tag_v2.get(_SAMPLES, 1)
    signed = _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,))
    # Pillow reads single channels of 16 and 32 bits whole, and all of its compressions; -1 of 8 bits it makes 255.
    return bool((samples > 1 and max(bits) > 8) or samples > 4 or (signed and max(bits) <= 8))


def tiff_is_unsigned(image: Image.Image) -> bool:
    """Return whether an image is a TIFF of whole numbers from 0 on, which of 32 bits Pillow gives as signed ones."""
    from PIL.TiffImagePlugin import TiffImageFile

    return isinstance(image, TiffImageFile) and _UNSIGNED in image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,))


def black_is_zero(pixels: Array, image: Image.Image) -> Array:
    """Return deep values of one channel, which Pillow gives as they lie in the file, with 0 as black."""
    from PIL.TiffImagePlugin import TiffImageFile

    white = isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return np.iinfo(pixels.dtype).max - pixels if white and pixels.dtype.kind == "u" else pixels


def tiff_header(path: Path) -> tuple[str, int, np.dtype[Any], tuple[int, int], bool]:
    """Return a TIFF's kind for people, channels without alpha, dtype, upright (height, width), and if it has alpha.

    Raises:
        DataError: It holds several images.
    """
    from tifffile import TiffFile

    with TiffFile(path) as file:
        page = _page(path, file)
        (height, width, channels), alpha = _shape(page), _alpha(page) is not None
        if _turn(page) > 4:
            height, width = width, height
        kind = f"TIFF {page.dtype}, {channels} channels"
        assert page.dtype is not None
        return kind, channels - alpha, np.dtype(page.dtype), (height, width), alpha


def tiff_pixels(path: Path) -> Array:
    """Return a TIFF's values (height, width, channels), upright, on white where it has alpha, 0 as black."""
    from tifffile import TiffFile

    with TiffFile(path) as file:
        page = _page(path, file)
        pixels = page.asarray().reshape(_plain_shape(page))
        pixels = pixels.transpose(1, 2, 0) if page.axes == "SYX" else pixels
        if page.photometric == _WHITE_IS_ZERO and pixels.dtype.kind == "u":
            pixels = np.iinfo(pixels.dtype).max - pixels
        alpha = _alpha(page)
        if alpha is not None:
            pixels = _on_white(pixels, alpha == _PREMULTIPLIED)
        return upright(pixels, _turn(page))


def png_pixels(path: Path) -> Array:
    """Return the values of a PNG of 16 bits, (height, width, channels), on white where it has alpha.

    Pillow would cut them to the first of their two bytes, as the "B" in its name of such raw data says; told that they
    are of the other byte order, it gives the second one.
    """
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as image:
        kind = str(image.tile[0].args)
        transparent = image.info.get("transparency")
    if kind in ("I;16B", "I;16"):
        with Image.open(path, formats=("PNG",)) as image:
            pixels = np.asarray(image).astype(np.uint16)[:, :, None]
    elif kind == "LA;16B":  # four bytes a pixel, as of four colours of 8 bits
        pixels = np.ascontiguousarray(_decoded(path, "RGBA")).view(">u2").astype(np.uint16)
    else:
        high, low = (_decoded(path, kind.replace(";16B", order)) for order in (";16B", ";16L"))
        pixels = (high.astype(np.uint16) << 8 | low).astype(np.uint16)
    if transparent is not None:  # a colour, not a channel
        seen = (pixels != np.array(transparent, dtype=np.uint16)).any(2, keepdims=True)
        return np.where(seen, pixels, np.uint16(65_535))
    return _on_white(pixels) if pixels.shape[2] in (2, 4) else pixels


def _decoded(path: Path, raw: str) -> Array:
    """Decode a PNG as if its raw data were of the kind that Pillow calls `raw`: (height, width, channels) uint8."""
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as image:
        image.tile = [tile._replace(args=raw) for tile in image.tile]
        return np.asarray(image)


def numpy_shape(path: Path) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    """Return the (height, width, channels) and the dtype of an array in a file; see `channels_last`."""
    array = _array(path)
    return channels_last(array, str(path)).shape, array.dtype


def numpy_pixels(path: Path) -> Array:
    """Return the array of a `.npy` or `.npz` as (height, width, channels); see `channels_last`."""
    return np.array(channels_last(_array(path), str(path)))


def channels_last(array: Array, name: str) -> Array:
    """Return an array of one image, (height, width) or with the channels, as (height, width, channels).

    The channels are the last axis; they are the first where that has 1 to 4 entries and the last has not, or where the
    last has more than 16 and the first has not.

    Raises:
        DataError: The array has another number of axes, or holds no real numbers.
    """
    if array.dtype.kind not in "buif":
        raise DataError(f"{name} holds {array.dtype}; images are arrays of integers or real numbers")
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim != 3 or 0 in array.shape:
        raise DataError(f"{name} has the shape {array.shape}; an image is (height, width) or (height, width, channels)")
    first, last = array.shape[0], array.shape[2]
    before = last > MOST_CHANNELS >= first or last > _USUAL_CHANNELS >= first
    return array.transpose(1, 2, 0) if before else array


def upright(pixels: Array, orientation: int) -> Array:
    """Turn and mirror (height, width, channels) as the orientation of EXIF and TIFF says, 1 to 8."""
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(pixels, turns)


def _array(path: Path) -> Array:
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        if len(loaded.files) != 1:
            raise DataError(f"{path} holds {len(loaded.files)} arrays; in a folder it takes a file for each image")
        only: Array = loaded[loaded.files[0]]
        return only


def _page(path: Path, file: Any) -> TiffPage:
    pages = [page for page in file.pages if not page.is_reduced]  # the others are thumbnails
    if len(pages) != 1:
        raise DataError(f"{path} holds {len(pages)} images; save each one as a file of its own")
    page: TiffPage = pages[0]
    if len(page.shape) - ("S" in page.axes) != 2:
        raise DataError(f"{path} holds a volume of {page.shape} ({page.axes}); save each layer as a file of its own")
    return page


def _plain_shape(page: TiffPage) -> tuple[int, ...]:
    return page.shape if "S" in page.axes else (*page.shape, 1)


def _shape(page: TiffPage) -> tuple[int, int, int]:
    first, second, third = _plain_shape(page)
    return (second, third, first) if page.axes == "SYX" else (first, second, third)


def _turn(page: TiffPage) -> int:
    tag = page.tags.get(ORIENTATION)
    return int(tag.value) if tag is not None else 1


def _alpha(page: TiffPage) -> int | None:
    """Return which kind of alpha the last channel is, None for none."""
    kinds = [int(kind) for kind in page.extrasamples]
    return kinds[-1] if kinds and kinds[-1] in (_PREMULTIPLIED, _ALPHA) else None


def _on_white(pixels: Array, premultiplied: bool = False) -> Array:
    """Composite (height, width, channels), the last of them alpha, on white."""
    top = largest(pixels.dtype)
    colours, alpha = pixels[..., :-1].astype(np.float64), pixels[..., -1:].astype(np.float64) / top
    mixed = (colours if premultiplied else colours * alpha) + (1 - alpha) * top
    return (np.rint(mixed) if pixels.dtype.kind == "u" else mixed).clip(0, top).astype(pixels.dtype)
