"""One image file, whatever its kind: what its header says, and its pixels in the form that a study gives all of them.

Files are told by their content: the kinds that Pillow reads, and those of `study.data.deep_files`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from study.data import deep_files
from study.record.errors import DataError, one_line

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[Any]

CHANNELS = range(1, deep_files.MOST_CHANNELS + 1)
"""How many channels an image may have."""

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000")
_SUFFIXES = ".avif .bmp .dib .gif .j2k .jfif .jp2 .jpe .jpeg .jpg .npy .npz .pbm .pgm .png .pnm .ppm .tif .tiff .webp"
_NOT_READ = ".dds .exr .heic .heif .hif .ico .jxl .pcx .psd .qoi .sgi .svg .tga"
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split() + _NOT_READ.split())
"""Suffixes of a file that claims to be an image: one that is none, damaged or not read is told of, not left out."""

_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_ALPHA_MODES = frozenset({"LA", "La", "RGBA", "RGBa", "PA"})
_DEEP_MODES: dict[str, type[np.generic]] = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
_DEEP_MODES |= dict.fromkeys(("I;16L", "I;16B", "I;16N"), np.uint16)
_QUARTER_TURNS = frozenset({5, 6, 7, 8})


class NotAnImageError(DataError):
    """The content of a file is of no format that is read here."""


@dataclass(frozen=True)
class Header:
    """What is known of an image before its pixels are decoded.

    Attributes:
        reader: Which of the readers decodes it.
        kind: Its file format and mode, for people.
        channels: Its colours, without alpha.
        dtype: Of the values as they lie in the file.
        size: Upright (height, width).
        alpha: Whether pixels may be transparent.
    """

    reader: Literal["Pillow", "PNG", "TIFF", "NumPy"]
    kind: str
    channels: int
    dtype: np.dtype[Any]
    size: tuple[int, int]
    alpha: bool = False

    def gives(self, channels: int) -> bool:
        """Return whether so many channels can be made of it: grey is any colour, and Pillow makes its colours grey."""
        return (
            self.channels == channels or (self.channels, channels) == (1, 3) or (self.reader, channels) == ("Pillow", 1)
        )


@dataclass(frozen=True)
class Form:
    """What the images of a study have in common.

    Attributes:
        channels: 3 takes grey images in, every other number only images that have as many.
        dtype: uint8 or uint16, whose largest value stands for 1, or float32 in [0, 1].
        size: (height, width) that images are scaled and cropped to; None keeps an image's own.
        value_range: The values in the files that stand for 0 and 1; None takes those of each file's format.
    """

    channels: int
    dtype: np.dtype[Any]
    size: tuple[int, int] | None = None
    value_range: tuple[float, float] | None = None


@dataclass
class Found:
    """What came to light while images were decoded; appended to by several threads.

    Attributes:
        clipped: Files with values outside the given range.
        peaks: The largest value in each file of 16 bits that was scaled by its format.
    """

    clipped: list[Path] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)


def read_header(path: Path) -> Header:
    """Return what an image's header says.

    Raises:
        NotAnImageError: The content is of no format that is read here.
        DataError: It is damaged, holds several images or has channels that cannot be used; the message names the file.
    """
    try:
        header = _header(path)
    except DataError:
        raise
    except Exception as error:  # damaged files raise whatever the parsers run into, SyntaxError included
        raise unreadable(path, error) from error
    if header.channels not in CHANNELS:
        allowed = f"{CHANNELS.start} to {CHANNELS.stop - 1}"
        raise DataError(f"{path} has {header.channels} channels; allowed: {allowed}")
    return header


def read_image(path: Path, form: Form, found: Found | None = None) -> Array:
    """Decode one image, turned upright and put on white where it is transparent, to (channels, height, width).

    Images are scaled to the largest centred region of the form's aspect, bilinear with antialiasing.

    Args:
        path: The file.
        form: What it is brought to.
        found: What came to light is added to it.

    Raises:
        DataError: It cannot be decoded whole, or its values do not fit the form; the message names the file.
    """
    try:
        header = _header(path)
        plain = header.dtype == form.dtype == np.uint8 and form.channels in (1, 3) and not form.value_range
        if header.reader == "Pillow" and plain:
            return _eight_bits(path, header, form)
        pixels = _raw(path, header, grey=form.channels == 1)
    except DataError:
        raise
    except Exception as error:
        raise unreadable(path, error) from error
    return to_form(pixels, str(path), form, found or Found())


def values_of(image: object) -> Array:
    """Return the values of an image in memory: those of Pillow's with 8 bits are as if they came from a file."""
    from PIL import Image

    if isinstance(image, Image.Image) and image.mode not in _DEEP_MODES:
        image = _plain(image, _may_be_transparent(image), image.mode in _GREY_MODES)
    return np.asarray(image)


