"""A person's own file of a space: read, run where that was asked for, checked, and its images read by its function."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

import search_spaces
from search_spaces import DatasetSpec, Space
from study.data import decoding, deep_files
from study.data.finding import SplitName
from study.data.image_folder import Array, Asked, Pictures, of_arrays
from study.record.errors import DataError, UsageError

# Where no file is used, PyTorch is not imported here: a driver does that while Ray starts.
if TYPE_CHECKING:
    from models.own import OwnCode


@dataclass(frozen=True, eq=False)
class OwnFile:
    """A file in use: its text, its name, its space, and what reads its images, None where it has none of its own."""

    code: OwnCode
    name: str
    space: Space
    load_data: Callable[[Path], object] | None

    def to_json(self) -> dict[str, Any]:
        """Return what study.json says of it: enough to read the study's results without running it."""
        facts = asdict(self.space.family_facts)
        return {
            "file": self.name,
            "digest": self.code.digest,
            "family": self.space.family,
            "facts": facts | {"further": list(facts["further"])},  # as JSON reads it back: a tracker compares the two
        }


_in_use: list[OwnFile] = []


def own() -> OwnFile | None:
    """Return the file that is in use in this process, None where the study is of a built-in space."""
    return _in_use[0] if _in_use else None


def read(path: Path) -> OwnCode:
    """Read a file, without running it.

    Raises:
        UsageError: there is none, or it is no text.
    """
    from models.own import OwnCode, OwnCodeError

    try:
        return OwnCode.read(path)
    except OSError as error:
        raise UsageError(f"--space '{path}' cannot be read: {error.strerror}") from None
    except OwnCodeError as error:
        raise UsageError(f"--space {error}") from None


def use(code: OwnCode, name: str | None = None) -> OwnFile:
    """Run a file, and let its space, networks and images be found in this process.

    A copy has the `name` of the file that it is of.

    Raises:
        UsageError: it cannot be run, or what it defines is not what is expected; the message names file and line.
    """
    from models.own import OwnCodeError, in_use

    known = own()
    if known is not None and known.code.digest == code.digest and in_use() == known.code:
        return known
    try:
        module = code.use()
        found = _checked(code, name or code.path.name, vars(module))
    except OwnCodeError as error:
        raise UsageError(f"--space {error}") from error
    search_spaces.use_own(found.space)
    _in_use[:] = [found]
    return found


def _checked(code: OwnCode, file: str, defined: Mapping[str, Any]) -> OwnFile:
    from models import Number
    from models.own import OwnCodeError

    space, load_data, name = defined["SPACE"], defined.get("load_data"), Path(file).stem
    if not isinstance(space, Space):
        raise code.wrong("SPACE", "a search_spaces.Space", space)
    for key, kind, what in (("data", DatasetSpec, "a search_spaces.DatasetSpec"), ("default", Mapping, "a dict")):
        if not isinstance(getattr(space, key), kind):
            raise code.wrong("SPACE", f"a Space whose {key} is {what}", getattr(space, key))
    if not callable(space.search):
        raise code.wrong("SPACE", "a Space whose search is a function of (ask, context, reported)", space.search)
    for key, least in (("trials", 1), ("epochs", 1), ("pretrain_epochs", 0)):
        allowed = Number(least, whole=True)
        if not allowed.allows(getattr(space, key)):
            raise code.wrong("SPACE", f"a Space whose {key} are {allowed}", getattr(space, key))
    if name in search_spaces.names():
        raise OwnCodeError(f"{code.path} has the name of a built-in space; rename it")
    if space.family not in search_spaces.BUILT_IN and space.facts is None:
        what = f"with facts=FamilyFacts(...), as {space.family!r} is no built-in family: its metric and baseline"
        raise code.wrong("SPACE", what, "one without")
    if space.facts is not None and space.family in search_spaces.BUILT_IN:
        raise code.wrong("SPACE", f"without facts, as the family {space.family!r} is built in", "one with them")
    if load_data is not None and not callable(load_data):
        raise code.wrong("load_data", "a function of the data directory", load_data)
    built_in = space.dataset in search_spaces.datasets()
    if load_data is not None and built_in:
        raise code.wrong("SPACE", "of data with a name of their own, as load_data reads them", space.dataset)
    return OwnFile(code, file, replace(space, own_name=name, reported={}), load_data)


def provides(source: str) -> bool:
    """Return whether `--data` names what the file in use reads itself."""
    found = own()
    return found is not None and found.load_data is not None and found.space.dataset == source


