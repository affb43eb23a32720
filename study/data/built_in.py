"""Built-in data sets: files that are whole, or downloaded, or an error that names the file and says how to mend it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import socket
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from search_spaces import DatasetSpec
from study.data.decoding import Form, read_image
from study.data.reading import decode_all
from study.data.splits import Split, hold_out, three_way
from study.record.errors import DataError

if TYPE_CHECKING:
    from torchvision.datasets import VisionDataset

Progress = Callable[[str], None]

NETWORK_TIMEOUT = 30.0
"""Seconds without an answer after which a download has failed; torchvision itself would wait for ever."""

DOWNLOAD_ERRORS = (OSError, RuntimeError, http.client.HTTPException, EOFError, tarfile.TarError, zlib.error)
"""No network, wrong checksum (RuntimeError, torchvision's own), torn connection, torn archive."""


def check_data_dir(data_dir: Path) -> None:
    """Raise DataError unless `data_dir` is a folder that can be read, or could be made."""
    try:
        above = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    except OSError as error:  # a name that is too long, a mount that has gone
        raise DataError(f"--data-dir {data_dir} cannot be read ({error.strerror})") from error
    if not above.is_dir():
        raise DataError(f"--data-dir {data_dir} cannot be used: {above} is a file, not a folder")
    if not os.access(above, os.R_OK | os.X_OK):
        raise DataError(f"--data-dir {data_dir} cannot be used: no permission to read {above}")


def read(spec: DatasetSpec, data_dir: Path, progress: Progress) -> tuple[Split, Split, Split]:
    """Read the train, validation and test splits of a data set; download it where it is absent.

    Raises:
        DataError: the download fails, or a file is missing or damaged.
    """
    if spec.torchvision_class is None:
        return three_way(_read_digits())
    official = _read_official_splits(spec, data_dir, progress)
    train, test = official["train"], official["test"]
    if spec.validation == "official":
        return train, official["val"], test
    train, val = hold_out(train, spec.sizes["val"], stratified=spec.validation == "stratified")
    return train, val, test


def _read_digits() -> Split:
    """Read scikit-learn's bundled digits, 1,797 images of 8×8 with pixels of 0 to 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)
    return Split(images[:, None], digits.target.astype(np.int64))


def _read_official_splits(spec: DatasetSpec, data_dir: Path, progress: Progress) -> dict[str, Split]:
    """Read the splits that the set was published with, by torchvision's own class."""

    def download(root: Path) -> None:
        for keywords in spec.official_splits.values():
            _torchvision_class(spec)(root / spec.root, download=True, **keywords)

    _ensure_files(spec, data_dir, download, progress)
    reader = _torchvision_class(spec)
    root = data_dir / spec.root
    if spec.image_files:
        return {
            split: _decode(reader(root, loader=lambda path: path, **keywords), split, spec, data_dir, progress)
            for split, keywords in spec.official_splits.items()
        }
    progress(f"reading {spec.title}")
    return {split: _from_arrays(reader(root, **keywords), spec) for split, keywords in spec.official_splits.items()}


class _TorchvisionClass(Protocol):
    def __call__(self, root: Path, **keywords: object) -> VisionDataset: ...


def _torchvision_class(spec: DatasetSpec) -> _TorchvisionClass:
    import torchvision.datasets  # seconds, which a damaged file need not cost

    found: _TorchvisionClass = getattr(torchvision.datasets, spec.torchvision_class or "")
    return found


def _from_arrays(dataset: VisionDataset, spec: DatasetSpec) -> Split:
    """Take a set that torchvision holds whole: uint8, (n, height, width) or with the channels, first or last."""
    pixels = np.asarray(dataset.data)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[1:] != spec.image_shape:
        pixels = pixels.transpose(0, 3, 1, 2)
    return Split(np.ascontiguousarray(pixels), np.asarray(getattr(dataset, spec.labels), dtype=np.int64))


def _decode(dataset: VisionDataset, split: str, spec: DatasetSpec, data_dir: Path, progress: Progress) -> Split:
    """Decode a set of separate image files, of which torchvision's class gives the paths and labels."""
    channels, *size = spec.image_shape
    form = Form(channels, np.dtype(np.uint8), (size[0], size[1]))

    def read(index: int) -> tuple[np.ndarray, int]:
        path, label = dataset[index]
        try:
            return read_image(Path(path), form), label
        except DataError as error:
            raise DataError(f"{spec.name}: {error}; {_how_to_mend(spec, data_dir)}") from error

    return decode_all(len(dataset), read, spec.image_shape, f"{spec.name} {split}", progress)


def is_there(spec: DatasetSpec, data_dir: Path) -> bool:
    """Return whether a data set need not be downloaded; its files are not read."""
    return spec.torchvision_class is None or not _is_absent(data_dir / spec.folder)


def _is_absent(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _ensure_files(spec: DatasetSpec, data_dir: Path, download: Callable[[Path], None], progress: Progress) -> None:
    """Check `spec`'s files under `data_dir`, torchvision's root; download them only if there are none.

    download: downloads and unpacks the data set under the root that it is given.
    Raises DataError for a file that is missing or damaged, and for a download that fails.
    """
    folder = data_dir / spec.folder
    try:
        if _is_absent(folder):
            _download(spec, data_dir, download, progress)
        _verify_files(spec, data_dir)
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise DataError(f"{spec.name}: {where} cannot be read or written ({why})") from error


def _verify_files(spec: DatasetSpec, data_dir: Path) -> None:
    """Raise DataError, naming the file and the way to mend it, unless all of `spec`'s files are as published.

    Separate image files are only counted: a copy with smaller images is as good.
    """
    folder = data_dir / spec.folder
    for file, md5 in spec.md5.items():
        if not (folder / file).is_file():
            raise DataError(f"{spec.name}: {folder / file} is missing; {_how_to_mend(spec, data_dir)}")
        if (found := _md5(folder / file)) != md5:
            damage = f"{(folder / file).stat().st_size:,} bytes with md5 {found}, published {md5}"
            raise DataError(f"{spec.name}: {folder / file} is damaged ({damage}); {_how_to_mend(spec, data_dir)}")
    if spec.image_files:
        pattern, count = spec.image_files
        files = [pattern.format(number) for number in range(1, count + 1)]
        if missing := [file for file in files if not (folder / file).is_file()]:
            what = f"{folder / missing[0]} is missing, {len(missing):,} of {count:,} images in all"
            raise DataError(f"{spec.name}: {what}; {_how_to_mend(spec, data_dir)}")


def _how_to_mend(spec: DatasetSpec, data_dir: Path) -> str:
    """Say what to do about a damaged file."""
    return f"put a good copy there, or delete {data_dir / spec.folder} and run again to download the set"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(spec: DatasetSpec, data_dir: Path, download: Callable[[Path], None], progress: Progress) -> None:
    """Download beside the final place, then rename: what is interrupted leaves nothing behind."""
    folder = data_dir / spec.folder
    progress(f"downloading {spec.title} ({spec.download_mib} MiB) into {folder}")
    with _new_folder(folder.parent):
        scratch = Path(tempfile.mkdtemp(prefix=f".{spec.name}-download-", dir=data_dir))
        try:
            with _network_timeout():
                download(scratch)
            for archive in (*(scratch / spec.folder).glob("*.gz"), *(scratch / spec.folder).glob("*.tgz")):
                archive.unlink()
            if not _is_filled(folder):  # another process may have been faster
                (scratch / spec.folder).replace(folder)
        except DOWNLOAD_ERRORS as error:
            raise DataError(
                f"{spec.name}: nothing in {folder}, and the download failed ({_cause(error)}); "
                "put the files there, or say with --data-dir where they are, or use --space digits_ae, "
                "whose data are bundled"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _cause(error: BaseException) -> str:
    """Take the last line, where torchvision's own errors quote the cause, without urllib's wrapping."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1].strip().removeprefix("<urlopen error ").removesuffix(">")[:160]


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make `folder` and its parents; if the body raises, remove those that are new and still empty."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def _network_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
