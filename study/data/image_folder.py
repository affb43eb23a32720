"""A user's own images: a folder of files, or one NumPy file; what they are, before they are decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from study.data import decoding, deep_files, finding
from study.data.decoding import CHANNELS, IMAGE_SUFFIXES, Form, Found, Header, NotAnImageError
from study.data.finding import Candidate, SplitName
from study.data.reading import in_threads, refuse
from study.data.splits import MIN_PER_CLASS
from study.record.errors import DataError, UsageError

IMAGE_SIZES = range(4, 1025)
"""What `--image-size` takes, in pixels a side."""

Array = NDArray[Any]
Progress = Callable[[str], None]

_SHOWN = 5  # sizes and kinds that a dry run names


@dataclass(frozen=True)
class Asked:
    """What a user says of own images.

    Attributes:
        image_size: Pixels a side that images are scaled and cropped to.
        value_range: The values in the files that stand for black and white.
        labels: A CSV file with the class of each file.
    """

    image_size: int | None = None
    value_range: tuple[float, float] | None = None
    labels: Path | None = None


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images that can be decoded one by one.

    Attributes:
        what: They are, for a line on the progress.
        labels: int64 (n,), positions in `class_names`.
        class_names: A name for each class.
        splits: Of each image the split that it was given in, (n,); None where the project draws the splits.
        form: What each is brought to.
        size: (height, width) of each.
        read: Decodes the image at an index: (channels, height, width).
        bad: What was said of files that can be seen already to be unreadable.
        found: What comes to light while they are decoded.
        notes: What is done to them, and what was left out.
        kinds: How many there are of each kind of file, and of each size.
        stamp: What tells whether the files are still the same, without reading them.
    """

    what: str
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    splits: NDArray[np.str_] | None
    form: Form
    size: tuple[int, int]
    read: Callable[[int], Array]
    bad: list[DataError]
    found: Found
    notes: list[str]
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    stamp: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of each."""
        return (self.form.channels, *self.size)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels of all of them, decoded."""
        return len(self) * int(np.prod(self.shape)) * self.form.dtype.itemsize

    def described(self) -> list[str]:
        """Return lines for a person on what was found: classes, counts, sizes, kinds of files, and their form."""
        counts = Counter((self.splits[i] if self.splits is not None else "", self.labels[i]) for i in range(len(self)))
        lines = [f"{self.what}: {len(self):,} in {len(self.class_names)} classes"]
        for split in get_args(SplitName) if self.splits is not None else ("",):
            of_each = ", ".join(f"{name} {counts[split, label]:,}" for label, name in enumerate(self.class_names))
            lines.append(f"  {split or 'classes'}: {of_each}")
        for what, kinds in self.kinds.items():
            more = f", {len(kinds) - _SHOWN} others" if len(kinds) > _SHOWN else ""
            lines.append(f"  {what}: {', '.join(f'{kind} {n:,}' for kind, n in kinds.most_common(_SHOWN))}{more}")
        channels, height, width = self.shape
        lines.append(f"  read as: {height}×{width}, channels {channels}, {self.form.dtype}")
        return lines


def open_own(source: Path, asked: Asked) -> Pictures:
    """Find a user's images, read their headers, and settle on the form of all of them.

    Args:
        source: A folder, or a `.npy` or `.npz` file.
        asked: What the user says of them.

    Raises:
        DataError: they are not what can be trained on; the message names the file or class.
        UsageError: what is asked for is impossible.
    """
    if asked.image_size is not None and asked.image_size not in IMAGE_SIZES:
        allowed = f"{IMAGE_SIZES.start} to {IMAGE_SIZES.stop - 1}"
        raise UsageError(f"--image-size {asked.image_size} is not possible; allowed: {allowed}")
    return _folder(source, asked) if source.is_dir() else _array_file(source, asked)


def _folder(folder: Path, asked: Asked) -> Pictures:
    try:
        candidates = finding.find(folder, asked.labels)
    except OSError as error:
        raise DataError(f"--data {folder} cannot be read ({error.strerror or error})") from error
    files, headers, bad, left_out = _surveyed(candidates.files, asked)
    left_out += candidates.left_out
    if not files:
        refuse(bad)
    if not bad:
        _check_counts(folder, candidates, files)
    try:
        form, size = _form(files, headers, asked)
    except DataError as error:
        refuse([*bad, error])
        raise
    notes = _notes(headers, form, asked)
    if candidates.root != folder:
        notes.append(f"The classes are in {finding.shown(str(candidates.root.relative_to(folder)))}.")
    if skipped := {reason: count for reason, count in left_out.items() if count}:
        each = "; ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))
        notes.append(f"{finding.LEFT_OUT} {each}.")
    place = {name: position for position, name in enumerate(candidates.class_names)}
    found = Found()
    paths = [file.path for file in files]
    return Pictures(
        what=f"images of {folder}",
        labels=np.array([place[file.class_name] for file in files], dtype=np.int64),
        class_names=candidates.class_names,
        splits=np.array([file.split for file in files]) if files[0].split else None,
        form=form,
        size=size,
        read=lambda index: decoding.read_image(paths[index], form, found),
        bad=bad,
        found=found,
        notes=notes,
        kinds={
            "files": Counter(header.kind for header in headers),
            "height×width": Counter(f"{header.size[0]}×{header.size[1]}" for header in headers),
        },
        stamp=[f"{path.relative_to(folder)} {_changed(path)}" for path in paths],
    )