def pictures(data_dir: Path, asked: Asked) -> Pictures:
    """Return the images that the file's `load_data` gives.

    Raises:
        DataError: it raises, or gives what is no images; the message says what is expected.
    """
    from models.own import FAULTS

    found = own()
    assert found is not None
    assert found.load_data is not None
    spec, where = found.space.data, f"load_data of {found.name}"
    try:
        given = found.load_data(data_dir)
        parts = given if isinstance(given, Mapping) else {"": given}
        pieces = {"val" if split == "validation" else split: _pieces(part) for split, part in parts.items()}
    except FAULTS as error:
        raise DataError(f"--space {found.code.error(error)}") from error
    if "" not in pieces and (not pieces.keys() <= {*get_args(SplitName)} or "train" not in pieces):
        raise DataError(f"{where} gives {', '.join(map(str, pieces))}; it gives train, and may give val and test")
    if asked.value_range is None:
        _check_scale(where, {split: [piece.dtype for piece in images] for split, (images, _) in pieces.items()})
    splits = None
    try:
        arrays = {split: (np.concatenate(images), labels) for split, (images, labels) in pieces.items()}
        if "" not in arrays:
            _check_labels(where, arrays)
            splits = np.concatenate([np.full(len(images), split) for split, (images, _) in arrays.items()])
        images = np.concatenate([images for images, _ in arrays.values()])
        labelled = [labels for _, labels in arrays.values() if labels is not None]
        labels = np.concatenate(labelled) if labelled else None
    except ValueError as error:
        raise DataError(f"{where} gives images or labels that do not fit together: {error}") from None
    names = spec.class_names if labels is not None and labels.dtype.kind in "iu" else ()
    if names and labels is not None and (labels.min(initial=0) < 0 or labels.max(initial=0) >= len(names)):
        raise DataError(f"{where} gives labels beyond the {len(names)} class_names of SPACE.data")
    result = of_arrays(images, labels, where, asked, class_names=names, splits=splits)
    if result.shape != spec.image_shape and asked.image_size is None:
        raise DataError(f"{where} gives images of {_times(result.shape)}; SPACE.data says {_times(spec.image_shape)}")
    return result


def _check_scale(where: str, dtypes: Mapping[str, Sequence[np.dtype[Any]]]) -> None:
    """Refuse images that would be joined to one array though their formats say different values for white."""
    if len({deep_files.largest(dtype) for each in dtypes.values() for dtype in each}) > 1:
        told = [f"{split} {' and '.join(map(str, dict.fromkeys(each)))}".strip() for split, each in dtypes.items()]
        raise DataError(
            f"{where} gives images whose white is not the same value: {', '.join(told)}; give all as one dtype, or say "
            "with --value-range LOW,HIGH which values are black and white"
        )


def _check_labels(where: str, arrays: Mapping[str, tuple[Array, Array | None]]) -> None:
    """Refuse splits without labels beside splits with them, as of folders, and labels that are another split's."""
    bare = [split for split, (_, labels) in arrays.items() if labels is None]
    if bare and len(bare) < len(arrays):
        labelled = [split for split in arrays if split not in bare]
        raise DataError(
            f"{where} gives {' and '.join(bare)} without labels beside {' and '.join(labelled)} with labels; give "
            "labels of every split, or of none"
        )
    for split, (images, labels) in arrays.items():
        if labels is not None and labels.shape != images.shape[:1]:
            raise DataError(f"{where} gives {split} images {images.shape} with labels {labels.shape}; one label each")


def _pieces(part: object) -> tuple[list[Array], Array | None]:
    """Return arrays of images, and labels, from what a person's function gave; labels that are None are no labels.

    A pair of arrays, images alone, a torch `Dataset`, or a `datasets.Dataset` of Hugging Face, whose items are dicts.
    """
    if isinstance(part, tuple) and len(part) == 2:
        return [np.asarray(part[0])], None if part[1] is None else np.asarray(part[1])
    if isinstance(part, np.ndarray) or hasattr(part, "numpy"):
        return [np.asarray(part)], None
    if isinstance(part, Sized) and hasattr(part, "__getitem__"):
        items: list[Any] = [_pair(cast("Any", part)[index]) for index in range(len(part))]
        if items and isinstance(items[0], tuple | list) and len(items[0]) == 2:
            images = [decoding.values_of(image)[np.newaxis] for image, _ in items]
            labels = [label for _, label in items]
            if all(label is None for label in labels):
                return images, None
            return images, np.array([str(label) if isinstance(label, str) else int(label) for label in labels])
        return [decoding.values_of(item)[np.newaxis] for item in items], None
    raise TypeError(
        f"load_data gives a {type(part).__name__}; it gives (images, labels), images alone, a torch Dataset, a "
        "datasets.Dataset, or a dict of these by train, val and test"
    )


def _pair(item: object) -> object:
    """Return the image and the label of a dict, as the items of Hugging Face's data sets are; else the item itself."""
    if not isinstance(item, Mapping):
        return item
    images = [item[name] for name in ("image", "img", "pixel_values") if name in item]
    labels = [item[name] for name in ("label", "labels", "fine_label") if name in item]
    if not images:
        raise TypeError(f"items have {', '.join(map(str, item))}; an image is called image, img or pixel_values")
    return (images[0], labels[0]) if labels else images[0]


def difference(recorded: str, given: str) -> str:
    """Say in a few words where one text of a file first differs from another one."""
    before, now = recorded.splitlines(), given.splitlines()
    matcher = difflib.SequenceMatcher(None, before, now, autojunk=False)
    for what, start, end, first, last in matcher.get_opcodes():
        if what != "equal":
            was = " / ".join(line.strip() for line in before[start:end][:2]) or "nothing"
            is_now = " / ".join(line.strip() for line in now[first:last][:2]) or "nothing"
            return f"line {first + 1} was {was!r}, is {is_now!r}"
    return "the ends of its lines differ"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
