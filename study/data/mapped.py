"""Images that are decoded once into files of a cache folder, which every process maps: the pages are shared.

A folder of the cache holds the images of one state of a user's files, in one form. It is used where its digest is
right, and made anew otherwise. Where a process is killed while it decodes, the next one goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.data.dividing import divide
from study.data.image_folder import Pictures
from study.data.reading import in_threads, refuse, told
from study.data.splits import Split
from study.data.twins import PRINT_BYTES, fingerprints
from study.record import files, machine
from study.record.errors import DataError

Progress = Callable[[str], None]
Digest = Callable[..., str]

SPLITS = ("train", "val", "test")

_VERSION = 2  # of what the files hold, and of how images are divided
_AT_ONCE = 512  # images that are written, or put in order, together


@dataclass(frozen=True)
class MappedFile:
    """A file that holds an array and nothing else."""

    path: Path
    shape: tuple[int, ...]
    dtype: str

    def open(self) -> NDArray[Any]:
        """Map the file, for reading.

        Raises:
            DataError: it is not there, on a node that does not share the folder, or has been cut off.
        """
        try:
            return np.memmap(self.path, self.dtype, "r", shape=self.shape)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path} cannot be mapped ({error}); on a cluster, --cache-dir is a folder that every node reaches"
            ) from error


def file_of(array: NDArray[Any]) -> MappedFile | None:
    """Return the file that a whole array is mapped from, None for any other array."""
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.filename is not None:
        return MappedFile(Path(os.fspath(array.filename)), array.shape, array.dtype.str)
    return None


def read_in_any_order(array: NDArray[Any]) -> None:
    """Prepare an array for reads of single images here and there: of a mapped file that the memory cannot hold.

    The system reads what lies around each image too, which there is no room to keep: 12 times slower on a disk where
    that was measured.
    """
    if file_of(array) is not None and 2 * array.nbytes > machine.memory():
        array.base.madvise(mmap.MADV_RANDOM)  # type: ignore[union-attr]  # a mapping, says `file_of`


@dataclass(frozen=True)
class Cached:
    """The splits of decoded images, mapped, with what is known of them."""

    splits: tuple[Split, Split, Split]
    digest: str
    sentence: str
    notes: tuple[str, ...]


def cached(pictures: Pictures, cache_dir: Path, digest: Digest, progress: Progress) -> Cached:
    """Return the images from the cache, into which they are decoded where it has them not, or damaged.

    Args:
        pictures: The images.
        cache_dir: Where the cache lies; it is made.
        digest: Of three splits.
        progress: Gets a line now and then.

    Raises:
        DataError: the images cannot be decoded, or the cache cannot be written.
    """
    refuse(pictures.bad)  # the others may be there from before the files were damaged
    folder = cache_dir / _key(pictures)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, progress):
            if (folder / "about.json").is_file():
                known = _known(folder, pictures, digest)
                if known is not None:
                    return known
                progress(f"the cache {folder} is damaged and is made anew")
                _clear(folder)
            _make(folder, pictures, digest, progress)
            made = _known(folder, pictures, digest)
    except OSError as error:
        raise DataError(f"--cache-dir {cache_dir} cannot be used: {error.strerror or error}") from error
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if made is None:
        raise DataError(f"--cache-dir {cache_dir}: what was just written to {folder} reads otherwise; look at the disk")
    return made


def _key(pictures: Pictures) -> str:
    content = hashlib.sha256(f"{_VERSION} {pictures.form} {pictures.size} {pictures.class_names}".encode())
    content.update(pictures.labels.tobytes())
    content.update(b"" if pictures.splits is None else pictures.splits.tobytes())
    content.update("\n".join(pictures.stamp).encode("utf-8", "surrogateescape"))
    return content.hexdigest()[:32]


@contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress(f"another process decodes these images into {folder}; waiting for it")
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _mapped(path: Path, count: int, pictures: Pictures) -> MappedFile:
    """Return the file of so many of the images, in their form."""
    return MappedFile(path, (count, *pictures.shape), pictures.form.dtype.str)


def _clear(folder: Path) -> None:
    for file in folder.iterdir():
        if file.name != ".lock":
            file.unlink()


def _known(folder: Path, pictures: Pictures, digest: Digest) -> Cached | None:
    """Return what a folder of the cache holds, None where that is damaged."""
    try:
        about: Mapping[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        parts = []
        for name in SPLITS:
            labels = np.load(folder / f"{name}-labels.npy", allow_pickle=False)
            mapped = _mapped(folder / f"{name}.bin", len(labels), pictures)
            if mapped.path.stat().st_size != int(np.prod(mapped.shape)) * pictures.form.dtype.itemsize:
                return None
            parts.append(Split(mapped.open(), labels))
        splits = (parts[0], parts[1], parts[2])
        if digest(*splits) != about["digest"]:
            return None
        return Cached(splits, about["digest"], about["sentence"], tuple(about["notes"]))
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def _make(folder: Path, pictures: Pictures, digest: Digest, progress: Progress) -> None:
    prints = _decode(folder, pictures, progress)
    divided = divide(pictures, prints)
    everything = _mapped(folder / "decoded.part", len(pictures), pictures).open()
    read_in_any_order(everything)
    progress(f"putting {len(pictures):,} images into their splits")
    parts = []
    for name, order in zip(SPLITS, divided.orders, strict=True):
        with (folder / f"{name}.bin").open("wb") as file:
            for start in range(0, len(order), _AT_ONCE):
                file.write(np.ascontiguousarray(everything[order[start : start + _AT_ONCE]]).data)
        labels = pictures.labels[order]
        np.save(folder / f"{name}-labels.npy", labels)
        mapped = _mapped(folder / f"{name}.bin", len(order), pictures)
        parts.append(Split(mapped.open(), labels))
        files.sync(folder / f"{name}.bin")
    about = {"digest": digest(*parts), "sentence": divided.sentence, "notes": list(divided.notes)}
    files.write_json(folder / "about.json", about)
    for name in ("decoded.part", "prints.part"):
        (folder / name).unlink()


def _decode(folder: Path, pictures: Pictures, progress: Progress) -> list[bytes]:
    """Decode what is not decoded yet into `decoded.part`, and return the fingerprint of every image.

    A fingerprint is written after its image, and whoever goes on compares the two.
    """
    image_bytes = pictures.nbytes // len(pictures)
    decoded, known = folder / "decoded.part", folder / "prints.part"
    decoded.touch()
    known.touch()
    prints = _prints(decoded, known, pictures)
    tell, waiting = told(pictures.what, len(pictures), progress), []
    errors: list[DataError] = []
    if prints:
        progress(f"going on after {len(prints):,} images of {len(pictures):,} that are decoded in {folder}")
    with decoded.open("r+b") as images, known.open("r+b") as marks:
        images.truncate(len(prints) * image_bytes)
        marks.truncate(len(prints) * PRINT_BYTES)
        images.seek(0, os.SEEK_END)
        marks.seek(0, os.SEEK_END)
        for number, result in enumerate(in_threads(pictures.read, len(pictures), len(prints)), start=len(prints) + 1):
            if isinstance(result, DataError):
                errors.append(result)
            elif not errors:
                waiting.append(result)
            if waiting and (len(waiting) == _AT_ONCE or number == len(pictures)):
                block = np.ascontiguousarray(np.stack(waiting))  # images may lie channels last
                images.write(block.data)
                images.flush()
                new = fingerprints(block)
                marks.write(b"".join(new))
                marks.flush()
                prints += new
                waiting = []
            tell(number)
    refuse(errors)
    return prints


def _prints(decoded: Path, known: Path, pictures: Pictures) -> list[bytes]:
    """Return the fingerprints of the images that are decoded already, up to the first one that is not whole."""
    image_bytes = pictures.nbytes // len(pictures)
    marks = known.read_bytes()
    there = min(len(marks) // PRINT_BYTES, decoded.stat().st_size // image_bytes, len(pictures))
    found: list[bytes] = []
    if there:
        images = _mapped(decoded, there, pictures).open()
        for index in range(there):
            (print_,) = fingerprints(images[index : index + 1])
            if print_ != marks[index * PRINT_BYTES : (index + 1) * PRINT_BYTES]:
                break
            found.append(print_)
    return found