def _surveyed(
    candidates: Sequence[Candidate], asked: Asked
) -> tuple[list[Candidate], list[Header], list[DataError], Counter[str]]:
    """Read all headers: the images with them, what is wrong with those that cannot be used, and what is no image."""
    files, headers, bad = [], [], []
    left_out: Counter[str] = Counter()

    def read(index: int) -> Header:
        header = decoding.read_header(candidates[index].path)
        decoding.check_range(candidates[index].path, header, asked.value_range)
        return header

    for candidate, header in zip(candidates, in_threads(read, len(candidates)), strict=True):
        if isinstance(header, Header):
            files.append(candidate)
            headers.append(header)
        elif isinstance(header, NotAnImageError) and candidate.path.suffix.lower() not in IMAGE_SUFFIXES:
            left_out[finding.NO_IMAGE] += 1
        else:
            bad.append(header)
    return files, headers, bad, left_out


def _check_counts(folder: Path, candidates: finding.Candidates, files: Sequence[Candidate]) -> None:
    """Refuse a split without images, and a class that has too few for each split to have one."""
    given = bool(candidates.files) and candidates.files[0].split is not None
    least, where = (1, "train") if given else (MIN_PER_CLASS, "train, validation and test")
    used = {"train", *(file.split for file in files)}
    if unused := [one for one in candidates.files if one.split not in used]:
        empty = unused[0].split
        kinds = finding.suffixes(one.path for one in unused if one.split == empty)
        raise DataError(
            f"--data {folder}: the {empty} split has no images (files there: {kinds}); add some or take the folder away"
        )
    counts = Counter(file.class_name for file in files if file.split in (None, "train"))
    for name in candidates.class_names:
        if counts[name] < least:
            there = [one.path for one in candidates.files if one.class_name == name and one.split in (None, "train")]
            files_there = f" (files there: {finding.suffixes(there)})" if there and not counts[name] else ""
            raise DataError(
                f"--data {folder}: class {name!r} has {counts[name]} images{files_there}, and needs at least "
                f"{least}, for {where}; add images or take the folder away"
            )


def _form(files: Sequence[Candidate], headers: Sequence[Header], asked: Asked) -> tuple[Form, tuple[int, int]]:
    """Return what all images are brought to, and their (height, width)."""
    channels = {header.channels for header in headers}
    if len(channels) > 1 and channels != {1, 3}:
        odd = next(i for i, header in enumerate(headers) if header.channels != headers[0].channels)
        raise DataError(
            f"images differ in channels: {files[0].path} has {headers[0].channels}, {files[odd].path} has "
            f"{headers[odd].channels}"
        )
    size = (asked.image_size, asked.image_size) if asked.image_size else headers[0].size
    for file, header in zip(files, headers, strict=True):
        if asked.image_size is None and header.size != size:
            raise DataError(
                f"images differ in size ({files[0].path} is {size[0]}×{size[1]}, {file.path} is "
                f"{header.size[0]}×{header.size[1]}, height×width); pass --image-size N to make all of them N×N"
            )
    given = size if asked.image_size else None
    return Form(max(channels), _depth({header.dtype for header in headers}), given, asked.value_range), size


