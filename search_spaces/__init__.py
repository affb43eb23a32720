"""Search spaces by name, and what the reports ran and claimed.

A space is one file here, `<dataset>_<family>.py`, which exports SPACE; its file name is its name, and
there is no second registry. Files with an underscore in front are what spaces are made of.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from search_spaces._ask import AskConfig
from search_spaces._claim import Bound, Check, Claim, Comparison, Measured
from search_spaces._claims import CLAIMS
from search_spaces._outline import outline
from search_spaces._reported import REPORTED, Reported
from search_spaces._space import Context, Point, Space

__all__ = [
    "AskConfig",
    "Bound",
    "Check",
    "Claim",
    "Comparison",
    "Context",
    "Measured",
    "Point",
    "Reported",
    "Space",
    "UnknownSpace",
    "claims",
    "get",
    "names",
    "outline",
    "reported",
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


def names() -> list[str]:
    """Return the names of all spaces, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")


def get(name: str) -> Space:
    """Return the space of that name; raises `UnknownSpace` if there is none."""
    if name not in names():
        raise UnknownSpace(name)
    space: Space = importlib.import_module(f"{__name__}.{name}").SPACE
    return space


def reported() -> dict[str, Reported]:
    """Return every configuration that a report ran, by its key."""
    return dict(REPORTED)


def claims() -> list[Claim]:
    """Return every number and checkable statement of the reports."""
    return list(CLAIMS)
