"""A study's images, decoded once: `load` gives train, validation and test as arrays."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from search_spaces import DatasetSpec, ReportedSplit, datasets
from study.data import own_file
from study.data.dividing import divide
from study.data.finding import LEFT_OUT
from study.data.image_folder import Asked, Pictures, open_own
from study.data.mapped import cached, file_of
from study.data.reading import decode_all
from study.data.splits import Split, hold_out, stratified_part
from study.data.twins import fingerprints
from study.record import machine
from study.record.errors import DataError, UsageError, choose_from

__all__ = [
    "ImageData",
    "Split",
    "Trained",
    "as_reported",
    "bytes_in_memory",
    "default_data_dir",
    "known_bytes",
    "load",
    "of_settings",
    "subset",
    "urgent",
]


Splits = tuple[Split, Split, Split]

_ARRAY_SUFFIXES = {".npy", ".npz"}
_LABEL_BYTES = 8
_CACHE = "decoded"  # a folder below that of the data sets
_COPIES = 4  # of images in memory: decoded, divided, in the object store, and room for the work


@dataclass(frozen=True)
class Trained:
    """What has to be known of the images that a network was trained on, to show it others.

    Attributes:
        dtype: Of their pixels.
        value_range: The values in their files that stand for black and white, where they were said.
        class_names: A name for each class; none where they are not known.
        image_size: Pixels a side that they were scaled and cropped to; None where they are of the size of their files,
            and of an earlier version, which did not say.
    """

    dtype: np.dtype[Any] = np.dtype(np.uint8)  # noqa: RUF009  (a value)
    value_range: tuple[float, float] | None = None
    class_names: tuple[str, ...] = ()
    image_size: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        ends = self.value_range and list(self.value_range)
        return {
            "class_names": list(self.class_names),
            "pixels": str(self.dtype),
            "value_range": ends,
            "image_size": self.image_size,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Trained:
        """Read what `to_json` gave, or a study.json says of its data; an earlier version's pixels were of 8 bits.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, IndexError: it is something else.
        """
        ends, image_size = said.get("value_range"), said.get("image_size")
        return cls(
            np.dtype(said.get("pixels", "uint8")),
            ends and (float(ends[0]), float(ends[1])),
            tuple(str(name) for name in said["class_names"]),
            None if image_size is None else int(image_size),
        )


@dataclass(frozen=True, eq=False)
class ImageData:
    """Everything a study knows about its data.

    split: how train, val and test were made, a sentence; notes: what else was done to the images.
    digest: 16 hexadecimal digits of a SHA-256 of all pixels and labels in their order, whatever their name.
    value_range: the values in own files that stand for black and white, where they were said.
    found: lines for a person on what own files were found to be.
    image_size: pixels a side that the images were scaled and cropped to, where they were.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    digest: str
    split: str
    notes: tuple[str, ...]
    value_range: tuple[float, float] | None = None
    found: tuple[str, ...] = ()
    image_size: int | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Number of classes, those that a split lacks included."""
        return len(self.class_names)

    @property
    def trained(self) -> Trained:
        """What a network that is trained on them has to say of them."""
        return Trained(self.train.images.dtype, self.value_range, self.class_names, self.image_size)

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def sizes(self) -> dict[str, int]:
        """Images in each split."""
        return {name: len(split) for name, split in self.splits.items()}


def described(data: ImageData) -> str:
    """Return lines for a person on what a data set is, before anything is trained on it."""
    sizes = ", ".join(f"{name} {count:,}" for name, count in data.sizes.items())
    first = data.found or (f"{data.name}: {'×'.join(map(str, data.image_shape))}, {data.num_classes} classes",)
    return "\n".join([*first, f"  splits: {sizes}. {data.split}", *(f"  {note}" for note in data.notes)])


def urgent(notes: Iterable[str]) -> list[str]:
    """Return those of the notes that a person has to see before anything is computed: warnings, what is left out."""
    return [note for note in notes if note.startswith(("Warning:", LEFT_OUT))]


def default_data_dir() -> Path:
    """Return $STUDY_DATA, else ~/.cache/study-data: the root that torchvision's loaders are given."""
    try:
        return Path(os.environ.get("STUDY_DATA") or "~/.cache/study-data").expanduser()
    except RuntimeError:
        raise UsageError("there is no home folder for data sets; set HOME or STUDY_DATA, or give --data-dir") from None


def _say_nothing(_: str) -> None:
    pass