def _depth(dtypes: set[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the dtype that loses none of the depth of these."""
    unsigned = all(dtype.kind in "ub" and dtype.itemsize <= 2 for dtype in dtypes)
    if not unsigned:
        return np.dtype(np.float32)
    return np.dtype(np.uint16 if any(dtype.itemsize == 2 for dtype in dtypes) else np.uint8)


def _notes(headers: Sequence[Header], form: Form, asked: Asked) -> list[str]:
    notes = []
    if asked.image_size is not None:
        notes.append(f"Shorter side scaled to {asked.image_size} (bilinear, antialiased), then the centre square.")
    if transparent := sum(header.alpha for header in headers):
        notes.append(f"Transparent pixels are shown on white; images with an alpha channel: {transparent}.")
    if form.dtype != np.uint8 or asked.value_range:
        ends = asked.value_range and [f"{end:.15g}" for end in asked.value_range]
        low, high = ends or ("0", "the format's largest value")
        kept = {"u": f"in {8 * form.dtype.itemsize} bits", "f": "as floats"}[form.dtype.kind]
        notes.append(f"Values from {low} (black) to {high} (white) are scaled to 0 … 1 and kept {kept}.")
    return notes


def _array_file(file: Path, asked: Asked) -> Pictures:
    """Open one array of images with their labels if any."""
    if asked.labels is not None:
        raise UsageError(f"--labels is for a folder; {file} takes its labels from its own array 'labels'")
    images, labels = _arrays(file)
    return of_arrays(images, labels, str(file), asked, stamp=[f"{file.name} {_changed(file)}"])


def of_arrays(
    images: Array,
    labels: Array | None,
    source: str,
    asked: Asked,
    *,
    class_names: Sequence[str] = (),
    splits: NDArray[np.str_] | None = None,
    stamp: Sequence[str] = (),
) -> Pictures:
    """Return images of an array, (n, height, width) or with the channels behind or before.

    Args:
        images: The array.
        labels: Integers or text, (n,); None for images of one class.
        source: What they come from, for messages.
        asked: What the user says of them.
        class_names: What the labels are positions in; empty to go by the labels themselves.
        splits: Of each image the split that it was given in, (n,); None to draw the splits.
        stamp: What tells whether they are still the same.

    Raises:
        DataError: they are no images, or a class has too few for the splits.
    """
    _check_arrays(images, labels, source)
    if labels is not None and labels.dtype.kind in "SU":
        labels = _text(labels, source)
    try:
        shape = deep_files.channels_last(images[0], source).shape
    except DataError as error:
        raise DataError(f"{error}; the first axis of {source} counts its images") from None
    if shape[2] not in CHANNELS:
        raise DataError(f"{source} has images of {shape[2]} channels; allowed: {CHANNELS.start} to {CHANNELS.stop - 1}")
    kind = f"NumPy {images.dtype}, {shape[2]} channels"
    header = Header("NumPy", kind, shape[2], images.dtype, (shape[0], shape[1]))
    decoding.check_range(Path(source), header, asked.value_range)
    names, positions = (np.array([finding.ONLY_CLASS]), np.zeros(len(images), np.int64))
    if labels is not None:
        names, positions = np.unique(labels, return_inverse=True)
        if class_names:
            names, positions = np.array(class_names), labels
    least, where = (MIN_PER_CLASS, "train, validation and test") if splits is None else (1, "train")
    counts = np.bincount(positions if splits is None else positions[splits == "train"], minlength=len(names))
    if counts.min() < least:
        raise DataError(
            f"{source}: class {str(names[counts.argmin()])!r} has {counts.min()} images, and needs at least "
            f"{least}, for {where}"
        )
    size = (asked.image_size, asked.image_size) if asked.image_size else header.size
    given = size if asked.image_size else None
    form = Form(header.channels, _depth({header.dtype}), given, asked.value_range)
    found = Found()

    def read(index: int) -> Array:
        return decoding.to_form(deep_files.channels_last(images[index], source), source, form, found)

    return Pictures(
        what=f"images of {source}",
        labels=positions.astype(np.int64),
        class_names=tuple(finding.shown(str(name)) for name in names),
        splits=splits,
        form=form,
        size=size,
        read=read,
        bad=[],
        found=found,
        notes=_notes([header], form, asked),
        kinds={"files": Counter({header.kind: len(images)})},
        stamp=stamp,
    )


def _arrays(file: Path) -> tuple[Array, Array | None]:
    try:
        loaded = np.load(file, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            images, labels = loaded, None
        else:
            with loaded:
                if "images" not in loaded.files:
                    raise DataError(f"{file} holds {', '.join(loaded.files) or 'nothing'}, and no array 'images'")
                images = loaded["images"]
                labels = loaded["labels"] if "labels" in loaded.files else None
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"--data {file} is no array of images ({decoding.reason(error)})") from error
    return images, labels


def _check_arrays(images: Array, labels: Array | None, source: str) -> None:
    if images.ndim < 3 or not len(images):
        raise DataError(f"{source} holds an array {images.shape}; it takes (n, height, width) or with channels")
    if labels is not None and (labels.shape != (len(images),) or labels.dtype.kind not in "iuUS"):
        told = f"labels are {labels.dtype} {labels.shape}; they are integers or text ({len(images)},)"
        raise DataError(f"{source}: {told}")


def _text(labels: Array, source: str) -> Array:
    """Return labels as text without blanks around it; bytes are UTF-8."""
    try:
        text = np.char.strip(np.char.decode(labels, "utf-8") if labels.dtype.kind == "S" else labels)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: labels are bytes that are not UTF-8 ({error.object!r}); give them as text"
        ) from None
    if blank := np.flatnonzero(text == "").tolist():
        raise DataError(f"{source}: {len(blank)} of {len(text)} labels are blank, the first that of image {blank[0]}")
    return text


def _changed(path: Path) -> str:
    about = path.stat()
    return f"{about.st_size} {about.st_mtime_ns}"