def unreadable(path: Path, error: Exception) -> DataError:
    """Say in one line that `path` is no whole image, and why."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        read = ", ".join((*_formats(), "NumPy"))
        of_none = f"its content is of no format that is read here ({read}): convert it to PNG or JPEG"
        return NotAnImageError(f"{path} cannot be read as an image; {of_none}")
    return DataError(f"{path} cannot be read as an image ({reason(error)})")


def reason(error: Exception) -> str:
    """Say in one line why a file cannot be read."""
    return getattr(error, "strerror", None) or one_line(error)


def to_form(pixels: Array, name: str, form: Form, found: Found) -> Array:
    """Bring values as a file has them, (height, width, channels), to a form: (channels, height, width).

    Args:
        pixels: Of any real dtype.
        name: The file's, for messages.
        form: What they are brought to.
        found: What came to light is added to it.

    Raises:
        DataError: There are values that are not finite, or outside of what their format has.
    """
    if pixels.shape[2] == 1 and form.channels == 3:
        pixels = pixels.repeat(3, axis=2)
    if pixels.shape[2] != form.channels:
        raise DataError(f"{name} has {pixels.shape[2]} channels, the others have {form.channels}")
    resized = form.size is not None and pixels.shape[:2] != form.size
    if not resized and pixels.dtype == form.dtype and form.dtype.kind == "u" and not form.value_range:
        if form.dtype == np.uint16:
            found.peaks.append(int(pixels.max()))
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    unit = _unit(pixels, name, form, found)
    if resized:
        assert form.size is not None
        unit = _resized(unit, form.size)
    scaled = unit if form.dtype.kind == "f" else np.rint(unit * deep_files.largest(form.dtype))
    return np.ascontiguousarray(scaled.astype(form.dtype).transpose(2, 0, 1))


def _unit(pixels: Array, name: str, form: Form, found: Found) -> NDArray[np.float64]:
    """Return values in [0, 1] as their range says, or their format: of integers the whole range, of floats [0, 1]."""
    values = pixels.astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"{name} has values that are not finite numbers")
    low, high = form.value_range or (0.0, 1.0 if pixels.dtype.kind in "fb" else deep_files.largest(pixels.dtype))
    least, most = float(values.min()), float(values.max())
    if (least < low or most > high) and form.value_range is None:
        raise DataError(f"{name} has values from {least:g} to {most:g}, not within 0 to 1; {_STATE_THE_RANGE}")
    if least < low or most > high:
        found.clipped.append(Path(name))
    elif form.value_range is None and pixels.dtype == np.uint16:
        found.peaks.append(int(most))
    return ((values - low) / (high - low)).clip(0, 1)


_STATE_THE_RANGE = "say with --value-range LOW,HIGH which values are black and white"


def check_range(path: Path, header: Header, value_range: tuple[float, float] | None) -> None:
    """Raise DataError where neither the format of an image nor `value_range` says which values are black and white."""
    unsigned = header.dtype.kind == "u" and header.dtype.itemsize <= 2
    if value_range is None and not unsigned and header.dtype.kind not in "fb":
        raise DataError(f"{path} has pixels of {header.dtype}; {_STATE_THE_RANGE}")


def _resized(pixels: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    from PIL import Image, ImageOps

    planes = (Image.fromarray(plane.astype(np.float32)) for plane in pixels.transpose(2, 0, 1))
    fitted = [np.asarray(ImageOps.fit(plane, size[::-1], Image.Resampling.BILINEAR)) for plane in planes]
    return np.stack(fitted, axis=2).astype(np.float64).clip(0, 1)


@cache
def _formats() -> tuple[str, ...]:
    """Return those of the formats that this Pillow was built with: asked for another, it would read no file."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _header(path: Path) -> Header:
    from PIL import Image, UnidentifiedImageError

    with path.open("rb") as file:
        start = file.read(32)
    if not start:
        raise DataError(f"{path} cannot be read as an image (it is empty)")
    if start.startswith(deep_files.NUMPY):
        shape, dtype = deep_files.numpy_shape(path)
        kind = f"NumPy {dtype}, {shape[2]} channels"
        return Header("NumPy", kind, shape[2], dtype, (shape[0], shape[1]))
    try:
        with Image.open(path, formats=_formats()) as image:
            pages = getattr(image, "n_frames", 1) if image.format != "MPO" else 1  # whose others are previews
            if not (image.format == "TIFF" and (pages > 1 or deep_files.tiff_is_deep(image))):
                if pages > 1:
                    raise DataError(f"{path} holds {pages} images; save each one as a file of its own")
                return _pillow_header(image, start)
    except UnidentifiedImageError:
        if not start.startswith(deep_files.TIFF):  # perhaps one of channels that Pillow does not know
            raise
    return Header("TIFF", *deep_files.tiff_header(path))