def load(
    source: str,
    data_dir: Path,
    *,
    image_size: int | None = None,
    value_range: tuple[float, float] | None = None,
    labels: Path | None = None,
    cache_dir: Path | None = None,
    train_size: int | None = None,
    val_size: int | Literal["proportional"] | None = None,
    progress: Callable[[str], None] = _say_nothing,
) -> ImageData:
    """Load a built-in data set, or own images: a folder with one sub-folder per class, or a file of NumPy's.

    source: a name in `search_spaces.datasets()`, which comes first, what a person's own file reads itself, or a path
        ("./mnist" for a folder of that name).
    data_dir: where built-in sets lie or are downloaded to.
    image_size: pixels a side that own images are scaled and cropped to.
    value_range: the values in own files that stand for black and white; None takes those of each file's format.
    labels: a CSV file with the class of each file of a folder.
    cache_dir: where own images are kept decoded; None does so below `data_dir`, for those too large for memory.
    train_size, val_size: stratified subsets of the training and the validation images, see `subset`.
    progress: gets a line now and then while a set is downloaded or decoded.
    Raises DataError for a set that is missing, damaged or unreadable and UsageError for settings that do not
    fit it, each with one line that says how to mend it.
    """
    from study.data.built_in import check_data_dir

    data_dir = data_dir.expanduser()
    check_data_dir(data_dir)
    if (spec := datasets().get(source)) is not None:
        own = {"--image-size": image_size, "--value-range": value_range, "--labels": labels}
        for option, value in own.items():
            if value is not None:
                raise UsageError(
                    f"{option} {value} is for images of one's own; {source} is as it was published, "
                    f"{spec.image_shape[1]}×{spec.image_shape[2]}"
                )
        data = _load_builtin(spec, data_dir, progress)
    else:
        asked = Asked(image_size, value_range, labels)
        if own_file.provides(source):
            pictures = own_file.pictures(data_dir, asked)
            data = _of_pictures(source, pictures, asked, _in_memory(pictures, progress))
        else:
            data = _load_own(source, asked, (cache_dir, data_dir / _CACHE), progress)
    return subset(data, train_size, val_size)


def of_settings(given: Mapping[str, Any], progress: Callable[[str], None] = _say_nothing) -> ImageData:
    """Load what settings ask for, by the names of their fields; one that is missing or None is left to its default.

    Raises:
        DataError, UsageError: as `load`.
    """
    data_dir, labels, cache_dir = (
        Path(given[name]) if given.get(name) else None for name in ("data_dir", "labels", "cache_dir")
    )
    return load(
        given["data"],
        data_dir or default_data_dir(),
        image_size=given.get("image_size"),
        value_range=given.get("value_range"),
        labels=labels,
        cache_dir=cache_dir,
        progress=progress,
    )


def bytes_in_memory(data: ImageData) -> int:
    """Return the bytes of all splits that no file holds."""
    arrays = [array for split in (data.train, data.val, data.test) for array in (split.images, split.labels)]
    return sum(array.nbytes for array in arrays if file_of(array) is None)


def known_bytes(source: str) -> int | None:
    """Return the bytes that the whole of a published data set takes, before it is read; None of images of one's own."""
    spec = datasets().get(source)
    return None if spec is None else sum(spec.sizes.values()) * (math.prod(spec.image_shape) + _LABEL_BYTES)


def as_reported(data: ImageData, split: ReportedSplit) -> ImageData:
    """Divide the training and the validation images anew, as a report did; the test split stays.

    Where the report held as many images out as are held out here, these are they. Where it had no validation split,
    `val` is empty.
    """
    train, val = data.train, data.val
    wanted = (split.train, split.val)
    if wanted == (len(train) + len(val), 0):
        train, val = _together(train, val), val.take(np.arange(0))
    elif wanted == (len(train), 0):
        val = val.take(np.arange(0))
    elif wanted != (len(train), len(val)):
        pool = _together(train, val)
        assert sum(wanted) == len(pool), f"{data.name} has {len(pool)} images to divide"
        train, val = hold_out(pool, split.val, stratified=False)
    digest = _digest(train, val, data.test)
    return replace(data, train=train, val=val, digest=digest, split=f"As in the report. {split.words}")


def _together(first: Split, second: Split) -> Split:
    return Split(np.concatenate([first.images, second.images]), np.concatenate([first.labels, second.labels]))


