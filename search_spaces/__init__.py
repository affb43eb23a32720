"""Search spaces by name, the data sets that they are made for, and what the reports ran and claimed.

A data set is one file here, which defines `DATASET`, its facts, and `SPACES`, one for each family; a space is named
`<data set>_<family>`, and there is no second registry. A file may define `REPORTED` too, the configurations that a
report ran on the data. Files with an underscore in front are what the others are made of. A person's own file adds one
space, while it is in use (`study.data.own_file`).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from search_spaces._ask import Ask, AskConfig, Bounds, Scaled
from search_spaces._between import Between
from search_spaces._claims import CLAIMS, Audit, Bound, Check, Claim, Comparison, Measured, measured_by
from search_spaces._dataset import DatasetSpec, ImageShape
from search_spaces._families import BUILT_IN, FAMILY_FACTS, FamilyFacts, extend
from search_spaces._layers import LayerBounds, training
from search_spaces._optimizers import CROSS_ENTROPY, PIXEL_ERROR, PIXEL_NATS, TrainingRanges
from search_spaces._reported import OPEN_LAYERS, Reported, ReportedSplit
from search_spaces._searches import (
    DEFAULT_AE,
    DEFAULT_CLASSIFIER,
    DEFAULT_VAE,
    AutoencoderSearch,
    ClassifierSearch,
    VaeSearch,
)
from search_spaces._space import Context, Point, Search, Space, corners, drawn, outline

__all__ = [
    "BUILT_IN",
    "CROSS_ENTROPY",
    "DEFAULT_AE",
    "DEFAULT_CLASSIFIER",
    "DEFAULT_VAE",
    "FAMILY_FACTS",
    "OPEN_LAYERS",
    "PIXEL_ERROR",
    "PIXEL_NATS",
    "Ask",
    "AskConfig",
    "Audit",
    "AutoencoderSearch",
    "Between",
    "Bound",
    "Bounds",
    "Check",
    "Claim",
    "ClassifierSearch",
    "Comparison",
    "Context",
    "DatasetSpec",
    "FamilyFacts",
    "ImageShape",
    "LayerBounds",
    "Measured",
    "Point",
    "Reported",
    "ReportedSplit",
    "Scaled",
    "Search",
    "Space",
    "TrainingRanges",
    "UnknownSpace",
    "VaeSearch",
    "claims",
    "corners",
    "datasets",
    "drawn",
    "get",
    "measured_by",
    "names",
    "outline",
    "reported",
    "same_runs",
    "training",
    "use_own",
]


class UnknownSpace(KeyError):  # noqa: N818 - reads like KeyError's own relatives
    """There is no space of that name; the message lists those that there are."""

    def __init__(self, name: str) -> None:
        self.name = name
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        super().__init__(f"space {name!r} is not known{hint}; allowed: {', '.join(names())}")

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError's own would put it in quotes


_own: list[Space] = []  # the one space of a person's own file that is in use in this process


def use_own(space: Space) -> None:
    """Let the space of a person's own file be found by its name, and no other one that was before."""
    _own[:] = [space]
    extend({} if space.facts is None else {space.family: space.facts})


def names() -> list[str]:
    """Return the names of all built-in spaces, sorted."""
    return sorted(space.name for file in _files() for space in file.SPACES)


def get(name: str) -> Space:
    """Return the space of that name; raises `UnknownSpace` if there is none."""
    if _own and _own[0].name == name:
        return _own[0]
    for file in _files(name.rpartition("_")[0]):
        for space in file.SPACES:
            if space.name == name:
                found: Space = space
                return found
    raise UnknownSpace(name)


def datasets() -> dict[str, DatasetSpec]:
    """Return every built-in data set by its name, in the order of the names."""
    return {file.DATASET.name: file.DATASET for file in _files()}


def reported() -> dict[str, Reported]:
    """Return every configuration that a report ran, by its key."""
    return {key: entry for file in _files() for key, entry in getattr(file, "REPORTED", {}).items()}


def same_runs(key: str) -> tuple[str, ...]:
    """Return the keys of the reported configurations that say the same of a run as that of `key`, itself among them.

    A report may compare one network under two names. One study of them, which has the first name, is enough.
    """
    known = reported()
    entry = known[key]
    own = (entry.space, entry.config, entry.epochs, entry.split)
    return tuple(other for other, one in known.items() if (one.space, one.config, one.epochs, one.split) == own)


def claims() -> list[Claim]:
    """Return every number and checkable statement of the reports."""
    return list(CLAIMS)


def _files(only: str | None = None) -> Iterator[ModuleType]:
    """Import the files of the data sets, or the one of that name if there is one, and yield them sorted by name."""
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        if name[0] != "_" and only in (None, name):
            yield importlib.import_module(f"{__name__}.{name}")