def _pillow_header(image: Image.Image, start: bytes) -> Header:
    width, height = image.size
    size = (width, height) if image.getexif().get(deep_files.ORIENTATION) in _QUARTER_TURNS else (height, width)
    if image.format == "PNG" and start[24] == 16:  # bits, in the file's first chunk; behind them its kind of colours
        channels, alpha = {0: (1, False), 2: (3, False), 4: (1, True), 6: (3, True)}[start[25]]
        kind = f"PNG of 16 bits, {channels + alpha} channels"
        return Header("PNG", kind, channels, np.dtype(np.uint16), size, alpha or "transparency" in image.info)
    kind = f"{image.format} {image.mode}"
    if image.mode in _DEEP_MODES:
        dtype = np.uint16 if image.format == "PPM" and image.mode == "I" else _DEEP_MODES[image.mode]
        if dtype is np.int32 and deep_files.tiff_is_unsigned(image):
            dtype = np.uint32
        return Header("Pillow", kind, 1, np.dtype(dtype), size)
    channels = 1 if image.mode in _GREY_MODES else 3
    return Header("Pillow", kind, channels, np.dtype(np.uint8), size, _may_be_transparent(image))


def _may_be_transparent(image: Image.Image) -> bool:
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def _eight_bits(path: Path, header: Header, form: Form) -> Array:
    """Decode an image of 8 bits as Pillow converts and scales it: digests of data sets depend on every bit of it."""
    from PIL import Image, ImageOps

    image = _opened(path, header, form.channels == 1)
    if form.size is not None and image.size != form.size[::-1]:
        image = ImageOps.fit(image, form.size[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1)


def _opened(path: Path, header: Header, grey: bool) -> Image.Image:
    from PIL import Image

    with Image.open(path, formats=_formats()) as file:
        return _plain(file, header.alpha, grey)


def _plain(image: Image.Image, alpha: bool, grey: bool) -> Image.Image:
    """Return an image of 8 bits, upright, on white and of mode "L" or "RGB"."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if alpha:
        image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _raw(path: Path, header: Header, grey: bool) -> Array:
    """Return the values of an image as they lie in its file, (height, width, channels), upright and on white.

    With `grey` one channel is made of the colours of 8 bits.
    """
    from PIL import Image

    if header.reader == "NumPy":
        return deep_files.numpy_pixels(path)
    if header.reader == "TIFF":
        return deep_files.tiff_pixels(path)
    if header.dtype == np.uint8:
        pixels = np.asarray(_opened(path, header, grey or header.channels == 1))
        return pixels if pixels.ndim == 3 else pixels[:, :, None]
    with Image.open(path, formats=_formats()) as image:
        turn = image.getexif().get(deep_files.ORIENTATION, 1)
        if header.reader == "Pillow":
            pixels = deep_files.black_is_zero(np.asarray(image).astype(header.dtype), image)
            return deep_files.upright(pixels[:, :, None], turn)
    return deep_files.upright(deep_files.png_pixels(path), turn)