def subset(
    data: ImageData,
    train_size: int | None,
    val_size: int | Literal["proportional"] | None = None,
    *,
    test_size: int | None = None,
) -> ImageData:
    """Take seeded, stratified subsets of the training and the validation images; smaller ones lie inside larger ones.

    Validation data choose, so all of them are used unless `val_size` says otherwise: how many, or "proportional" to
    shrink as the training images do. The test split stays whole, unless no more than `test_size` of its images are
    wanted, for a run that measures nothing. Every split keeps at least an image of every class.
    Raises UsageError unless the sizes lie between the number of classes (at least 2) and all.
    """
    train, val, test, notes = data.train, data.val, data.test, []
    if train_size is not None:
        _check_size("--train-size", train_size, train, "training", data)
        train = stratified_part(train, train_size)
    if val_size is not None and not len(val):
        raise UsageError(f"--val-size {val_size} is not possible: with --as-reported there are no validation images")
    if val_size == "proportional":
        val = stratified_part(val, max(data.num_classes, round(len(val) * len(train) / len(data.train))))
    elif val_size is not None:
        _check_size("--val-size", val_size, val, "validation", data)
        val = stratified_part(val, val_size)
    if (len(train), len(val)) != (len(data.train), len(data.val)):
        notes.append(
            f"A stratified {len(train)} of {len(data.train)} training, {len(val)} of {len(data.val)} validation images."
        )
    if test_size is not None and test_size < len(test):
        test = stratified_part(test, test_size)
        notes.append(f"A stratified {test_size} of {len(data.test)} test images: no measurement.")
    if not notes:
        return data
    digest = _digest(train, val, test)
    return replace(data, train=train, val=val, test=test, digest=digest, notes=(*data.notes, *notes))


def _check_size(option: str, size: int, split: Split, what: str, data: ImageData) -> None:
    fewest, most = max(2, data.num_classes), len(split)
    if not fewest <= size <= most:
        raise UsageError(
            f"{option} {size} is not possible: {data.name} has {most} {what} images in {data.num_classes} classes; "
            f"allowed: {fewest} to {most}"
        )


def _load_builtin(spec: DatasetSpec, data_dir: Path, progress: Callable[[str], None]) -> ImageData:
    from study.data import built_in

    splits = built_in.read(spec, data_dir, progress)
    notes = (spec.preparation,) if spec.preparation else ()
    size = spec.image_shape[1] if spec.image_files else None  # files have sizes of their own
    return ImageData(spec.name, spec.class_names, *splits, _digest(*splits), spec.split, notes, image_size=size)


def own_source(source: str) -> Path:
    """Return the folder or file of a user's own images.

    Raises:
        DataError: there is none, or it is of no kind that can hold images.
        UsageError: it is the name of a data set that does not exist.
    """
    path = Path(source).expanduser()
    try:
        if path.is_dir() or (path.is_file() and path.suffix in _ARRAY_SUFFIXES):
            return path
        if path.exists():
            raise DataError(
                f"--data {source} is a file; it takes a folder with one sub-folder per class, or a .npy or .npz file"
            )
        if os.sep in source:
            raise DataError(f"--data {source}: no such folder or file")
        known = choose_from("data set", source, datasets())
        raise UsageError(f"{known}, or a folder of images, or a .npy or .npz file")
    except OSError as error:
        raise DataError(f"--data {source} cannot be read ({error.strerror})") from error


def _load_own(source: str, asked: Asked, cache: tuple[Path | None, Path], progress: Callable[[str], None]) -> ImageData:
    """Load own images into memory, or from files where they are larger or a folder for those was given.

    cache: the folder that was given, and the one that is used otherwise.
    """
    path = own_source(source)
    pictures = open_own(path, asked)
    given, usual = cache
    if given is not None or _COPIES * pictures.nbytes > machine.memory():
        kept = cached(pictures, given or usual, _digest, progress)
        read = kept.splits, kept.sentence, kept.notes
        return _of_pictures(path.resolve().name, pictures, asked, read, kept.digest)
    return _of_pictures(path.resolve().name, pictures, asked, _in_memory(pictures, progress))


def _of_pictures(
    name: str, pictures: Pictures, asked: Asked, read: tuple[Splits, str, tuple[str, ...]], digest: str | None = None
) -> ImageData:
    """Return own images that have been read into splits, with the sentence and the notes on that."""
    splits, sentence, notes = read
    return ImageData(
        name,
        pictures.class_names,
        *splits,
        digest or _digest(*splits),
        sentence,
        (*pictures.notes, *notes),
        asked.value_range,
        tuple(pictures.described()),
        asked.image_size,
    )


def _in_memory(pictures: Pictures, progress: Callable[[str], None]) -> tuple[Splits, str, tuple[str, ...]]:
    decoded = decode_all(
        len(pictures),
        lambda i: (pictures.read(i), int(pictures.labels[i])),
        pictures.shape,
        pictures.what,
        progress,
        dtype=pictures.form.dtype,
        bad=tuple(pictures.bad),
    )
    divided = divide(pictures, fingerprints(decoded.images))
    train, val, test = (decoded.take(order) for order in divided.orders)
    return (train, val, test), divided.sentence, divided.notes


def _digest(*splits: Split) -> str:
    content = hashlib.sha256()
    for array in (array for split in splits for array in (split.images, split.labels)):
        content.update(f"{array.shape} {array.dtype.str} ".encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()[:16]
